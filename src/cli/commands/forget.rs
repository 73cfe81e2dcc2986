//! `keyhaven forget`.

use std::path::PathBuf;

use futures_util::TryFutureExt as _;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Style;
use crate::cli::screen::Screen;
use crate::cli::table::Table;
use crate::cli::{args, draft, identity, report, services, snapshot, text};
use crate::config::Settings;
use crate::config::sections::RetentionSection;
use crate::config::value::{self, Whole, parse_flag};
use crate::job::forget::{
    ForgetError, ForgottenSnapshots, KeepReason, Period, Policy, SnapshotDecision, check_by_hand, decide,
    forget_snapshots, now_of, stored_times, undo_forget,
};
use crate::job::{RunFacts, RunResult};
use crate::model::{Digest, FailureKind, Timestamp};
use crate::repository::find::SnapshotQuery;
use crate::repository::ledger::Ledger;
use crate::repository::{EntryWriter, Repository};

/// Forgets the snapshots that no retention rule keeps.
///
/// Without --apply, shows what would be forgotten and why the others are kept. Never forgets the newest good snapshot,
/// the newest verified good snapshot, or a held one. Deletes nothing: `keyhaven sweep` does that after the grace period
/// of the repository, and --undo works until then. Needs a signing key with the role reaper.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A rule that is given here takes the place of the same rule in [retention] of the configuration; 0 switches it off.
Exit code 16 means that --undo came too late.

Examples:
  keyhaven forget
  keyhaven forget --keep-last 20 --keep-daily 35 --keep-monthly 24
  keyhaven forget --apply --json --quiet
  keyhaven forget --snapshot 42 --reason 'made with the wrong overrides' --apply
  keyhaven forget --undo 42 43 --reason 'needed for the audit'")]
pub(in crate::cli) struct Arguments {
    /// Sign that they are forgotten; without it, only say what would be
    #[arg(long, conflicts_with = "undo")]
    apply: bool,
    #[command(flatten)]
    rules: Rules,
    /// Forget this snapshot by hand: a sequence number or the start of its digest; several may follow
    #[arg(long, value_name = "SNAPSHOT", num_args = 1.., requires = "reason", conflicts_with = "Rules")]
    snapshot: Vec<SnapshotQuery>,
    /// Undo the forgetting of these snapshots
    #[arg(long, value_name = "SNAPSHOT", num_args = 1.., requires = "reason", conflicts_with_all = ["Rules", "snapshot"])]
    undo: Vec<SnapshotQuery>,
    /// Why; it stays in the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// A reaper's key (PEM, protected by age or not) instead of this host's own
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file with the passphrase of that key, instead of asking
    #[arg(long, value_name = "FILE", requires = "key")]
    passphrase_file: Option<PathBuf>,
}

/// Retention rules that replace the configured ones.
#[derive(Debug, clap::Args)]
#[group(id = "Rules", multiple = true)]
struct Rules {
    /// Keep the last so many good ones
    #[arg(long, value_name = "N", value_parser = args::count)]
    keep_last: Option<String>,
    /// Keep the last of each of so many hours
    #[arg(long, value_name = "N", value_parser = args::count)]
    keep_hourly: Option<String>,
    /// Keep the last of each of so many days
    #[arg(long, value_name = "N", value_parser = args::count)]
    keep_daily: Option<String>,
    /// Keep the last of each of so many weeks
    #[arg(long, value_name = "N", value_parser = args::count)]
    keep_weekly: Option<String>,
    /// Keep the last of each of so many months
    #[arg(long, value_name = "N", value_parser = args::count)]
    keep_monthly: Option<String>,
    /// Keep the last of each of so many years
    #[arg(long, value_name = "N", value_parser = args::count)]
    keep_yearly: Option<String>,
    /// Keep all that are no older than this, measured from the newest good one (`7d`, `48h`)
    #[arg(long, value_name = "TIME", value_parser = args::period)]
    keep_within: Option<String>,
    /// Keep all with this tag; once for each
    #[arg(long, value_name = "TAG", value_parser = args::tag)]
    keep_tag: Vec<String>,
    /// Keep suspect ones at least so long
    #[arg(long, value_name = "TIME", value_parser = args::period)]
    keep_suspect: Option<String>,
    /// The IANA time zone of hours, days, weeks, months and years
    #[arg(long, value_name = "ZONE", value_parser = args::zone)]
    zone: Option<String>,
}

