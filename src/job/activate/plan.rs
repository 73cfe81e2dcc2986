//! Plan for turning rotation on, as plain data.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::primary::OldPrimary;
use crate::job::plan_file::PlanFile;
use crate::job::restore::plan::{Remark, StandbyName};
use crate::model::{Digest, FailureKind, ItemKey, Timestamp};

/// A plan for turning on held-back rotation. Bound to one standby; can be applied any number of times.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Activation {
    /// [`PlanFile::FORMAT`].
    pub activation_format: u32,
    /// The instance that has become the primary.
    pub standby: StandbyName,
    /// Time of the plan, by the instance's clock.
    pub made: Timestamp,
    /// Response of the old primary at the time of the plan. It is asked again before anything is changed.
    pub old_primary: OldPrimary,
    /// One step per secret, in key order.
    pub steps: Vec<RotationStep>,
    /// Number of secrets with a restore mark that holds nothing back.
    pub nothing_held: u64,
    /// Digest of everything else, to detect accidental changes.
    pub digest: Digest,
}

/// Step that turns on the rotation of one secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RotationStep {
    /// Position in the plan, from 1.
    pub id: u32,
    /// Key of the secret in the standby.
    pub key: ItemKey,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Group name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Id in the instance that it was restored from.
    pub source: String,
    /// Policy to turn on, as in the source.
    pub policy: Box<RawValue>,
    /// Due time of the first rotation: creation of the current version plus the policy's interval.
    pub due: Option<Timestamp>,
    /// Whether it rotates at once.
    pub at_once: RotatesAtOnce,
}

/// Whether a secret rotates as soon as its policy is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotatesAtOnce {
    /// A rotation is already due.
    Due,
    /// The due time is in the future. The provider does not document whether a policy change triggers a rotation, so it
    /// may.
    May,
    /// It already rotates; only the mark is corrected.
    Rotates,
}

impl RotationStep {
    /// Creates a remark about the secret.
    #[must_use]
    pub fn remark(&self, reason: impl Into<String>) -> Remark {
        Remark {
            key: self.key.clone(),
            name: self.name.clone(),
            item_type: self.item_type.clone(),
            group: self.group.clone(),
            reason: reason.into(),
        }
    }
}

impl PlanFile for Activation {
    const FORMAT: u32 = 1;
    const FORM: &'static str = "activation_format";
    const COMMAND: &'static str = "keyhaven restore activate plan";

    fn digest_mut(&mut self) -> &mut Digest {
        &mut self.digest
    }
}

impl Activation {
    /// Returns the result of the plan for a command that only checks.
    #[must_use]
    pub fn check(&self) -> Option<FailureKind> {
        (!self.steps.is_empty()).then_some(FailureKind::Different)
    }
}
