//! What is known of an item of the standby, and the state that follows from it.

use std::collections::BTreeMap;

use super::goal::Goal;
use super::state::{ItemState, version_name};
use crate::crypto::digest::sha256;
use crate::model::Digest;
use crate::model::json::JsonObject;
use crate::provider::normal::{normal, normal_members};
use crate::provider::{RestoreItem, RestoreLock, RestoreMark, RestoreVersion};

/// How many versions of a secret the lists count at most; from there on the count says nothing.
pub const VERSIONS_COUNTED: u64 = 50;

/// An item of the standby with all that was asked about it.
#[derive(Debug, Clone)]
pub struct StandbyItem {
    /// The item; versions and locks are there when they were asked for.
    pub view: RestoreItem,
    /// Which version of the source a version holds, by its id in the standby: from its mark, or because the payloads
    /// were compared.
    pub sources: BTreeMap<String, String>,
    /// Whether a configuration has the value of the snapshot; `None` when it was not compared.
    pub value: Option<bool>,
    /// Versions, by their id in the standby, whose payload is not the one that their mark says.
    pub false_marks: Vec<String>,
    /// Whether what is fixed when a secret is created is another than the snapshot's, as far as payloads were compared.
    pub fixed_differs: bool,
}

impl StandbyItem {
    /// What the list rows alone say.
    #[must_use]
    pub fn from_rows(view: RestoreItem) -> Self {
        let sources = view.versions.iter().flatten().filter_map(|v| Some((v.id.clone(), v.mark.clone()?))).collect();
        Self { view, sources, value: None, false_marks: Vec::new(), fixed_differs: false }
    }

    /// Learns from the marks of the snapshot's own versions: one that was restored from a version which is here names it.
    pub fn learn_origins(&mut self, snapshot: &RestoreItem) {
        for version in self.view.versions.iter().flatten() {
            let from_here = |theirs: &&RestoreVersion| theirs.mark.as_deref() == Some(version.id.as_str());
            if let Some(theirs) = snapshot.versions.iter().flatten().find(from_here) {
                self.sources.entry(version.id.clone()).or_insert_with(|| theirs.id.clone());
            }
        }
    }

    /// The version that holds the payload of that version of the source, the newest first.
    #[must_use]
    pub fn holding(&self, source: &str) -> Option<&RestoreVersion> {
        let holds = |version: &&RestoreVersion| self.sources.get(&version.id).is_some_and(|id| id == source);
        self.view.versions.iter().flatten().rev().find(holds)
    }

    /// The name of a version in states.
    #[must_use]
    pub fn version_name(&self, own: &str) -> String {
        version_name(self.sources.get(own).map(String::as_str), own)
    }

    /// The whole state: `names` are the settings that count.
    #[must_use]
    pub fn state<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> ItemState {
        let mut state = ItemState {
            present: true,
            newest: self.view.current().map(|version| self.version_name(&version.id)),
            settings: Some(settings_digest(&self.view.settings, names, self.view.mark.as_ref())),
            value: self.value,
            certification: self.view.certification,
            ..ItemState::default()
        };
        for version in self.view.versions.iter().flatten() {
            let name = self.version_name(&version.id);
            state.version_metadata.insert(name, metadata_digest(&version.metadata, version.mark.as_deref()));
        }
        for lock in self.view.locks.iter().flatten() {
            let name = format!("{}/{}", self.version_name(&lock.version), lock.name);
            state.locks.insert(name, lock_digest(lock));
        }
        state
    }
}

/// A digest of settings and mark, as a plan compares them.
#[must_use]
pub fn settings_digest<'a>(
    settings: &JsonObject,
    names: impl IntoIterator<Item = &'a str>,
    mark: Option<&RestoreMark>,
) -> Digest {
    let mut text = normal_members(settings, names);
    if let Some(mark) = mark {
        let held = mark.held.as_ref().map(|held| normal(held)).unwrap_or_default();
        text.push_str(&format!("mark {} {} {} {} {held}", mark.source, mark.version, mark.versions, mark.details));
    }
    sha256(text.as_bytes())
}

/// A digest of a version's metadata and mark.
#[must_use]
pub fn metadata_digest(metadata: &JsonObject, mark: Option<&str>) -> Digest {
    let mark = mark.map(|mark| format!("\nmark {mark}")).unwrap_or_default();
    sha256(format!("{}{mark}", normal(&metadata.to_raw())).as_bytes())
}

/// A digest of all that a client can set of a lock.
#[must_use]
pub fn lock_digest(lock: &RestoreLock) -> Digest {
    sha256(normal(&lock.settings.to_raw()).as_bytes())
}

/// What has to be asked about an item of the standby before it can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The list rows say it all.
    Nothing,
    /// Versions and locks, without payloads.
    Details,
}

/// Whether the list rows of a secret say that its versions and locks are as the snapshot wants them.
#[must_use]
pub fn need(goal: &Goal, source_id: &str, there: &RestoreItem) -> Question {
    let Some(mark) = &there.mark else { return Question::Details };
    let marked = mark.source == source_id
        && Some(mark.version.as_str()) == goal.newest()
        && mark.details == goal.details
        && there.versions_total == Some(mark.versions)
        && mark.versions < VERSIONS_COUNTED;
    if marked && locks_listed(goal, there) { Question::Nothing } else { Question::Details }
}

/// The versions of the source that the newest versions of a secret hold, when the rows say that all is right: by place.
#[must_use]
pub fn by_place(goal: &Goal, there: &RestoreItem) -> BTreeMap<String, String> {
    let sources = goal.versions.iter().rev().map(|version| version.id.clone());
    there.newest.iter().cloned().zip(sources).collect()
}

/// Whether every wanted lock is listed on the version that must be the right one, going by its place.
fn locks_listed(goal: &Goal, there: &RestoreItem) -> bool {
    let own = |source: &str| {
        let place = goal.versions.iter().rev().position(|version| version.id == source)?;
        there.newest.get(place)
    };
    goal.locks.iter().all(|lock| {
        own(&lock.version).is_some_and(|own| there.lock_names.iter().any(|(id, name)| id == own && *name == lock.name))
    })
}
