//! Process groups of hooks. Everything that a hook starts ends with it, and all hooks end if this process exits at
//! once.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use tokio::process::{Child, Command};

/// Groups of the running hooks. Process-wide, like the signal that ends the process.
static RUNNING: Mutex<Running> = Mutex::new(Running { groups: Vec::new(), left: Vec::new(), over: false });

struct Running {
    groups: Vec<Pid>,
    /// Groups of hooks that ended but may have left processes behind.
    left: Vec<Pid>,
    /// True once no further hook may start.
    over: bool,
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all running hooks with everything that they started, and prevents new ones. For a process that exits at once
/// and therefore drops nothing.
pub fn end_hooks() {
    let mut running = running();
    running.over = true;
    for group in &running.groups {
        signal(*group, Signal::KILL);
    }
}

impl Running {
    /// Reaps processes that hooks left behind. As process 1 of a container we are their parent.
    fn bury(&mut self) {
        self.left.retain(|group| {
            loop {
                // Only processes of this group, and never the hook itself, which was already waited for. While a
                // process of the group exists or is not reaped, its number cannot be reused.
                match waitpgid(*group, WaitOptions::NOHANG) {
                    Ok(Some(_)) => {}
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            }
        });
    }
}

fn signal(group: Pid, signal: Signal) {
    if let Err(error) = kill_process_group(group, signal) {
        // It has most likely already exited.
        tracing::trace!(%error, "a hook was not signalled");
    }
}

/// Process group of a hook; killed on drop.
#[derive(Debug)]
pub(super) struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// Starts a hook in its own process group.
    ///
    /// # Errors
    /// When the operating system refuses, or when this process is about to end.
    pub(super) fn start(command: &mut Command) -> io::Result<(Child, Self)> {
        // Hold the lock while it starts: a hook started during `end_hooks` would outlive us.
        let mut running = running();
        if running.over {
            return Err(io::Error::other("this process is ending"));
        }
        running.bury();
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        running.groups.extend(pid);
        Ok((child, Self(pid)))
    }

    pub(super) fn signal(&self, which: Signal) {
        if let Some(pid) = self.0 {
            signal(pid, which);
        }
    }

    /// Releases the group after the hook was waited for. Processes that it left behind may continue.
    pub(super) fn forget(mut self) {
        if let Some(pid) = self.0.take() {
            let mut running = running();
            running.groups.retain(|group| *group != pid);
            running.left.push(pid);
            running.bury();
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(pid) = self.0 {
            running().groups.retain(|group| *group != pid);
        }
    }
}
