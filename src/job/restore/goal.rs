//! The goal of a secret: its state after the restore, and what is lost.

use crate::crypto::digest::sha256;
use crate::model::{Item, Slot, Timestamp};
use crate::provider::normal::normal;
use crate::provider::{RestoreItem, RestoreLock, RestoreVersion};

/// Version id for a secret that never had a version.
pub const NO_VERSION: &str = "none";

/// The restorable part of a secret.
#[derive(Debug, Clone)]
pub struct Goal {
    /// Versions with a payload in the backup, oldest first; the last one becomes the current version.
    pub versions: Vec<RestoreVersion>,
    /// Locks on these versions.
    pub locks: Vec<RestoreLock>,
    /// 16 hexadecimal digits: digest of the metadata and locks of all versions whose payload the snapshot has.
    pub details: String,
    /// Losses, as sentence fragments.
    pub losses: Vec<String>,
}

impl Goal {
    /// Determines what can be restored of a secret at the time `now`.
    ///
    /// # Errors
    /// If nothing can be restored: the reason, as a sentence fragment.
    pub fn new(item: &Item, view: &RestoreItem, now: Timestamp) -> Result<Self, String> {
        if let Some(expires) = view.expires.filter(|expires| *expires <= now) {
            return Err(format!("it expired at {expires}; the service would destroy it at once"));
        }
        let kept = kept_versions(item, view);
        let Some(newest) = kept.last().map(|version| version.id.clone()) else {
            return Err("the backup holds no payload of it".to_owned());
        };
        let locks = rewritten_locks(view);
        let all_locks: Vec<&RestoreLock> =
            locks.iter().filter(|lock| kept.iter().any(|version| version.id == lock.version)).collect();
        let details = details(&kept, &all_locks);
        let mut losses = Vec::new();
        let mut versions = Vec::with_capacity(kept.len());
        for version in kept {
            match version.expires.filter(|expires| *expires <= now) {
                Some(expires) if version.id == newest => {
                    return Err(format!("its current version expired at {expires}; the service would destroy it"));
                }
                Some(expires) => losses.push(format!("its previous version {} expired at {expires}", version.id)),
                None => versions.push(version),
            }
        }
        let here = |lock: &&&RestoreLock| versions.iter().any(|version| version.id == lock.version);
        let locks = all_locks.iter().filter(here).map(|lock| (*lock).clone()).collect();
        Ok(Self { versions, locks, details, losses })
    }

    /// Returns the goal of a secret that the standby reissues: one version without our payload, with the metadata and
    /// locks of the newest source version. If the source has no version, a placeholder version that only carries the
    /// secret.
    #[must_use]
    pub fn reissued(view: &RestoreItem) -> Self {
        let none = || RestoreVersion {
            id: NO_VERSION.to_owned(),
            payload: false,
            metadata: crate::model::json::JsonObject::default(),
            mark: None,
            expires: None,
        };
        let newest = view.current().cloned().unwrap_or_else(none);
        let locks: Vec<&RestoreLock> = view.locks.iter().flatten().filter(|lock| lock.version == newest.id).collect();
        let details = details(std::slice::from_ref(&newest), &locks);
        let locks = locks.into_iter().cloned().collect();
        Self { versions: vec![newest], locks, details, losses: Vec::new() }
    }

    /// Returns the source id of the version that becomes the current one.
    #[must_use]
    pub fn newest(&self) -> Option<&str> {
        self.versions.last().map(|version| version.id.as_str())
    }

    /// Returns a version by its id in the source.
    #[must_use]
    pub fn version(&self, id: &str) -> Option<&RestoreVersion> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// Returns the locks on a version.
    pub fn locks_on<'a>(&'a self, version: &'a str) -> impl Iterator<Item = &'a RestoreLock> {
        self.locks.iter().filter(move |lock| lock.version == version)
    }
}

/// Returns the versions whose payload is in a pack, oldest first.
fn kept_versions(item: &Item, view: &RestoreItem) -> Vec<RestoreVersion> {
    let slots = |slot: &&str| *slot != Slot::WITHHELD && *slot != Slot::VALUE;
    // Pointers are newest first. A version that only a pointer names is kept too.
    let pointers: Vec<&str> = item.payloads.iter().map(|pointer| pointer.version.as_str()).filter(slots).collect();
    let of = |id: &str| {
        view.version(id).cloned().unwrap_or_else(|| RestoreVersion {
            id: id.to_owned(),
            payload: true,
            metadata: crate::model::json::JsonObject::default(),
            mark: None,
            expires: None,
        })
    };
    let rewritten = |id: &str| RestoreVersion { id: version_as(id, &view.rewrites), ..of(id) };
    pointers.iter().rev().map(|id| rewritten(id)).collect()
}

