//! What can go wrong with a restore as a whole. What goes wrong with one item stops only that item.

use super::guard::GuardError;
use super::policy::PolicyError;
use crate::model::key::KeyError;
use crate::model::{Digest, FailureKind, ItemKey};
use crate::provider::ConvertError;
use crate::provider::InstanceError;

/// A restore that cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The instance.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The backup cannot be read.
    #[error("cannot read the backup")]
    Backup {
        /// What kind of failure it is.
        kind: FailureKind,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A pack lacks a payload that the catalogue says is in it.
    #[error("pack {pack} lacks version {version} of {key}; `keyhaven verify` tells how far the damage goes")]
    PayloadMissing {
        /// The pack.
        pack: Digest,
        /// The item.
        key: ItemKey,
        /// The version.
        version: String,
    },
    /// A pack is missing or is not what was signed. Only what lies in it is lost.
    #[error("pack {pack} cannot be used: {why}; `keyhaven verify` tells how far the damage goes")]
    PackDamaged {
        /// The pack.
        pack: Digest,
        /// Why, in one line.
        why: String,
    },
    /// A payload cannot become what its treatment makes of it.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A policy of the configuration cannot be followed.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The target must not be written to.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The plan was made for another snapshot or standby.
    #[error("the plan does not fit: {why}; make a new one with `keyhaven restore plan`")]
    Unfit {
        /// What does not fit.
        why: String,
    },
    /// The provider's id of an item cannot be one.
    #[error("the standby shows an item whose id cannot be used")]
    Key(#[from] KeyError),
    /// Interrupted by a signal.
    #[error("interrupted; the same plan can be applied again")]
    Interrupted,
}

impl RestoreError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Instance(error) => error.kind(),
            Self::Backup { kind, .. } => *kind,
            Self::PayloadMissing { .. } | Self::PackDamaged { .. } => FailureKind::Integrity,
            Self::Convert(_) => FailureKind::Partial,
            Self::Policy(_) => FailureKind::Usage,
            Self::Guard(error) => error.kind(),
            Self::Unfit { .. } => FailureKind::Moved,
            Self::Key(_) => FailureKind::Instance,
            Self::Interrupted => FailureKind::Interrupted,
        }
    }
}
