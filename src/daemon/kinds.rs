//! The kinds of jobs: which commands the daemon runs, and what it must know of each.
//!
//! A later command becomes a job by one more line in [`KINDS`].

use std::time::Duration;

/// What a job works on. Two jobs that touch one instance never run at the same time: one pace for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobTouches {
    /// The instance that is backed up.
    Source,
    /// The instance that restores go to.
    Standby,
}

/// When a run leaves an entry in the ledger that names it, so that every other host sees it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordsEntry {
    /// Whenever it succeeds.
    Always,
    /// When it is told to record, and only if there was something to record.
    Perhaps,
    /// Never: a lease and this host's own memory are all that tells.
    Never,
}

/// One kind of job.
#[derive(Debug, Clone, Copy)]
pub struct JobKind {
    /// The command, as `kind` in the configuration names it; the arguments of the job come behind it.
    pub name: &'static str,
    /// The instances that it talks to. The repository is none: any number of jobs may write there at once.
    pub touches: &'static [JobTouches],
    /// How long a run may take where the job's own `deadline` says nothing.
    pub deadline: Duration,
    /// Whether it leaves an entry.
    pub entry: RecordsEntry,
}

const fn kind(name: &'static str, touches: &'static [JobTouches], minutes: u64, entry: RecordsEntry) -> JobKind {
    JobKind { name, touches, deadline: Duration::from_secs(minutes * 60), entry }
}

/// Every kind. The deadlines leave room for the largest instance at the slowest pace: a first backup of 30,000 secrets
/// at five requests a second takes under four hours, and past six it gives itself up.
pub const KINDS: &[JobKind] = &[
    kind("backup", &[JobTouches::Source], 360, RecordsEntry::Always),
    kind("verify", &[], 720, RecordsEntry::Perhaps),
    kind("sync", &[JobTouches::Standby], 720, RecordsEntry::Perhaps),
    kind("drift", &[JobTouches::Source, JobTouches::Standby], 360, RecordsEntry::Never),
    kind("forget", &[], 60, RecordsEntry::Perhaps),
    kind("sweep", &[], 720, RecordsEntry::Perhaps),
    kind("doctor", &[JobTouches::Source, JobTouches::Standby], 15, RecordsEntry::Never),
];

/// The kind of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static JobKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// All names, for messages.
#[must_use]
pub fn names() -> String {
    KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

impl JobKind {
    /// Whether a run of this kind must wait until one of the other has ended, on the same instance of the configuration.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        self.touches.iter().any(|touch| other.touches.contains(touch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_stands_once_and_has_time_to_run() {
        for (at, kind) in KINDS.iter().enumerate() {
            assert!(KINDS.iter().skip(at + 1).all(|other| other.name != kind.name), "{} twice", kind.name);
            assert!(kind.deadline >= Duration::from_secs(60), "{}", kind.name);
        }
        assert!(names().contains("backup, verify"));
    }

    #[test]
    fn only_those_that_share_an_instance_wait_for_each_other() {
        let kind = |name| find(name).unwrap();
        assert!(kind("backup").excludes(kind("backup")) && kind("backup").excludes(kind("drift")));
        assert!(kind("sync").excludes(kind("drift")) && kind("drift").excludes(kind("sync")));
        assert!(!kind("backup").excludes(kind("sync")));
        for other in KINDS {
            assert!(!kind("verify").excludes(other) && !kind("sweep").excludes(other), "{}", other.name);
        }
        assert!(find("Backup").is_none() && find("").is_none());
    }
}
