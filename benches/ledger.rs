//! What reading and checking a whole ledger costs, as every run does it: `cargo bench --bench ledger`.
//!
//! Ledgers of up to 35,000 quiet snapshots (a year of a run every 15 minutes) of instances of 1,000 and 10,000 secrets,
//! each read by a process of its own: from the repository's folder, and with the entries in the cache of a host. What it
//! is held against is `sha256sum` over the same files, in the same run.
//!
//! Then what a flood costs on top: what anybody who can put objects, or a thief of an old key, puts beside 1,000 entries.
//! `cargo bench --bench ledger flood` is that alone.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench keeps its repository in a temporary folder")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyhaven::crypto::digest::sha256;
use keyhaven::crypto::{Identities, SigningKey};
use keyhaven::format::envelope::{Envelope, Holds, Signature};
use keyhaven::format::policy::{Custodian, PolicyKey, PolicyRecipient};
use keyhaven::format::{
    Draft, EntryEvent, EntryPlace, EntryRef, Policy, PolicyRef, RepositoryId, SigningRole, SourceName, names,
};
use keyhaven::job::Context;
use keyhaven::job::capture::{CaptureOptions, capture};
use keyhaven::job::event::Silent;
use keyhaven::model::{Clock, Timestamp};
use keyhaven::provider::embedded::{EmbeddedInstance, InstanceClock, Options, Server, seed_small};
use keyhaven::provider::ibm::{Client, ClientSettings};
use keyhaven::repository::{EntryWriter, Repository, StateDirectory, Store};
use tokio_util::sync::CancellationToken;

/// Secrets of the instance, which make an entry as large as that of a real one, and how many entries.
const CASES: [(usize, &[u64]); 2] = [(1_000, &[1_000, 10_000, 35_000]), (10_000, &[1_000, 10_000])];
/// Entries that a flood is put beside.
const BESIDE: u64 = 1_000;
const TOOL: &str = "keyhaven/bench";

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["read", folder, id] => read(Path::new(folder), id.parse()?, None),
        ["read", folder, id, state] => read(Path::new(folder), id.parse()?, Some(Path::new(state))),
        ["flood"] => flood(),
        _ => measure().and_then(|()| flood()),
    }
}

