//! What makes the trust in a repository doubtful: what this host knew and the bucket lacks, missing versions of the
//! trust policy, forks.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::format::{Entry, EntryRef, PolicyRef};
use crate::repository::ledger::{Ledger, Problem};
use crate::repository::trust::Trust;

/// Entries that a sentence names at most.
const NAMED: usize = 5;

/// The member `memory` of results. Everything in it is empty when nothing is wrong.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct MemoryReport {
    /// Heads that this host saw and that are gone.
    pub(super) heads: Vec<EntryRef>,
    /// Entries that were deleted or overwritten, read from older versions in the bucket.
    pub(super) superseded: Vec<EntryRef>,
    /// Versions of the trust policy that this host or entries have, and that `trust/` lacks.
    pub(super) policies: Vec<PolicyRef>,
    /// Versions that the one in force names, and that are nowhere or do not fit.
    pub(super) missing: Vec<PolicyRef>,
    /// The branches of a fork.
    pub(super) fork: Vec<PolicyRef>,
    /// Fitting versions that are on another branch than the pinned one.
    pub(super) other_branches: Vec<PolicyRef>,
    /// Entries that only a later version of the format can read: the newest snapshot may be among them.
    pub(super) later: Vec<EntryRef>,
}

impl MemoryReport {
    /// Builds the report from a ledger.
    pub(super) fn of(ledger: &Ledger) -> Self {
        let (known, trust) = (ledger.memory(), ledger.trust());
        let heads: BTreeSet<EntryRef> = known.heads.iter().copied().collect();
        let unread = ledger.unread_snapshots().map(Entry::reference);
        let later: BTreeSet<EntryRef> = ledger.later().iter().map(|later| later.entry).chain(unread).collect();
        Self {
            heads: heads.into_iter().collect(),
            superseded: known.superseded.clone(),
            policies: known.policies.clone(),
            missing: trust.missing(),
            fork: if trust.is_fork() { trust.branches().map(|(version, _)| version).collect() } else { Vec::new() },
            other_branches: other_branches(trust),
            later: later.into_iter().collect(),
        }
    }

    /// Returns true if a problem of a ledger is among the sentences.
    pub(super) const fn says(problem: &Problem) -> bool {
        matches!(
            problem,
            Problem::Fork { .. }
                | Problem::MissingVersion { .. }
                | Problem::Later { .. }
                | Problem::UnreadSnapshots { .. }
        )
    }

    /// The same as sentences, the gravest first.
    pub(super) fn sentences(&self) -> Vec<String> {
        let list = |items: &[PolicyRef]| items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut said = Vec::new();
        if !self.heads.is_empty() {
            let heads = self.heads.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            said.push(format!(
                "the ledger lacks entries that this host saw there: {heads}; the bucket may have been put back to an \
                 earlier state"
            ));
        }
        if !self.superseded.is_empty() {
            let (first, more) = (self.superseded.iter().take(NAMED), self.superseded.len().saturating_sub(NAMED));
            let named = first.map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            said.push(format!(
                "entries of the ledger were deleted or overwritten: {named}{more}; they are read from older versions in the \
                 bucket, and the next backup puts them back; find out who did that"
            ));
        }
        if !self.later.is_empty() {
            let (first, more) = (self.later.iter().take(NAMED), self.later.len().saturating_sub(NAMED));
            let named = first.map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            said.push(format!(
                "a later version of keyhaven wrote entries that this one cannot read: {named}{more}; the newest snapshot may \
                 be among them, and `latest` is the newest of the others; get a newer keyhaven"
            ));
        }
        if !self.fork.is_empty() {
            said.push(format!("the trust policy is forked: {}", list(&self.fork)));
        }
        if !self.missing.is_empty() {
            said.push(format!("versions of the trust policy are missing: {}", list(&self.missing)));
        }
        if !self.policies.is_empty() {
            said.push(format!(
                "`trust/` lacks versions of the trust policy, or signatures of them, that are known from elsewhere: {}; the \
                 next backup puts them back",
                list(&self.policies)
            ));
        }
        if !self.other_branches.is_empty() {
            said.push(format!(
                "another branch of the trust policy is there: {}; this host keeps to its own",
                list(&self.other_branches)
            ));
        }
        said
    }
}

/// Fitting versions, named by no other fitting one, that are neither in force nor named by what is.
fn other_branches(trust: &Trust) -> Vec<PolicyRef> {
    let mut own: BTreeSet<PolicyRef> = BTreeSet::new();
    for (version, policy) in trust.branches() {
        own.insert(version);
        own.extend(&policy.previous);
    }
    newest(trust).into_iter().filter(|version| !own.contains(version)).collect()
}

/// The fitting versions that were found and that no other of these names.
pub(super) fn newest(trust: &Trust) -> Vec<PolicyRef> {
    let there: Vec<_> = trust.fit().iter().filter_map(|version| Some((*version, trust.get(version)?))).collect();
    let last = |version: &PolicyRef| !there.iter().any(|(_, other)| other.previous.contains(version));
    there.iter().map(|(version, _)| *version).filter(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    #[test]
    fn what_is_missing_is_said_and_nothing_else() {
        assert!(MemoryReport::default().sentences().is_empty());
        let digest = Digest::from_bytes([7; 32]);
        let version = PolicyRef { version: 2, digest };
        let memory = MemoryReport {
            heads: vec![EntryRef { sequence: 9, digest }],
            missing: vec![version],
            ..MemoryReport::default()
        };
        let said = memory.sentences();
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("000000000009-0707") && said[1].contains(&version.to_string()), "{said:?}");
    }
}
