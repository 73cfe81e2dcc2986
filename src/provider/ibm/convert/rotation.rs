//! Time of the next rotation of a secret.
//!
//! The provider shows `next_rotation_date` for most types that rotate. For others, the date is calculated from the
//! creation of the current version and the policy's interval. A public certificate is reordered 31 days before it
//! expires.

use chrono::Months;

use crate::model::json::{JsonObject, as_array};
use crate::model::{Item, Timestamp};
use crate::provider::ibm::docs::ROW;
use crate::provider::ibm::docs::VERSIONS;

/// Days before its expiry at which a public certificate is reordered.
const PUBLIC_CERT_DAYS: i64 = 31;
const DAY: i64 = 24 * HOUR;
const HOUR: i64 = 3_600_000;

/// Returns the time of the next rotation under this policy; `None` if the documents do not show it.
pub(super) fn next(item: &Item, policy: &JsonObject) -> Option<Timestamp> {
    let row = item.doc(ROW).unwrap_or_default();
    let time = |name: &str| row.str(name).and_then(|text| text.parse::<Timestamp>().ok());
    if let Some(shown) = time("next_rotation_date") {
        return Some(shown);
    }
    match (policy.u64("interval"), policy.str("unit")) {
        (Some(interval), Some(unit)) => after(current_since(item)?, interval, &unit),
        _ => Some(time("expiration_date")?.plus_millis(-PUBLIC_CERT_DAYS * DAY)),
    }
}

/// Returns the creation time of the current version.
fn current_since(item: &Item) -> Option<Timestamp> {
    let versions = as_array(item.docs.get(VERSIONS)?)?;
    let mut rows = versions.iter().filter_map(|row| JsonObject::parse(row.get()).ok());
    let current = rows.find(|row| row.str("alias").as_deref() == Some("current"))?;
    current.str("created_at")?.parse().ok()
}

/// Adds a policy's interval to a time; months are calendar months.
fn after(since: Timestamp, interval: u64, unit: &str) -> Option<Timestamp> {
    let millis = |unit: i64| i64::try_from(interval).ok()?.checked_mul(unit);
    match unit {
        "hour" => Some(since.plus_millis(millis(HOUR)?)),
        "day" => Some(since.plus_millis(millis(DAY)?)),
        "month" => {
            let months = Months::new(u32::try_from(interval).ok()?);
            since.datetime().checked_add_months(months).map(Timestamp::from)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::model::{Docs, Restorability};

    fn of(row: &str, versions: &str, policy: &str) -> Option<String> {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let docs = Docs::from([(ROW.to_owned(), raw(row)), (VERSIONS.to_owned(), raw(versions))]);
        let item = Item {
            key: "secret/s".parse().unwrap(),
            name: "n".into(),
            item_type: "username_password".into(),
            group: None,
            class: Restorability::Exact.into(),
            revision: None,
            read_at: None,
            payloads: Vec::new(),
            docs,
        };
        next(&item, &JsonObject::parse(policy).unwrap()).map(|time| time.to_string())
    }

    const VERSIONS_DOC: &str = r#"[{"id":"b","alias":"previous","created_at":"2026-01-01T00:00:00Z"},
        {"id":"a","alias":"current","created_at":"2026-01-31T06:00:00Z"}]"#;

    #[test]
    fn what_the_provider_shows_counts_before_what_follows_from_the_interval() {
        let monthly = r#"{"auto_rotate":true,"interval":1,"unit":"month"}"#;
        let shown = of(r#"{"next_rotation_date":"2026-05-05T00:00:00Z"}"#, VERSIONS_DOC, monthly);
        assert_eq!(shown.unwrap(), "2026-05-05T00:00:00.000Z");
        assert_eq!(of("{}", VERSIONS_DOC, monthly).unwrap(), "2026-02-28T06:00:00.000Z", "no 31st of February");
        let daily = r#"{"auto_rotate":true,"interval":2,"unit":"day"}"#;
        assert_eq!(of("{}", VERSIONS_DOC, daily).unwrap(), "2026-02-02T06:00:00.000Z");
        assert_eq!(of("{}", "[]", daily), None);
        assert_eq!(of("{}", VERSIONS_DOC, r#"{"interval":1,"unit":"aeon"}"#), None);
    }

    #[test]
    fn a_public_certificate_follows_its_expiry() {
        let row = r#"{"expiration_date":"2026-03-04T00:00:00Z"}"#;
        let policy = r#"{"auto_rotate":true,"rotate_keys":true}"#;
        assert_eq!(of(row, "[]", policy).unwrap(), "2026-02-01T00:00:00.000Z");
    }
}
