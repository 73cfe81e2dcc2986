//! What an item needs while a plan is applied: what is not there, or not usable yet, is waited for and never tried.

use super::chain::Chain;
use super::halt::Halt;
use super::run::ApplyRun;
use crate::job::restore::plan::Step;
use crate::job::restore::snapshot_item::SnapshotItem;
use crate::model::Treatment;
use crate::model::with_causes;
use crate::provider::reference::reference;
use crate::provider::{Certification, ItemDependency, RestoreItem};

/// Why an authority of the standby is of no use yet; `None` when it is.
pub(super) fn unusable(view: &RestoreItem) -> Option<&'static str> {
    match view.certification? {
        Certification::Unsigned | Certification::Requested => Some("it has no certificate yet"),
        Certification::Ended => Some("its certificate has expired or was revoked"),
        Certification::Certified => None,
    }
}

/// The text that stands for an item of the standby that is known by its name.
pub(super) fn reference_of(view: &RestoreItem) -> String {
    reference(view.key.kind(), &view.item_type, None, &view.name)
}

impl ApplyRun<'_> {
    /// What the item needs and the standby does not have, with the reason where it is known.
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

    /// Whether everything that the item of a chain needs is there.
    pub(super) fn ready(&self, chain: &Chain<'_>) -> bool {
        let entry = chain.first().and_then(|step| self.entry(&step.key));
        entry.is_none_or(|entry| self.missing_requirement(entry).is_none())
    }

    /// Whether the standby issues the item of a chain.
    pub(super) fn issues(&self, chain: &Chain<'_>) -> bool {
        let entry = chain.first().and_then(|step| self.entry(&step.key));
        entry.is_some_and(|entry| entry.treatment == Treatment::Reissue)
    }

    /// Notes that an item was not made, for those who need it. One that is there and no other stays usable, whatever
    /// became of its last step.
    pub(super) fn note_unmade(&self, chain: &Chain<'_>, halt: &Halt) {
        let Some(entry) = chain.first().and_then(|step| self.entry(&step.key)) else { return };
        let why = match halt {
            Halt::Conflict(why) | Halt::Failed(why) | Halt::Lost(why) | Halt::Skipped(why) => why.clone(),
            Halt::Overload(error) => with_causes(error),
            // What waits is noted by its state.
            Halt::Waiting(_) | Halt::Stop(_) => return,
        };
        let reference = entry.reference();
        let another = matches!(halt, Halt::Conflict(_));
        if another || self.names().id(&reference).is_none() {
            self.set_unusable(reference, Some(format!("it could not be made: {why}")));
        }
    }

    /// Notes what a step that was done means for those who need the item.
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
