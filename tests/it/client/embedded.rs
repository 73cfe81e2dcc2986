//! The client against the embedded instance: what a listing costs, and that what it brings is what is there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keyhaven::model::json::{JsonObject, canonical};
use keyhaven::model::{ItemKind, Payload, Slot};
use keyhaven::provider::embedded::{
    Act, Class, EmbeddedInstance, Options, PageFault, Planted, SeenRequest, Server, Switches, Verb, When, seed,
    seed_small,
};
use keyhaven::provider::ibm::{Client, ClientSettings, RetrySettings};
use keyhaven::provider::{
    CompleteListing, InstanceError, InstanceInventory, ItemContent, ItemReader, Listed, Readable, RequestBody,
};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

struct Pair {
    instance: EmbeddedInstance,
    /// Kept because the server ends with it.
    _server: Server,
    client: Client,
}

async fn pair(options: Options, fill: impl FnOnce(&EmbeddedInstance)) -> Pair {
    let instance = EmbeddedInstance::new(options);
    fill(&instance);
    let server = Server::start(instance.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let key = instance.options().api_key.expose_secret().to_owned();
    let mut settings = ClientSettings::new(&server.base_url(), &server.iam_url(), key.into());
    settings.requests_per_second = 10_000.0;
    let (first, longest) = (Duration::from_millis(1), Duration::from_millis(2));
    settings.retry = RetrySettings { attempts: 3, first, longest, within: Duration::from_secs(60) };
    Pair { instance, _server: server, client: Client::new(settings).unwrap() }
}

async fn list(client: &Client) -> (Result<CompleteListing, InstanceError>, Vec<Listed>) {
    let mut items = Vec::new();
    let listing = client.list(&mut |listed: Listed| items.push(listed)).await;
    (listing, items)
}

#[tokio::test]
async fn an_inventory_of_ten_thousand_costs_23_requests() {
    let Pair { instance, client, _server } = pair(Options::default(), |instance| {
        seed_small(instance, 1, 10_000).unwrap();
    })
    .await;
    let (listing, items) = list(&client).await;
    let listing = listing.unwrap();
    assert!(listing.steady);
    assert_eq!(listing.instance.as_deref(), Some(instance.crn().as_str()));
    assert_eq!(items.iter().filter(|listed| listed.item.key.kind() == ItemKind::Secret).count(), 10_000);
    assert_eq!(client.requests().listing, 10 + 10 + 1 + 1 + 1);
    let counters = instance.counters();
    assert_eq!((counters.requests(), counters.tokens), (23, 1), "the server counts the same");
}

#[tokio::test]
async fn a_list_of_locks_without_the_secrets_that_have_none_is_steady_too() {
    let Pair { instance, client, _server } = pair(Options::default(), |instance| {
        seed(instance, 2, 40).unwrap();
    })
    .await;
    let (with, mut rows) = list(&client).await;
    instance.set_switches(Switches { unlocked_in_lock_list: false, ..instance.switches() });
    let (without, again) = list(&client).await;
    assert!(with.unwrap().steady && without.unwrap().steady, "what stands still is steady");
    let total = |listed: &Listed| listed.item.doc("row").unwrap().u64("locks_total").unwrap_or(0);
    assert!(rows.iter().any(|listed| listed.item.key.kind() == ItemKind::Secret && total(listed) == 0));
    // The locked ones have the rows that they had.
    rows.retain(|listed| listed.item.key.kind() == ItemKind::Secret && total(listed) > 0);
    assert!(!rows.is_empty());
    for listed in &rows {
        let now = again.iter().find(|other| other.item.key == listed.item.key).unwrap();
        assert_eq!(now.item.docs["locks_row"].get(), listed.item.docs["locks_row"].get(), "{}", listed.item.key);
    }
    // A locked secret without a row is not steady: its locks went after its own row was read.
    let path = format!("/api/v2/secrets/{}/locks_bulk", rows[0].item.key.id());
    let unlock = move |instance: &EmbeddedInstance, _: &SeenRequest| drop(instance.call(Verb::Delete, &path, ""));
    instance.fault(When::any().path("secrets_locks").nth(1), Act::Before(Arc::new(unlock)));
    assert!(!list(&client).await.0.unwrap().steady, "a lock that went in between is overlooked");
}

/// Reads every item that may be read, and checks each payload against what the instance answers to itself.
async fn read_all(instance: &EmbeddedInstance, client: &Client, items: &[Listed]) -> Vec<(Listed, ItemContent)> {
    let mut readings = Vec::new();
    for listed in items {
        let reading = client.read(listed, None).await.unwrap();
        for (slot, payload) in &reading.payloads {
            if listed.item.key.kind() == ItemKind::Secret && slot.as_str() != Slot::WITHHELD {
                let path = format!("/api/v2/secrets/{}/versions/{}", listed.item.key.id(), slot.as_str());
                let direct = JsonObject::parse(&instance.call(Verb::Get, &path, "").body).unwrap();
                for (name, value) in JsonObject::parse(payload.expose()).unwrap().iter() {
                    assert_eq!(direct.get(name).unwrap().get(), value.get(), "{} {name}", listed.item.key);
                }
            }
        }
        readings.push((listed.clone(), reading));
    }
    readings
}

#[tokio::test]
async fn everything_that_is_there_is_listed_and_read() {
    let switches = Switches { show_managed_csr_key: true, ..Switches::default() };
    let options = Options { switches, ..Options::default() };
    let Pair { instance, client, _server } = pair(options, |instance| {
        seed(instance, 7, 120).unwrap();
        let exact = r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}"#;
        let body = format!(r#"{{"name":"exact","secret_type":"kv","data":{exact}}}"#);
        assert_eq!(instance.call(Verb::Post, "/api/v2/secrets", &body).status, 201);
    })
    .await;
    let (listing, items) = list(&client).await;
    let listing = listing.unwrap();
    let there = instance.snapshot().items;
    let wanted = there.secrets.len() + there.groups.len() + there.configurations.len();
    assert_eq!(listing.items, (wanted + usize::from(there.registration.is_some())) as u64);
    let readings = read_all(&instance, &client, &items).await;
    for (listed, reading) in &readings {
        let row = listed.item.doc("row").unwrap();
        assert!(
            !listed.item.docs.values().chain(reading.docs.values()).any(|doc| doc.get().contains("private_key\":"))
        );
        let versions = reading.docs.get("versions");
        match listed.item.key.kind() {
            ItemKind::Secret => {
                let total = usize::try_from(row.u64("versions_total").unwrap()).unwrap();
                assert_eq!(keyhaven::model::json::as_array(versions.unwrap()).unwrap().len(), total);
                let slots = reading.payloads.iter().filter(|(slot, _)| slot.as_str() != Slot::WITHHELD).count();
                assert!(slots <= 2 && (slots > 0 || listed.readable == Readable::MetadataOnly), "{}", listed.item.key);
                let locks = reading.docs.get("locks").and_then(|doc| keyhaven::model::json::as_array(doc));
                assert_eq!(locks.map_or(0, |locks| locks.len() as u64), row.u64("locks_total").unwrap());
            }
            ItemKind::Configuration => assert_eq!(reading.payloads.len(), 1, "{}", listed.item.key),
            ItemKind::Group | ItemKind::Registration | ItemKind::Other => assert!(reading.payloads.is_empty()),
        }
    }
    let exact = readings.iter().find(|(listed, _)| listed.item.name == "exact").unwrap();
    let wanted = r#"{"data":{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}}"#;
    assert_eq!(exact.1.payloads[0].1.expose(), wanted);
    assert!(instance.forbidden_acts().is_empty());
    let withheld =
        readings.iter().filter(|(_, reading)| reading.payloads.iter().any(|(slot, _)| slot.as_str() == Slot::WITHHELD));
    assert!(withheld.count() > 0, "the switch shows keys in rows, and they are kept apart");
    // Our own reads moved nothing that counts.
    let (again, second) = list(&client).await;
    assert!(again.unwrap().steady);
    for (before, after) in items.iter().zip(&second) {
        assert_eq!(before.revision, after.revision, "{}", before.item.key);
    }
}

#[tokio::test]
async fn requests_of_reads_are_those_of_the_plan() {
    let Pair { instance, client, _server } = pair(Options::default(), |instance| seed(instance, 3, 200).unwrap()).await;
    let (_, items) = list(&client).await;
    for listed in &items {
        let row = listed.item.doc("row").unwrap();
        let before = client.requests().reading;
        let reading = client.read(listed, None).await.unwrap();
        let spent = client.requests().reading - before;
        let versions = match (listed.item.key.kind(), listed.readable, row.u64("versions_total")) {
            (ItemKind::Secret, Readable::MetadataOnly, _) => 1,
            (ItemKind::Secret, _, Some(1)) => 1,
            (ItemKind::Secret, _, Some(2)) => 2,
            (ItemKind::Secret, ..) => 3,
            (ItemKind::Configuration, ..) => 1,
            _ => 0,
        };
        let locks = row.u64("locks_total").unwrap_or_default().div_ceil(100);
        assert_eq!(spent, versions + locks, "{} {row:?}", listed.item.key);
        // The same again, with what is known already: locks cost nothing.
        let known = keyhaven::model::Item { docs: reading.docs.clone(), ..listed.item.clone() };
        let before = client.requests().reading;
        let again = client.read(listed, Some(&known)).await.unwrap();
        assert_eq!(client.requests().reading - before, versions);
        let locks = |reading: &ItemContent| reading.docs.get("locks").map(|doc| canonical(doc).unwrap());
        assert_eq!(locks(&again), locks(&reading));
    }
    assert_eq!(client.requests().retried, 0);
    assert_eq!(instance.counters().requests(), client.requests().listing + client.requests().reading);
}

#[tokio::test]
async fn secrets_whose_read_destroys_are_listed_and_left_alone() {
    let planted = |secret_type: &str, fields: &str| Planted {
        secret_type: secret_type.to_owned(),
        name: format!("planted-{secret_type}-{}", fields.len()),
        group: "default".to_owned(),
        fields: JsonObject::parse(fields).unwrap(),
        payload: Payload::new(Zeroizing::new(r#"{"api_key":"canary"}"#.to_owned())),
    };
    let Pair { instance, client, _server } = pair(Options::default(), |instance| {
        let _ = instance.plant(&planted("iam_credentials", r#"{"reuse_api_key":false}"#));
        let _ = instance.plant(&planted("iam_credentials", r#"{"reuse_api_key":true}"#));
        let _ = instance.plant(&planted("quantum_token", r#"{"spin":0.50}"#));
    })
    .await;
    let (_, items) = list(&client).await;
    let mut read = 0;
    for (listed, reading) in read_all(&instance, &client, &items).await {
        read += reading.payloads.len();
        assert!(!reading.docs.values().any(|doc| doc.get().contains("canary")), "{}", listed.item.key);
        if listed.item.item_type == "quantum_token" {
            assert!(reading.docs["row"].get().contains("0.50"), "kept whole");
        }
    }
    assert_eq!(read, 1, "the one that reuses its key");
    assert!(instance.forbidden_acts().is_empty());
}

#[tokio::test]
async fn spoiled_pages_are_never_a_shorter_list() {
    for path in ["/secrets", "/secrets_locks"] {
        for fault in [PageFault::Repeat, PageFault::SkipRow] {
            let Pair { instance, client, _server } =
                pair(Options::default(), |instance| seed_small(instance, 1, 1_100).unwrap()).await;
            let when = When::any().path(&format!("/api/v2{path}")).nths(2..);
            instance.fault(when, Act::Page(fault));
            let error = list(&client).await.0.unwrap_err();
            assert!(matches!(error, InstanceError::Incomplete { .. }), "{path} {fault:?}: {error}");
        }
    }
}

#[tokio::test]
async fn every_call_survives_one_fault_and_names_itself_after_three() {
    let faults = [
        Act::Status { status: 429, retry_after: Some("0".to_owned()) },
        Act::Status { status: 500, retry_after: None },
        Act::DropBefore,
        Act::DropAfter,
        Act::CutBody,
        Act::EmptyBody,
        Act::InvalidJson,
    ];
    let Pair { instance, client, _server } = pair(Options::default(), |instance| seed(instance, 5, 12).unwrap()).await;
    let (_, items) = list(&client).await;
    for act in faults {
        for part in ["/configurations", "/secret_groups", "/registration", "/secrets_locks", "/secrets"] {
            instance.clear_faults();
            instance.fault(When::any().path(part).nth(1), act.clone());
            let (listing, again) = list(&client).await;
            assert!(listing.is_ok() && again.len() == items.len(), "{part} {act:?}");
            instance.clear_faults();
            instance.fault(When::any().path(part), act.clone());
            let error = list(&client).await.0.unwrap_err();
            assert!(!error.to_string().is_empty(), "{part} {act:?}");
        }
        for listed in items.iter().filter(|listed| listed.item.key.kind() != ItemKind::Group) {
            instance.clear_faults();
            instance.fault(When::any().class(Class::Reading).nth(1), act.clone());
            client.read(listed, None).await.unwrap();
            instance.clear_faults();
            instance.fault(When::any().class(Class::Reading), act.clone());
            let reads = listed.item.key.kind() != ItemKind::Registration;
            assert_eq!(client.read(listed, None).await.is_err(), reads, "{} {act:?}", listed.item.key);
        }
    }
}

#[tokio::test]
async fn tokens_that_die_in_the_middle_are_replaced() {
    let Pair { instance, client, _server } =
        pair(Options::default(), |instance| seed_small(instance, 1, 2_500).unwrap()).await;
    instance.fault(When::any().path("/secrets").nth(3), Act::ExpireTokens);
    let (listing, items) = list(&client).await;
    assert!(listing.unwrap().steady);
    assert_eq!(items.len(), 2_501);
    assert_eq!((client.requests().tokens, client.requests().retried), (2, 1));
}

#[tokio::test]
async fn a_create_that_was_done_and_not_answered_is_not_repeated() {
    let Pair { instance, client, _server } = pair(Options::default(), |_| {}).await;
    instance.fault(When::any().verb(Verb::Post), Act::DropAfter);
    let body = |name: &str| {
        let metadata = JsonObject::parse(&format!(r#"{{"name":"{name}","secret_type":"arbitrary"}}"#)).unwrap();
        let payload = Payload::new(Zeroizing::new(r#"{"payload":"x"}"#.to_owned()));
        RequestBody::with_payload(metadata, payload)
    };
    let error = client.create_secret(&body("once")).await.unwrap_err();
    assert!(matches!(error, InstanceError::Unanswered { .. }), "{error}");
    instance.clear_faults();
    let id = instance.snapshot().items.secrets.keys().next().unwrap().to_string();
    instance.fault(When::any().verb(Verb::Post), Act::DropAfter);
    let version =
        RequestBody::with_payload(JsonObject::default(), Payload::new(Zeroizing::new(r#"{"payload":"y"}"#.to_owned())));
    let error = client.create_version(&id, &version).await.unwrap_err();
    assert!(matches!(error, InstanceError::Unanswered { .. }), "{error}");
    instance.clear_faults();
    assert_eq!(instance.snapshot().items.secrets.len(), 1);
    assert_eq!(client.versions(&id).await.unwrap().len(), 2, "one version each, and no third that drops a payload");
    assert_eq!(instance.counters().writing, 2);
}
