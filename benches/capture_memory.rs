//! Peak memory of a capture of 10,000 and of 100,000 small secrets, as a ratio in one run, and what each round cost in
//! requests: `cargo bench --bench capture_memory`.
//!
//! The instance is served by one process and captured by another, both this program again, so that the figure is the
//! collector's alone. For each size: a full capture, then a quiet one in a new process. The goals: under 256 MiB for
//! 100,000, and within 1.5 times that of 10,000.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench keeps its repository in a temporary folder")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use keyhaven::crypto::digest::sha256;
use keyhaven::crypto::{Identities, SigningKey};
use keyhaven::format::policy::{Custodian, PolicyKey, PolicyRecipient};
use keyhaven::format::{Policy, RepositoryId, SigningRole, SourceName};
use keyhaven::job::Context;
use keyhaven::job::capture::{CaptureOptions, capture};
use keyhaven::job::event::Silent;
use keyhaven::model::{Clock, Timestamp};
use keyhaven::provider::embedded::{EmbeddedInstance, InstanceClock, Options, Server, seed_small};
use keyhaven::provider::ibm::{Client, ClientSettings};
use keyhaven::repository::{EntryWriter, Repository, StateDirectory, Store};
use tokio_util::sync::CancellationToken;

const SIZES: [usize; 2] = [10_000, 100_000];
const MIB: u64 = 1024;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", secrets] => serve(secrets.parse()?),
        ["capture", url, folder] => capture_once(url, Path::new(folder)),
        _ => measure(),
    }
}

