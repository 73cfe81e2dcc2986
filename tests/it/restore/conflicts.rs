//! What happens to what the standby has of its own: reported, left alone, covered, or replaced.

use keyhaven::job::restore::{OnConflict, PlanOptions};
use keyhaven::model::FailureKind;
use keyhaven::provider::embedded::{Act, Verb, When};

use crate::kit::restore::{Pair, content, make_plan, nothing_left, restore, run, words};

fn on_conflict(on_conflict: OnConflict) -> PlanOptions {
    PlanOptions { on_conflict, ..PlanOptions::default() }
}

/// A standby that has two items of the source with other content, one of them locked, and a third that fits nowhere.
async fn contested() -> Pair {
    let pair = Pair::start().await;
    let engine =
        |key: &str| format!(r#"{{"config_type":"iam_credentials_configuration","name":"engine","api_key":"{key}"}}"#);
    pair.source.post("configurations", &engine("abcd1234efgh5678"));
    pair.standby.post("configurations", &engine("their1234own5678"));
    let user = |name: &str| {
        format!(r#"{{"secret_type":"username_password","name":"user","username":"{name}","password":"pass-word-1"}}"#)
    };
    pair.source.make("secrets", &user("ours"));
    let theirs = pair.standby.make("secrets", &user("theirs"));
    let version = r#"{"password":"pass-word-2"}"#;
    pair.standby.make(&format!("secrets/{theirs}/versions"), version);
    for alias in ["current", "previous"] {
        pair.standby.post(&format!("secrets/{theirs}/versions/{alias}/locks_bulk"), r#"{"locks":[{"name":"theirs"}]}"#);
    }
    pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"free","payload":"x"}"#);
    pair
}

#[tokio::test]
async fn skipping_leaves_what_is_theirs_alone_and_is_no_failure() {
    let pair = contested().await;
    let backup = pair.backup().await;
    let before = content(&pair.standby);
    let failing = make_plan(&pair, &backup, &on_conflict(OnConflict::Fail)).await;
    assert_eq!(failing.conflicts.len(), 2, "{:#?}", failing.conflicts);
    let options = on_conflict(OnConflict::Skip);
    let made = make_plan(&pair, &backup, &options).await;
    assert!(made.conflicts.is_empty(), "{:#?}", made.conflicts);
    let skipped: Vec<&str> = made.skips.iter().map(|one| one.name.as_str()).collect();
    assert!(skipped.contains(&"user") && skipped.contains(&"engine"), "{skipped:?}");
    assert_eq!(words(&made), ["create_secret free"]);
    let report = run(&pair, &backup, &made).await;
    assert!(report.kind().is_none(), "{report:#?}");
    nothing_left(&pair, &backup, &made, &options).await;
    let mut after = content(&pair.standby);
    assert!(after.remove("secret default/arbitrary/free").is_some());
    assert_eq!(after, before);
}

#[tokio::test]
async fn replacing_takes_locks_off_deletes_and_makes_anew() {
    let pair = contested().await;
    let backup = pair.backup().await;
    let options = on_conflict(OnConflict::Replace);
    let made = make_plan(&pair, &backup, &options).await;
    assert!(made.conflicts.is_empty(), "{:#?}", made.conflicts);
    let about = |name: &str| {
        let steps = made.steps.iter().filter(|step| step.name == name);
        steps.map(|step| step.action.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(about("user"), ["remove_locks", "remove_locks", "delete", "create_secret"]);
    assert_eq!(about("engine"), ["delete", "create_configuration"]);
    let old = pair.standby.id_of("user");
    let report = run(&pair, &backup, &made).await;
    assert!(report.kind().is_none(), "{report:#?}");
    assert_ne!(pair.standby.id_of("user"), old);
    assert_eq!(content(&pair.standby), content(&pair.source));
    nothing_left(&pair, &backup, &made, &options).await;
}

#[tokio::test]
async fn what_moved_since_the_plan_is_not_deleted() {
    let pair = contested().await;
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &on_conflict(OnConflict::Replace)).await;
    let theirs = pair.standby.id_of("user");
    let unlock = format!("secrets/{theirs}/versions/previous/locks_bulk?name=theirs");
    pair.standby.call(keyhaven::provider::embedded::Verb::Delete, &unlock, "");
    pair.standby.make(&format!("secrets/{theirs}/versions"), r#"{"password":"pass-word-3"}"#);
    let report = run(&pair, &backup, &made).await;
    assert_eq!(report.kind(), Some(FailureKind::Moved), "{report:#?}");
    assert_eq!(pair.standby.id_of("user"), theirs);
    assert_eq!(pair.standby.get(&format!("secrets/{theirs}")).str("password").as_deref(), Some("pass-word-3"));
}

#[tokio::test]
async fn what_was_restored_from_another_secret_is_never_replaced() {
    let pair = Pair::start().await;
    let first = pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"one","payload":"first"}"#);
    let before = pair.backup().await;
    let made = make_plan(&pair, &before, &PlanOptions::default()).await;
    run(&pair, &before, &made).await;
    pair.source.call(keyhaven::provider::embedded::Verb::Delete, &format!("secrets/{first}"), "");
    pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"one","payload":"second"}"#);
    let made = make_plan(&pair, &pair.backup().await, &on_conflict(OnConflict::Replace)).await;
    assert!(made.steps.is_empty(), "{:#?}", made.steps);
    assert!(made.conflicts[0].reason.contains("restored from another one"), "{:#?}", made.conflicts);
}

#[tokio::test]
async fn nothing_is_deleted_that_cannot_be_made_anew() {
    let pair = contested().await;
    let mut backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &on_conflict(OnConflict::Replace)).await;
    backup.damage(&pair.source.id_of("user"));
    let before = content(&pair.standby);
    let report = run(&pair, &backup, &made).await;
    let failed: Vec<&str> = report.failed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(failed, ["user"], "{report:#?}");
    let user = "secret default/username_password/user";
    assert_eq!(content(&pair.standby)[user], before[user], "with its locks");
}

#[tokio::test]
async fn a_creation_that_is_refused_behind_a_deletion_is_said_and_the_same_plan_mends_it() {
    let pair = contested().await;
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &on_conflict(OnConflict::Replace)).await;
    let refuse = || Act::Status { status: 400, retry_after: None };
    for path in ["/secrets", "/configurations"] {
        pair.standby.instance.fault(When::any().verb(Verb::Post).path(path).nth(1), refuse());
    }
    let report = run(&pair, &backup, &made).await;
    assert!(!report.failed.is_empty(), "{report:#?}");
    let gone = report.failed.iter().filter(|one| one.reason.contains("was deleted for this")).count();
    assert_eq!(gone, report.failed.iter().filter(|one| one.name != "free").count(), "{report:#?}");
    assert!(gone > 0, "{report:#?}");
    let report = run(&pair, &backup, &made).await;
    assert!(report.kind().is_none(), "{report:#?}");
    assert_eq!(content(&pair.standby), content(&pair.source));
}

