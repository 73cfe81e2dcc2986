//! Requests to a bucket that object_store has no call for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody};
use url::Url;

use super::dialect::whole;
use super::signer::RequestSigner;

/// Delay before the first retry; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Reason why a request has no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The store does not support the call, or this identity is not allowed to use it.
    Unsupported,
    /// Anything else.
    Failed(object_store::Error),
}

impl Unanswered {
    /// Creates the error for an answer that cannot be parsed.
    pub(super) fn unreadable(what: &str, why: &str) -> Self {
        Self::Failed(generic(format!("{what} cannot be read: {why}")))
    }
}

/// Sends requests to one bucket.
#[derive(Debug)]
pub(super) struct BucketClient {
    client: HttpClient,
    signer: Arc<RequestSigner>,
    /// The URL of the bucket.
    bucket: Url,
    retries: usize,
}

impl BucketClient {
    pub(super) fn new(client: HttpClient, signer: Arc<RequestSigner>, bucket: Url, retries: usize) -> Self {
        Self { client, signer, bucket, retries }
    }

    /// Sends a GET with a query, with as many retries as object_store. `check` inspects an answer with status 200:
    /// `Some` if it is an error in spite of its status, with true if a retry may help.
    pub(super) async fn ask(
        &self,
        query: &[(&str, &str)],
        check: impl Fn(&[u8]) -> Result<Option<bool>, HttpError>,
    ) -> Result<Bytes, Unanswered> {
        let mut url = self.bucket.clone();
        url.query_pairs_mut().extend_pairs(query);
        // The signature covers a space as `%20`, so send it like that.
        url.set_query(url.query().map(|query| query.replace('+', "%20")).as_deref());
        let mut tries = 0;
        loop {
            let answer = self.once(&url, &check).await;
            let passes = match &answer {
                Ok((status, _)) => *status == 429 || *status >= 500 && *status != 501,
                Err(error) => {
                    matches!(error.kind(), HttpErrorKind::Connect | HttpErrorKind::Timeout | HttpErrorKind::Interrupted)
                }
            };
            if passes && tries < self.retries {
                tokio::time::sleep(FIRST_WAIT * 2_u32.pow(tries.try_into().unwrap_or(u32::MAX).min(6))).await;
                tries += 1;
                continue;
            }
            return match answer {
                Ok((200..=299, body)) => Ok(body),
                Ok((400 | 403 | 404 | 405 | 501, _)) => Err(Unanswered::Unsupported),
                Ok((status, body)) => {
                    Err(Unanswered::Failed(generic(format!("{status}: {}", String::from_utf8_lossy(&body)))))
                }
                Err(error) => Err(Unanswered::Failed(generic(error))),
            };
        }
    }

    async fn once(
        &self,
        url: &Url,
        check: &impl Fn(&[u8]) -> Result<Option<bool>, HttpError>,
    ) -> Result<(u16, Bytes), HttpError> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() =
            url.as_str().parse().map_err(|error| HttpError::new_boxed(HttpErrorKind::Request, Box::new(error)))?;
        self.signer.sign(&mut request)?;
        let (parts, body) = self.client.execute(request).await?.into_parts();
        let status = parts.status.as_u16();
        if !parts.status.is_success() {
            return Ok((status, whole(body).await?));
        }
        let body = body.bytes().await?;
        Ok(match check(&body)? {
            None => (status, body),
            Some(true) => (503, body),
            Some(false) => (400, body),
        })
    }
}

fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: source.into() }
}
