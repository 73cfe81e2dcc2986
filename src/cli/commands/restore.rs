//! `keyhaven restore`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::identity::RecoveryArguments;
use crate::cli::memory::MemoryReport;
use crate::cli::opened_repository::OpenedRepository;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Style;
use crate::cli::screen::{Screen, item_name};
use crate::cli::signatures::{self, GivenCertificate};
use crate::cli::snapshot::{self, SnapshotArguments};
use crate::cli::table::Table;
use crate::cli::{identity, key_file, report, services, text};
use crate::config::Settings;
use crate::config::sections::ConflictRule;
use crate::job::plan_file::PlanFile as _;
use crate::job::restore::plan::{Remark, Step};
use crate::job::restore::{
    ApplyOptions, ApplyReport, Consent, IdMap, OnConflict, Plan, PlanOptions, RepositorySnapshot, RestoreScope,
    Selector, Signatures, apply_signed, check_signer, plan, record,
};
use crate::job::{RunFacts, RunResult};
use crate::model::FailureKind;
use crate::provider::{Action, InstanceInventory as _, RegistrationNames, Signer};
use crate::repository::Repository;
use crate::repository::find::SnapshotQuery;

mod activate;
mod patches;

/// Number of items named for each rule, override or transform; the plan has all of them.
const SHOWN_ITEMS: usize = 10;

/// A command about restores.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Say what a restore would change; changes nothing
    Plan(Box<PlanArguments>),
    /// Apply a saved plan
    Apply(Box<ApplyArguments>),
    /// Print patches for Kubernetes objects that refer to old ids
    Patches(patches::Arguments),
    /// Turn on what a restore held back, when the standby has become the primary
    #[command(subcommand)]
    Activate(activate::Command),
}

/// Consent to write to an instance.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ConsentArguments {
    /// The instance id that the standby must have; needed where the standby is empty and its URL does not say it
    #[arg(long, value_name = "INSTANCE-ID")]
    confirm: Option<String>,
    /// Restore into the source itself, named by its instance id
    #[arg(long, value_name = "INSTANCE-ID")]
    into_source: Option<String>,
}

impl ConsentArguments {
    pub(super) fn consent(&self) -> Consent {
        Consent { confirm: self.confirm.clone(), into_source: self.into_source.clone() }
    }
}

/// Compares a snapshot with the live standby and shows what a restore would change, in order. Changes nothing.
///
/// A selector is a glob over names and labels, or `group:GLOB`, `type:GLOB`, `label:GLOB`, `name:GLOB`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 15 means that there is something to do, 0 that the standby is as it should be, 16 that only conflicts are left,
3 that only losses are.

Examples:
  keyhaven restore plan --identity recovery-identity.txt --out plan.json
  keyhaven restore plan --only 'group:payments' --first 'label:tier-0' --out plan.json
  keyhaven restore plan --at 2026-11-01T00:00:00Z --only db-password --out plan.json")]
