//! Notifications to the service manager, over the socket named in `NOTIFY_SOCKET`. Does nothing if that is not set.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;
use tracing::debug;

/// Reports the daemon's state to the service manager.
#[derive(Debug)]
pub struct ServiceManager {
    /// A path, or `@` and an abstract name. `None`: no service manager.
    socket: Option<OsString>,
    /// Heartbeat interval: a third of the watchdog's timeout. `None`: no watchdog.
    watchdog: Option<Duration>,
    fed: Mutex<Option<Instant>>,
    status: Mutex<String>,
}

impl ServiceManager {
    /// Creates the connection to the socket that `NOTIFY_SOCKET` names. Reads from the environment whether a watchdog
    /// is active.
    #[must_use]
    pub fn new(socket: Option<OsString>) -> Self {
        let watchdog = sd_notify::watchdog_enabled().map(|patience| patience / 3);
        Self { socket, watchdog, fed: Mutex::new(None), status: Mutex::new(String::new()) }
    }

    /// Returns the maximum interval between heartbeats; `None` without a watchdog.
    #[must_use]
    pub fn wants(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Reports that the configuration is in force and the loop runs: after the start, and after a reload.
    pub fn ready(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// Reports that the configuration is being reloaded. [`ServiceManager::ready`] ends that, whether the reload
    /// succeeded or not.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(_) => self.send(&[NotifyState::Reloading]),
        }
    }

    /// Reports that nothing new is started. Jobs get `within` to end, and the manager is asked to wait that long.
    pub fn stopping(&self, within: Duration) {
        // Add time to kill jobs and to finish.
        let all = within.saturating_add(super::engine::KILLED * 2);
        let extend = u32::try_from(all.as_micros()).unwrap_or(u32::MAX);
        self.send(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(extend)]);
    }

    /// Sets the status line; sent only when it changes.
    pub fn status(&self, status: &str) {
        let mut known = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != status {
            status.clone_into(&mut known);
            self.send(&[NotifyState::Status(status)]);
        }
    }

    /// Sends the watchdog heartbeat. Only the loop may call this; otherwise the watchdog would not detect a stalled
    /// loop.
    pub fn pulse(&self) {
        let Some(every) = self.watchdog else { return };
        let mut fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        if fed.is_none_or(|fed| fed.elapsed() >= every / 2) {
            *fed = Some(Instant::now());
            self.send(&[NotifyState::Watchdog]);
        }
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        // A manager that does not listen is no reason to stop.
        if let Err(error) = send_to(socket, states) {
            debug!("the service manager was not notified: {error}");
        }
    }
}

/// Sends a message as specified in sd_notify(3), one state per line. The socket is a path, or with a leading `@` an
/// abstract name, which the crate sd-notify mistakes for a path.
fn send_to(socket: &OsStr, states: &[NotifyState<'_>]) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let message: String = states.iter().map(|state| format!("{state}\n")).collect();
    // A datagram is sent as a whole or not at all.
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = listener.recv(&mut buffer).unwrap();
        String::from_utf8(buffer.get(..length).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_manager_listens_on_a_path_or_on_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("keyhaven-test-{}", uuid::Uuid::new_v4());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (listener, socket) in [(by_path, path.into_os_string()), (by_name, format!("@{name}").into())] {
            send_to(&socket, &[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(7)]).unwrap();
            assert_eq!(heard(&listener), "STOPPING=1\nEXTEND_TIMEOUT_USEC=7\n");
            send_to(&socket, &[NotifyState::Status("a: 1 of 2")]).unwrap();
            assert_eq!(heard(&listener), "STATUS=a: 1 of 2\n");
        }
    }

    #[test]
    fn nobody_who_listens_is_an_error_and_no_more() {
        for socket in ["@keyhaven-nobody-is-here", "/no/such/socket", "vsock:2:1234", "@"] {
            assert!(send_to(OsStr::new(socket), &[NotifyState::Ready]).is_err(), "{socket}");
        }
    }
}
