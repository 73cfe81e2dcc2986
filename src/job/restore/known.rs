//! Knowledge about a standby item, and the state derived from it.

use std::collections::BTreeMap;

use super::goal::Goal;
use super::state::{ItemState, version_name};
use crate::crypto::digest::sha256;
use crate::model::Digest;
use crate::model::json::JsonObject;
use crate::provider::normal::{normal, normal_members};
use crate::provider::{RestoreItem, RestoreLock, RestoreMark, RestoreVersion};

/// Maximum number of versions that the lists count; a count that reaches it says nothing.
pub const VERSIONS_COUNTED: u64 = 50;

/// An item of the standby with everything that was read of it.
#[derive(Debug, Clone)]
pub struct StandbyItem {
    /// The item; includes versions and locks if they were read.
    pub view: RestoreItem,
    /// Source version that each standby version holds, by its id in the standby. Taken from its mark or from a payload
    /// comparison.
    pub sources: BTreeMap<String, String>,
    /// True if a configuration has the snapshot's value; `None` if it was not compared.
    pub value: Option<bool>,
    /// Standby ids of versions whose payload contradicts their mark.
    pub false_marks: Vec<String>,
    /// True if a property that is fixed at creation differs from the snapshot, as far as payloads were compared.
    pub fixed_differs: bool,
}

impl StandbyItem {
    /// Creates the item from its list rows alone.
    #[must_use]
    pub fn from_rows(view: RestoreItem) -> Self {
        let sources = view.versions.iter().flatten().filter_map(|v| Some((v.id.clone(), v.mark.clone()?))).collect();
        Self { view, sources, value: None, false_marks: Vec::new(), fixed_differs: false }
    }

    /// Learns from the marks of the snapshot's versions: a snapshot version that was restored from a version of this
    /// instance names it.
    pub fn learn_origins(&mut self, snapshot: &RestoreItem) {
        for version in self.view.versions.iter().flatten() {
            let from_here = |theirs: &&RestoreVersion| theirs.mark.as_deref() == Some(version.id.as_str());
            if let Some(theirs) = snapshot.versions.iter().flatten().find(from_here) {
                self.sources.entry(version.id.clone()).or_insert_with(|| theirs.id.clone());
            }
        }
    }

    /// Returns the newest version that holds the payload of a source version.
    #[must_use]
    pub fn holding(&self, source: &str) -> Option<&RestoreVersion> {
        let holds = |version: &&RestoreVersion| self.sources.get(&version.id).is_some_and(|id| id == source);
        self.view.versions.iter().flatten().rev().find(holds)
    }

    /// Returns the name of a version in states.
    #[must_use]
    pub fn version_name(&self, own: &str) -> String {
        version_name(self.sources.get(own).map(String::as_str), own)
    }

    /// Returns the full state; `names` are the settings that are compared.
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

/// Returns the digest of settings and mark that plans compare.
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

/// Returns the digest of a version's metadata and mark.
#[must_use]
pub fn metadata_digest(metadata: &JsonObject, mark: Option<&str>) -> Digest {
    let mark = mark.map(|mark| format!("\nmark {mark}")).unwrap_or_default();
    sha256(format!("{}{mark}", normal(&metadata.to_raw())).as_bytes())
}

/// Returns the digest of everything that a client can set in a lock.
#[must_use]
pub fn lock_digest(lock: &RestoreLock) -> Digest {
    sha256(normal(&lock.settings.to_raw()).as_bytes())
}

/// Documents of a standby item that must be read before it can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Nothing: the list rows are sufficient.
    Nothing,
    /// Versions and locks, without payloads.
    Details,
}

/// Decides whether the list rows of a secret prove that its versions and locks match the snapshot.
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

/// Maps the newest standby versions of a secret to the source versions at the same position. Valid if the rows prove
/// that all versions match.
#[must_use]
pub fn by_place(goal: &Goal, there: &RestoreItem) -> BTreeMap<String, String> {
    let sources = goal.versions.iter().rev().map(|version| version.id.clone());
    there.newest.iter().cloned().zip(sources).collect()
}

/// Returns true if every wanted lock is listed on the version at the position of its source version.
fn locks_listed(goal: &Goal, there: &RestoreItem) -> bool {
    let own = |source: &str| {
        let place = goal.versions.iter().rev().position(|version| version.id == source)?;
        there.newest.get(place)
    };
    goal.locks.iter().all(|lock| {
        own(&lock.version).is_some_and(|own| there.lock_names.iter().any(|(id, name)| id == own && *name == lock.name))
    })
}