pub(in crate::cli) struct PlanArguments {
    #[command(flatten)]
    snapshot: SnapshotArguments,
    /// Save the plan here, for `restore apply`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only what this selects; may be given more than once
    #[arg(long, value_name = "SELECTOR")]
    only: Vec<Selector>,
    /// What goes ahead within each class of steps, in the order given
    #[arg(long, value_name = "SELECTOR")]
    first: Vec<Selector>,
    /// Let restored secrets rotate by themselves, as in the source; two instances that rotate one credential break each
    /// other
    #[arg(long)]
    allow_rotation: bool,
    /// Never what this selects, whatever --only says; may be given more than once
    #[arg(long, value_name = "SELECTOR")]
    exclude: Vec<Selector>,
    /// What to do about an item of the standby that holds something of its own: report it (fail), leave it alone
    /// (skip), put the snapshot's content on top (new-version), or delete it and create it anew (replace)
    #[arg(long, value_name = "POLICY", value_parser = on_conflict)]
    on_conflict: Option<OnConflict>,
    /// The same as --on-conflict new-version
    #[arg(long, conflicts_with = "on_conflict")]
    overwrite: bool,
    /// Read and compare every payload of the standby, also where marks say that it is right
    #[arg(long)]
    deep: bool,
    /// What the notification service shall call the standby
    #[arg(long, value_name = "NAME")]
    registration_name: Option<String>,
    /// How the notification service shall describe the standby
    #[arg(long, value_name = "TEXT", requires = "registration_name", default_value = "")]
    registration_description: String,
    #[command(flatten)]
    consent: ConsentArguments,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

/// Applies a saved plan, reads the result back and compares it.
///
/// Can be stopped at any time and run again with the same plan: it skips completed steps. Writes the map of old to new
/// ids next to the plan, as JSON, CSV and Terraform import blocks.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven restore apply plan.json --identity recovery-identity.txt
  keyhaven restore apply plan.json --confirm 5c1a3b2e-0f4d-4a6b-8c7d-9e0f1a2b3c4d --deep")]
pub(in crate::cli) struct ApplyArguments {
    /// The plan
    plan: PathBuf,
    /// Read every payload back and compare it
    #[arg(long)]
    deep: bool,
    /// Items that are worked on side by side
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    concurrency: u8,
    /// The certificate that was signed for an authority which waits for one; may be given more than once. Without it,
    /// PLAN.NAME.signed.pem beside the plan is taken
    #[arg(long, value_name = "NAME=FILE")]
    signed: Vec<GivenCertificate>,
    /// Sign what was restored into the ledger with this key, which needs the role of a restorer; the recovery kit's
    /// recovery-signing-key.pem has it
    #[arg(long, value_name = "KEY-FILE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    consent: ConsentArguments,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

/// A plan with what makes the trust in its repository doubtful.
#[derive(Serialize)]
struct PlanReport<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    memory: MemoryReport,
}

/// The result of an apply with the files that it left.
#[derive(Serialize)]
struct RestoreReport<'a> {
    #[serde(flatten)]
    report: &'a ApplyReport,
    id_map_files: Vec<PathBuf>,
    signing_request_files: Vec<PathBuf>,
}

impl RunResult for RestoreReport<'_> {
    fn facts(&self) -> RunFacts {
        self.report.facts()
    }
}

pub(super) async fn run(app: &App, command: Command) -> Result<CommandOutcome, Failure> {
    match command {
        Command::Plan(arguments) => make(app, *arguments).await,
        Command::Apply(arguments) => carry_out(app, *arguments, None).await,
        Command::Patches(arguments) => patches::run(app, &arguments),
        Command::Activate(command) => activate::run(app, command).await,
    }
}

async fn make(app: &App, arguments: PlanArguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let options = PlanOptions {
        only: arguments.only.clone(),
        first: arguments.first.clone(),
        allow_rotation: arguments.allow_rotation,
        on_conflict: conflict_policy(&settings, arguments.on_conflict, arguments.overwrite),
        exclude: arguments.exclude.clone(),
        deep: arguments.deep,
        registration: arguments
            .registration_name
            .clone()
            .map(|name| RegistrationNames { name, description: arguments.registration_description.clone() }),
        ..PlanOptions::default()
    };
    let PlanArguments { snapshot, recovery, consent, out, .. } = &arguments;
    make_plan(app, snapshot, recovery, consent, options, out.as_deref(), "restore").await
}

