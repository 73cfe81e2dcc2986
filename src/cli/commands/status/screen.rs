//! The screen: at most 80 columns, readable without colour.

use super::gather::{ExpiringSoon, InstanceStatus, JobStatus, RunStatus};
use crate::cli::failure::Failure;
use crate::cli::printer::{Printer, Style};
use crate::cli::table::Table;
use crate::cli::text;
use crate::job::status::{Backups, Status};
use crate::model::Timestamp;

/// The widest that a line becomes, however wide the terminal is.
const WIDEST: usize = 80;
/// Column of the values.
const INDENT: usize = 18;
/// Items that are named before the rest is only counted.
const NAMED: usize = 5;
/// Jobs that are shown.
const JOBS: usize = 6;

/// Prints one instance.
///
/// # Errors
/// When standard output takes no more.
pub(super) fn one(printer: &Printer, shown: &InstanceStatus) -> Result<(), Failure> {
    doubts(printer, shown)?;
    headline(printer, shown)?;
    if let Some(place) = &shown.place {
        field(printer, "repository", place, None)?;
    }
    match (&shown.status, &shown.unreadable) {
        (Some(status), _) => backups(printer, status)?,
        (None, Some(why)) => field(printer, "repository", &format!("cannot be read: {why}"), Some(Style::Red))?,
        (None, None) => {}
    }
    jobs(printer, &shown.jobs, shown.status.as_ref().map(|status| status.now))?;
    standby(printer, shown)?;
    if let Some(daemon) = &shown.daemon {
        let style = if daemon.answers { None } else { Some(Style::Yellow) };
        field(printer, "daemon", &format!("{}: {}", daemon.listen, daemon.says), style)?;
    }
    match (&shown.expiring, &shown.expiring_unknown) {
        (Some(soon), _) => expiring(printer, soon, shown.status.as_ref().map(|status| status.now))?,
        (None, Some(why)) => field(printer, "expiring", &format!("not known: {why}"), Some(Style::Dim))?,
        (None, None) => {}
    }
    for warning in &shown.warnings {
        field(printer, "warning", warning, Some(Style::Yellow))?;
    }
    Ok(())
}

/// Losses that this host knows of come before everything else.
fn doubts(printer: &Printer, shown: &InstanceStatus) -> Result<(), Failure> {
    let of = if shown.instance.is_empty() { String::new() } else { format!("{}: ", shown.instance) };
    for sentence in shown.memory.sentences() {
        for line in text::wrapped(&text::safe(&format!("{of}{sentence}")), room(printer, 0)) {
            printer.line(printer.paint(Style::Red, &line))?;
        }
    }
    Ok(())
}

fn headline(printer: &Printer, shown: &InstanceStatus) -> Result<(), Failure> {
    let name = match shown.instance.as_str() {
        "" => "Backups".to_owned(),
        name => format!("Backups of {}", text::safe(name)),
    };
    let (style, word) = match (&shown.status, shown.stale) {
        (None, _) => (Style::Red, "cannot be read"),
        (Some(_), true) => (Style::Red, "STALE"),
        (Some(_), false) => (Style::Green, "fresh"),
    };
    printer.line(printer.paint(Style::Bold, &format!("{name}: ")) + &printer.paint(style, word))?;
    for stale in shown.status.iter().flat_map(|status| &status.stale) {
        for line in text::wrapped(&stale.to_string(), room(printer, 2)) {
            printer.line(format!("  {}", printer.paint(Style::Red, &line)))?;
        }
    }
    printer.line("")
}

/// Number of columns after an indentation.
fn room(printer: &Printer, indent: usize) -> usize {
    printer.width().min(WIDEST).saturating_sub(indent)
}

/// A label and its value, folded under itself.
fn field(printer: &Printer, label: &str, value: &str, style: Option<Style>) -> Result<(), Failure> {
    let lines = text::wrapped(&text::safe(value), room(printer, INDENT));
    for (at, line) in lines.iter().enumerate() {
        let label = if at == 0 { label } else { "" };
        let label = printer.paint(Style::Dim, &format!("  {label:<width$}", width = INDENT - 2));
        let line = style.map_or_else(|| line.clone(), |style| printer.paint(style, line));
        printer.line(format!("{label}{line}"))?;
    }
    Ok(())
}

