//! Entries that only a later version of the format can read. Such an entry may keep what this version would delete, or
//! be the newest snapshot. So if an authorised key signed it, it must not be ignored.

use std::collections::BTreeMap;

use crate::crypto::KeyInfo;
use crate::format::{EntryRef, Later, RepositoryId, names};
use crate::model::Digest;
use crate::repository::trust::Trust;

/// An entry of a later version, signed by a key that the policy lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaterEntry {
    /// Its reference.
    pub entry: EntryRef,
    /// The key that signed it.
    pub key: Digest,
    /// Reason why it cannot be read.
    pub why: String,
}

/// Files that may be such entries. Their bytes are not kept: an attacker can add any number of them, and signers are
/// known only after all entries were read, since entries carry policies.
#[derive(Debug, Default)]
pub(super) struct LaterFiles {
    open: BTreeMap<EntryRef, Open>,
    signed: Vec<LaterEntry>,
}

#[derive(Debug)]
struct Open {
    why: String,
    /// The claimed signers.
    keys: Vec<Digest>,
}

impl LaterFiles {
    /// Records a file that was just read and is not an entry in this version. Returns `false` if no version can read
    /// it.
    pub(super) fn note(&mut self, named: EntryRef, id: RepositoryId, bytes: &[u8]) -> bool {
        let Some(later) = read(named, id, bytes) else { return false };
        let keys = later.envelope.signatures.iter().map(|signature| signature.keyid).collect();
        self.open.insert(named, Open { why: later.why.to_string(), keys });
        true
    }

    /// Returns the files to read again: those that claim a signature of an authorised key.
    pub(super) fn to_confirm(&self, trust: &Trust) -> Vec<EntryRef> {
        let wanted = self.open.iter().filter(|(entry, open)| open.keys.iter().any(|key| may_speak(trust, key, entry)));
        wanted.map(|(entry, _)| *entry).collect()
    }

    /// Checks the signature of a file that was read again.
    pub(super) fn confirm(&mut self, trust: &Trust, named: EntryRef, id: RepositoryId, bytes: &[u8]) {
        let Some(later) = read(named, id, bytes) else { return };
        let keys = trust.branches().flat_map(|(_, policy)| &policy.keys).map(|key| &key.public_key);
        let signer = keys.filter(|key| may_speak(trust, &key.fingerprint(), &named)).find(|key| match key.ed25519() {
            Some(key) => later.envelope.is_signed_by(key),
            // A later version may sign with an algorithm that this version does not know.
            None => !key.is_weak() && later.envelope.signatures.iter().any(|one| one.keyid == key.fingerprint()),
        });
        let Some(key) = signer.map(KeyInfo::fingerprint) else { return };
        if let Some(open) = self.open.remove(&named) {
            self.signed.push(LaterEntry { entry: named, key, why: open.why });
        }
    }

    /// Returns true if this is a confirmed entry.
    pub(super) fn has(&self, entry: &Digest) -> bool {
        self.signed.iter().any(|later| later.entry.digest == *entry)
    }

    /// Returns the confirmed entries in order, and the names of the others, each with the reason why it is not an
    /// entry.
    pub(super) fn finish(mut self) -> (Vec<LaterEntry>, Vec<(String, String)>) {
        self.signed.sort_unstable_by_key(|later| later.entry);
        let others = self.open.into_iter().map(|(entry, open)| (names::entry(&entry), open.why));
        (self.signed, others.collect())
    }
}

fn read(named: EntryRef, id: RepositoryId, bytes: &[u8]) -> Option<Later> {
    Later::read(bytes).filter(|later| later.repository == id && later.envelope.digest() == named.digest)
}

/// Returns true if a branch lists the key, and the key has not ended or has ended at this very entry. Entries below
/// such an end are named by those above, and their absence shows there.
fn may_speak(trust: &Trust, key: &Digest, entry: &EntryRef) -> bool {
    let listed = trust.branches().filter_map(|(_, policy)| policy.key(key));
    listed.into_iter().any(|key| key.until.as_ref().is_none_or(|until| until.contains(entry)))
}