/// Creates a plan with the policies of the configuration, saves and prints it; `command` applies it.
pub(super) async fn make_plan(
    app: &App,
    wanted: &SnapshotArguments,
    recovery: &RecoveryArguments,
    consent: &ConsentArguments,
    options: PlanOptions,
    out: Option<&Path>,
    command: &str,
) -> Result<CommandOutcome, Failure> {
    // Most plans need no payload, so the catalogue key will do until one is needed.
    let OpenedRepository { settings, repository, keys, ledger, .. } = OpenedRepository::begin(app, recovery).await?;
    let found = snapshot::pick_to_read(&app.printer, &ledger, &wanted.wanted())?;
    let backup = RepositorySnapshot::new(&repository, &found.entry, &found.event, keys);
    let standby = services::standby(&settings)?;
    let options = PlanOptions { policies: settings.tables().policies().clone(), ..options };
    let made = plan(&app.context(), &backup, &standby, &options, &consent.consent()).await?;
    if let Some(path) = out {
        key_file::replace(path, made.to_json()?.as_bytes())?;
    }
    let shown = PlanReport { plan: &made, memory: MemoryReport::of(&ledger) };
    app.printer.result(&shown, |printer| printer.screen(&plan_screen(&made, out, command)))?;
    Ok(CommandOutcome::reported(made.check()).with(&made))
}

/// The conflict policy: a flag, else the configuration.
pub(super) fn conflict_policy(settings: &Settings, flag: Option<OnConflict>, overwrite: bool) -> OnConflict {
    let configured = || match settings.on_conflict() {
        ConflictRule::Fail => OnConflict::Fail,
        ConflictRule::Skip => OnConflict::Skip,
        ConflictRule::NewVersion => OnConflict::NewVersion,
        ConflictRule::Replace => OnConflict::Replace,
    };
    if overwrite { OnConflict::NewVersion } else { flag.unwrap_or_else(configured) }
}

/// Reads a conflict policy from the command line.
fn on_conflict(word: &str) -> Result<OnConflict, String> {
    OnConflict::named(word).ok_or_else(|| "there are fail, skip, new-version and replace".to_owned())
}

/// Applies a plan; one of another scope than `wanted` is refused.
pub(super) async fn carry_out(
    app: &App,
    arguments: ApplyArguments,
    wanted: Option<RestoreScope>,
) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let text = crate::cli::app::read_plan(&arguments.plan)?;
    let plan = Plan::from_json(&text)?;
    if wanted.is_some_and(|scope| scope != plan.options.scope) {
        return Err(Failure::usage("the plan restores secrets too").hinted("`keyhaven restore apply` applies it"));
    }
    let given = signatures::given(&arguments.plan, &plan, &arguments.signed)?;
    let by_source = plan.steps.iter().any(|step| matches!(step.action, Action::SetSigned { by: Some(_) }));
    let signer = by_source.then(|| services::signer(&settings)).transpose()?;
    if let Some(signer) = &signer {
        check_signer(signer, &plan.snapshot.source, &signer.address())
            .map_err(crate::job::restore::RestoreError::from)?;
    }
    let source = signer.as_ref().map(|client| client as &dyn Signer);
    let signatures = Signatures { given: Some(&given), source };
    let recovery = arguments.recovery.needed(&settings).await?;
    // A key that does not open is reported before the restore, not after it.
    let recorder = match arguments.record {
        Some(path) => Some(identity::signing_key(path, arguments.recovery.passphrase_file.clone()).await?),
        None => None,
    };
    let repository = arguments.recovery.open(&settings, Some(&recovery)).await?;
    if repository.id().to_string() != plan.snapshot.repository {
        return Err(Failure::new(
            FailureKind::Moved,
            format!("the plan is for repository {}, this one is {}", plan.snapshot.repository, repository.id()),
        ));
    }
    let backup = backup_of(app, &repository, &plan, Arc::new(recovery)).await?;
    let standby = services::standby(&settings)?;
    let options = ApplyOptions {
        concurrency: usize::from(arguments.concurrency),
        deep: arguments.deep,
        ..ApplyOptions::default()
    };
    let consent = arguments.consent.consent();
    let context = app.context();
    let applying = apply_signed(&context, &plan, &backup, &standby, &options, &consent, signatures);
    let report = app.change(applying).await?;
    let requests = signatures::write_requests(&arguments.plan, &report.signing_requests);
    // The result is printed and recorded even if the id map cannot be written.
    let (id_map_files, unwritten) = match report.id_map.as_ref().map(|map| write_id_map(&arguments.plan, map)) {
        Some(Ok(files)) => (files, None),
        Some(Err(failure)) => (Vec::new(), Some(failure)),
        None => (Vec::new(), None),
    };
    let (signing_request_files, unwritten) = match requests {
        Ok(files) => (files, unwritten),
        Err(failure) => (Vec::new(), unwritten.or(Some(failure))),
    };
    let applied = RestoreReport { report: &report, id_map_files, signing_request_files };
    app.printer.run_result(&applied, |printer| printer.screen(&report_screen(&applied)))?;
    if let Some(key) = recorder {
        let writer = services::writer_with(key, app, &settings, repository.id())?;
        let done = record(&repository, &writer, &report).await.map_err(|error| Failure::from(error).after(&report))?;
        app.printer.note(&format!("recorded as entry {} ({})", done.entry.sequence, done.entry.digest.short()));
        done.into_warnings().for_each(|warning| app.printer.warning(&warning));
    }
    match unwritten {
        Some(failure) => Err(failure.after(&report)),
        None => Ok(CommandOutcome::reported(report.kind()).with(&report)),
    }
}

