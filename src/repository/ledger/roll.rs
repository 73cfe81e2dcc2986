//! Who holds which key: what the entries that count say of each, for people and for whoever changes keys.

use super::Ledger;
use crate::format::event::{KeyChange, KeyGrant};
use crate::format::{Entry, Event, Role};
use crate::model::{Digest, Timestamp};

/// A key and what the ledger says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its fingerprint.
    pub key: Digest,
    /// What people call it: the last name that it was given.
    pub name: String,
    /// All roles that it was given, in the order of [`Role`].
    pub roles: Vec<Role>,
    /// The sequence of the entry that named it first.
    pub since: u64,
    /// The time of that entry.
    pub since_time: Timestamp,
    /// How it ended; nothing while it may sign.
    pub ended: Option<Ended>,
}

/// How a key ended. It does not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// What it had signed until then counts.
    Retired {
        /// The sequence of the entry that says so.
        by: u64,
    },
    /// Only what it had signed up to its last good entry counts.
    Revoked {
        /// The sequence of the entry that says so.
        by: u64,
        /// The last good entry; nothing: none of its entries counts.
        last_good: Option<Digest>,
    },
}

impl Holder {
    /// Whether it may sign as this.
    #[must_use]
    pub fn may_act_as(&self, role: Role) -> bool {
        self.ended.is_none() && self.roles.contains(&role)
    }
}

impl Ledger {
    /// Every key that an entry which counts has named, in the order of these entries.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        let mut holders: Vec<Holder> = Vec::new();
        for entry in self.counted() {
            match &entry.event {
                Event::Init(init) => init.keys.iter().for_each(|grant| add(&mut holders, grant, entry)),
                Event::Keys(KeyChange::Add { grant, .. }) => add(&mut holders, grant, entry),
                _ => {}
            }
        }
        // A removal holds for all entries, wherever it stands, and a revocation says more than a retirement.
        for entry in self.counted() {
            let (key, ended) = match &entry.event {
                Event::Keys(KeyChange::Retire { key, .. }) => (key, Ended::Retired { by: entry.sequence }),
                Event::Keys(KeyChange::Revoke { key, last_good, .. }) => {
                    (key, Ended::Revoked { by: entry.sequence, last_good: *last_good })
                }
                _ => continue,
            };
            for holder in holders.iter_mut().filter(|holder| holder.key == *key) {
                if !matches!(holder.ended, Some(Ended::Revoked { .. })) {
                    holder.ended = Some(ended.clone());
                }
            }
        }
        holders
    }
}

fn add(holders: &mut Vec<Holder>, grant: &KeyGrant, entry: &Entry) {
    let key = grant.public_key.fingerprint();
    match holders.iter_mut().find(|holder| holder.key == key) {
        Some(holder) => {
            holder.roles.extend(&grant.roles);
            holder.roles.sort_unstable();
            holder.roles.dedup();
            if !grant.name.is_empty() {
                holder.name.clone_from(&grant.name);
            }
        }
        None => {
            let mut roles = grant.roles.clone();
            roles.sort_unstable();
            roles.dedup();
            let (name, since, since_time) = (grant.name.clone(), entry.sequence, entry.time);
            holders.push(Holder { key, name, roles, since, since_time, ended: None });
        }
    }
}
