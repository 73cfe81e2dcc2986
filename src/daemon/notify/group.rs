//! Process groups of hooks: what a hook starts ends with it, and all of it when this process ends at once.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use tokio::process::{Child, Command};

/// The groups of the hooks that run now. Of the process, like the signal that ends it.
static RUNNING: Mutex<Running> = Mutex::new(Running { groups: Vec::new(), left: Vec::new(), over: false });

struct Running {
    groups: Vec<Pid>,
    /// Those of hooks that ended, in which something may have stayed behind.
    left: Vec<Pid>,
    /// Nothing is started any more.
    over: bool,
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills every hook that runs, with what it started, and lets no other begin: for a process that ends at once, and so
/// drops nothing.
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
                // Only of this group, and never the hook itself, which was waited for: nothing is taken from anyone who waits.
                // While a process of the group exists, or is not reaped yet, no other process can get its number.
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
        // It is gone by itself, most likely.
        tracing::trace!(%error, "a hook was not signalled");
    }
}

/// The process group of a hook; killed when dropped.
#[derive(Debug)]
pub(super) struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// Starts a hook in a group of its own.
    ///
    /// # Errors
    /// As the operating system says, and when this process is about to end.
    pub(super) fn start(command: &mut Command) -> io::Result<(Child, Self)> {
        // Held while it starts: one that began behind the back of `end_hooks` would outlive us.
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

    /// The hook was waited for. What it left behind, if anything, goes its way.
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
