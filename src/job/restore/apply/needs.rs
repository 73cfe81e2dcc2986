//! Dependencies of an item while a plan is applied: an item is not tried until its dependencies are usable.

use super::chain::Chain;
use super::halt::Halt;
use super::run::ApplyRun;
use crate::job::restore::plan::Step;
use crate::job::restore::snapshot_item::SnapshotItem;
use crate::model::Treatment;
use crate::model::with_causes;
use crate::provider::reference::reference;
use crate::provider::{Certification, ItemDependency, RestoreItem};

/// Returns why an authority of the standby is not usable yet; `None` if it is.
pub(super) fn unusable(view: &RestoreItem) -> Option<&'static str> {
    match view.certification? {
        Certification::Unsigned | Certification::Requested => Some("it has no certificate yet"),
        Certification::Ended => Some("its certificate has expired or was revoked"),
        Certification::Certified => None,
    }
}

/// Returns the reference to a standby item that is identified by its name.
pub(super) fn reference_of(view: &RestoreItem) -> String {
    reference(view.key.kind(), &view.item_type, None, &view.name)
}

impl ApplyRun<'_> {
    /// Returns the dependency that the standby lacks, with the reason if known.
    pub(super) fn missing_requirement(&self, entry: &SnapshotItem) -> Option<String> {
        let needs = self.converter().needs(&entry.view);
        needs.iter().find_map(|need| self.lacks(need))
    }

    fn lacks(&self, need: &ItemDependency) -> Option<String> {
        let there =
            |reference: &str| self.names().id(reference).is_some() || self.names().reference(reference).is_some();
        let mut why = None;
        for reference in &need.any_of {
            match self.unusable(reference) {
                None if there(reference) => return None,
                reason => why = why.or(reason),
            }
        }
        let why = why.unwrap_or_else(|| "it is not in the standby".to_owned());
        Some(format!("it needs {}: {why}", need.what))
    }

    /// Returns true if all dependencies of a chain's item are available.
    pub(super) fn ready(&self, chain: &Chain<'_>) -> bool {
        let entry = chain.first().and_then(|step| self.entry(&step.key));
        entry.is_none_or(|entry| self.missing_requirement(entry).is_none())
    }

    /// Returns true if the standby issues the item of a chain.
    pub(super) fn issues(&self, chain: &Chain<'_>) -> bool {
        let entry = chain.first().and_then(|step| self.entry(&step.key));
        entry.is_some_and(|entry| entry.treatment == Treatment::Reissue)
    }

    /// Records for dependent items that an item was not created. An item that exists, and is the right one, stays
    /// usable even if its last step failed.
    pub(super) fn note_unmade(&self, chain: &Chain<'_>, halt: &Halt) {
        let Some(entry) = chain.first().and_then(|step| self.entry(&step.key)) else { return };
        let why = match halt {
            Halt::Conflict(why) | Halt::Failed(why) | Halt::Lost(why) | Halt::Skipped(why) => why.clone(),
            Halt::Overload(error) => with_causes(error),
            // Waiting items are recorded by their state.
            Halt::Waiting(_) | Halt::Stop(_) => return,
        };
        let reference = entry.reference();
        let another = matches!(halt, Halt::Conflict(_));
        if another || self.names().id(&reference).is_none() {
            self.set_unusable(reference, Some(format!("it could not be made: {why}")));
        }
    }

    /// Records the effect of a completed step for dependent items.
    pub(super) fn note_made(&self, chain: &Chain<'_>, entry: &SnapshotItem, step: &Step) {
        let reference = entry.reference();
        let by_name = entry.item.key.kind() == crate::model::ItemKind::Configuration;
        let named = by_name.then(|| format!("{}/{}", entry.view.item_type, entry.view.name));
        if let Some(id) = chain.target.clone().or(named) {
            self.names().add(&id, reference.clone());
        }
        if let Some(certification) = step.leaves.certification {
            let view = RestoreItem { certification: Some(certification), ..entry.view.clone() };
            self.set_unusable(reference, unusable(&view).map(ToOwned::to_owned));
        }
    }
}
