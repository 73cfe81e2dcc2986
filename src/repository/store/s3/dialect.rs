//! HTTP layer between object_store and the network: adds headers, corrects answers with a wrong status, and records the
//! store's clock and retention headers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use futures_util::TryStreamExt as _;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};
use object_store::{ClientOptions, Result};

use super::listing::Checked;
use super::retention_headers::RetentionHeaders;
use super::signer::RequestSigner;
use super::{checksum, listing};
use crate::model::{Timestamp, limits};

/// The store's clock: its last `Date`, and when it was received.
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
    /// Retention headers of answers to this task's requests, which object_store does not return.
    static HEARD: Mutex<RetentionHeaders>;
}

/// Runs some work in this task and returns the retention headers of its last answer. A task-local, because requests run
/// concurrently and object_store does not show which answer belongs to which request.
pub(in crate::repository::store) async fn hearing<T>(work: impl Future<Output = T>) -> (T, RetentionHeaders) {
    let work = async {
        let done = work.await;
        (done, HEARD.with(|heard| *heard.lock().unwrap_or_else(PoisonError::into_inner)))
    };
    HEARD.scope(Mutex::default(), work).await
}

/// Adapts requests of object_store to what servers expect, and their answers to what object_store expects.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    pub(super) clock: Arc<StoreClock>,
    pub(super) signer: Arc<RequestSigner>,
}

impl HttpConnector for Dialect {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(DialectService { inner, dialect: self.clone() }))
    }
}

#[derive(Debug)]
struct DialectService {
    inner: HttpClient,
    dialect: Dialect,
}

impl DialectService {
    fn note(&self, response: &HttpResponse) {
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(date) = header("date") {
            self.dialect.clock.note(date);
        }
        // Only set inside `hearing`.
        let hear = |heard: &Mutex<RetentionHeaders>| {
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = RetentionHeaders::of(header);
        };
        HEARD.try_with(hear).unwrap_or_default();
    }

    /// Completes an answer to a HEAD without a size: reads the object itself and counts its bytes.
    async fn sized(&self, head: HttpResponse, mut get: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.dialect.signer.sign(&mut get)?;
        let (found, body) = self.inner.execute(get).await?.into_parts();
        if !found.status.is_success() {
            return Ok(HttpResponse::from_parts(found, body));
        }
        let size = whole(body).await?.len();
        let (mut parts, body) = head.into_parts();
        parts.headers.insert("content-length", size.into());
        Ok(HttpResponse::from_parts(parts, body))
    }
}

#[async_trait]
impl HttpService for DialectService {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if checksum::add_headers(&mut request) {
            self.dialect.signer.sign(&mut request)?;
        }
        let method = request.method().as_str().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let mut get = HttpRequest::new(HttpRequestBody::empty());
        get.uri_mut().clone_from(request.uri());
        let response = self.inner.execute(request).await?;
        self.note(&response);
        let has = |name: &str| response.headers().contains_key(name);
        // A redirect to another region has no `location`, and object_store would not show its content.
        let astray = response.status().is_redirection() && !has("location") && response.status() != 304;
        if astray {
            let (mut parts, body) = response.into_parts();
            parts.status = status(400);
            let region = parts.headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
            let region = region.map(|region| format!("<Region>{region}</Region>")).unwrap_or_default();
            let said = whole(body).await?;
            let text = format!("<Code>PermanentRedirect</Code>{region}{}", String::from_utf8_lossy(&said));
            return Ok(HttpResponse::from_parts(parts, text.into()));
        }
        if !response.status().is_success() {
            return Ok(response);
        }
        match method.as_str() {
            "GET" if query.contains("list-type=2") => {
                let (mut parts, body) = response.into_parts();
                let body = body.bytes().await?;
                match listing::check(&body, "ListBucketResult")? {
                    Checked::Listing => {
                        let respelled = std::str::from_utf8(&body).ok().and_then(listing::respell);
                        Ok(HttpResponse::from_parts(parts, respelled.map_or_else(|| body.into(), Into::into)))
                    }
                    Checked::Error { passes } => {
                        parts.status = status(if passes { 503 } else { 400 });
                        Ok(HttpResponse::from_parts(parts, body.into()))
                    }
                }
            }
            "GET" if !has("content-length") => {
                let (mut parts, body) = response.into_parts();
                let body = whole(body).await?;
                parts.headers.insert("content-length", body.len().into());
                Ok(HttpResponse::from_parts(parts, body.into()))
            }
            "HEAD" if !has("content-length") => self.sized(response, get).await,
            "PUT" if !has("etag") => {
                let (mut parts, body) = response.into_parts();
                // The value is not used; object_store only requires one.
                if let Ok(none) = "\"none\"".parse() {
                    parts.headers.insert("etag", none);
                }
                Ok(HttpResponse::from_parts(parts, body))
            }
            _ => Ok(response),
        }
    }
}

fn status<S: TryFrom<u16> + Default>(code: u16) -> S {
    S::try_from(code).unwrap_or_default()
}

/// Reads the body of an answer without a size, up to the largest size that we read.
pub(super) async fn whole(body: HttpResponseBody) -> Result<Bytes, HttpError> {
    let mut stream = body.bytes_stream();
    let mut read = BytesMut::new();
    while let Some(part) = stream.try_next().await? {
        read.extend_from_slice(&part);
        if read.len() > limits::SEALED_READ {
            break;
        }
    }
    Ok(read.freeze())
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
