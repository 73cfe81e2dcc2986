//! Locates an item in its chain: from the listing if that is sufficient, otherwise by reading the standby.

use super::chain::Chain;
use super::halt::Halt;
use super::run::{ApplyRun, moved};
use crate::job::restore::error::RestoreError;
use crate::job::restore::goal::Goal;
use crate::job::restore::known::{Question, StandbyItem, need, settings_digest};
use crate::job::restore::matching::Match;
use crate::job::restore::plan::Step;
use crate::job::restore::snapshot_item::SnapshotItem;
use crate::job::restore::state::{ItemState, position};
use crate::job::restore::survey::{SurveyedItem, Surveyor};
use crate::model::{ItemKey, ItemKind, Treatment};
use crate::provider::{Action, Listed};
use crate::provider::{Look, StandbyQuery};

impl ApplyRun<'_> {
    /// Returns the goal of a secret, computed as in the plan.
    pub(super) fn goal(&self, entry: &SnapshotItem) -> Result<Goal, Halt> {
        entry.goal(self.planned_at()).map_err(Halt::Lost)
    }

    fn surveyor(&self) -> Surveyor<'_> {
        Surveyor { standby: self.standby, payloads: self.payloads, names: self.names(), deep: false }
    }

    /// Determines how many steps of the item are completed, from the listing if that is sufficient.
    pub(super) async fn locate(&self, chain: &mut Chain<'_>, entry: &SnapshotItem) -> Result<(), Halt> {
        let key = &entry.item.key;
        let planned = match &chain.target {
            Some(id) => {
                let key = ItemKey::new(key.kind(), id).map_err(|error| Halt::Stop(error.into()))?;
                self.listed.inventory.get(&key)
            }
            None => None,
        };
        if planned.is_none() && chain.replaces() {
            chain.forget();
        }
        let found = match (planned, &chain.target) {
            (Some(listed), _) => Some(listed),
            (None, Some(_)) => None,
            (None, None) => match self.listed.inventory.find(&entry.view, entry.group.as_deref()) {
                Match::Absent => None,
                Match::Found((_, listed)) => Some(listed),
                Match::Origin(why) | Match::Conflict(why) => return Err(Halt::Conflict(why)),
            },
        };
        let at = match found {
            Some(listed) if self.settled(chain, entry, listed)? => {
                chain.learn(Some(listed.clone()), None);
                Some(chain.steps.len())
            }
            Some(listed) => {
                let known = self.look(entry, listed, false).await?;
                let state = state(entry, known.as_ref());
                chain.learn(Some(listed.clone()), known);
                place(chain, &state)?
            }
            None => place(chain, &ItemState::default())?,
        };
        chain.at = at;
        self.found_done(at.unwrap_or(0));
        Ok(())
    }

    /// Returns true if the list rows of a secret show that its whole chain is completed.
    fn settled(&self, chain: &Chain<'_>, entry: &SnapshotItem, listed: &Listed) -> Result<bool, Halt> {
        let Some(last) = chain.steps.last().filter(|_| entry.item.key.kind() == ItemKind::Secret) else {
            return Ok(false);
        };
        let view = self.surveyor().view(&listed.item);
        let settings = settings_digest(&view.settings, entry.view.compared(), view.mark.as_ref());
        let goal = self.goal(entry)?;
        let right = match entry.treatment {
            Treatment::Reissue => {
                let locked = |name: &str| view.lock_names.iter().any(|(_, there)| there == name);
                goal.locks.iter().all(|lock| locked(&lock.name))
            }
            _ => need(&goal, entry.item.key.id(), &view) == Question::Nothing,
        };
        Ok(last.leaves.settings == Some(settings) && right)
    }

    /// Reads an existing item.
    async fn look(&self, entry: &SnapshotItem, listed: &Listed, fresh: bool) -> Result<Option<StandbyItem>, Halt> {
        let surveyor = self.surveyor();
        let found = match entry.item.key.kind() {
            ItemKind::Group | ItemKind::Registration | ItemKind::Other => {
                SurveyedItem { known: Some(surveyor.plain(listed)), compared: 0 }
            }
            ItemKind::Configuration => surveyor.configuration(entry, listed).await?,
            ItemKind::Secret if entry.treatment == Treatment::Reissue => {
                surveyor.issued(&self.goal(entry)?, listed, fresh).await?
            }
            ItemKind::Secret => surveyor.details(entry, &self.goal(entry)?, listed, fresh).await?,
        };
        Ok(found.known)
    }

    /// Reads the current state of the item, however it was created.
    pub(super) async fn observe(&self, chain: &mut Chain<'_>, entry: &SnapshotItem) -> Result<ItemState, Halt> {
        let secret = entry.item.key.kind() == ItemKind::Secret;
        let listed = match chain.listed.clone().filter(|_| secret) {
            Some(listed) => Some(listed),
            None => self.find(entry).await?,
        };
        // The response that would have shown the instance may be the one that was lost.
        if let Some(full_name) = listed.as_ref().and_then(|listed| self.standby.instance_of(&listed.item)) {
            self.check_target(&full_name)?;
        }
        let known = match &listed {
            Some(listed) => self.look(entry, listed, true).await?,
            None => None,
        };
        let state = state(entry, known.as_ref());
        chain.learn(listed, known);
        Ok(state)
    }

    async fn find(&self, entry: &SnapshotItem) -> Result<Option<Listed>, Halt> {
        let group = entry.group.as_deref().and_then(|name| self.group(name));
        let wanted = StandbyQuery {
            key: &entry.item.key,
            item_type: &entry.view.item_type,
            name: &entry.view.name,
            group: group.as_deref(),
        };
        Ok(self.standby.find(&wanted).await.map_err(RestoreError::from)?)
    }

    /// Reads the row of a secret whose metadata is to be patched, and returns true if it is already correct. A version
    /// added earlier may have changed the metadata, so earlier knowledge is not used.
    pub(super) async fn is_patched(
        &self,
        chain: &mut Chain<'_>,
        entry: &SnapshotItem,
        step: &Step,
    ) -> Result<bool, Halt> {
        let Action::PatchMetadata { .. } = &step.action else { return Ok(false) };
        let id = chain.target.as_deref().unwrap_or_default();
        let key = ItemKey::new(ItemKind::Secret, id).map_err(RestoreError::from)?;
        let look = Look { row: true, ..Look::default() };
        let mut item = entry.item.clone();
        item.item_type.clone_from(&entry.view.item_type);
        item.docs = self.standby.look(&key, look).await.map_err(RestoreError::from)?;
        let row = self.surveyor().view(&item);
        let now = settings_digest(&row.settings, entry.view.compared(), row.mark.as_ref());
        // The request contains ids again.
        chain.row = Some(self.converter().describe(&item));
        Ok(step.leaves.settings == Some(now))
    }
}

/// Returns the state of an item, as far as its plan compares it.
fn state(entry: &SnapshotItem, known: Option<&StandbyItem>) -> ItemState {
    known.map(|known| known.state(entry.view.compared())).unwrap_or_default()
}

/// Returns the item's position in its chain.
fn place(chain: &Chain<'_>, state: &ItemState) -> Result<Option<usize>, Halt> {
    match (position(&chain.steps, state), chain.first()) {
        (Some(at), _) => Ok(Some(at)),
        (None, Some(first)) => Err(Halt::Conflict(moved(first, state))),
        (None, None) => Ok(None),
    }
}
