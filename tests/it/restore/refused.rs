//! What a restore does not do, and what it says then: conflicts, the wrong target, what moved, an instance that fails.

use keyhaven::job::plan_file::PlanFile as _;
use keyhaven::job::restore::guard::GuardError;
use keyhaven::job::restore::{ApplyOptions, Consent, OnConflict, Plan, PlanOptions, RestoreError, apply, plan};
use keyhaven::model::FailureKind;
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{Act, Hook, Verb, When};

use crate::kit::clock::system_context;
use crate::kit::restore::{
    ODD, Pair, Peer, SOURCE_ID, confirmed, content, full, make_plan, options, quick, restore, run,
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
    let options = PlanOptions { on_conflict: OnConflict::NewVersion, ..PlanOptions::default() };
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
    assert!(made.conflicts[0].reason.contains("has the lock theirs"), "{:#?}", made.conflicts);
    assert_eq!(made.check(), Some(FailureKind::Moved));
}

#[tokio::test]
async fn the_source_is_never_restored_into_by_accident() {
    let pair = full().await;
    let backup = pair.backup().await;
    let into = |peer: &Peer, consent: Consent| {
        let (client, backup) = (peer.client(), &backup);
        async move {
            let made = plan(&system_context(), backup, &client, &PlanOptions::default(), &consent).await?;
            apply(&system_context(), &made, backup, &client, &quick(), &consent).await
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
    // Also when the answer that would have told it got lost.
    let emptied = Peer::start(options(SOURCE_ID, "eu-de", &pair.clock)).await;
    emptied.instance.fault(When::any().verb(Verb::Post).path("/secrets").nth(1), Act::DropAfter);
    let report = into(&emptied, confirmed()).await.unwrap();
    assert!(report.stopped.as_ref().unwrap().reason.contains("the source itself"), "{report:#?}");
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
    let made = plan(&system_context(), &backup, &client, &PlanOptions::default(), &nobody).await.unwrap();
    let other = Consent { confirm: Some("33333333-0f4d-4a6b-8c7d-9e0f1a2b3c4d".to_owned()), into_source: None };
    let report = apply(&system_context(), &made, &backup, &pair.standby.client(), &quick(), &other).await.unwrap();
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
    let stopping = system_context();
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
    let options = PlanOptions { on_conflict: OnConflict::NewVersion, ..PlanOptions::default() };
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
    let (context, client, consent) = (system_context(), pair.standby.client(), confirmed());
    let error = apply(&context, &made, &later, &client, &quick(), &consent).await.unwrap_err();
    assert!(matches!(error, RestoreError::Unfit { .. }) && error.kind() == FailureKind::Moved, "{error}");
    let other = Peer::start(options("33333333-0f4d-4a6b-8c7d-9e0f1a2b3c4d", "eu-gb", &pair.clock)).await;
    let error = apply(&context, &made, &backup, &other.client(), &quick(), &consent).await.unwrap_err();
    assert!(matches!(error, RestoreError::Unfit { .. }), "{error}");
}

#[tokio::test]
async fn a_user_name_that_no_version_can_change_is_a_conflict_even_where_overwriting_is_allowed() {
    let pair = Pair::start().await;
    let body = |name: &str| {
        format!(r#"{{"secret_type":"username_password","name":"db","username":"{name}","password":"pass-word-1"}}"#)
    };
    pair.source.make("secrets", &body("alice"));
    pair.standby.make("secrets", &body("robert"));
    let backup = pair.backup().await;
    let options = PlanOptions { on_conflict: OnConflict::NewVersion, ..PlanOptions::default() };
    let made = make_plan(&pair, &backup, &options).await;
    assert!(made.steps.is_empty() && made.conflicts[0].reason.contains("user name"), "{made:#?}");
    assert_eq!(run(&pair, &backup, &made).await.kind(), Some(FailureKind::Moved));
}

#[tokio::test]
async fn reading_back_tells_what_no_step_can_mend() {
    // A payload that is not what its mark says: only a comparison of payloads shows it.
    let pair = Pair::start().await;
    pair.source.make("secrets", r#"{"secret_type":"kv","name":"same","data":{"a":1}}"#);
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    restore(&pair, &backup, &PlanOptions::default()).await;
    let id = pair.standby.id_of("same");
    let row = pair.standby.get(&format!("secrets/{id}/metadata"));
    let version = pair.standby.get(&format!("secrets/{id}/versions/current/metadata"));
    let text = |row: &JsonObject, name: &str| row.get(name).unwrap().get().to_owned();
    let (mark, version_mark) = (text(&row, "custom_metadata"), text(&version, "version_custom_metadata"));
    pair.standby.call(Verb::Delete, &format!("secrets/{id}"), "");
    pair.standby.make(
        "secrets",
        &format!(
            r#"{{"secret_type":"kv","name":"same","data":{{"a":2}},"custom_metadata":{mark},
               "version_custom_metadata":{version_mark}}}"#
        ),
    );
    let deep = ApplyOptions { deep: true, ..quick() };
    let client = pair.standby.client();
    let report = apply(&system_context(), &made, &backup, &client, &deep, &confirmed()).await.unwrap();
    assert_eq!(report.kind(), Some(FailureKind::Partial), "{report:#?}");
    assert!(report.read_back.unwrap().differences[0].reason.contains("another payload"));
}

#[tokio::test]
async fn a_previous_version_that_got_lost_on_the_way_is_no_success() {
    let pair = Pair::start().await;
    let id = pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"two","payload":"v1"}"#);
    pair.source.version(&id, "v2");
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    // The service does not keep the previous payload: somebody adds a version at once.
    let standby = pair.standby.instance.clone();
    let hook: Hook = std::sync::Arc::new(move |_, _| {
        let rows = JsonObject::parse(&standby.call(Verb::Get, "/api/v2/secrets", "").body).unwrap();
        let row = JsonObject::parse(rows.array("secrets").unwrap()[0].get()).unwrap();
        let path = format!("/api/v2/secrets/{}/versions", row.str("id").unwrap());
        let current = JsonObject::parse(&standby.call(Verb::Get, &format!("{path}/current"), "").body).unwrap();
        let mark = current.get("version_custom_metadata").unwrap().get().to_owned();
        for payload in ["theirs", "v2"] {
            let body = format!(r#"{{"payload":"{payload}","version_custom_metadata":{mark}}}"#);
            assert!(standby.call(Verb::Post, &path, &body).status < 300);
        }
    });
    pair.standby.instance.fault(When::any().verb(Verb::Post).path("/versions").nth(1), Act::After(hook));
    let report = run(&pair, &backup, &made).await;
    let differs = &report.read_back.as_ref().unwrap().differences;
    assert!(differs.iter().any(|remark| remark.reason.contains("is missing in the standby")), "{report:#?}");
    assert_eq!(report.kind(), Some(FailureKind::Partial));
}

#[tokio::test]
async fn while_the_target_has_not_shown_itself_nothing_but_secrets_and_their_groups_is_made() {
    let pair = full().await;
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let refuse = Act::Status { status: 403, retry_after: None };
    // The first secret is refused: the next one shows it, and all the rest goes on.
    pair.standby.instance.fault(When::any().verb(Verb::Post).path("/secrets").nth(1), refuse.clone());
    let report = run(&pair, &backup, &made).await;
    assert!(report.stopped.is_none() && report.failed.len() == 1, "{report:#?}");
    // All are refused: an emptied source would look the same, so nothing else is written.
    let other = Peer::start(options(SOURCE_ID, "eu-de", &pair.clock)).await;
    let made = plan(&system_context(), &backup, &other.client(), &PlanOptions::default(), &confirmed()).await.unwrap();
    other.instance.fault(When::any().verb(Verb::Post).path("/secrets"), refuse);
    let report = apply(&system_context(), &made, &backup, &other.client(), &quick(), &confirmed()).await.unwrap();
    assert!(report.stopped.as_ref().unwrap().reason.contains("did not show which instance it is"), "{report:#?}");
    let there = content(&other);
    assert!(there.keys().all(|name| name.starts_with("group ")), "{there:#?}");
}

#[tokio::test]
async fn a_plan_that_was_changed_by_hand_is_refused() {
    let pair = full().await;
    let made = make_plan(&pair, &pair.backup().await, &PlanOptions::default()).await;
    let text = made.to_json().unwrap();
    for (from, to) in [
        (r#""mark_version": true"#, r#""mark_version": false"#),
        (r#""allow_rotation": false"#, r#""allow_rotation": true"#),
        (SOURCE_ID, "44444444-0f4d-4a6b-8c7d-9e0f1a2b3c4d"),
        (r#""name": "one""#, r#""name": "two""#),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} is in a plan");
        let error = Plan::from_json(changed.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("changed after it was made"), "{from}: {error}");
        assert_eq!(error.kind(), FailureKind::Usage);
    }
}

#[tokio::test]
async fn a_plan_for_an_instance_named_by_its_rows_is_not_applied_to_one_confirmed_otherwise() {
    let pair = full().await;
    restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    pair.source.version(&pair.source.id_of("one"), "v4");
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    // An empty instance at another address shows nothing of itself; what the operator says of it counts.
    let other_id = "33333333-0f4d-4a6b-8c7d-9e0f1a2b3c4d";
    let other = Peer::start(options(other_id, "eu-gb", &pair.clock)).await;
    let consent = Consent { confirm: Some(other_id.to_owned()), into_source: None };
    let error = apply(&system_context(), &made, &backup, &other.client(), &quick(), &consent).await.unwrap_err();
    assert!(matches!(error, RestoreError::Unfit { .. }), "{error}");
    assert_eq!(other.instance.counters().writing, 0);
}

#[tokio::test]
async fn locks_that_stay_off_because_the_version_was_refused_are_said() {
    let pair = Pair::start().await;
    let source = &pair.source;
    let id = source.make("secrets", r#"{"secret_type":"arbitrary","name":"held","payload":"v1"}"#);
    source.version(&id, "v2");
    source.post(&format!("secrets/{id}/versions/previous/locks_bulk"), r#"{"locks":[{"name":"in-use"}]}"#);
    restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    source.call(Verb::Delete, &format!("secrets/{id}/versions/previous/locks_bulk?name=in-use"), "");
    source.version(&id, "v3");
    source.post(&format!("secrets/{id}/versions/previous/locks_bulk"), r#"{"locks":[{"name":"in-use"}]}"#);
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let refuse = Act::Status { status: 403, retry_after: None };
    pair.standby.instance.fault(When::any().verb(Verb::Post).path("/versions").nth(1), refuse);
    let report = run(&pair, &backup, &made).await;
    assert!(report.failed[0].reason.contains("locks in-use were taken off"), "{report:#?}");
    assert_eq!(run(&pair, &backup, &made).await.kind(), None, "the same plan puts them back");
    assert_eq!(content(&pair.standby), content(source));
}

#[tokio::test]
async fn a_damaged_pack_costs_only_what_lies_in_it() {
    let pair = full().await;
    let mut backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    backup.damage(&pair.source.id_of("odd"));
    let report = run(&pair, &backup, &made).await;
    assert!(report.stopped.is_none(), "{report:#?}");
    let failed: Vec<&str> = report.failed.iter().map(|remark| remark.name.as_str()).collect();
    assert_eq!(failed, ["odd"], "{report:#?}");
    assert!(report.failed[0].reason.contains("cannot be used"), "{report:#?}");
    assert_eq!(report.kind(), Some(FailureKind::Partial));
    let (mut expected, there) = (content(&pair.source), content(&pair.standby));
    expected.remove("secret default/kv/odd");
    assert_eq!(there, expected);
    // And a comparison of payloads says so of that item, and goes on.
    pair.standby.make("secrets", r#"{"secret_type":"kv","name":"odd","data":{"own":1}}"#);
    let new = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert!(new.steps.is_empty() && new.losses.iter().any(|loss| loss.name == "odd"), "{new:#?}");
}

#[tokio::test]
async fn a_date_that_passed_since_the_plan_is_never_sent() {
    let pair = Pair::start().await;
    let id = pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"ends","payload":"p"}"#);
    restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    pair.source.patch(&format!("secrets/{id}/metadata"), r#"{"expiration_date":"2026-11-22T13:00:00Z"}"#);
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    pair.clock.advance(2 * 3_600_000);
    let before = pair.standby.instance.counters().writing;
    let report = run(&pair, &backup, &made).await;
    assert!(report.losses.iter().any(|loss| loss.reason.contains("after the plan was made")), "{report:#?}");
    assert_eq!(pair.standby.instance.counters().writing, before);
}
