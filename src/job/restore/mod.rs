//! Restoring a snapshot into a standby: plan, then apply.
//!
//! | module | what |
//! |---|---|
//! | `plan`, `options`, `state` | a plan as plain data: steps, and the state that each expects and leaves |
//! | `policy`, `rewrite` | configured changes to items: treatments, names, rewrites (pure) |
//! | `guard` | decides whether the target may be written to (pure) |
//! | `matching`, `goal`, `known`, `planner` | matches items, determines their goals and current state, and plans the
//! steps between them (pure) |
//! | `survey`, `examine`, `assemble` | reads the standby item by item and assembles the plan |
//! | `apply` | executes a plan, resumable at any request |
//! | `idmap` | old ids to new ids as JSON, CSV and Terraform import blocks (pure) |
//! | `backup`, `repository_backup`, `snapshot` | source of inventory and payloads |

pub mod apply;
pub mod assemble;
pub mod backup;
pub mod error;
pub(in crate::job) mod examine;
pub mod goal;
mod groups;
pub mod guard;
pub mod idmap;
pub mod known;
pub mod matching;
pub mod needs;
pub mod opaque;
pub mod options;
pub mod plan;
pub mod planner;
pub mod policy;
pub mod repository_backup;
pub mod rewrite;
pub mod snapshot;
mod snapshot_item;
pub mod state;
pub mod survey;

pub use apply::{ApplyOptions, ApplyReport, Signatures, Stopped, apply, apply_signed};
pub use backup::{Backup, OpenPack};
pub use error::RestoreError;
pub use examine::plan;
pub use guard::{Consent, check_signer};
pub use idmap::IdMap;
pub use options::{OnConflict, PlanOptions, RestoreScope, Selector};
pub use plan::Plan;
pub use repository_backup::{RepositorySnapshot, record};