/// The snapshot that a plan is bound to.
async fn backup_of(
    app: &App,
    repository: &Repository,
    plan: &Plan,
    keys: Arc<crate::crypto::Identities>,
) -> Result<RepositorySnapshot, Failure> {
    let ledger = report::read_ledger(&app.printer, repository).await?;
    let found = snapshot::pick_to_read(&app.printer, &ledger, &SnapshotQuery::Named(plan.snapshot.entry.to_string()))?;
    Ok(RepositorySnapshot::new(repository, &found.entry, &found.event, keys))
}

/// Writes the id map beside the plan: `plan.id-map.json`, `.csv` and `.tf`.
fn write_id_map(plan: &Path, map: &IdMap) -> Result<Vec<PathBuf>, Failure> {
    let json = serde_json::to_string_pretty(map)
        .map_err(|error| Failure::new(FailureKind::Failed, "cannot write the id map as JSON").because(error))?;
    let mut written = Vec::new();
    for (extension, text) in [("json", json), ("csv", map.to_csv()), ("tf", map.to_terraform())] {
        let path = plan.with_extension(format!("id-map.{extension}"));
        key_file::replace(&path, text.as_bytes())?;
        written.push(path);
    }
    Ok(written)
}

fn plan_screen(plan: &Plan, out: Option<&Path>, command: &str) -> Screen {
    let target = plan.standby.full_name.as_deref().or(plan.standby.instance.as_deref()).unwrap_or(&plan.standby.url);
    let mut screen = Screen::new(Style::Bold, format!("Plan: snapshot {} into {target}", plan.snapshot.sequence));
    let mut table = Table::new(&[">", "do", "type", "group", "name", "why"]);
    for step in &plan.steps {
        let Step { id, action, name, item_type, group, reason, .. } = step;
        table.row([
            id.to_string(),
            action.as_str().replace('_', " "),
            item_type.clone(),
            group.clone().unwrap_or_default(),
            name.clone(),
            reason.clone(),
        ]);
    }
    screen.table(table, "nothing to do");
    // Apart, so that they are not overlooked among the other steps.
    for step in plan.steps.iter().filter(|step| matches!(step.action, Action::Delete { .. })) {
        let name = item_name(step.group.as_deref(), &step.name);
        let deletion = format!("{name} ({}) of the standby, for good; {}", step.item_type, step.reason);
        screen.labelled(Style::Red, "deletes", deletion);
    }
    applied_lines(&mut screen, plan);
    screen.remarks(Style::Red, "conflict", &plan.conflicts);
    screen.remarks(Style::Yellow, "loss", &plan.losses);
    screen.remarks(Style::Yellow, "waiting", &plan.waiting);
    screen.remarks(Style::Dim, "left alone", &plan.skips);
    screen.remarks(Style::Dim, "note", &plan.notes);
    let totals = &plan.totals;
    screen.facts([
        ("items", format!("{}, {} right already", text::thousands(totals.items), text::thousands(totals.right))),
        ("to change", format!("{} in {}", text::count(totals.changed, "item"), text::count(totals.steps, "step"))),
        ("in the way", text::count(totals.conflicts, "conflict")),
        ("cannot come back", text::thousands(totals.losses)),
    ]);
    match out {
        Some(path) if !plan.steps.is_empty() => {
            screen.line(format!("Saved. To do it: keyhaven {command} apply {}", path.display()));
        }
        Some(path) => screen.line(format!("Saved as {}.", path.display())),
        None => screen.line("Not saved; --out FILE saves it for `restore apply`."),
    }
    screen
}

