//! Drift between a standby and a snapshot or the live source.

use std::collections::{BTreeMap, BTreeSet};

use keyhaven::job::drift::{ComparedWith, ComparisonBasis, DriftReport, LiveInstance, OverallBasis, drift};
use keyhaven::job::restore::{Backup, PlanOptions};
use keyhaven::model::FailureKind;
use keyhaven::provider::embedded::{Verb, every_type};

use crate::kit::clock::system_context;
use crate::kit::restore::{MemoryBackup, Pair, Peer, full, make_plan, restore, run};

async fn against(pair: &Pair, backup: &MemoryBackup, values: bool) -> DriftReport {
    let expected = ComparedWith::Snapshot(backup.name().clone());
    drift(&system_context(), backup, expected, &pair.standby.client(), &PlanOptions::default(), values).await.unwrap()
}

async fn against_source(pair: &Pair, values: bool) -> DriftReport {
    let source = pair.source.client();
    let live = LiveInstance::take(&system_context(), &source, values).await.unwrap();
    let expected = ComparedWith::Source { full_name: live.name().source.clone(), at: live.name().time };
    drift(&system_context(), &live, expected, &pair.standby.client(), &PlanOptions::default(), values).await.unwrap()
}

/// Kinds by name.
fn told(report: &DriftReport) -> BTreeMap<String, Vec<&'static str>> {
    let mut told = BTreeMap::<String, Vec<_>>::new();
    for one in &report.differences {
        told.entry(one.name.clone()).or_default().push(one.kind.as_str());
    }
    told
}

fn secret(peer: &Peer, name: &str) -> String {
    format!("secrets/{}", peer.id_of(name))
}

#[tokio::test]
async fn a_restored_standby_has_not_drifted_and_held_rotation_stays_visible() {
    let pair = full().await;
    let backup = pair.backup().await;
    restore(&pair, &backup, &PlanOptions::default()).await;
    for values in [false, true] {
        pair.standby.instance.reset_counters();
        for report in [against(&pair, &backup, values).await, against_source(&pair, values).await] {
            assert_eq!(report.kind(), None, "{report:#?}");
            assert_eq!(report.basis, if values { OverallBasis::Values } else { OverallBasis::Marks }, "{report:#?}");
            assert_eq!(report.held.len(), 1);
            assert_eq!((report.held[0].name.as_str(), report.held[0].due), ("user", false));
            assert_eq!(report.held[0].next.unwrap().to_string(), "2026-12-22T12:00:00.000Z");
        }
        assert_eq!(pair.standby.instance.counters().writing, 0);
    }
    pair.clock.advance(40 * 86_400_000);
    assert!(against(&pair, &backup, false).await.held[0].due, "the source has rotated it since");
}

