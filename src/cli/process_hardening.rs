//! Hardening of the process at its start, so that plaintext stays in memory.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

use super::failure::Failure;
use crate::model::FailureKind;

/// New files are for their owner only, no core dumps, no attaching by other processes of the same user.
///
/// # Errors
/// When the platform refuses one of them: better not to start than to run without.
pub(super) fn apply() -> Result<(), Failure> {
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).map_err(|error| refused("core dumps", error))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| refused("being dumped by others", error))?;
    Ok(())
}

fn refused(what: &str, error: rustix::io::Errno) -> Failure {
    Failure::new(FailureKind::Failed, format!("cannot switch off {what}"))
        .because(error)
        .hinted("keyhaven does not run where its memory could be written to a disk")
}
