//! What the service manager is told, over the socket that it names in `NOTIFY_SOCKET`; nothing where there is none.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;
use tracing::debug;

/// Tells the service manager how the daemon does.
#[derive(Debug)]
pub struct Manager {
    /// How often the watchdog wants to hear of the loop: a third of its patience.
    watchdog: Option<Duration>,
    fed: Mutex<Option<Instant>>,
    status: Mutex<String>,
}

impl Manager {
    /// Reads from the environment whether a watchdog waits for us.
    #[must_use]
    pub fn new() -> Self {
        let watchdog = sd_notify::watchdog_enabled().map(|patience| patience / 3);
        Self { watchdog, fed: Mutex::new(None), status: Mutex::new(String::new()) }
    }

    /// How often the loop must come by at least, if anybody cares.
    #[must_use]
    pub fn wants(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The configuration is in force and the loop runs: after the start, and after a reload.
    pub fn ready(&self) {
        send(&[NotifyState::Ready]);
    }

    /// The configuration is read again; [`Manager::ready`] ends that, whatever came of it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => send(&[NotifyState::Reloading, now]),
            Err(_) => send(&[NotifyState::Reloading]),
        }
    }

    /// Nothing new is started. Jobs get `within` to end, and the manager is asked to wait for that long.
    pub fn stopping(&self, within: Duration) {
        // Killing takes time, too, and so does saying good-bye.
        let all = within.saturating_add(super::engine::KILLED * 2);
        let extend = u32::try_from(all.as_micros()).unwrap_or(u32::MAX);
        send(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(extend)]);
    }

    /// One line about what it does; sent when it is another than before.
    pub fn status(&self, status: &str) {
        let mut known = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != status {
            status.clone_into(&mut known);
            send(&[NotifyState::Status(status)]);
        }
    }

    /// The loop is alive. Only the loop itself calls this: a watchdog fed by anything else would watch nothing.
    pub fn pulse(&self) {
        let Some(every) = self.watchdog else { return };
        let mut fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        if fed.is_none_or(|fed| fed.elapsed() >= every / 2) {
            *fed = Some(Instant::now());
            send(&[NotifyState::Watchdog]);
        }
    }
}

impl Default for Manager {
    fn default() -> Self {
        Self::new()
    }
}

fn send(states: &[NotifyState<'_>]) {
    // A manager that does not listen is no reason to stop.
    if let Err(error) = sd_notify::notify(states) {
        debug!("the service manager was not told: {error}");
    }
}