fn backups(printer: &Printer, status: &Status) -> Result<(), Failure> {
    if let Some(source) = &status.source {
        field(printer, "source", source, None)?;
    }
    let Status { backups, objectives, now, .. } = status;
    match &backups.newest_good {
        Some(good) => {
            let time = good.time.map_or_else(|| "of an unknown time".to_owned(), |time| when(time, *now));
            let claim = if good.cut == "point_in_time" { "one point in time" } else { "each item on its own" };
            let (items, size) = (text::count(good.items, "item"), text::bytes(good.sealed_bytes));
            field(printer, "last backup", &time, None)?;
            field(printer, "", &format!("snapshot {}, {claim}, {items}, {size}", good.sequence), None)?;
        }
        None => field(printer, "last backup", "none that may be relied upon", Some(Style::Red))?,
    }
    if let Some(since) = backups.suspect_since {
        let text = format!("every snapshot since {} is", when(since, *now));
        field(printer, "suspect", &text, Some(Style::Yellow))?;
    }
    field(printer, "last 14 days", &bar(backups), None)?;
    let objective = |wanted: Option<std::time::Duration>| match wanted {
        Some(wanted) => format!("objective {}", text::seconds(wanted.as_secs())),
        None => "no objective".to_owned(),
    };
    if let Some(achieved) = backups.achieved_rpo_seconds {
        let worst = backups
            .worst_gap_seconds
            .map_or(String::new(), |gap| format!("; worst gap of 7 days {}", text::seconds(gap)));
        let missed = objectives.rpo.is_some_and(|rpo| achieved > rpo.as_secs());
        let style = if missed { Some(Style::Red) } else { None };
        let text = format!("{}, {}{worst}", text::seconds(achieved), objective(objectives.rpo));
        field(printer, "recovery point", &text, style)?;
    }
    let within = objective(objectives.verified_within);
    match &status.verified {
        Some(verified) => {
            let text =
                format!("{}, level {}, up to snapshot {}", when(verified.at, *now), verified.level, verified.covers);
            field(printer, "last verified", &format!("{text}; {within}"), None)?;
        }
        None => field(printer, "last verified", &format!("never; {within}"), Some(Style::Yellow))?,
    }
    for slices in status.levels.iter().filter_map(|level| level.slices.as_ref()) {
        let share = slices.done.saturating_mul(100).checked_div(slices.of).unwrap_or(0);
        field(printer, "payloads opened", &format!("{} of {} slices ({share} %)", slices.done, slices.of), None)?;
    }
    let others = [(backups.suspect, "suspect"), (backups.forgotten, "forgotten"), (backups.held, "held")];
    let others = others.iter().filter(|(count, _)| *count > 0);
    let others: String = others.map(|(count, word)| format!(", {} {word}", text::thousands(*count))).collect();
    field(printer, "kept", &format!("{} good{others}", text::thousands(backups.good)), None)
}

/// One character a day, the present one last: `#` good, `!` suspect only, `.` none, `-` before the first snapshot.
fn bar(backups: &Backups) -> String {
    let begun = backups.days.iter().position(|day| day.good + day.suspect > 0).unwrap_or(backups.days.len());
    let earlier = backups.first_good.zip(backups.days.first()).is_some_and(|(first, day)| first < day.from);
    let mark = |(at, day): (usize, &crate::job::status::Day)| match (day.good, day.suspect) {
        (0, 0) if at < begun && !earlier => '-',
        (0, 0) => '.',
        (0, _) => '!',
        _ => '#',
    };
    let bar: String = backups.days.iter().enumerate().map(mark).collect();
    format!("[{bar}] # good  ! suspect  . none")
}

/// A moment and how far away it is: `2026-11-22 14:03:00Z, 12 min ago`.
fn when(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.millis_since(time) / 1_000;
    let span = text::seconds(seconds.unsigned_abs());
    match seconds {
        0.. => format!("{}, {span} ago", text::time(time)),
        _ => format!("{}, in {span}", text::time(time)),
    }
}

