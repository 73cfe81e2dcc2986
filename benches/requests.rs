//! What captures and restores cost in requests, as the embedded instance counts them, held against the goals:
//! `cargo bench --bench requests`. Ends with an error when one is missed.
//!
//! The goals: one request to read a secret of one version, two for two, three for more, and a page of locks per 100 of
//! them; an incremental backup of 10,000 secrets of which 1 % changed: two inventories of 23 requests and three requests a
//! changed or refreshed secret; a restore of n secrets: n creates, and a write for each further version, metadata patch
//! or bulk of locks. Backups and restores are those of the real program.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench has a folder of its own and runs the program")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyhaven::model::ItemKind;
use keyhaven::provider::embedded::{EmbeddedInstance, Options, Server, Verb, seed, seed_small};
use keyhaven::provider::ibm::{Client, ClientSettings, Pace};
use keyhaven::provider::{InstanceInventory, ItemReader, Listed, Readable};
use secrecy::ExposeSecret as _;
use serde_json::Value;

/// Secrets of the incremental backup, and how many of them change.
const SECRETS: usize = 10_000;
const CHANGED: usize = SECRETS / 100;
/// Requests of one inventory of so many: a page per 1,000 secrets, the same of their locks, and three.
const INVENTORY: u64 = 23;
/// Secrets of the restore.
const RESTORED: usize = 500;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    reads().await?;
    incremental().await?;
    restore().await
}

/// Requests of reads, item by item.
async fn reads() -> Result<(), Failure> {
    let source = Peer::start("eu-de", 1, |instance| Ok(seed(instance, 1, 500)?)).await?;
    let client = source.client()?;
    let mut items = Vec::new();
    client.list(&mut |listed: Listed| items.push(listed)).await?;
    // Case, items, requests without locks, pages of locks, the goal for each.
    let mut cases: BTreeMap<&str, (u64, u64, u64, u64)> = BTreeMap::new();
    for listed in items {
        let before = source.instance.counters().requests();
        client.read(&listed, None).await?;
        let spent = source.instance.counters().requests() - before;
        let row = listed.item.doc("row").unwrap_or_default();
        let pages = row.u64("locks_total").unwrap_or_default().div_ceil(100);
        let (case, goal) = match (listed.item.key.kind(), listed.readable, row.u64("versions_total")) {
            (ItemKind::Secret, Readable::MetadataOnly, _) => ("no payload to read", 1),
            (ItemKind::Secret, _, Some(1)) => ("1 version", 1),
            (ItemKind::Secret, _, Some(2)) => ("2 versions", 2),
            (ItemKind::Secret, ..) => ("3 to 50 versions", 3),
            (ItemKind::Configuration, ..) => ("configuration", 1),
            (ItemKind::Group | ItemKind::Registration | ItemKind::Other, ..) => ("group or registration", 0),
        };
        let (count, requests, of_locks, _) = cases.entry(case).or_insert((0, 0, 0, goal));
        (*count, *requests, *of_locks) = (*count + 1, *requests + spent - pages, *of_locks + pages);
    }
    println!("{:<24} {:>6} {:>9} {:>11} {:>6}", "reading", "items", "requests", "lock pages", "goal");
    for (case, (count, requests, of_locks, goal)) in cases {
        println!("{case:<24} {count:>6} {requests:>9} {of_locks:>11} {:>6}", count * goal);
        goal_met(case, requests, count * goal)?;
    }
    Ok(())
}

