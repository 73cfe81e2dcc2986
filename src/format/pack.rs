//! Packs: payloads, sealed to the recovery recipients.

use std::collections::HashSet;
use std::io::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::header::Header;
use super::json_string::unescape;
use super::sealed_reader::{SealedLines, SealedReader};
use super::{FormatError, RepositoryId, SourceName};
use crate::crypto::buffer::SecretBuffer;
use crate::crypto::digest::sha256;
use crate::crypto::mac::MacKey;
use crate::crypto::seal::seal_chunks;
use crate::crypto::{CryptoError, Recipients, Sealed};
use crate::model::{Digest, ItemKey, Payload, Slot, limits};

const WHAT: &str = "pack";

/// The member that only a pack's first line has: the key of its MACs.
#[derive(Deserialize)]
struct MacKeyOfHeader<'a> {
    mac_key: &'a str,
}

#[derive(Serialize, Deserialize)]
struct StoredLine<'a> {
    key: ItemKey,
    version: Slot,
    mac: Digest,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Builds a pack in memory. All bytes are in buffers that are wiped.
#[derive(Debug)]
pub struct PackBuilder {
    buffer: SecretBuffer,
    mac_key: MacKey,
    seen: HashSet<Digest>,
}

impl PackBuilder {
    /// Starts a pack of a repository, for payloads of this source.
    ///
    /// # Errors
    /// When the operating system returns no random bytes for the key of its MACs.
    pub fn new(repository: RepositoryId, source: &SourceName) -> Result<Self, FormatError> {
        let mac_key = MacKey::generate().map_err(crypto)?;
        let mut builder = Self { buffer: SecretBuffer::new(), mac_key, seen: HashSet::new() };
        let header = serde_json::to_string(&Header::new(WHAT, repository, source))
            .map_err(|error| FormatError::json(WHAT, &error))?;
        let PackBuilder { buffer, mac_key, .. } = &mut builder;
        for part in [header.strip_suffix('}').unwrap_or(&header), ",\"mac_key\":\"", mac_key.expose(), "\"}\n"] {
            write(buffer, part.as_bytes())?;
        }
        Ok(builder)
    }

    /// Adds the payload of one version of one item.
    ///
    /// # Errors
    /// [`FormatError::Order`] if this pack already contains that version: start another pack for it.
    /// [`FormatError::TooLarge`] if the pack would become larger than any reader accepts. Either leaves the pack
    /// unchanged.
    pub fn push(&mut self, key: &ItemKey, version: &Slot, payload: &Payload) -> Result<(), FormatError> {
        if !self.seen.insert(place(key, version)) {
            return Err(FormatError::Order { what: WHAT, key: format!("{key}, version {}", version.as_str()) });
        }
        let before = self.buffer.len();
        let written = self.write_line(key, version, payload);
        let size = self.buffer.len();
        if size > limits::PLAIN_READ || written.is_err() {
            self.buffer.truncate(before);
            self.seen.remove(&place(key, version));
            written?;
            return Err(FormatError::TooLarge { what: "a pack", size, limit: limits::PLAIN_READ });
        }
        Ok(())
    }

    /// Returns true if the pack already contains that version.
    #[must_use]
    pub fn contains(&self, key: &ItemKey, version: &Slot) -> bool {
        self.seen.contains(&place(key, version))
    }

    /// Returns the plain size so far, in bytes.
    #[must_use]
    pub fn plain_len(&self) -> usize {
        self.buffer.len()
    }

    /// Returns true if a writer should seal the pack and start another: it has reached 32 MiB.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= limits::PACK_PLAIN_WRITE
    }

    /// Returns the number of payloads in the pack.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Returns true if the pack has no payload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Seals the pack: zstd at `level` (1 to 19), padding, age. Blocks the CPU: call it on blocking threads, several
    /// packs in parallel.
    ///
    /// # Errors
    /// When sealing fails ([`crate::crypto::seal::seal`]).
    pub fn seal(self, recipients: &Recipients, level: i32) -> Result<Sealed, FormatError> {
        seal_chunks(self.buffer.chunks(), self.buffer.len(), recipients, level).map_err(crypto)
    }

    fn write_line(&mut self, key: &ItemKey, version: &Slot, payload: &Payload) -> Result<(), FormatError> {
        let text = payload.expose();
        let mac = self.mac_key.mac(key.as_str(), version.as_str(), text).to_string();
        for (before, value) in [
            ("{\"key\":", key.as_str()),
            (",\"version\":", version.as_str()),
            (",\"mac\":", &mac),
            (",\"payload\":", text),
        ] {
            write(&mut self.buffer, before.as_bytes())?;
            // Written piece by piece into the buffer, so that no escaped copy of the text exists elsewhere.
            serde_json::to_writer(&mut self.buffer, value).map_err(|error| FormatError::json(WHAT, &error))?;
        }
        write(&mut self.buffer, b"}\n")
    }
}

