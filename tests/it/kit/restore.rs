//! What the tests of restore share: a source and a standby over HTTP, a backup in memory, and ways to look at both.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use keyhaven::crypto::digest::sha256;
use keyhaven::job::plan_file::PlanFile as _;
use keyhaven::job::restore::plan::SnapshotName;
use keyhaven::job::restore::{
    ApplyOptions, ApplyReport, Backup, Consent, OpenPack, Plan, PlanOptions, RestoreError, apply, plan,
};
use keyhaven::model::json::JsonObject;
use keyhaven::model::{Digest, FailureKind, Item, Payload, Pointer, Restorability, Slot};
use keyhaven::provider::embedded::{EmbeddedInstance, InstanceClock, Options, Server, Verb};
use keyhaven::provider::ibm::Client;
use keyhaven::provider::{InstanceInventory, ItemReader, Listed, Readable};
use secrecy::ExposeSecret;

use super::clock::system_context;
use super::instance::{call, quick_client};

pub(crate) const SOURCE_ID: &str = "11111111-0f4d-4a6b-8c7d-9e0f1a2b3c4d";
pub(crate) const STANDBY_ID: &str = "22222222-0f4d-4a6b-8c7d-9e0f1a2b3c4d";

/// An instance with a server and a client.
pub(crate) struct Peer {
    pub(crate) instance: EmbeddedInstance,
    pub(crate) server: Server,
}

pub(crate) fn options(id: &str, region: &str, clock: &InstanceClock) -> Options {
    Options { instance_id: id.to_owned(), region: region.to_owned(), clock: clock.clone(), ..Options::default() }
}