#[tokio::main]
async fn measure() -> Result<(), Failure> {
    println!(
        "{:>8} {:>8} {:>8} {:>10} {:>10} {:>11} {:>6} {:>9}",
        "secrets", "entries", "MiB", "folder s", "cache s", "sha256sum s", "ratio", "peak MiB"
    );
    for (secrets, sizes) in CASES {
        let folder = std::env::temp_dir().join(format!("keyhaven-bench-ledger-{}-{secrets}", std::process::id()));
        measure_one(secrets, sizes, &folder).await?;
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

async fn measure_one(secrets: usize, sizes: &[u64], folder: &Path) -> Result<(), Failure> {
    let place = folder.join("repository");
    let (state, state_path) = (folder.join("state"), folder.join("state").display().to_string());
    std::fs::create_dir_all(&state)?;
    let mut chain = Chain::begin(secrets, &place, &folder.join("writer")).await?;
    let (repository, id) = (place.display().to_string(), chain.id.to_string());
    for entries in sizes {
        chain.grow(*entries)?;
        let plain = run(&["read", &repository, &id])?;
        // The first fills the cache.
        run(&["read", &repository, &id, &state_path])?;
        let cached = run(&["read", &repository, &id, &state_path])?;
        for read in [&plain, &cached] {
            if read.entries != *entries {
                return Err(format!("{} entries of {entries} were read", read.entries).into());
            }
        }
        let peer = sha256sum(&place.join("ledger"))?;
        let seconds = |time: Duration| time.as_secs_f64();
        println!(
            "{secrets:>8} {entries:>8} {:>8} {:>10.2} {:>10.2} {:>11.2} {:>6.1} {:>9}",
            chain.bytes >> 20,
            seconds(plain.took),
            seconds(cached.took),
            seconds(peer),
            seconds(cached.took) / seconds(peer),
            cached.peak_kib >> 10,
        );
    }
    Ok(())
}

/// One of the floods: what it is, and what writes it.
type Flood = (&'static str, fn(&Chain, &mut Junk) -> Result<(), Failure>);

const FLOODS: [Flood; 6] = [
    ("100,000 files that are no entries", junk_names),
    ("5,000 entries of strangers", strangers),
    ("4,000 entries of an ended key and an ended custodian", forged),
    ("all of these", |chain, junk| {
        junk_names(chain, junk)?;
        strangers(chain, junk)?;
        forged(chain, junk)
    }),
    ("1,990 policies that nobody signed, 4,500 versions named in each", unsigned_policies),
    ("1,000 entries with copies of the policy, 64 made-up signatures each", made_up_signatures),
];

#[tokio::main]
async fn flood() -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("keyhaven-bench-flood-{}", std::process::id()));
    let place = folder.join("repository");
    std::fs::create_dir_all(folder.join("state"))?;
    let mut chain = Chain::begin(1_000, &place, &folder.join("writer")).await?;
    chain.grow(BESIDE)?;
    chain.policy = chain.end_keys()?;
    let (repository, id) = (place.display().to_string(), chain.id.to_string());
    let alone = run(&["read", &repository, &id])?;
    println!("{:>8} {:>8} {:>8} {:>9}  beside {BESIDE} entries", "files", "MiB", "s more", "MiB more");
    for (what, write) in FLOODS {
        let mut junk = Junk { place: place.clone(), files: Vec::new(), bytes: 0 };
        write(&chain, &mut junk)?;
        let beside = run(&["read", &repository, &id])?;
        if (alone.entries, beside.entries) != (BESIDE, BESIDE) {
            return Err(format!("{} and {} entries were read", alone.entries, beside.entries).into());
        }
        println!(
            "{:>8} {:>8} {:>8.2} {:>9}  {what}",
            junk.files.len(),
            junk.bytes >> 20,
            beside.took.as_secs_f64() - alone.took.as_secs_f64(),
            beside.peak_kib.saturating_sub(alone.peak_kib) >> 10,
        );
        junk.files.iter().try_for_each(std::fs::remove_file)?;
    }
    Ok(std::fs::remove_dir_all(folder)?)
}

/// Files that are put beside a ledger, and taken away again.
struct Junk {
    place: PathBuf,
    files: Vec<PathBuf>,
    bytes: u64,
}

impl Junk {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let file = self.place.join(name);
        std::fs::create_dir_all(file.parent().ok_or("a name without a folder")?)?;
        std::fs::write(&file, bytes)?;
        self.files.push(file);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn junk_names(_: &Chain, junk: &mut Junk) -> Result<(), Failure> {
    (0..100_000).try_for_each(|number| junk.put(&format!("ledger/junk/{number}"), b"junk"))
}

fn strangers(chain: &Chain, junk: &mut Junk) -> Result<(), Failure> {
    (0..5_000).try_for_each(|_| chain.forge(junk, &SigningKey::generate()?, None))
}

fn forged(chain: &Chain, junk: &mut Junk) -> Result<(), Failure> {
    for _ in 0..2_000 {
        chain.forge(junk, &chain.thief, None)?;
        chain.forge(junk, &chain.custodian, None)?;
    }
    Ok(())
}

fn unsigned_policies(chain: &Chain, junk: &mut Junk) -> Result<(), Failure> {
    for number in 0..1_990_u64 {
        let mut policy = chain.first.next(chain.reference_of_first(), chain.id, chain.time, TOOL);
        let digest = |at: u64| sha256(&(number * 4_500 + at).to_be_bytes());
        policy.previous.extend((0..4_500).map(|at| PolicyRef { version: 1, digest: digest(at) }));
        let envelope = Envelope::unsigned(policy.payload()?);
        let version = PolicyRef { version: policy.version, digest: envelope.digest() };
        junk.put(&names::policy(&version), &envelope.encode(Holds::Policy)?)?;
    }
    Ok(())
}

fn made_up_signatures(chain: &Chain, junk: &mut Junk) -> Result<(), Failure> {
    let keyid = chain.custodian.public().fingerprint();
    for number in 0..1_000_u64 {
        let mut copy = Envelope::unsigned(chain.in_force.clone());
        copy.pool((0..64).map(|at| {
            let digest = sha256(&(number * 64 + at).to_be_bytes());
            Signature { keyid, bytes: [digest.as_bytes().as_slice(), &[0; 32]].concat() }
        }));
        chain.forge(junk, &SigningKey::generate()?, Some(copy))?;
    }
    Ok(())
}

/// What a reader in a process of its own printed.
struct Reading {
    entries: u64,
    took: Duration,
    peak_kib: u64,
}

fn run(arguments: &[&str]) -> Result<Reading, Failure> {
    let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
    let text = String::from_utf8(output.stdout)?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let [entries, micros, peak] = words[..] else {
        return Err(format!("the reader failed: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    };
    Ok(Reading { entries: entries.parse()?, took: Duration::from_micros(micros.parse()?), peak_kib: peak.parse()? })
}

/// Opens the repository, reads and checks its ledger, and prints the entries that count, the microseconds and the peak
/// memory of this process in KiB.
#[tokio::main]
async fn read(folder: &Path, id: RepositoryId, state: Option<&Path>) -> Result<(), Failure> {
    let begun = Instant::now();
    let repository = Repository::open(Store::local(folder), id).await?;
    let repository = match state {
        Some(state) => repository.cached_in(&StateDirectory::new(state, &id.to_string())),
        None => repository,
    };
    let ledger = repository.read_ledger().await?;
    let took = begun.elapsed();
    println!("{} {} {}", ledger.counted().count(), took.as_micros(), peak()?);
    Ok(())
}

/// The time that `sha256sum` takes for every file of a folder.
fn sha256sum(folder: &Path) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let status = Command::new("sh")
        .args(["-c", "find \"$0\" -type f -print0 | xargs -0 sha256sum"])
        .arg(folder)
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(begun.elapsed()) } else { Err("sha256sum failed".into()) }
}

/// A ledger without branches that is written past the repository: a commit checks all that is there, so a long one would
/// take hours.
struct Chain {
    place: PathBuf,
    id: RepositoryId,
    key: Arc<SigningKey>,
    /// Another collector.
    thief: SigningKey,
    custodian: SigningKey,
    source: SourceName,
    event: EntryEvent,
    /// Version 1 of the policy, the payload of the version in force, and the version to write under.
    first: Policy,
    in_force: Vec<u8>,
    policy: PolicyRef,
    parent: EntryRef,
    time: Timestamp,
    bytes: u64,
}

impl Chain {
    /// A repository with one snapshot.
    async fn begin(secrets: usize, place: &Path, state: &Path) -> Result<Self, Failure> {
        let instance = EmbeddedInstance::new(Options { ids: Some(1), ..Options::default() });
        seed_small(&instance, 1, secrets)?;
        let source =
            SourceName { provider: "ibm".to_owned(), instance: instance.crn(), region: Some("eu-de".to_owned()) };
        let server = Server::start(instance, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let mut settings = ClientSettings::new(&server.base_url(), &server.iam_url(), Options::default().api_key);
        settings.requests_per_second = 10_000.0;
        let client = Client::new(settings)?;

        let key = Arc::new(SigningKey::generate()?);
        let (recovery, catalogue) = (Identities::generate().0, Arc::new(Identities::generate().0));
        let clock: Arc<dyn Clock> = Arc::new(InstanceClock::system());
        let recover_md = keyhaven::repository::recover_md(&source);
        let mut policy = Policy::first(source.clone(), sha256(&recover_md), clock.now(), TOOL);
        let recipient = |identities: &Identities| PolicyRecipient {
            name: String::new(),
            recipient: identities.recipients().iter().map(ToString::to_string).collect(),
        };
        policy.recovery_recipients = vec![recipient(&recovery)];
        policy.catalogue_recipients = vec![recipient(&catalogue)];
        let (custodian, thief) = (SigningKey::generate()?, SigningKey::generate()?);
        policy.custodians = vec![Custodian { name: String::new(), public_key: custodian.public().into() }];
        let collector = |key: &SigningKey| {
            let (public_key, roles) = (key.public().into(), vec![SigningRole::Collector.to_string()]);
            PolicyKey { name: String::new(), public_key, roles, until: None }
        };
        policy.keys = vec![collector(&key), collector(&thief)];
        policy.sort();
        let id = Repository::init(Store::local(place), recover_md, &policy).await?.id;
        let repository = Repository::open(Store::local(place), id).await?;
        let state = StateDirectory::new(state, &id.to_string());
        let writer = EntryWriter { key: Arc::clone(&key), state, clock: Arc::clone(&clock), due: None };
        let context = Context { clock, observer: Arc::new(Silent), cancel: CancellationToken::new() };
        capture(&context, &client, &repository, &writer, &catalogue, &CaptureOptions::default()).await?;
        server.stop().await;

        let ledger = repository.read_ledger().await?;
        let first = ledger.snapshots().pop().ok_or("the capture left no snapshot")?;
        let event = EntryEvent::Snapshot(Box::new(first.snapshot().ok_or("a snapshot that is none")?.clone()));
        let (version, parent, time) = (first.policy, first.reference(), first.time);
        Ok(Self {
            place: place.to_owned(),
            id,
            key,
            thief,
            custodian,
            source,
            event,
            in_force: policy.payload()?,
            first: policy,
            policy: version,
            parent,
            time,
            bytes: 0,
        })
    }

    fn reference_of_first(&self) -> PolicyRef {
        PolicyRef { version: 1, digest: self.id.0 }
    }

    /// Publishes a version that ends the other collector, with another custodian.
    fn end_keys(&mut self) -> Result<PolicyRef, Failure> {
        let mut next = self.first.next(self.reference_of_first(), self.id, self.time, TOOL);
        let thief = self.thief.public().fingerprint();
        for key in next.keys.iter_mut().filter(|key| key.public_key.fingerprint() == thief) {
            key.until = Some(Vec::new());
        }
        let custodian = SigningKey::generate()?;
        next.custodians = vec![Custodian { name: String::new(), public_key: custodian.public().into() }];
        let mut envelope = Envelope::unsigned(next.payload()?);
        envelope.sign(&self.custodian);
        envelope.sign(&custodian);
        let version = PolicyRef { version: next.version, digest: envelope.digest() };
        std::fs::write(self.place.join(names::policy(&version)), envelope.encode(Holds::Policy)?)?;
        self.in_force = envelope.payload;
        Ok(version)
    }

    fn place(&self, carries: Option<Envelope>) -> EntryPlace {
        EntryPlace {
            repository: self.id,
            source: self.source.clone(),
            parents: vec![self.parent],
            lost: Vec::new(),
            policy: self.policy,
            carries,
            due: None,
        }
    }

    /// An entry upon the newest one by any key.
    fn forge(&self, junk: &mut Junk, key: &SigningKey, carries: Option<Envelope>) -> Result<(), Failure> {
        let time = self.time.plus_millis(i64::try_from(junk.files.len())?);
        let draft = Draft { time, tool: TOOL.to_owned(), event: self.event.clone() };
        let (entry, bytes) = draft.sign(&self.place(carries), key)?;
        junk.put(&entry.name(), &bytes)
    }

    /// Adds quiet snapshots until the ledger has so many entries.
    fn grow(&mut self, entries: u64) -> Result<(), Failure> {
        while self.parent.sequence < entries {
            self.time = self.time.plus_millis(1);
            let draft = Draft { time: self.time, tool: TOOL.to_owned(), event: self.event.clone() };
            let (entry, bytes) = draft.sign(&self.place(None), &self.key)?;
            self.parent = entry.reference();
            self.bytes += bytes.len() as u64;
            let file = self.place.join(entry.name());
            std::fs::create_dir_all(file.parent().ok_or("an entry without a folder")?)?;
            std::fs::write(file, bytes)?;
        }
        Ok(())
    }
}

/// The most memory that this process has had, in KiB.
fn peak() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
