//! Compact form of rows of the list of locks, for lists that are not in the order of the secrets.
//!
//! JSON text contains no bytes below 0x20 except white space, so the others can encode fragments that all rows repeat.
//! Lossless: a row that cannot be packed is kept unchanged.

use std::hash::{BuildHasher, RandomState};

/// Precedes the 16 bytes of a UUID.
const UUID: u8 = 0x01;
/// Precedes an unpacked text.
const PLAIN: u8 = 0x02;
/// Length of a UUID as text.
const UUID_TEXT: usize = 36;
/// Fragments that rows repeat, each with its byte.
const FRAGMENTS: [(u8, &str); 16] = [
    (0x03, r#"secret_id":""#),
    (0x04, r#"secret_group_id":""#),
    (0x05, r#"secret_type":""#),
    (0x06, r#"secret_name":""#),
    (0x07, r#"versions":[{""#),
    (0x08, r#"version_id":""#),
    (0x0b, r#"version_alias":""#),
    (0x0c, r#"locks":["#),
    (0x0e, r#"payload_available":true"#),
    (0x0f, "current"),
    (0x10, "previous"),
    (0x11, "username_password"),
    (0x12, "imported_cert"),
    (0x13, "arbitrary"),
    (0x14, "default"),
    (0x15, r#"",""#),
];

/// A packed text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// Packs a text.
    pub(super) fn new(text: &str) -> Self {
        let mut out = Vec::with_capacity(text.len() / 2);
        let mut rest = text;
        while let Some(first) = rest.bytes().next() {
            if let Some((id, behind)) = uuid(rest) {
                out.push(UUID);
                out.extend_from_slice(&id);
                rest = behind;
            } else if let Some((byte, behind)) = fragment(rest) {
                out.push(byte);
                rest = behind;
            } else if first < 0x20 && !first.is_ascii_whitespace() {
                return Self([&[PLAIN], text.as_bytes()].concat().into_boxed_slice());
            } else {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                let (head, behind) = rest.split_at(length);
                out.extend_from_slice(head.as_bytes());
                rest = behind;
            }
        }
        Self(out.into_boxed_slice())
    }

    /// Unpacks the text.
    pub(super) fn text(&self) -> Option<String> {
        if let Some((&PLAIN, plain)) = self.0.split_first() {
            return String::from_utf8(plain.to_vec()).ok();
        }
        let mut out = Vec::with_capacity(self.0.len() * 4);
        let mut rest = &*self.0;
        while let Some((&first, behind)) = rest.split_first() {
            rest = behind;
            if first == UUID {
                let (id, behind) = rest.split_first_chunk::<16>()?;
                rest = behind;
                out.extend_from_slice(uuid::Uuid::from_bytes(*id).hyphenated().to_string().as_bytes());
            } else if let Some((_, text)) = FRAGMENTS.iter().find(|(byte, _)| *byte == first) {
                out.extend_from_slice(text.as_bytes());
            } else {
                out.push(first);
            }
        }
        String::from_utf8(out).ok()
    }

    /// Returns the packed size in bytes.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Parses a UUID at the start, if it has the spelling that unpacking produces.
fn uuid(text: &str) -> Option<([u8; 16], &str)> {
    let (head, rest) = text.split_at_checked(UUID_TEXT)?;
    if head.as_bytes().get(8) != Some(&b'-') || head.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    uuid::Uuid::try_parse(head).ok().map(|id| (id.into_bytes(), rest))
}

fn fragment(text: &str) -> Option<(u8, &str)> {
    FRAGMENTS.iter().find_map(|(byte, fragment)| Some((*byte, text.strip_prefix(fragment)?)))
}

/// Hashes names of secrets to 128 bits with random keys per listing. A collision would look like a repeated row, which
/// fails the listing but corrupts nothing.
#[derive(Debug, Default)]
pub(super) struct PackedNames(RandomState, RandomState);

impl PackedNames {
    /// Returns the hash of a name.
    pub(super) fn short(&self, name: &str) -> u128 {
        u128::from(self.0.hash_one(name)) << 64 | u128::from(self.1.hash_one(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u128) -> String {
        let (id, version) = (uuid::Uuid::from_u128(n << 64 | 7), uuid::Uuid::from_u128(n << 32 | 9));
        format!(
            r#"{{"secret_id":"{id}","secret_group_id":"{id}","secret_type":"username_password","secret_name":"name-{n}","versions":[{{"version_id":"{version}","version_alias":"current","locks":["a"],"payload_available":true}}]}}"#
        )
    }

    #[test]
    fn every_text_comes_back() {
        let upper = row(5).to_uppercase();
        let texts = [
            row(1).as_str(),
            &upper,
            "",
            "\u{1}\u{3}",
            "{\"a\" :\n\t\"\u{e4}\u{1f600}\\u0001\"}",
            "{\"secret_id\":\"00000000000000000000000000000000\"}",
            "urn:uuid:00000000-0000-4000-8000-000000000000",
            "{00000000-0000-4000-8000-000000000000}",
            "00000000-0000-4000-8000-00000000000",
            r#""",""","default"#,
        ]
        .map(str::to_owned);
        for text in texts {
            assert_eq!(Packed::new(&text).text().as_deref(), Some(text.as_str()));
        }
    }

    #[test]
    fn a_row_takes_a_third() {
        let text = row(123_456);
        assert!(Packed::new(&text).len() * 3 < text.len(), "{} of {}", Packed::new(&text).len(), text.len());
    }
}
