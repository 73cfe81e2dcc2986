//! Timeout of doctor's checks.

use std::future::Future;
use std::time::Duration;

use crate::cli::failure::Failure;
use crate::model::FailureKind;

/// Timeout of one check.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) Duration);

impl Limit {
    /// The answer, or that there was none in time.
    pub(super) async fn within<T>(
        self,
        kind: FailureKind,
        asking: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let seconds = self.0.as_secs();
        tokio::time::timeout(self.0, asking).await.unwrap_or_else(|_| {
            let late = Failure::new(kind, format!("no answer within {seconds} s"));
            Err(late.hinted("check the network between; `--timeout SECONDS` waits longer"))
        })
    }
}