impl Rules {
    /// The settings with these rules over them.
    fn settings(&self, app: &App) -> Result<Settings, Failure> {
        let tags = (!self.keep_tag.is_empty()).then(|| self.keep_tag.join(","));
        let flags: Vec<(&str, &str, &str)> = [
            ("retention.keep_last", "--keep-last", &self.keep_last),
            ("retention.keep_hourly", "--keep-hourly", &self.keep_hourly),
            ("retention.keep_daily", "--keep-daily", &self.keep_daily),
            ("retention.keep_weekly", "--keep-weekly", &self.keep_weekly),
            ("retention.keep_monthly", "--keep-monthly", &self.keep_monthly),
            ("retention.keep_yearly", "--keep-yearly", &self.keep_yearly),
            ("retention.keep_within", "--keep-within", &self.keep_within),
            ("retention.keep_tags", "--keep-tag", &tags),
            ("retention.keep_suspect", "--keep-suspect", &self.keep_suspect),
            ("retention.zone", "--zone", &self.zone),
        ]
        .into_iter()
        .filter_map(|(key, flag, value)| Some((key, flag, value.as_deref()?)))
        .collect();
        app.settings_with(&flags)
    }
}

impl Arguments {
    /// Which kinds of rules it goes by, with this configuration below: its counts are right, of a time only whether it
    /// is set. `None` where the snapshots are named by hand.
    pub(in crate::cli) fn kinds_of_rules(&self, retention: &RetentionSection) -> Option<Policy> {
        if !self.snapshot.is_empty() || !self.undo.is_empty() {
            return None;
        }
        let rules = &self.rules;
        let count = |flag: &Option<String>, configured: Whole<0, 100_000>| {
            flag.as_ref().and_then(|text| parse_flag(text).ok()).unwrap_or(configured)
        };
        let mut retention = retention.clone();
        retention.keep_last = count(&rules.keep_last, retention.keep_last);
        retention.keep_hourly = count(&rules.keep_hourly, retention.keep_hourly);
        retention.keep_daily = count(&rules.keep_daily, retention.keep_daily);
        retention.keep_weekly = count(&rules.keep_weekly, retention.keep_weekly);
        retention.keep_monthly = count(&rules.keep_monthly, retention.keep_monthly);
        retention.keep_yearly = count(&rules.keep_yearly, retention.keep_yearly);
        retention.keep_within = rules.keep_within.as_ref().map(|_| value::Period::default()).or(retention.keep_within);
        if !rules.keep_tag.is_empty() {
            retention.keep_tags.0.clone_from(&rules.keep_tag);
        }
        Some(policy(&retention))
    }

    /// Returns true if it changes anything.
    pub(in crate::cli) fn applies(&self) -> bool {
        self.apply || !self.undo.is_empty()
    }
}

/// Returns a warning about a policy that keeps by number alone.
pub(in crate::cli) const ONLY_BY_NUMBER: &str = "keep_last is the only rule: whoever makes many snapshots, a schedule \
                                                 gone wild too, pushes all older ones out; set a rule by time as \
                                                 well, such as keep_daily";

fn policy(retention: &RetentionSection) -> Policy {
    let every = vec![
        (Period::Hour, retention.keep_hourly.get()),
        (Period::Day, retention.keep_daily.get()),
        (Period::Week, retention.keep_weekly.get()),
        (Period::Month, retention.keep_monthly.get()),
        (Period::Year, retention.keep_yearly.get()),
    ];
    Policy {
        last: retention.keep_last.get(),
        every,
        within: retention.keep_within.map(|within| within.0),
        tags: retention.keep_tags.0.clone(),
        suspect: retention.keep_suspect.0,
        zone: retention.zone.0,
    }
}

#[derive(Serialize)]
struct ForgetReport {
    /// True if it was signed; else it is only what would be.
    applied: bool,
    /// By which rule.
    rule: String,
    kept: usize,
    forgotten: usize,
    snapshots: Vec<ForgetRow>,
    /// The entries that were written.
    entries: Vec<Digest>,
    /// Until then at least it can be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    undo_until: Option<Timestamp>,
    /// Held by another host in the same moment, and so kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    undone: Vec<Digest>,
}

/// An undo that was recorded.
#[derive(Serialize)]
struct UndoReport {
    undone: Vec<Digest>,
    /// The entry that says so, and its sequence.
    entry: Digest,
    sequence: u64,
}

impl RunResult for UndoReport {
    fn facts(&self) -> RunFacts {
        RunFacts { sequence: Some(self.sequence), ..RunFacts::default() }
    }
}

#[derive(Serialize)]
struct ForgetRow {
    sequence: u64,
    digest: Digest,
    time: Timestamp,
    good: bool,
    keep: bool,
    reasons: Vec<KeepReason>,
}

