//! `keyhaven sweep`.

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Style;
use crate::cli::screen::Screen;
use crate::cli::table::Table;
use crate::cli::{draft, services, text};
use crate::job::sweep::{ObjectTotals, SweepOptions, SweepReport, sweep};
use crate::model::Digest;
use crate::repository::StateDirectory;

/// Deletes objects that no kept snapshot needs: the second step after `forget`.
///
/// Without --apply, shows what would be deleted, what stays and why. With --apply, signs an entry and then deletes;
/// that cannot be undone. Deletes only objects older than the grace period of the repository, of snapshots forgotten
/// for longer than that. Safe while backups run. Needs a key with the role reaper.
///
/// Objects that the store retains (Object Lock, a legal hold) are reported with their date, which is not a failure: a
/// later sweep deletes them. On a versioned bucket a delete leaves an older version until a lifecycle rule removes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
   0  all that could go went (or, without --apply, was listed)
   1  clocks, listings or an entry of a later version forbid it, or the store failed; nothing went
   3  no good snapshot would be left
  13  the ledger or a live snapshot is not whole
  16  the forgetting of a snapshot was undone in the last moment

Examples:
  keyhaven sweep
  keyhaven sweep --apply --pin-head 3fa9…")]
pub(in crate::cli) struct Arguments {
    /// Delete; without it nothing is changed
    #[arg(long)]
    apply: bool,
    /// The digest of an entry that was a head and must still be there; may be given more than once
    #[arg(long, value_name = "DIGEST")]
    pin_head: Vec<Digest>,
}

impl Arguments {
    /// Returns true if it changes anything.
    pub(in crate::cli) fn applies(&self) -> bool {
        self.apply
    }
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let repository = services::repository(&settings, None).await?;
    let writer = match arguments.apply {
        true => Some(services::writer(app, &settings, repository.id())?),
        false => None,
    };
    let state = StateDirectory::new(&app.state_folder(&settings)?, &repository.id().to_string());
    let options = SweepOptions {
        state: &state,
        pinned_heads: arguments.pin_head,
        policy_chosen: settings.is_policy_chosen(),
        writer: writer.as_ref(),
        tool: draft::tool(),
    };
    let report = app.change(sweep(&app.context(), &repository, &options)).await?;
    app.printer.run_result(&report, |printer| {
        report.warnings.iter().for_each(|warning| printer.warning(warning));
        printer.screen(&screen(&report))
    })?;
    Ok(CommandOutcome::reported(report.failure()).with(&report))
}

fn screen(report: &SweepReport) -> Screen {
    let (style, heading) = heading(report);
    let mut screen = Screen::new(style, heading);
    for stop in &report.stopped {
        screen.labelled(Style::Red, "stopped", stop.text.as_str());
    }
    if let Some(failed) = &report.failed {
        screen.labelled(Style::Red, "failed", failed);
    }
    if report.failed.is_some() || report.interrupted {
        screen.line(format!("  {} were not tried; run it again", text::count(report.left, "object")));
    }
    if report.before.is_none() {
        return screen;
    }
    let mut table = Table::new(&[">seq", "forgotten", "rule"]);
    for swept in &report.snapshots {
        table.row([swept.sequence.to_string(), text::time(swept.since), swept.rule.clone()]);
    }
    screen.table(table, "");
    screen.facts(facts(report));
    if report.versioned {
        screen.line("  note: this bucket keeps versions: a delete hides an object, and its bytes stay until a lifecycle rule of the \
             bucket for noncurrent versions removes them");
    }
    screen
}

fn heading(report: &SweepReport) -> (Style, String) {
    if !report.stopped.is_empty() {
        (Style::Red, "Nothing was deleted.".to_owned())
    } else if report.interrupted {
        (Style::Yellow, format!("Interrupted after {}.", amount(report.deleted)))
    } else if report.failed.is_some() {
        (Style::Red, format!("Failed after {}.", amount(report.deleted)))
    } else if report.entry.is_some() {
        (Style::Green, format!("Deleted {}.", amount(report.deleted)))
    } else if report.going.objects == 0 {
        (Style::Green, "Nothing to delete.".to_owned())
    } else {
        (Style::Yellow, format!("Would delete {}; nothing was changed: `--apply` does it.", amount(report.going)))
    }
}

fn facts(report: &SweepReport) -> Vec<(&'static str, String)> {
    let mut facts = vec![("repository", report.place.clone()), ("live", text::count(report.live, "snapshot"))];
    let mut add = |label, amount: ObjectTotals, more: String| {
        if amount.objects > 0 {
            facts.push((label, format!("{}{more}", self::amount(amount))));
        }
    };
    add("orphans", report.orphans, " of what goes: named by no snapshot".to_owned());
    add("shared", report.shared, " stay: a kept snapshot needs them, too".to_owned());
    let dates = |staying: &crate::job::sweep::RetainedObjects| match (staying.first, staying.last) {
        (Some(first), Some(last)) if first != last => format!("{} to {}", text::time(first), text::time(last)),
        (Some(date), _) => text::time(date),
        _ => "a date that is not known".to_owned(),
    };
    add("young", report.young.amount, format!(" stay until {}: younger than the grace", dates(&report.young)));
    add("locked", report.locked.amount, format!(" stay: the store keeps them until {}", dates(&report.locked)));
    add("held", report.held, " stay: under a legal hold, or locked without an end that is known".to_owned());
    for waiting in &report.waiting {
        let when = waiting.goes_after.map_or_else(|| "later".to_owned(), |date| format!("after {}", text::time(date)));
        facts.push(("waiting", format!("snapshot {} ({}) goes {when}", waiting.sequence, waiting.rule)));
    }
    if report.foreign > 0 {
        facts.push((
            "foreign",
            format!("{} with names that are none of ours, left alone", text::count(report.foreign, "file")),
        ));
    }
    facts.extend(report.entry.map(|entry| ("entry", entry.to_string())));
    facts.push((
        "next",
        report.next.map_or_else(
            || "nothing waits for a date".to_owned(),
            |next| format!("the next sweep may find something from {}", text::time(next)),
        ),
    ));
    facts
}

fn amount(amount: ObjectTotals) -> String {
    format!("{}, {}", text::count(amount.objects, "object"), text::bytes(amount.bytes))
}