#[tokio::test]
async fn every_kind_of_drift_is_told_and_no_value_is() {
    let pair = full().await;
    let backup = pair.backup().await;
    restore(&pair, &backup, &PlanOptions::default()).await;
    let standby = &pair.standby;
    standby.version(&standby.id_of("one"), "hunter2-of-the-standby");
    standby.patch(
        &format!("{}/metadata", secret(standby, "odd")),
        r#"{"description":"hunter2 changed","labels":["other"]}"#,
    );
    let user = secret(standby, "user");
    standby.call(Verb::Delete, &format!("{user}/versions/current/locks_bulk?name=keep-new"), "");
    standby.post(&format!("{user}/versions/current/locks_bulk"), r#"{"locks":[{"name":"theirs"}]}"#);
    standby.make("secrets", r#"{"secret_type":"arbitrary","name":"alien","payload":"hunter2"}"#);
    let empty = standby.get("secret_groups").array("secret_groups").unwrap();
    let empty = empty.iter().map(|g| keyhaven::model::json::JsonObject::parse(g.get()).unwrap());
    let empty = empty.filter(|g| g.str("name").as_deref() == Some("empty")).find_map(|g| g.str("id")).unwrap();
    standby.call(Verb::Delete, &format!("secret_groups/{empty}"), "");
    for values in [false, true] {
        for report in [against(&pair, &backup, values).await, against_source(&pair, values).await] {
            let told = told(&report);
            let kinds = |name: &str| told.get(name).cloned().unwrap_or_default();
            assert_eq!(kinds("one"), ["payload"], "{report:#?}");
            assert_eq!(kinds("odd"), ["metadata"]);
            assert_eq!(kinds("user"), ["locks", "locks"], "one is missing, one is too many: {report:#?}");
            assert_eq!(kinds("alien"), ["extra"]);
            assert_eq!(kinds("empty"), ["missing"]);
            assert_eq!(told.len(), 5, "{told:?}");
            assert_eq!(report.kind(), Some(FailureKind::Different));
            let one = report.differences.iter().find(|one| one.name == "one").unwrap();
            assert_eq!(one.basis, if values { ComparisonBasis::Values } else { ComparisonBasis::Marks });
            let text = serde_json::to_string(&report).unwrap();
            assert!(!text.contains("hunter2") && !text.contains("pass-word"), "{text}");
        }
    }
}

#[tokio::test]
async fn rotation_is_drift_unless_it_is_held_back() {
    let pair = full().await;
    let backup = pair.backup().await;
    restore(&pair, &backup, &PlanOptions::default()).await;
    let metadata = format!("{}/metadata", secret(&pair.standby, "user"));
    pair.standby.patch(&metadata, r#"{"rotation":{"auto_rotate":true,"interval":1,"unit":"month"}}"#);
    let both = against(&pair, &backup, false).await;
    assert!(told(&both)["user"].contains(&"rotation"), "{both:#?}");
    assert!(both.held.is_empty());
    let metadata = format!("{}/metadata", secret(&pair.source, "user"));
    pair.source.patch(&metadata, r#"{"rotation":{"auto_rotate":false}}"#);
    let only_there = against_source(&pair, false).await;
    let what: Vec<&str> = only_there.differences.iter().map(|one| one.what.as_str()).collect();
    assert!(what.contains(&"it rotates in the standby and not in the source"), "{what:?}");
}

#[tokio::test]
async fn without_a_key_what_nobody_marked_is_not_called_equal() {
    let pair = full().await;
    for peer in [&pair.source, &pair.standby] {
        peer.make("secrets", r#"{"secret_type":"arbitrary","name":"by-hand","payload":"the same in both"}"#);
    }
    let backup = pair.backup().await;
    let options = PlanOptions { only: vec!["by-hand".parse().unwrap()], ..PlanOptions::default() };
    let look = |values| {
        let expected = ComparedWith::Snapshot(backup.name().clone());
        let (pair, backup, options) = (&pair, &backup, &options);
        async move { drift(&system_context(), backup, expected, &pair.standby.client(), options, values).await.unwrap() }
    };
    let by_marks = look(false).await;
    assert_eq!(by_marks.kind(), Some(FailureKind::Partial), "{by_marks:#?}");
    assert!(by_marks.unknown.len() == 1 && by_marks.differences.is_empty());
    let by_value = look(true).await;
    assert_eq!((by_value.kind(), by_value.basis), (None, OverallBasis::Values), "{by_value:#?}");
}

#[tokio::test]
async fn what_the_snapshot_holds_no_payload_of_is_not_called_equal() {
    let pair = full().await;
    let mut backup = pair.backup().await;
    restore(&pair, &backup, &PlanOptions::default()).await;
    // As in a partial snapshot: the item was listed and could not be read.
    let id = pair.source.id_of("user");
    backup.forget(&id);
    for values in [false, true] {
        let found = against(&pair, &backup, values).await;
        assert_eq!(found.kind(), Some(FailureKind::Partial), "{found:#?}");
        assert_eq!(found.unknown.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["user"]);
        assert_eq!(found.compared[&ComparisonBasis::Nothing], 1);
    }
}

#[tokio::test]
async fn the_source_is_no_standby_of_itself() {
    let pair = full().await;
    let source = pair.source.client();
    let live = LiveInstance::take(&system_context(), &source, false).await.unwrap();
    let expected = ComparedWith::Source { full_name: live.name().source.clone(), at: live.name().time };
    let error = drift(&system_context(), &live, expected, &source, &PlanOptions::default(), false).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Moved, "{error}");
}

#[tokio::test]
async fn with_every_type_there_is_drift_only_where_a_restore_has_something_left_to_do() {
    let pair = Pair::start().await;
    every_type(&pair.source.instance, 7).unwrap();
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let report = run(&pair, &backup, &made).await;
    assert!(report.stopped.is_none(), "{report:#?}");
    let left = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let steps = left.steps.iter().map(|step| step.key.to_string());
    let in_the_way = left.conflicts.iter().map(|remark| remark.key.to_string());
    let left: BTreeSet<String> = steps.chain(in_the_way).collect();
    for values in [false, true] {
        for found in [against(&pair, &backup, values).await, against_source(&pair, values).await] {
            // Only its payload shows that a certificate was made from somebody's own request and has no key here.
            let keyless = |name: &str| !values && name == "private-from-request";
            let differing = found.differences.iter().filter(|one| !keyless(&one.name));
            let differ: BTreeSet<String> = differing.map(|one| one.key.to_string()).collect();
            assert_eq!(differ, left, "values {values}: {:#?}", found.differences);
            assert!(found.unknown.is_empty(), "{:#?}", found.unknown);
            assert!(!found.unrestorable.is_empty() && !found.held.is_empty(), "{found:#?}");
        }
    }
    assert!(pair.source.instance.forbidden_acts().is_empty(), "a read that destroys");
    assert!(pair.standby.instance.forbidden_acts().is_empty(), "a read that destroys");
}
