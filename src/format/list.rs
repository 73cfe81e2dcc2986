//! Pack lists: the packs that a snapshot needs. Clear text, so that an auditor without keys can check that they are
//! there.
//!
//! A list has a nonce, so that no two runs ever write the same one: packs and parts are sealed with fresh keys and have
//! names of their own, but two lists of the same packs would be one object. A sweep could then delete the list of a
//! snapshot that was given up in the moment in which another run counts on having written it.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::header::check_kind;
use super::version::Version;
use crate::crypto::digest::sha256;
use crate::crypto::random;
use crate::model::{Digest, limits};

const WHAT: &str = "list";
/// Random bytes of a nonce.
const NONCE: usize = 16;

/// A pack of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPack {
    /// Its name.
    pub pack: Digest,
    /// Its sealed size in bytes.
    pub size: u64,
    /// Whom it is sealed to, sorted.
    pub recipients: Vec<String>,
}

/// The packs that a snapshot needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackList {
    /// The packs; sorted by digest when read or written.
    pub packs: Vec<ListedPack>,
    /// What makes it another one than any other list of the same packs; empty in a list that was read without one.
    pub nonce: String,
}

#[derive(Serialize)]
struct First<'a> {
    format: Version,
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    nonce: &'a str,
}

/// What of a first line is not checked elsewhere.
#[derive(Deserialize)]
struct Nonce {
    #[serde(default)]
    nonce: Option<String>,
}

impl PackList {
    /// A new list, which nobody else can write.
    ///
    /// # Errors
    /// When the operating system gives no random bytes for the nonce.
    pub fn new(packs: Vec<ListedPack>) -> Result<Self, FormatError> {
        let nonce = random::bytes::<NONCE>().map_err(|source| FormatError::Crypto { what: WHAT, source })?;
        Ok(Self { packs, nonce: BASE64.encode(nonce.as_slice()) })
    }

    /// The bytes to store: the first line, then one line a pack, sorted by digest. The same packs and nonce give the same
    /// bytes.
    ///
    /// # Errors
    /// [`FormatError::Order`] when a pack is listed twice, [`FormatError::TooLarge`] over 1 MiB.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        let mut packs: Vec<&ListedPack> = self.packs.iter().collect();
        packs.sort_by_key(|listed| listed.pack);
        check_order(packs.iter().map(|listed| listed.pack))?;
        let mut bytes = line(&First { format: Version::CURRENT, kind: WHAT, nonce: &self.nonce })?;
        for listed in packs {
            bytes.append(&mut line(listed)?);
        }
        check_size(bytes.len())?;
        Ok(bytes.into())
    }

    /// Reads a list. Its digest is checked by whoever fetched it.
    ///
    /// # Errors
    /// When it is no list, of another major version, too large, or a pack is repeated or out of order.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        check_size(bytes.len())?;
        let body =
            bytes.strip_suffix(b"\n").ok_or_else(|| FormatError::malformed(WHAT, "its last line does not end"))?;
        let mut lines = body.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        check_kind(first, WHAT)?;
        let nonce: Nonce = serde_json::from_slice(first).map_err(|error| FormatError::json(WHAT, &error))?;
        let packs = lines
            .map(|line| serde_json::from_slice(line).map_err(|error| FormatError::json(WHAT, &error)))
            .collect::<Result<Vec<ListedPack>, _>>()?;
        check_order(packs.iter().map(|listed| listed.pack))?;
        Ok(Self { packs, nonce: nonce.nonce.unwrap_or_default() })
    }

    /// The digest that it is stored under.
    ///
    /// # Errors
    /// As [`PackList::encode`].
    pub fn digest(&self) -> Result<Digest, FormatError> {
        self.encode().map(|bytes| sha256(&bytes))
    }
}

fn line<T: Serialize>(value: &T) -> Result<Vec<u8>, FormatError> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| FormatError::json(WHAT, &error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn check_size(size: usize) -> Result<(), FormatError> {
    if size > limits::LIST {
        return Err(FormatError::TooLarge { what: "a pack list", size, limit: limits::LIST });
    }
    Ok(())
}

fn check_order(packs: impl Iterator<Item = Digest>) -> Result<(), FormatError> {
    let mut last = None;
    for pack in packs {
        if last.is_some_and(|last| last >= pack) {
            return Err(FormatError::Order { what: WHAT, key: pack.to_string() });
        }
        last = Some(pack);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str) -> ListedPack {
        ListedPack { pack: sha256(name.as_bytes()), size: 70_000, recipients: vec!["age1x".to_owned()] }
    }

    fn list(packs: Vec<ListedPack>) -> PackList {
        PackList { packs, nonce: "AAAA".to_owned() }
    }

    #[test]
    fn two_runs_never_write_the_same_list() {
        let (one, other) = (PackList::new(vec![listed("a")]).unwrap(), PackList::new(vec![listed("a")]).unwrap());
        assert_ne!(one.digest().unwrap(), other.digest().unwrap());
        assert_eq!(PackList::decode(&one.encode().unwrap()).unwrap(), one);
    }

    #[test]
    fn a_list_without_a_nonce_is_read_and_keeps_its_name() {
        let old = b"{\"format\":\"1.0\",\"kind\":\"list\"}\n";
        let read = PackList::decode(old).unwrap();
        assert_eq!((read.nonce.as_str(), read.encode().unwrap().as_ref()), ("", &old[..]));
    }

    #[test]
    fn the_same_packs_and_nonce_give_the_same_bytes_in_any_order() {
        let one = list(vec![listed("a"), listed("b")]);
        let other = list(vec![listed("b"), listed("a")]);
        assert_eq!(one.encode().unwrap(), other.encode().unwrap());
        let read = PackList::decode(&one.encode().unwrap()).unwrap();
        assert_eq!(read.digest().unwrap(), one.digest().unwrap());
        assert_eq!(PackList::decode(&PackList::default().encode().unwrap()).unwrap(), PackList::default());
    }

    #[test]
    fn bad_lists_are_refused() {
        assert!(list(vec![listed("a"), listed("a")]).encode().is_err());
        let good = String::from_utf8(list(vec![listed("a"), listed("b")]).encode().unwrap().to_vec()).unwrap();
        let mut lines: Vec<&str> = good.lines().collect();
        lines.swap(1, 2);
        assert!(PackList::decode((lines.join("\n") + "\n").as_bytes()).is_err(), "out of order");
        assert!(PackList::decode(good.trim_end().as_bytes()).is_err(), "cut off");
        assert!(PackList::decode(good.replace("\"1.0\"", "\"2.0\"").as_bytes()).is_err(), "major 2");
        assert!(PackList::decode(good.replace("\"list\"", "\"pack\"").as_bytes()).is_err(), "other kind");
        assert!(
            PackList::decode(good.replace("\"1.0\"", "\"1.9\"").replace("\"size\"", "\"x\":1,\"size\"").as_bytes())
                .is_ok()
        );
        assert!(PackList::decode(b"").is_err());
    }
}
