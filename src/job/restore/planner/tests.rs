//! Plans of single secrets, without a network.

use super::*;
use crate::job::fake::FakeConverter;
use crate::job::restore::PlanOptions;
use crate::job::restore::goal::tests::{item, now};
use crate::model::{Digest, Item};
use crate::provider::ItemConverter;

const SOURCE: &str = r#"[{"id":"v2"},{"id":"v3"}]"#;

fn planned(known: Option<&StandbyItem>, options: &PlanOptions, row: &str, locks: &str) -> PlannedItem {
    let item = item(&[("row", row), ("versions", SOURCE), ("locks", locks)], &["v3", "v2"]);
    let context = SecretContext { options, phase: Phase::Secrets, snapshot: Digest::from_bytes([2; 32]), now: now() };
    secret(&item, &FakeConverter.describe(&item), known, &context)
}

/// Returns a standby whose versions, oldest first, hold these source versions; `-` is a version of its own.
fn standby(holds: &[&str], locks: &str) -> StandbyItem {
    let version = |(place, source): (usize, &&str)| {
        let gone = if holds.len() - place > 2 { r#","gone":true"# } else { "" };
        let mark = match *source {
            "-" => String::new(),
            source => format!(r#","metadata":{{"keyhaven":{{"source_version":"{source}"}}}}"#),
        };
        format!(r#"{{"id":"own-{place}"{gone}{mark}}}"#)
    };
    let versions: Vec<String> = holds.iter().enumerate().map(version).collect();
    let row = format!(r#"{{"versions_total":{}}}"#, holds.len());
    let there: Item = item(&[("row", &row), ("versions", &format!("[{}]", versions.join(","))), ("locks", locks)], &[]);
    StandbyItem::from_rows(FakeConverter.describe(&there))
}

fn actions(outcome: &PlannedItem) -> Vec<&'static str> {
    outcome.steps.iter().map(|step| step.action.as_str()).collect()
}

#[test]
fn only_the_versions_that_are_missing_behind_what_is_there_are_added() {
    let options = PlanOptions::default();
    let added = |holds: &[&str]| {
        let outcome = planned(Some(&standby(holds, "[]")), &options, "{}", "[]");
        let sent = |step: &Draft| step.action.payload_of().map(ToOwned::to_owned);
        outcome.steps.iter().filter_map(sent).collect::<Vec<_>>()
    };
    assert_eq!(added(&["v2"]), ["v3"]);
    assert_eq!(added(&["v1", "v2"]), ["v3"]);
    assert_eq!(added(&["v0", "v1"]), ["v2", "v3"], "an older restore, both have moved on");
    assert_eq!(added(&["v2", "v3", "v4"]), ["v2", "v3"], "back to an older snapshot");
    assert!(added(&["v2", "v3"]).is_empty());
    assert!(added(&["-", "v3"]).is_empty(), "the previous one cannot come behind the current one");
}

#[test]
fn a_previous_version_that_cannot_come_back_is_said() {
    let outcome = planned(Some(&standby(&["-", "v3"], "[]")), &PlanOptions::default(), "{}", "[]");
    assert!(outcome.losses.iter().any(|loss| loss.contains("v2")), "{outcome:?}");
}

#[test]
fn something_of_its_own_is_a_conflict_unless_it_may_be_overwritten() {
    let known = standby(&["v2", "-"], "[]");
    let report = planned(Some(&known), &PlanOptions::default(), "{}", "[]");
    assert!(report.steps.is_empty() && report.conflict.is_some_and(|why| why.contains("own-1")));
    let options = PlanOptions { on_conflict: OnConflict::NewVersion, ..PlanOptions::default() };
    let outcome = planned(Some(&known), &options, "{}", "[]");
    assert_eq!(actions(&outcome), ["add_version", "patch_metadata"], "its own stays as the previous one");
    assert!(outcome.notes.is_empty(), "{outcome:?}");
    let pushed_out = planned(Some(&standby(&["-", "v2"], "[]")), &PlanOptions::default(), "{}", "[]");
    assert!(pushed_out.notes.iter().any(|note| note.contains("own-0")), "{pushed_out:?}");
}

#[test]
fn a_lock_is_taken_off_only_where_it_blocks_and_only_when_the_snapshot_knows_it() {
    let held = |version: &str| format!(r#"[{{"name":"held","on":"{version}"}}]"#);
    let options = PlanOptions::default();
    let blocked = standby(&["v1", "v2"], &held("own-0"));
    let outcome = planned(Some(&blocked), &options, "{}", &held("v2"));
    assert_eq!(actions(&outcome), ["remove_locks", "add_version", "put_back_locks", "patch_metadata"]);
    assert!(planned(Some(&blocked), &options, "{}", "[]").conflict.is_some(), "nobody knows whose it is");
    let on_current = standby(&["v1", "v2"], &held("own-1"));
    let outcome = planned(Some(&on_current), &options, "{}", &held("v2"));
    assert_eq!(actions(&outcome), ["add_version", "patch_metadata"], "it goes along with its version");
}

#[test]
fn the_mark_is_written_behind_all_that_it_speaks_of() {
    let row = r#"{"description":"new","ends":"2030-01-01T00:00:00Z"}"#;
    let locks = r#"[{"name":"held","on":"v3"}]"#;
    let outcome = planned(Some(&standby(&["v1", "v2"], "[]")), &PlanOptions::default(), row, locks);
    assert_eq!(actions(&outcome), ["add_version", "add_locks", "patch_metadata"]);
    assert!(outcome.steps.windows(2).all(|pair| pair[0].phase <= pair[1].phase && pair[0].leaves == pair[1].expect));
    let created = planned(None, &PlanOptions::default(), row, locks);
    assert_eq!(actions(&created), ["create_secret", "add_version", "patch_metadata", "add_locks"]);
}

#[test]
fn rotation_that_is_held_back_stands_in_the_mark() {
    let row = r#"{"rotation":{"auto_rotate":true,"interval":1,"unit":"month"}}"#;
    let held = |options: &PlanOptions| {
        let outcome = planned(None, options, row, "[]");
        let Some(Action::CreateSecret { mark: Some(mark), .. }) = outcome.steps.first().map(|step| &step.action) else {
            panic!("{outcome:?}");
        };
        (mark.held.as_ref().map(|held| held.get().to_owned()), outcome.notes.len())
    };
    let rotation = r#"{"rotation":{"auto_rotate":true,"interval":1,"unit":"month"}}"#;
    assert_eq!(held(&PlanOptions::default()), (Some(rotation.to_owned()), 1));
    assert_eq!(held(&PlanOptions { allow_rotation: true, ..PlanOptions::default() }), (None, 0));
}

#[test]
fn members_that_were_cut_out_of_metadata_are_said_and_nothing_else_is() {
    let context = SecretContext {
        options: &PlanOptions::default(),
        phase: Phase::Secrets,
        snapshot: Digest::from_bytes([2; 32]),
        now: now(),
    };
    let docs = [("row", "{}"), ("versions", SOURCE), ("locks", "[]")];
    let notes = |slots: &[&str]| {
        let item = item(&docs, slots);
        secret(&item, &FakeConverter.describe(&item), None, &context).notes
    };
    assert!(notes(&["v3", "v2"]).is_empty());
    let said = notes(&["v3", "v2", "withheld"]);
    assert!(said.len() == 1 && said[0].contains("--version-id withheld"), "{said:?}");
}
