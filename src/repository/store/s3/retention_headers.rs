//! Parses headers about the retention of an object.
//!
//! Two families of headers are in the answer to a HEAD: those of S3 Object Lock (`x-amz-object-lock-retain-until-date`,
//! `x-amz-object-lock-legal-hold`; shown only with permission to read retention), and those of buckets with Immutable
//! Object Storage (`Retention-Expiration-Date`, `Retention-Period`, `Retention-Legal-Hold-Count`).

use chrono::DateTime;

use crate::model::Timestamp;
use crate::repository::store::{ObjectInfo, Retention};

/// Retention as the headers of an answer describe it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::repository::store) struct RetentionHeaders {
    pub(super) until: Option<Timestamp>,
    pub(super) held: bool,
    pub(super) versioned: bool,
}

impl RetentionHeaders {
    /// Parses the headers; `header` returns a header by its lower-case name.
    pub(super) fn of<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Self {
        let mut said = Self::default();
        for name in ["x-amz-object-lock-retain-until-date", "retention-expiration-date"] {
            match header(name).map(date) {
                Some(Some(date)) => said.until = said.until.max(Some(date)),
                // It is unknown whether an unreadable date has passed, so treat the object as held.
                Some(None) => said.held = true,
                None => {}
            }
        }
        said.held |= header("x-amz-object-lock-legal-hold").is_some_and(|hold| !hold.eq_ignore_ascii_case("off"));
        said.held |= header("retention-legal-hold-count").is_some_and(|count| count.trim() != "0");
        // Negative periods are indefinite or permanent.
        said.held |= header("retention-period").is_some_and(|seconds| seconds.trim().starts_with('-'));
        said.versioned = header("x-amz-version-id").is_some_and(|version| version != "null");
        said
    }

    pub(in crate::repository::store) fn about(self, object: ObjectInfo) -> Retention {
        Retention { object, until: self.until, held: self.held, versioned: self.versioned }
    }
}

/// Parses a date in the format of S3 headers (RFC 3339) or of HTTP (RFC 2822).
fn date(text: &str) -> Option<Timestamp> {
    let rfc2822 = || DateTime::parse_from_rfc2822(text).ok().map(|date| Timestamp::from(date.to_utc()));
    text.parse().ok().or_else(rfc2822)
}

#[cfg(test)]
mod tests {
    use super::super::super::Hold;
    use super::*;

    fn said(headers: &[(&str, &'static str)]) -> RetentionHeaders {
        RetentionHeaders::of(|name| headers.iter().find(|(header, _)| *header == name).map(|(_, value)| *value))
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn object() -> ObjectInfo {
        ObjectInfo { path: "packs/x".to_owned(), size: 1, modified: at("2026-01-01T00:00:00Z") }
    }

    #[test]
    fn both_families_of_headers_are_understood() {
        let lock = said(&[("x-amz-object-lock-retain-until-date", "2026-11-22T14:00:00.123456789Z")]);
        assert_eq!(lock.until, Some(at("2026-11-22T14:00:00.123Z")));
        let vault = said(&[("retention-expiration-date", "Sun, 22 Nov 2026 14:00:00 GMT"), ("retention-period", "60")]);
        assert_eq!((vault.until, vault.held), (Some(at("2026-11-22T14:00:00Z")), false));
        assert!(said(&[("x-amz-object-lock-legal-hold", "ON")]).held);
        assert!(!said(&[("x-amz-object-lock-legal-hold", "OFF")]).held);
        assert!(said(&[("retention-legal-hold-count", "2")]).held);
        assert!(!said(&[("retention-legal-hold-count", "0")]).held);
        assert!(said(&[("retention-period", "-2")]).held, "permanent");
        assert_eq!(said(&[("content-length", "1")]), RetentionHeaders::default());
    }

    #[test]
    fn a_date_that_cannot_be_read_holds() {
        assert!(said(&[("x-amz-object-lock-retain-until-date", "soon")]).held);
    }

    #[test]
    fn a_bucket_without_versions_says_null_or_nothing() {
        assert!(said(&[("x-amz-version-id", "3sL4kqtJlcpXroDTDmJ")]).versioned);
        assert!(!said(&[("x-amz-version-id", "null")]).versioned);
    }

    #[test]
    fn a_lock_ends_with_its_date_and_not_before() {
        let until = at("2026-11-22T14:00:00Z");
        let locked = RetentionHeaders { until: Some(until), ..RetentionHeaders::default() }.about(object());
        assert_eq!(locked.hold(Some(until.plus_millis(-1))), Some(Hold::Until(until)));
        assert_eq!(locked.hold(Some(until)), None);
        assert_eq!(locked.hold(None), Some(Hold::Until(until)), "without a clock nothing is over");
        let open = RetentionHeaders { held: true, until: Some(until), ..RetentionHeaders::default() }.about(object());
        assert_eq!(open.hold(Some(until)), Some(Hold::Open));
    }
}
