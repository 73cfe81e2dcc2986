//! The next version of the trust policy, also one that ends a fork.

use crate::cli::failure::Failure;
use crate::format::policy::PolicyKey;
use crate::format::{Policy, PolicyRef, RepositoryId};
use crate::model::Timestamp;

/// The next version after one, or after the newest versions of several branches: then it has what any of them has, and
/// the highest threshold.
///
/// # Errors
/// Kind 2 when there is none, or two branches give one key different roles: no version can follow both.
pub(super) fn next(
    newest: &[(PolicyRef, &Policy)],
    repository: RepositoryId,
    time: Timestamp,
    tool: &str,
) -> Result<Policy, Failure> {
    let Some(((version, policy), others)) = newest.split_first() else {
        return Err(Failure::usage("no version of the trust policy is in force"));
    };
    let mut next = policy.next(*version, repository, time, tool);
    for (version, other) in others {
        join(&mut next, *version, other)?;
    }
    next.previous.sort_unstable();
    next.previous.dedup();
    next.version = next.previous.iter().map(|named| named.version).max().unwrap_or(0).saturating_add(1);
    next.sort();
    Ok(next)
}

fn join(next: &mut Policy, version: PolicyRef, other: &Policy) -> Result<(), Failure> {
    next.previous.extend(other.previous.iter().copied().chain([version]));
    for custodian in &other.custodians {
        if !next.custodians.iter().any(|known| known.public_key == custodian.public_key) {
            next.custodians.push(custodian.clone());
        }
    }
    next.threshold = next.threshold.max(other.threshold);
    for key in &other.keys {
        join_key(next, key)?;
    }
    for (list, more) in [
        (&mut next.recovery_recipients, &other.recovery_recipients),
        (&mut next.catalogue_recipients, &other.catalogue_recipients),
    ] {
        let new = more.iter().filter(|one| !list.iter().any(|known| known.recipient == one.recipient));
        let new: Vec<_> = new.cloned().collect();
        list.extend(new);
    }
    next.settings.grace_seconds = next.settings.grace_seconds.max(other.settings.grace_seconds);
    next.lost.entries.extend(&other.lost.entries);
    next.lost.packs.extend(&other.lost.packs);
    next.lost.snapshots.extend(&other.lost.snapshots);
    next.accepted.extend(&other.accepted);
    next.held.extend(&other.held);
    Ok(())
}

/// A key that one branch has ended stays ended; where both have, only entries that both name.
fn join_key(next: &mut Policy, key: &PolicyKey) -> Result<(), Failure> {
    let Some(known) = next.keys.iter_mut().find(|known| known.public_key == key.public_key) else {
        next.keys.push(key.clone());
        return Ok(());
    };
    if known.roles != key.roles {
        let short = key.public_key.fingerprint().short();
        return Err(Failure::usage(format!(
            "the branches give the key {short} different roles: no version follows both"
        ))
        .hinted("choose one branch: pin it in the configuration, or with --policy"));
    }
    known.until = match (known.until.take(), &key.until) {
        (Some(one), Some(other)) => Some(one.into_iter().filter(|entry| other.contains(entry)).collect()),
        (one, other) => one.or_else(|| other.clone()),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::change::{PolicyChange, apply};
    use crate::cli::trust::kit;
    use crate::format::SigningRole;

    fn branch(change: PolicyChange) -> (PolicyRef, Policy) {
        let mut policy = kit::second();
        apply(&mut policy, &[change]).unwrap();
        (policy.reference().unwrap(), policy)
    }

    #[test]
    fn a_version_that_ends_a_fork_names_both_and_has_what_either_has() {
        let key =
            |seed, role| PolicyChange::AddKey { name: "k".to_owned(), key: kit::key(seed).public(), roles: vec![role] };
        let (one, other) = (branch(key(8, SigningRole::Reaper)), branch(key(9, SigningRole::Verifier)));
        let id = RepositoryId(kit::first().0.digest);
        let next = |newest: &[(PolicyRef, &Policy)]| next(newest, id, Timestamp::from_millis(0), "t");
        let joined = next(&[(one.0, &one.1), (other.0, &other.1)]).unwrap();
        assert_eq!((joined.version, joined.keys.len(), joined.previous.len()), (3, 3, 3));
        assert!(joined.previous.contains(&one.0) && joined.previous.contains(&other.0));
        let ended = branch(PolicyChange::EndKey { key: kit::key(4).public().fingerprint(), until: Vec::new() });
        let joined = next(&[(one.0, &one.1), (ended.0, &ended.1)]).unwrap();
        assert_eq!(joined.key(&kit::key(4).public().fingerprint()).unwrap().until, Some(Vec::new()));
        let clash = branch(key(8, SigningRole::Verifier));
        assert!(next(&[(one.0, &one.1), (clash.0, &clash.1)]).is_err());
        assert!(next(&[]).is_err());
    }
}
