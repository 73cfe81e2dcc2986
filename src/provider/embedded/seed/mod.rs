//! Realistic made-up instances, identical for the same seed.
//!
//! Ids, names, payloads, keys and certificates depend on the seed. Dates also depend on the year of the instance's
//! clock: everything was created in the months before that year began, and expires in a later year.

pub(crate) mod certificates;
mod credentials;
mod every;
mod payloads;
mod seeder;
mod words;

use self::seeder::Seeder;
use super::error::EmbeddedError;
use super::instance::EmbeddedInstance;
use super::state::text::ObjectText;
use super::state::{Ids, Verb};

/// Enough secrets for every plain type, with one version and with several.
const ENOUGH_PLAIN: usize = 40;

/// Fills an instance with `secrets` made-up secrets of the plain types, with groups, labels, metadata, locks and
/// several versions, the four kinds of configuration and a registration.
///
/// # Errors
/// If the instance refuses an item, because it was not empty.
pub fn seed(instance: &EmbeddedInstance, seed: u64, secrets: usize) -> Result<(), EmbeddedError> {
    instance.change(|state, now| {
        let ids = std::mem::replace(&mut state.ids, Ids::new(Some(seed)));
        let filled = Seeder::new(state, seed, now).and_then(|mut seeder| seeder.fill(secrets));
        state.ids = ids;
        filled
    })
}

/// Fills an instance with at least one of every secret type and every configuration, in every state that the API
/// allows: for captures, restores and drills that must cover everything.
///
/// # Errors
/// If the instance refuses an item, because it was not empty.
pub fn every_type(instance: &EmbeddedInstance, seed: u64) -> Result<(), EmbeddedError> {
    every_type_among(instance, seed, ENOUGH_PLAIN)
}

/// Does the same with `plain` secrets of the types whose payload a client sets, instead of a few dozen.
///
/// # Errors
/// If the instance refuses an item, because it was not empty.
pub fn every_type_among(instance: &EmbeddedInstance, seed: u64, plain: usize) -> Result<(), EmbeddedError> {
    instance.change(|state, now| {
        let ids = std::mem::replace(&mut state.ids, Ids::new(Some(seed)));
        let filled = Seeder::new(state, seed, now).and_then(|mut seeder| every::fill(&mut seeder, plain));
        state.ids = ids;
        filled
    })
}

/// Fills an instance with `secrets` small `arbitrary` secrets of one version each, for tests of size.
///
/// # Errors
/// If the instance refuses an item, because it was not empty.
pub fn seed_small(instance: &EmbeddedInstance, seed: u64, secrets: usize) -> Result<(), EmbeddedError> {
    instance.change(|state, now| {
        let ids = std::mem::replace(&mut state.ids, Ids::new(Some(seed)));
        let filled = Seeder::new(state, seed, now).and_then(|mut seeder| {
            (0..secrets).try_for_each(|index| {
                let mut body = ObjectText::new();
                body.str("secret_type", "arbitrary").str("name", &format!("small-{index:06}"));
                body.str("payload", &payloads::token(&mut seeder.rng));
                let at = seeder.start;
                seeder.request(at, Verb::Post, "secrets", &body.finish()).map(drop)
            })
        });
        state.ids = ids;
        filled
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::clock::InstanceClock;
    use super::super::options::Options;
    use super::seeder::DAY;
    use super::*;
    use crate::model::Timestamp;

    fn seeded(number: u64, secrets: usize, day: i64) -> EmbeddedInstance {
        // 1 March 2026 plus `day` days.
        let clock = InstanceClock::manual(Timestamp::from_millis(1_772_323_200_000 + day * DAY));
        let instance = EmbeddedInstance::new(Options { clock, ..Options::default() });
        seed(&instance, number, secrets).unwrap();
        instance
    }

    fn everything(instance: &EmbeddedInstance) -> String {
        let snapshot = instance.snapshot();
        let secrets = snapshot.items.secrets.iter().map(|(id, secret)| {
            let versions: Vec<_> = secret.versions.iter().map(|version| version.payload_digest.to_string()).collect();
            format!("{}{}{}", *snapshot.secret_row(id).unwrap(), *snapshot.locks_row(id).unwrap(), versions.concat())
        });
        let configurations = snapshot.items.configurations.values();
        let configurations = configurations.map(|item| snapshot.renderer.configuration(item).to_string());
        secrets.chain(configurations).collect()
    }

    #[test]
    fn a_seed_gives_the_same_instance_on_any_day_of_a_year_and_another_seed_another() {
        let first = everything(&seeded(7, 60, 0));
        assert_eq!(first, everything(&seeded(7, 60, 200)));
        assert_ne!(first, everything(&seeded(8, 60, 0)));
    }

    #[test]
    fn all_types_many_versions_and_locks_are_there_and_nothing_is_due() {
        let instance = seeded(1, 300, 300);
        let snapshot = instance.snapshot();
        let mut types: BTreeMap<&str, usize> = BTreeMap::new();
        for secret in snapshot.items.secrets.values() {
            *types.entry(&secret.secret_type).or_default() += 1;
            assert!(secret.current().unwrap().payload.is_some(), "{} expired", secret.name);
            assert!(!secret.versions.iter().any(|version| version.auto_rotated));
        }
        assert_eq!(types.len(), 4, "{types:?}");
        assert!(types.values().all(|count| *count > 20), "{types:?}");
        let count = |wanted: fn(&super::super::state::Secret) -> bool| {
            snapshot.items.secrets.values().filter(|secret| wanted(secret)).count()
        };
        assert!(count(|secret| secret.versions.len() == 1) > 50);
        assert!(count(|secret| secret.versions.len() == 2) > 30);
        assert!(count(|secret| secret.versions.len() > 3) > 30);
        assert!(count(|secret| secret.locks_total() > 0) > 10);
        assert!(count(|secret| secret.expiration_date.is_some()) > 50);
        assert!(count(|secret| secret.next_rotation_date.is_some()) > 5);
        assert_eq!(snapshot.items.configurations.len(), 5);
        assert_eq!(snapshot.items.groups.len(), 9);
        assert!(snapshot.items.registration.is_some());
    }

    #[test]
    fn small_ones_are_many() {
        let instance = EmbeddedInstance::new(Options::default());
        seed_small(&instance, 3, 1_000).unwrap();
        assert_eq!(instance.snapshot().items.secrets.len(), 1_000);
    }
}