impl Peer {
    pub(crate) async fn start(options: Options) -> Self {
        let instance = EmbeddedInstance::new(options);
        let server = Server::start(instance.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        Self { instance, server }
    }

    /// A new client: nothing is remembered of an earlier one.
    pub(crate) fn client(&self) -> Client {
        self.client_with(self.instance.options().api_key.expose_secret())
    }

    /// A new client with this API key.
    pub(crate) fn client_with(&self, key: &str) -> Client {
        Client::new(quick_client(&self.server.base_url(), &self.server.iam_url(), key.to_owned().into(), 4)).unwrap()
    }

    /// Does one request in the process and gives the answer back; it must succeed.
    pub(crate) fn call(&self, verb: Verb, path: &str, body: &str) -> JsonObject {
        call(&self.instance, verb, path, body)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> JsonObject {
        self.call(Verb::Post, path, body)
    }

    pub(crate) fn patch(&self, path: &str, body: &str) -> JsonObject {
        self.call(Verb::Patch, path, body)
    }

    pub(crate) fn get(&self, path: &str) -> JsonObject {
        self.call(Verb::Get, path, "")
    }

    /// Creates something and gives its id back.
    pub(crate) fn make(&self, path: &str, body: &str) -> String {
        self.post(path, body).str("id").unwrap()
    }

    pub(crate) fn group(&self, name: &str) -> String {
        self.make("secret_groups", &format!(r#"{{"name":"{name}","description":"group {name}"}}"#))
    }

    /// Adds a version to an arbitrary secret and gives its id back.
    pub(crate) fn version(&self, secret: &str, payload: &str) -> String {
        self.make(&format!("secrets/{secret}/versions"), &format!(r#"{{"payload":"{payload}"}}"#))
    }

    /// The id of the secret of that name.
    pub(crate) fn id_of(&self, name: &str) -> String {
        let rows = self.get("secrets?limit=1000").array("secrets").unwrap();
        let rows = rows.iter().map(|row| JsonObject::parse(row.get()).unwrap());
        let found: Vec<String> =
            rows.filter(|row| row.str("name").as_deref() == Some(name)).filter_map(|row| row.str("id")).collect();
        assert_eq!(found.len(), 1, "secrets called {name}");
        found[0].clone()
    }
}

/// A source and an empty standby in another region.
pub(crate) struct Pair {
    pub(crate) source: Peer,
    pub(crate) standby: Peer,
    pub(crate) clock: InstanceClock,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let clock = InstanceClock::manual("2026-11-22T12:00:00Z".parse().unwrap());
        let source = Peer::start(options(SOURCE_ID, "eu-de", &clock)).await;
        let standby = Peer::start(options(STANDBY_ID, "eu-gb", &clock)).await;
        Self { source, standby, clock }
    }

    pub(crate) async fn backup(&self) -> MemoryBackup {
        MemoryBackup::take(&self.source).await
    }
}

/// Numbers, an order and repeated names that must come back as they are.
pub(crate) const ODD: &str = r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}"#;

/// A source with every kind of item that can be restored.
pub(crate) async fn full() -> Pair {
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

/// A snapshot in memory, made by listing and reading: what a capture would have stored.
#[derive(Debug)]
pub(crate) struct MemoryBackup {
    name: SnapshotName,
    items: Vec<Item>,
    packs: HashMap<Digest, Vec<(Item, Slot, Payload)>>,
    damaged: Option<Digest>,
}

impl MemoryBackup {
    pub(crate) async fn take(source: &Peer) -> Self {
        let client = source.client();
        let mut listed: Vec<Listed> = Vec::new();
        let listing = client.list(&mut |one: Listed| listed.push(one)).await.unwrap();
        let (mut items, mut packs) = (Vec::new(), HashMap::new());
        for one in listed {
            let mut item = one.item.clone();
            if one.readable == Readable::Payloads {
                let reading = client.read(&one, None).await.unwrap();
                item.docs = reading.docs;
                item.class = reading.class.into();
                // One pack an item, so that every way to packs is taken.
                let pack = sha256(item.key.as_str().as_bytes());
                for (slot, payload) in reading.payloads {
                    item.payloads.push(Pointer { version: slot.clone(), pack });
                    let lines: &mut Vec<_> = packs.entry(pack).or_default();
                    lines.push((item.clone(), slot, payload));
                }
            }
            items.push(item);
        }
        items.sort_by(|a, b| a.key.cmp(&b.key));
        let text: String = items.iter().map(|item| serde_json::to_string(item).unwrap()).collect();
        let name = SnapshotName {
            repository: sha256(b"repository").to_string(),
            entry: sha256(text.as_bytes()),
            sequence: 2,
            time: listing.started,
            source: source.instance.crn(),
        };
        Self { name, items, packs, damaged: None }
    }

    /// What an operator said of the items of that name, because no answer shows it.
    pub(crate) fn supply(&mut self, name: &str, members: &str) {
        let members = serde_json::value::RawValue::from_string(members.to_owned()).unwrap();
        for item in self.items.iter_mut().filter(|item| item.name == name) {
            item.docs.insert("supplied".to_owned(), members.clone());
        }
    }

    /// That secret was listed and could not be read.
    pub(crate) fn forget(&mut self, id: &str) {
        for item in self.items.iter_mut().filter(|item| item.key.id() == id) {
            item.payloads.clear();
        }
    }

    /// The items of that name are of a class, or one more item is of a kind, that a later version wrote.
    pub(crate) fn write_later(&mut self, name: &str) {
        let named = |item: &&mut Item| item.name == name;
        for item in self.items.iter_mut().filter(named) {
            item.class = serde_json::from_str("\"half_way\"").unwrap();
        }
        let mut other = self.items.iter().find(|item| item.name == name).unwrap().clone();
        (other.key, other.class) = ("store/x".parse().unwrap(), Restorability::Exact.into());
        self.items.push(other);
        self.items.sort_by(|a, b| a.key.cmp(&b.key));
    }

    /// The pack of that secret is not what was signed any more.
    pub(crate) fn damage(&mut self, id: &str) {
        self.damaged = Some(sha256(format!("secret/{id}").as_bytes()));
    }
}

#[async_trait]
impl Backup for MemoryBackup {
    fn name(&self) -> &SnapshotName {
        &self.name
    }

    async fn items(&self) -> Result<Vec<Item>, RestoreError> {
        Ok(self.items.clone())
    }

    async fn pack(&self, pack: &Digest) -> Result<OpenPack, RestoreError> {
        if self.damaged.as_ref() == Some(pack) {
            let source = "its bytes are not what was signed".into();
            return Err(RestoreError::Backup { kind: FailureKind::Integrity, source });
        }
        let lines = self.packs.get(pack).unwrap();
        Ok(lines.iter().map(|(item, slot, payload)| ((item.key.clone(), slot.clone()), payload.clone())).collect())
    }
}

/// What an operator says who means the standby.
pub(crate) fn confirmed() -> Consent {
    Consent { confirm: Some(STANDBY_ID.to_owned()), into_source: None }
}

pub(crate) async fn make_plan(pair: &Pair, backup: &MemoryBackup, options: &PlanOptions) -> Plan {
    let made = plan(&system_context(), backup, &pair.standby.client(), options, &confirmed()).await.unwrap();
    // Through its file, as the command line does.
    Plan::from_json(made.to_json().unwrap().as_bytes()).unwrap()
}

pub(crate) fn quick() -> ApplyOptions {
    ApplyOptions { settle: Duration::ZERO, ..ApplyOptions::default() }
}

pub(crate) async fn run(pair: &Pair, backup: &MemoryBackup, plan: &Plan) -> ApplyReport {
    apply(&system_context(), plan, backup, &pair.standby.client(), &quick(), &confirmed()).await.unwrap()
}

/// Plans, applies, and checks that nothing is left to do: neither for the plan nor for a new one.
pub(crate) async fn restore(pair: &Pair, backup: &MemoryBackup, options: &PlanOptions) -> ApplyReport {
    let made = make_plan(pair, backup, options).await;
    let report = run(pair, backup, &made).await;
    assert!(report.stopped.is_none() && report.failed.is_empty(), "{report:#?}");
    assert_eq!(report.done + report.already, made.totals.steps, "{report:#?}");
    nothing_left(pair, backup, &made, options).await;
    report
}

/// A second apply of the plan and a new plan are both empty.
pub(crate) async fn nothing_left(pair: &Pair, backup: &MemoryBackup, made: &Plan, options: &PlanOptions) {
    pair.standby.instance.reset_counters();
    let again = run(pair, backup, made).await;
    assert_eq!((again.done, again.already), (0, made.totals.steps), "{again:#?}");
    assert_eq!(pair.standby.instance.counters().writing, 0, "a second apply writes nothing");
    for deep in [false, true] {
        let new = make_plan(pair, backup, &PlanOptions { deep, ..options.clone() }).await;
        assert!(new.steps.is_empty() && new.conflicts == made.conflicts, "deep {deep}: {new:#?}");
    }
}

/// Everything in an instance that a restore is about, as text by name, without ids, times and our marks.
pub(crate) fn content(peer: &Peer) -> BTreeMap<String, String> {
    Content { peer, groups: groups(peer) }.all()
}

fn groups(peer: &Peer) -> BTreeMap<String, String> {
    let rows = peer.get("secret_groups").array("secret_groups").unwrap();
    let rows = rows.iter().map(|row| JsonObject::parse(row.get()).unwrap());
    rows.map(|row| (row.str("id").unwrap(), row.str("name").unwrap())).collect()
}

struct Content<'a> {
    peer: &'a Peer,
    groups: BTreeMap<String, String>,
}

impl Content<'_> {
    fn rows(&self, path: &str, member: &str) -> Vec<JsonObject> {
        let rows = self.peer.get(path).array(member).unwrap();
        rows.iter().map(|row| JsonObject::parse(row.get()).unwrap()).collect()
    }

    fn all(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for group in self.rows("secret_groups", "secret_groups") {
            all.insert(format!("group {}", group.str("name").unwrap()), texts(&group, &["description"]));
        }
        for row in self.rows("configurations?limit=1000", "configurations") {
            let (name, kind) = (row.str("name").unwrap(), row.str("config_type").unwrap());
            // The only configuration of its name here, so no type is needed.
            let value = self.peer.get(&format!("configurations/{name}"));
            all.insert(
                format!("configuration {kind}/{name}"),
                without(value, &["created_at", "created_by", "updated_at"]),
            );
        }
        let registration = self.peer.instance.call(Verb::Get, "/api/v2/notifications/registration", "");
        if registration.status == 200 {
            all.insert("registration".to_owned(), registration.body.to_string());
        }
        for row in self.rows("secrets?limit=1000", "secrets") {
            let group = &self.groups[&row.str("secret_group_id").unwrap()];
            let kind = row.str("secret_type").unwrap();
            all.insert(format!("secret {group}/{kind}/{}", row.str("name").unwrap()), self.secret(&row));
        }
        all
    }

    fn secret(&self, row: &JsonObject) -> String {
        let id = row.str("id").unwrap();
        let mut out = texts(row, &["description", "labels", "expiration_date", "password_generation_policy"]);
        out.push_str(&format!(" custom={}", unmarked(row, "custom_metadata")));
        for alias in ["previous", "current"] {
            let reply = self.peer.instance.call(Verb::Get, &format!("/api/v2/secrets/{id}/versions/{alias}"), "");
            if reply.status != 200 {
                continue;
            }
            let version = JsonObject::parse(&reply.body).unwrap();
            if version.bool("payload_available") != Some(true) {
                continue;
            }
            let fields = ["payload", "data", "username", "password", "certificate", "intermediate", "private_key"];
            let metadata = unmarked(&version, "version_custom_metadata");
            out.push_str(&format!("\n  {alias} {} metadata={metadata}", texts(&version, &fields)));
            let mut locks: Vec<String> = self
                .rows(&format!("secrets/{id}/locks?limit=100"), "locks")
                .iter()
                .filter(|lock| lock.str("secret_version_alias").as_deref() == Some(alias))
                .map(|lock| texts(lock, &["name", "description", "attributes"]))
                .collect();
            locks.sort();
            out.push_str(&format!(" locks={locks:?}"));
        }
        out
    }
}

fn texts(row: &JsonObject, names: &[&str]) -> String {
    let text = |name: &&str| format!("{name}={}", row.get(name).map_or("null", |value| value.get()));
    names.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn without(mut row: JsonObject, names: &[&str]) -> String {
    for name in names {
        row.remove(name);
    }
    row.to_raw().get().to_owned()
}

fn unmarked(row: &JsonObject, name: &str) -> String {
    let mut metadata = row.object(name).unwrap_or_default();
    metadata.remove("keyhaven");
    metadata.to_raw().get().to_owned()
}

/// The same as [`content`], with our marks and the number of versions: equal only for standbys that were restored alike.
pub(crate) fn marked_content(peer: &Peer) -> BTreeMap<String, String> {
    let mut all = content(peer);
    let groups = groups(peer);
    let rows = peer.get("secrets?limit=1000").array("secrets").unwrap();
    for row in rows.iter().map(|row| JsonObject::parse(row.get()).unwrap()) {
        let id = row.str("id").unwrap();
        let name = format!("marks {}/{}", groups[&row.str("secret_group_id").unwrap()], row.str("name").unwrap());
        let mut text = texts(&row, &["custom_metadata", "versions_total", "rotation"]);
        let versions = peer.get(&format!("secrets/{id}/versions")).array("versions").unwrap();
        for version in versions.iter().map(|version| JsonObject::parse(version.get()).unwrap()) {
            text.push_str(&format!("\n  {}", texts(&version, &["alias", "version_custom_metadata"])));
        }
        all.insert(name, text);
    }
    all
}

/// The steps of a plan as words: what, and of which item.
pub(crate) fn words(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| format!("{} {}", step.action.as_str(), step.name)).collect()
}
