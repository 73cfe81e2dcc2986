//! A host that backs up, as a user would have it, with a source in this process, so that a test can spoil or look into it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use keyhaven::crypto::{Identities, SigningKey};
use keyhaven::format::{Draft, Entry, EntryEvent, EntryPlace, EntryRef, Envelope, SnapshotEvent, names};
use keyhaven::model::Timestamp;
use keyhaven::provider::embedded::{Act, EmbeddedInstance, Options, Server, When, seed};
use keyhaven::repository::ledger::Ledger;
use keyhaven::repository::{Repository, Store};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::capture::Opened;
use super::files::files;
use super::program::{Machine, Run};

/// The custodian's key of a site, and why it is used: the arguments of a command that changes the policy.
pub(crate) const CUSTODIAN: [&str; 4] = ["--key", "kit/custodian-key.pem", "--reason", "test"];

/// A machine with one good snapshot behind it.
pub(crate) struct Site {
    pub(crate) machine: Machine,
    pub(crate) source: EmbeddedInstance,
    server: Server,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    /// With twelve made-up secrets.
    pub(crate) fn seeded() -> Self {
        Self::new(|source| seed(source, 11, 12).unwrap())
    }

    pub(crate) fn new(fill: impl FnOnce(&EmbeddedInstance)) -> Self {
        Self::with(Options::default(), fill)
    }

    /// The same over an instance with these options.
    pub(crate) fn with(options: Options, fill: impl FnOnce(&EmbeddedInstance)) -> Self {
        let site = Self::initialised(options, fill);
        let backup = site.run(&["backup", "--json"]).json(0);
        assert_eq!(backup["cut"], "point_in_time", "{backup:#}");
        site
    }

    /// Right after `init`: without a snapshot.
    pub(crate) fn initialised(options: Options, fill: impl FnOnce(&EmbeddedInstance)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let source = EmbeddedInstance::new(Options { ids: Some(1), ..options });
        fill(&source);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = runtime.block_on(Server::start(source.clone(), any)).unwrap();
        let machine = Machine::new();
        let site = Self { machine, source, server, runtime };
        site.machine.run(&["keys", "new", "--out", "kit", "--no-passphrase", "--json"]).json(0);
        site.machine.write("api-key", site.source.options().api_key.expose_secret());
        let (url, iam_url) = (site.server.base_url(), site.server.iam_url());
        let init = ["init", "--json", "--recovery", "kit/public.txt", "--source-url", &url, "--iam-url", &iam_url];
        let rest = ["--api-key-file", "api-key", "--repository", "repo", "--state-dir", "state"];
        site.machine.run(&[&init[..], &rest].concat()).json(0);
        let config = site.machine.read("keyhaven.toml");
        site.machine.write("keyhaven.toml", &config.replace("[source]", "[source]\nrequests_per_second = 1000"));
        site
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.machine.run(arguments)
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.machine.path("repo")
    }

    /// The stored files below a folder of the repository.
    pub(crate) fn stored(&self, folder: &str) -> Vec<PathBuf> {
        let root = self.repository().join(folder);
        files(&root).into_iter().map(|name| root.join(name)).collect()
    }

    pub(crate) fn pack(&self) -> PathBuf {
        self.stored("packs").remove(0)
    }

    pub(crate) fn newest_entry(&self) -> PathBuf {
        self.stored("ledger").pop().unwrap()
    }

    pub(crate) fn fault(&self, when: When, act: Act) {
        self.source.fault(when, act);
    }

    /// The newest snapshot with its event, opened with the recovery key.
    pub(crate) fn newest_snapshot(&self) -> (SnapshotEvent, Opened) {
        let kit = Identities::parse(&self.machine.read("kit/recovery-identity.txt")).unwrap();
        let config: toml::Value = toml::from_str(&self.machine.read("keyhaven.toml")).unwrap();
        let id = config["repository"]["id"].as_str().unwrap().parse().unwrap();
        self.runtime.block_on(async {
            let repository = Repository::open(Store::local(&self.repository()), id).await.unwrap();
            let entry = repository.read_ledger().await.unwrap().snapshots().pop().unwrap().clone();
            let event = entry.snapshot().unwrap();
            (event.clone(), Opened::of(&repository, &Arc::new(kit), event).await)
        })
    }