impl From<SnapshotDecision> for ForgetRow {
    fn from(SnapshotDecision { snapshot, reasons }: SnapshotDecision) -> Self {
        Self {
            sequence: snapshot.sequence,
            digest: snapshot.digest,
            time: snapshot.time,
            good: snapshot.good,
            keep: !reasons.is_empty(),
            reasons,
        }
    }
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let settings = arguments.rules.settings(app)?;
    let repository = services::repository(&settings, None).await?;
    let ledger = report::read_ledger_anew(&app.printer, &repository).await?;
    if !arguments.undo.is_empty() {
        return undo(app, &settings, &repository, &ledger, arguments).await;
    }
    let stored = stored_times(&repository).await?;
    let now = now_of(&repository, &*app.context().clock);
    let (rule, lines) = match (arguments.snapshot.as_slice(), &arguments.reason) {
        ([], Some(_)) => {
            return Err(Failure::usage("--reason belongs to --snapshot or --undo: a policy is its own reason"));
        }
        ([], None) => {
            let policy = policy(settings.retention());
            if policy.only_by_number() {
                app.printer.warning(ONLY_BY_NUMBER);
            }
            let verdicts = decide(&ledger, &stored, &policy, now).map_err(explained)?;
            (policy.to_string(), verdicts.into_iter().map(ForgetRow::from).collect::<Vec<_>>())
        }
        (chosen, reason) => {
            let lines = by_hand(&ledger, chosen)?;
            let digests: Vec<Digest> = lines.iter().map(|line| line.digest).collect();
            check_by_hand(&ledger, &stored, &digests, now).map_err(explained)?;
            (format!("by hand: {}", reason.as_deref().unwrap_or_default()), lines)
        }
    };
    let forgotten: Vec<Digest> = lines.iter().filter(|line| !line.keep).map(|line| line.digest).collect();
    let mut shown = ForgetReport {
        applied: false,
        rule,
        kept: lines.len() - forgotten.len(),
        forgotten: forgotten.len(),
        snapshots: lines,
        entries: Vec::new(),
        undo_until: None,
        undone: Vec::new(),
    };
    if arguments.apply && !forgotten.is_empty() {
        let writer = writer(app, &settings, &repository, arguments.key, arguments.passphrase_file).await?;
        let tool = draft::tool();
        let forgetting = forget_snapshots(&repository, &writer, &tool, &forgotten, &shown.rule);
        let done = app.change(forgetting.map_err(explained)).await?;
        done.warnings.iter().for_each(|warning| app.printer.warning(warning));
        shown.record(done);
    }
    shown.applied = arguments.apply;
    app.printer.run_result(&shown, |printer| printer.screen(&screen(&shown)))?;
    Ok(CommandOutcome::done())
}

impl RunResult for ForgetReport {
    fn facts(&self) -> RunFacts {
        RunFacts::default()
    }
}

impl ForgetReport {
    fn record(&mut self, done: ForgottenSnapshots) {
        self.entries = done.entries.iter().map(|entry| entry.digest).collect();
        self.undo_until = Some(done.undo_until);
        self.forgotten -= done.undone.len();
        self.kept += done.undone.len();
        for line in self.snapshots.iter_mut().filter(|line| done.undone.contains(&line.digest)) {
            line.keep = true;
            line.reasons.push(KeepReason::Pinned("in this moment".to_owned()));
        }
        self.undone = done.undone;
    }
}

/// Returns the signer: the reaper whose key was given, else this host.
async fn writer(
    app: &App,
    settings: &Settings,
    repository: &Repository,
    key: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
) -> Result<EntryWriter, Failure> {
    match key {
        Some(key) => {
            let key = identity::signing_key(key, passphrase_file).await?;
            services::writer_with(key, app, settings, repository.id())
        }
        None => services::writer(app, settings, repository.id()),
    }
}

/// Returns the snapshots chosen by hand, each once.
fn by_hand(ledger: &Ledger, chosen: &[SnapshotQuery]) -> Result<Vec<ForgetRow>, Failure> {
    let mut lines: Vec<ForgetRow> = Vec::new();
    for found in picked(ledger, chosen)? {
        if lines.iter().all(|line| line.digest != found.entry.digest) {
            let good = ledger.is_good(&found.entry);
            let (sequence, digest) = (found.entry.sequence, found.entry.digest);
            lines.push(ForgetRow { sequence, digest, time: found.event.time, good, keep: false, reasons: Vec::new() });
        }
    }
    Ok(lines)
}

/// The snapshots that are named; `latest` would be another one tomorrow.
fn picked(ledger: &Ledger, chosen: &[SnapshotQuery]) -> Result<Vec<snapshot::OpenedSnapshot>, Failure> {
    if chosen.contains(&SnapshotQuery::Latest) {
        return Err(Failure::usage("name the snapshot by its number or digest: `latest` is another one tomorrow"));
    }
    chosen.iter().map(|wanted| snapshot::pick(ledger, wanted)).collect()
}

