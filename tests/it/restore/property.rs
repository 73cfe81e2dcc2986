//! Capture, restore, capture: the second snapshot holds what the first holds, whatever the instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyhaven::crypto::SigningKey;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::policy::PolicyKey;
use keyhaven::format::{EntryEvent, Policy, SigningRole};
use keyhaven::job::capture::{CaptureOptions, capture};
use keyhaven::job::restore::{Backup, PlanOptions, RepositorySnapshot, apply, plan, record};
use keyhaven::model::{ItemKind, Payload, Slot, Timestamp};
use keyhaven::provider::embedded::{Act, Hook, InstanceClock, When, seed};
use keyhaven::provider::ibm::convert::IbmConverter;
use keyhaven::provider::{ItemConverter, RestoreItem};
use keyhaven::repository::find::{SnapshotQuery, find};
use keyhaven::repository::{Repository, recover_md};
use proptest::prelude::*;
use tokio::sync::Notify;

use crate::kit::clock::system_context;
use crate::kit::policy::policy_key;
use crate::kit::repository::Kit;
use crate::kit::restore::{Peer, SOURCE_ID, STANDBY_ID, confirmed, options, quick};

/// A made-up secret.
#[derive(Debug, Clone)]
struct Made {
    kind: usize,
    group: usize,
    payloads: Vec<String>,
    metadata: usize,
    version_metadata: usize,
    labels: Vec<String>,
    expires: bool,
    rotates: bool,
    /// Version (0 is current) and name of each lock.
    locks: Vec<(usize, String)>,
}

#[derive(Debug, Clone)]
struct World {
    groups: usize,
    secrets: Vec<Made>,
    configurations: Vec<bool>,
    registered: bool,
    /// The request of the first apply at which it is killed.
    killed_at: u64,
}

const KINDS: [&str; 3] = ["arbitrary", "kv", "username_password"];
const METADATA: [&str; 5] = [
    "{}",
    r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}"#,
    r#"{"nested":{"deep":[1,2.50,{"z":null}],"empty":{}},"text":"\u00e4\u0041"}"#,
    r#"{"keyhaven":"a team of that name"}"#,
    r#"{"keyhaven":{"version":"not ours"},"a":-0.0}"#,
];
const CONFIGURATIONS: [&str; 3] = [
    r#"{"config_type":"iam_credentials_configuration","name":"engine","api_key":"abcd1234efgh5678"}"#,
    r#"{"config_type":"public_cert_configuration_dns_cloud_internet_services","name":"dns-one",
        "cloud_internet_services_apikey":"k1","cloud_internet_services_crn":"crn:v1:bluemix:public:internet-svcs:global:a/1:2::"}"#,
    r#"{"config_type":"public_cert_configuration_dns_classic_infrastructure","name":"dns-two",
        "classic_infrastructure_username":"user","classic_infrastructure_password":"classic-password"}"#,
];

fn made() -> impl Strategy<Value = Made> {
    let texts = proptest::collection::vec("[ -~äß€\\n\"\\\\]{1,30}", 1..4);
    let labels = proptest::collection::vec("[a-z]{2,8}(:[a-z0-9]{1,4})?", 0..3);
    let locks = proptest::collection::vec((0..2_usize, "[a-z][a-z0-9]{2,5}"), 0..3);
    (
        (0..KINDS.len(), 0..3_usize, texts, 0..METADATA.len(), 0..METADATA.len()),
        (labels, any::<bool>(), any::<bool>(), locks),
    )
        .prop_map(|((kind, group, payloads, metadata, version_metadata), (labels, expires, rotates, locks))| {
            Made { kind, group, payloads, metadata, version_metadata, labels, expires, rotates, locks }
        })
}

