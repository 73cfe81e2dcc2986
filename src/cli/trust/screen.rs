//! Presentation of a change of the trust policy, before and after it is signed.

use std::path::Path;

use super::ended::Entries;
use super::proposal::Signers;
use super::session::ChangeReport;
use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::printer::Printer;
use crate::cli::text;
use crate::format::PolicyRef;

/// Shows a change on standard error, also when quiet: nobody signs what they have not been shown.
pub(in crate::cli) fn show_changes(app: &App, changed: &ChangeReport) {
    let heading = format!("Version {} of the trust policy:", changed.policy.version);
    let mut lines = vec![heading];
    lines.extend(changes(&app.printer, &changed.differences, changed.reason.as_deref()));
    lines.extend(entries(&app.printer, changed));
    app.printer.say(&lines.join("\n"));
}

/// Differences and the reason, as lines of a list.
pub(in crate::cli) fn changes(printer: &Printer, differences: &[String], reason: Option<&str>) -> Vec<String> {
    let mut lines: Vec<String> = match differences {
        [] => vec!["  - changes nothing but its number".to_owned()],
        several => several.iter().flat_map(|one| item(printer, "  - ", one)).collect(),
    };
    lines.extend(reason.into_iter().flat_map(|reason| item(printer, "  reason: ", &text::safe(reason))));
    lines
}

/// Prints what became of a change.
///
/// # Errors
/// When standard output takes no more.
pub(in crate::cli) fn print(printer: &Printer, changed: &ChangeReport) -> Result<(), Failure> {
    let state = if changed.published { "in force" } else { "proposed" };
    let colon = if changed.shown { "." } else { ":" };
    printer.line(format!("Version {} of the trust policy is {state}{colon}", changed.policy.version))?;
    if !changed.shown {
        let lines = changes(printer, &changed.differences, changed.reason.as_deref());
        lines.iter().chain(&entries(printer, changed)).try_for_each(|line| printer.line(line))?;
    }
    for version in &changed.put_back {
        printer.line(format!("  Put back, since the bucket lacked it: version {}", version.version))?;
    }
    match (&changed.proposal, changed.published) {
        (_, true) => print_next(printer, changed),
        (Some(path), false) => print_to_sign(printer, &changed.signers, path),
        (None, false) => Ok(()),
    }
}

/// Returns the effect of a changed key end on the entries of the key.
fn entries(printer: &Printer, changed: &ChangeReport) -> Vec<String> {
    let lost = changed.no_longer_counts.iter().map(no_longer_counts);
    let gained = changed.counts_again.iter().map(|entries| words("Counts again", entries));
    lost.chain(gained).flat_map(|sentence| item(printer, "  ", &sentence)).collect()
}

/// Describes the entries of a key that are no longer valid.
pub(in crate::cli) fn no_longer_counts(entries: &Entries) -> String {
    words("No longer counts", entries)
}

fn words(what: &str, entries: &Entries) -> String {
    format!(
        "{what}: {} by the key {} ({}), {}; first entry {}",
        text::count(entries.entries, "entry"),
        text::safe(&entries.name),
        entries.key.short(),
        text::count(entries.snapshots, "snapshot"),
        entries.first.sequence
    )
}

/// A text behind a mark, wrapped to the width of the terminal, and every further line below its beginning.
fn item(printer: &Printer, mark: &str, text: &str) -> Vec<String> {
    let room = printer.width().saturating_sub(mark.len());
    let lines = text::wrapped(text, room).into_iter().enumerate();
    lines
        .map(|(at, line)| match at {
            0 => format!("{mark}{line}"),
            _ => format!("{}{line}", " ".repeat(mark.len())),
        })
        .collect()
}

/// Prints who must sign and how.
fn print_to_sign(printer: &Printer, signers: &[Signers], path: &Path) -> Result<(), Failure> {
    for signers in signers.iter().filter(|signers| !signers.is_met()) {
        printer.line(format!("  {}", text::safe(&signers.sentence())))?;
    }
    let path = path.display();
    printer.line("")?;
    printer.line("Next:")?;
    printer.line("  1. Each custodian, where their key is (no bucket is needed):")?;
    printer.line(format!("       keyhaven trust sign {path} --key CUSTODIAN-KEY"))?;
    printer.line("  2. With access to the bucket, with one signed copy or several:")?;
    printer.line(format!("       keyhaven trust publish {path}"))
}

/// Prints what to do with a version that is in force.
fn print_next(printer: &Printer, changed: &ChangeReport) -> Result<(), Failure> {
    let sheet = changed.recovery_sheet.as_ref().map(|path| path.display().to_string());
    let policy: PolicyRef = changed.policy;
    printer.line("")?;
    printer.line("New pin:")?;
    printer.line(format!("  {policy}"))?;
    printer.line("")?;
    printer.line("Next:")?;
    printer.line("  1. Write the new pin into each recovery identity:")?;
    printer.line("       keyhaven trust pin IDENTITY-FILE")?;
    printer.line("     Where a configuration has repository.policy, set it to what this prints:")?;
    printer.line("       keyhaven trust show --pin")?;
    match sheet {
        Some(path) => {
            printer.line(format!("  2. Print the new recovery sheet, {path},"))?;
            printer.line("     and destroy the old ones.")
        }
        None => {
            printer.line("  2. Print a new recovery sheet, and destroy the old ones:")?;
            printer.line("       keyhaven trust sheet --out FILE")
        }
    }
}