fn write(buffer: &mut SecretBuffer, bytes: &[u8]) -> Result<(), FormatError> {
    buffer.write_all(bytes).map_err(|error| FormatError::malformed(WHAT, error.to_string()))
}

/// One payload of a pack; its MAC has been checked.
#[derive(Debug, Clone)]
pub struct PackLine {
    /// The item.
    pub key: ItemKey,
    /// The version, or another part of the item.
    pub version: Slot,
    /// The payload.
    pub payload: Payload,
}

/// Reads a pack line by line.
pub type PackReader<'a> = SealedReader<'a, PackLines>;

/// The key of a pack's MACs and the lines read so far.
#[derive(Debug)]
pub struct PackLines {
    mac_key: MacKey,
    seen: HashSet<Digest>,
}

impl SealedLines for PackLines {
    type Line = PackLine;
    const KIND: &'static str = WHAT;
    const OBJECT: &'static str = WHAT;

    fn begin(first: &[u8]) -> Result<Self, FormatError> {
        let mac_key: MacKeyOfHeader<'_> =
            serde_json::from_slice(first).map_err(|error| FormatError::json(WHAT, &error))?;
        let mac_key = MacKey::from_text(mac_key.mac_key)
            .ok_or_else(|| FormatError::malformed(WHAT, "its MAC key is not 64 lower-case hexadecimal digits"))?;
        Ok(Self { mac_key, seen: HashSet::new() })
    }

    fn read(&mut self, number: u64, line: &[u8]) -> Result<PackLine, FormatError> {
        let bad = |problem: &str| FormatError::malformed(WHAT, format!("line {number}: {problem}"));
        let line: StoredLine<'_> =
            serde_json::from_slice(line).map_err(|_| bad("not the members of a payload line"))?;
        let version = Slot::new(line.version.as_str()).ok_or_else(|| bad("not a version"))?;
        let text = unescape(line.payload.get()).ok_or_else(|| bad("the payload is no string"))?;
        if self.mac_key.mac(line.key.as_str(), version.as_str(), &text) != line.mac {
            return Err(FormatError::Mac { key: line.key.to_string(), version: version.as_str().to_owned() });
        }
        if !self.seen.insert(place(&line.key, &version)) {
            return Err(FormatError::Order { what: WHAT, key: format!("{}, version {}", line.key, version.as_str()) });
        }
        Ok(PackLine { key: line.key, version, payload: Payload::new(text) })
    }
}

/// Returns the digest of key and version that identifies a line.
fn place(key: &ItemKey, version: &Slot) -> Digest {
    sha256(format!("{key}\n{}", version.as_str()).as_bytes())
}

