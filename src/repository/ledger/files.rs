//! From files to entries: form, name, repository, signature. Everything that needs no links.

use std::collections::HashMap;

use bytes::Bytes;

use super::Problem;
use crate::crypto::PublicKey;
use crate::crypto::digest::sha256;
use crate::format::entry::Signed;
use crate::format::event::KeyChange;
use crate::format::{Entry, Event, FormatError, RepositoryId, names};
use crate::model::Digest;

/// The entries whose form and signature are right, and what is wrong with the other files.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<Problem>,
    /// Copies, by digest, and the entry that each is one of.
    pub(super) aliases: HashMap<Digest, Digest>,
}

/// Reads all files. Their order does not matter.
///
/// A long ledger is much memory: each file goes as soon as it is read, and what was signed as soon as it is checked,
/// which is at once for all that an earlier file names the key of.
pub(super) fn read(mut files: Vec<(String, Bytes)>, pin: RepositoryId, trust: &[PublicKey]) -> Read {
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files.dedup();
    let source = first_source(&files, pin);
    let mut keys: HashMap<Digest, PublicKey> = trust.iter().map(|key| (key.fingerprint(), *key)).collect();
    let (mut malformed, mut misplaced, mut unsigned) = (Vec::new(), Vec::new(), Vec::new());
    let mut entries = Vec::with_capacity(files.len());
    let mut pending = Vec::new();
    for (file, bytes) in files {
        let signed = match decode(&file, &bytes) {
            Ok(signed) => signed,
            Err(problem) => {
                malformed.push(problem);
                continue;
            }
        };
        if let Err(problem) = belongs(&file, &signed.entry, pin, source.as_deref()) {
            misplaced.push(problem);
            continue;
        }
        keys.extend(named_keys(&signed.entry.event));
        if keys.contains_key(&signed.envelope.key) {
            match check_signature(&file, &signed, &keys) {
                Ok(()) => entries.push((file, signed.entry)),
                Err(problem) => unsigned.push((file, problem)),
            }
        } else {
            pending.push((file, signed));
        }
    }
    for (file, signed) in pending {
        match check_signature(&file, &signed, &keys) {
            Ok(()) => entries.push((file, signed.entry)),
            Err(problem) => unsigned.push((file, problem)),
        }
    }
    // As if all had been checked in the order of their names.
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    unsigned.sort_by(|a, b| a.0.cmp(&b.0));
    let problems = malformed.into_iter().chain(misplaced).chain(unsigned.into_iter().map(|(_, problem)| problem));
    let mut read = Read { problems: problems.collect(), ..Read::default() };
    join_copies(entries, &mut read);
    read
}

/// Reads one more file beside entries that were read, as [`read`] would have. Nothing when it is no entry of theirs, a
/// copy, or names a key: with it in hand, other files may be more than they were.
pub(super) fn read_one(
    file: &str,
    bytes: &[u8],
    others: &[Entry],
    pin: RepositoryId,
    trust: &[PublicKey],
) -> Option<Entry> {
    let signed = decode(file, bytes).ok()?;
    let first = others.iter().find(|other| other.digest == pin.0)?;
    belongs(file, &signed.entry, pin, Some(&first.source.crn)).ok()?;
    let trusted = trust.iter().map(|key| (key.fingerprint(), *key));
    let keys = others.iter().flat_map(|other| named_keys(&other.event)).chain(trusted).collect();
    check_signature(file, &signed, &keys).ok()?;
    let entry = signed.entry;
    let copy = |other: &Entry| (other.payload_digest, other.key) == (entry.payload_digest, entry.key);
    let alone = named_keys(&entry.event).next().is_none() && !others.iter().any(copy);
    alone.then_some(entry)
}

/// The instance that the first entry names, if that is there.
fn first_source(files: &[(String, Bytes)], pin: RepositoryId) -> Option<String> {
    let is_first = |file: &str| names::parse_entry(file).is_some_and(|(_, digest)| digest == pin.0);
    let mut first = files.iter().filter(|(file, _)| is_first(file));
    first.find_map(|(file, bytes)| decode(file, bytes).ok()).map(|signed| signed.entry.source.crn)
}

fn decode(file: &str, bytes: &[u8]) -> Result<Signed, Problem> {
    let wrong = |why| Problem::WrongName { file: file.to_owned(), why };
    let (sequence, digest) = names::parse_entry(file).ok_or_else(|| wrong("no entry has such a name"))?;
    // Before anything of it is read: whoever can write here can write anything under any name.
    if sha256(bytes) != digest {
        return Err(wrong("its name is not the digest of its bytes"));
    }
    let signed =
        Signed::decode(bytes).map_err(|why: FormatError| Problem::NotAnEntry { file: file.to_owned(), why })?;
    if signed.entry.sequence != sequence {
        return Err(wrong("its name is not its sequence"));
    }
    Ok(signed)
}

fn belongs(file: &str, entry: &Entry, pin: RepositoryId, source: Option<&str>) -> Result<(), Problem> {
    let file = || file.to_owned();
    match entry.repository {
        None if entry.digest == pin.0 => Ok(()),
        None => Err(Problem::SecondFirst { file: file() }),
        Some(found) if found != pin => Err(Problem::Foreign { file: file(), found }),
        Some(_) if source.is_some_and(|source| source != entry.source.crn) => {
            Err(Problem::OtherSource { file: file(), found: entry.source.crn.clone() })
        }
        Some(_) => Ok(()),
    }
}

/// The keys that an entry names, by fingerprint, trusted or not. A fingerprint is the digest of the key, so whoever names
/// a key cannot name a wrong one; what it may do is decided by the links alone.
fn named_keys(event: &Event) -> impl Iterator<Item = (Digest, PublicKey)> {
    let grants = match event {
        Event::Init(init) => init.keys.as_slice(),
        Event::Keys(KeyChange::Add { grant, .. }) => std::slice::from_ref(grant),
        _ => &[],
    };
    grants.iter().map(|grant| (grant.public_key.fingerprint(), grant.public_key))
}

fn check_signature(file: &str, signed: &Signed, keys: &HashMap<Digest, PublicKey>) -> Result<(), Problem> {
    let (file, key) = (file.to_owned(), signed.envelope.key);
    if let Event::Init(init) = &signed.entry.event
        && !init.keys.iter().any(|grant| grant.public_key.fingerprint() == key)
    {
        return Err(Problem::UnknownKey { file, key });
    }
    match keys.get(&key) {
        None => Err(Problem::UnknownKey { file, key }),
        Some(public) if !signed.envelope.fits(public) => Err(Problem::BadSignature { file, key }),
        Some(_) => Ok(()),
    }
}

/// Joins files with the same payload and the same key: whoever holds a key can sign the same words twice, and both
/// files would be entries. The smallest digest is the name of all. A copy of the first entry never gets here.
fn join_copies(entries: Vec<(String, Entry)>, read: &mut Read) {
    let mut by_content: HashMap<(Digest, Digest), Digest> = HashMap::new();
    for (_, entry) in &entries {
        let name = by_content.entry((entry.payload_digest, entry.key)).or_insert(entry.digest);
        *name = entry.digest.min(*name);
    }
    let alone = |(file, entry): (String, Entry)| match by_content.get(&(entry.payload_digest, entry.key)) {
        Some(name) if *name != entry.digest => {
            read.aliases.insert(entry.digest, *name);
            read.problems.push(Problem::Copy { file, of: *name });
            None
        }
        _ => Some(entry),
    };
    read.entries = entries.into_iter().filter_map(alone).collect();
}