    /// Puts a file where an entry with these bytes would be, next in sequence; gives its name.
    pub(crate) fn plant_entry(&self, bytes: &[u8]) -> String {
        let digest = Envelope::peek_digest(bytes).unwrap_or_else(|| keyhaven::crypto::digest::sha256(bytes));
        let name = names::entry(&EntryRef { sequence: self.stored("ledger").len() as u64 + 1, digest });
        std::fs::write(self.repository().join(&name), bytes).unwrap();
        name
    }

    /// The repository and its ledger, as a reader without a memory finds them.
    pub(crate) fn ledger(&self) -> (Repository, Ledger) {
        let config: toml::Value = toml::from_str(&self.machine.read("keyhaven.toml")).unwrap();
        let id = config["repository"]["id"].as_str().unwrap().parse().unwrap();
        self.runtime.block_on(async {
            let repository = Repository::open(Store::local(&self.repository()), id).await.unwrap();
            let ledger = repository.read_ledger().await.unwrap();
            (repository, ledger)
        })
    }

    /// On top of all heads, under the policy in force.
    pub(crate) fn place(&self) -> EntryPlace {
        let (repository, ledger) = self.ledger();
        let (policy, in_force) = ledger.trust().writes_under().unwrap();
        EntryPlace {
            repository: *repository.id(),
            source: in_force.source.clone(),
            parents: ledger.parents(),
            lost: Vec::new(),
            policy,
            carries: None,
            due: None,
        }
    }

    /// Puts an entry there that a key signs, wherever and whatever it says.
    pub(crate) fn forge(&self, key: &SigningKey, place: &EntryPlace, event: EntryEvent) -> Entry {
        self.forge_at(Timestamp::from(chrono::Utc::now()), key, place, event)
    }

    /// As [`Site::forge`], dated at this time.
    pub(crate) fn forge_at(&self, time: Timestamp, key: &SigningKey, place: &EntryPlace, event: EntryEvent) -> Entry {
        let (entry, bytes) = Draft { time, tool: "test".to_owned(), event }.sign(place, key).unwrap();
        let path = self.repository().join(entry.name());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        entry
    }

    /// A signing key of this host.
    pub(crate) fn key(&self, file: &str) -> SigningKey {
        SigningKey::from_pem(&self.machine.read(file)).unwrap()
    }

    /// Puts an entry on top of all heads, signed by a key of this host.
    pub(crate) fn sign(&self, key_file: &str, event: EntryEvent) -> Entry {
        self.forge(&self.key(key_file), &self.place(), event)
    }

    /// The snapshots that the program lists.
    pub(crate) fn listed(&self, arguments: &[&str]) -> Vec<Value> {
        let listed = self.run(&[&["snapshots", "--json"], arguments].concat()).json(0);
        listed["snapshots"].as_array().unwrap().clone()
    }

    /// Makes a key in a directory of this name, which the custodian adds with these roles; gives its fingerprint.
    pub(crate) fn let_in(&self, name: &str, roles: &[&str]) -> String {
        let made = self.run(&["keys", "host", "--out", name, "--json"]).json(0);
        let public = format!("{name}/signing-key.public.pem");
        let roles: Vec<&str> = roles.iter().flat_map(|role| ["--role", *role]).collect();
        let add = [&["keys", "add", "--public", &public, "--name", name, "--json"][..], &roles, &CUSTODIAN].concat();
        self.run(&add).json(0);
        made["fingerprint"].as_str().unwrap().to_owned()
    }

    /// An empty instance behind a server of its own: a standby.
    pub(crate) fn standby(&self) -> (EmbeddedInstance, Server) {
        let id = "0b8f2f0e-7a61-4c8e-9c55-3d1a2b4c5e6f".to_owned();
        let standby =
            EmbeddedInstance::new(Options { region: "eu-gb".to_owned(), instance_id: id, ..Options::default() });
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = self.runtime.block_on(Server::start(standby.clone(), any)).unwrap();
        (standby, server)
    }
}
