//! One change of the trust policy.

use crate::cli::failure::Failure;
use crate::crypto::{PublicKey, Recipient};
use crate::format::policy::{Custodian, PolicyKey, PolicyRecipient};
use crate::format::{EntryRef, Policy, SigningRole};
use crate::model::{Digest, FailureKind};
use crate::repository::trust::check_alone;

/// Which list of recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum RecipientList {
    /// Opens everything.
    Recovery,
    /// Opens the inventory and no payload.
    Catalogue,
}

impl RecipientList {
    /// The word in messages.
    pub(in crate::cli) const fn as_str(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Catalogue => "catalogue",
        }
    }

    /// Returns that list of a policy.
    pub(in crate::cli) fn of(self, policy: &Policy) -> &[PolicyRecipient] {
        match self {
            Self::Recovery => &policy.recovery_recipients,
            Self::Catalogue => &policy.catalogue_recipients,
        }
    }

    fn of_mut(self, policy: &mut Policy) -> &mut Vec<PolicyRecipient> {
        match self {
            Self::Recovery => &mut policy.recovery_recipients,
            Self::Catalogue => &mut policy.catalogue_recipients,
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum PolicyChange {
    /// A key may sign what its roles allow.
    AddKey { name: String, key: PublicKey, roles: Vec<SigningRole> },
    /// Entries of the key stay valid up to these.
    EndKey { key: Digest, until: Vec<EntryRef> },
    /// A key may sign versions of the policy.
    AddCustodian { name: String, key: PublicKey },
    /// A key may no longer sign versions of the policy.
    RemoveCustodian { key: Digest },
    /// Number of custodians that must sign.
    Threshold(u64),
    /// Snapshots are sealed to this recipient, too.
    AddRecipient { list: RecipientList, name: String, recipient: Recipient },
    /// Snapshots are no longer sealed to this recipient.
    RemoveRecipient { list: RecipientList, recipient: String },
    /// Grace period between forget and sweep, in seconds.
    Grace(u64),
    /// Longest duration of a run, in seconds.
    LongestRun(u64),
    /// `RECOVER.md` has this digest.
    RecoverMd(Digest),
    /// A suspect snapshot is good.
    Accept(Digest),
    /// A snapshot is kept whatever the retention policy says.
    Hold(Digest),
    /// The policy holds a snapshot no longer.
    Release(Digest),
    /// Entries are gone.
    AcceptLosses(Vec<EntryRef>),
}

/// Applies changes and sorts the policy.
///
/// # Errors
/// Kind 2 when a change does nothing or is not allowed, or the result could never be in force.
pub(in crate::cli) fn apply(policy: &mut Policy, changes: &[PolicyChange]) -> Result<(), Failure> {
    for change in changes {
        change.apply(policy)?;
    }
    policy.sort();
    check_alone(policy).map_err(|why| Failure::usage(format!("such a trust policy could not be in force: {why}")))
}

impl PolicyChange {
    fn apply(&self, policy: &mut Policy) -> Result<(), Failure> {
        match self {
            Self::AddKey { name, key, roles } => add_key(policy, name, *key, roles),
            Self::EndKey { key, until } => end_key(policy, key, until),
            Self::AddCustodian { name, key } => {
                refuse_known(policy, *key)?;
                policy.custodians.push(Custodian { name: name.clone(), public_key: (*key).into() });
                Ok(())
            }
            Self::RemoveCustodian { key } => {
                let before = policy.custodians.len();
                policy.custodians.retain(|custodian| custodian.public_key.fingerprint() != *key);
                changed(before != policy.custodians.len(), || format!("{} is no custodian's key", key.short()))
            }
            Self::Threshold(threshold) => set(&mut policy.threshold, *threshold, "the threshold"),
            Self::AddRecipient { list, name, recipient } => {
                let list_of = list.of_mut(policy);
                let text = recipient.to_string();
                changed(!list_of.iter().any(|one| one.recipient == text), || {
                    format!("{text} is a {} recipient already", list.as_str())
                })?;
                list_of.push(PolicyRecipient { name: name.clone(), recipient: text });
                Ok(())
            }
            Self::RemoveRecipient { list, recipient } => {
                let list_of = list.of_mut(policy);
                let before = list_of.len();
                list_of.retain(|one| one.recipient != *recipient);
                changed(before != list_of.len(), || format!("{recipient} is no {} recipient", list.as_str()))
            }
            Self::Grace(seconds) => set(&mut policy.settings.grace_seconds, *seconds, "the grace"),
            Self::LongestRun(seconds) => set(&mut policy.settings.longest_run_seconds, *seconds, "the longest run"),
            Self::RecoverMd(digest) => set(&mut policy.settings.recover_md, *digest, "RECOVER.md"),
            Self::Accept(snapshot) => insert(&mut policy.accepted, *snapshot, "the snapshot is accepted already"),
            Self::Hold(snapshot) => insert(&mut policy.held, *snapshot, "the trust policy holds the snapshot already"),
            Self::Release(snapshot) => {
                let before = policy.held.len();
                policy.held.retain(|held| held != snapshot);
                changed(before != policy.held.len(), || "the trust policy does not hold the snapshot".to_owned())
            }
            Self::AcceptLosses(entries) => {
                changed(!entries.is_empty(), || "no entry is missing".to_owned())?;
                policy.lost.entries.extend(entries);
                Ok(())
            }
        }
    }
}

fn add_key(policy: &mut Policy, name: &str, key: PublicKey, roles: &[SigningRole]) -> Result<(), Failure> {
    refuse_known(policy, key)?;
    let mut roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
    roles.sort_unstable();
    roles.dedup();
    policy.keys.push(PolicyKey { name: name.to_owned(), public_key: key.into(), roles, until: None });
    Ok(())
}

/// A key is in a policy once, with the same roles for good.
fn refuse_known(policy: &Policy, key: PublicKey) -> Result<(), Failure> {
    let fingerprint = key.fingerprint();
    if policy.custodians.iter().any(|custodian| custodian.public_key.fingerprint() == fingerprint) {
        return Err(Failure::usage(format!("{} is a custodian's key already", fingerprint.short()))
            .hinted("a custodian's key signs versions of the trust policy only; make another key for other roles"));
    }
    match policy.key(&fingerprint) {
        None => Ok(()),
        Some(known) if known.until.is_some() => {
            Err(Failure::usage(format!("{} is retired or revoked, and does not come back", fingerprint.short()))
                .hinted("make a new key: `keyhaven keys host`"))
        }
        Some(known) => Err(Failure::usage(format!(
            "{} is in the trust policy already, with the roles {}",
            fingerprint.short(),
            known.roles.join(", ")
        ))
        .hinted("another right is another key: `keyhaven keys host` makes one")),
    }
}

fn end_key(policy: &mut Policy, key: &Digest, until: &[EntryRef]) -> Result<(), Failure> {
    let known = policy.keys.iter_mut().find(|known| known.public_key.fingerprint() == *key);
    let known = known.ok_or_else(|| {
        Failure::new(FailureKind::Usage, format!("the trust policy does not list the key {}", key.short()))
    })?;
    changed(known.until.as_deref() != Some(until), || format!("the key {} has ended so already", key.short()))?;
    known.until = Some(until.to_vec());
    Ok(())
}

fn set<T: PartialEq>(old: &mut T, new: T, what: &str) -> Result<(), Failure> {
    changed(*old != new, || format!("{what} is that already"))?;
    *old = new;
    Ok(())
}

fn insert(list: &mut Vec<Digest>, digest: Digest, already: &str) -> Result<(), Failure> {
    changed(!list.contains(&digest), || already.to_owned())?;
    list.push(digest);
    Ok(())
}

fn changed(changed: bool, problem: impl FnOnce() -> String) -> Result<(), Failure> {
    if changed { Ok(()) } else { Err(Failure::usage(problem())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::kit;

    fn applied(changes: &[PolicyChange]) -> Result<Policy, String> {
        let mut policy = kit::second();
        apply(&mut policy, changes).map_err(|failure| failure.chain().join(": "))?;
        Ok(policy)
    }

    #[test]
    fn a_key_is_added_once_and_ends_for_good() {
        let key = kit::key(9).public();
        let add = PolicyChange::AddKey {
            name: "host".to_owned(),
            key,
            roles: vec![SigningRole::Verifier, SigningRole::Reaper],
        };
        let policy = applied(std::slice::from_ref(&add)).unwrap();
        assert_eq!(policy.key(&key.fingerprint()).unwrap().roles, ["reaper", "verifier"]);
        assert!(applied(&[add.clone(), add.clone()]).unwrap_err().contains("already"));
        let end = PolicyChange::EndKey { key: key.fingerprint(), until: Vec::new() };
        assert!(applied(&[add.clone(), end.clone(), add]).unwrap_err().contains("does not come back"));
        assert!(applied(&[end]).unwrap_err().contains("does not list"));
        let custodian =
            PolicyChange::AddKey { name: "x".to_owned(), key: kit::key(1).public(), roles: vec![SigningRole::Reaper] };
        assert!(applied(&[custodian]).unwrap_err().contains("custodian's key already"));
    }

    #[test]
    fn custodians_stay_as_many_as_the_threshold() {
        let remove = |seed| PolicyChange::RemoveCustodian { key: kit::key(seed).public().fingerprint() };
        assert_eq!(applied(&[remove(1)]).unwrap().custodians.len(), 2);
        assert!(applied(&[remove(1), remove(2)]).unwrap_err().contains("threshold"));
        assert!(applied(&[remove(1), remove(2), PolicyChange::Threshold(1)]).is_ok());
        assert!(applied(&[PolicyChange::Threshold(2)]).is_err() && applied(&[PolicyChange::Threshold(4)]).is_err());
    }

    #[test]
    fn recipients_settings_and_lists_change() {
        let recipient = kit::recipient();
        let list = RecipientList::Recovery;
        let add = PolicyChange::AddRecipient { list, name: "kit 2".to_owned(), recipient: recipient.clone() };
        assert_eq!(applied(&[add]).unwrap().recovery_recipients.len(), 2);
        let remove = PolicyChange::RemoveRecipient { list, recipient: "age1a".to_owned() };
        assert!(applied(&[remove]).unwrap_err().contains("no recovery recipient"));
        assert!(applied(&[PolicyChange::Grace(60)]).unwrap_err().contains("longest run"));
        assert_eq!(
            applied(&[PolicyChange::Grace(60), PolicyChange::LongestRun(30)]).unwrap().settings.grace_seconds,
            60
        );
        let snapshot = Digest::from_bytes([5; 32]);
        let policy = applied(&[PolicyChange::Accept(snapshot), PolicyChange::Hold(snapshot)]).unwrap();
        assert_eq!((policy.accepted, policy.held), (vec![snapshot], vec![snapshot]));
        assert!(applied(&[PolicyChange::Hold(snapshot), PolicyChange::Release(snapshot)]).unwrap().held.is_empty());
        assert!(
            applied(&[PolicyChange::Release(snapshot)]).is_err()
                && applied(&[PolicyChange::AcceptLosses(vec![])]).is_err()
        );
    }
}
