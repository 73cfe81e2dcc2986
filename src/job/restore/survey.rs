//! Reads the standby: as little as the comparison needs, and never a payload that is not safe to read.

use std::collections::BTreeMap;

use super::backup::Payloads;
use super::error::RestoreError;
use super::goal::Goal;
use super::known::{Question, StandbyItem, by_place, need};
use crate::job::restore::snapshot_item::SnapshotItem;
use crate::model::{Docs, Item, ItemKey, Payload, Restorability, Slot};
use crate::provider::{
    InstanceError, ItemConverter, Listed, Look, PayloadMatch, Readable, ReferenceNames, RestoreItem, Sink, Standby,
};

/// Reader of standby items.
#[derive(Debug)]
pub struct Surveyor<'a> {
    /// The standby.
    pub standby: &'a dyn Standby,
    /// Payloads of the snapshot.
    pub payloads: &'a Payloads<'a>,
    /// Names of the standby's ids.
    pub names: &'a ReferenceNames,
    /// True if every payload is read and compared, even if marks say that it is correct.
    pub deep: bool,
}

/// Result of surveying an item.
#[derive(Debug)]
pub struct SurveyedItem {
    /// Current knowledge; `None` if the item is gone.
    pub known: Option<StandbyItem>,
    /// Number of standby payloads read and compared.
    pub compared: u64,
}

