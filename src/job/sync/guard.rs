//! Checks whether a run would change too much. Pure.

use std::collections::BTreeSet;

use crate::job::restore::matching::StandbyIndex;
use crate::job::restore::plan::{Plan, Step};
use crate::job::restore::planner::METADATA_DIFFERS;
use crate::provider::{Action, Listed};

/// Share of the standby that a run would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeShare {
    /// Number of items that would be overwritten.
    pub overwritten: u64,
    /// Number of items that would be deleted.
    pub deleted: u64,
    /// Number of items in the standby.
    pub of: u64,
}

impl ChangeShare {
    /// Computes the share for a plan and a number of deletions, in a standby with `of` items. Creating, marking or
    /// locking an item does not overwrite anything.
    #[must_use]
    pub fn of(plan: &Plan, deleted: u64, of: u64) -> Self {
        let overwrites = |step: &&Step| match &step.action {
            // Part of a replacement: the standby's item is deleted first.
            Action::Delete { .. } => true,
            Action::AddVersion { .. } | Action::UpdateConfiguration | Action::UpdateGroup => step.target.is_some(),
            Action::PatchMetadata { .. } => step.target.is_some() && step.reason == METADATA_DIFFERS,
            _ => false,
        };
        let overwritten: BTreeSet<_> = plan.steps.iter().filter(overwrites).map(|step| &step.key).collect();
        Self { overwritten: overwritten.len() as u64, deleted, of }
    }

    /// Returns why a run that may change at most this share is stopped; `None` if it may continue.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "item counts are far below 2^52")]
    pub fn stopped(self, max_change: f64) -> Option<String> {
        let changed = self.overwritten + self.deleted;
        (changed as f64 > max_change * self.of as f64).then(|| {
            format!(
                "{} of the {} items of the standby would be overwritten and {} deleted, more than {}%; if that is right, \
                 run it with --max-change {}% once, else see what happened to the source (`keyhaven diff`)",
                self.overwritten,
                self.of,
                self.deleted,
                max_change * 100.0,
                (changed * 100).div_ceil(self.of.max(1)).min(100)
            )
        })
    }
}

/// Returns why a run is stopped that would overwrite or replace secrets that rotate in the standby. Restored secrets do
/// not rotate until activated, so rotating secrets are in use and have the newer values.
#[must_use]
pub fn in_use(plan: &Plan, standby: &StandbyIndex<Listed>) -> Option<String> {
    let rotating: BTreeSet<&str> =
        standby.iter().filter(|(view, _)| view.rotation.is_some()).map(|(view, _)| view.key.id()).collect();
    let overwrites = |step: &&Step| matches!(step.action, Action::AddVersion { .. } | Action::Delete { .. });
    let here = |step: &&Step| step.target.as_deref().is_some_and(|id| rotating.contains(id));
    let found: BTreeSet<_> = plan.steps.iter().filter(overwrites).filter(here).map(|s| (&s.key, &s.name)).collect();
    let (_, first) = found.first()?;
    Some(format!(
        "{first}{} rotates in the standby, so it is in use there, and a version of the source would replace its value; a \
         standby that was activated is the primary now and is followed, not synced. Leave it out with --exclude, or turn \
         its rotation off in the standby first",
        if found.len() > 1 { format!(" (and {} more)", found.len() - 1) } else { String::new() }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_what_the_standby_has_and_may_be_reached() {
        let change = |overwritten, deleted, of| ChangeShare { overwritten, deleted, of };
        assert_eq!(change(20, 0, 100).stopped(0.2), None);
        let why = change(15, 6, 100).stopped(0.2).unwrap();
        assert!(
            why.contains("15 of the 100") && why.contains("6 deleted") && why.contains("--max-change 21%"),
            "{why}"
        );
        assert_eq!(change(0, 0, 0).stopped(0.2), None, "an empty standby");
        assert!(change(1, 0, 4).stopped(0.0).is_some());
        assert_eq!(change(4, 0, 4).stopped(1.0), None);
    }
}
