//! Pings in the healthchecks.io protocol: a URL for the start and the end of a run, no body.

use std::time::Duration;

use uuid::Uuid;

use super::http::Endpoint;

/// Check that receives pings.
#[derive(Debug, Clone)]
pub struct Ping {
    endpoint: Endpoint,
    timeout: Duration,
}

impl Ping {
    pub(super) fn new(endpoint: Endpoint, timeout: Duration) -> Self {
        Self { endpoint, timeout }
    }

    /// Reports the start of a run: `/start`.
    pub(super) async fn start(&self, run: Uuid) -> Result<(), String> {
        self.send(Some("start"), run).await
    }

    /// Reports the end of a run: the plain URL on success, otherwise `/` and the exit code, or `/fail` if there is
    /// none.
    pub(super) async fn end(&self, run: Uuid, exit: Option<u8>) -> Result<(), String> {
        match exit {
            Some(0) => self.send(None, run).await,
            Some(exit) => self.send(Some(&exit.to_string()), run).await,
            None => self.send(Some("fail"), run).await,
        }
    }

    /// Sends a test that does not change the state of the check: `/log`.
    pub(super) async fn test(&self) -> Result<(), String> {
        self.send(Some("log"), Uuid::new_v4()).await
    }

    async fn send(&self, suffix: Option<&str>, run: Uuid) -> Result<(), String> {
        let mut url = self.endpoint.url()?;
        if let Some(suffix) = suffix
            && let Ok(mut path) = url.path_segments_mut()
        {
            path.pop_if_empty().push(suffix);
        }
        // Start and end carry the same id, so that the service pairs them correctly.
        url.query_pairs_mut().append_pair("rid", &run.to_string());
        self.endpoint.send(self.endpoint.client().get(url), self.timeout).await
    }
}
