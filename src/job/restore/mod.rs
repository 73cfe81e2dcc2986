//! Restoring a snapshot into a standby: plan, then apply.

pub mod apply;
pub mod assemble;
pub mod backup;
pub mod error;
mod examine;
pub mod goal;
pub mod guard;
pub mod idmap;
pub mod known;
pub mod matching;
pub mod options;
pub mod plan;
pub mod planner;
pub mod repository_backup;
pub mod snapshot;
pub mod state;
pub mod survey;

pub use apply::{ApplyOptions, ApplyReport, apply};
pub use backup::{Backup, OpenPack};
pub use error::RestoreError;
pub use examine::plan;
pub use guard::Consent;
pub use idmap::IdMap;
pub use options::{OnConflict, PlanOptions, Selector};
pub use plan::Plan;
pub use repository_backup::{RepositorySnapshot, record};
