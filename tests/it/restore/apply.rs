//! Plan and apply against embedded instances over HTTP.

use std::collections::BTreeMap;

use keyhaven::job::plan_file::PlanFile as _;
use keyhaven::job::restore::{Consent, Plan, PlanOptions, Selector, apply, plan};
use keyhaven::model::json::JsonObject;
use keyhaven::model::{FailureKind, Payload};
use keyhaven::provider::embedded::{NameScope, Planted, Precision, Switches, Verb};

use crate::kit::clock::system_context;
use crate::kit::restore::{
    ODD, Pair, Peer, SOURCE_ID, STANDBY_ID, content, full, make_plan, quick, restore, run, words,
};

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

#[tokio::test]
async fn what_a_later_version_wrote_is_left_alone_with_a_note() {
    let pair = full().await;
    let mut backup = pair.backup().await;
    backup.write_later("odd");
    let report = restore(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(report.kind(), None, "{report:#?}");
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert!(made.is_empty() && made.losses.is_empty(), "{made:#?}");
    let left: Vec<_> = made.skips.iter().filter(|skip| skip.name == "odd").map(|skip| skip.reason.as_str()).collect();
    let [class, kind] = left.as_slice() else { panic!("{left:?}") };
    assert!(class.contains("the class `half_way`") && kind.contains("the kind `store`"), "{left:?}");
    assert!(content(&pair.standby) != content(&pair.source), "it is not there");
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
        made.notes.iter().filter(|note| note.reason.contains("no room for the restore mark")).count(),
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
async fn what_was_held_back_stays_visible_until_it_rotates() {
    let pair = full().await;
    let backup = pair.backup().await;
    restore(&pair, &backup, &PlanOptions::default()).await;
    // No patch turns rotation on, so the mark must go on saying that it is held.
    let options = PlanOptions { allow_rotation: true, ..PlanOptions::default() };
    let made = make_plan(&pair, &backup, &options).await;
    assert!(made.steps.is_empty(), "{made:#?}");
    assert!(made.notes.iter().any(|note| note.name == "user" && note.reason.contains("does not rotate")), "{made:#?}");
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
                fields: JsonObject::parse(fields).unwrap(),
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
    let (context, client) = (system_context(), back.standby.client());
    let made = plan(&context, &backup, &client, &PlanOptions::default(), &consent).await.unwrap();
    let expected = ["add_version shared", "patch_version_metadata shared", "patch_metadata shared"];
    assert_eq!(words(&made), expected, "{made:#?}");
    let report = apply(&context, &made, &backup, &client, &quick(), &consent).await.unwrap();
    assert_eq!(report.kind(), None, "{report:#?}");
    assert_eq!(content(&back.standby), content(&back.source));
    let new = plan(&context, &backup, &client, &PlanOptions::default(), &consent).await.unwrap();
    assert!(new.is_empty(), "{new:#?}");
}
