//! Pack lists: the packs that a snapshot needs. Plain text, so that an auditor without keys can check that they exist.
//!
//! A list has a nonce, so that no two runs write the same list. Packs and parts are sealed with fresh keys and have
//! unique names, but two lists of the same packs would be one object. A sweep could then delete the list of a forgotten
//! snapshot while another run relies on having written it.

use std::collections::BTreeSet;

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::header::check_kind;
use super::version::FormatVersion;
use super::{EntryRef, FormatError, present};
use crate::crypto::digest::sha256;
use crate::crypto::random;
use crate::model::{Digest, limits};

const WHAT: &str = "list";
/// Number of random bytes in a nonce.
const NONCE: usize = 16;

/// A pack of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPack {
    /// Its name.
    pub pack: Digest,
    /// Its sealed size in bytes.
    pub size: u64,
    /// The recipients that it is sealed to, sorted.
    pub recipients: Vec<String>,
    /// The snapshot entry that first named it; `None` for a pack of the run that wrote the list.
    pub since: Option<EntryRef>,
}

/// The packs that a snapshot needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackList {
    /// The packs; sorted by digest when read or written.
    pub packs: Vec<ListedPack>,
    /// Distinguishes it from other lists of the same packs; empty in a list without a nonce.
    pub nonce: String,
}

/// The first line as written; the recipients are the table that the rows refer to.
#[derive(Serialize)]
struct First<'a> {
    format: FormatVersion,
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    nonce: &'a str,
    recipients: &'a [&'a str],
}

/// Members of a first line that are not checked elsewhere.
#[derive(Deserialize)]
struct ListHead {
    #[serde(default, deserialize_with = "present")]
    nonce: Option<String>,
    recipients: Vec<String>,
}

/// One pack as written: recipients by their index in the table.
#[derive(Serialize, Deserialize)]
struct PackRow {
    pack: Digest,
    size: u64,
    recipients: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    since: Option<EntryRef>,
}

impl PackList {
    /// Creates a list with a new nonce.
    ///
    /// # Errors
    /// When the operating system returns no random bytes for the nonce.
    pub fn new(packs: Vec<ListedPack>) -> Result<Self, FormatError> {
        let nonce = random::bytes::<NONCE>().map_err(|source| FormatError::Crypto { what: WHAT, source })?;
        Ok(Self { packs, nonce: BASE64.encode(nonce.as_slice()) })
    }

    /// Returns the bytes to store: the first line, then one line per pack, sorted by digest. The same packs and nonce
    /// give the same bytes.
    ///
    /// # Errors
    /// [`FormatError::Order`] if a pack is listed twice, [`FormatError::TooLarge`] over 4 MiB,
    /// [`FormatError::Malformed`] over 4,096 packs.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        let mut packs: Vec<&ListedPack> = self.packs.iter().collect();
        packs.sort_by_key(|listed| listed.pack);
        check_rising(packs.iter().map(|listed| listed.pack))?;
        let table: BTreeSet<&str> = packs.iter().flat_map(|listed| &listed.recipients).map(String::as_str).collect();
        let table: Vec<&str> = table.into_iter().collect();
        let first = First { format: FormatVersion::CURRENT, kind: WHAT, nonce: &self.nonce, recipients: &table };
        let mut bytes = line(&first)?;
        for listed in packs {
            let mut recipients: Vec<usize> =
                listed.recipients.iter().filter_map(|name| table.binary_search(&name.as_str()).ok()).collect();
            recipients.sort_unstable();
            recipients.dedup();
            bytes.append(&mut line(&PackRow {
                pack: listed.pack,
                size: listed.size,
                recipients,
                since: listed.since,
            })?);
        }
        check_size(bytes.len())?;
        check_count(self.packs.len())?;
        Ok(bytes.into())
    }

    /// Reads a list. The caller checks its digest.
    ///
    /// # Errors
    /// When it is not a list, is of another major version, is too large, repeats a pack or has one out of order, or a
    /// row names a recipient that the first line lacks.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        check_size(bytes.len())?;
        let body =
            bytes.strip_suffix(b"\n").ok_or_else(|| FormatError::malformed(WHAT, "its last line does not end"))?;
        let mut lines = body.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        check_kind(first, WHAT)?;
        let table: ListHead = serde_json::from_slice(first).map_err(|error| FormatError::json(WHAT, &error))?;
        check_rising(&table.recipients)?;
        let mut packs: Vec<ListedPack> = Vec::new();
        for line in lines {
            check_count(packs.len() + 1)?;
            let row: PackRow = serde_json::from_slice(line).map_err(|error| FormatError::json(WHAT, &error))?;
            if packs.last().is_some_and(|last| last.pack >= row.pack) {
                return Err(FormatError::Order { what: WHAT, key: row.pack.to_string() });
            }
            packs.push(row.listed(&table.recipients)?);
        }
        Ok(Self { packs, nonce: table.nonce.unwrap_or_default() })
    }

    /// Returns the digest that it is stored under.
    ///
    /// # Errors
    /// As [`PackList::encode`].
    pub fn digest(&self) -> Result<Digest, FormatError> {
        self.encode().map(|bytes| sha256(&bytes))
    }
}

