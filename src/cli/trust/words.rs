//! Differences between two versions of the trust policy, in words.

use std::collections::BTreeMap;

use crate::cli::text;
use crate::format::policy::{Custodian, PolicyKey, PolicyRecipient};
use crate::format::{EntryRef, Policy};

/// Entries that are named before the rest is only counted.
const NAMED: usize = 20;

/// Every difference, one sentence each; none when only number, time and predecessors differ.
pub(in crate::cli) fn differences(before: &Policy, after: &Policy) -> Vec<String> {
    let mut said = Vec::new();
    if before.source != after.source {
        said.push(format!("CHANGES THE SOURCE from {} to {}", before.source, after.source));
    }
    custodians(before, after, &mut said);
    keys(before, after, &mut said);
    recipients("recovery", &before.recovery_recipients, &after.recovery_recipients, &mut said);
    recipients("catalogue", &before.catalogue_recipients, &after.catalogue_recipients, &mut said);
    settings(before, after, &mut said);
    lists(before, after, &mut said);
    unknown(before, after, &mut said);
    said.into_iter().map(|sentence| text::safe(&sentence)).collect()
}

/// Members of a later version, by name: their meaning is unknown here.
fn unknown(before: &Policy, after: &Policy, said: &mut Vec<String>) {
    let changed = before.unknown.keys().chain(after.unknown.keys());
    let mut changed: Vec<&String> =
        changed.filter(|name| before.unknown.get(*name) != after.unknown.get(*name)).collect();
    changed.sort_unstable();
    changed.dedup();
    if !changed.is_empty() {
        said.push(format!("changes members that this version of keyhaven does not know: {}", named(&changed)));
    }
    if before.critical != after.critical {
        let names = after.critical.as_deref().unwrap_or_default();
        let names = if names.is_empty() { "none".to_owned() } else { named(names) };
        said.push(format!("changes the members that a reader must know: {names}"));
    }
}

fn custodians(before: &Policy, after: &Policy, said: &mut Vec<String>) {
    let by_key = |policy: &Policy| -> BTreeMap<String, Custodian> {
        policy.custodians.iter().map(|one| (one.public_key.as_str().to_owned(), one.clone())).collect()
    };
    let (old, new) = (by_key(before), by_key(after));
    let shown = |one: &Custodian| format!("{} ({})", one.name, one.public_key.fingerprint());
    said.extend(
        added(&old, &new).map(|one| format!("adds the custodian {}, who may sign changes like this one", shown(one))),
    );
    said.extend(added(&new, &old).map(|one| format!("removes the custodian {}", shown(one))));
    for (one, other) in both(&old, &new).filter(|(one, other)| one.name != other.name) {
        said.push(format!("renames the custodian {} to {}", shown(one), other.name));
    }
    if before.threshold != after.threshold {
        said.push(format!(
            "changes how many custodians must sign from {} to {}, of {}",
            before.threshold,
            after.threshold,
            after.custodians.len()
        ));
    }
}

fn keys(before: &Policy, after: &Policy, said: &mut Vec<String>) {
    let by_key = |policy: &Policy| -> BTreeMap<String, PolicyKey> {
        policy.keys.iter().map(|one| (one.public_key.as_str().to_owned(), one.clone())).collect()
    };
    let (old, new) = (by_key(before), by_key(after));
    let shown = |one: &PolicyKey| format!("{} ({})", one.name, one.public_key.fingerprint());
    for key in added(&old, &new) {
        let end = key.until.as_ref().map(|until| format!(", ended: {}", until_words(until))).unwrap_or_default();
        said.push(format!("adds the key {}, which may sign as {}{end}", shown(key), key.roles.join(", ")));
    }
    said.extend(added(&new, &old).map(|key| format!("REMOVES the key {}, which no version may do", shown(key))));
    for (one, other) in both(&old, &new) {
        if one.roles != other.roles {
            let (old, new) = (one.roles.join(", "), other.roles.join(", "));
            said.push(format!(
                "CHANGES the roles of the key {} from {old} to {new}, which no version may do",
                shown(one)
            ));
        }
        if one.name != other.name {
            said.push(format!("renames the key {} to {}", shown(one), other.name));
        }
        match (&one.until, &other.until) {
            (old, new) if old == new => {}
            (None, Some(until)) => said.push(format!("ends the key {}: {}", shown(one), until_words(until))),
            (Some(_), Some(until)) => {
                said.push(format!("changes the end of the key {}: {}", shown(one), until_words(until)));
            }
            (_, None) => said.push(format!("BRINGS BACK the ended key {}, which no version may do", shown(one))),
        }
    }
}

