//! Limits and patterns of input. The numbers are the provider's documented ones.

use serde_json::value::RawValue;

use super::data::{Secret, SecretState};
use super::input::InputBody;
use super::refusal::Refusal;
use crate::model::json::{JsonObject, as_str};

/// Maximum number of secret groups in an instance, including the default group.
pub(crate) const GROUPS: usize = 200;
/// Maximum number of versions whose metadata a secret keeps.
pub(crate) const VERSIONS: usize = 50;
/// Maximum number of locks on a secret and in one request.
pub(crate) const LOCKS: usize = 1000;
/// Maximum size of `custom_metadata` and of `version_custom_metadata`, in bytes.
const CUSTOM_METADATA: usize = 10 * 1024;
/// Maximum length of an arbitrary payload, in characters.
const ARBITRARY: usize = 1_000_000;
/// Maximum size of a key-value payload, in bytes.
const KEY_VALUE: usize = 512 * 1024;

fn length(what: &str, text: &str, min: usize, max: usize) -> Result<(), Refusal> {
    let count = text.chars().count();
    if (min..=max).contains(&count) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("The field '{what}' must have {min} to {max} characters, it has {count}.")))
}

/// `^[A-Za-z0-9_][A-Za-z0-9_]*(?:_*-*\.*[A-Za-z0-9]*)*[A-Za-z0-9]+$`: word characters, dots and hyphens. The first must
/// be a word character, the last a letter or digit.
fn name_pattern(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(word)
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| word(c) || c == '-' || c == '.')
}

fn name(text: &str, max: usize) -> Result<(), Refusal> {
    length("name", text, 2, max)?;
    if name_pattern(text) {
        Ok(())
    } else {
        Err(Refusal::invalid("The field 'name' has characters that are not allowed."))
    }
}

pub(crate) fn secret_name(text: &str) -> Result<(), Refusal> {
    name(text, 256)
}

pub(crate) fn group_name(text: &str) -> Result<(), Refusal> {
    name(text, 64)
}

pub(crate) fn configuration_name(text: &str) -> Result<(), Refusal> {
    name(text, 128)
}

/// `^[a-zA-Z]{1}[a-zA-Z0-9-_.]{1,63}$`
pub(crate) fn lock_name(text: &str) -> Result<(), Refusal> {
    length("name", text, 2, 64)?;
    let fits = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if fits { Ok(()) } else { Err(Refusal::invalid("The field 'name' of a lock has characters that are not allowed.")) }
}

pub(crate) fn description(text: &str) -> Result<(), Refusal> {
    length("description", text, 0, 1024)
}

pub(crate) fn labels(labels: &[String]) -> Result<(), Refusal> {
    if labels.len() > 30 {
        return Err(Refusal::invalid("The field 'labels' must have at most 30 items."));
    }
    labels.iter().try_for_each(|label| length("labels", label, 2, 64))
}

pub(crate) fn custom_metadata(what: &str, text: &RawValue) -> Result<(), Refusal> {
    if text.get().len() <= CUSTOM_METADATA {
        return Ok(());
    }
    Err(Refusal::invalid(format!("The field '{what}' must have at most 10 KB.")))
}

pub(crate) fn arbitrary_payload(text: &str) -> Result<(), Refusal> {
    length("payload", text, 1, ARBITRARY)
}

/// Requires at least one key and at most 512 KB.
pub(crate) fn key_value_payload(value: &RawValue) -> Result<(), Refusal> {
    let object = JsonObject::parse(value.get()).map_err(|_| Refusal::invalid("The field 'data' must be an object."))?;
    if object.is_empty() || value.get().len() > KEY_VALUE {
        return Err(Refusal::invalid("The field 'data' must have at least one key and at most 512 KB."));
    }
    Ok(())
}

/// The documented pattern is `[A-Za-z0-9+-=.]*`, where `+-=` is a range.
pub(crate) fn username(text: &str) -> Result<(), Refusal> {
    length("username", text, 2, 64)?;
    if text.chars().all(|c| c.is_ascii_alphanumeric() || ('+'..='=').contains(&c)) {
        return Ok(());
    }
    Err(Refusal::invalid("The field 'username' has characters that are not allowed."))
}

pub(crate) fn password(text: &str) -> Result<(), Refusal> {
    length("password", text, 6, 256)
}

pub(crate) fn pem(what: &str, text: &str) -> Result<(), Refusal> {
    length(what, text, 50, 100_000)
}

/// Checks the length of a customer's signing request.
pub(crate) fn csr(text: &str) -> Result<(), Refusal> {
    length("csr", text, 1, 4096)
}

/// Bounds of a rotation interval, as the maximum for each unit; 0 if the unit is not allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    min_hours: u32,
    hours: u32,
    days: u32,
    months: u32,
    /// Description for refusals.
    text: &'static str,
}

/// User credentials: every 1 day to 24 months.
const USER_ROTATION: Bounds = Bounds { min_hours: 0, hours: 0, days: 730, months: 24, text: "1 day to 24 months" };
/// IAM and service credentials: every 1 day to 3 months.
pub(crate) const CREDENTIAL_ROTATION: Bounds =
    Bounds { days: 92, months: 3, text: "1 day to 3 months", ..USER_ROTATION };
/// Custom credentials: every 6 hours to 3 months.
pub(crate) const CUSTOM_ROTATION: Bounds =
    Bounds { min_hours: 6, hours: 92 * 24, text: "6 hours to 3 months", ..CREDENTIAL_ROTATION };
