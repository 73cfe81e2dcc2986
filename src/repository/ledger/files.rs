//! From files to entries: form, name, repository, signature. Everything that needs no links.

use std::collections::HashMap;

use super::{Ledger, Problem};
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

/// Reads the files of a ledger one after the other, in any order.
///
/// A long ledger is much memory, so nothing of a file stays but its entry: not its bytes, and what was signed only until
/// its key is known and the first entry was seen, which comes before all others where files come by name.
#[derive(Debug)]
pub struct Reader {
    pin: RepositoryId,
    trust: Vec<PublicKey>,
    /// The instance that the first entry names, once that was seen.
    source: Option<String>,
    keys: HashMap<Digest, PublicKey>,
    entries: Vec<(String, Entry)>,
    /// What came before the first entry.
    early: Vec<(String, Signed)>,
    /// What is signed by a key that no file before it names.
    unchecked: Vec<(String, Signed)>,
    malformed: Vec<(String, Problem)>,
    misplaced: Vec<(String, Problem)>,
    unsigned: Vec<(String, Problem)>,
}

impl Reader {
    /// Nothing was read yet. `pin` and `trust` as for [`Ledger::build`](super::Ledger::build).
    #[must_use]
    pub fn new(pin: RepositoryId, trust: &[PublicKey]) -> Self {
        Self {
            pin,
            trust: trust.to_vec(),
            source: None,
            keys: trust.iter().map(|key| (key.fingerprint(), *key)).collect(),
            entries: Vec::new(),
            early: Vec::new(),
            unchecked: Vec::new(),
            malformed: Vec::new(),
            misplaced: Vec::new(),
            unsigned: Vec::new(),
        }
    }

    /// Reads a file: its name under the repository's prefix, and its bytes.
    pub fn push(&mut self, file: String, bytes: &[u8]) {
        let signed = match decode(&file, bytes) {
            Ok(signed) => signed,
            Err(problem) => return self.malformed.push((file, problem)),
        };
        if signed.entry.digest == self.pin.0 {
            self.source = Some(signed.entry.source.crn.clone());
            self.place(file, signed);
            for (file, signed) in std::mem::take(&mut self.early) {
                self.place(file, signed);
            }
        } else if self.source.is_none() {
            self.early.push((file, signed));
        } else {
            self.place(file, signed);
        }
    }

    /// The ledger of what was read.
    #[must_use]
    pub fn finish(self) -> Ledger {
        let (pin, trust) = (self.pin, self.trust.clone());
        Ledger::of(self.into_read(), pin, &trust)
    }

    fn into_read(mut self) -> Read {
        // Without a first entry nobody knows whose instance it is.
        for (file, signed) in std::mem::take(&mut self.early) {
            self.place(file, signed);
        }
        for (file, signed) in std::mem::take(&mut self.unchecked) {
            self.check(file, signed);
        }
        self.entries.sort_by(|a, b| a.0.cmp(&b.0));
        self.entries.dedup_by(|a, b| a.0 == b.0);
        let mut problems = Vec::new();
        for mut found in [self.malformed, self.misplaced, self.unsigned] {
            found.sort_by(|a, b| a.0.cmp(&b.0));
            found.dedup();
            problems.extend(found.into_iter().map(|(_, problem)| problem));
        }
        let mut read = Read { problems, ..Read::default() };
        join_copies(self.entries, &mut read);
        read
    }

    fn place(&mut self, file: String, signed: Signed) {
        match belongs(&file, &signed.entry, self.pin, self.source.as_deref()) {
            Err(problem) => self.misplaced.push((file, problem)),
            Ok(()) => {
                self.keys.extend(named_keys(&signed.entry.event));
                match self.keys.contains_key(&signed.envelope.key) {
                    true => self.check(file, signed),
                    false => self.unchecked.push((file, signed)),
                }
            }
        }
    }

    fn check(&mut self, file: String, signed: Signed) {
        match check_signature(&file, &signed, &self.keys) {
            Ok(()) => self.entries.push((file, signed.entry)),
            Err(problem) => self.unsigned.push((file, problem)),
        }
    }
}

/// Reads one more file beside entries that were read, as [`Reader`] would have. Nothing when it is no entry of theirs, a
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
