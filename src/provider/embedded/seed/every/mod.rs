//! At least one item of every type.

mod authorities;

use super::seeder::{DAY, Seeder};
use crate::provider::embedded::error::EmbeddedError;
use crate::provider::embedded::state::Verb;
use crate::provider::embedded::state::text::{ObjectText, date};

const HOUR: i64 = 3_600_000;
/// Maximum number of versions of a secret, by the provider's limit.
const MOST_VERSIONS: usize = 50;

/// Fills an empty instance, including `plain` secrets of the plain types.
pub(super) fn fill(seeder: &mut Seeder<'_>, plain: usize) -> Result<(), EmbeddedError> {
    seeder.make_groups()?;
    seeder.configurations()?;
    (0..plain).try_for_each(|index| seeder.secret(index))?;
    authorities::authorities(seeder)?;
    authorities::private_certificates(seeder)?;
    authorities::public_certificates(seeder)?;
    authorities::managed_requests(seeder)?;
    conditions(seeder)?;
    super::credentials::fill(seeder)?;
    seeder.register()
}

/// Creates secrets in special states: with the maximum of versions, with both versions locked, expired.
fn conditions(seeder: &mut Seeder<'_>) -> Result<(), EmbeddedError> {
    let many = arbitrary(seeder, "fifty-versions", None)?;
    for number in 2..=MOST_VERSIONS {
        let at = seeder.start.plus_millis(i64::try_from(number).unwrap_or(0) * DAY);
        seeder.version(&many, "arbitrary", number, at)?;
    }
    let locked = arbitrary(seeder, "locked-on-both", None)?;
    seeder.version(&locked, "arbitrary", 2, seeder.start.plus_millis(DAY))?;
    let body = r#"{"locks":[{"name":"blue","description":"In use by blue.","attributes":{"slot":1}}]}"#;
    for version in ["previous", "current"] {
        let path = format!("secrets/{locked}/versions/{version}/locks_bulk");
        seeder.request(seeder.start.plus_millis(2 * DAY), Verb::Post, &path, body)?;
    }
    // It expires before the current year of the instance's clock, so the next request destroys it.
    let expires = seeder.start.plus_millis(30 * DAY);
    arbitrary(seeder, "expired", Some(&date(expires))).map(drop)
}

/// Creates a plain secret in the default group and returns its id.
fn arbitrary(seeder: &mut Seeder<'_>, name: &str, expires: Option<&str>) -> Result<String, EmbeddedError> {
    let payload = super::payloads::token(&mut seeder.rng);
    let mut body = ObjectText::new();
    body.str("secret_type", "arbitrary").str("name", name).str("payload", &payload);
    body.opt_str("expiration_date", expires);
    let made = seeder.request(seeder.start, Verb::Post, "secrets", &body.finish())?;
    Ok(made.str("id").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::every_type;
    use super::DAY;
    use crate::model::Timestamp;
    use crate::provider::embedded::state::Items;
    use crate::provider::embedded::{EmbeddedInstance, InstanceClock, Options, Secret, SecretState};

    /// Returns an instance's content, filled on a day of 2026 and read one minute later.
    fn filled(day: i64) -> Items {
        let clock = InstanceClock::manual(Timestamp::from_millis(1_772_323_200_000 + day * DAY));
        let instance = EmbeddedInstance::new(Options { clock, ..Options::default() });
        every_type(&instance, 1).unwrap();
        instance.clock().advance(60_000);
        // The next request applies time-based changes.
        instance.change(|_, _| ());
        assert_eq!(instance.forbidden_acts(), []);
        instance.snapshot().items
    }

    fn named<'a>(items: &'a Items, name: &str) -> &'a Secret {
        items.secrets.values().find(|secret| secret.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    #[test]
    fn every_type_and_every_configuration_is_there() {
        let items = filled(0);
        let types: BTreeSet<&str> = items.secrets.values().map(|secret| secret.secret_type.as_str()).collect();
        assert_eq!(types.len(), 9, "{types:?}");
        let types: BTreeSet<&str> = items.configurations.values().map(|found| found.config_type.as_str()).collect();
        assert_eq!(types.len(), 8, "{types:?}");
        assert!(items.registration.is_some());
    }

    #[test]
    fn every_condition_is_there_on_any_day() {
        for day in [0, 200, 300] {
            let items = filled(day);
            let versions = |name: &str| named(&items, name).versions.len();
            let has = |name: &str| named(&items, name).versions.iter().filter(|held| held.payload.is_some()).count();
            assert_eq!(versions("fifty-versions"), super::MOST_VERSIONS);
            let locked = named(&items, "locked-on-both");
            assert!(locked.current().unwrap().locks.len() == 1 && locked.previous().unwrap().locks.len() == 1);
            assert_eq!(named(&items, "expired").life, SecretState::Destroyed);
            assert_eq!((versions("private-web"), has("private-web")), (3, 2));
            assert_eq!(has("private-from-request"), 1);
            assert!(named(&items, "private-revoked").fields.get("revocation_time_seconds").is_some());
            assert_eq!((has("public-shop"), has("public-twice")), (1, 2));
            for waiting in ["public-pending", "managed-pending"] {
                assert_eq!((named(&items, waiting).life, has(waiting)), (SecretState::PreActivation, 0), "{waiting}");
            }
            assert_eq!(named(&items, "managed-signed").life, SecretState::Active);
        }
    }

    #[test]
    fn a_seed_makes_the_same_ids() {
        let ids = |items: &Items| items.secrets.keys().cloned().collect::<Vec<_>>();
        assert_eq!(ids(&filled(0)), ids(&filled(0)));
    }
}