/// Lists the effects of the rules, overrides and transforms of the configuration.
fn applied_lines(screen: &mut Screen, plan: &Plan) {
    for one in &plan.applied {
        let places = if one.places > 0 { format!("{} in ", text::count(one.places, "place")) } else { String::new() };
        let name = |item: &Remark| item_name(item.group.as_deref(), &item.name);
        let shown: Vec<String> = one.items.iter().take(SHOWN_ITEMS).map(name).collect();
        let more = match one.items.len().saturating_sub(SHOWN_ITEMS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let items = text::count(one.items.len() as u64, "item");
        screen.line(format!("  {} ({}): {places}{items}: {}{more}", one.what, one.does, shown.join(", ")));
    }
}

fn report_screen(applied: &RestoreReport<'_>) -> Screen {
    let report = applied.report;
    let (style, headline) = match (&report.stopped, report.kind()) {
        (Some(stopped), _) => (Style::Red, format!("Stopped: {}. The same plan can be applied again.", stopped.reason)),
        (None, None) => (Style::Green, "Restored.".to_owned()),
        (None, Some(_)) => (Style::Yellow, "Restored, but not everything.".to_owned()),
    };
    let mut screen = Screen::new(style, headline);
    let actions: Vec<String> =
        report.actions.iter().map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect();
    let mut facts = vec![
        ("standby", report.standby.full_name.clone().unwrap_or_else(|| report.standby.url.clone())),
        (
            "steps",
            format!(
                "{} done, {} found done, {} left",
                text::thousands(report.done),
                text::thousands(report.already),
                text::thousands(report.left)
            ),
        ),
    ];
    if !actions.is_empty() {
        facts.push(("done", actions.join(", ")));
    }
    if let Some(read) = &report.read_back {
        let payloads = match (read.deep, read.payloads_compared) {
            (true, count) => format!("; {} compared, all of them", text::count(count, "payload")),
            (false, 0) => String::new(),
            (false, count) => format!("; {} compared", text::count(count, "payload")),
        };
        facts.push((
            "read back",
            format!("{} of {} right{payloads}", text::thousands(read.right), text::count(read.items, "item")),
        ));
    }
    let requests = &report.requests;
    facts.push((
        "requests",
        format!("{} listing, {} reading, {} writing", requests.listing, requests.reading, requests.writing),
    ));
    facts.push(("restore time", text::millis(i64::try_from(report.restore_millis).unwrap_or(i64::MAX))));
    let label = if report.id_map.as_ref().is_some_and(|map| !map.complete) { "id map so far" } else { "id map" };
    facts.extend(applied.id_map_files.iter().map(|path| (label, path.display().to_string())));
    facts.extend(applied.signing_request_files.iter().map(|path| ("to be signed", path.display().to_string())));
    screen.facts(facts);
    screen.remarks(Style::Red, "failed", &report.failed);
    screen.remarks(Style::Yellow, "waiting", &report.waiting);
    screen.remarks(Style::Yellow, "not tried", &report.skipped);
    screen.remarks(Style::Red, "conflict", &report.conflicts);
    if let Some(read) = &report.read_back {
        screen.remarks(Style::Red, "differs", &read.differences);
    }
    screen.remarks(Style::Yellow, "loss", &report.losses);
    screen.remarks(Style::Dim, "note", &report.notes);
    screen
}
