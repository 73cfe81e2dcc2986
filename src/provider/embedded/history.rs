//! Log of every state of an instance.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::state::{ItemChange, Items, Renderer, Secret};
use crate::model::Timestamp;

/// Number of changes between two full copies of the items.
const STRIDE: usize = 256;

/// All states of an instance since logging began, oldest first.
///
/// State 0 is the initial one; state `i` follows the `i`-th change. A request makes at most one change; each expiry and
/// each rotation makes one.
#[derive(Debug, Clone)]
pub struct History {
    start: Timestamp,
    renderer: Renderer,
    /// Copies of state 0, [`STRIDE`], 2 x [`STRIDE`], …
    copies: Vec<Items>,
    changes: Vec<(Timestamp, ItemChange)>,
    now: Items,
}

impl History {
    pub(crate) fn new(start: Timestamp, items: Items, renderer: Renderer) -> Self {
        Self { start, renderer, copies: vec![items.clone()], changes: Vec::new(), now: items }
    }

    pub(crate) fn push(&mut self, time: Timestamp, change: ItemChange) {
        self.now.apply(&change);
        self.changes.push((time, change));
        if self.changes.len().is_multiple_of(STRIDE) {
            self.copies.push(self.now.clone());
        }
    }

    /// Returns the number of states; at least one.
    #[must_use]
    pub fn states(&self) -> usize {
        self.changes.len() + 1
    }

    /// Returns when state `index` began, by the instance's clock.
    #[must_use]
    pub fn began(&self, index: usize) -> Option<Timestamp> {
        match index.checked_sub(1) {
            None => Some(self.start),
            Some(change) => self.changes.get(change).map(|(time, _)| *time),
        }
    }

    /// Returns the change that led to state `index`; `None` for state 0.
    #[must_use]
    pub fn change(&self, index: usize) -> Option<&ItemChange> {
        self.changes.get(index.checked_sub(1)?).map(|(_, change)| change)
    }

    /// Returns state `index`.
    #[must_use]
    pub fn state(&self, index: usize) -> Option<PastInstance> {
        if index > self.changes.len() {
            return None;
        }
        let copy = index / STRIDE;
        let mut items = self.copies.get(copy)?.clone();
        for (_, change) in self.changes.get(copy * STRIDE..index)? {
            items.apply(change);
        }
        Some(PastInstance { items, renderer: self.renderer.clone() })
    }

    /// Returns the states that were current at any time from `from` to `to`, inclusive: the state at `from` and every
    /// later one.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> std::ops::RangeInclusive<usize> {
        // Times never decrease from one change to the next, unless a test set the clock back.
        let before = self.changes.iter().take_while(|(time, _)| *time < from).count();
        let until = self.changes.iter().take_while(|(time, _)| *time <= to).count();
        before..=until
    }
}

/// An instance at one point in time, with everything that its API would have answered then.
#[derive(Debug, Clone)]
pub struct PastInstance {
    /// The items.
    pub items: Items,
    /// Renderer of rows in the API's format.
    pub renderer: Renderer,
}

impl PastInstance {
    /// Returns the row of a secret in the secrets list.
    #[must_use]
    pub fn secret_row(&self, id: &str) -> Option<Zeroizing<String>> {
        Some(self.renderer.secret_metadata(self.items.secrets.get(id)?))
    }

    /// Returns the row of a secret in the instance-wide lock list.
    #[must_use]
    pub fn locks_row(&self, id: &str) -> Option<Zeroizing<String>> {
        Some(self.renderer.locks_row(self.items.secrets.get(id)?))
    }

    /// Returns the rows of a secret's version list.
    #[must_use]
    pub fn versions(&self, id: &str) -> Option<Vec<Zeroizing<String>>> {
        Some(self.renderer.versions(self.items.secrets.get(id)?))
    }

    /// Returns all locks of a secret, current version first, ordered by name.
    #[must_use]
    pub fn locks(&self, id: &str) -> Option<Vec<Zeroizing<String>>> {
        let secret = self.items.secrets.get(id)?;
        let versions = secret.versions.iter().enumerate();
        let locks = versions.flat_map(|(index, version)| version.locks.iter().map(move |lock| (index, version, lock)));
        Some(locks.map(|(index, version, lock)| self.renderer.lock(secret, version, index, lock)).collect())
    }

