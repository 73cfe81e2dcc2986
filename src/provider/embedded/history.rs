//! The log of every state that an instance was in.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::state::{ItemChange, Items, Renderer, Secret};
use crate::model::Timestamp;

/// How many changes lie between two whole copies of the map of items.
const STRIDE: usize = 256;

/// Every state of an instance since logging began, oldest first.
///
/// State 0 is the one at the start; state `i` is the one after the `i`-th change. A request makes one change or none,
/// but for expiry and rotation, which make one each.
#[derive(Debug, Clone)]
pub struct History {
    start: Timestamp,
    renderer: Renderer,
    /// A copy of state 0, [`STRIDE`], 2 x [`STRIDE`], …
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

    /// How many states there are; at least one.
    #[must_use]
    pub fn states(&self) -> usize {
        self.changes.len() + 1
    }

    /// When state `index` began, by the instance's clock.
    #[must_use]
    pub fn began(&self, index: usize) -> Option<Timestamp> {
        match index.checked_sub(1) {
            None => Some(self.start),
            Some(change) => self.changes.get(change).map(|(time, _)| *time),
        }
    }

    /// The change that led to state `index`; `None` for state 0.
    #[must_use]
    pub fn change(&self, index: usize) -> Option<&ItemChange> {
        self.changes.get(index.checked_sub(1)?).map(|(_, change)| change)
    }

    /// State `index`.
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

    /// The states that were the present at some moment from `from` to `to`, both included: the one that `from` found,
    /// and every one that began since.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> std::ops::RangeInclusive<usize> {
        // Times never fall from one change to the next, unless a test turned the clock back.
        let before = self.changes.iter().take_while(|(time, _)| *time < from).count();
        let until = self.changes.iter().take_while(|(time, _)| *time <= to).count();
        before..=until
    }
}

/// An instance at one moment, with everything that its API would have answered then.
#[derive(Debug, Clone)]
pub struct PastInstance {
    /// The items.
    pub items: Items,
    /// Writes rows the way the API does.
    pub renderer: Renderer,
}

impl PastInstance {
    /// The row of a secret in the secrets list.
    #[must_use]
    pub fn secret_row(&self, id: &str) -> Option<Zeroizing<String>> {
        Some(self.renderer.secret_metadata(self.items.secrets.get(id)?))
    }

    /// The row of a secret in the instance-wide lock list.
    #[must_use]
    pub fn locks_row(&self, id: &str) -> Option<Zeroizing<String>> {
        Some(self.renderer.locks_row(self.items.secrets.get(id)?))
    }

    /// The version list of a secret, row by row.
    #[must_use]
    pub fn versions(&self, id: &str) -> Option<Vec<Zeroizing<String>>> {
        Some(self.renderer.versions(self.items.secrets.get(id)?))
    }

    /// The locks of a secret in full, current version first, by name.
    #[must_use]
    pub fn locks(&self, id: &str) -> Option<Vec<Zeroizing<String>>> {
        let secret = self.items.secrets.get(id)?;
        let versions = secret.versions.iter().enumerate();
        let locks = versions.flat_map(|(index, version)| version.locks.iter().map(move |lock| (index, version, lock)));
        Some(locks.map(|(index, version, lock)| self.renderer.lock(secret, version, index, lock)).collect())
    }

    /// The row of a group.
    #[must_use]
    pub fn group_row(&self, id: &str) -> Option<Zeroizing<String>> {
        Some(self.renderer.group(self.items.groups.get(id)?))
    }

    /// The row of a configuration, by `TYPE/NAME`.
    #[must_use]
    pub fn configuration_row(&self, key: &str) -> Option<Zeroizing<String>> {
        Some(self.renderer.configuration_metadata(self.items.configurations.get(key)?))
    }

    /// The registration as the API gives it.
    #[must_use]
    pub fn registration_row(&self) -> Option<Zeroizing<String>> {
        Some(self.renderer.registration(self.items.registration.as_ref()?))
    }

    /// A secret.
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

    /// An instance with a log and a clock that is turned by hand.
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
        // At the very moment of a change, the state before it was the present too.
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
