//! Items of an instance, their indexes, and the only functions that change them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::data::{Configuration, Group, Registration, Secret};
use super::secret_kind::SecretKind;
use super::tasks::next_retry;
use super::{InstanceState, Refusal};
use crate::model::Timestamp;
use crate::provider::embedded::options::NameScope;

/// All items of an instance at one point in time. Clones share unchanged items.
#[derive(Debug, Clone, Default)]
pub struct Items {
    /// Secrets by id.
    pub secrets: BTreeMap<Arc<str>, Arc<Secret>>,
    /// Groups by id.
    pub groups: BTreeMap<Arc<str>, Arc<Group>>,
    /// Configurations by `TYPE/NAME`.
    pub configurations: BTreeMap<Arc<str>, Arc<Configuration>>,
    /// The registration, if any.
    pub registration: Option<Arc<Registration>>,
}

/// A changed item with its new value; `None` if it was deleted.
#[derive(Debug, Clone)]
pub enum ItemChange {
    /// A secret, by id.
    Secret(Arc<str>, Option<Arc<Secret>>),
    /// A group, by id.
    Group(Arc<str>, Option<Arc<Group>>),
    /// A configuration, by `TYPE/NAME`.
    Configuration(Arc<str>, Option<Arc<Configuration>>),
    /// The registration.
    Registration(Option<Arc<Registration>>),
}

impl Items {
    /// Applies a change.
    pub fn apply(&mut self, change: &ItemChange) {
        match change {
            ItemChange::Secret(id, item) => put(&mut self.secrets, id, item),
            ItemChange::Group(id, item) => put(&mut self.groups, id, item),
            ItemChange::Configuration(key, item) => put(&mut self.configurations, key, item),
            ItemChange::Registration(item) => self.registration.clone_from(item),
        }
    }
}

fn put<T>(map: &mut BTreeMap<Arc<str>, Arc<T>>, key: &Arc<str>, item: &Option<Arc<T>>) {
    match item {
        Some(item) => drop(map.insert(key.clone(), item.clone())),
        None => drop(map.remove(key)),
    }
}

/// Indexes for lookups that would be slow in [`Items`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// Ids by (type, name).
    names: BTreeMap<(String, String), BTreeSet<Arc<str>>>,
    /// Secrets with a time-based change, soonest first.
    due: BTreeSet<(i64, Arc<str>)>,
    /// Credentials whose previous version ends automatically, soonest first.
    previous_due: BTreeSet<(i64, Arc<str>)>,
    /// Secrets with an open task.
    open_tasks: BTreeSet<Arc<str>>,
    /// Secrets whose job will be asked again to delete credentials, soonest first.
    retries: BTreeSet<(i64, Arc<str>)>,
}

impl Index {
    /// Builds the index of these items.
    #[cfg(test)]
    pub(crate) fn of(items: &Items) -> Self {
        let mut index = Self::default();
        items.secrets.iter().for_each(|(id, secret)| index.add(id, secret));
        index
    }

    fn add(&mut self, id: &Arc<str>, secret: &Secret) {
        self.names.entry((secret.secret_type.clone(), secret.name.clone())).or_default().insert(id.clone());
        if let Some(due) = due(secret) {
            self.due.insert((due, id.clone()));
        }
        if let Some(due) = previous_due(secret) {
            self.previous_due.insert((due, id.clone()));
        }
        if secret.processing_task().is_some() {
            self.open_tasks.insert(id.clone());
        }
        if let Some(retry) = next_retry(secret) {
            self.retries.insert((retry.at.millis(), id.clone()));
        }
    }

    fn remove(&mut self, id: &Arc<str>, secret: &Secret) {
        let key = (secret.secret_type.clone(), secret.name.clone());
        if let Some(ids) = self.names.get_mut(&key) {
            ids.remove(id);
            if ids.is_empty() {
                self.names.remove(&key);
            }
        }
        if let Some(due) = due(secret) {
            self.due.remove(&(due, id.clone()));
        }
        if let Some(due) = previous_due(secret) {
            self.previous_due.remove(&(due, id.clone()));
        }
        self.open_tasks.remove(id);
        if let Some(retry) = next_retry(secret) {
            self.retries.remove(&(retry.at.millis(), id.clone()));
        }
    }

    /// Returns the ids of secrets whose job must be asked again at `now` (milliseconds).
    pub(crate) fn retries(&self, now: i64) -> Vec<Arc<str>> {
        self.retries.iter().take_while(|(time, _)| *time <= now).map(|(_, id)| id.clone()).collect()
    }

