//! A command that the daemon runs as a job: which run of the schedule it is, and that it does not outlive the daemon.

use std::path::PathBuf;

use rustix::process::{Pid, Signal};

use super::env;
use super::failure::Failure;
use crate::model::{ScheduledRun, Timestamp};

/// Which run of a schedule this is: `JOB@TIME`.
pub(super) const RUN_DUE: &str = "KEYHAVEN_RUN_DUE";
/// The process id of the daemon.
pub(super) const RUN_PARENT: &str = "KEYHAVEN_RUN_PARENT";

/// Path where a job finds its daemon's configuration: a file in memory, its standard input.
pub(super) const RUN_CONFIG: (&str, &str) = ("KEYHAVEN_RUN_CONFIG", "/proc/self/fd/0");

/// Returns the path that replaces the configuration file in a command run by a daemon.
pub(super) fn configuration() -> Option<PathBuf> {
    env::variable(RUN_CONFIG.0).filter(|_| by_daemon()).map(PathBuf::from)
}

/// Returns true if a daemon runs this command. Then the daemon sends the notifications, not the command.
pub(super) fn by_daemon() -> bool {
    env::variable(RUN_PARENT).is_some()
}

/// The run of a schedule that this command is, if it is one.
///
/// # Errors
/// Kind 2 when the variable is set and is no such text.
pub(super) fn due() -> Result<Option<ScheduledRun>, Failure> {
    env::variable(RUN_DUE).map(|text| parse(&text)).transpose()
}

/// Encodes a scheduled run for [`due`].
pub(super) fn text(due: &ScheduledRun) -> String {
    format!("{}@{}", due.job, due.at)
}

fn parse(text: &str) -> Result<ScheduledRun, Failure> {
    let read = || {
        let (job, at) = text.rsplit_once('@')?;
        let at: Timestamp = at.parse().ok()?;
        (!job.is_empty()).then(|| ScheduledRun { job: job.to_owned(), at })
    };
    read().ok_or_else(|| {
        Failure::usage(format!("{RUN_DUE} is not of the form JOB@TIME"))
            .hinted("the daemon sets it for the jobs that it runs; unset it when you run a command yourself")
    })
}

/// Asks the system to stop this process when the daemon that started it is gone, however the daemon ended. Nothing
/// happens for a command that was started by anybody else.
///
/// # Errors
/// Kind 2 when the variable is no process id; kind 130 when the daemon is gone already.
pub(super) fn follow_daemon() -> Result<(), Failure> {
    let Some(text) = env::variable(RUN_PARENT) else { return Ok(()) };
    let daemon = text.parse::<i32>().ok().and_then(Pid::from_raw);
    let daemon = daemon.ok_or_else(|| Failure::usage(format!("{RUN_PARENT} is no process id")))?;
    // SIGTERM, as the daemon itself would stop it: what is under way ends at its next safe point or is cut off.
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| {
        Failure::new(crate::model::FailureKind::Failed, "cannot follow the daemon to its end").because(error)
    })?;
    // The daemon may have ended before that call: then nobody would ever send the signal.
    if rustix::process::getppid() == Some(daemon) { Ok(()) } else { Err(Failure::interrupted()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_comes_back_from_its_text() {
        let due = ScheduledRun { job: "pay@home".to_owned(), at: Timestamp::from_millis(1_795_000_000_250) };
        assert_eq!(parse(&text(&due)).unwrap(), due);
    }

    #[test]
    fn what_names_no_run_is_refused() {
        for wrong in ["", "backup", "@2026-11-22T00:00:00Z", "backup@", "backup@yesterday", "backup@1795000000"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
