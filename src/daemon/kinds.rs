//! Job kinds: the commands that the daemon runs, and their properties.
//!
//! To make a command a job, add one line to [`KINDS`].

use std::time::Duration;

/// An instance that a job works on. Two jobs on one instance never run at the same time, because they share its request
/// pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobTouches {
    /// The source instance.
    Source,
    /// The standby instance.
    Standby,
}

/// When a run leaves a ledger entry that names it, so that other hosts see it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordsEntry {
    /// On every success.
    Always,
    /// Only if recording was requested and there was something to record.
    Perhaps,
    /// Never: only a lease and this host's local state show the run.
    Never,
}

/// One kind of job.
#[derive(Debug, Clone, Copy)]
pub struct JobKind {
    /// The command: `kind` in the configuration. The arguments of the job follow it.
    pub name: &'static str,
    /// Instances that it talks to. The repository is not listed: any number of jobs may write to it at once.
    pub touches: &'static [JobTouches],
    /// Default deadline of a run, if the job sets no `deadline`.
    pub deadline: Duration,
    /// When it leaves a ledger entry.
    pub entry: RecordsEntry,
}

const fn kind(name: &'static str, touches: &'static [JobTouches], minutes: u64, entry: RecordsEntry) -> JobKind {
    JobKind { name, touches, deadline: Duration::from_secs(minutes * 60), entry }
}

/// All kinds. The deadlines fit the largest instance at the slowest pace: a first backup of 30,000 secrets at five
/// requests per second takes under four hours, and aborts after six.
pub const KINDS: &[JobKind] = &[
    kind("backup", &[JobTouches::Source], 360, RecordsEntry::Always),
    kind("verify", &[], 720, RecordsEntry::Perhaps),
    kind("sync", &[JobTouches::Standby], 720, RecordsEntry::Perhaps),
    kind("drift", &[JobTouches::Source, JobTouches::Standby], 360, RecordsEntry::Never),
    kind("forget", &[], 60, RecordsEntry::Perhaps),
    kind("sweep", &[], 720, RecordsEntry::Perhaps),
    kind("doctor", &[JobTouches::Source, JobTouches::Standby], 15, RecordsEntry::Never),
];

/// Returns the kind with that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static JobKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Returns all names, for messages.
#[must_use]
pub fn names() -> String {
    KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

impl JobKind {
    /// True if runs of the two kinds must not overlap on the same instance of the configuration.
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