/// An incremental backup of many secrets of which few changed.
async fn incremental() -> Result<(), Failure> {
    let source = Peer::start("eu-de", 2, |instance| Ok(seed_small(instance, 1, SECRETS)?)).await?;
    let host = Host::new(&source)?;
    host.run(&["backup", "--json"], &[], 0)?;
    let ids: Vec<String> = source.instance.snapshot().items.secrets.keys().map(ToString::to_string).collect();
    for (at, id) in ids.iter().step_by(SECRETS / CHANGED).enumerate() {
        // One, two or three new versions.
        for version in 0..=at % 3 {
            let (path, body) = (format!("/api/v2/secrets/{id}/versions"), format!(r#"{{"payload":"new-{version}"}}"#));
            let status = source.instance.call(Verb::Post, &path, &body).status;
            if status != 201 {
                return Err(format!("a rotation was answered with {status}").into());
            }
        }
    }
    source.instance.reset_counters();
    let report = host.run(&["backup", "--json"], &[], 0)?;
    let counted = source.instance.counters();
    let read = report["read"].as_u64().ok_or("the report has no `read`")?;
    let goal = 2 * INVENTORY + 3 * read;
    println!();
    println!("incremental backup of {SECRETS}, {CHANGED} changed: {read} read");
    println!("  {} listing, {} reading; goal {goal}", counted.listing, counted.reading);
    goal_met("listing", counted.listing, 2 * INVENTORY)?;
    goal_met("an incremental backup", counted.requests(), goal)?;
    goal_met("what was read beside the changed", read, CHANGED as u64 + SECRETS as u64 / 100)?;
    source.instance.reset_counters();
    host.run(&["backup", "--json"], &[], 0)?;
    let quiet = source.instance.counters();
    println!("  the next one, quiet: {} listing, {} reading", quiet.listing, quiet.reading);
    goal_met("a quiet backup", quiet.listing, 2 * INVENTORY)
}

/// A restore of a varied instance into an empty one.
async fn restore() -> Result<(), Failure> {
    let source = Peer::start("eu-de", 3, |instance| Ok(seed(instance, 1, RESTORED)?)).await?;
    let host = Host::new(&source)?;
    host.run(&["backup", "--json"], &[], 0)?;
    let standby = Peer::start("eu-gb", 4, |_| Ok(())).await?;
    std::fs::write(host.folder.join("standby-key"), standby.instance.options().api_key.expose_secret())?;
    let environment = [
        ("KEYHAVEN_STANDBY_URL", standby.server.base_url()),
        ("KEYHAVEN_STANDBY_IAM_URL", standby.server.iam_url()),
        ("KEYHAVEN_STANDBY_API_KEY", "file:standby-key".to_owned()),
        ("KEYHAVEN_STANDBY_REQUESTS_PER_SECOND", "1000".to_owned()),
    ];
    let id = standby.instance.options().instance_id.clone();
    let identity = ["--identity", "kit/recovery-identity.txt", "--confirm", &id, "--json"];
    let plan = [&["restore", "plan", "--out", "plan.json"], &identity[..]].concat();
    host.run(&plan, &environment, 15)?;
    standby.instance.reset_counters();
    let report = host.run(&[&["restore", "apply", "plan.json"], &identity[..]].concat(), &environment, 0)?;
    let counted = standby.instance.counters();
    let actions: BTreeMap<String, u64> = serde_json::from_value(report["actions"].clone())?;
    let items = source.instance.snapshot().items;
    let kept = |secret: &keyhaven::provider::embedded::Secret| {
        secret.versions.iter().filter(|version| version.payload.is_some()).count() as u64
    };
    let secrets = items.secrets.values().filter(|secret| kept(secret) > 0).count() as u64;
    let further: u64 = items.secrets.values().map(|secret| kept(secret).saturating_sub(1)).sum();
    let locked = |secret: &keyhaven::provider::embedded::Secret| {
        secret.versions.iter().filter(|version| !version.locks.is_empty()).count() as u64
    };
    let bulks: u64 = items.secrets.values().map(|secret| locked(secret)).sum();
    let others = (items.groups.len() + items.configurations.len() + usize::from(items.registration.is_some())) as u64;
    let patches: u64 = ["patch_metadata", "patch_version_metadata"].iter().filter_map(|name| actions.get(*name)).sum();
    let goal = secrets + further + bulks + patches + others;
    println!();
    println!(
        "restore of {secrets} secrets with {further} further versions, {bulks} bulks of locks, {others} other items"
    );
    println!("  {} writes by {actions:?}; goal {goal}", counted.writing);
    println!("  {} listing, {} reading, to look first and to read back", counted.listing, counted.reading);
    goal_met("patches of metadata", patches, secrets)?;
    goal_met("a restore", counted.writing, goal)
}

fn goal_met(what: &str, is: u64, goal: u64) -> Result<(), Failure> {
    if is > goal { Err(format!("{what} took {is} requests, the goal is {goal}").into()) } else { Ok(()) }
}

/// An embedded instance behind HTTP.
struct Peer {
    instance: EmbeddedInstance,
    server: Server,
}

impl Peer {
    async fn start(
        region: &str,
        number: u8,
        fill: impl FnOnce(&EmbeddedInstance) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let instance_id = format!("5c1a3b2e-0f4d-4a6b-8c7d-9e0f1a2b3c{number:02}");
        let instance = EmbeddedInstance::new(Options { region: region.to_owned(), instance_id, ..Options::default() });
        fill(&instance)?;
        let server = Server::start(instance.clone(), SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        Ok(Self { instance, server })
    }

    fn client(&self) -> Result<Client, Failure> {
        let key = self.instance.options().api_key.expose_secret().to_owned();
        let settings = ClientSettings::new(&self.server.base_url(), &self.server.iam_url(), key.into());
        Ok(Client::with_pace(settings, Pace::new(10_000.0))?)
    }
}

/// A host with the real program and a repository for one source; its folder goes with it.
struct Host {
    folder: PathBuf,
}

impl Drop for Host {
    fn drop(&mut self) {
        // What is left of a bench does no harm.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Host {
    fn new(source: &Peer) -> Result<Self, Failure> {
        let id = &source.instance.options().instance_id;
        let folder = std::env::temp_dir().join(format!("keyhaven-bench-requests-{}-{id}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let host = Self { folder };
        host.private("api-key", source.instance.options().api_key.expose_secret())?;
        host.private("standby-key", "")?;
        host.run(&["keys", "new", "--out", "kit", "--no-passphrase", "--json"], &[], 0)?;
        let (url, iam_url) = (source.server.base_url(), source.server.iam_url());
        let init = ["init", "--json", "--recovery", "kit/public.txt", "--source-url", &url, "--iam-url", &iam_url];
        let rest = ["--api-key-file", "api-key", "--repository", "repo", "--state-dir", "state"];
        host.run(&[&init[..], &rest].concat(), &[], 0)?;
        let config = host.folder.join("keyhaven.toml");
        let text = std::fs::read_to_string(&config)?.replace("[source]", "[source]\nrequests_per_second = 1000");
        std::fs::write(config, text)?;
        Ok(host)
    }

    fn private(&self, name: &str, text: &str) -> Result<(), Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?)
    }

    /// Runs the program, which must end with that code, and gives its result.
    fn run(&self, arguments: &[&str], environment: &[(&str, String)], code: i32) -> Result<Value, Failure> {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_keyhaven")));
        command.args(arguments).current_dir(&self.folder).env_clear().env("HOME", &self.folder);
        command.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
        let output = command.output()?;
        if output.status.code() != Some(code) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{arguments:?} ended with {:?}: {said}", output.status.code()).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