/// Describes the valid entries of an ended key.
pub(in crate::cli) fn until_words(until: &[EntryRef]) -> String {
    match until {
        [] => "nothing that it signed counts".to_owned(),
        entries => format!("what it signed counts up to {}", named(entries)),
    }
}

/// The same for a column of a table, where a digest has no room: sequences of entries.
pub(in crate::cli) fn until_short(until: &[EntryRef]) -> String {
    match until {
        [] => "none counts".to_owned(),
        [one] => format!("until {}", one.sequence),
        several => {
            let sequences: Vec<u64> = several.iter().map(|entry| entry.sequence).collect();
            format!("until {}", named(&sequences))
        }
    }
}

fn recipients(what: &str, before: &[PolicyRecipient], after: &[PolicyRecipient], said: &mut Vec<String>) {
    let by_key = |list: &[PolicyRecipient]| -> BTreeMap<String, PolicyRecipient> {
        list.iter().map(|one| (one.recipient.clone(), one.clone())).collect()
    };
    let (old, new) = (by_key(before), by_key(after));
    let opens = if what == "recovery" { "opens every new snapshot" } else { "opens every new inventory" };
    said.extend(
        added(&old, &new).map(|one| format!("adds the {what} recipient {} ({}), who {opens}", one.name, one.recipient)),
    );
    said.extend(added(&new, &old).map(|one| format!("removes the {what} recipient {} ({})", one.name, one.recipient)));
    for (one, other) in both(&old, &new).filter(|(one, other)| one.name != other.name) {
        said.push(format!("renames the {what} recipient {} ({}) to {}", one.name, one.recipient, other.name));
    }
}

fn settings(before: &Policy, after: &Policy, said: &mut Vec<String>) {
    let (old, new) = (before.settings, after.settings);
    let mut seconds = |what: &str, old: u64, new: u64| {
        if old != new {
            said.push(format!("changes {what} from {} to {}", text::seconds(old), text::seconds(new)));
        }
    };
    seconds("the grace, for which something stays after it was forgotten,", old.grace_seconds, new.grace_seconds);
    seconds("the longest run", old.longest_run_seconds, new.longest_run_seconds);
    if old.recover_md != new.recover_md {
        said.push(format!("replaces RECOVER.md: its digest is now {}", new.recover_md));
    }
}

fn lists(before: &Policy, after: &Policy, said: &mut Vec<String>) {
    let mut list = |old: Vec<String>, new: Vec<String>, gain: &str, loss: &str| {
        let gained: Vec<_> = new.iter().filter(|one| !old.contains(one)).cloned().collect();
        let gone: Vec<_> = old.iter().filter(|one| !new.contains(one)).cloned().collect();
        for (what, these) in [(gain, gained), (loss, gone)] {
            if !these.is_empty() {
                said.push(format!("{what} {}", named(&these)));
            }
        }
    };
    let texts = |digests: &[crate::model::Digest]| digests.iter().map(ToString::to_string).collect::<Vec<_>>();
    let entries = |policy: &Policy| policy.lost.entries.iter().map(ToString::to_string).collect::<Vec<_>>();
    list(
        entries(before),
        entries(after),
        "accepts the loss of the entries",
        "no longer accepts the loss of the entries",
    );
    let packs = |policy: &Policy| texts(&policy.lost.packs);
    list(packs(before), packs(after), "accepts the loss of the packs", "no longer accepts the loss of the packs");
    let snapshots = |policy: &Policy| texts(&policy.lost.snapshots);
    let (gain, loss) = ("accepts the loss of the snapshots", "no longer accepts the loss of the snapshots");
    list(snapshots(before), snapshots(after), gain, loss);
    let (gain, loss) = ("accepts the suspect snapshots", "no longer accepts the suspect snapshots");
    list(texts(&before.accepted), texts(&after.accepted), gain, loss);
    let (gain, loss) = ("holds the snapshots", "no longer holds the snapshots");
    list(texts(&before.held), texts(&after.held), gain, loss);
}

