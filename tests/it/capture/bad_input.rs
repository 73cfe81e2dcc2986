//! Captures of what nobody expected: one outcome for each, nothing lost, never a wrong success.

use std::sync::Arc;

use keyhaven::crypto::Identities;
use keyhaven::job::capture::{CaptureError, CaptureOptions};
use keyhaven::model::json::JsonObject;
use keyhaven::model::{FailureKind, Payload, Restorability};
use keyhaven::provider::embedded::{
    Act, ApiKey, Class, EmbeddedInstance, Grant, Options, Planted, SeenRequest, ServiceRole, Switches, Verb, When,
};
use zeroize::Zeroizing;

use crate::kit::capture::Rig;
use crate::kit::instance::write;

const IAM: &str = "configuration/iam_credentials_configuration/iam";

fn arbitrary(instance: &EmbeddedInstance, name: &str, group: &str, payload: &str) -> String {
    let body =
        format!(r#"{{"secret_type":"arbitrary","name":"{name}","secret_group_id":"{group}","payload":"{payload}"}}"#);
    write(instance, Verb::Post, "/api/v2/secrets", &body).unwrap()
}

fn rotate(instance: &EmbeddedInstance, id: &str, payload: &str) {
    write(instance, Verb::Post, &format!("/api/v2/secrets/{id}/versions"), &format!(r#"{{"payload":"{payload}"}}"#));
}

fn configure(instance: &EmbeddedInstance) {
    let body = r#"{"config_type":"iam_credentials_configuration","name":"iam","api_key":"the engine's key"}"#;
    write(instance, Verb::Post, "/api/v2/configurations", body);
}

/// What the collector may do from now on.
fn grant(rig: &Rig, grants: Vec<Grant>) {
    rig.instance.set_key(ApiKey::granted("collector", grants));
}

/// An instance whose collector has a key of its own, with every role for now.
fn with_roles() -> Options {
    Options { keys: vec![ApiKey::new("collector", ServiceRole::Manager)], ..Options::default() }
}

fn secret(id: &str) -> String {
    format!("secret/{id}")
}

/// A rig with ten secrets; the ids.
async fn ten(options: Options) -> (Rig, Vec<String>) {
    let rig = Rig::with(options).await;
    let ids = (0..10).map(|n| arbitrary(&rig.instance, &format!("secret-{n}"), "default", &format!("value-{n}")));
    let ids = ids.collect();
    (rig, ids)
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_the_affair_of_its_item() {
    let version = r#"{"id":"5e1ec7ed-0000-4000-8000-000000000000","secret_type":"arbitrary","payload":"other"}"#;
    for (what, act) in [
        ("empty", Act::EmptyBody),
        ("no JSON", Act::InvalidJson),
        ("a list", Act::Body("[]".to_owned())),
        ("without an id", Act::Body(r#"{"secret_type":"arbitrary","payload":"x"}"#.to_owned())),
        ("without a payload", Act::Body(r#"{"id":"v","secret_type":"arbitrary"}"#.to_owned())),
        ("nested without end", Act::Body(format!(r#"{{"id":"v","payload":{}"#, "[".repeat(5_000)))),
        ("of another version", Act::Body(version.to_owned())),
        // Nothing of it is a payload of the type that it names, so all of it would pass for metadata.
        (
            "of another type",
            Act::Body(r#"{"id":"v","secret_type":"kv","payload":"hunter2","payload_available":false}"#.to_owned()),
        ),
    ] {
        let (rig, ids) = ten(Options::default()).await;
        rig.instance.fault(When::any().path(&format!("{}/versions/current", ids[3])), act);
        let report = rig.capture().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(report.failure(), Some(FailureKind::Partial), "{what}");
        let unread: Vec<_> = report.unread.iter().map(|unread| unread.key.id()).collect();
        assert_eq!(unread, [ids[3].as_str()], "{what}");
        assert!(report.suspect.is_empty(), "{what}");
        let opened = rig.opened().await;
        let item = &opened.items[&secret(&ids[3])];
        assert!(item.payloads.is_empty() && item.revision.is_none(), "{what}");
        assert!(item.docs.values().all(|doc| !doc.get().contains("hunter2")), "{what}: a secret in the catalogue");
        assert_eq!(item.class, Restorability::DefinitionOnly, "{what}: without its payload");
        assert_eq!(report.classes["definition_only"], 1, "{what}");
        assert!(opened.payloads(&secret(&ids[4]))[0].1.contains("value-4"), "{what}");

        rig.instance.clear_faults();
        let report = rig.capture().await.unwrap();
        assert_eq!((report.read, report.failure()), (1, None), "{what}");
        assert_eq!(rig.opened().await.items[&secret(&ids[3])].class, Restorability::Exact, "{what}");
    }
}

#[tokio::test]
async fn answers_that_cannot_be_used_one_after_the_other_end_the_run() {
    let rig = Rig::new().await;
    (0..40).for_each(|n| _ = arbitrary(&rig.instance, &format!("secret-{n}"), "default", "value"));
    rig.instance.fault(When::any().path("/versions/current"), Act::EmptyBody);
    let error = rig.capture().await.unwrap_err();
    assert!(matches!(error, CaptureError::Unreadable { .. }), "{error}");
    assert_eq!(error.kind(), FailureKind::Instance);
    assert!(rig.snapshots().await.is_empty());
}

#[tokio::test]
async fn values_that_need_a_role_are_marked_asked_for_each_time_and_captured_once_it_is_there() {
    let (rig, _) = ten(with_roles()).await;
    configure(&rig.instance);
    // Lists configurations, and reads none.
    grant(&rig, vec![Grant::whole(ServiceRole::Writer)]);
    let report = rig.capture().await.unwrap();
    assert_eq!(report.failure(), Some(FailureKind::Partial));
    assert!(report.unread.is_empty() && report.suspect.is_empty(), "the rest is there");
    assert_eq!(report.refused.len(), 1);
    assert_eq!((report.refused[0].key.as_str(), report.refused[0].value_of), (IAM, None));
    assert!(report.notes.iter().any(|note| note.contains("1 configurations were refused")), "{:?}", report.notes);
    assert_eq!(report.classes["definition_only"], 1);
    let opened = rig.opened().await;
    assert!(opened.items[IAM].payloads.is_empty());
    assert!(opened.doc(IAM, "refused").unwrap().contains("why"));
    assert!(opened.doc(IAM, "row").is_some(), "what the list shows of it is kept");

    let accepted = CaptureOptions { allow_partial: true, ..rig.options() };
    let again = rig.capture_with(&accepted).await.unwrap();
    assert_eq!(
        (again.failure(), again.quiet, again.refused.len()),
        (None, true, 1),
        "asked for again, and nothing new"
    );
    assert_eq!(again.requests.reading, 1);

    grant(&rig, vec![Grant::whole(ServiceRole::Manager)]);
    let report = rig.capture().await.unwrap();
    assert_eq!((report.failure(), report.refused.len()), (None, 0));
    let opened = rig.opened().await;
    assert!(opened.payloads(IAM)[0].1.contains("the engine's key"));
    assert!(opened.doc(IAM, "refused").is_none());
    assert_eq!(opened.items[IAM].class, Restorability::Exact);
}

#[tokio::test]
async fn a_value_of_before_the_role_was_lost_is_kept_with_its_date() {
    let (rig, _) = ten(with_roles()).await;
    configure(&rig.instance);
    rig.capture().await.unwrap();
    let captured = rig.opened().await.items[IAM].read_at;
    grant(&rig, vec![Grant::whole(ServiceRole::Writer)]);
    let full = CaptureOptions { full: true, ..rig.options() };
    let report = rig.capture_with(&full).await.unwrap();
    assert_eq!(report.failure(), Some(FailureKind::Partial));
    assert_eq!((report.refused[0].value_of, report.refused[0].moved_since), (captured, false));
    let opened = rig.opened().await;
    assert!(opened.payloads(IAM)[0].1.contains("the engine's key"));
    assert_eq!(opened.items[IAM].class, Restorability::Exact);

    // It changes: what is kept may be out of date.
    let patch = r#"{"api_key":"another key"}"#;
    let reply = rig.instance.call_typed(
        Verb::Patch,
        "/api/v2/configurations/iam",
        Some("iam_credentials_configuration"),
        patch,
    );
    assert_eq!(reply.status, 200, "{}", reply.body.as_str());
    let report = rig.capture().await.unwrap();
    assert_eq!((report.refused[0].value_of, report.refused[0].moved_since), (captured, true));
    let opened = rig.opened().await;
    assert!(opened.payloads(IAM)[0].1.contains("the engine's key"), "an old key is better than none");
    assert!(opened.items[IAM].revision.is_none(), "and it is bound to nothing");
}

#[tokio::test]
async fn a_kept_value_that_the_recovery_keys_of_now_do_not_open_is_excused_by_nothing() {
    let (mut rig, _) = ten(with_roles()).await;
    configure(&rig.instance);
    rig.capture().await.unwrap();
    grant(&rig, vec![Grant::whole(ServiceRole::Writer)]);
    let full = CaptureOptions { allow_partial: true, full: true, ..rig.options() };
    let report = rig.capture_with(&full).await.unwrap();
    assert_eq!((report.refused[0].sealed_to_others, report.failure()), (false, None));

    rig.recover_with(Arc::new(Identities::generate().0)).await;
    let accepted = CaptureOptions { allow_partial: true, ..rig.options() };
    let report = rig.capture_with(&accepted).await.unwrap();
    assert_eq!(report.refused[0].key.as_str(), IAM);
    assert_eq!((report.refused[0].sealed_to_others, report.failure()), (true, Some(FailureKind::Partial)));

    grant(&rig, vec![Grant::whole(ServiceRole::Manager)]);
    assert_eq!(rig.capture().await.unwrap().failure(), None);
    assert!(rig.opened().await.payloads(IAM)[0].1.contains("the engine's key"), "the new key opens it");
}

#[tokio::test]
async fn a_collector_that_may_not_list_configurations_backs_the_secrets_up_unless_it_could_before() {
    let (rig, ids) = ten(with_roles()).await;
    configure(&rig.instance);
    grant(&rig, vec![Grant::whole(ServiceRole::SecretsReader)]);
    let report = rig.capture().await.unwrap();
    assert_eq!((report.failure(), report.hidden.len()), (Some(FailureKind::Partial), 1));
    assert!(report.notes.iter().any(|note| note.contains("may not list")), "{:?}", report.notes);
    assert!(!report.counts.contains_key("configuration"));
    assert_eq!(rig.opened().await.payloads(&secret(&ids[0])).len(), 1);
    let accepted = CaptureOptions { allow_partial: true, ..rig.options() };
    assert_eq!(rig.capture_with(&accepted).await.unwrap().failure(), None);

    grant(&rig, vec![Grant::whole(ServiceRole::Manager)]);
    assert_eq!(rig.capture().await.unwrap().counts["configuration"], 1);
    grant(&rig, vec![Grant::whole(ServiceRole::SecretsReader)]);
    let error = rig.capture_with(&accepted).await.unwrap_err();
    assert!(matches!(&error, CaptureError::SightLost { key } if key.as_str() == IAM), "{error}");
    assert_eq!(error.kind(), FailureKind::Instance);
    assert_eq!(rig.snapshots().await.len(), 3, "nothing was recorded");
}

#[tokio::test]
async fn a_registration_that_may_not_be_read_is_said_and_excuses_nothing_else() {
    let (rig, ids) = ten(with_roles()).await;
    let body = r#"{"event_notifications_instance_crn":"crn:v1:bluemix:public:event-notifications:eu-de:a/b:c::",
        "event_notifications_source_name":"keyhaven"}"#;
    write(&rig.instance, Verb::Post, "/api/v2/notifications/registration", body);
    let unregistered = || {
        let listing = Grant::whole("configurations.list+configuration.read".parse().unwrap());
        vec![Grant::whole(ServiceRole::SecretsReader), listing]
    };
    grant(&rig, unregistered());
    let refused = When::any().path("/notifications/registration");
    rig.instance.fault(refused, Act::Status { status: 403, retry_after: None });
    let report = rig.capture().await.unwrap();
    let hidden: Vec<_> = report.hidden.iter().map(|hidden| hidden.kind.as_str()).collect();
    assert_eq!((hidden.as_slice(), report.failure()), (["registration"].as_slice(), Some(FailureKind::Partial)));
    assert!(!report.counts.contains_key("registration"));
    let entry = rig.snapshots().await.pop().unwrap();
    assert_eq!(entry.snapshot().unwrap().hidden, ["registration"], "whoever reads the entry alone knows it as well");
    let accepted = CaptureOptions { allow_partial: true, ..rig.options() };
    assert_eq!(rig.capture_with(&accepted).await.unwrap().failure(), None);

    // Accepting the missing role accepts nothing that is wrong besides.
    rotate(&rig.instance, &ids[3], "value");
    let broken = When::any().path(&format!("{}/versions", ids[3]));
    rig.instance.fault(broken, Act::Status { status: 403, retry_after: None });
    let report = rig.capture_with(&accepted).await.unwrap();
    assert_eq!((report.unread.len(), report.failure()), (1, Some(FailureKind::Partial)));

    // Once it was seen, going blind for it is no shrinking.
    rig.instance.clear_faults();
    grant(&rig, vec![Grant::whole(ServiceRole::Manager)]);
    assert_eq!(rig.capture().await.unwrap().counts["registration"], 1);
    let refused = When::any().path("/notifications/registration");
    rig.instance.fault(refused, Act::Status { status: 403, retry_after: None });
    let error = rig.capture_with(&accepted).await.unwrap_err();
    assert!(matches!(&error, CaptureError::SightLost { key } if key.as_str() == "registration"), "{error}");
}

#[tokio::test]
async fn a_kind_that_went_out_of_sight_is_seen_without_the_key_of_the_catalogue_that_had_it() {
    let (mut rig, _) = ten(with_roles()).await;
    configure(&rig.instance);
    rig.capture().await.unwrap();
    grant(&rig, vec![Grant::whole(ServiceRole::SecretsReader)]);
    rig.catalogue_with(Arc::new(Identities::generate().0)).await;
    let accepted = CaptureOptions { allow_partial: true, ..rig.options() };
    let report = rig.capture_with(&accepted).await.unwrap();
    assert!(report.suspect.iter().any(|reason| reason.contains("`configuration`")), "{:?}", report.suspect);
    assert_eq!(report.failure(), Some(FailureKind::Partial));
}

#[tokio::test]
async fn a_secret_that_never_stands_still_and_was_never_read_is_missed_by_every_run() {
    let (rig, ids) = ten(Options::default()).await;
    let (id, clock) = (ids[5].clone(), rig.clock.clone());
    // Rotated before each read of it, so that it is never the version that was listed.
    let act = move |instance: &EmbeddedInstance, _: &SeenRequest| {
        clock.advance(5_000);
        rotate(instance, &id, "newer");
    };
    rig.instance.fault(When::any().path(&format!("/secrets/{}/versions", ids[5])), Act::Before(Arc::new(act)));
    for run in ["first", "second"] {
        let report = rig.capture().await.unwrap();
        assert_eq!(report.cut, "per_item", "{run}");
        let unread: Vec<_> = report.unread.iter().map(|unread| unread.key.id()).collect();
        assert!(rig.opened().await.items[&secret(&ids[5])].payloads.is_empty(), "{run}");
        assert_eq!(unread, [ids[5].as_str()], "{run}: there is no payload of it, and nobody would know");
        assert_eq!(report.failure(), Some(FailureKind::Partial), "{run}");
    }
}

#[tokio::test]
async fn a_secret_that_never_stands_still_is_excused_only_by_a_reading_that_the_keys_of_now_open() {
    let (mut rig, ids) = ten(Options::default()).await;
    rig.capture().await.unwrap();
    let (id, clock) = (ids[5].clone(), rig.clock.clone());
    let act = move |instance: &EmbeddedInstance, _: &SeenRequest| {
        clock.advance(5_000);
        rotate(instance, &id, "newer");
    };
    rig.instance.fault(When::any().path(&format!("/secrets/{}/versions", ids[5])), Act::Before(Arc::new(act)));
    rotate(&rig.instance, &ids[5], "newer");
    let report = rig.capture().await.unwrap();
    assert_eq!((report.cut, report.failure()), ("per_item", None), "{:?}", report.unread);
    let same = rig.recovery.clone();
    rig.recover_with(Arc::new(Identities::generate().0)).await;
    let report = rig.capture().await.unwrap();
    assert_eq!(
        (report.unread.len(), report.failure()),
        (1, Some(FailureKind::Partial)),
        "sealed to the old keys alone"
    );
    // Back under the first key all is well again, until the reading is older than any may be.
    rig.recover_with(same).await;
    assert_eq!(rig.capture().await.unwrap().failure(), None);
    rig.clock.advance(8 * 24 * 3_600_000);
    let report = rig.capture().await.unwrap();
    assert_eq!(
        (report.unread.len(), report.failure()),
        (1, Some(FailureKind::Partial)),
        "a week old and never renewed"
    );
}

#[tokio::test]
async fn items_that_fail_in_every_round_are_no_sign_that_all_would() {
    let rig = Rig::new().await;
    let ids: Vec<String> =
        (0..40).map(|n| arbitrary(&rig.instance, &format!("secret-{n}"), "default", "value")).collect();
    for id in &ids[..8] {
        rig.instance.fault(When::any().path(&format!("{id}/versions/current")), Act::EmptyBody);
    }
    // Every listing lacks one more, so that there is a next round, which reads nothing but those that failed.
    let doomed = std::sync::Mutex::new(ids[20..].to_vec());
    let act = move |instance: &EmbeddedInstance, _: &SeenRequest| {
        if let Some(id) = doomed.lock().unwrap().pop() {
            write(instance, Verb::Delete, &format!("/api/v2/secrets/{id}"), "");
        }
    };
    rig.instance.fault(When::any().path("/secret_groups"), Act::Before(Arc::new(act)));
    let report = rig.capture().await.unwrap();
    assert_eq!((report.cut, report.unread.len()), ("per_item", 8));
}

#[tokio::test]
async fn a_collector_whose_scope_was_narrowed_has_lost_sight_of_the_rest() {
    for hidden_status in [403, 404] {
        let rig =
            Rig::with(Options { switches: Switches { hidden_status, ..Switches::default() }, ..with_roles() }).await;
        let group = write(&rig.instance, Verb::Post, "/api/v2/secret_groups", r#"{"name":"payments"}"#).unwrap();
        for n in 0..6 {
            arbitrary(&rig.instance, &format!("paid-{n}"), &group, "value");
            arbitrary(&rig.instance, &format!("open-{n}"), "default", "value");
        }
        rig.capture().await.unwrap();
        grant(
            &rig,
            vec![
                Grant::on(ServiceRole::SecretsReader, &[&group]),
                Grant::whole("configurations.list+notifications-registration.read".parse().unwrap()),
            ],
        );
        let outcome = rig.capture().await;
        if hidden_status == 403 {
            let error = outcome.unwrap_err();
            assert!(matches!(&error, CaptureError::SightLost { .. }), "{error}");
            assert_eq!(rig.snapshots().await.len(), 1, "nothing was recorded");
        } else {
            // An instance that hides by 404 cannot be told from one where they were deleted: the shrink guard is left.
            let report = outcome.unwrap();
            assert_eq!(report.suspect.len(), 1);
            assert_eq!(report.failure(), Some(FailureKind::Partial));
        }
    }
}

fn planted(secret_type: &str, name: &str, fields: &str, payload: &str) -> Planted {
    Planted {
        secret_type: secret_type.to_owned(),
        name: name.to_owned(),
        group: "default".to_owned(),
        fields: JsonObject::parse(fields).unwrap(),
        payload: Payload::new(Zeroizing::new(payload.to_owned())),
    }
}

#[tokio::test]
async fn types_fields_and_states_that_nobody_has_heard_of_are_kept_whole_and_read_only_where_that_is_safe() {
    let rig = Rig::new().await;
    let odd = rig.instance.plant(&planted(
        "kv",
        "odd",
        r#"{"orbit":{"x":1e400,"n":12345678901234567890},"state":9}"#,
        r#"{"data":{"a":1}}"#,
    ));
    let quantum = rig.instance.plant(&planted("quantum_token", "q", r#"{"spin":"up"}"#, r#"{"token":"hunter2"}"#));
    let rows = r#"{"configurations":[{"name":"flux","config_type":"flux_engine","secret_type":"flux","knob":1e400}],
        "total_count":1,"offset":0,"limit":1000}"#;
    rig.instance.fault(When::any().class(Class::Listing).path("/configurations"), Act::Body(rows.to_owned()));
    let report = rig.capture().await.unwrap();
    assert_eq!(report.failure(), None, "{:?}", report.unread);
    assert!(rig.instance.forbidden_acts().is_empty(), "no payload of an unknown type was read");
    let opened = rig.opened().await;
    assert!(opened.doc(&secret(&odd), "row").unwrap().contains(r#""orbit":{"x":1e400,"n":12345678901234567890}"#));
    assert_eq!(opened.payloads(&secret(&odd)).len(), 1, "a state says nothing about whether a read is safe");
    assert!(opened.doc(&secret(&quantum), "row").unwrap().contains(r#""spin":"up""#));
    assert!(opened.items[&secret(&quantum)].payloads.is_empty());
    let flux = "configuration/flux_engine/flux";
    assert!(opened.doc(flux, "row").unwrap().contains("1e400"));
    for key in [secret(&quantum).as_str(), flux] {
        assert_eq!(opened.items[key].class, Restorability::DefinitionOnly, "{key}");
        assert!(opened.items[key].revision.is_some(), "{key}: there is nothing more to read");
    }
}

/// Runs something once, before the first request that reads the payload of a secret.
fn meanwhile(rig: &Rig, id: &str, run: impl Fn(&EmbeddedInstance) + Send + Sync + 'static) {
    let when = When::any().path(&format!("/secrets/{id}/versions/current")).nth(1);
    let clock = rig.clock.clone();
    let act = move |instance: &EmbeddedInstance, _: &SeenRequest| {
        clock.advance(5_000);
        run(instance);
    };
    rig.instance.fault(when, Act::Before(Arc::new(act)));
}

#[tokio::test]
async fn whatever_happens_between_listing_and_reading_the_snapshot_has_the_state_of_one_moment() {
    type Change = fn(&EmbeddedInstance, &str);
    let changes: [(&str, Change); 4] = [
        ("deleted", |instance, id| drop(write(instance, Verb::Delete, &format!("/api/v2/secrets/{id}"), ""))),
        ("renamed", |instance, id| {
            drop(write(instance, Verb::Patch, &format!("/api/v2/secrets/{id}/metadata"), r#"{"name":"renamed"}"#));
        }),
        ("locked", |instance, id| {
            let body = r#"{"locks":[{"name":"blue"}]}"#;
            drop(write(instance, Verb::Post, &format!("/api/v2/secrets/{id}/locks_bulk"), body));
        }),
        ("rotated", |instance, id| rotate(instance, id, "rotated")),
    ];
    for (what, change) in changes {
        let (rig, ids) = ten(Options::default()).await;
        let id = ids[5].clone();
        meanwhile(&rig, &id.clone(), move |instance| change(instance, &id));
        let report = rig.capture().await.unwrap();
        assert_eq!((report.cut, report.failure()), ("point_in_time", None), "{what}: {:?}", report.unread);
        let opened = rig.opened().await;
        let key = secret(&ids[5]);
        match what {
            "deleted" => assert!(!opened.items.contains_key(&key)),
            "renamed" => assert_eq!(opened.items[&key].name, "renamed"),
            "locked" => assert!(opened.doc(&key, "locks").unwrap().contains("blue")),
            _ => {
                let payloads = opened.payloads(&key);
                assert!(payloads[0].1.contains("rotated") && payloads[1].1.contains("value-5"));
            }
        }
        assert_eq!(opened.items.len(), if what == "deleted" { 10 } else { 11 }, "{what}");
    }
}

#[tokio::test]
async fn the_largest_of_everything_is_captured_whole() {
    let rig = Rig::new().await;
    for n in 0..199 {
        write(&rig.instance, Verb::Post, "/api/v2/secret_groups", &format!(r#"{{"name":"group-{n}"}}"#));
    }
    let large = arbitrary(&rig.instance, "large", "default", &"x".repeat(1_000_000));
    let many = arbitrary(&rig.instance, "many", "default", "v1");
    (2..=50).for_each(|n| rotate(&rig.instance, &many, &format!("v{n}")));
    let locked = arbitrary(&rig.instance, "locked", "default", "v1");
    rotate(&rig.instance, &locked, "v2");
    for version in ["previous", "current"] {
        let locks: Vec<String> = (0..500).map(|n| format!(r#"{{"name":"lock-{n:03}"}}"#)).collect();
        let body = format!(r#"{{"locks":[{}]}}"#, locks.join(","));
        write(&rig.instance, Verb::Post, &format!("/api/v2/secrets/{locked}/versions/{version}/locks_bulk"), &body);
    }
    let report = rig.capture().await.unwrap();
    assert_eq!(report.failure(), None, "{:?}", report.unread);
    assert_eq!((report.counts["group"], report.counts["lock"]), (200, 1_000));
    assert_eq!(report.counts["version"], 1 + 50 + 2);
    // One version; a list and two versions; two versions and ten pages of locks.
    assert_eq!(report.requests.reading, 1 + 3 + (2 + 10));
    let opened = rig.opened().await;
    assert_eq!(opened.payloads(&secret(&large))[0].1.len(), 1_000_000 + r#"{"payload":""}"#.len());
    let payloads = opened.payloads(&secret(&many));
    assert!(payloads.len() == 2 && payloads[0].1.contains("v50") && payloads[1].1.contains("v49"));
    assert!(rig.capture().await.unwrap().quiet);
}
