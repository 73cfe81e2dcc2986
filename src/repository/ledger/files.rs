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
pub(super) fn read(mut files: Vec<(String, Bytes)>, pin: RepositoryId, trust: &[PublicKey]) -> Read {
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files.dedup();
    let mut read = Read::default();
    let mut decoded = Vec::new();
    for (file, bytes) in files {
        match decode(&file, &bytes) {
            Ok(signed) => decoded.push((file, signed)),
            Err(problem) => read.problems.push(problem),
        }
    }
    let root_source = decoded.iter().find(|(_, signed)| signed.entry.digest == pin.0);
    let root_source = root_source.map(|(_, signed)| signed.entry.source.crn.clone());
    decoded.retain(|(file, signed)| match belongs(file, &signed.entry, pin, root_source.as_deref()) {
        Ok(()) => true,
        Err(problem) => {
            read.problems.push(problem);
            false
        }
    });
    let keys = known_keys(&decoded, trust);
    decoded.retain(|(file, signed)| match check_signature(file, signed, &keys) {
        Ok(()) => true,
        Err(problem) => {
            read.problems.push(problem);
            false
        }
    });
    join_copies(decoded, &mut read);
    read
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

/// Every key that the ledger names, by fingerprint, trusted or not. A fingerprint is the digest of the key, so whoever
/// names a key cannot name a wrong one; what it may do is decided by the links alone.
fn known_keys(decoded: &[(String, Signed)], trust: &[PublicKey]) -> HashMap<Digest, PublicKey> {
    let named = decoded.iter().flat_map(|(_, signed)| match &signed.entry.event {
        Event::Init(init) => init.keys.iter().map(|grant| grant.public_key).collect(),
        Event::Keys(KeyChange::Add { grant, .. }) => vec![grant.public_key],
        _ => Vec::new(),
    });
    named.chain(trust.iter().copied()).map(|key| (key.fingerprint(), key)).collect()
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
fn join_copies(decoded: Vec<(String, Signed)>, read: &mut Read) {
    let mut by_content: HashMap<(Digest, Digest), Digest> = HashMap::new();
    for (_, Signed { entry, .. }) in &decoded {
        let name = by_content.entry((entry.payload_digest, entry.key)).or_insert(entry.digest);
        *name = entry.digest.min(*name);
    }
    for (file, Signed { entry, .. }) in decoded {
        match by_content.get(&(entry.payload_digest, entry.key)) {
            Some(name) if *name != entry.digest => {
                read.aliases.insert(entry.digest, *name);
                read.problems.push(Problem::Copy { file, of: *name });
            }
            _ => read.entries.push(entry),
        }
    }
}
