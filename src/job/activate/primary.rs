//! The instance that was the primary: whether it still rotates what is about to be turned on here.
//!
//! Two instances that rotate one credential break each other: each makes the other's value invalid. So the old primary is
//! asked, and nothing is turned on unless it has said that it rotates none of them, or the operator has said that it is
//! gone. In an outage that is one flag.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ActivateError;
use crate::job::restore::survey::view_of;
use crate::model::with_causes;
use crate::model::{ItemKey, ItemKind};
use crate::provider::{InstanceError, Listed, Sink};
use crate::provider::{Look, Standby};

/// How long the old primary is given to answer: in an outage it will not.
const PATIENCE: Duration = Duration::from_secs(60);
/// Names that a message lists.
const NAMES_SAID: usize = 5;

/// How the old primary can be asked.
#[derive(Debug, Clone, Copy)]
pub enum PrimaryAccess<'a> {
    /// Through this client.
    Ask(&'a dyn Standby),
    /// It is not known how.
    Unknown,
    /// It need not be asked: the operator says that it is gone, or that nobody uses its values any more.
    Dead,
}

/// What the old primary said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldPrimary {
    /// It was not asked: nothing says how.
    NotAsked,
    /// The operator says that it is gone.
    SaidDead,
    /// It gave no answer.
    Silent {
        /// Why, in one line.
        why: String,
    },
    /// It answered and has none of the secrets: it may be another instance.
    Stranger,
    /// It answered and rotates these, by name; none when it rotates none of them.
    Answered {
        /// Names of secrets that it still rotates.
        rotates: Vec<String>,
    },
}

/// Looks for secrets by id and keeps the names of those that rotate.
struct RotationSearch<'a> {
    standby: &'a dyn Standby,
    wanted: &'a BTreeSet<String>,
    /// Ids that the list shows.
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
    /// Lists the instance, then asks for every wanted secret that the list lacks: one that was deleted rotates no more,
    /// one in a group that the key does not see may.
    async fn run(&mut self) -> Result<(), InstanceError> {
        let standby = self.standby;
        standby.list(self).await?;
        let hidden: Vec<&String> = self.wanted.difference(&self.found).collect();
        // Nothing of it is there: another instance, and no question about each secret.
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
    /// Asks which of these secrets, by their ids there, it still rotates. Reads no payload.
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
    /// Whether rotation may be turned on here.
    ///
    /// # Errors
    /// When it still rotates there, or that is unknown.
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
