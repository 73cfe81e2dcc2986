//! Checks whether the old primary still rotates the secrets that are about to rotate here.
//!
//! Two instances that rotate the same credential break each other: each invalidates the other's value. Nothing is
//! turned on unless the old primary answers that it rotates none of them, or the operator states that it is gone.
//! During an outage that is one flag.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ActivateError;
use crate::job::restore::survey::view_of;
use crate::model::with_causes;
use crate::model::{ItemKey, ItemKind};
use crate::provider::{InstanceError, Listed, Sink};
use crate::provider::{Look, Standby};

/// Timeout for the old primary, which does not respond during an outage.
const PATIENCE: Duration = Duration::from_secs(60);
/// Maximum number of names in a message.
const NAMES_SAID: usize = 5;

/// Access to the old primary.
#[derive(Debug, Clone, Copy)]
pub enum PrimaryAccess<'a> {
    /// Ask it through this client.
    Ask(&'a dyn Standby),
    /// No access is configured.
    Unknown,
    /// Do not ask: the operator states that it is gone, or that its values are no longer used.
    Dead,
}

/// Response of the old primary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldPrimary {
    /// It was not asked, because no access is configured.
    NotAsked,
    /// The operator states that it is gone.
    SaidDead,
    /// It did not respond.
    Silent {
        /// Reason, in one line.
        why: String,
    },
    /// It has none of the secrets: it may be another instance.
    Stranger,
    /// It responded.
    Answered {
        /// Names of secrets that it still rotates; empty if none.
        rotates: Vec<String>,
    },
}

/// Search for secrets by id that collects the names of those that rotate.
struct RotationSearch<'a> {
    standby: &'a dyn Standby,
    wanted: &'a BTreeSet<String>,
    /// Ids found in the listing.
    found: BTreeSet<String>,
    rotates: Vec<String>,
}

impl Sink for RotationSearch<'_> {
    fn take(&mut self, listed: Listed) {
        if listed.item.key.kind() == ItemKind::Secret && self.wanted.contains(listed.item.key.id()) {
            self.found.insert(listed.item.key.id().to_owned());
            let view = self.standby.converter().describe(&listed.item);
            if view.rotation.is_some() {
                self.rotates.push(view.name);
            }
        }
    }

    fn restart(&mut self) -> bool {
        (self.found, self.rotates) = (BTreeSet::new(), Vec::new());
        true
    }
}

impl RotationSearch<'_> {
    /// Lists the instance, then requests every wanted secret that the listing lacks: a deleted secret no longer
    /// rotates, but one in a group that the key cannot see may.
    async fn run(&mut self) -> Result<(), InstanceError> {
        let standby = self.standby;
        standby.list(self).await?;
        let hidden: Vec<&String> = self.wanted.difference(&self.found).collect();
        // No secret was found, so this is another instance: do not request each secret.
        if self.found.is_empty() {
            return Ok(());
        }
        for id in hidden {
            let Ok(key) = ItemKey::new(ItemKind::Secret, id) else { continue };
            match standby.look(&key, Look { row: true, ..Look::default() }).await {
                Ok(docs) => {
                    if view_of(standby.converter(), &key, "", docs).rotation.is_some() {
                        self.rotates.push(id.clone());
                    }
                }
                Err(InstanceError::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl PrimaryAccess<'_> {
    /// Asks which of these secrets, by their ids there, the old primary still rotates. Reads no payload.
    pub(super) async fn ask(self, wanted: &BTreeSet<String>) -> OldPrimary {
        let source = match self {
            Self::Dead => return OldPrimary::SaidDead,
            Self::Unknown => return OldPrimary::NotAsked,
            Self::Ask(source) => source,
        };
        let mut search = RotationSearch { standby: source, wanted, found: BTreeSet::new(), rotates: Vec::new() };
        match tokio::time::timeout(PATIENCE, search.run()).await {
            Err(_) => OldPrimary::Silent { why: format!("no answer within {} seconds", PATIENCE.as_secs()) },
            Ok(Err(error)) => OldPrimary::Silent { why: with_causes(&error) },
            Ok(Ok(())) if search.found.is_empty() && !wanted.is_empty() => OldPrimary::Stranger,
            Ok(Ok(())) => OldPrimary::Answered { rotates: search.rotates },
        }
    }
}

impl OldPrimary {
    /// Checks whether rotation may be turned on here.
    ///
    /// # Errors
    /// If the old primary still rotates, or its state is unknown.
    pub fn allows(&self) -> Result<(), ActivateError> {
        match self {
            Self::SaidDead => Ok(()),
            Self::Answered { rotates } if rotates.is_empty() => Ok(()),
            Self::Answered { rotates } => {
                let mut names = rotates.iter().take(NAMES_SAID).cloned().collect::<Vec<_>>().join(", ");
                if rotates.len() > NAMES_SAID {
                    names.push_str(&format!(" and {} more", rotates.len() - NAMES_SAID));
                }
                Err(ActivateError::StillRotates { names })
            }
            Self::NotAsked => Err(ActivateError::NotAsked),
            Self::Silent { why } => Err(ActivateError::Silent { why: why.clone() }),
            Self::Stranger => Err(ActivateError::Stranger),
        }
    }
}