#[tokio::test]
async fn what_another_item_of_the_snapshot_became_is_covered_by_no_policy() {
    let pair = Pair::start().await;
    pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"one","payload":"first"}"#);
    pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"two","payload":"second"}"#);
    let backup = pair.backup().await;
    restore(&pair, &backup, &PlanOptions { only: vec!["one".parse().unwrap()], ..PlanOptions::default() }).await;
    // A slip in a rule, and the one that has the name is left out.
    let rule = r#"{"rules":[{"select":["name:two"],"name":"one"}]}"#;
    for policy in [OnConflict::NewVersion, OnConflict::Replace, OnConflict::Fail] {
        let options = PlanOptions {
            policies: serde_json::from_str(rule).unwrap(),
            exclude: vec!["name:default/one".parse().unwrap()],
            only: vec!["name:two".parse().unwrap()],
            ..on_conflict(policy)
        };
        let made = make_plan(&pair, &backup, &options).await;
        assert!(made.steps.is_empty(), "{policy:?}: {:#?}", made.steps);
    }
    let excluded = PlanOptions {
        policies: serde_json::from_str(rule).unwrap(),
        only: vec!["name:two".parse().unwrap()],
        ..on_conflict(OnConflict::NewVersion)
    };
    let made = make_plan(&pair, &backup, &excluded).await;
    assert!(made.steps.is_empty(), "{:#?}", made.steps);
    assert!(made.conflicts.iter().any(|one| one.reason.contains("which the snapshot has too")), "{made:#?}");
}

#[tokio::test]
async fn a_new_name_that_the_standby_has_already_is_a_conflict_of_the_plan() {
    let pair = Pair::start().await;
    let id = pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"one","payload":"first"}"#);
    restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    pair.source.patch(&format!("secrets/{id}/metadata"), r#"{"name":"two"}"#);
    pair.standby.make("secrets", r#"{"secret_type":"arbitrary","name":"two","payload":"theirs"}"#);
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert!(made.steps.is_empty(), "{:#?}", made.steps);
    assert!(made.conflicts[0].reason.contains("another secret of this type and name"), "{:#?}", made.conflicts);
    let made = make_plan(&pair, &backup, &on_conflict(OnConflict::Skip)).await;
    assert!(made.steps.is_empty() && made.conflicts.is_empty(), "{made:#?}");
    // Renamed there as well, it is in nobody's way.
    let theirs = pair.standby.id_of("two");
    pair.standby.patch(&format!("secrets/{theirs}/metadata"), r#"{"name":"three"}"#);
    restore(&pair, &backup, &PlanOptions::default()).await;
}

#[tokio::test]
async fn metadata_of_its_own_is_covered_only_when_that_was_asked_for() {
    let pair = Pair::start().await;
    let body = |own: &str| format!(r#"{{"secret_type":"arbitrary","name":"one","payload":"same","labels":["{own}"]}}"#);
    pair.source.make("secrets", &body("ours"));
    pair.standby.make("secrets", &body("theirs"));
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert!(made.steps.is_empty(), "{:#?}", made.steps);
    assert!(made.conflicts[0].reason.contains("metadata of its own"), "{:#?}", made.conflicts);
    let made = make_plan(&pair, &backup, &on_conflict(OnConflict::Skip)).await;
    assert!(made.steps.is_empty() && made.conflicts.is_empty(), "{made:#?}");
    let made = make_plan(&pair, &backup, &on_conflict(OnConflict::NewVersion)).await;
    let patch = made.steps.iter().find(|step| step.action.as_str() == "patch_metadata").unwrap();
    assert_eq!(patch.reason, "its metadata differs", "and not only a mark");
    restore(&pair, &backup, &on_conflict(OnConflict::Replace)).await;
    assert_eq!(content(&pair.standby), content(&pair.source));
}
