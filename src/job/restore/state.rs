//! The state of an item in the standby, reduced to the parts that a plan changes.
//!
//! The steps of one item form a chain of states, from the planned start to the goal. The item's position in the chain
//! determines the remaining steps; an item in none of the states has changed since the plan.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::plan::Step;
use crate::model::Digest;
use crate::provider::Certification;

/// An item's state in a plan. Parts that no step of the item changes are absent and may change freely.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemState {
    /// True if the item exists.
    pub present: bool,
    /// Newest version: `source:ID` if it is known to hold the payload of that source version, otherwise `own:ID` with
    /// its id in the standby.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// Digest of settings and mark. If absent in one state of a chain and present in others, the settings may be
    /// anything there, because a step may or may not change them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Digest>,
    /// True if a configuration has the snapshot's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<bool>,
    /// Certification status of a certificate authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certification: Option<Certification>,
    /// Digests of version metadata and mark, by version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version_metadata: BTreeMap<String, Digest>,
    /// Digests of existing locks, by `VERSION/NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locks: BTreeMap<String, Digest>,
}

/// Returns the name of a version in states: by its source id if known.
#[must_use]
pub fn version_name(source: Option<&str>, own: &str) -> String {
    source.map_or_else(|| format!("own:{own}"), |source| format!("source:{source}"))
}

/// Parts of an item's state that its chain changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Newest version.
    pub newest: bool,
    /// Settings.
    pub settings: bool,
    /// Value of a configuration.
    pub value: bool,
    /// Certification status of an authority.
    pub certification: bool,
    /// Versions whose metadata changes.
    pub version_metadata: BTreeSet<String>,
    /// Locks that change.
    pub locks: BTreeSet<String>,
}

impl Parts {
    /// Returns the parts that the states of a chain mention.
    pub fn of<'a>(states: impl IntoIterator<Item = &'a ItemState>) -> Self {
        let mut parts = Self::default();
        for state in states {
            parts.newest |= state.newest.is_some();
            parts.settings |= state.settings.is_some();
            parts.value |= state.value.is_some();
            parts.certification |= state.certification.is_some();
            parts.version_metadata.extend(state.version_metadata.keys().cloned());
            parts.locks.extend(state.locks.keys().cloned());
        }
        parts
    }

    /// Adds the parts in which two states differ.
    pub fn add_changes(&mut self, before: &ItemState, after: &ItemState) {
        self.newest |= before.newest != after.newest;
        self.settings |= before.settings != after.settings;
        self.value |= before.value != after.value;
        self.certification |= before.certification != after.certification;
        self.version_metadata.extend(changed(&before.version_metadata, &after.version_metadata));
        self.locks.extend(changed(&before.locks, &after.locks));
    }

    /// Returns the state reduced to these parts.
    #[must_use]
    pub fn keep(&self, state: &ItemState) -> ItemState {
        ItemState {
            present: state.present,
            newest: state.newest.clone().filter(|_| self.newest),
            settings: state.settings.filter(|_| self.settings),
            value: state.value.filter(|_| self.value),
            certification: state.certification.filter(|_| self.certification),
            version_metadata: kept(&state.version_metadata, &self.version_metadata),
            locks: kept(&state.locks, &self.locks),
        }
    }
}

fn changed<'a>(
    before: &'a BTreeMap<String, Digest>,
    after: &'a BTreeMap<String, Digest>,
) -> impl Iterator<Item = String> + 'a {
    before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).cloned()
}

fn kept(map: &BTreeMap<String, Digest>, names: &BTreeSet<String>) -> BTreeMap<String, Digest> {
    map.iter().filter(|(name, _)| names.contains(*name)).map(|(name, digest)| (name.clone(), *digest)).collect()
}

/// Returns every state of a chain, first to last.
pub fn states<'a>(chain: &'a [&'a Step]) -> impl Iterator<Item = &'a ItemState> {
    chain.first().map(|step| &step.expect).into_iter().chain(chain.iter().map(|step| &step.leaves))
}

/// Returns the number of completed steps of a chain for the item's current state; `None` if no state matches.
///
/// The last matching state counts, so that a completed chain never starts again.
#[must_use]
pub fn position(chain: &[&Step], now: &ItemState) -> Option<usize> {
    let parts = Parts::of(states(chain));
    let now = parts.keep(now);
    let fits = |place: &ItemState| {
        let mut place = parts.keep(place);
        if place.present && place.settings.is_none() {
            place.settings = now.settings;
        }
        place == now
    };
    let places: Vec<&ItemState> = states(chain).collect();
    places.iter().rposition(|place| fits(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Action, Phase};

    fn state(newest: &str, lock: bool) -> ItemState {
        let mut state = ItemState { present: true, newest: Some(newest.into()), ..ItemState::default() };
        if lock {
            state.locks.insert("source:1/keep".into(), Digest::from_bytes([1; 32]));
        }
        state
    }

    fn chain() -> Vec<Step> {
        let places =
            [state("source:2", true), state("source:2", false), state("source:3", false), state("source:3", true)];
        places
            .windows(2)
            .map(|pair| Step {
                id: 1,
                phase: Phase::Secrets,
                action: Action::CreateGroup,
                key: "secret/1".parse().unwrap(),
                name: String::new(),
                item_type: String::new(),
                group: None,
                target: None,
                expect: pair[0].clone(),
                leaves: pair[1].clone(),
                reason: String::new(),
            })
            .collect()
    }

    #[test]
    fn an_item_is_found_at_every_place_of_its_chain() {
        let steps = chain();
        let chain: Vec<&Step> = steps.iter().collect();
        for (done, place) in states(&chain).enumerate() {
            assert_eq!(position(&chain, place), Some(done));
        }
    }

    #[test]
    fn settings_that_a_step_may_change_are_not_compared_behind_it() {
        let digest = |byte| Some(Digest::from_bytes([byte; 32]));
        let mut steps = chain();
        steps.truncate(2);
        steps[0].expect.settings = digest(1);
        steps[1].leaves.settings = digest(2);
        let chain: Vec<&Step> = steps.iter().collect();
        let now = |like: &ItemState, byte| ItemState { settings: digest(byte), ..like.clone() };
        assert_eq!(position(&chain, &now(&steps[0].expect, 1)), Some(0));
        assert_eq!(position(&chain, &now(&steps[0].expect, 7)), None);
        assert_eq!(position(&chain, &now(&steps[0].leaves, 7)), Some(1), "whatever they are");
        assert_eq!(position(&chain, &now(&steps[1].leaves, 7)), None);
        assert_eq!(position(&chain, &now(&steps[1].leaves, 2)), Some(2));
    }

    #[test]
    fn what_the_chain_does_not_touch_may_move_and_the_rest_may_not() {
        let steps = chain();
        let chain: Vec<&Step> = steps.iter().collect();
        let mut now = state("source:2", true);
        now.settings = Some(Digest::from_bytes([9; 32]));
        now.locks.insert("own:9/theirs".into(), Digest::from_bytes([2; 32]));
        assert_eq!(position(&chain, &now), Some(0));
        now.newest = Some("own:9".into());
        assert_eq!(position(&chain, &now), None);
        assert_eq!(position(&chain, &ItemState::default()), None, "an item that is gone has moved");
    }
}