impl PackRow {
    /// Returns the pack with its recipients from the table.
    fn listed(self, table: &[String]) -> Result<ListedPack, FormatError> {
        check_rising(&self.recipients)?;
        let bad = || FormatError::malformed(WHAT, format!("{} names a recipient that the first line lacks", self.pack));
        let recipients = self
            .recipients
            .iter()
            .map(|place| table.get(*place).cloned().ok_or_else(bad))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(ListedPack { pack: self.pack, size: self.size, recipients, since: self.since })
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

fn check_count(packs: usize) -> Result<(), FormatError> {
    if packs > limits::PACKS_READ {
        return Err(FormatError::malformed(WHAT, format!("it has more than {} packs", limits::PACKS_READ)));
    }
    Ok(())
}

/// Checks that each element is greater than the one before it, so that none repeats.
fn check_rising<T: Ord + ToString>(all: impl IntoIterator<Item = T>) -> Result<(), FormatError> {
    let mut last: Option<T> = None;
    for next in all {
        if last.is_some_and(|last| last >= next) {
            return Err(FormatError::Order { what: WHAT, key: next.to_string() });
        }
        last = Some(next);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str) -> ListedPack {
        ListedPack { pack: sha256(name.as_bytes()), size: 70_000, recipients: vec!["age1x".to_owned()], since: None }
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
        let old = b"{\"format\":\"1.0\",\"kind\":\"list\",\"recipients\":[]}\n";
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
    fn recipients_are_written_once_and_rows_refer_to_them() {
        let since = EntryRef { sequence: 42, digest: sha256(b"entry") };
        let with = |name, recipients: &[&str], since| ListedPack {
            recipients: recipients.iter().copied().map(str::to_owned).collect(),
            since,
            ..listed(name)
        };
        // Sorted by digest: `b` comes before `a`.
        let one = list(vec![with("a", &["age1x", "age1z"], Some(since)), with("b", &["age1y", "age1z"], None)]);
        let bytes = one.encode().unwrap();
        let lines: Vec<&str> = std::str::from_utf8(&bytes).unwrap().lines().collect();
        let (a, b) = (sha256(b"a"), sha256(b"b"));
        let first = r#"{"format":"1.0","kind":"list","nonce":"AAAA","recipients":["age1x","age1y","age1z"]}"#;
        assert_eq!(lines[0], first);
        assert_eq!(lines[1], format!(r#"{{"pack":"{b}","size":70000,"recipients":[1,2]}}"#));
        assert_eq!(lines[2], format!(r#"{{"pack":"{a}","size":70000,"recipients":[0,2],"since":"{since}"}}"#));
        let read = PackList::decode(&bytes).unwrap();
        assert_eq!(read.packs, [one.packs[1].clone(), one.packs[0].clone()]);
    }

    #[test]
    fn rows_that_the_first_line_does_not_fit_are_refused() {
        let since = EntryRef { sequence: 42, digest: sha256(b"entry") };
        let two =
            ListedPack { recipients: vec!["age1x".to_owned(), "age1y".to_owned()], since: Some(since), ..listed("a") };
        let good = String::from_utf8(list(vec![two]).encode().unwrap().to_vec()).unwrap();
        assert!(PackList::decode(good.as_bytes()).is_ok());
        for (from, to) in [
            ("[0,1]", "[0,2]"),
            ("[0,1]", "[1,0]"),
            ("[0,1]", "[0,0]"),
            ("[0,1]", "[-1]"),
            ("[0,1]", "[\"age1x\"]"),
            ("[\"age1x\",\"age1y\"]", "[\"age1y\",\"age1x\"]"),
            ("[\"age1x\",\"age1y\"]", "[\"age1x\",\"age1x\"]"),
            (",\"recipients\":[\"age1x\",\"age1y\"]", ""),
            ("000000000042-", "42-"),
            (&format!("\"{since}\""), "null"),
            ("\"AAAA\"", "null"),
        ] {
            assert!(good.contains(from), "{from}");
            assert!(PackList::decode(good.replace(from, to).as_bytes()).is_err(), "{from} as {to}");
        }
    }

    #[test]
    fn readers_take_4096_packs_and_no_more() {
        let mut packs: Vec<ListedPack> = (0..=limits::PACKS_READ).map(|n| listed(&n.to_string())).collect();
        assert!(list(packs.clone()).encode().is_err());
        let last = packs.pop().unwrap();
        let bytes = list(packs.clone()).encode().unwrap();
        assert_eq!(PackList::decode(&bytes).unwrap().packs.len(), limits::PACKS_READ);
        packs.sort_by_key(|listed| listed.pack);
        packs.retain(|listed| listed.pack < last.pack);
        let row = line(&PackRow { pack: last.pack, size: 1, recipients: vec![0], since: None }).unwrap();
        let at = bytes.split_inclusive(|byte| *byte == b'\n').take(packs.len() + 1).map(<[u8]>::len).sum::<usize>();
        let more = [&bytes[..at], &row, &bytes[at..]].concat();
        assert!(PackList::decode(&more).unwrap_err().to_string().contains("more than 4096 packs"));
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
