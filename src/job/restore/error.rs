//! Errors that stop a restore as a whole. An error about one item stops only that item.

use super::guard::GuardError;
use super::policy::PolicyError;
use crate::model::key::KeyError;
use crate::model::{Digest, FailureKind, ItemKey};
use crate::provider::ConvertError;
use crate::provider::InstanceError;

/// A restore that cannot continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The instance failed.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The backup cannot be read.
    #[error("cannot read the backup")]
    Backup {
        /// Kind of failure.
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
    /// A pack is missing or altered. Only its contents are lost.
    #[error("pack {pack} cannot be used: {why}; `keyhaven verify` tells how far the damage goes")]
    PackDamaged {
        /// The pack.
        pack: Digest,
        /// Reason, in one line.
        why: String,
    },
    /// A payload cannot be converted as its treatment requires.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A policy of the configuration cannot be applied.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The target must not be written to.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The plan was made for another snapshot or standby.
    #[error("the plan does not fit: {why}; make a new one with `keyhaven restore plan`")]
    Unfit {
        /// The mismatch.
        why: String,
    },
    /// An item id of the provider is invalid.
    #[error("the standby shows an item whose id cannot be used")]
    Key(#[from] KeyError),
    /// Interrupted by a signal.
    #[error("interrupted; the same plan can be applied again")]
    Interrupted,
}

impl RestoreError {
    /// Returns the kind of this failure.
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