    /// Returns the ids of secrets with an open task.
    pub(crate) fn open_tasks(&self) -> Vec<Arc<str>> {
        self.open_tasks.iter().cloned().collect()
    }

    /// Returns the ids of credentials whose previous version has ended at `now` (milliseconds) but still exists.
    pub(crate) fn previous_due(&self, now: i64) -> Vec<Arc<str>> {
        self.previous_due.iter().take_while(|(time, _)| *time <= now).map(|(_, id)| id.clone()).collect()
    }

    /// Returns the ids of secrets that are due at `now` (milliseconds).
    pub(crate) fn due(&self, now: i64) -> Vec<Arc<str>> {
        self.due.iter().take_while(|(time, _)| *time <= now).map(|(_, id)| id.clone()).collect()
    }

    /// Returns the ids of the secrets with that type and name.
    pub(crate) fn named(&self, secret_type: &str, name: &str) -> impl Iterator<Item = &Arc<str>> {
        self.names.get(&(secret_type.to_owned(), name.to_owned())).into_iter().flatten()
    }
}

fn due(secret: &Secret) -> Option<i64> {
    if secret.life == super::SecretState::Destroyed {
        return None;
    }
    [secret.expiration_date, secret.next_rotation_date, secret.wake_at]
        .into_iter()
        .flatten()
        .map(Timestamp::millis)
        .min()
}

/// Returns when the previous version of a credential with a lifetime ends.
fn previous_due(secret: &Secret) -> Option<i64> {
    let mints = SecretKind::of(&secret.secret_type).is_some_and(SecretKind::mints);
    let previous = secret.previous().filter(|version| mints && version.payload.is_some())?;
    previous.expiration_date.map(Timestamp::millis)
}

impl InstanceState {
    fn change(&mut self, change: ItemChange) {
        self.items.apply(&change);
        self.changes.push(change);
    }

    pub(crate) fn put_secret(&mut self, secret: Secret) {
        let id: Arc<str> = match self.items.secrets.get_key_value(secret.id.as_str()) {
            Some((id, before)) => {
                let id = id.clone();
                self.index.remove(&id, before);
                id
            }
            None => secret.id.as_str().into(),
        };
        self.index.add(&id, &secret);
        self.change(ItemChange::Secret(id, Some(Arc::new(secret))));
    }

    pub(crate) fn drop_secret(&mut self, id: &str) {
        let Some((id, before)) = self.items.secrets.get_key_value(id) else { return };
        let id = id.clone();
        self.index.remove(&id, before);
        self.change(ItemChange::Secret(id, None));
    }

    pub(crate) fn put_group(&mut self, group: Group) {
        self.change(ItemChange::Group(group.id.as_str().into(), Some(Arc::new(group))));
    }

    pub(crate) fn drop_group(&mut self, id: &str) {
        self.change(ItemChange::Group(id.into(), None));
    }

    pub(crate) fn put_configuration(&mut self, configuration: Configuration) {
        let key = format!("{}/{}", configuration.config_type, configuration.name);
        let before = self.items.configurations.get(key.as_str()).cloned();
        self.refer(configuration.updated_at, before.as_deref(), Some(&configuration));
        self.change(ItemChange::Configuration(key.into(), Some(Arc::new(configuration))));
    }

    pub(crate) fn drop_configuration(&mut self, now: Timestamp, config_type: &str, name: &str) {
        let before = self.items.configurations.get(format!("{config_type}/{name}").as_str()).cloned();
        self.refer(now, before.as_deref(), None);
        self.change(ItemChange::Configuration(format!("{config_type}/{name}").into(), None));
    }

    pub(crate) fn put_registration(&mut self, registration: Option<Registration>) {
        self.change(ItemChange::Registration(registration.map(Arc::new)));
    }

    /// Returns a secret by id.
    pub(crate) fn secret(&self, id: &str) -> Result<&Arc<Secret>, Refusal> {
        self.items.secrets.get(id).ok_or_else(|| Refusal::missing("The secret"))
    }

    /// Rejects a (type, name) that another secret has, within the scope of the switch.
    pub(crate) fn check_name_free(&self, secret_type: &str, name: &str, group: &str, own: &str) -> Result<(), Refusal> {
        let taken = self.index.named(secret_type, name).any(|id| {
            let same_group = self.items.secrets.get(id).is_some_and(|secret| secret.group == group);
            **id != *own && (self.switches.unique_names == NameScope::Instance || same_group)
        });
        if taken {
            let message = "A secret with the same name and type already exists.";
            return Err(Refusal::conflict(self.switches.name_conflict_status, message));
        }
        Ok(())
    }
}
