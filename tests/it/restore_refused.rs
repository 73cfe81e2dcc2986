//! What a restore does not do, and what it says then: conflicts, the wrong target, what moved, an instance that fails.

use keyhaven::instance::embedded::{Act, Hook, Verb, When};
use keyhaven::job::restore::guard::GuardError;
use keyhaven::job::restore::{Consent, OnConflict, PlanOptions, RestoreError, apply, plan};
use keyhaven::model::FailureKind;

use crate::restore_kit::{
    ODD, Pair, Peer, SOURCE_ID, confirmed, content, context, full, make_plan, options, quick, restore, run,
};

#[tokio::test]
async fn what_the_standby_has_of_its_own_stops_that_item_only() {
    let pair = full().await;
    let standby = &pair.standby;
    let test = standby.group("test");
    standby.make("secrets", r#"{"secret_type":"kv","name":"odd","data":{"own":1}}"#);
    standby.make(
        "secrets",
        &format!(r#"{{"secret_type":"arbitrary","name":"one","secret_group_id":"{test}","payload":"own"}}"#),
    );
    standby.post(
        "configurations",
        r#"{"config_type":"iam_credentials_configuration","name":"conf-configuration","api_key":"ownkey12ownkey34"}"#,
    );
    standby.post(
        "notifications/registration",
        r#"{"event_notifications_instance_crn":"crn:v1:bluemix:public:event-notifications:eu-gb:a/1:9::",
            "event_notifications_source_name":"own"}"#,
    );
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let mut conflicts: Vec<&str> = made.conflicts.iter().map(|remark| remark.name.as_str()).collect();
    conflicts.sort_unstable();
    assert_eq!(conflicts, ["conf-configuration", "odd", "one", "registration"], "{:#?}", made.conflicts);
    let report = run(&pair, &backup, &made).await;
    assert_eq!(report.kind(), Some(FailureKind::Moved));
    assert_eq!(report.conflicts.len(), 4);
    assert_eq!(report.left, 0);
    let there = content(standby);
    assert!(there.contains_key("secret prod/username_password/user"), "the others go on");
    assert!(there["secret default/kv/odd"].contains(r#""own":1"#), "what is its own is left alone");

    // Asked to, the snapshot goes on top, and the standby's own stays as the previous version.
    let options = PlanOptions { on_conflict: OnConflict::Overwrite, ..PlanOptions::default() };
    let made = make_plan(&pair, &backup, &options).await;
    let mut conflicts: Vec<&str> = made.conflicts.iter().map(|remark| remark.name.as_str()).collect();
    conflicts.sort_unstable();
    assert_eq!(conflicts, ["one", "registration"], "{:#?}", made.conflicts);
    run(&pair, &backup, &made).await;
    let there = content(standby);
    let odd = &there["secret default/kv/odd"];
    assert!(odd.contains(r#"previous payload=null data={"own":1}"#) && odd.contains(&format!("data={ODD}")), "{odd}");
    assert!(there["configuration iam_credentials_configuration/conf-configuration"].contains("abcd1234efgh5678"));
}

#[tokio::test]
async fn a_lock_that_the_snapshot_does_not_know_is_never_taken_off() {
    let pair = Pair::start().await;
    let source = &pair.source;
    let id = source.make("secrets", r#"{"secret_type":"arbitrary","name":"held","payload":"v1"}"#);
    source.version(&id, "v2");
    restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    let theirs = pair.standby.id_of("held");
    pair.standby.post(&format!("secrets/{theirs}/versions/previous/locks_bulk"), r#"{"locks":[{"name":"theirs"}]}"#);
    source.version(&id, "v3");
    let made = make_plan(&pair, &pair.backup().await, &PlanOptions::default()).await;
    assert!(made.steps.is_empty(), "{:#?}", made.steps);
    assert!(made.conflicts[0].reason.contains("locked by theirs"), "{:#?}", made.conflicts);
    assert_eq!(made.check(), Some(FailureKind::Moved));
}

#[tokio::test]
async fn the_source_is_never_restored_into_by_accident() {
    let pair = full().await;
    let backup = pair.backup().await;
    let into = |peer: &Peer, consent: Consent| {
        let (client, backup) = (peer.client(), &backup);
        async move {
            let made = plan(&context(), backup, &client, &PlanOptions::default(), &consent).await?;
            apply(&context(), &made, backup, &client, &quick(), &consent).await
        }
    };
    pair.source.instance.reset_counters();
    // It has what the snapshot has.
    for consent in [Consent::default(), confirmed()] {
        let error = into(&pair.source, consent).await.unwrap_err();
        assert!(matches!(error, RestoreError::Guard(GuardError::IsSource { .. })), "{error}");
        assert_eq!(error.kind(), FailureKind::Moved);
    }
    assert_eq!(pair.source.instance.counters().writing, 0);
    // Emptied, it looks like any empty standby: somebody has to say which one it is.
    let emptied = Peer::start(options(SOURCE_ID, "eu-de", &pair.clock)).await;
    let error = into(&emptied, Consent::default()).await.unwrap_err();
    assert!(matches!(error, RestoreError::Guard(GuardError::Unconfirmed { .. })), "{error}");
    let named = Consent { confirm: Some(SOURCE_ID.to_owned()), into_source: None };
    assert!(matches!(into(&emptied, named).await, Err(RestoreError::Guard(GuardError::IsSource { .. }))));
    assert_eq!(emptied.instance.counters().writing, 0);
    // Whoever says it wrongly is told by the first answer that shows it, before anything else is done.
    let report = into(&emptied, confirmed()).await.unwrap();
    let stopped = report.stopped.as_ref().unwrap();
    assert_eq!(stopped.kind, FailureKind::Moved);
    assert!(stopped.reason.contains("the source itself"), "{}", stopped.reason);
    assert!(emptied.instance.counters().writing <= 2, "a group and one secret at most");
    // Asked for by name it may be.
    let by_name = Consent { confirm: None, into_source: Some(SOURCE_ID.to_owned()) };
    let report = into(&pair.source, by_name).await.unwrap();
    assert!(report.stopped.is_none() && report.failed.is_empty(), "{report:#?}");
}

#[tokio::test]
async fn a_standby_that_was_never_named_is_only_read() {
    let pair = full().await;
    let backup = pair.backup().await;
    let (client, nobody) = (pair.standby.client(), Consent::default());
    let made = plan(&context(), &backup, &client, &PlanOptions::default(), &nobody).await.unwrap();
    let other = Consent { confirm: Some("33333333-0f4d-4a6b-8c7d-9e0f1a2b3c4d".to_owned()), into_source: None };
    let report = apply(&context(), &made, &backup, &pair.standby.client(), &quick(), &other).await.unwrap();
    assert!(report.stopped.as_ref().unwrap().reason.contains("is instance 22222222"), "{report:#?}");
    assert!(pair.standby.instance.counters().writing <= 2);
}

#[tokio::test]
async fn what_moved_after_the_plan_is_a_conflict_for_that_item_alone() {
    let pair = full().await;
    restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    for name in ["one", "odd"] {
        let id = pair.source.id_of(name);
        let body = if name == "odd" { r#"{"data":{"n":2}}"# } else { r#"{"payload":"v4"}"# };
        pair.source.make(&format!("secrets/{id}/versions"), body);
    }
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let theirs = pair.standby.id_of("one");
    pair.standby.version(&theirs, "rotated in the standby");
    // What the plan does not touch may move.
    pair.standby.patch(&format!("secrets/{}/metadata", pair.standby.id_of("user")), r#"{"description":"mine"}"#);
    let report = run(&pair, &backup, &made).await;
    let moved: Vec<&str> = report.conflicts.iter().map(|remark| remark.name.as_str()).collect();
    assert_eq!(moved, ["one"], "{report:#?}");
    assert_eq!(report.kind(), Some(FailureKind::Moved));
    let there = content(&pair.standby);
    assert!(there["secret prod/arbitrary/one"].contains("rotated in the standby"));
    assert!(there["secret default/kv/odd"].contains(r#"{"n":2}"#));
}

#[tokio::test]
async fn a_cancelled_run_says_so_and_goes_on_later() {
    let pair = full().await;
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let stopping = context();
    let cancel = stopping.cancel.clone();
    let hook: Hook = std::sync::Arc::new(move |_, _| cancel.cancel());
    pair.standby.instance.fault(When::any().verb(Verb::Post).nth(4), Act::After(hook));
    let client = pair.standby.client();
    let report = apply(&stopping, &made, &backup, &client, &quick(), &confirmed()).await.unwrap();
    assert_eq!(report.kind(), Some(FailureKind::Interrupted));
    assert!(report.left > 0 && report.done > 0, "{report:#?}");
    let report = run(&pair, &backup, &made).await;
    assert_eq!(report.kind(), None, "{report:#?}");
    assert_eq!(content(&pair.standby), content(&pair.source));
}

#[tokio::test]
async fn a_secret_that_came_from_another_one_is_not_taken_over() {
    let pair = Pair::start().await;
    let old = pair.source.make("secrets", r#"{"secret_type":"kv","name":"again","data":{"a":1}}"#);
    restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    pair.source.call(Verb::Delete, &format!("secrets/{old}"), "");
    pair.source.make("secrets", r#"{"secret_type":"kv","name":"again","data":{"a":2}}"#);
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert!(made.steps.is_empty() && made.conflicts[0].reason.contains(&old), "{made:#?}");
    let options = PlanOptions { on_conflict: OnConflict::Overwrite, ..PlanOptions::default() };
    let report = run(&pair, &backup, &make_plan(&pair, &backup, &options).await).await;
    assert_eq!(report.kind(), None, "{report:#?}");
    assert!(content(&pair.standby)["secret default/kv/again"].contains(r#"current payload=null data={"a":2}"#));
}

#[tokio::test]
async fn a_mark_that_lies_is_found_when_payloads_are_compared() {
    let pair = Pair::start().await;
    pair.source.make("secrets", r#"{"secret_type":"kv","name":"true","data":{"a":1}}"#);
    let backup = pair.backup().await;
    restore(&pair, &backup, &PlanOptions::default()).await;
    let id = pair.standby.id_of("true");
    let version = |peer: &Peer| peer.get(&format!("secrets/{id}/versions/current/metadata"));
    let mark = version(&pair.standby).get("version_custom_metadata").unwrap().get().to_owned();
    let row = pair.standby.get(&format!("secrets/{id}/metadata"));
    let row_mark = row.get("custom_metadata").unwrap().get().to_owned();
    pair.standby.call(Verb::Delete, &format!("secrets/{id}"), "");
    let body = format!(
        r#"{{"secret_type":"kv","name":"true","data":{{"a":2}},"custom_metadata":{row_mark},"version_custom_metadata":{mark}}}"#
    );
    pair.standby.make("secrets", &body);
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert!(made.is_empty(), "without reading payloads the marks are believed: {made:#?}");
    let made = make_plan(&pair, &backup, &PlanOptions { deep: true, ..PlanOptions::default() }).await;
    assert!(made.conflicts[0].reason.contains("another payload"), "{made:#?}");
}

#[tokio::test]
async fn one_item_that_the_instance_cannot_take_does_not_hold_up_the_others() {
    let pair = full().await;
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let refuse = |status| Act::Status { status, retry_after: None };
    pair.standby.instance.fault(When::any().verb(Verb::Post).path("/configurations").nth(2), refuse(403));
    let report = run(&pair, &backup, &made).await;
    assert_eq!(report.failed.len(), 1, "{report:#?}");
    assert_eq!(report.kind(), Some(FailureKind::Partial));
    assert_eq!(report.left, 1);
    pair.standby.instance.clear_faults();
    assert_eq!(run(&pair, &backup, &made).await.kind(), None);
    assert_eq!(content(&pair.standby), content(&pair.source));
}

#[tokio::test]
async fn an_instance_that_fails_all_the_time_stops_the_run() {
    let pair = full().await;
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    pair.standby.instance.fault(When::any().verb(Verb::Post), Act::DropBefore);
    pair.standby.instance.fault(When::any().verb(Verb::Get).nths(8..), Act::DropBefore);
    let report = run(&pair, &backup, &made).await;
    assert_eq!(report.kind(), Some(FailureKind::Instance), "{report:#?}");
    assert_eq!((report.done, report.id_map.is_none()), (0, true));
}

#[tokio::test]
async fn a_plan_is_bound_to_its_snapshot_and_its_standby() {
    let pair = full().await;
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    pair.source.version(&pair.source.id_of("one"), "v4");
    let later = pair.backup().await;
    let (context, client, consent) = (context(), pair.standby.client(), confirmed());
    let error = apply(&context, &made, &later, &client, &quick(), &consent).await.unwrap_err();
    assert!(matches!(error, RestoreError::Unfit { .. }) && error.kind() == FailureKind::Moved, "{error}");
    let other = Peer::start(options("33333333-0f4d-4a6b-8c7d-9e0f1a2b3c4d", "eu-gb", &pair.clock)).await;
    let error = apply(&context, &made, &backup, &other.client(), &quick(), &consent).await.unwrap_err();
    assert!(matches!(error, RestoreError::Unfit { .. }), "{error}");
}
