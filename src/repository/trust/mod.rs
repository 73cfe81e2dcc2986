//! The trust policy: which versions fit, and which one is in force (`docs/format.md`, *Trust*).
//!
//! Pure: [`Trust::judge`] depends only on the versions found, the repository id and the pins, and gives the same result
//! on every host. Entries cannot change which version is in force.

mod fit;
mod pool;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

pub use fit::{Misfit, check_alone};
pub use pool::PolicyPool;

use crate::format::{Envelope, Policy, PolicyRef, RepositoryId};
use crate::model::Digest;

/// A version of the policy that a host relies on, whatever the bucket shows. It comes from the configuration, the
/// recovery identity, the recovery sheet, the host's state, or an option of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The version.
    pub policy: PolicyRef,
    /// Its envelope, if available.
    pub bytes: Option<Bytes>,
}

/// Reason why no version can be in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Two pins, neither of which names the other.
    #[error("the pins {one} and {other} are on two branches of the trust policy")]
    TwoBranches {
        /// One of them.
        one: PolicyRef,
        /// The other.
        other: PolicyRef,
    },
    /// The pinned version was not found.
    #[error("version {pin} of the trust policy is pinned and is nowhere")]
    Missing {
        /// The pin.
        pin: PolicyRef,
    },
    /// The pinned version belongs to another repository.
    #[error("version {pin} of the trust policy is pinned and belongs to another repository")]
    Foreign {
        /// The pin.
        pin: PolicyRef,
    },
}

/// The judged policy of a repository.
#[derive(Debug, Clone)]
pub struct Trust {
    id: RepositoryId,
    pool: PolicyPool,
    pinned: PolicyRef,
    fit: BTreeSet<PolicyRef>,
    known: BTreeSet<PolicyRef>,
    misfits: Vec<(PolicyRef, Misfit)>,
    /// The version in force; several in a fork. Never empty.
    branches: Vec<PolicyRef>,
}

impl Trust {
    /// Judges the versions found. Without a pin, version 1 is pinned, whose digest is the repository id.
    ///
    /// # Errors
    /// [`PinError`] when the pins allow no version in force.
    pub fn judge(id: RepositoryId, mut pool: PolicyPool, pins: &[Pin]) -> Result<Self, PinError> {
        for bytes in pins.iter().filter_map(|pin| pin.bytes.as_ref()) {
            // Ignore bytes that are not a policy; a version missing because of this is reported below.
            drop(pool.add(bytes));
        }
        let pinned = highest_pin(id, &pool, pins)?;
        let fit::Fit { fit, misfits } = fit::judge(&pool, id, pinned);
        let mut known = fit.clone();
        for policy in fit.iter().filter_map(|version| pool.get(version)) {
            known.extend(&policy.previous);
        }
        let branches = branches(&pool, &fit, pinned);
        Ok(Self { id, pool, pinned, fit, known, misfits, branches })
    }

    /// Returns the id of the repository.
    #[must_use]
    pub fn id(&self) -> RepositoryId {
        self.id
    }

    /// Returns the pinned version.
    #[must_use]
    pub fn pinned(&self) -> PolicyRef {
        self.pinned
    }

    /// Returns the version in force, or the branches of a fork, each with its reference.
    pub fn branches(&self) -> impl Iterator<Item = (PolicyRef, &Policy)> {
        self.branches.iter().filter_map(|version| Some((*version, self.pool.get(version)?)))
    }

    /// Returns true if several versions could be in force.
    #[must_use]
    pub fn is_fork(&self) -> bool {
        self.branches.len() > 1
    }

    /// Returns the version for new entries: the one in force; in a fork the newest one that all branches name.
    #[must_use]
    pub fn writes_under(&self) -> Option<(PolicyRef, &Policy)> {
        if let [only] = self.branches.as_slice() {
            return Some((*only, self.pool.get(only)?));
        }
        let (_, one) = self.branches().next()?;
        let common = |version: &&PolicyRef| self.branches().all(|(_, policy)| policy.names(version));
        one.previous.iter().rev().filter(common).find_map(|version| Some((*version, self.pool.get(version)?)))
    }