/// Runs everything and prints the table.
fn measure() -> Result<(), Failure> {
    println!(
        "{:>8} {:>6} {:>9} {:>22} {:>9} {:>8}",
        "secrets", "run", "peak MiB", "listings (design)", "reads", "seconds"
    );
    let mut peaks = Vec::new();
    for secrets in SIZES {
        let folder = std::env::temp_dir().join(format!("keyhaven-bench-capture-{}-{secrets}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut server = Command::new(std::env::current_exe()?)
            .args(["serve", &secrets.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let url = first_line(&mut server)?;
        for run in ["full", "quiet"] {
            let figures = figures(&url, &folder)?;
            // A page of 1,000 for secrets and for their locks; one each for groups, configurations, registration.
            let design = 2 * secrets.div_ceil(1_000) + 3;
            let Figures { peak, listings, reads, seconds } = &figures;
            println!("{secrets:>8} {run:>6} {:>9} {listings:>16} ({design:>3}) {reads:>9} {seconds:>8}", peak / MIB);
            peaks.push(*peak);
        }
        // The server goes with its input.
        drop(server.stdin.take());
        server.wait()?;
        std::fs::remove_dir_all(folder)?;
    }
    let [small, small_quiet, large, large_quiet] = peaks[..] else { return Err("a run is missing".into()) };
    println!("full: {:.2} times the memory for ten times the secrets (goal: at most 1.5)", ratio(large, small));
    println!("quiet: {:.2} times", ratio(large_quiet, small_quiet));
    println!("100,000 secrets: {} MiB (goal: under 256)", large.max(large_quiet) / MIB);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of memory sizes for people")]
fn ratio(large: u64, small: u64) -> f64 {
    large as f64 / small as f64
}

/// What a capture in a process of its own printed.
struct Figures {
    /// In KiB.
    peak: u64,
    listings: String,
    reads: String,
    seconds: String,
}

fn figures(url: &str, folder: &Path) -> Result<Figures, Failure> {
    let folder = folder.to_str().ok_or("the temporary folder has a strange name")?;
    let output = Command::new(std::env::current_exe()?).args(["capture", url, folder]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let [peak, listings, reads, seconds] = words[..] else {
        return Err(format!("the capture failed: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    };
    let [listings, reads, seconds] = [listings, reads, seconds].map(ToOwned::to_owned);
    Ok(Figures { peak: peak.parse()?, listings, reads, seconds })
}

fn first_line(child: &mut Child) -> Result<String, Failure> {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().ok_or("the server has no output")?).read_line(&mut line)?;
    match line.trim() {
        "" => Err("the server did not start".into()),
        url => Ok(url.to_owned()),
    }
}

/// The system's clock.
#[derive(Debug)]
struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        InstanceClock::system().now()
    }
}

/// Serves an instance until the input ends.
#[tokio::main]
async fn serve(secrets: usize) -> Result<(), Failure> {
    let instance = EmbeddedInstance::new(Options { ids: Some(1), ..Options::default() });
    seed_small(&instance, 1, secrets)?;
    let server = Server::start(instance, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", server.base_url());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    server.stop().await;
    Ok(())
}

/// Captures once and prints the peak of this process in KiB, the requests of each listing, the reads, the seconds.
#[tokio::main]
async fn capture_once(url: &str, folder: &Path) -> Result<(), Failure> {
    let options = Options::default();
    let mut settings = ClientSettings::new(url, url, options.api_key.clone());
    settings.requests_per_second = 10_000.0;
    let client = Client::new(settings)?;
    let keys = Keys::new(folder)?;
    let repository = keys.repository(folder, options.crn()).await?;
    let writer = EntryWriter {
        key: Arc::clone(&keys.collector),
        state: StateDirectory::new(&folder.join("state"), &repository.id().to_string()),
        clock: Arc::new(Now),
        due: None,
    };
    let context = Context { clock: Arc::new(Now), observer: Arc::new(Silent), cancel: CancellationToken::new() };
    let options = CaptureOptions::default();
    let report = capture(&context, &client, &repository, &writer, &keys.catalogue, &options).await?;
    let listings: Vec<String> = report.requests.listing.iter().map(ToString::to_string).collect();
    let reads = report.requests.reading + report.requests.rereading;
    println!("{} {} {reads} {}", peak()?, listings.join("+"), report.duration_ms / 1_000);
    Ok(())
}

/// The keys of a repository, kept in its folder between the runs; it is thrown away with them.
struct Keys {
    collector: Arc<SigningKey>,
    recovery: Identities,
    catalogue: Arc<Identities>,
}

impl Keys {
    fn new(folder: &Path) -> Result<Self, Failure> {
        let kept = |name: &str, make: &dyn Fn() -> Result<String, Failure>| -> Result<String, Failure> {
            let path = folder.join(name);
            if !path.exists() {
                std::fs::write(&path, make()?)?;
            }
            Ok(std::fs::read_to_string(path)?)
        };
        let identity = || Ok(Identities::generate().1.as_str().to_owned());
        let signing = kept("collector", &|| Ok(SigningKey::generate()?.to_pem()?.as_str().to_owned()))?;
        Ok(Self {
            collector: Arc::new(SigningKey::from_pem(&signing)?),
            recovery: Identities::parse(&kept("recovery", &identity)?)?,
            catalogue: Arc::new(Identities::parse(&kept("catalogue", &identity)?)?),
        })
    }

    async fn repository(&self, folder: &Path, crn: String) -> Result<Repository, Failure> {
        let store = Store::local(&folder.join("repository"));
        let id = folder.join("id");
        if !id.exists() {
            let source = SourceName { provider: "ibm".to_owned(), instance: crn, region: Some("eu-de".to_owned()) };
            let recover_md = keyhaven::repository::recover_md(&source);
            let mut policy = Policy::first(source, sha256(&recover_md), Now.now(), "keyhaven/bench");
            let recipient = |identities: &Identities| PolicyRecipient {
                name: String::new(),
                recipient: identities.recipients().iter().map(ToString::to_string).collect(),
            };
            policy.recovery_recipients = vec![recipient(&self.recovery)];
            policy.catalogue_recipients = vec![recipient(&self.catalogue)];
            let custodian = SigningKey::generate()?.public().into();
            policy.custodians = vec![Custodian { name: String::new(), public_key: custodian }];
            let (public_key, roles) = (self.collector.public().into(), vec![SigningRole::Collector.to_string()]);
            policy.keys = vec![PolicyKey { name: String::new(), public_key, roles, until: None }];
            let made = Repository::init(store.clone(), recover_md, &policy).await?.id;
            std::fs::write(&id, made.to_string())?;
        }
        let id: RepositoryId = std::fs::read_to_string(id)?.parse()?;
        Ok(Repository::open(store, id).await?)
    }
}

/// The most memory that this process has had, in KiB.
fn peak() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