fn crypto(source: CryptoError) -> FormatError {
    FormatError::Crypto { what: WHAT, source }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;
    use crate::crypto::Identities;
    use crate::crypto::seal::seal;
    use crate::format::catalogue::PartReader;
    use crate::model::{FailureKind, ItemKind};

    fn repository() -> RepositoryId {
        RepositoryId(sha256(b"repository"))
    }

    fn source() -> SourceName {
        SourceName { provider: "fake".to_owned(), instance: "one".to_owned(), region: Some("here".to_owned()) }
    }

    fn keys() -> (Identities, Recipients) {
        let (identities, _) = Identities::generate();
        let recipients = Recipients::new(identities.recipients()).unwrap();
        (identities, recipients)
    }

    fn key(id: &str) -> ItemKey {
        ItemKey::new(ItemKind::Secret, id).unwrap()
    }

    fn slot(id: &str) -> Slot {
        Slot::new(id).unwrap()
    }

    fn payload(text: &str) -> Payload {
        Payload::new(Zeroizing::new(text.to_owned()))
    }

    fn builder() -> PackBuilder {
        PackBuilder::new(repository(), &source()).unwrap()
    }

    fn read(sealed: &[u8], identities: &Identities) -> Result<Vec<(String, String, String)>, FormatError> {
        PackReader::open(sealed, identities, &repository(), Some(&source()))?
            .map(|line| {
                let PackLine { key, version, payload } = line?;
                Ok((key.to_string(), version.as_str().to_owned(), payload.expose().to_owned()))
            })
            .collect()
    }

    /// Returns the plain lines of a pack with these payloads, changed and sealed again as a broken writer might do.
    fn resealed(change: impl Fn(String) -> String) -> Result<Vec<(String, String, String)>, FormatError> {
        let (identities, recipients) = keys();
        let mut pack = builder();
        pack.push(&key("a"), &slot("1"), &payload(r#"{"payload":"one"}"#)).unwrap();
        pack.push(&key("a"), &slot("2"), &payload(r#"{"payload":"two"}"#)).unwrap();
        let plain: Vec<u8> = pack.buffer.chunks().flatten().copied().collect();
        let changed = change(String::from_utf8(plain).unwrap());
        let sealed = seal(changed.as_bytes(), &recipients, 3).unwrap();
        read(&sealed.bytes, &identities)
    }

    #[test]
    fn payloads_come_back_digit_for_digit() {
        let exact = r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2,"t":"\u00e9\n\u2028é"}"#;
        let (identities, recipients) = keys();
        let mut pack = builder();
        pack.push(&key("a"), &slot("1"), &payload(exact)).unwrap();
        pack.push(&key("a"), &slot(Slot::VALUE), &payload("{\n \"raw line feed\": true }")).unwrap();
        assert_eq!((pack.len(), pack.is_empty()), (2, false));
        let sealed = pack.seal(&recipients, 3).unwrap();
        let lines = read(&sealed.bytes, &identities).unwrap();
        assert_eq!(lines[0], ("secret/a".to_owned(), "1".to_owned(), exact.to_owned()));
        assert_eq!(lines[1].2, "{\n \"raw line feed\": true }");
    }

    #[test]
    fn the_same_version_twice_is_refused_and_leaves_the_pack_usable() {
        let mut pack = builder();
        pack.push(&key("a"), &slot("1"), &payload("{}")).unwrap();
        let before = pack.plain_len();
        assert!(matches!(pack.push(&key("a"), &slot("1"), &payload("{ }")), Err(FormatError::Order { .. })));
        assert_eq!(pack.plain_len(), before);
        assert!(pack.contains(&key("a"), &slot("1")) && !pack.contains(&key("a"), &slot("2")));
        pack.push(&key("a"), &slot("2"), &payload("{}")).unwrap();
    }

    #[test]
    fn a_pack_never_grows_beyond_what_readers_accept() {
        let mut pack = builder();
        let large = payload(&format!("{{\"payload\":\"{}\"}}", "x".repeat(limits::PLAIN_READ - 1000)));
        pack.push(&key("a"), &slot("1"), &large).unwrap();
        assert!(pack.is_full());
        let before = pack.plain_len();
        let error = pack.push(&key("b"), &slot("1"), &payload(&"y".repeat(1000))).unwrap_err();
        assert!(matches!(error, FormatError::TooLarge { .. }));
        assert_eq!(pack.plain_len(), before);
        assert!(!pack.contains(&key("b"), &slot("1")));
        pack.push(&key("b"), &slot("1"), &payload("{}")).unwrap();
    }

    #[test]
    fn foreign_swapped_and_newer_packs_are_refused_by_name() {
        let (identities, recipients) = keys();
        let sealed = builder().seal(&recipients, 3).unwrap();
        let other = RepositoryId(sha256(b"other"));
        let error = PackReader::open(&sealed.bytes, &identities, &other, None).unwrap_err();
        assert!(matches!(error, FormatError::Foreign { .. }) && error.kind() == FailureKind::Integrity);
        let error = PartReader::open(&sealed.bytes, &identities, &repository(), None).unwrap_err();
        assert_eq!(error, FormatError::Kind { expected: "catalogue", found: "pack".to_owned() });
        let error = resealed(|text| text.replacen("1.0", "2.0", 1)).unwrap_err();
        assert!(error.to_string().contains("format 2.0"), "{error}");
        assert!(resealed(|text| text.replacen("1.0", "1.4", 1).replace("\"mac\"", "\"new\":[1],\"mac\"")).is_ok());
    }

    #[test]
    fn the_first_line_names_the_source_and_another_source_is_refused() {
        let pack = builder();
        let plain: Vec<u8> = pack.buffer.chunks().flatten().copied().collect();
        let first = String::from_utf8(plain).unwrap();
        let source_text = r#""source":{"instance":"one","provider":"fake","region":"here"},"mac_key":""#;
        assert!(first.contains(source_text), "{first}");
        assert!(MacKey::from_text(first.split('"').rev().nth(1).unwrap()).is_some(), "{first}");
        let (identities, recipients) = keys();
        let sealed = pack.seal(&recipients, 3).unwrap();
        let open =
            |source: &SourceName| PackReader::open(&sealed.bytes, &identities, &repository(), Some(source)).map(|_| ());
        assert!(open(&SourceName { region: None, ..source() }).is_ok(), "the region decides nothing");
        for other in [
            SourceName { instance: "two".to_owned(), ..source() },
            SourceName { provider: "other".to_owned(), ..source() },
        ] {
            let error = open(&other).unwrap_err();
            assert!(matches!(error, FormatError::OtherSource { .. }) && error.kind() == FailureKind::Integrity);
        }
        assert!(resealed(|text| text.replace("\"region\":\"here\"", "\"region\":null")).is_err());
    }

    #[test]
    fn lines_that_a_broken_writer_put_together_are_refused() {
        assert_eq!(resealed(|text| text).unwrap().len(), 2);
        let swapped = |text: String| {
            let swapped = text.replace(r#"\"one\""#, r#"\"x\""#).replace(r#"\"two\""#, r#"\"one\""#);
            swapped.replace(r#"\"x\""#, r#"\"two\""#)
        };
        assert!(matches!(resealed(swapped), Err(FormatError::Mac { .. })), "payloads of two versions swapped");
        let moved = |text: String| text.replace("secret/a", "secret/b");
        assert!(matches!(resealed(moved), Err(FormatError::Mac { .. })), "payload of another item");
        let repeated = |text: String| format!("{text}{}\n", text.lines().last().unwrap());
        assert!(matches!(resealed(repeated), Err(FormatError::Order { .. })));
        for (name, change) in [
            ("cut", (|text| text.trim_end().to_owned()) as fn(String) -> String),
            ("no payload", |text| text.replace("\"payload\":\"{", "\"x\":\"{")),
            ("payload that is no string", |text| text.replace(r#""{\"payload\":\"one\"}""#, "1")),
            ("not JSON", |text| text + "x\n"),
            ("no key for MACs", |text| text.replace("mac_key", "mac_kex")),
            ("short key for MACs", |text| {
                let (head, tail) = text.split_once("\"mac_key\":\"").unwrap();
                format!("{head}\"mac_key\":\"{}", &tail[2..])
            }),
            ("MAC in capitals", |text| {
                let (head, tail) = text.split_once("\"mac\":\"").unwrap();
                format!("{head}\"mac\":\"{}{}", tail[..64].to_uppercase(), &tail[64..])
            }),
            ("empty", |_| String::new()),
        ] {
            let error = resealed(change).unwrap_err();
            assert!(!error.to_string().contains("one"), "{name} shows a payload: {error}");
            assert_eq!(error.kind(), FailureKind::Integrity, "{name}");
        }
    }

    #[test]
    fn after_an_error_nothing_more_comes_out() {
        let (identities, recipients) = keys();
        let mut pack = builder();
        pack.push(&key("a"), &slot("1"), &payload("{}")).unwrap();
        let mut plain: Vec<u8> = pack.buffer.chunks().flatten().copied().collect();
        plain.extend_from_slice(b"rubbish\n{}\n");
        let sealed = seal(&plain, &recipients, 3).unwrap();
        let mut reader = PackReader::open(&sealed.bytes, &identities, &repository(), None).unwrap();
        assert!(reader.next().unwrap().is_ok() && reader.next().unwrap().is_err() && reader.next().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_text_survives(texts in proptest::collection::vec(any::<String>(), 0..20)) {
            let (identities, recipients) = keys();
            let mut pack = builder();
            for (index, text) in texts.iter().enumerate() {
                pack.push(&key("a"), &slot(&index.to_string()), &payload(text)).unwrap();
            }
            let sealed = pack.seal(&recipients, 1).unwrap();
            let read: Vec<String> = read(&sealed.bytes, &identities).unwrap().into_iter().map(|line| line.2).collect();
            prop_assert_eq!(read, texts);
        }
    }
}
