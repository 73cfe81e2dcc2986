//! Decides which versions of the policy fit.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::PolicyPool;
use crate::crypto::KeyInfo;
use crate::format::{Envelope, Policy, PolicyRef, RepositoryId};
use crate::model::Digest;

/// Maximum number of signing keys without an end in a policy.
const ACTIVE_KEYS: usize = 256;

/// Reason why a version does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It belongs to another repository.
    #[error("it belongs to another repository")]
    Foreign,
    /// None of the versions that it names exists and fits.
    #[error("no version that it names is there and fits")]
    NoPredecessor,
    /// Its number is not one more than the highest that it names.
    #[error("its number is not one more than the highest that it names")]
    Number,
    /// It omits a version that a predecessor names.
    #[error("it does not name {version}, which version {predecessor} names")]
    NotNamed {
        /// The omitted version.
        version: PolicyRef,
        /// The predecessor.
        predecessor: u64,
    },
    /// A key of a predecessor is missing, has other roles, or is no longer ended.
    #[error(
        "it does not list the key {key} as version {predecessor} does: keys stay, with the same roles, and ended keys stay ended"
    )]
    Key {
        /// The fingerprint.
        key: Digest,
        /// The predecessor.
        predecessor: u64,
    },
    /// The threshold is 0 or exceeds the number of custodians.
    #[error("its threshold {threshold} is not from 1 to the number of its custodians ({custodians})")]
    Threshold {
        /// The threshold.
        threshold: u64,
        /// Number of custodians.
        custodians: usize,
    },
    /// A public key occurs twice.
    #[error("the key {key} is in it twice")]
    Repeated {
        /// The fingerprint.
        key: Digest,
    },
    /// A public key is of small order, not a point of the curve, or not canonical.
    #[error("the key {key} is no sound Ed25519 key")]
    Weak {
        /// The fingerprint.
        key: Digest,
    },
    /// It has no recovery recipient, so packs could not be opened.
    #[error("it has no recovery recipient")]
    NoRecipient,
    /// Its longest run exceeds its grace period.
    #[error("its longest run is longer than its grace")]
    Grace,
    /// It has too many keys.
    #[error("more than {ACTIVE_KEYS} of its keys have not ended")]
    Keys,
    /// Too few of its own custodians signed.
    #[error("{signed} of its own custodians signed, {needed} are needed")]
    Unsigned {
        /// Number of signers.
        signed: u64,
        /// Number of required signers.
        needed: u64,
    },
    /// Too few custodians of a predecessor signed.
    #[error("{signed} custodians of version {predecessor} signed, {needed} are needed")]
    UnsignedBefore {
        /// The predecessor.
        predecessor: u64,
        /// Number of signers.
        signed: u64,
        /// Number of required signers.
        needed: u64,
    },
}

/// All versions with their verdicts.
pub(super) struct Fit {
    pub(super) fit: BTreeSet<PolicyRef>,
    pub(super) misfits: Vec<(PolicyRef, Misfit)>,
}

/// Judges all versions, in order.
pub(super) fn judge(pool: &PolicyPool, id: RepositoryId, pinned: PolicyRef) -> Fit {
    let mut fit = BTreeSet::from([PolicyRef { version: 1, digest: id.0 }, pinned]);
    fit.extend(pool.get(&pinned).map(|policy| policy.previous.clone()).unwrap_or_default());
    let mut misfits = Vec::new();
    for (version, policy) in pool.iter() {
        if fit.contains(&version) {
            continue;
        }
        match check(pool, &fit, id, version, policy) {
            Ok(()) => {
                fit.insert(version);
            }
            Err(why) => misfits.push((version, why)),
        }
    }
    Fit { fit, misfits }
}

