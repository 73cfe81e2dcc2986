//! This machine: the process, the state folder, room on disks, files that others collect.

use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::process::{DumpableBehavior, Resource};

use super::row::Rows;
use crate::cli::app::App;
use crate::cli::text;
use crate::config::{Location, Settings};
use crate::model::FailureKind;

/// Less free room than this is bad: an entry and a heads file would hardly fit.
const ROOM_LEAST: u64 = 16 << 20;
/// Less free room than this is a warning.
const ROOM_SOON: u64 = 256 << 20;

/// The rows.
pub(super) fn rows(app: &App, settings: &Settings) -> Rows {
    let mut rows = Rows::new("This host");
    process(&mut rows, Process::look());
    match app.state_folder(settings) {
        Ok(folder) => {
            let mend = "set state_dir to a folder of the user that runs keyhaven";
            if folder_row(&mut rows, "state folder", &folder, mend) {
                room(&mut rows, "room for state", &folder);
            }
        }
        Err(failure) => rows.failed("state folder", &failure, "set state_dir"),
    }
    if let Ok(Location::Folder(folder)) = settings.repository().map(|repository| repository.location) {
        room(&mut rows, "room for backups", &folder);
    }
    rows
}

/// Checks that plaintext stays in memory and files are readable by their owner only.
#[derive(Debug, Clone, Copy)]
struct Process {
    no_core: bool,
    not_dumpable: bool,
    private_files: bool,
}

impl Process {
    fn look() -> Self {
        // Reading the mask means setting it; back at once.
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        rustix::process::umask(mask);
        Self {
            no_core: rustix::process::getrlimit(Resource::Core).current == Some(0),
            not_dumpable: rustix::process::dumpable_behavior().is_ok_and(|is| is == DumpableBehavior::NotDumpable),
            private_files: mask.as_raw_mode() & 0o077 == 0o077,
        }
    }
}

fn process(rows: &mut Rows, is: Process) {
    let missing: Vec<&str> = [
        (is.no_core, "core dumps are on"),
        (is.not_dumpable, "other processes of this user may look into its memory"),
        (is.private_files, "new files are open to others"),
    ]
    .into_iter()
    .filter_map(|(good, said)| (!good).then_some(said))
    .collect();
    match missing.is_empty() {
        true => rows.good("process", "no core dumps, not dumpable, new files for their owner only"),
        false => rows.bad(
            "process",
            FailureKind::Failed,
            missing.join("; "),
            "run keyhaven where prctl and setrlimit are allowed: a system-call filter may stand in their way",
        ),
    }
}

/// Whether files can be made in a folder, or the folder itself where it is not there yet. Makes neither.
pub(super) fn folder_row(rows: &mut Rows, what: &'static str, folder: &Path, mend: &str) -> bool {
    let shown = folder.display();
    match can_write(folder) {
        Ok(existing) if existing == folder => {
            rows.good(what, shown.to_string());
            true
        }
        Ok(existing) => {
            rows.good(what, format!("{shown}, not there yet; can be made in {}", existing.display()));
            true
        }
        Err(why) => {
            rows.bad(what, FailureKind::Failed, format!("{shown}: {why}"), mend);
            false
        }
    }
}

/// Whether a file can be written: it is there and may be, or its folder takes a new one.
pub(super) fn file_row(rows: &mut Rows, what: &'static str, file: &Path, mend: &str) {
    let shown = file.display();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let result = match file.symlink_metadata() {
        Ok(about) if about.is_dir() => Err("it is a folder".to_owned()),
        Ok(_) => rustix::fs::access(file, Access::WRITE_OK).map_err(|error| error.to_string()),
        Err(_) => match can_write(folder) {
            Ok(existing) if existing == folder => Ok(()),
            Ok(_) => Err(format!("the folder {} is not there", folder.display())),
            Err(why) => Err(why),
        },
    };
    match result {
        Ok(()) => rows.good(what, shown.to_string()),
        Err(why) => rows.bad(what, FailureKind::Failed, format!("{shown} cannot be written: {why}"), mend),
    }
}

