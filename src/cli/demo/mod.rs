//! `keyhaven demo`: the whole mission on one machine.
//!
//! Two embedded instances stand for two regions, two folders for two hosts. Every step is a command of this program,
//! run as a process of its own with the keys of the host that it runs on; only the instances live in the demo itself,
//! which is how it can compare them afterwards without asking any API.

mod child;
mod claim;
mod compare;
mod printed;
mod story;
mod writer;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::child::{DemoHost, Expect, run as keyhaven, screen};
use self::printed::{
    Printed, PrintedBackup, PrintedCoverage, PrintedInit, PrintedPlan, PrintedRestore, PrintedVerify, Unread,
};
use self::story::{Paths, Story};
use super::app::App;
use super::failure::Failure;
use super::outcome::CommandOutcome;
use super::printer::Style;
use super::{key_file, text};
use crate::crypto::Identities;
use crate::format::RepositoryId;
use crate::model::{Clock, FailureKind, Restorability, Timestamp};
use crate::provider::embedded::{EmbeddedInstance, Options, Server, every_type_among};
use crate::repository::{Repository, Store};

/// Shows everything at once: back up an instance while it is written to, verify, lose it, restore it, compare.
///
/// Starts a source and a standby on loopback ports, with made-up secrets; nothing outside this machine is touched. The
/// demo plays both hosts, the one that backs up and the one that restores, in two folders.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven demo
  keyhaven demo --keep demo
  keyhaven demo --secrets 2000 --json")]
pub(super) struct Arguments {
    /// Keep repository, keys and plan in this folder, which must not exist
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// How many secrets of the plain types the source holds, among one or more of every other type
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(20..=20_000))]
    secrets: u32,
}

const SEED: u64 = 20_261_122;
const STANDBY_ID: &str = "9d0f7a64-33c5-4a0e-b1f2-6f1c8d4e5a77";
/// File that is extended, for error messages.
const CONFIG: &str = "the collector's configuration";
/// Jobs added to the collector's configuration.
const NIGHTLY: &str = "\n[jobs.backup]\ncron = \"*/15 * * * *\"\n";
/// The pace for both instances: they belong to the demo alone.
const PACE: &str = "1000";

/// Runs the demo.
pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let stage = Stage::set(&arguments).await?;
    let told = stage.play(app, &arguments).await;
    let story = match told {
        Ok(story) => story,
        Err(failure) => {
            stage.clear();
            return Err(failure);
        }
    };
    let printed = app.printer.result(&story, |printer| story.print(printer));
    stage.clear();
    printed?;
    Ok(CommandOutcome::reported((!story.is_good()).then_some(FailureKind::Failed)))
}

/// Everything that is there before the curtain rises.
struct Stage {
    folder: PathBuf,
    kept: bool,
    source: EmbeddedInstance,
    standby: EmbeddedInstance,
    collector: DemoHost,
    recovery: DemoHost,
}

