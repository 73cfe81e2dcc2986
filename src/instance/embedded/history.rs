//! The log of every state that an instance was in.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::state::{Change, Items, Renderer, Secret};
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
    changes: Vec<(Timestamp, Change)>,
    now: Items,
}

impl History {
    pub(crate) fn new(start: Timestamp, items: Items, renderer: Renderer) -> Self {
        Self { start, renderer, copies: vec![items.clone()], changes: Vec::new(), now: items }
    }

    pub(crate) fn push(&mut self, time: Timestamp, change: Change) {
        self.now.apply(&change);
        self.changes.push((time, change));
        if self.changes.len() % STRIDE == 0 {
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

    /// The change that led to state `index`; nothing for state 0.
    #[must_use]
    pub fn change(&self, index: usize) -> Option<&Change> {
        self.changes.get(index.checked_sub(1)?).map(|(_, change)| change)
    }

    /// State `index`.
    #[must_use]
    pub fn state(&self, index: usize) -> Option<Snapshot> {
        if index > self.changes.len() {
            return None;
        }
        let copy = index / STRIDE;
        let mut items = self.copies.get(copy)?.clone();
        for (_, change) in self.changes.get(copy * STRIDE..index)? {
            items.apply(change);
        }
        Some(Snapshot { items, renderer: self.renderer.clone() })
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
pub struct Snapshot {
    /// The items.
    pub items: Items,
    /// Writes rows the way the API does.
    pub renderer: Renderer,
}

impl Snapshot {
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
