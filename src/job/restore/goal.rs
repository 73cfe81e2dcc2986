//! What a secret of the snapshot should become in a standby, and what of it is lost.

use crate::crypto::digest::sha256;
use crate::instance::standby::normal::normal;
use crate::instance::standby::{LockView, VersionView, View};
use crate::model::{Item, Slot, Timestamp};

/// The part of a secret that can be brought back.
#[derive(Debug, Clone)]
pub struct Goal {
    /// Versions with a payload in the backup, oldest first; the last one is to be current.
    pub versions: Vec<VersionView>,
    /// The locks on these versions.
    pub locks: Vec<LockView>,
    /// 16 hexadecimal digits over the metadata and locks of all versions whose payload the snapshot has.
    pub details: String,
    /// What is lost, as fragments.
    pub losses: Vec<String>,
}

impl Goal {
    /// Works out what of a secret can be brought back at the time `now`.
    ///
    /// # Errors
    /// When nothing of it can: why, as a fragment.
    pub fn new(item: &Item, view: &View, now: Timestamp) -> Result<Self, String> {
        if let Some(expires) = view.expires.filter(|expires| *expires <= now) {
            return Err(format!("it expired at {expires}; the service would destroy it at once"));
        }
        let kept = kept_versions(item, view);
        let Some(newest) = kept.last().map(|version| version.id.clone()) else {
            return Err("the backup holds no payload of it".to_owned());
        };
        let all_locks: Vec<&LockView> =
            view.locks.iter().flatten().filter(|lock| kept.iter().any(|version| version.id == lock.version)).collect();
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
        let here = |lock: &&&LockView| versions.iter().any(|version| version.id == lock.version);
        let locks = all_locks.iter().filter(here).map(|lock| (*lock).clone()).collect();
        Ok(Self { versions, locks, details, losses })
    }

    /// The id, in the source, of the version that is to be current.
    #[must_use]
    pub fn newest(&self) -> Option<&str> {
        self.versions.last().map(|version| version.id.as_str())
    }

    /// A version by its id in the source.
    #[must_use]
    pub fn version(&self, id: &str) -> Option<&VersionView> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// The locks on one version.
    pub fn locks_on<'a>(&'a self, version: &'a str) -> impl Iterator<Item = &'a LockView> {
        self.locks.iter().filter(move |lock| lock.version == version)
    }
}

/// Versions whose payload lies in a pack, oldest first.
fn kept_versions(item: &Item, view: &View) -> Vec<VersionView> {
    let slots = |slot: &&str| *slot != Slot::WITHHELD && *slot != Slot::VALUE;
    // Pointers are newest first; the documents say more, but a version that only a pointer names is kept too.
    let pointers: Vec<&str> = item.payloads.iter().map(|pointer| pointer.version.as_str()).filter(slots).collect();
    let of = |id: &str| {
        view.version(id).cloned().unwrap_or_else(|| VersionView {
            id: id.to_owned(),
            payload: true,
            metadata: crate::model::json::Object::default(),
            mark: None,
            expires: None,
        })
    };
    pointers.iter().rev().map(|id| of(id)).collect()
}

/// The digest over what no list shows; equal for one snapshot whatever the time.
fn details(versions: &[VersionView], locks: &[&LockView]) -> String {
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
