//! Between object_store and the network: what the store's answers say about its clock and about keeping an object, and
//! keys that need another spelling.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use chrono::DateTime;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{ClientOptions, Result};

use super::keys::respell;
use super::retention_headers::RetentionHeaders;
use crate::model::Timestamp;

/// The store's clock: the last `Date` that it sent, and how long ago that was.
#[derive(Debug, Default)]
pub(super) struct StoreClock(Mutex<Option<(Timestamp, Instant)>>);

impl StoreClock {
    pub(super) fn now(&self) -> Option<Timestamp> {
        let (date, at) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(date.plus_millis(i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX)))
    }

    fn note(&self, date: &str) {
        if let Ok(date) = DateTime::parse_from_rfc2822(date) {
            let seen = (Timestamp::from(date.to_utc()), Instant::now());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        }
    }
}

tokio::task_local! {
    /// What the answers to this task's requests say besides what object_store makes of them.
    static HEARD: Mutex<RetentionHeaders>;
}

/// Does some work in this task and gives what the headers of its last answer said. A task-local and no field: requests
/// run side by side, and object_store does not say which answer belongs to which.
pub(super) async fn hearing<T>(work: impl Future<Output = T>) -> (T, RetentionHeaders) {
    let work = async {
        let done = work.await;
        (done, HEARD.with(|heard| *heard.lock().unwrap_or_else(PoisonError::into_inner)))
    };
    HEARD.scope(Mutex::default(), work).await
}

/// Connects as object_store does by itself, notes the `Date` of every answer and mends listings.
#[derive(Debug)]
pub(super) struct Watching(pub(super) Arc<StoreClock>);

impl HttpConnector for Watching {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Watched { inner, clock: Arc::clone(&self.0) }))
    }
}

#[derive(Debug)]
struct Watched {
    inner: HttpClient,
    clock: Arc<StoreClock>,
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let listing = request.uri().query().is_some_and(|query| query.contains("list-type=2"));
        let response = self.inner.execute(request).await?;
        if let Some(date) = response.headers().get("date").and_then(|date| date.to_str().ok()) {
            self.clock.note(date);
        }
        // Only inside of `hearing`.
        let hear = |heard: &Mutex<RetentionHeaders>| {
            let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = RetentionHeaders::of(header);
        };
        HEARD.try_with(hear).unwrap_or_default();
        if !listing || !response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = body.bytes().await?;
        let respelled = std::str::from_utf8(&body).ok().and_then(respell);
        Ok(HttpResponse::from_parts(parts, respelled.map_or_else(|| body.into(), Into::into)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_from_the_last_date() {
        let clock = StoreClock::default();
        assert_eq!(clock.now(), None);
        clock.note("rubbish");
        assert_eq!(clock.now(), None);
        clock.note("Sun, 22 Nov 2026 14:47:27 GMT");
        let sent: Timestamp = "2026-11-22T14:47:27Z".parse().unwrap();
        let now = clock.now().unwrap();
        assert!(now >= sent && now.millis_since(sent) < 60_000, "{now}");
    }
}
