//! The versions of the policy that were found, wherever.

use std::collections::BTreeMap;

use crate::format::{Envelope, FormatError, Policy, PolicyRef};

/// Versions of the policy by their reference, each with every signature that was found over it: in `trust/`, in older
/// versions of a file, in entries, in pins and in a host's state.
#[derive(Debug, Clone, Default)]
pub struct PolicyPool {
    found: BTreeMap<PolicyRef, (Policy, Envelope)>,
}

impl PolicyPool {
    /// Adds a stored policy.
    ///
    /// # Errors
    /// When the bytes are no policy.
    pub fn add(&mut self, bytes: &[u8]) -> Result<PolicyRef, FormatError> {
        let (version, policy, envelope) = Policy::decode(bytes)?;
        self.add_read(version, policy, envelope);
        Ok(version)
    }

    /// Adds a policy that was read already.
    pub fn add_read(&mut self, version: PolicyRef, policy: Policy, envelope: Envelope) {
        match self.found.get_mut(&version) {
            Some((_, found)) => found.pool(envelope.signatures),
            None => {
                self.found.insert(version, (policy, envelope));
            }
        }
    }

    /// Adds everything of another pool.
    pub fn extend(&mut self, other: Self) {
        for (version, (policy, envelope)) in other.found {
            self.add_read(version, policy, envelope);
        }
    }

    /// A version.
    #[must_use]
    pub fn get(&self, version: &PolicyRef) -> Option<&Policy> {
        self.found.get(version).map(|(policy, _)| policy)
    }

    /// The envelope of a version.
    #[must_use]
    pub fn envelope(&self, version: &PolicyRef) -> Option<&Envelope> {
        self.found.get(version).map(|(_, envelope)| envelope)
    }

    /// All versions in order: by number, then digest.
    pub fn iter(&self) -> impl Iterator<Item = (PolicyRef, &Policy)> {
        self.found.iter().map(|(version, (policy, _))| (*version, policy))
    }

    /// Whether none was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}
