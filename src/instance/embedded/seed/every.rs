//! One or more of everything.

use super::{DAY, Seeder};
use crate::instance::embedded::error::EmbeddedError;
use crate::instance::embedded::state::Verb;
use crate::instance::embedded::state::text::{ObjectText, date};

/// Versions that a secret has at most, by the provider's limit.
const MOST_VERSIONS: usize = 50;

/// Fills an empty instance.
pub(super) fn fill(seeder: &mut Seeder<'_>) -> Result<(), EmbeddedError> {
    seeder.make_groups()?;
    seeder.configurations()?;
    // Enough for every plain type, with one version and with several.
    (0..40).try_for_each(|index| seeder.secret(index))?;
    conditions(seeder)?;
    super::credentials::fill(seeder)?;
    seeder.register()
}

/// Secrets in the conditions that need care: full of versions, locked on both, expired.
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
    // Over before the year of the instance's clock began: the next request finds it destroyed.
    let expires = seeder.start.plus_millis(30 * DAY);
    arbitrary(seeder, "expired", Some(&date(expires))).map(drop)
}

/// A plain secret of this name in the default group; its id.
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
    use super::super::every_type;
    use crate::instance::embedded::{Instance, Life, Options};

    #[test]
    fn every_condition_is_there() {
        let instance = Instance::new(Options::default());
        every_type(&instance, 1).unwrap();
        // What time has done to it is seen with the next request.
        instance.change(|_, _| ());
        let items = instance.snapshot().items;
        let named = |name: &str| items.secrets.values().find(|secret| secret.name == name).unwrap();
        assert_eq!(named("fifty-versions").versions.len(), super::MOST_VERSIONS);
        let locked = named("locked-on-both");
        assert!(locked.current().unwrap().locks.len() == 1 && locked.previous().unwrap().locks.len() == 1);
        assert_eq!(named("expired").life, Life::Destroyed);
    }
}
