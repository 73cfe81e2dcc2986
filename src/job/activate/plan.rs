//! What turning rotation on would do, as plain data.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::primary::OldPrimary;
use crate::job::plan_file::PlanFile;
use crate::job::restore::plan::{Remark, StandbyName};
use crate::model::{Digest, FailureKind, ItemKey, Timestamp};

/// What turning on what a restore held back would change. Bound to one standby; can be applied any number of times.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Activation {
    /// [`PlanFile::FORMAT`].
    pub activation_format: u32,
    /// The instance that has become the primary.
    pub standby: StandbyName,
    /// When the plan was made, by the instance's clock.
    pub made: Timestamp,
    /// What the old primary said when the plan was made. It is asked again before anything is changed.
    pub old_primary: OldPrimary,
    /// One step a secret, in key order.
    pub steps: Vec<RotationStep>,
    /// Secrets that a restore marked and that hold nothing back.
    pub nothing_held: u64,
    /// The digest of all the rest, against accidents.
    pub digest: Digest,
}

/// Rotation of one secret, turned on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RotationStep {
    /// Its place in the plan, from 1.
    pub id: u32,
    /// The secret, by its key in the standby.
    pub key: ItemKey,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// The name of its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its id in the instance that it was restored from.
    pub source: String,
    /// The policy that is turned on, as the source had it.
    pub policy: Box<RawValue>,
    /// When the first rotation is due: the creation of the current version and the policy's interval.
    pub due: Option<Timestamp>,
    /// Whether it rotates at once.
    pub at_once: RotatesAtOnce,
}

/// Whether a secret rotates as soon as its policy is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotatesAtOnce {
    /// It is due already.
    Due,
    /// Its date lies ahead; the provider does not say whether a changed policy rotates by itself, so it may.
    May,
    /// It rotates already; only the mark is put right.
    Rotates,
}

impl RotationStep {
    /// Says something about the secret.
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
    /// What kind of result the plan is for a command that only asks.
    #[must_use]
    pub fn check(&self) -> Option<FailureKind> {
        (!self.steps.is_empty()).then_some(FailureKind::Different)
    }
}