fn check(
    pool: &PolicyPool,
    fit: &BTreeSet<PolicyRef>,
    id: RepositoryId,
    version: PolicyRef,
    policy: &Policy,
) -> Result<(), Misfit> {
    if policy.repository != Some(id) {
        return Err(Misfit::Foreign);
    }
    let predecessors = predecessors(pool, fit, policy);
    if predecessors.is_empty() {
        return Err(Misfit::NoPredecessor);
    }
    if policy.previous.iter().map(|named| named.version).max().map(|highest| highest + 1) != Some(version.version) {
        return Err(Misfit::Number);
    }
    for before in &predecessors {
        check_names(policy, before)?;
        check_keys(policy, before)?;
    }
    check_alone(policy)?;
    // Check signatures last: they are the most expensive, and anyone can add files there.
    let Some(envelope) = pool.envelope(&version) else { return Err(Misfit::NoPredecessor) };
    let mut signers = Signers { envelope, good: HashMap::new() };
    for before in &predecessors {
        let signed = signers.among(before);
        // Version 1 and a pinned version fit by their digest, whatever their content; a threshold of 0 must not waive
        // signatures.
        let needed = before.threshold.max(1);
        if signed < needed {
            let predecessor = before.version;
            return Err(Misfit::UnsignedBefore { predecessor, signed, needed });
        }
    }
    let signed = signers.among(policy);
    match signed < policy.threshold {
        true => Err(Misfit::Unsigned { signed, needed: policy.threshold }),
        false => Ok(()),
    }
}

/// Signers of an envelope. Each key is checked only once, however many predecessors list it.
struct Signers<'a> {
    envelope: &'a Envelope,
    good: HashMap<Digest, bool>,
}

impl Signers<'_> {
    /// Returns the number of custodians of a policy that have signed.
    fn among(&mut self, policy: &Policy) -> u64 {
        policy.custodians.iter().filter(|custodian| self.has(&custodian.public_key)).count() as u64
    }

    fn has(&mut self, key: &KeyInfo) -> bool {
        let Some(sound) = key.ed25519() else { return false };
        *self.good.entry(key.fingerprint()).or_insert_with(|| self.envelope.is_signed_by(sound))
    }
}

/// Returns the fitting versions that it names and that were found, without those that another of these names.
fn predecessors<'a>(pool: &'a PolicyPool, fit: &BTreeSet<PolicyRef>, policy: &Policy) -> Vec<&'a Policy> {
    let named = policy.previous.iter().filter(|named| fit.contains(named));
    let there: Vec<(&PolicyRef, &Policy)> = named.filter_map(|named| Some((named, pool.get(named)?))).collect();
    let last = |version: &PolicyRef| !there.iter().any(|(_, other)| other.names(version));
    there.iter().filter(|(version, _)| last(version)).map(|(_, policy)| *policy).collect()
}

fn check_names(policy: &Policy, before: &Policy) -> Result<(), Misfit> {
    let left_out = before.previous.iter().find(|named| !policy.names(named));
    left_out.map_or(Ok(()), |version| Err(Misfit::NotNamed { version: *version, predecessor: before.version }))
}

fn check_keys(policy: &Policy, before: &Policy) -> Result<(), Misfit> {
    let kept = |key: &&crate::format::policy::PolicyKey| {
        let at = policy.keys.binary_search_by(|now| now.public_key.cmp(&key.public_key));
        at.ok()
            .and_then(|at| policy.keys.get(at))
            .is_some_and(|now| now.roles == key.roles && (key.until.is_none() || now.until.is_some()))
    };
    before
        .keys
        .iter()
        .find(|key| !kept(key))
        .map_or(Ok(()), |key| Err(Misfit::Key { key: key.public_key.fingerprint(), predecessor: before.version }))
}

/// Checks a version on its own.
///
/// # Errors
/// [`Misfit`] if no predecessor could make it fit.
pub fn check_alone(policy: &Policy) -> Result<(), Misfit> {
    let custodians = policy.custodians.len();
    if policy.threshold < 1 || policy.threshold > custodians as u64 {
        return Err(Misfit::Threshold { threshold: policy.threshold, custodians });
    }
    let mut seen = HashSet::new();
    let own = policy.custodians.iter().map(|custodian| &custodian.public_key);
    for key in own.chain(policy.keys.iter().map(|key| &key.public_key)) {
        if key.is_weak() {
            return Err(Misfit::Weak { key: key.fingerprint() });
        }
        if !seen.insert(key.fingerprint()) {
            return Err(Misfit::Repeated { key: key.fingerprint() });
        }
    }
    if policy.recovery_recipients.is_empty() {
        return Err(Misfit::NoRecipient);
    }
    if policy.settings.longest_run_seconds > policy.settings.grace_seconds {
        return Err(Misfit::Grace);
    }
    match policy.keys.iter().filter(|key| key.until.is_none()).count() > ACTIVE_KEYS {
        true => Err(Misfit::Keys),
        false => Ok(()),
    }
}