/// Returns the locks, with versions named as in marks.
fn rewritten_locks(view: &RestoreItem) -> Vec<RestoreLock> {
    let named = |lock: &RestoreLock| RestoreLock { version: version_as(&lock.version, &view.rewrites), ..lock.clone() };
    view.locks.iter().flatten().map(named).collect()
}

/// Separator between a version id and the digest of its payload rewrites. No provider id contains it.
const REWRITTEN: char = '~';

/// Returns the name of a source version in marks, plans and states: its id, followed by its payload rewrites if there
/// are any, because other rewrites produce another payload.
#[must_use]
pub fn version_as(id: &str, rewrites: &str) -> String {
    if rewrites.is_empty() { id.to_owned() } else { format!("{id}{REWRITTEN}{rewrites}") }
}

/// Returns the source id of a version named by [`version_as`].
#[must_use]
pub fn source_version(name: &str) -> &str {
    name.split_once(REWRITTEN).map_or(name, |(id, _)| id)
}

/// Returns the digest of details that no list shows. It does not depend on the time of the plan.
fn details(versions: &[RestoreVersion], locks: &[&RestoreLock]) -> String {
    let mut text = String::new();
    for version in versions {
        text.push_str(&format!("version {} {}\n", version.id, normal(&version.metadata.to_raw())));
    }
    let mut locks: Vec<String> = locks
        .iter()
        .map(|lock| format!("lock {} {} {}\n", lock.version, lock.name, normal(&lock.settings.to_raw())))
        .collect();
    locks.sort();
    text.extend(locks);
    let mut digest = sha256(text.as_bytes()).to_string();
    digest.truncate(16);
    digest
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::job::fake::{self, FakeConverter};
    use crate::provider::ItemConverter;

    /// Returns a secret with these documents and payloads, newest first.
    pub(in crate::job::restore) fn item(docs: &[(&str, &str)], payloads: &[&str]) -> Item {
        fake::item("secret/old", "text", "name", docs, payloads)
    }

    pub(in crate::job::restore) fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    const VERSIONS: &str = r#"[{"id":"v1","gone":true},{"id":"v2","ends":"2026-11-01T00:00:00Z"},
        {"id":"v3","metadata":{"n":1.0}}]"#;
    const LOCKS: &str = r#"[{"name":"a","on":"v2"},{"name":"b","on":"v3"}]"#;

    fn goal(item: &Item) -> Result<Goal, String> {
        Goal::new(item, &FakeConverter.describe(item), now())
    }

    #[test]
    fn an_expired_previous_version_is_lost_with_its_locks_and_the_current_one_is_not() {
        let item = item(&[("row", "{}"), ("versions", VERSIONS), ("locks", LOCKS)], &["v3", "v2", "withheld"]);
        let goal = goal(&item).unwrap();
        let ids: Vec<&str> = goal.versions.iter().map(|version| version.id.as_str()).collect();
        assert_eq!((ids.as_slice(), goal.newest()), (&["v3"][..], Some("v3")));
        assert_eq!(goal.locks.iter().map(|lock| lock.name.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(goal.losses.len() == 1 && goal.losses[0].contains("v2 expired"), "{:?}", goal.losses);
    }

    #[test]
    fn nothing_comes_back_of_what_has_ended_or_was_never_read() {
        let ended = item(&[("row", r#"{"ends":"2026-11-22T12:00:00Z"}"#)], &["v3"]);
        assert!(goal(&ended).unwrap_err().contains("expired"));
        let unread = item(&[("row", "{}"), ("versions", VERSIONS)], &["withheld"]);
        assert!(goal(&unread).unwrap_err().contains("no payload"));
    }

    #[test]
    fn the_details_follow_metadata_and_locks_and_nothing_else() {
        let with = |versions: &str, locks: &str| {
            let item = item(&[("row", "{}"), ("versions", versions), ("locks", locks)], &["v3", "v2"]);
            Goal::new(&item, &FakeConverter.describe(&item), Timestamp::from_millis(0)).unwrap().details
        };
        let details = with(VERSIONS, LOCKS);
        assert_eq!(details.len(), 16);
        let retrieved = VERSIONS.replace(r#""id":"v3""#, r#""id":"v3","downloaded":true"#);
        assert_eq!(with(&retrieved, LOCKS), details);
        assert_ne!(with(&VERSIONS.replace("1.0", "1"), LOCKS), details);
        assert_ne!(with(VERSIONS, &LOCKS.replace(r#""name":"b""#, r#""name":"b","why":"d""#)), details);
    }
}