async fn undo(
    app: &App,
    settings: &Settings,
    repository: &Repository,
    ledger: &Ledger,
    arguments: Arguments,
) -> Result<CommandOutcome, Failure> {
    let found = picked(ledger, &arguments.undo)?;
    let digests: Vec<Digest> = found.iter().map(|found| found.entry.digest).collect();
    let sequences: Vec<u64> = found.iter().map(|found| found.entry.sequence).collect();
    let reason = arguments.reason.unwrap_or_default();
    let writer = writer(app, settings, repository, arguments.key, arguments.passphrase_file).await?;
    let tool = draft::tool();
    let undoing = undo_forget(repository, &writer, &tool, &digests, &reason);
    let done = app.change(undoing.map_err(explained)).await?;
    let entry = done.entry.clone();
    done.into_warnings().for_each(|warning| app.printer.warning(&warning));
    let done = UndoReport { undone: digests, entry: entry.digest, sequence: entry.sequence };
    app.printer.run_result(&done, |printer| {
        let numbers = sequences.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        printer.line(format!("Entry {} undoes the forgetting of {numbers}.", entry.sequence))?;
        printer.line("  The next `forget --apply` forgets them again unless a rule or a hold keeps them:")?;
        printer.line(format!("  keyhaven snapshots hold {} --reason …", sequences.first().copied().unwrap_or_default()))
    })?;
    Ok(CommandOutcome::done().with(&done))
}

/// Adds what to do next.
fn explained(error: ForgetError) -> Failure {
    let hint = match &error {
        ForgetError::EmptyPolicy => {
            "set rules in [retention], or give them: --keep-last 20 --keep-daily 35 --keep-monthly 24"
        }
        ForgetError::Guarded { .. } => {
            "`keyhaven snapshots release` ends a hold; the newest good snapshot and \
                                        the newest verified one stay until newer ones are there"
        }
        ForgetError::NotForgotten { .. } => "`keyhaven snapshots` marks those that are",
        ForgetError::TooLate { .. } => {
            "a copy of the bucket, older versions of its objects, or a lock that kept the sweep \
                                        from deleting may still have them"
        }
        ForgetError::Repository(error) if error.kind() == FailureKind::Key => {
            "the key needs the role reaper: `keyhaven keys host` makes one, custodians add it with `keyhaven keys add`"
        }
        ForgetError::Repository(_) | ForgetError::NotLive { .. } | ForgetError::NothingNamed => return error.into(),
    };
    Failure::from(error).hinted(hint)
}

fn screen(shown: &ForgetReport) -> Screen {
    let mut screen = Screen::default();
    let mut table = Table::new(&[">seq", "time", "judgement", "", "why", "digest"]);
    for line in shown.snapshots.iter().rev() {
        let reasons = line.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        table.row([
            line.sequence.to_string(),
            text::time(line.time),
            if line.good { "good" } else { "suspect" }.to_owned(),
            if line.keep { "keep" } else { "forget" }.to_owned(),
            if reasons.is_empty() { shown.why_not(line) } else { reasons },
            line.digest.short(),
        ]);
    }
    screen.table(table, "no snapshot yet; `keyhaven backup` makes one");
    let (kept, forgotten) = (shown.kept, text::thousands(shown.forgotten as u64));
    let headline = match (shown.applied, shown.forgotten) {
        (_, 0) => format!("Nothing is to be forgotten; {kept} kept."),
        (true, _) => format!("{forgotten} forgotten, {kept} kept."),
        (false, _) => format!("{forgotten} would be forgotten, {kept} kept."),
    };
    let style = if shown.applied { Style::Green } else { Style::Bold };
    screen.heading(style, headline);
    screen.line(format!("  rule: {}", shown.rule));
    match shown.undo_until {
        Some(until) => screen.line(format!(
            "  This can be undone until {} at least, and for as long as no sweep has run: keyhaven forget --undo …",
            text::time(until)
        )),
        None if shown.forgotten > 0 => screen.line("  Nothing was written; --apply does it."),
        None => {}
    }
    screen
}

impl ForgetReport {
    fn why_not(&self, line: &ForgetRow) -> String {
        match (self.rule.strip_prefix("by hand: "), line.good) {
            (Some(reason), _) => reason.to_owned(),
            (None, true) => "no rule keeps it".to_owned(),
            (None, false) => "suspect, old, and a newer good one is verified".to_owned(),
        }
    }
}