fn world() -> impl Strategy<Value = World> {
    (
        0..3_usize,
        proptest::collection::vec(made(), 1..5),
        proptest::collection::vec(any::<bool>(), CONFIGURATIONS.len()),
        any::<bool>(),
        1..40_u64,
    )
        .prop_map(|(groups, secrets, configurations, registered, killed_at)| World {
            groups,
            secrets,
            configurations,
            registered,
            killed_at,
        })
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// The payload members of a version.
fn payload(kind: &str, text: &str, first: bool) -> String {
    match kind {
        "arbitrary" => format!(r#""payload":{}"#, json(text)),
        "kv" => format!(r#""data":{{"text":{},"n":12345678901234567890,"x":1e400}}"#, json(text)),
        _ => {
            let user = if first { r#""username":"user.name","# } else { "" };
            format!(r#"{user}"password":{}"#, json(&format!("{text}-and-six")))
        }
    }
}

fn fill(source: &Peer, world: &World) {
    let mut groups: Vec<String> = (0..world.groups).map(|n| source.group(&format!("group-{n}"))).collect();
    groups.push("default".to_owned());
    for (body, wanted) in CONFIGURATIONS.iter().zip(&world.configurations) {
        if *wanted {
            source.post("configurations", body);
        }
    }
    if world.registered {
        source.post(
            "notifications/registration",
            r#"{"event_notifications_instance_crn":"crn:v1:bluemix:public:event-notifications:eu-de:a/1:3::",
                "event_notifications_source_name":"SM"}"#,
        );
    }
    for (n, made) in world.secrets.iter().enumerate() {
        secret(source, n, made, &groups[made.group % groups.len()]);
    }
}

fn secret(source: &Peer, n: usize, made: &Made, group: &str) {
    let kind = KINDS[made.kind];
    let mut body = format!(r#"{{"secret_type":"{kind}","name":"secret-{n}","secret_group_id":"{group}""#);
    body.push_str(&format!(r#","custom_metadata":{}"#, METADATA[made.metadata]));
    body.push_str(&format!(r#","version_custom_metadata":{}"#, METADATA[made.version_metadata]));
    body.push_str(&format!(r#","labels":{}"#, serde_json::to_string(&made.labels).unwrap()));
    if made.expires && kind == "arbitrary" {
        body.push_str(r#","expiration_date":"2031-01-01T00:00:00Z""#);
    }
    if made.rotates && kind == "username_password" {
        body.push_str(r#","rotation":{"auto_rotate":true,"interval":2,"unit":"month"}"#);
    }
    body.push_str(&format!(",{}}}", payload(kind, &made.payloads[0], true)));
    let id = source.make("secrets", &body);
    for text in &made.payloads[1..] {
        source.make(&format!("secrets/{id}/versions"), &format!("{{{}}}", payload(kind, text, false)));
    }
    let mut taken = Vec::new();
    for (version, name) in &made.locks {
        let alias = if *version == 1 && made.payloads.len() > 1 { "previous" } else { "current" };
        if !taken.contains(&(alias, name)) {
            let lock = format!(r#"{{"locks":[{{"name":"{name}","attributes":{{"n":1.0}}}}]}}"#);
            source.post(&format!("secrets/{id}/versions/{alias}/locks_bulk"), &lock);
            taken.push((alias, name));
        }
    }
}

/// The newest snapshot of a new repository for one instance.
async fn snapshot(kit: &Kit, peer: &Peer, folder: &str) -> RepositorySnapshot {
    snapshot_with(kit, peer, folder, Vec::new()).await.0
}

/// The same with more keys, and the repository.
async fn snapshot_with(kit: &Kit, peer: &Peer, folder: &str, more: Vec<PolicyKey>) -> (RepositorySnapshot, Repository) {
    // Past the two seconds in which a second change could hide.
    peer.instance.clock().advance(10_000);
    let store = keyhaven::repository::Store::local(&kit.folder.path().join(folder));
    let source = keyhaven::format::SourceName {
        provider: "ibm".to_owned(),
        instance: peer.instance.crn(),
        region: Some("eu-de".to_owned()),
    };
    let mut policy = Policy { source, ..kit.policy() };
    policy.settings.recover_md = sha256(&recover_md(&policy.source));
    policy.keys.extend(more);
    policy.sort();
    let repository = kit.init_with(store, &policy).await;
    let writer = kit.writer(folder, &kit.collector, repository.id());
    let wanted = CaptureOptions { allow_empty: true, ..CaptureOptions::default() };
    let report =
        capture(&system_context(), &peer.client(), &repository, &writer, &kit.catalogue, &wanted).await.unwrap();
    assert!(report.failure().is_none(), "{report:?}");
    let ledger = repository.read_ledger().await.unwrap();
    let (entry, event) = find(&ledger, &SnapshotQuery::Latest).unwrap();
    let snapshot = RepositorySnapshot::new(&repository, entry, event, Arc::clone(&kit.recovery));
    (snapshot, repository)
}

/// Everything in a snapshot by name: without ids, times, our marks, rotation, versions without payload.
async fn content(backup: &dyn Backup) -> BTreeMap<String, String> {
    let items = backup.items().await.unwrap();
    let mut packs = BTreeMap::new();
    for pointer in items.iter().flat_map(|item| &item.payloads) {
        if let std::collections::btree_map::Entry::Vacant(place) = packs.entry(pointer.pack) {
            place.insert(backup.pack(&pointer.pack).await.unwrap());
        }
    }
    let groups: BTreeMap<String, String> = items
        .iter()
        .filter(|item| item.key.kind() == ItemKind::Group)
        .map(|item| (item.key.id().to_owned(), item.name.clone()))
        .collect();
    let mut all = BTreeMap::new();
    for item in &items {
        let view = IbmConverter.describe(item);
        let group = view.group.as_ref().map(|id| groups[id].clone()).unwrap_or_default();
        let mut text = view.settings.to_raw().get().to_owned();
        for pointer in &item.payloads {
            let slot = Slot::clone(&pointer.version);
            let payload: &Payload = &packs[&pointer.pack][&(item.key.clone(), slot)];
            describe(&mut text, &view, pointer.version.as_str(), payload);
        }
        all.insert(format!("{} {}/{group}/{}", item.key.kind(), view.item_type, view.name), text);
    }
    all
}

fn describe(text: &mut String, view: &RestoreItem, version: &str, payload: &Payload) {
    text.push_str(&format!("\n  {}", payload.expose()));
    if let Some(version) = view.version(version) {
        text.push_str(&format!(" {}", version.metadata.to_raw()));
    }
    let locks = view.locks.iter().flatten().filter(|lock| lock.version == version);
    let mut locks: Vec<String> = locks.map(|lock| lock.settings.to_raw().get().to_owned()).collect();
    locks.sort();
    text.push_str(&format!(" {locks:?}"));
}

/// Restores with a kill on the way, and checks everything that must be true then.
async fn check(kit: &Kit, source: &Peer, standby: &Peer, killed_at: u64) {
    let first = snapshot(kit, source, "first").await;
    let options = PlanOptions::default();
    let (context, consent) = (system_context(), confirmed());
    let made = plan(&context, &first, &standby.client(), &options, &consent).await.unwrap();
    assert!(made.conflicts.is_empty() && made.losses.is_empty(), "{made:#?}");
    let struck = Arc::new(Notify::new());
    let dying = Arc::clone(&struck);
    let hook: Hook = Arc::new(move |_, _| dying.notify_one());
    standby.instance.fault(When::any().nth(killed_at), Act::After(hook));
    standby.instance.fault(When::any().nths(killed_at + 1..), Act::Hang);
    let (client, quick) = (standby.client(), quick());
    tokio::select! {
        biased;
        () = struck.notified() => {}
        outcome = apply(&context, &made, &first, &client, &quick, &consent) => assert!(outcome.unwrap().kind().is_none()),
    }
    standby.instance.clear_faults();
    let report = apply(&context, &made, &first, &standby.client(), &quick, &consent).await.unwrap();
    assert!(report.kind().is_none(), "{report:#?}");
    let again = apply(&context, &made, &first, &standby.client(), &quick, &consent).await.unwrap();
    assert_eq!((again.done, again.requests.writing), (0, 0), "{again:#?}");
    for deep in [false, true] {
        let options = PlanOptions { deep, ..options.clone() };
        let new = plan(&context, &first, &standby.client(), &options, &consent).await.unwrap();
        assert!(new.is_empty(), "deep {deep}: {new:#?}");
    }
    let second = snapshot(kit, standby, "second").await;
    assert_eq!(content(&second).await, content(&first).await);
}

/// Two instances whose clocks stand half a minute behind ours.
#[expect(clippy::disallowed_methods, reason = "snapshots are signed by the system's clock")]
async fn peers() -> (Peer, Peer) {
    let clock = || InstanceClock::manual(Timestamp::from(chrono::Utc::now()).plus_millis(-30_000));
    (
        Peer::start(options(SOURCE_ID, "eu-de", &clock())).await,
        Peer::start(options(STANDBY_ID, "eu-gb", &clock())).await,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_instance_comes_back(world in world()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let kit = Kit::new();
            let (source, standby) = peers().await;
            fill(&source, &world);
            check(&kit, &source, &standby, world.killed_at).await;
        });
    }
}

#[tokio::test]
async fn a_realistic_instance_comes_back() {
    let kit = Kit::new();
    let (source, standby) = peers().await;
    seed(&source.instance, 7, 60).unwrap();
    check(&kit, &source, &standby, 90).await;
}

#[tokio::test]
async fn a_restore_is_recorded_by_a_restorer_and_leaves_no_other_trace() {
    let kit = Kit::new();
    let (source, standby) = peers().await;
    source.make("secrets", r#"{"secret_type":"kv","name":"one","data":{"a":1}}"#);
    let restorer = Arc::new(SigningKey::generate().unwrap());
    let listed = policy_key("restorer", &restorer, &[SigningRole::Restorer]);
    let first = snapshot_with(&kit, &source, "first", vec![listed]).await;
    let repository = &first.1;
    let entries = repository.read_ledger().await.unwrap().entries().len();
    let (context, consent, client) = (system_context(), confirmed(), standby.client());
    let made = plan(&context, &first.0, &client, &PlanOptions::default(), &consent).await.unwrap();
    let mut report = apply(&context, &made, &first.0, &client, &quick(), &consent).await.unwrap();
    assert_eq!(
        repository.read_ledger().await.unwrap().entries().len(),
        entries,
        "reading for a restore writes nothing"
    );
    let collector = kit.writer("collector", &kit.collector, repository.id());
    assert!(record(repository, &collector, &report).await.is_err(), "a collector may not say that");
    let writer = kit.writer("restorer", &restorer, repository.id());
    let entry = record(repository, &writer, &report).await.unwrap().entry;
    let EntryEvent::Restore(event) = &entry.event else { panic!("{entry:?}") };
    assert_eq!((event.snapshot, event.restored, event.failed), (first.0.name().entry, 2, 0));
    assert_eq!(event.target, standby.instance.crn());
    assert_eq!(repository.read_ledger().await.unwrap().entries().len(), entries + 1);
    // A run that was stopped read nothing back, and no entry may say that nothing failed.
    report.read_back = None;
    let entry = record(repository, &writer, &report).await.unwrap().entry;
    let EntryEvent::Restore(event) = &entry.event else { panic!("{entry:?}") };
    assert_eq!((event.restored, event.failed), (0, 2));
}
