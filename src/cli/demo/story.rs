//! Results of the demo, and how they are printed.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::compare::DemoComparison;
use crate::cli::failure::Failure;
use crate::cli::printer::{Printer, Style};
use crate::cli::text;
use crate::job::restore::plan::Totals;

/// The whole story as data. What the commands printed is in it as they printed it.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    /// The folders and files.
    pub(super) paths: Paths,
    /// The CRN of the instance that was backed up and lost.
    pub(super) source: String,
    /// The CRN of the instance that everything was restored into.
    pub(super) standby: String,
    /// Result of `init`.
    pub(super) init: Value,
    /// Changes that the writer made while the first backup ran.
    pub(super) changes_during_backup: u64,
    /// Result of the first `backup`.
    pub(super) backup: Value,
    /// Whether the state that the first snapshot claims was found in the instance's own log, by content.
    pub(super) claim: ConsistencyClaim,
    /// Result of `verify --level payload`.
    pub(super) verify: Value,
    /// Result of `coverage`.
    pub(super) coverage: Value,
    /// Changes made between the two backups.
    pub(super) changes_between: u64,
    /// Result of the second `backup`.
    pub(super) incremental: Value,
    /// Result of `status` after it, with a job in the configuration.
    pub(super) status: Value,
    /// Requests of the second backup.
    pub(super) incremental_requests: u64,
    /// Requests of the first backup.
    pub(super) full_requests: u64,
    /// Requests that the second backup spared, as a share of the first's.
    pub(super) requests_saved: f64,
    /// Time from the second snapshot's moment to the loss of the source, in milliseconds: what the disaster cost.
    pub(super) recovery_point_ms: i64,
    /// The totals of the plan.
    pub(super) plan: Totals,
    /// Result of `restore apply`.
    pub(super) restore: Value,
    /// Time from the start of the planning to the end of the restore, in milliseconds.
    pub(super) restore_ms: i64,
    /// Source and standby, compared item by item from inside.
    pub(super) compared: DemoComparison,
    /// Commands that open a pack with stock tools.
    pub(super) stock_tools: Vec<String>,
    /// Everything, in milliseconds.
    pub(super) elapsed_ms: i64,
}

/// Consistency claim of the first snapshot, checked against the instance's log.
#[derive(Debug, Serialize)]
pub(super) struct ConsistencyClaim {
    /// `point_in_time` or `per_item`.
    pub(super) cut: String,
    /// Logged states within the interval of the claim.
    pub(super) states: u64,
    /// True if one of them holds exactly the secrets and versions of the snapshot; `None` for `per_item`, which claims
    /// none.
    pub(super) holds: Option<bool>,
}

/// Locations of the demo's files.
#[derive(Debug, Serialize)]
pub(super) struct Paths {
    /// The folder of the demo.
    pub(super) folder: PathBuf,
    /// True if it is still there when the demo has ended.
    pub(super) kept: bool,
    /// The folder that plays the host that backs up.
    pub(super) collector: PathBuf,
    /// The folder that plays the host that restores.
    pub(super) recovery: PathBuf,
    /// The repository.
    pub(super) repository: PathBuf,
    /// The identity that opens packs.
    pub(super) identity: PathBuf,
    /// The collector's configuration.
    pub(super) config: PathBuf,
    /// The plan of the restore.
    pub(super) plan: PathBuf,
    /// The first pack of the repository.
    pub(super) pack: PathBuf,
}

impl Story {
    /// Returns true if everything came back and the proof held.
    pub(super) fn is_good(&self) -> bool {
        self.compared.differences.is_empty() && self.claim.holds != Some(false)
    }

    /// Prints the result; the steps were printed on the way.
    pub(super) fn print(&self, printer: &Printer) -> Result<(), Failure> {
        let found = &self.compared;
        printer.line("")?;
        if self.is_good() {
            let words = match found.named {
                0 => "Every value is back.".to_owned(),
                named => format!(
                    "Every plain value is back; the restore named {} of other sorts that do not come, or wait.",
                    text::count(named, "item")
                ),
            };
            printer.line(printer.paint(Style::Green, &words))?;
        } else {
            printer.line(printer.paint(Style::Red, "Not everything came back as it was."))?;
            for difference in found.differences.iter().take(20) {
                printer.line(format!("  {}", text::safe(difference)))?;
            }
        }
        printer.facts(&[
            (
                "compared",
                format!(
                    "{}, {} byte for byte, {}, {}, {}",
                    text::count(found.secrets, "secret"),
                    text::count(found.payloads, "payload"),
                    text::count(found.locks, "lock"),
                    text::count(found.groups, "group"),
                    text::count(found.configurations, "configuration"),
                ),
            ),
            ("as imported certificates", text::thousands(found.converted)),
            ("made anew by the standby", text::count(found.anew, "item")),
            ("differences", text::thousands(found.differences.len() as u64)),
            ("recovery point achieved", text::millis(self.recovery_point_ms)),
            ("restore took", text::millis(self.restore_ms)),
            (
                "second backup",
                format!(
                    "{} requests where the first took {}: {:.0} % spared",
                    text::thousands(self.incremental_requests),
                    text::thousands(self.full_requests),
                    self.requests_saved * 100.0
                ),
            ),
            ("whole demo", text::millis(self.elapsed_ms)),
        ])?;
        printer.line("")?;
        if self.paths.kept {
            printer.line("Look around:")?;
            printer.facts(&[
                ("repository", self.paths.repository.display().to_string()),
                ("host that backs up", self.paths.collector.display().to_string()),
                ("host that restores", self.paths.recovery.display().to_string()),
            ])?;
            printer.line("")?;
            printer.line("Open a pack without Keyhaven (RECOVER.md in the repository says the rest):")?;
            for command in &self.stock_tools {
                printer.line(format!("  {command}"))?;
            }
        } else {
            printer.line("Everything was in a temporary folder, which is gone. To look around afterwards:")?;
            printer.line("  keyhaven demo --keep demo")?;
            printer.line("and open every pack with stock tools:")?;
            printer.line("  for pack in demo/repository/packs/*; do")?;
            printer.line("    age -d -i demo/recovery/kit-1/recovery-identity.txt \"$pack\" | zstd -d")?;
            printer.line("  done | jq .")?;
        }
        Ok(())
    }
}
