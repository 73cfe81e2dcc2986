//! Pack lists: the packs that a snapshot needs. Clear text, so that an auditor without keys can check that they are
//! there.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::header::check_kind;
use super::version::Version;
use crate::crypto::digest::sha256;
use crate::model::{Digest, limits};

const WHAT: &str = "list";

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
}

#[derive(Serialize)]
struct First {
    format: Version,
    kind: &'static str,
}

impl PackList {
    /// The bytes to store: the first line, then one line a pack, sorted by digest. The same packs give the same bytes.
    ///
    /// # Errors
    /// [`FormatError::Order`] when a pack is listed twice, [`FormatError::TooLarge`] over 1 MiB.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        let mut packs: Vec<&ListedPack> = self.packs.iter().collect();
        packs.sort_by_key(|listed| listed.pack);
        check_order(packs.iter().map(|listed| listed.pack))?;
        let mut bytes = line(&First { format: Version::CURRENT, kind: WHAT })?;
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
        check_kind(lines.next().unwrap_or_default(), WHAT)?;
        let packs = lines
            .map(|line| serde_json::from_slice(line).map_err(|error| FormatError::json(WHAT, &error)))
            .collect::<Result<Vec<ListedPack>, _>>()?;
        check_order(packs.iter().map(|listed| listed.pack))?;
        Ok(Self { packs })
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

    #[test]
    fn the_same_packs_give_the_same_bytes_in_any_order() {
        let one = PackList { packs: vec![listed("a"), listed("b")] };
        let other = PackList { packs: vec![listed("b"), listed("a")] };
        assert_eq!(one.encode().unwrap(), other.encode().unwrap());
        let read = PackList::decode(&one.encode().unwrap()).unwrap();
        assert_eq!(read.digest().unwrap(), one.digest().unwrap());
        assert_eq!(PackList::decode(&PackList::default().encode().unwrap()).unwrap(), PackList::default());
    }

    #[test]
    fn bad_lists_are_refused() {
        assert!(PackList { packs: vec![listed("a"), listed("a")] }.encode().is_err());
        let good =
            String::from_utf8(PackList { packs: vec![listed("a"), listed("b")] }.encode().unwrap().to_vec()).unwrap();
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
