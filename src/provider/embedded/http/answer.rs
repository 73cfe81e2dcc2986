//! HTTP responses.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use futures_util::stream;
use zeroize::Zeroizing;

use super::super::clock::http_date;
use super::super::state::Answer;
use crate::model::Timestamp;

/// Body that is wiped after it was sent.
struct Wiped(Zeroizing<String>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Creates the complete response, dated by the instance's clock.
pub(crate) fn whole(answer: Answer, now: Timestamp) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(date) = HeaderValue::from_str(&http_date(now)) {
        headers.insert(DATE, date);
    }
    if let Some(body) = answer.body {
        let kind = if body.starts_with("-----BEGIN") { "application/x-pem-file" } else { "application/json" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *response.body_mut() = Body::from(Bytes::from_owner(Wiped(body)));
    }
    response
}

/// Adds a `Retry-After` header.
pub(crate) fn with_retry_after(mut response: Response<Body>, seconds: Option<&str>) -> Response<Body> {
    if let Some(value) = seconds.and_then(|seconds| HeaderValue::from_str(seconds).ok()) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// Creates a response with the full `Content-Length` but only half of the body.
pub(crate) fn cut(answer: Answer, now: Timestamp) -> Response<Body> {
    let body = answer.body.unwrap_or_default();
    let length = HeaderValue::from(body.len());
    let half = Bytes::copy_from_slice(body.as_bytes().get(..body.len() / 2).unwrap_or_default());
    let mut response = whole(Answer { status: answer.status, body: Some(body) }, now);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    let parts = [Ok(half), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
    *response.body_mut() = Body::from_stream(stream::iter(parts));
    response
}