/// Returns the elements of the second that the first lacks.
fn added<'a, T>(old: &'a BTreeMap<String, T>, new: &'a BTreeMap<String, T>) -> impl Iterator<Item = &'a T> {
    new.iter().filter(|(key, _)| !old.contains_key(*key)).map(|(_, one)| one)
}

/// Returns the elements of both.
fn both<'a, T>(old: &'a BTreeMap<String, T>, new: &'a BTreeMap<String, T>) -> impl Iterator<Item = (&'a T, &'a T)> {
    old.iter().filter_map(|(key, one)| Some((one, new.get(key)?)))
}

fn named<T: ToString>(items: &[T]) -> String {
    let mut names: Vec<String> = items.iter().take(NAMED).map(ToString::to_string).collect();
    if items.len() > NAMED {
        names.push(format!("and {} more", items.len() - NAMED));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::change::{PolicyChange, RecipientList, apply};
    use crate::cli::trust::kit;
    use crate::format::SigningRole;
    use crate::model::Digest;

    fn said(changes: &[PolicyChange]) -> Vec<String> {
        let mut after = kit::second();
        apply(&mut after, changes).unwrap();
        differences(&kit::first_policy(), &after)
    }

    #[test]
    fn every_sort_of_change_is_said_in_words() {
        assert!(said(&[]).is_empty());
        let digest = Digest::from_bytes([7; 32]);
        let key = kit::key(9).public();
        let collector = kit::key(4).public().fingerprint();
        let list = RecipientList::Catalogue;
        let recipient = kit::recipient();
        let last = EntryRef { sequence: 12, digest };
        for (change, words) in [
            (
                PolicyChange::AddKey { name: "host".to_owned(), key, roles: vec![SigningRole::Reaper] },
                "adds the key host",
            ),
            (PolicyChange::EndKey { key: collector, until: Vec::new() }, "nothing that it signed counts"),
            (PolicyChange::EndKey { key: collector, until: vec![last] }, "counts up to 000000000012-0707"),
            (PolicyChange::AddCustodian { name: "Bob".to_owned(), key }, "adds the custodian Bob"),
            (
                PolicyChange::RemoveCustodian { key: kit::key(1).public().fingerprint() },
                "removes the custodian custodian 1",
            ),
            (PolicyChange::Threshold(3), "from 2 to 3, of 3"),
            (
                PolicyChange::AddRecipient { list, name: "audit".to_owned(), recipient },
                "adds the catalogue recipient audit",
            ),
            (PolicyChange::Grace(86_400), "from 2 d to 1 d"),
            (PolicyChange::LongestRun(3_600), "longest run from 6 h to 1 h"),
            (PolicyChange::RecoverMd(digest), "replaces RECOVER.md"),
            (PolicyChange::Accept(digest), "accepts the suspect snapshots 0707"),
            (PolicyChange::Hold(digest), "holds the snapshots 0707"),
            (PolicyChange::AcceptLosses(vec![last]), "accepts the loss of the entries 000000000012-0707"),
        ] {
            let said = said(&[change]);
            assert!(said.len() == 1 && said[0].contains(words), "{words}: {said:?}");
        }
    }

    #[test]
    fn what_no_version_may_do_stands_out_and_names_drive_no_terminal() {
        let before = kit::first_policy();
        let mut after = kit::second();
        after.keys.clear();
        after.custodians[0].name = "\u{1b}[31m".to_owned();
        let said = differences(&before, &after).join("\n");
        assert!(said.contains("REMOVES the key collector") && !said.contains('\u{1b}'), "{said}");
        let mut ended = kit::second();
        ended.keys[0].until = Some(Vec::new());
        assert!(differences(&ended, &kit::second())[0].contains("BRINGS BACK"));
    }
}
