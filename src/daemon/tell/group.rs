//! Process groups of hooks: what a hook starts ends with it, and all of it when this process ends at once.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// The groups of the hooks that run now. Of the process, like the signal that ends it.
static RUNNING: Mutex<Running> = Mutex::new(Running { groups: Vec::new(), over: false });

struct Running {
    groups: Vec<Pid>,
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

fn signal(group: Pid, signal: Signal) {
    if let Err(error) = kill_process_group(group, signal) {
        // It is gone by itself, most likely.
        tracing::trace!(%error, "a hook was not signalled");
    }
}

/// The process group of a hook; killed when whoever waits for the hook is dropped.
#[derive(Debug)]
pub(super) struct Group(Option<Pid>);

impl Group {
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

    /// Nothing of it is left, and its number may soon be another's.
    pub(super) fn forget(mut self) {
        self.strike();
    }

    fn strike(&mut self) {
        if let Some(pid) = self.0.take() {
            running().groups.retain(|group| *group != pid);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.strike();
    }
}
