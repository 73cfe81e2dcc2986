//! All versions of the policy that were found, from any source.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::format::envelope::Signature;
use crate::format::{Envelope, FormatError, Policy, PolicyRef};
use crate::model::Digest;

/// Versions of the policy by reference, each with all its signatures found in `trust/`, in older versions of a file, in
/// entries, in pins and in a host's state.
#[derive(Debug, Clone, Default)]
pub struct PolicyPool {
    // Shared, because pools are cloned and a policy may have half a MiB.
    found: BTreeMap<PolicyRef, Arc<Found>>,
}

#[derive(Debug, Clone)]
struct Found {
    policy: Policy,
    envelope: Envelope,
    /// Its own custodians with a good signature.
    signed: BTreeSet<Digest>,
}

impl PolicyPool {
    /// Adds a stored policy.
    ///
    /// # Errors
    /// When the bytes are not a policy.
    pub fn add(&mut self, bytes: &[u8]) -> Result<PolicyRef, FormatError> {
        let (version, policy, envelope) = Policy::decode(bytes)?;
        self.add_read(version, policy, envelope);
        Ok(version)
    }

    /// Adds a policy that has been read.
    pub fn add_read(&mut self, version: PolicyRef, policy: Policy, envelope: Envelope) {
        match self.found.contains_key(&version) {
            true => self.add_copy(&version, &envelope),
            false => drop(self.found.insert(version, Arc::new(Found { policy, envelope, signed: BTreeSet::new() }))),
        }
    }

    fn add_copy(&mut self, version: &PolicyRef, copy: &Envelope) {
        let Some(found) = self.found.get_mut(version) else { return };
        let known = &found.envelope.signatures;
        let new: Vec<Signature> = copy.signatures.iter().filter(|one| !known.contains(one)).cloned().collect();
        if !new.is_empty() {
            Arc::make_mut(found).pool(new);
        }
    }

    /// Adds all versions of another pool.
    pub fn extend(&mut self, other: Self) {
        for (version, found) in other.found {
            match self.found.contains_key(&version) {
                true => self.add_copy(&version, &found.envelope),
                false => drop(self.found.insert(version, found)),
            }
        }
    }

    /// Returns a version.
    #[must_use]
    pub fn get(&self, version: &PolicyRef) -> Option<&Policy> {
        self.found.get(version).map(|found| &found.policy)
    }

    /// Returns the envelope of a version.
    #[must_use]
    pub fn envelope(&self, version: &PolicyRef) -> Option<&Envelope> {
        self.found.get(version).map(|found| &found.envelope)
    }

    /// Iterates over all versions in order: by number, then digest.
    pub fn iter(&self) -> impl Iterator<Item = (PolicyRef, &Policy)> {
        self.found.iter().map(|(version, found)| (*version, &found.policy))
    }

    /// Returns true if no version was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl Found {
    /// Adds signatures of another copy. Anyone can make copies with false signatures in a custodian's name. So only one
    /// good signature of each own custodian is kept, and no more are checked once it is found. Signatures of other keys
    /// are checked by those who know the key.
    fn pool(&mut self, mut new: Vec<Signature>) {
        new.retain(|signature| !self.signed.contains(&signature.keyid));
        let names: BTreeSet<Digest> = new.iter().map(|signature| signature.keyid).collect();
        self.envelope.pool(new);
        let keys = self.policy.custodians.iter().map(|custodian| &custodian.public_key);
        for key in keys.filter(|key| names.contains(&key.fingerprint())) {
            if key.ed25519().is_some_and(|sound| self.envelope.keep_good_of(sound)) {
                self.signed.insert(key.fingerprint());
            }
        }
    }
}