    /// Returns the effective policy, with its settings, recipients and losses: the version for new entries.
    ///
    /// There always is one: the pinned version was found, and every branch is it or names it.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.writes_under().map(|(_, policy)| policy)
    }

    /// Returns a version if it was found, whether it fits or not.
    #[must_use]
    pub fn get(&self, version: &PolicyRef) -> Option<&Policy> {
        self.pool.get(version)
    }

    /// Returns the envelope of a version, with all signatures found.
    #[must_use]
    pub fn envelope(&self, version: &PolicyRef) -> Option<&Envelope> {
        self.pool.envelope(version)
    }

    /// Returns a version's envelope for storage: with one good signature of each custodian of a fitting version, and
    /// without any other signature.
    #[must_use]
    pub fn good_envelope(&self, version: &PolicyRef) -> Option<Envelope> {
        self.envelope(version).map(|envelope| self.good(envelope))
    }

    /// Returns an envelope with only the good signatures of custodians of fitting versions.
    pub(super) fn good(&self, envelope: &Envelope) -> Envelope {
        let mut good = Envelope::unsigned(envelope.payload.clone());
        let fitting = self.fit().iter().filter_map(|version| self.get(version));
        let custodians: BTreeMap<Digest, _> = fitting
            .flat_map(|policy| &policy.custodians)
            .map(|custodian| (custodian.public_key.fingerprint(), &custodian.public_key))
            .collect();
        for key in custodians.values().filter_map(|key| key.ed25519()) {
            good.pool(envelope.good_of(key).cloned());
        }
        good
    }

    /// Returns all versions found.
    #[must_use]
    pub fn pool(&self) -> &PolicyPool {
        &self.pool
    }

    /// Iterates over all versions found, in order.
    pub fn found(&self) -> impl Iterator<Item = (PolicyRef, &Policy)> {
        self.pool.iter()
    }

    /// Returns the versions that fit, in order, including those that a pinned version names but that were not found.
    #[must_use]
    pub fn fit(&self) -> &BTreeSet<PolicyRef> {
        &self.fit
    }

    /// Returns true if a version fits, or a fitting one names it.
    #[must_use]
    pub fn is_known(&self, version: &PolicyRef) -> bool {
        self.known.contains(version)
    }

    /// Returns the versions that were found and do not fit, each with the reason.
    #[must_use]
    pub fn misfits(&self) -> &[(PolicyRef, Misfit)] {
        &self.misfits
    }

    /// Returns the versions that the one in force names above the pin, and that were not found or, without enough
    /// signatures, do not fit.
    #[must_use]
    pub fn missing(&self) -> Vec<PolicyRef> {
        let before: BTreeSet<PolicyRef> =
            self.pool.get(&self.pinned).map(|policy| policy.previous.iter().copied().collect()).unwrap_or_default();
        let named: BTreeSet<PolicyRef> = self.branches().flat_map(|(_, policy)| policy.previous.clone()).collect();
        let above = named.into_iter().filter(|version| *version != self.pinned && !before.contains(version));
        above.filter(|version| self.pool.get(version).is_none() || !self.fit.contains(version)).collect()
    }

    /// Returns true if every branch accepts the loss of an entry.
    #[must_use]
    pub fn accepts_loss_of(&self, entry: &Digest) -> bool {
        let mut branches = self.branches();
        branches.all(|(_, policy)| policy.lost.entries.iter().any(|lost| lost.digest == *entry))
    }

    /// Returns true if every branch accepts a suspect snapshot.
    #[must_use]
    pub fn accepts(&self, snapshot: &Digest) -> bool {
        self.branches().all(|(_, policy)| policy.accepted.binary_search(snapshot).is_ok())
    }

    /// Returns true if the policy, or one branch of a fork, holds a snapshot.
    #[must_use]
    pub fn holds(&self, snapshot: &Digest) -> bool {
        self.branches().any(|(_, policy)| policy.held.binary_search(snapshot).is_ok())
    }
}

/// Returns the pin that names all the others; version 1 without any pin.
fn highest_pin(id: RepositoryId, pool: &PolicyPool, pins: &[Pin]) -> Result<PolicyRef, PinError> {
    let first = PolicyRef { version: 1, digest: id.0 };
    let all: BTreeSet<PolicyRef> = pins.iter().map(|pin| pin.policy).chain([first]).collect();
    let names =
        |one: &PolicyRef, other: &PolicyRef| one == other || pool.get(one).is_some_and(|policy| policy.names(other));
    let Some(pinned) = all.iter().find(|pin| all.iter().all(|other| names(pin, other))).copied() else {
        let tips: Vec<&PolicyRef> =
            all.iter().filter(|pin| !all.iter().any(|other| other != *pin && names(other, pin))).collect();
        let missing = tips.iter().find(|pin| pool.get(pin).is_none()).copied();
        return Err(match (missing, tips.as_slice()) {
            (Some(pin), _) => PinError::Missing { pin: *pin },
            (None, [one, other, ..]) => PinError::TwoBranches { one: **one, other: **other },
            // A single tip that does not name all others: it names versions that name them, but omits them itself.
            (None, [..]) => PinError::TwoBranches { one: first, other: all.last().copied().unwrap_or(first) },
        });
    };
    match pool.get(&pinned) {
        None => Err(PinError::Missing { pin: pinned }),
        Some(policy) if policy.repository.unwrap_or(id) != id => Err(PinError::Foreign { pin: pinned }),
        Some(_) => Ok(pinned),
    }
}

/// Returns, among the pinned version and the fitting ones that name it, those that no other names: one, or the branches
/// of a fork.
fn branches(pool: &PolicyPool, fit: &BTreeSet<PolicyRef>, pinned: PolicyRef) -> Vec<PolicyRef> {
    let names_pinned = |version: &&PolicyRef| pool.get(version).is_some_and(|policy| policy.names(&pinned));
    let candidates: Vec<PolicyRef> = fit.iter().filter(names_pinned).copied().chain([pinned]).collect();
    let named_by_another = |version: &PolicyRef| {
        candidates.iter().any(|other| pool.get(other).is_some_and(|policy| policy.names(version)))
    };
    let mut tips: Vec<PolicyRef> = candidates.iter().filter(|version| !named_by_another(version)).copied().collect();
    tips.sort_unstable();
    tips
}

#[cfg(test)]
mod tests;