/// The folder, or the nearest one above it that is there, when files can be made in it.
fn can_write(folder: &Path) -> Result<PathBuf, String> {
    let Some(existing) = folder.ancestors().find(|path| path.symlink_metadata().is_ok()) else {
        return Ok(folder.to_owned());
    };
    if !existing.is_dir() {
        return Err(format!("{} is no folder", existing.display()));
    }
    match rustix::fs::access(existing, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(existing.to_owned()),
        Err(error) => Err(format!("nothing can be written in {}: {error}", existing.display())),
    }
}

/// Checks the free space of a directory's file system.
fn room(rows: &mut Rows, what: &'static str, folder: &Path) {
    let Some(existing) = folder.ancestors().find(|path| path.exists()) else { return };
    match rustix::fs::statvfs(existing) {
        Ok(about) => room_row(rows, what, about.f_bavail.saturating_mul(about.f_frsize), about.f_favail),
        Err(error) => rows.warning(
            what,
            format!("{} does not say how much room it has: {error}", existing.display()),
            "look with `df`",
        ),
    }
}

fn room_row(rows: &mut Rows, what: &'static str, free: u64, files: u64) {
    let found = format!("{} free", text::bytes(free));
    let mend = "make room on that disk, or name a folder on another one";
    // File systems without a fixed number of files say 0.
    if (1..16).contains(&files) {
        rows.bad(what, FailureKind::Failed, format!("{found}, but only {files} more files"), mend);
    } else if free < ROOM_LEAST {
        rows.bad(what, FailureKind::Failed, found, mend);
    } else if free < ROOM_SOON {
        rows.warning(what, found, mend);
    } else {
        rows.good(what, found);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make, spoil and read files")]
mod tests {
    use super::super::row::{CheckResult, CheckRow};
    use super::*;

    fn only(fill: impl FnOnce(&mut Rows)) -> CheckRow {
        let mut rows = Rows::new("test");
        fill(&mut rows);
        let mut rows = rows.into_iter();
        let row = rows.next().unwrap();
        assert!(rows.next().is_none());
        assert_eq!(
            row.verdict == CheckResult::Good,
            row.hint.is_none(),
            "what is not good says how to mend it: {row:?}"
        );
        row
    }

    #[test]
    fn a_disk_that_fills_up_is_told_before_it_is_full() {
        let verdict = |free, files| only(|rows| room_row(rows, "room", free, files)).verdict;
        assert_eq!(verdict(1 << 40, 1_000), CheckResult::Good);
        assert_eq!(verdict(1 << 40, 0), CheckResult::Good, "some file systems count no files");
        assert_eq!(verdict(200 << 20, 1_000), CheckResult::Warning);
        assert_eq!(verdict(1 << 20, 1_000), CheckResult::Bad);
        assert_eq!(verdict(1 << 40, 3), CheckResult::Bad);
    }

    #[test]
    fn a_process_that_could_spill_its_memory_is_bad() {
        let good = Process { no_core: true, not_dumpable: true, private_files: true };
        assert_eq!(only(|rows| process(rows, good)).verdict, CheckResult::Good);
        for (bad, said) in [
            (Process { no_core: false, ..good }, "core dumps are on"),
            (Process { not_dumpable: false, ..good }, "look into its memory"),
            (Process { private_files: false, ..good }, "open to others"),
        ] {
            let row = only(|rows| process(rows, bad));
            assert!(row.verdict == CheckResult::Bad && row.found.contains(said), "{row:?}");
        }
    }

    #[test]
    fn looking_makes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        assert_eq!(only(|rows| assert!(folder_row(rows, "f", &folder, "mend"))).verdict, CheckResult::Good);
        assert!(!root.path().join("a").exists());
        std::fs::write(root.path().join("a"), b"in the way").unwrap();
        let row = only(|rows| assert!(!folder_row(rows, "f", &folder, "mend")));
        assert!(row.verdict == CheckResult::Bad && row.found.contains("is no folder"), "{row:?}");
    }

    #[test]
    fn a_file_needs_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| only(|rows| file_row(rows, "f", &root.path().join(name), "mend"));
        assert_eq!(at("metrics.prom").verdict, CheckResult::Good);
        assert!(at("no/metrics.prom").found.contains("is not there"));
        std::fs::create_dir(root.path().join("folder")).unwrap();
        assert!(at("folder").found.contains("it is a folder"));
        assert!(!root.path().join("metrics.prom").exists());
    }
}