impl<'a> Surveyor<'a> {
    fn converter(&self) -> &'a dyn ItemConverter {
        self.standby.converter()
    }

    /// Returns the provider-independent view of a standby item, with ids replaced by references.
    #[must_use]
    pub fn view(&self, item: &Item) -> RestoreItem {
        let mut view = self.converter().describe(item);
        self.converter().name_references(&mut view, self.names);
        view
    }

    /// Reads a secret that the standby issued. Never reads a payload; reads versions and locks only if locks may be
    /// missing.
    ///
    /// # Errors
    /// If the standby cannot be read.
    pub async fn issued(&self, goal: &Goal, there: &Listed, fresh: bool) -> Result<SurveyedItem, RestoreError> {
        let view = self.view(&there.item);
        let locked = |name: &str| view.lock_names.iter().any(|(_, there)| there == name);
        let mut there = there.item.clone();
        if fresh || !goal.locks.iter().all(|lock| locked(&lock.name)) {
            let look = Look { row: fresh, versions: true, locks: true };
            let docs = match self.standby.look(&there.key, look).await {
                Ok(docs) => docs,
                Err(InstanceError::Gone { .. }) => return Ok(SurveyedItem { known: None, compared: 0 }),
                Err(error) => return Err(error.into()),
            };
            if fresh {
                there.docs.clear();
            }
            there.docs.extend(docs);
        }
        Ok(SurveyedItem { known: Some(StandbyItem::from_rows(self.view(&there))), compared: 0 })
    }

    /// Reads a listed secret. Reads versions and locks only if its rows do not prove that they are correct.
    ///
    /// # Errors
    /// If the standby or the backup cannot be read.
    pub async fn secret(
        &self,
        entry: &SnapshotItem,
        goal: &Goal,
        there: &Listed,
    ) -> Result<SurveyedItem, RestoreError> {
        let view = self.view(&there.item);
        if !self.deep && need(goal, entry.item.key.id(), &view) == Question::Nothing {
            let sources = by_place(goal, &view);
            let known = StandbyItem { sources, ..StandbyItem::from_rows(view) };
            return Ok(SurveyedItem { known: Some(known), compared: 0 });
        }
        self.details(entry, goal, there, false).await
    }

    /// Reads the current versions and locks of a secret, its row if `fresh`, and payloads only if marks are missing.
    ///
    /// # Errors
    /// If the standby or the backup cannot be read; [`InstanceError::Moved`] if the secret keeps changing meanwhile.
    pub async fn details(
        &self,
        entry: &SnapshotItem,
        goal: &Goal,
        there: &Listed,
        fresh: bool,
    ) -> Result<SurveyedItem, RestoreError> {
        match self.look(entry, goal, there, fresh).await {
            Err(RestoreError::Instance(InstanceError::Moved { .. })) => self.look(entry, goal, there, true).await,
            found => found,
        }
    }

    async fn look(
        &self,
        entry: &SnapshotItem,
        goal: &Goal,
        there: &Listed,
        fresh: bool,
    ) -> Result<SurveyedItem, RestoreError> {
        let look = Look { row: fresh, versions: true, locks: true };
        let docs = match self.standby.look(&there.item.key, look).await {
            Ok(docs) => docs,
            Err(InstanceError::Gone { .. }) => return Ok(SurveyedItem { known: None, compared: 0 }),
            Err(error) => return Err(error.into()),
        };
        let mut there = there.clone();
        if fresh {
            // Documents from earlier lists are older than these.
            there.item.docs.clear();
        }
        there.item.docs.extend(docs);
        let mut known = StandbyItem::from_rows(self.view(&there.item));
        // A rewritten payload is not the payload that the item was restored from.
        if entry.rewrites.is_empty() {
            known.learn_origins(&self.converter().describe(&entry.item));
        }
        let unmarked = known.view.versions.iter().flatten().any(|version| version.payload && version.mark.is_none());
        if there.readable != Readable::Payloads || !self.payloads.usable() || !(self.deep || unmarked) {
            return Ok(SurveyedItem { known: Some(known), compared: 0 });
        }
        let compared = self.compare(entry, goal, &there, &mut known).await?;
        Ok(SurveyedItem { known: Some(known), compared })
    }

    /// Reads the standby's payloads and determines which source versions they are.
    async fn compare(
        &self,
        entry: &SnapshotItem,
        goal: &Goal,
        there: &Listed,
        known: &mut StandbyItem,
    ) -> Result<u64, RestoreError> {
        let reading = self.standby.read(there, None).await?;
        let mut compared = 0;
        let versions = reading.payloads.iter().filter(|(slot, _)| slot.as_str() != Slot::WITHHELD);
        for (place, (slot, payload)) in versions.enumerate() {
            compared += 1;
            if place == 0
                && let Some(newest) = goal.newest()
                && let Some(ours) = self.payloads.get(self.converter(), entry, newest).await?
            {
                known.fixed_differs = !self.match_payloads(entry, &ours, payload).fixed;
            }
            let own = slot.as_str();
            let mark = known.view.version(own).and_then(|version| version.mark.clone());
            let mut candidates: Vec<&str> = goal.versions.iter().rev().map(|version| version.id.as_str()).collect();
            // Try the version at the same position first: two versions may hold the same payload.
            if place < candidates.len() {
                let first = candidates.remove(place);
                candidates.insert(0, first);
            }
            if let Some(mark) = &mark {
                candidates.retain(|id| id == mark);
            }
            let wanted = candidates.len();
            let mut source = None;
            for id in candidates {
                let Some(ours) = self.payloads.get(self.converter(), entry, id).await? else { continue };
                if self.match_payloads(entry, &ours, payload).whole {
                    source = Some(id.to_owned());
                    break;
                }
            }
            match (source, mark) {
                (Some(source), _) => {
                    known.sources.insert(own.to_owned(), source);
                }
                (None, Some(_)) if wanted > 0 => known.false_marks.push(own.to_owned()),
                (None, _) => {}
            }
        }
        Ok(compared)
    }

    /// Reads a listed configuration and compares its value with the snapshot's.
    ///
    /// # Errors
    /// If the standby or the backup cannot be read.
    pub async fn configuration(&self, entry: &SnapshotItem, there: &Listed) -> Result<SurveyedItem, RestoreError> {
        let reading = match self.standby.read(there, None).await {
            Ok(reading) => reading,
            Err(InstanceError::Gone { .. }) => return Ok(SurveyedItem { known: None, compared: 0 }),
            Err(error) => return Err(error.into()),
        };
        if !self.payloads.usable() {
            let mut there = there.item.clone();
            there.docs = reading.docs;
            return Ok(SurveyedItem { known: Some(StandbyItem::from_rows(self.view(&there))), compared: 0 });
        }
        let ours = self.payloads.get(self.converter(), entry, Slot::VALUE).await?;
        let value = |(slot, payload): &(Slot, _)| (slot.as_str() == Slot::VALUE).then(|| Clone::clone(payload));
        let theirs = reading.payloads.iter().find_map(value);
        let same = match (ours, theirs) {
            (Some(ours), Some(theirs)) => self.match_payloads(entry, &ours, &theirs).whole,
            (None, None) => true,
            _ => false,
        };
        let mut there = there.item.clone();
        there.docs = reading.docs;
        let known = StandbyItem { value: Some(same), ..StandbyItem::from_rows(self.view(&there)) };
        Ok(SurveyedItem { known: Some(known), compared: 1 })
    }

    /// Compares a payload to be written with one in the standby.
    fn match_payloads(&self, entry: &SnapshotItem, ours: &Payload, theirs: &Payload) -> PayloadMatch {
        self.converter().compare_payloads(&entry.view.item_type, ours, theirs)
    }

    /// Returns an item whose list row is sufficient.
    #[must_use]
    pub fn plain(&self, there: &Listed) -> StandbyItem {
        StandbyItem::from_rows(self.view(&there.item))
    }
}

/// Returns the view of a standby item from its documents alone.
#[must_use]
pub fn view_of(converter: &dyn ItemConverter, key: &ItemKey, item_type: &str, docs: Docs) -> RestoreItem {
    converter.describe(&Item {
        key: key.clone(),
        name: String::new(),
        item_type: item_type.to_owned(),
        group: None,
        class: Restorability::Exact.into(),
        revision: None,
        read_at: None,
        payloads: Vec::new(),
        docs,
    })
}

/// All items of a standby, by key.
#[derive(Debug, Default)]
pub struct Collected(pub BTreeMap<ItemKey, Listed>);

impl Sink for Collected {
    fn take(&mut self, listed: Listed) {
        self.0.insert(listed.item.key.clone(), listed);
    }

    fn restart(&mut self) -> bool {
        self.0.clear();
        true
    }
}
