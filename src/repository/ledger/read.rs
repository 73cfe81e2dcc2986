//! Parses documents into entries and checks form, name, repository and signature: all checks that need no links.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;

use super::Ledger;
use super::later::LaterFiles;
use super::rubbish::Rubbish;
use crate::format::entry::SignedEntry;
use crate::format::{Entry, EntryRef, FormatError, RepositoryId, names};
use crate::model::Digest;
use crate::repository::trust::{PolicyPool, Trust};

/// Reads documents one by one, in any order and from any source. Keeps each entry, but not its bytes.
#[derive(Debug)]
pub struct LedgerReader {
    id: RepositoryId,
    entries: BTreeMap<Digest, Entry>,
    carried: PolicyPool,
    later: LaterFiles,
    rubbish: Rubbish,
}

impl LedgerReader {
    /// Creates a reader that has read nothing.
    #[must_use]
    pub fn new(id: RepositoryId) -> Self {
        let (carried, later, rubbish) = Default::default();
        Self { id, entries: BTreeMap::new(), carried, later, rubbish }
    }

    /// Reads a file of the ledger, given its name under the repository's prefix and its bytes. Returns true if it is
    /// signed by the key that it names, which makes its content immutable.
    pub fn push(&mut self, file: &str, bytes: &[u8]) -> bool {
        // The bytes are empty if they did not match the name.
        if bytes.is_empty() {
            let why = "it is not what its name says (altered, truncated or swapped), too large, or not to be read";
            self.rubbish.add(file.to_owned(), why.to_owned());
            return false;
        }
        let signed = SignedEntry::decode(bytes);
        let is_signed = signed.is_ok();
        if let Err(why) = self.take(file, bytes, signed) {
            self.rubbish.add(file.to_owned(), why);
        }
        is_signed
    }

    /// Returns true if bytes are an entry with this name, signed by the key that it names.
    #[must_use]
    pub fn is_entry(file: &str, bytes: &[u8]) -> bool {
        let named = names::parse_entry(file);
        SignedEntry::decode(bytes).is_ok_and(|signed| Some(signed.entry.reference()) == named)
    }

    /// Reads entries that this host kept and the ledger lacks: those that were there before (`seen`), and those that
    /// other entries name. Ignores a kept entry that never reached the store. Returns those that were read.
    pub fn push_wanted(&mut self, kept: Vec<(String, Bytes)>, seen: &[String]) -> Vec<EntryRef> {
        let named: HashSet<String> = self.parents().map(|parent| names::entry(&parent)).collect();
        let lacks = |path: &str| names::parse_entry(path).is_some_and(|entry| !self.has(&entry.digest));
        let wanted: Vec<(String, Bytes)> =
            kept.into_iter().filter(|(path, _)| lacks(path) && (seen.contains(path) || named.contains(path))).collect();
        wanted
            .into_iter()
            .filter_map(|(path, bytes)| {
                self.take(&path, &bytes, SignedEntry::decode(&bytes)).ok().and(names::parse_entry(&path))
            })
            .collect()
    }

    /// Counts a file that is not an entry and was not read.
    pub fn reject(&mut self, file: String, why: &str) {
        self.rubbish.add(file, why.to_owned());
    }

    /// Returns the policy versions that entries carry.
    #[must_use]
    pub fn carried(&self) -> &PolicyPool {
        &self.carried
    }

    /// Returns true if an entry was read.
    #[must_use]
    pub fn has(&self, entry: &Digest) -> bool {
        self.entries.contains_key(entry)
    }

    /// Returns true if an entry of a later version was confirmed.
    #[must_use]
    pub fn has_later(&self, entry: &Digest) -> bool {
        self.later.has(entry)
    }

    /// Returns the files that only a later version of the format can read and that claim a signature of a key
    /// authorised under this policy. Read each again and pass it to [`LedgerReader::confirm`], because its bytes were
    /// not kept.
    #[must_use]
    pub fn to_confirm(&self, trust: &Trust) -> Vec<String> {
        self.later.to_confirm(trust).iter().map(names::entry).collect()
    }

    /// Checks the signature of such a file.
    pub fn confirm(&mut self, trust: &Trust, file: &str, bytes: &[u8]) {
        if let Some(named) = names::parse_entry(file) {
            self.later.confirm(trust, named, self.id, bytes);
        }
    }

    /// Returns the parents that the entries name.
    pub fn parents(&self) -> impl Iterator<Item = EntryRef> {
        self.entries.values().flat_map(|entry| entry.parents.iter().copied())
    }

    /// Builds the ledger of the entries read, under a policy. `rubbish` has other invalid files that were found.
    #[must_use]
    pub fn finish(mut self, trust: Trust, rubbish: Rubbish) -> Ledger {
        self.rubbish.extend(rubbish);
        let (later, others) = self.later.finish();
        others.into_iter().for_each(|(file, why)| self.rubbish.add(file, why));
        Ledger::of(self.entries.into_values().collect(), later, trust, self.rubbish)
    }

    fn take(&mut self, file: &str, bytes: &[u8], signed: Result<SignedEntry, FormatError>) -> Result<(), String> {
        let named = names::parse_entry(file).ok_or("no entry has such a name")?;
        let SignedEntry { entry, carried, .. } = match signed {
            Ok(signed) => signed,
            Err(_) if self.later.note(named, self.id, bytes) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        if named != entry.reference() {
            return Err("its name is not its sequence and the digest of its payload".to_owned());
        }
        if entry.repository != self.id {
            return Err(format!("it belongs to repository {}", entry.repository));
        }
        if let Some((version, policy, envelope)) = carried {
            self.carried.add_read(version, policy, envelope);
        }
        self.entries.entry(entry.digest).or_insert(entry);
        Ok(())
    }
}
