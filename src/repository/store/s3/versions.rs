//! Versions of the objects of a bucket (S3 API: ListObjectVersions). object_store lists current objects only.

use serde::Deserialize;

use super::client::{BucketClient, Unanswered};
use super::listing::{self, Checked};
use crate::repository::store::limits::LISTED_OBJECTS;
use crate::repository::store::{ObjectInfo, ObjectVersion};

/// Root element of the answer.
const ROOT: &str = "ListVersionsResult";

/// One page of the answer, with the elements that are used.
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

/// Lists all versions of the keys with this prefix, in key order, newest version of each first. Paths are whole keys.
pub(super) async fn list(client: &BucketClient, prefix: &str) -> Result<Vec<ObjectVersion>, Unanswered> {
    let mut found = Vec::new();
    let mut from = (String::new(), String::new());
    loop {
        let page = page(client, prefix, &from).await?;
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
            return Err(unreadable("its pages do not end"));
        }
        from = next;
    }
}

async fn page(client: &BucketClient, prefix: &str, from: &(String, String)) -> Result<Page, Unanswered> {
    let mut query = vec![("versions", ""), ("prefix", prefix)];
    query.extend([("key-marker", from.0.as_str()), ("version-id-marker", from.1.as_str())]);
    query.retain(|(name, value)| !name.ends_with("marker") || !value.is_empty());
    let check = |body: &[u8]| match listing::check(body, ROOT)? {
        Checked::Listing => Ok(None),
        Checked::Error { passes } => Ok(Some(passes)),
    };
    let body = client.ask(&query, check).await?;
    let text = std::str::from_utf8(&body).map_err(|_| unreadable("it is no UTF-8"))?;
    quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| unreadable(&error.to_string()))
}

fn version(listed: Listed, is_marker: bool) -> Result<ObjectVersion, Unanswered> {
    let modified = listed.last_modified.parse().map_err(|_| unreadable("a date in it"))?;
    Ok(ObjectVersion {
        object: ObjectInfo { path: listed.key, size: listed.size, modified },
        id: listed.version_id,
        is_current: listed.is_latest,
        is_marker,
    })
}

fn unreadable(why: &str) -> Unanswered {
    Unanswered::unreadable("the listing of versions", why)
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
