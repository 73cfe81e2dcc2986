//! Plan and apply against embedded instances over HTTP.

use std::collections::BTreeMap;

use keyhaven::instance::embedded::{Act, Hook, NameScope, Planted, Precision, Switches, Verb, When};
use keyhaven::job::restore::guard::GuardError;
use keyhaven::job::restore::{Consent, OnConflict, Plan, PlanOptions, RestoreError, Selector, apply, plan};
use keyhaven::model::json::Object;
use keyhaven::model::{FailureKind, Payload};

use crate::restore_kit::{
    Pair, Peer, SOURCE_ID, STANDBY_ID, confirmed, content, context, make_plan, options, quick, restore, run, words,
};

const ODD: &str = r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}"#;

/// A source with every kind of item that can be restored.
async fn full() -> Pair {
    let pair = Pair::start().await;
    let source = &pair.source;
    let prod = source.group("prod");
    let _empty = source.group("empty");
    for (kind, fields) in [
        ("iam_credentials_configuration", r#""api_key":"abcd1234efgh5678""#),
        (
            "public_cert_configuration_ca_lets_encrypt",
            r#""lets_encrypt_environment":"staging","lets_encrypt_private_key":"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n""#,
        ),
        (
            "public_cert_configuration_dns_cloud_internet_services",
            r#""cloud_internet_services_apikey":"cis-key-1","cloud_internet_services_crn":"crn:v1:bluemix:public:internet-svcs:global:a/1:2::""#,
        ),
        (
            "public_cert_configuration_dns_classic_infrastructure",
            r#""classic_infrastructure_username":"user","classic_infrastructure_password":"classic-password""#,
        ),
    ] {
        let name = kind.rsplit('_').next().unwrap();
        source.post("configurations", &format!(r#"{{"config_type":"{kind}","name":"conf-{name}",{fields}}}"#));
    }
    let note = "crn:v1:bluemix:public:event-notifications:eu-de:a/1:3::";
    source.post(
        "notifications/registration",
        &format!(r#"{{"event_notifications_instance_crn":"{note}","event_notifications_source_name":"SM"}}"#),
    );
    let one = source.make(
        "secrets",
        &format!(
            r#"{{"secret_type":"arbitrary","name":"one","secret_group_id":"{prod}","description":"first",
               "labels":["tier-1"],"custom_metadata":{ODD},"version_custom_metadata":{ODD},
               "expiration_date":"2030-01-01T00:00:00Z","payload":"v1"}}"#
        ),
    );
    source.make(&format!("secrets/{one}/versions"), r#"{"payload":"v2","version_custom_metadata":{"n":2.50}}"#);
    source.version(&one, "v3");
    source.make("secrets", &format!(r#"{{"secret_type":"kv","name":"odd","data":{ODD},"labels":["tier-2"]}}"#));
    let user = source.make(
        "secrets",
        &format!(
            r#"{{"secret_type":"username_password","name":"user","secret_group_id":"{prod}","username":"admin",
               "password":"pass-word-1","rotation":{{"auto_rotate":true,"interval":1,"unit":"month"}}}}"#
        ),
    );
    source.make(&format!("secrets/{user}/versions"), r#"{"password":"pass-word-2"}"#);
    for (alias, name) in [("previous", "keep-old"), ("current", "keep-new"), ("current", "keep-old")] {
        source.post(
            &format!("secrets/{user}/versions/{alias}/locks_bulk"),
            &format!(r#"{{"locks":[{{"name":"{name}","description":"held by {name}","attributes":{ODD}}}]}}"#),
        );
    }
    pair
}

#[tokio::test]
async fn an_empty_standby_gets_everything() {
    let pair = full().await;
    let backup = pair.backup().await;
    let report = restore(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(report.kind(), None, "{report:#?}");
    assert_eq!(content(&pair.standby), content(&pair.source));
    let read = report.read_back.as_ref().unwrap();
    assert_eq!((read.items, read.differences.len()), (read.right, 0), "{read:?}");
}

#[tokio::test]
async fn numbers_of_payload_and_metadata_come_back_digit_for_digit() {
    let pair = full().await;
    let backup = pair.backup().await;
    restore(&pair, &backup, &PlanOptions::default()).await;
    let standby = &pair.standby;
    let kv = standby.get(&format!("secrets/{}/versions/current", standby.id_of("odd")));
    assert_eq!(kv.get("data").unwrap().get(), ODD);
    let row = standby.get(&format!("secrets/{}/metadata", standby.id_of("one")));
    let metadata = row.get("custom_metadata").unwrap().get();
    assert!(metadata.starts_with(ODD.strip_suffix('}').unwrap()), "{metadata}");
    let locks = standby.get(&format!("secrets/{}/locks", standby.id_of("user"))).array("locks").unwrap();
    assert!(locks.iter().all(|lock| lock.get().contains(ODD)));
}

#[tokio::test]
async fn a_half_filled_standby_gets_only_what_it_lacks() {
    let pair = full().await;
    restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    let (source, standby) = (&pair.source, &pair.standby);
    standby.call(Verb::Delete, &format!("secrets/{}", standby.id_of("odd")), "");
    let one = source.id_of("one");
    source.version(&one, "v4");
    source.patch(&format!("secrets/{one}/metadata"), r#"{"labels":["tier-9"],"custom_metadata":{"x":2}}"#);
    let user = source.id_of("user");
    source
        .patch(&format!("secrets/{user}/versions/current/metadata"), r#"{"version_custom_metadata":{"ticket":1e400}}"#);
    source.call(Verb::Delete, &format!("secrets/{user}/versions/current/locks_bulk?name=keep-new"), "");
    source.post(
        &format!("secrets/{user}/versions/current/locks_bulk"),
        r#"{"locks":[{"name":"keep-new","description":"another text"}]}"#,
    );
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let expected = [
        "add_version one",
        "patch_metadata one",
        "create_secret odd",
        "patch_version_metadata user",
        "remove_locks user",
        "add_locks user",
        "patch_metadata user",
    ];
    let mut words = words(&made);
    words.sort();
    assert_eq!(words, sorted(&expected), "{made:#?}");
    assert_eq!(made.totals.payloads_compared, 4, "the four configurations; of secrets the marks say it all");
    restore(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(content(standby), content(source));
}

fn sorted(words: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    words.sort();
    words
}

#[tokio::test]
async fn what_is_right_without_our_marks_is_adopted() {
    let pair = Pair::start().await;
    for peer in [&pair.source, &pair.standby] {
        let id = peer.make("secrets", r#"{"secret_type":"arbitrary","name":"same","payload":"p1"}"#);
        peer.version(&id, "p2");
    }
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let expected = ["patch_version_metadata same", "patch_version_metadata same", "patch_metadata same"];
    assert_eq!(words(&made), expected, "{made:#?}");
    assert_eq!(made.totals.payloads_compared, 2);
    restore(&pair, &backup, &PlanOptions::default()).await;
    let again = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(again.totals.payloads_compared, 0, "now the marks say it");
    assert_eq!(content(&pair.standby), content(&pair.source));
}

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
async fn a_locked_previous_version_is_unlocked_followed_and_locked_again() {
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
    let expected = ["remove_locks held", "add_version held", "put_back_locks held", "patch_metadata held"];
    assert_eq!(words(&made), expected, "{made:#?}");
    restore(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(content(&pair.standby), content(source));
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
async fn what_expired_is_a_loss_and_never_a_create() {
    let pair = Pair::start().await;
    let source = &pair.source;
    let make = |name: &str, ends: &str| {
        source.make(
            "secrets",
            &format!(r#"{{"secret_type":"arbitrary","name":"{name}","expiration_date":"{ends}","payload":"p"}}"#),
        )
    };
    make("soon", "2026-11-22T13:00:00Z");
    make("later", "2026-11-22T15:00:00Z");
    make("never", "2030-01-01T00:00:00Z");
    let backup = pair.backup().await;
    pair.clock.advance(2 * 3_600_000);
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(made.losses.len(), 1);
    assert!(made.losses[0].name == "soon" && made.losses[0].reason.contains("expired"), "{:#?}", made.losses);
    // And what expires between plan and apply.
    pair.clock.advance(2 * 3_600_000);
    let report = run(&pair, &backup, &made).await;
    assert_eq!(report.kind(), Some(FailureKind::Partial));
    let lost: Vec<&str> = report.losses.iter().map(|remark| remark.name.as_str()).collect();
    assert_eq!(lost, ["soon", "later"]);
    let there = content(&pair.standby);
    assert_eq!(there.keys().filter(|name| name.starts_with("secret ")).count(), 1);
    assert!(there["secret default/arbitrary/never"].contains("2030-01-01"), "a future date is kept");
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
async fn metadata_without_room_for_a_mark_is_restored_all_the_same() {
    let pair = Pair::start().await;
    let big = format!(r#"{{"big":"{}"}}"#, "x".repeat(9_950));
    let body = format!(
        r#"{{"secret_type":"arbitrary","name":"big","payload":"p1","custom_metadata":{big},"version_custom_metadata":{big}}}"#
    );
    let id = pair.source.make("secrets", &body);
    pair.source
        .make(&format!("secrets/{id}/versions"), &format!(r#"{{"payload":"p2","version_custom_metadata":{big}}}"#));
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(
        made.notes.iter().filter(|note| note.reason.contains("cannot take our mark")).count(),
        3,
        "{:#?}",
        made.notes
    );
    let report = restore(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(content(&pair.standby), content(&pair.source));
    let map = report.id_map.unwrap();
    assert_eq!(map.items.iter().find(|item| item.name == "big").unwrap().versions.len(), 2, "the id map names it");
}

#[tokio::test]
async fn one_secret_comes_alone_with_its_group() {
    let pair = full().await;
    let backup = pair.backup().await;
    let only = |text: &str| PlanOptions { only: vec![text.parse().unwrap()], ..PlanOptions::default() };
    let selected = async |text: &str| sorted_words(&make_plan(&pair, &backup, &only(text)).await);
    assert_eq!(
        selected("one").await,
        ["add_version one", "create_group prod", "create_secret one", "patch_metadata one"]
    );
    assert_eq!(
        selected("prod/o*").await,
        ["add_version one", "create_group prod", "create_secret one", "patch_metadata one"]
    );
    assert_eq!(selected("label:tier-2").await, ["create_secret odd"]);
    assert_eq!(selected("type:kv").await, ["create_secret odd"]);
    assert_eq!(selected("group:empty").await, ["create_group empty"]);
    assert!(selected("nothing").await.is_empty());
    restore(&pair, &backup, &only("type:arbitrary")).await;
    assert_eq!(content(&pair.standby).keys().filter(|name| name.starts_with("secret ")).count(), 1);
}

fn sorted_words(plan: &Plan) -> Vec<String> {
    let mut words = words(plan);
    words.sort();
    words
}

#[tokio::test]
async fn the_order_is_that_of_what_refers_to_what_and_first_goes_first() {
    let pair = full().await;
    let first = vec!["label:tier-2".parse::<Selector>().unwrap(), "user".parse().unwrap()];
    let options = PlanOptions { first, ..PlanOptions::default() };
    let made = make_plan(&pair, &pair.backup().await, &options).await;
    assert!(made.steps.windows(2).all(|pair| pair[0].phase <= pair[1].phase), "{:#?}", words(&made));
    let created: Vec<&str> = made
        .steps
        .iter()
        .filter(|step| step.action.as_str() == "create_secret")
        .map(|step| step.name.as_str())
        .collect();
    assert_eq!(created, ["odd", "user", "one"]);
    assert_eq!(made.steps.last().unwrap().action.as_str(), "register");
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
async fn restored_secrets_rotate_only_when_that_was_asked_for() {
    for allow_rotation in [false, true] {
        let pair = full().await;
        let options = PlanOptions { allow_rotation, ..PlanOptions::default() };
        let backup = pair.backup().await;
        let made = make_plan(&pair, &backup, &options).await;
        assert_eq!(made.notes.iter().any(|note| note.reason.contains("held back")), !allow_rotation);
        restore(&pair, &backup, &options).await;
        let row = pair.standby.get(&format!("secrets/{}/metadata", pair.standby.id_of("user")));
        assert_eq!(row.object("rotation").unwrap().bool("auto_rotate"), Some(allow_rotation));
        let held = row.object("custom_metadata").unwrap().object("keyhaven").unwrap().object("held");
        let interval = held.and_then(|held| held.object("rotation")).and_then(|rotation| rotation.u64("interval"));
        assert_eq!(interval, (!allow_rotation).then_some(1));
    }
}

#[tokio::test]
async fn a_payload_that_must_not_be_read_is_not_read_on_either_side() {
    let pair = full().await;
    for peer in [&pair.source, &pair.standby] {
        for (kind, fields) in [("iam_credentials", r#"{"reuse_api_key":false,"ttl":"1h"}"#), ("quantum_token", "{}")] {
            let planted = Planted {
                secret_type: kind.to_owned(),
                name: format!("planted-{kind}"),
                group: "default".to_owned(),
                fields: Object::parse(fields).unwrap(),
                payload: Payload::new(zeroize::Zeroizing::new(r#"{"api_key":"live"}"#.to_owned())),
            };
            let _id = peer.instance.plant(&planted);
        }
    }
    let backup = pair.backup().await;
    let options = PlanOptions { deep: true, ..PlanOptions::default() };
    let report = restore(&pair, &backup, &options).await;
    assert_eq!(report.kind(), Some(FailureKind::Partial), "what cannot be brought back is said");
    assert_eq!(report.losses.len(), 2);
    assert!(pair.source.instance.forbidden_acts().is_empty());
    assert!(pair.standby.instance.forbidden_acts().is_empty());
}

#[tokio::test]
async fn neither_plan_nor_report_holds_a_payload() {
    let pair = full().await;
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let report = run(&pair, &backup, &made).await;
    let texts = [made.to_json().unwrap(), serde_json::to_string(&report).unwrap(), format!("{made:?} {report:?}")];
    for secret in ["pass-word-1", "pass-word-2", "abcd1234efgh5678", "cis-key-1", "classic-password", "BEGIN PRIVATE"] {
        assert!(texts.iter().all(|text| !text.contains(secret)), "{secret}");
    }
}

#[tokio::test]
async fn the_id_map_names_every_item_in_three_forms() {
    let pair = full().await;
    let report = restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    let map = report.id_map.unwrap();
    let one = map.items.iter().find(|item| item.name == "one").unwrap();
    assert_eq!((one.old_id.as_str(), one.new_id.as_str()), (&*pair.source.id_of("one"), &*pair.standby.id_of("one")));
    for (place, version) in one.versions.iter().enumerate() {
        let payload = |peer: &Peer, secret: &str, id: &str| {
            peer.get(&format!("secrets/{secret}/versions/{id}")).str("payload").unwrap()
        };
        let old = payload(&pair.source, &one.old_id, &version.old_id);
        assert_eq!(old, ["v3", "v2"][place], "newest first");
        assert_eq!(payload(&pair.standby, &one.new_id, &version.new_id), old);
    }
    assert_eq!(one.versions.len(), 2);
    let blocks = map.to_terraform();
    let id = format!("to = ibm_sm_arbitrary_secret.prod_one\n  id = \"eu-gb/{STANDBY_ID}/{}\"", one.new_id);
    assert!(blocks.contains(&id), "{blocks}");
    assert!(blocks.contains(&format!("to = ibm_sm_en_registration.registration\n  id = \"eu-gb/{STANDBY_ID}\"")));
    assert!(map.to_csv().contains(&format!("secret,arbitrary,prod,one,{},{}\r\n", one.old_id, one.new_id)));
    assert_eq!(map.standby.as_deref(), Some(pair.standby.instance.crn().as_str()));
}

#[tokio::test]
async fn an_older_snapshot_can_be_brought_back() {
    let pair = full().await;
    let older = pair.backup().await;
    let before = content(&pair.source);
    let one = pair.source.id_of("one");
    for payload in ["v4", "v5", "v6"] {
        pair.source.version(&one, payload);
    }
    restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    restore(&pair, &older, &PlanOptions::default()).await;
    assert_eq!(content(&pair.standby), before);
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
async fn whatever_the_provider_leaves_open_all_comes_back() {
    let plain = Switches::default();
    let variants = [
        Switches { precision: Precision::Seconds, ..plain },
        Switches { unique_names: NameScope::Group, name_conflict_status: 409, ..plain },
        Switches { versions_newest_first: false, reads_move_updated_at: true, ..plain },
        Switches { expiration_carries: false, version_sets_custom_metadata: false, ..plain },
        Switches { nested_merge: false, bulk_locks_atomic: false, ..plain },
    ];
    for switches in variants {
        let pair = full().await;
        pair.standby.instance.set_switches(switches);
        restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
        let expected = content(&pair.source);
        assert_eq!(dates(&content(&pair.standby)), dates(&expected), "{switches:?}");
        // And over an older restore, where metadata is patched.
        let one = pair.source.id_of("one");
        pair.source.version(&one, "v4");
        pair.source.patch(&format!("secrets/{one}/metadata"), r#"{"custom_metadata":{"id":null,"new":{"n":1.50}}}"#);
        restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
        assert_eq!(dates(&content(&pair.standby)), dates(&content(&pair.source)), "{switches:?}");
    }
}

/// One spelling of times, and no member of metadata that is `null`, which is what a replaced one may leave behind.
fn dates(content: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let one = |text: &String| text.replace(".000Z", "Z").replace(r#","id":null"#, "").replace(r#""id":null,"#, "");
    content.iter().map(|(name, text)| (name.clone(), one(text))).collect()
}

#[tokio::test]
async fn going_back_brings_only_what_the_new_primary_has_more() {
    let pair = Pair::start().await;
    let id = pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"shared","payload":"v1"}"#);
    pair.source.version(&id, "v2");
    restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    pair.standby.version(&pair.standby.id_of("shared"), "v3");
    let back = Pair { source: pair.standby, standby: pair.source, clock: pair.clock };
    let backup = back.backup().await;
    let consent = Consent { confirm: Some(SOURCE_ID.to_owned()), into_source: None };
    let (context, client) = (context(), back.standby.client());
    let made = plan(&context, &backup, &client, &PlanOptions::default(), &consent).await.unwrap();
    let expected = ["add_version shared", "patch_version_metadata shared", "patch_metadata shared"];
    assert_eq!(words(&made), expected, "{made:#?}");
    let report = apply(&context, &made, &backup, &client, &quick(), &consent).await.unwrap();
    assert_eq!(report.kind(), None, "{report:#?}");
    assert_eq!(content(&back.standby), content(&back.source));
    let new = plan(&context, &backup, &client, &PlanOptions::default(), &consent).await.unwrap();
    assert!(new.is_empty(), "{new:#?}");
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