fn jobs(printer: &Printer, jobs: &[JobStatus], now: Option<Timestamp>) -> Result<(), Failure> {
    if jobs.is_empty() {
        return field(
            printer,
            "next runs",
            "no [jobs] here: cron, systemd or whoever else runs them",
            Some(Style::Dim),
        );
    }
    for (at, job) in jobs.iter().take(JOBS).enumerate() {
        let next = job.next.map_or_else(|| "never again".to_owned(), text::time);
        let last = job.last.as_ref().map_or(String::new(), |last| format!("; last {}", ended(last, now)));
        let style = if job.next.is_none() { Some(Style::Red) } else { None };
        field(printer, if at == 0 { "next runs" } else { "" }, &format!("{next}  {}{last}", job.name), style)?;
    }
    match jobs.len().checked_sub(JOBS) {
        Some(more @ 1..) => field(printer, "", &format!("and {more} more: `keyhaven schedule next`"), None),
        _ => Ok(()),
    }
}

/// Describes how a run ended, and how long ago: a second date would not fit on the line.
fn ended(run: &RunStatus, now: Option<Timestamp>) -> String {
    let word = if run.good { "good" } else { "not good" };
    let ago = now.and_then(|now| u64::try_from(now.millis_since(run.ended) / 1_000).ok());
    match ago {
        Some(seconds) => format!("{word} {} ago", text::seconds(seconds)),
        None => format!("{word}, {}", text::time(run.ended)),
    }
}

fn standby(printer: &Printer, shown: &InstanceStatus) -> Result<(), Failure> {
    let now = shown.status.as_ref().map(|status| status.now);
    let restored = shown.status.as_ref().and_then(|status| status.restored.as_ref());
    if let (Some(restored), Some(now)) = (restored, now) {
        let sequence =
            restored.sequence.map_or_else(|| "a snapshot that is gone".to_owned(), |s| format!("snapshot {s}"));
        let behind = match restored.behind {
            0 => "in step".to_owned(),
            count => {
                let span = text::seconds(restored.behind_seconds);
                format!("{} behind ({span})", text::count(count, "snapshot"))
            }
        };
        let failed = match restored.failed {
            0 => String::new(),
            failed => format!("; {} failed", text::count(failed, "item")),
        };
        field(printer, "standby", &format!("{sequence}, restored {}; {behind}{failed}", when(restored.at, now)), None)?;
    }
    for (label, run) in [("drift", &shown.standby.drift), ("sync", &shown.standby.sync)] {
        let Some(run) = run else { continue };
        let found = match (run.good, run.problems) {
            (true, _) => "in step".to_owned(),
            (false, Some(problems @ 1..)) => text::count(problems, "difference"),
            (false, _) => "not in step, or failed".to_owned(),
        };
        let style = if run.good { None } else { Some(Style::Yellow) };
        let at = now.map_or_else(|| text::time(run.ended), |now| when(run.ended, now));
        field(printer, label, &format!("{found}, {at}"), style)?;
    }
    Ok(())
}

fn expiring(printer: &Printer, soon: &ExpiringSoon, now: Option<Timestamp>) -> Result<(), Failure> {
    let count = soon.items.len();
    if count == 0 {
        return field(printer, "expiring", &format!("nothing within {} days", soon.within_days), None);
    }
    for (at, item) in soon.items.iter().take(NAMED).enumerate() {
        let group = item.group.as_ref().map_or(String::new(), |group| format!("{group}/"));
        let ended = now.is_some_and(|now| item.at <= now);
        let note = match (ended, item.renews) {
            (true, _) => ", over",
            (false, true) => ", renewed by the provider",
            (false, false) => "",
        };
        let day = item.at.datetime().format("%Y-%m-%d");
        let text = format!("{day}  {group}{} ({}){note}", item.name, item.item_type);
        field(printer, if at == 0 { "expiring" } else { "" }, &text, if ended { Some(Style::Yellow) } else { None })?;
    }
    match count.checked_sub(NAMED) {
        Some(more @ 1..) => field(printer, "", &format!("and {more} more within {} days", soon.within_days), None),
        _ => Ok(()),
    }
}

