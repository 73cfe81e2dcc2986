//! Versions of the objects of a bucket (S3 API: ListObjectVersions). object_store lists current objects only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody};
use serde::Deserialize;
use url::Url;

use super::dialect::whole;
use super::listing::{self, Checked};
use super::signer::RequestSigner;
use crate::repository::store::limits::LISTED_OBJECTS;
use crate::repository::store::{ObjectInfo, ObjectVersion};

/// Root element of an answer.
const ROOT: &str = "ListVersionsResult";
/// Wait before a request is sent again; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// One page of the answer, as far as it is read.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "$value", default)]
    elements: Vec<Element>,
}

#[derive(Debug, Deserialize)]
enum Element {
    Version(Listed),
    DeleteMarker(Listed),
    IsTruncated(String),
    NextKeyMarker(String),
    NextVersionIdMarker(String),
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    key: String,
    version_id: String,
    is_latest: bool,
    last_modified: String,
    #[serde(default)]
    size: u64,
}

/// Why versions could not be listed.
#[derive(Debug)]
pub(super) enum VersionsFailure {
    /// The store has no such call, or this identity may not use it.
    Unsupported,
    /// Anything else.
    Failed(object_store::Error),
}

/// Asks one bucket for versions.
#[derive(Debug)]
pub(super) struct VersionsClient {
    client: HttpClient,
    signer: std::sync::Arc<RequestSigner>,
    /// The URL of the bucket.
    bucket: Url,
    retries: usize,
    unsupported: AtomicBool,
}

impl VersionsClient {
    pub(super) fn new(client: HttpClient, signer: std::sync::Arc<RequestSigner>, bucket: Url, retries: usize) -> Self {
        Self { client, signer, bucket, retries, unsupported: AtomicBool::new(false) }
    }

    /// Lists all versions of the keys that begin with `prefix`, in the order of the keys, the newest of each first. Paths
    /// are whole keys.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<ObjectVersion>, VersionsFailure> {
        if self.unsupported.load(Ordering::Relaxed) {
            return Err(VersionsFailure::Unsupported);
        }
        let mut found = Vec::new();
        let mut from = (String::new(), String::new());
        loop {
            let page = self.page(prefix, &from).await?;
            let (mut more, mut next) = (false, (String::new(), String::new()));
            for element in page.elements {
                match element {
                    Element::Version(listed) => found.push(version(listed, false)?),
                    Element::DeleteMarker(listed) => found.push(version(listed, true)?),
                    Element::IsTruncated(truncated) => more = truncated.trim() == "true",
                    Element::NextKeyMarker(key) => next.0 = key,
                    Element::NextVersionIdMarker(id) => next.1 = id,
                    Element::Other => {}
                }
            }
            if !more {
                return Ok(found);
            }
            if next.0.is_empty() || next == from || found.len() > LISTED_OBJECTS {
                return Err(failed("its pages do not end"));
            }
            from = next;
        }
    }

    async fn page(&self, prefix: &str, from: &(String, String)) -> Result<Page, VersionsFailure> {
        let mut url = self.bucket.clone();
        url.query_pairs_mut().append_pair("versions", "").append_pair("prefix", prefix);
        for (name, value) in [("key-marker", &from.0), ("version-id-marker", &from.1)] {
            if !value.is_empty() {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        // A blank is `%20` in what is signed, and must be that in what is sent.
        url.set_query(url.query().map(|query| query.replace('+', "%20")).as_deref());
        let body = self.get(&url).await?;
        let text = std::str::from_utf8(&body).map_err(|_| failed("it is no UTF-8"))?;
        quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| failed(&error.to_string()))
    }

    /// Sends a request until it is answered, as often as object_store would.
    async fn get(&self, url: &Url) -> Result<Bytes, VersionsFailure> {
        let mut tries = 0;
        loop {
            let answer = self.once(url).await;
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
                Ok((400 | 403 | 404 | 405 | 501, _)) => {
                    self.unsupported.store(true, Ordering::Relaxed);
                    Err(VersionsFailure::Unsupported)
                }
                Ok((status, body)) => Err(failed(&format!("{status}: {}", String::from_utf8_lossy(&body)))),
                Err(error) => Err(VersionsFailure::Failed(generic(error))),
            };
        }
    }

    async fn once(&self, url: &Url) -> Result<(u16, Bytes), HttpError> {
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
        match listing::check(&body, ROOT)? {
            Checked::Listing => Ok((status, body)),
            Checked::Error { passes } => Ok((if passes { 503 } else { 400 }, body)),
        }
    }
}

fn version(listed: Listed, is_marker: bool) -> Result<ObjectVersion, VersionsFailure> {
    let modified = listed.last_modified.parse().map_err(|_| failed("a date in it cannot be read"))?;
    Ok(ObjectVersion {
        object: ObjectInfo { path: listed.key, size: listed.size, modified },
        id: listed.version_id,
        is_current: listed.is_latest,
        is_marker,
    })
}

fn failed(why: &str) -> VersionsFailure {
    VersionsFailure::Failed(generic(format!("the listing of versions is not one: {why}")))
}

fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_markers_come_mixed_and_with_members_that_are_not_read() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>p/</Prefix>
            <IsTruncated>true</IsTruncated><NextKeyMarker>p/b</NextKeyMarker><NextVersionIdMarker>2</NextVersionIdMarker>
            <DeleteMarker><Key>p/a</Key><VersionId>3</VersionId><IsLatest>true</IsLatest>
              <LastModified>2026-11-22T14:47:27.000Z</LastModified><Owner><ID>x</ID></Owner></DeleteMarker>
            <Version><Key>p/a</Key><VersionId>1</VersionId><IsLatest>false</IsLatest><ETag>"e"</ETag><Size>7</Size>
              <LastModified>2026-11-22T14:40:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Version>
            <DeleteMarker><Key>p/b&amp;c</Key><VersionId>2</VersionId><IsLatest>false</IsLatest>
              <LastModified>2026-11-22T14:47:27Z</LastModified></DeleteMarker></ListVersionsResult>"#;
        let page: Page = quick_xml::de::from_str(text).unwrap();
        let mut found = Vec::new();
        let mut next = String::new();
        for element in page.elements {
            match element {
                Element::Version(listed) => found.push(version(listed, false).unwrap()),
                Element::DeleteMarker(listed) => found.push(version(listed, true).unwrap()),
                Element::NextKeyMarker(key) => next = key,
                _ => {}
            }
        }
        let shown: Vec<_> = found
            .iter()
            .map(|one| (one.object.path.as_str(), one.id.as_str(), one.is_current, one.is_marker, one.object.size))
            .collect();
        let expected = [("p/a", "3", true, true, 0), ("p/a", "1", false, false, 7), ("p/b&c", "2", false, true, 0)];
        assert_eq!((shown.as_slice(), next.as_str()), (&expected[..], "p/b"));
    }
}
