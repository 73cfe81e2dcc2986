//! `keyhaven coverage`.

use futures_util::TryStreamExt;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::identity::RecoveryArguments;
use crate::cli::opened_repository::OpenedRepository;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Style;
use crate::cli::screen::Screen;
use crate::cli::snapshot;
use crate::cli::table::Table;
use crate::cli::text;
use crate::job::coverage::{Coverage, CoverageReport, LeftOut, NamedItem, Threshold};
use crate::model::{Digest, FailureKind, Restorability, Timestamp};
use crate::provider::ibm::convert::IbmConverter;
use crate::repository::find::SnapshotQuery;

/// Number of items named under each reason without --all.
const NAMED: usize = 10;

/// Shows which items of a snapshot a restore would bring back, why not the others, and what to do about them today.
///
/// Reads no payload: the catalogue key is enough.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Classes, best first: exact, converted, reissued, definition_only, impossible.
Exit code 3 means that the share asked for with --fail-under is not reached, or cannot be known because the collector \
may not list everything.

Examples:
  keyhaven coverage
  keyhaven coverage 42 --all
  keyhaven coverage --fail-under 95
  keyhaven coverage --fail-under 80=exact --json --quiet")]
pub(in crate::cli) struct Arguments {
    /// `latest`, a sequence number, or the start of a digest
    #[arg(default_value = "latest")]
    snapshot: SnapshotQuery,
    /// Fail when less than this share of all items is of this class or better; the class is `reissued` unless named
    #[arg(long, value_name = "PERCENT[=CLASS]")]
    fail_under: Option<Threshold>,
    /// Name every item, also those that come back exactly
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

#[derive(Serialize)]
struct ShownCoverage {
    snapshot: Digest,
    sequence: u64,
    /// The moment that the snapshot speaks of.
    time: Timestamp,
    #[serde(flatten)]
    coverage: CoverageReport,
    /// Kinds of items that the collector was not allowed to list: their number is unknown.
    hidden: Vec<String>,
    /// True if the share that was asked for is reached; `None` when none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let OpenedRepository { settings, repository, keys, ledger, .. } =
        OpenedRepository::begin(app, &arguments.recovery).await?;
    let found = snapshot::pick_to_read(&app.printer, &ledger, &arguments.snapshot)?;
    let policies = settings.tables().policies();
    let mut coverage = Coverage::new(&IbmConverter, policies, app.context().clock.now());
    let mut items = repository.open_snapshot(&found.event, &keys);
    while let Some(item) = items.try_next().await? {
        coverage.add(&item);
    }
    let coverage = coverage.finish();
    let hidden = found.event.hidden.clone();
    // A share of an unknown number is never reached.
    let met = arguments.fail_under.map(|threshold| hidden.is_empty() && threshold.is_met(&coverage));
    let entry = &found.entry;
    let shown = ShownCoverage {
        snapshot: entry.digest,
        sequence: entry.sequence,
        time: found.event.time,
        coverage,
        hidden,
        met,
    };
    app.printer.result(&shown, |printer| printer.screen(&screen(&shown, &arguments)))?;
    Ok(CommandOutcome::reported((met == Some(false)).then_some(FailureKind::Partial)))
}

fn screen(shown: &ShownCoverage, arguments: &Arguments) -> Screen {
    let limit = if arguments.all { usize::MAX } else { NAMED };
    let ShownCoverage { coverage, sequence, time, .. } = shown;
    let items = text::count(coverage.items, "item");
    let title = format!("Coverage of snapshot {sequence} of {}: {items}", text::time(*time));
    let mut screen = Screen::new(Style::Bold, title);
    let mut table = Table::new(&["class", ">items", ">share", ">or better"]);
    for class in Restorability::ALL {
        let count = coverage.classes.get(class.as_str()).copied().unwrap_or_default();
        let share = |count| percent(count, coverage.items);
        table.row([class.to_string(), text::thousands(count), share(count), share(coverage.at_least(class))]);
    }
    screen.table(table, "");
    for reason in &coverage.reasons {
        let judgement = reason.judgement;
        let exact = judgement.class == Restorability::Exact;
        // What comes back as it was, with nothing to do, is counted above.
        if exact && judgement.today.is_empty() && !arguments.all {
            continue;
        }
        let style = match judgement.class {
            Restorability::Exact | Restorability::Converted => Style::Green,
            Restorability::Reissued => Style::Yellow,
            Restorability::DefinitionOnly | Restorability::Impossible => Style::Red,
        };
        let count = text::count(reason.items.len().try_into().unwrap_or(u64::MAX), "item");
        screen.line("");
        screen.begun(style, judgement.class.as_str(), format!(", {count}: {}", judgement.why));
        if !judgement.today.is_empty() {
            screen.line(format!("  today: {}", judgement.today));
        }
        names(&mut screen, &reason.items, limit);
    }
    for one in &coverage.unknown {
        screen.heading(Style::Yellow, format!("Left alone by a restore: {}: {}", one.item, one.why));
    }
    if !shown.hidden.is_empty() {
        screen.line("");
        let kinds = shown.hidden.join(", ");
        let line = format!("Not in the snapshot at all, because the collector may not list it: {kinds}");
        screen.heading(Style::Red, line);
    }
    lists(&mut screen, coverage, limit);
    if let (Some(met), Some(threshold)) = (shown.met, arguments.fail_under) {
        let is = percent(coverage.at_least(threshold.class()), coverage.items);
        let (style, word) = if met { (Style::Green, "reached") } else { (Style::Red, "not reached") };
        screen.line("");
        screen.heading(style, format!("{word}: {threshold} (it is {is})"));
    }
    screen
}

/// Lists items not captured, items left out by policies, lost members, and further needs.
fn lists(screen: &mut Screen, coverage: &CoverageReport, limit: usize) {
    if !coverage.not_captured.is_empty() {
        screen.line("");
        screen.heading(Style::Red, "Not captured, although the source has it:");
        names(screen, &coverage.not_captured, limit);
    }
    if !coverage.left_out.is_empty() {
        screen.line("");
        screen.line("Left out by the policies as they are configured here, although they could come back:");
        let line = |left: &LeftOut| {
            let instead = left.instead.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" or ");
            format!("{} ({}): {instead}", left.item, left.item.item_type)
        };
        screen.list(coverage.left_out.iter().map(line), limit);
    }
    let lost: Vec<_> = coverage.members.iter().filter(|members| !members.lost.is_empty()).collect();
    if !lost.is_empty() {
        screen.line("");
        screen.line(
            "Members that no answer returns; a restore leaves them to their default unless `[[overrides]]` names them:",
        );
        screen.list(lost.iter().map(|members| format!("{}: {}", members.item, members.lost.join(", "))), limit);
    }
    if !coverage.needs.is_empty() {
        screen.line("");
        screen.line("Needed besides, because no backup of an instance can hold it:");
        for need in &coverage.needs {
            screen.line(format!("  {} ({})", need.what, text::count(need.items, "item")));
            for subject in &need.subjects {
                screen.line(format!("    {subject}"));
            }
        }
    }
}

fn names(screen: &mut Screen, items: &[NamedItem], limit: usize) {
    screen.list(items.iter().map(|item| format!("{item} ({})", item.item_type)), limit);
}

/// A share with one digit behind the point, rounded down, so that only all of them are 100 %.
fn percent(count: u64, of: u64) -> String {
    let tenths = count.saturating_mul(1_000).checked_div(of).unwrap_or(1_000);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_of_them_are_a_hundred_per_cent() {
        assert_eq!(percent(9_999, 10_000), "99.9 %");
        assert_eq!(percent(10_000, 10_000), "100.0 %");
        assert_eq!(percent(0, 0), "100.0 %");
        assert_eq!(percent(1, 3), "33.3 %");
    }
}