/// Prints several instances, a line each.
///
/// # Errors
/// When standard output takes no more.
pub(super) fn several(printer: &Printer, shown: &[InstanceStatus]) -> Result<(), Failure> {
    shown.iter().try_for_each(|one| doubts(printer, one))?;
    let mut table = Table::new(&["instance", "state", ">recovery point", ">objective", ">verified", "next run"]);
    for one in shown {
        let status = one.status.as_ref();
        let state = match (status, one.stale) {
            (None, _) => "unreadable",
            (Some(_), true) => "STALE",
            (Some(_), false) => "fresh",
        };
        let span = |seconds: Option<u64>| seconds.map_or_else(|| "-".to_owned(), text::seconds);
        let verified = status.and_then(|status| {
            let verified = status.verified.as_ref()?;
            u64::try_from(status.now.millis_since(verified.at) / 1_000).ok()
        });
        let next = one.jobs.iter().find_map(|job| job.next.map(|at| format!("{} {}", text::time(at), job.name)));
        table.row([
            one.instance.clone(),
            state.to_owned(),
            span(status.and_then(|status| status.backups.achieved_rpo_seconds)),
            span(status.and_then(|status| status.objectives.rpo).map(|rpo| rpo.as_secs())),
            span(verified),
            next.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let lines = table.lines(printer.width().min(WIDEST));
    for (at, line) in lines.iter().enumerate() {
        let style = match at.checked_sub(1).and_then(|row| shown.get(row)) {
            None => Style::Bold,
            Some(one) if one.stale || one.status.is_none() => Style::Red,
            Some(_) => Style::Green,
        };
        printer.line(printer.paint(style, line))?;
    }
    for one in shown {
        let why = one.status.iter().flat_map(|status| &status.stale).map(ToString::to_string);
        for why in why.chain(one.unreadable.clone()) {
            for line in text::wrapped(&text::safe(&format!("{}: {why}", one.instance)), room(printer, 2)) {
                printer.line(format!("  {}", printer.paint(Style::Red, &line)))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::status::Day;

    #[test]
    fn the_bar_tells_a_day_without_a_backup_from_the_time_before_the_first() {
        let at = |day: i64| Timestamp::from_millis(1_790_000_000_000 + day * 86_400_000);
        let backups = |days: &[(u64, u64)], first| Backups {
            newest: None,
            newest_good: None,
            first_good: first,
            achieved_rpo_seconds: None,
            worst_gap_seconds: None,
            suspect_since: None,
            good: 0,
            suspect: 0,
            forgotten: 0,
            swept: 0,
            held: 0,
            days: (0..)
                .zip(days)
                .map(|(n, (good, suspect))| Day { from: at(n), good: *good, suspect: *suspect })
                .collect(),
        };
        let days = [(0, 0), (3, 0), (0, 0), (0, 1), (1, 1)];
        assert!(bar(&backups(&days, Some(at(1)))).starts_with("[-#.!#] "));
        assert!(bar(&backups(&days, Some(at(-9)))).starts_with("[.#.!#] "));
        assert!(bar(&backups(&[(0, 0); 3], None)).starts_with("[---] "));
    }

    #[test]
    fn a_run_is_told_with_its_age_beside_the_date_of_the_next() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let run = RunStatus { ended: now.plus_millis(-900_000), good: false, problems: None };
        assert_eq!(ended(&run, Some(now)), "not good 15 min ago");
        // With a name such as `verify-payload` it fits on one line.
        let line = format!("{:18}{}  {}; last {}", "", text::time(now), "n".repeat(14), ended(&run, Some(now)));
        assert!(line.chars().count() <= 80, "{line}");
        assert!(ended(&run, None).starts_with("not good, 2026-"), "the repository did not say what time it is");
    }

    #[test]
    fn a_moment_says_how_far_it_is() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        assert!(when(now.plus_millis(-900_000), now).ends_with(", 15 min ago"));
        assert!(when(now.plus_millis(7_200_000), now).ends_with(", in 2 h"));
    }
}