impl Stage {
    async fn set(arguments: &Arguments) -> Result<Self, Failure> {
        let (folder, kept) = match &arguments.keep {
            Some(folder) => (folder.clone(), true),
            None => (std::env::temp_dir().join(format!("keyhaven-demo-{}", uuid::Uuid::new_v4())), false),
        };
        if folder.exists() {
            return Err(Failure::usage(format!("{} is there already", folder.display()))
                .hinted("name a folder that does not exist; the demo overwrites nothing"));
        }
        for part in ["collector", "recovery"] {
            key_file::create_folder(&folder.join(part))?;
            // Or this machine's own configuration would be in force, with its hooks and notifications.
            key_file::create(&folder.join(part).join("keyhaven.toml"), b"# A host of the demo.\n")?;
        }
        let folder = folder
            .canonicalize()
            .map_err(|error| Failure::new(FailureKind::Failed, "cannot make the demo's folder").because(error))?;
        let source = EmbeddedInstance::new(Options { history: true, ids: Some(SEED), ..Options::default() });
        let secrets = usize::try_from(arguments.secrets).unwrap_or(usize::MAX);
        let seeding = tokio::task::spawn_blocking(move || every_type_among(&source, SEED, secrets).map(|()| source));
        let source = seeding
            .await
            .map_err(|error| Failure::new(FailureKind::Failed, "cannot fill the source").because(error))?
            .map_err(|error| Failure::from_error(FailureKind::Failed, error))?;
        let standby = EmbeddedInstance::new(Options {
            region: "eu-gb".to_owned(),
            instance_id: STANDBY_ID.to_owned(),
            api_key: SecretString::from("standby-api-key-of-the-demo"),
            ..Options::default()
        });
        let host = |name: &str| DemoHost { folder: folder.join(name), environment: Vec::new() };
        Ok(Self { kept, source, standby, collector: host("collector"), recovery: host("recovery"), folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Removes the directory unless it is kept.
    #[expect(clippy::disallowed_methods, reason = "the demo's own temporary folder")]
    fn clear(&self) {
        if !self.kept {
            // What cannot be removed lies in the system's temporary folder, with made-up secrets.
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }

    async fn play(&self, app: &App, arguments: &Arguments) -> Result<Story, Failure> {
        let begun = Instant::now();
        let narrator = DemoNarrator { app };
        let (source, standby) = (start(&self.source).await?, start(&self.standby).await?);
        narrator.chapter(
            "Two instances",
            &format!(
                "A source in eu-de with {} and a standby in eu-gb, empty. The collector and the recovery host are two \
                 folders here; in real life they are two machines.",
                text::count(u64::from(arguments.secrets), "made-up secret")
            ),
        )?;
        let (collector, recovery) = (self.collector(&source)?, self.recovery(&standby)?);

        narrator.command(
            "recovery host",
            "keyhaven keys new --no-passphrase --out kit-1        (and kit-2, for a second person)",
        )?;
        for kit in ["kit-1", "kit-2"] {
            keyhaven::<Unread>(app, &recovery, &["keys", "new", "--no-passphrase", "--out", kit], Expect::Done).await?;
        }
        narrator.command("collector", "keyhaven init --recovery kit-1/public.txt --recovery kit-2/public.txt")?;
        let init = self.init(app, &collector).await?;
        let repository_id = init.read.repository_id.to_string();
        narrator.fact("repository id", &repository_id)?;
        let identity = self.path("recovery/kit-1/recovery-identity.txt");
        pin(&identity, &repository_id)?;

        narrator.command("collector", "keyhaven backup        (while an application goes on writing)")?;
        let (changes_during_backup, backup) = self.backup_under_writes(app, &collector).await?;
        tell_backup(&narrator, &backup.read)?;
        narrator.fact("changes meanwhile", &text::thousands(changes_during_backup))?;
        let claim = self.check_claim(&backup.read, init.read.repository_id).await?;
        narrator.fact("the instance's own log", &claim.words())?;

        narrator.command("recovery host", "keyhaven verify --level payload --identity kit-1/recovery-identity.txt")?;
        let key = identity.display().to_string();
        let check = ["verify", "--level", "payload", "--identity", &key];
        let verify: Printed<PrintedVerify> = keyhaven(app, &recovery, &check, Expect::Done).await?;
        narrator.fact("opened and checked", &text::count(verify.read.counts.payloads, "payload"))?;

        narrator.command("collector", "keyhaven coverage        (what would come back, and what would not?)")?;
        let coverage: Printed<PrintedCoverage> = keyhaven(app, &collector, &["coverage"], Expect::Done).await?;
        tell_coverage(&narrator, &coverage.read)?;

        let changes_between = writer::burst(&self.source, (arguments.secrets / 100).max(3));
        narrator.command("collector", &format!("keyhaven backup        (after {changes_between} more changes)"))?;
        let incremental: Printed<PrintedBackup> = keyhaven(app, &collector, &["backup"], Expect::Done).await?;
        tell_backup(&narrator, &incremental.read)?;
        let status = self.every_night(app, &narrator, &collector, &recovery, &repository_id).await?;

        let held = self.source.snapshot().items;
        let lost = Timestamp::from_millis(self.source.clock().now().millis());
        source.stop().await;
        narrator.chapter("The source is gone", "Its server is shut down; nothing asks it any more.")?;

        let restoring = Instant::now();
        narrator.command("recovery host", "keyhaven restore plan --out plan.json")?;
        let plan_path = self.path("recovery/plan.json");
        let plan_file = plan_path.display().to_string();
        let restore = ["restore", "plan", "--identity", &key, "--out", &plan_file, "--confirm", STANDBY_ID];
        let plan: Printed<PrintedPlan> = keyhaven(app, &recovery, &restore, Expect::DoneOrDifferent).await?;
        narrator.fact("steps", &text::thousands(plan.read.totals.steps))?;
        narrator.command("recovery host", "keyhaven restore apply plan.json")?;
        let apply = ["restore", "apply", &plan_file, "--identity", &key, "--confirm", STANDBY_ID];
        let restore: Printed<PrintedRestore> = keyhaven(app, &recovery, &apply, Expect::DoneOrPartial).await?;
        let restore_ms = millis(restoring);
        standby.stop().await;

        let named: BTreeSet<String> = restore.read.named().map(|remark| remark.key.to_string()).collect();
        let compared = compare::compare(&held, &self.standby.snapshot().items, &named);
        let pack = self.first_pack()?;
        let full_requests = backup.read.requests();
        let incremental_requests = incremental.read.requests();
        Ok(Story {
            source: self.source.crn(),
            standby: self.standby.crn(),
            changes_during_backup,
            claim,
            changes_between,
            requests_saved: 1.0 - ratio(incremental_requests, full_requests),
            incremental_requests,
            full_requests,
            recovery_point_ms: lost.millis_since(incremental.read.from),
            plan: plan.read.totals,
            restore: restore.json,
            restore_ms,
            compared,
            stock_tools: stock_tools(&identity, &pack),
            elapsed_ms: millis(begun),
            init: init.json,
            backup: backup.json,
            verify: verify.json,
            coverage: coverage.json,
            incremental: incremental.json,
            status,
            paths: Paths {
                kept: self.kept,
                collector: self.collector.folder.clone(),
                recovery: self.recovery.folder.clone(),
                repository: self.path("repository"),
                config: self.path("collector/keyhaven.toml"),
                plan: plan_path,
                identity,
                pack,
                folder: self.folder.clone(),
            },
        })
    }

    /// The host that backs up: it knows the source and holds no key that opens a pack.
    fn collector(&self, source: &Server) -> Result<DemoHost, Failure> {
        let api_key = self.path("collector/source-api-key");
        key_file::create(&api_key, self.source.options().api_key.expose_secret().as_bytes())?;
        let mut host = self.collector.clone();
        host.environment = vec![
            ("KEYHAVEN_SOURCE_URL", source.base_url()),
            ("KEYHAVEN_SOURCE_IAM_URL", source.iam_url()),
            ("KEYHAVEN_SOURCE_REQUESTS_PER_SECOND", PACE.to_owned()),
            ("KEYHAVEN_STATE_DIR", self.path("collector/state").display().to_string()),
            ("KEYHAVEN_OBJECTIVES_RPO", "30m".to_owned()),
        ];
        Ok(host)
    }

    /// The host that restores: it knows the standby, holds the recovery kit, and has never heard of the source.
    fn recovery(&self, standby: &Server) -> Result<DemoHost, Failure> {
        let api_key = self.path("recovery/standby-api-key");
        key_file::create(&api_key, self.standby.options().api_key.expose_secret().as_bytes())?;
        let mut host = self.recovery.clone();
        host.environment = vec![
            ("KEYHAVEN_STANDBY_URL", standby.base_url()),
            ("KEYHAVEN_STANDBY_IAM_URL", standby.iam_url()),
            ("KEYHAVEN_STANDBY_REQUESTS_PER_SECOND", PACE.to_owned()),
            ("KEYHAVEN_STANDBY_API_KEY", format!("file:{}", api_key.display())),
            ("KEYHAVEN_REPOSITORY_URL", self.path("repository").display().to_string()),
            ("KEYHAVEN_STATE_DIR", self.path("recovery/state").display().to_string()),
        ];
        Ok(host)
    }

    async fn init(&self, app: &App, collector: &DemoHost) -> Result<Printed<PrintedInit>, Failure> {
        let kits =
            ["kit-1", "kit-2"].map(|kit| self.path("recovery").join(kit).join("public.txt").display().to_string());
        let repository = self.path("repository").display().to_string();
        let api_key = self.path("collector/source-api-key").display().to_string();
        let [first, second] = &kits;
        let arguments = [
            "init",
            "--recovery",
            first,
            "--recovery",
            second,
            "--repository",
            &repository,
            "--api-key-file",
            &api_key,
        ];
        let made: Printed<PrintedInit> = keyhaven(app, collector, &arguments, Expect::Done).await?;
        add(&self.path("collector/keyhaven.toml"), &made.read.add_to_config, CONFIG)?;
        Ok(made)
    }

    async fn backup_under_writes(
        &self,
        app: &App,
        collector: &DemoHost,
    ) -> Result<(u64, Printed<PrintedBackup>), Failure> {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        #[expect(clippy::disallowed_methods, reason = "waited for below, and stopped by the guard before that")]
        let writer = tokio::spawn(writer::run(self.source.clone(), stop));
        let backup = keyhaven(app, collector, &["backup"], Expect::Done).await;
        drop(guard);
        let changes =
            writer.await.map_err(|error| Failure::new(FailureKind::Failed, "the writer failed").because(error))?;
        Ok((changes, backup?))
    }

    /// Steps that an operator sets up once and can look at later.
    async fn every_night(
        &self,
        app: &App,
        narrator: &DemoNarrator<'_>,
        collector: &DemoHost,
        recovery: &DemoHost,
        repository_id: &str,
    ) -> Result<Value, Failure> {
        add(&self.path("collector/keyhaven.toml"), NIGHTLY, CONFIG)?;
        narrator.chapter(
            "From now on by itself",
            "keyhaven.toml gets a job for `keyhaven run`: a backup every 15 minutes. The recovery host checks every night \
             and signs the result with its own key. The objective is a recovery point of 30 minutes at most.",
        )?;
        let key = "kit-1/recovery-signing-key.pem";
        narrator.command("recovery host", &format!("keyhaven verify --record {key}"))?;
        let check = ["verify", "--repository-id", repository_id, "--record", key];
        let verify: Printed<PrintedVerify> = keyhaven(app, recovery, &check, Expect::Done).await?;
        narrator.fact("objects that are there and whole", &text::thousands(verify.read.counts.objects))?;
        narrator.command("collector", "keyhaven status")?;
        let status: Printed<Unread> = keyhaven(app, collector, &["status"], Expect::Done).await?;
        if !app.printer.is_json() {
            narrator.screen(&screen(app, collector, &["status"]).await?)?;
        }
        Ok(status.json)
    }

    /// Opens the first snapshot with the catalogue key, as an auditor would, and asks the instance's log about it.
    async fn check_claim(&self, backup: &PrintedBackup, id: RepositoryId) -> Result<story::ConsistencyClaim, Failure> {
        let failed = |what: &str| Failure::new(FailureKind::Failed, what.to_owned());
        let history = self.source.history().ok_or_else(|| failed("the demo's source keeps no log"))?;
        let repository = Repository::open(Store::local(&self.path("repository")), id).await?;
        let ledger = repository.read_ledger().await?;
        let snapshot = ledger.get(&backup.snapshot).and_then(|entry| entry.snapshot());
        let event = snapshot.ok_or_else(|| failed("the ledger lacks the snapshot that `backup` printed"))?;
        let key = key_file::read_text(&self.path("collector/catalogue-key.txt"), "catalogue key")?;
        let key = Arc::new(Identities::parse(&key)?);
        claim::check(&repository, event, &key, &backup.cut, &history).await
    }

    #[expect(clippy::disallowed_methods, reason = "a look at the demo's own folder")]
    fn first_pack(&self) -> Result<PathBuf, Failure> {
        let failed = |error| Failure::new(FailureKind::Failed, "cannot look at the packs").because(error);
        let packs = std::fs::read_dir(self.path("repository/packs")).map_err(failed)?;
        let mut paths =
            packs.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        paths.sort();
        paths.into_iter().next().ok_or_else(|| Failure::new(FailureKind::Failed, "the repository holds no pack"))
    }
}

/// Prints the steps of the demo as they happen; silent with --json.
struct DemoNarrator<'a> {
    app: &'a App,
}

impl DemoNarrator<'_> {
    fn line(&self, line: &str) -> Result<(), Failure> {
        if self.app.printer.is_json() { Ok(()) } else { self.app.printer.line(line) }
    }

    fn chapter(&self, title: &str, words: &str) -> Result<(), Failure> {
        self.line("")?;
        self.line(&self.app.printer.paint(Style::Bold, title))?;
        self.line(words)
    }

    fn command(&self, host: &str, command: &str) -> Result<(), Failure> {
        self.line("")?;
        self.line(&format!("{} {}", self.app.printer.paint(Style::Dim, &format!("{host}$")), command))
    }

    /// Output of a command for people.
    fn screen(&self, text: &str) -> Result<(), Failure> {
        text.lines().try_for_each(|line| self.line(format!("  {line}").trim_end()))
    }

    fn fact(&self, label: &str, value: &str) -> Result<(), Failure> {
        if self.app.printer.is_json() { Ok(()) } else { self.app.printer.facts(&[(label, value.to_owned())]) }
    }
}

fn tell_backup(narrator: &DemoNarrator<'_>, backup: &PrintedBackup) -> Result<(), Failure> {
    let claim = match backup.cut.as_str() {
        "point_in_time" => "one point in time: two listings around the reads were equal".to_owned(),
        other => format!("{other}: the instance did not hold still; {} moved", backup.moved),
    };
    narrator.fact("claim", &claim)?;
    narrator.fact("rounds", &backup.rounds.to_string())?;
    narrator.fact("requests", &text::thousands(backup.requests()))?;
    narrator.fact("sealed", &text::bytes(backup.sealed_bytes))?;
    narrator.fact("took", &text::millis(backup.duration_ms))
}

/// Number of items of each class.
fn tell_coverage(narrator: &DemoNarrator<'_>, coverage: &PrintedCoverage) -> Result<(), Failure> {
    for class in Restorability::ALL {
        let items = coverage.classes.get(class.as_str()).copied().unwrap_or_default();
        if items > 0 {
            narrator.fact(&class.as_str().replace('_', " "), &text::count(items, "item"))?;
        }
    }
    Ok(())
}

async fn start(instance: &EmbeddedInstance) -> Result<Server, Failure> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(instance.clone(), any)
        .await
        .map_err(|error| Failure::new(FailureKind::Failed, "cannot listen on loopback").because(error))
}

/// Adds the line that makes the identity file enough to trust a repository, as the recovery sheet says.
fn pin(identity: &Path, repository: &str) -> Result<(), Failure> {
    add(identity, &format!("# keyhaven repository: {repository}\n"), "the recovery identity")
}

fn add(path: &Path, text: &str, what: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let failed = |error| Failure::new(FailureKind::Failed, format!("cannot add to {what}")).because(error);
    let mut file = std::fs::OpenOptions::new().append(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn stock_tools(identity: &Path, pack: &Path) -> Vec<String> {
    let (identity, pack) = (identity.display(), pack.display());
    vec![
        format!("sha256sum {pack}        # its name is its checksum"),
        format!("age -d -i {identity} {pack} | zstd -d | jq -r 'select(.payload) | .key + \" \" + .payload'"),
    ]
}

fn millis(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
