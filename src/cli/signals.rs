//! SIGINT and SIGTERM: the first asks the job to stop at its next safe point, the second ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use crate::model::FailureKind;

/// Starts to listen; the token is cancelled by the first signal.
pub(super) fn listen() -> Result<CancellationToken, Failure> {
    let failed = |error| Failure::new(FailureKind::Failed, "cannot listen for signals").because(error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    #[expect(clippy::disallowed_methods, reason = "lives as long as the process")]
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if token.is_cancelled() {
                super::prompt::restore_terminal();
                // Jobs of the daemon hear from the kernel that it is gone. Hooks are not told.
                crate::daemon::notify::end_hooks();
                #[expect(clippy::exit, reason = "the second signal means now")]
                std::process::exit(i32::from(FailureKind::Interrupted.exit_code()));
            }
            token.cancel();
        }
    });
    Ok(cancel)
}