/// Accepts every interval that was accepted on input.
pub(crate) const ANY_ROTATION: Bounds = Bounds { min_hours: 1, hours: u32::MAX, ..USER_ROTATION };

/// Checks a rotation policy of user credentials.
pub(crate) fn rotation(policy: &RawValue) -> Result<Rotation, Refusal> {
    rotation_within(policy, &USER_ROTATION)
}

/// Checks a rotation policy: off, or an interval within `bounds`.
pub(crate) fn rotation_within(policy: &RawValue, bounds: &Bounds) -> Result<Rotation, Refusal> {
    let policy =
        JsonObject::parse(policy.get()).map_err(|_| Refusal::invalid("The field 'rotation' must be an object."))?;
    let Some(auto_rotate) = policy.bool("auto_rotate") else {
        return Err(Refusal::invalid("The field 'rotation.auto_rotate' is required."));
    };
    if !auto_rotate {
        return Ok(Rotation::Off);
    }
    let unit = policy.get("unit").and_then(as_str).unwrap_or_default();
    let interval = policy.u64("interval").and_then(|interval| u32::try_from(interval).ok()).unwrap_or(0);
    match unit.as_str() {
        "hour" if interval >= bounds.min_hours && (1..=bounds.hours).contains(&interval) => {
            Ok(Rotation::Hours(interval))
        }
        "day" if (1..=bounds.days).contains(&interval) => Ok(Rotation::Days(interval)),
        "month" if (1..=bounds.months).contains(&interval) => Ok(Rotation::Months(interval)),
        _ => Err(Refusal::invalid(format!("The field 'rotation' must have an interval of {}.", bounds.text))),
    }
}

/// Schedule of automatic rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// Never.
    Off,
    /// Interval in hours.
    Hours(u32),
    /// Interval in days.
    Days(u32),
    /// Interval in months.
    Months(u32),
}

/// Returns the custom metadata of a body, checked.
pub(crate) fn checked_metadata(body: &InputBody<'_>, member: &str) -> Result<Option<Box<RawValue>>, Refusal> {
    let metadata = body.object(member)?;
    metadata.as_deref().map_or(Ok(()), |text| custom_metadata(member, text))?;
    Ok(metadata)
}

/// Checks that a new version can be added. A lock on the previous version prevents that; a lock on the current one
/// moves with it.
pub(crate) fn check_room(secret: &Secret) -> Result<(), Refusal> {
    if secret.life == SecretState::Destroyed {
        return Err(Refusal::invalid("The secret is destroyed."));
    }
    if secret.previous().is_some_and(|version| !version.locks.is_empty()) {
        return Err(Refusal::locked());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_documented_pattern() {
        for good in ["ab", "_a", "a-b.c_d9", "9..--__9", &"x".repeat(256)] {
            assert!(secret_name(good).is_ok(), "{good}");
        }
        for bad in ["a", "-ab", ".ab", "ab-", "ab_", "a b", "aé1", "", &"x".repeat(257)] {
            assert_eq!(secret_name(bad).unwrap_err().status, 400, "{bad}");
        }
        assert!(group_name(&"x".repeat(65)).is_err());
        assert!(configuration_name(&"x".repeat(128)).is_ok());
    }

    #[test]
    fn lock_names_start_with_a_letter() {
        assert!(lock_name("a_").is_ok());
        for bad in ["a", "1a", "_a", "a b", &"a".repeat(65)] {
            assert!(lock_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_hold_at_their_edge() {
        assert!(labels(&vec!["ab".to_owned(); 30]).is_ok());
        assert!(labels(&vec!["ab".to_owned(); 31]).is_err());
        assert!(labels(&["a".to_owned()]).is_err());
        assert!(arbitrary_payload(&"x".repeat(1_000_000)).is_ok());
        assert!(arbitrary_payload(&"x".repeat(1_000_001)).is_err());
        let metadata = |bytes: usize| -> Box<RawValue> {
            serde_json::from_str(&format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8))).unwrap()
        };
        assert!(custom_metadata("custom_metadata", &metadata(10 * 1024)).is_ok());
        assert!(custom_metadata("custom_metadata", &metadata(10 * 1024 + 1)).is_err());
        assert!(password("12345").is_err() && password("123456").is_ok());
        assert!(username("u@x").is_err() && username("a.b+c=d").is_ok());
    }

    #[test]
    fn rotation_needs_an_interval_within_bounds() {
        let parse = |text: &str| rotation(&serde_json::from_str::<Box<RawValue>>(text).unwrap());
        assert_eq!(parse(r#"{"auto_rotate":false}"#), Ok(Rotation::Off));
        assert_eq!(parse(r#"{"auto_rotate":true,"interval":24,"unit":"month"}"#), Ok(Rotation::Months(24)));
        assert!(parse(r#"{"auto_rotate":true,"interval":25,"unit":"month"}"#).is_err());
        assert!(parse(r#"{"auto_rotate":true,"interval":6,"unit":"hour"}"#).is_err());
        assert!(parse(r#"{"interval":1,"unit":"day"}"#).is_err());
        let custom =
            |text: &str| rotation_within(&serde_json::from_str::<Box<RawValue>>(text).unwrap(), &CUSTOM_ROTATION);
        assert_eq!(custom(r#"{"auto_rotate":true,"interval":6,"unit":"hour"}"#), Ok(Rotation::Hours(6)));
        assert!(custom(r#"{"auto_rotate":true,"interval":5,"unit":"hour"}"#).is_err());
        assert!(custom(r#"{"auto_rotate":true,"interval":4,"unit":"month"}"#).is_err());
    }
}