    /// Returns the row of a group.
    #[must_use]
    pub fn group_row(&self, id: &str) -> Option<Zeroizing<String>> {
        Some(self.renderer.group(self.items.groups.get(id)?))
    }

    /// Returns the row of a configuration, by `TYPE/NAME`.
    #[must_use]
    pub fn configuration_row(&self, key: &str) -> Option<Zeroizing<String>> {
        Some(self.renderer.configuration_metadata(self.items.configurations.get(key)?))
    }

    /// Returns the registration as the API shows it.
    #[must_use]
    pub fn registration_row(&self) -> Option<Zeroizing<String>> {
        Some(self.renderer.registration(self.items.registration.as_ref()?))
    }

    /// Returns a secret.
    #[must_use]
    pub fn secret(&self, id: &str) -> Option<&Arc<Secret>> {
        self.items.secrets.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::InstanceClock;
    use super::super::instance::EmbeddedInstance;
    use super::super::options::Options;
    use super::super::state::Verb;
    use super::*;

    /// Creates an instance with a log and a manual clock.
    fn logged() -> EmbeddedInstance {
        let clock = InstanceClock::manual(Timestamp::from_millis(1_000_000));
        EmbeddedInstance::new(Options { history: true, clock, ids: Some(1), ..Options::default() })
    }

    fn create(instance: &EmbeddedInstance, name: &str) -> String {
        let body = format!(r#"{{"secret_type":"arbitrary","name":"{name}","payload":"v"}}"#);
        let reply = instance.call(Verb::Post, "/api/v2/secrets", &body);
        crate::model::json::JsonObject::parse(&reply.body).unwrap().str("id").unwrap()
    }

    #[test]
    fn every_state_can_be_had_again_past_any_number_of_changes() {
        let instance = logged();
        let id = create(&instance, "token");
        let mut rows = Vec::new();
        for index in 0..STRIDE * 2 + 10 {
            instance.clock().advance(1);
            let body = format!(r#"{{"description":"{index}"}}"#);
            instance.call(Verb::Patch, &format!("/api/v2/secrets/{id}/metadata"), &body);
            rows.push(instance.snapshot().secret_row(&id).unwrap().to_string());
        }
        let history = instance.history().unwrap();
        assert_eq!(history.states(), rows.len() + 2);
        assert!(history.state(0).unwrap().items.secrets.is_empty());
        for (index, row) in rows.iter().enumerate() {
            assert_eq!(history.state(index + 2).unwrap().secret_row(&id).unwrap().as_str(), row, "state {index}");
        }
        assert!(history.state(history.states()).is_none());
    }

    #[test]
    fn a_span_holds_the_state_that_it_found_and_those_that_began_in_it() {
        let instance = logged();
        for name in ["one", "two", "six"] {
            instance.clock().advance(10);
            create(&instance, name);
        }
        let history = instance.history().unwrap();
        let at = |millis: i64| Timestamp::from_millis(1_000_000 + millis);
        assert_eq!(history.began(0), Some(at(0)));
        assert_eq!(history.began(3), Some(at(30)));
        assert_eq!(history.between(at(0), at(5)), 0..=0);
        assert_eq!(history.between(at(15), at(19)), 1..=1);
        // At the exact time of a change, the state before it counts as current too.
        assert_eq!(history.between(at(10), at(20)), 0..=2);
        assert_eq!(history.between(at(35), at(99)), 3..=3);
    }

    #[test]
    fn what_changes_nothing_is_not_logged_and_a_delete_is() {
        let instance = logged();
        let id = create(&instance, "token");
        instance.call(Verb::Get, "/api/v2/secrets", "");
        instance.call(Verb::Get, "/api/v2/secrets/none", "");
        instance.call(Verb::Patch, &format!("/api/v2/secrets/{id}/metadata"), r#"{"name":"-"}"#);
        assert_eq!(instance.history().unwrap().states(), 2);
        instance.call(Verb::Delete, &format!("/api/v2/secrets/{id}"), "");
        let history = instance.history().unwrap();
        assert!(matches!(history.change(2), Some(ItemChange::Secret(_, None))));
        assert!(history.state(1).unwrap().secret(&id).is_some() && history.state(2).unwrap().secret(&id).is_none());
    }
}
