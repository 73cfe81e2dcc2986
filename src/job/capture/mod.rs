//! Capture: reading an instance that has no snapshots, and saying what can be claimed about the moment.
//!
//! List, read, list again. When two listings agree, everything listed existed together between them; when they go on
//! disagreeing, each item is right on its own, and the snapshot says that instead.
//!
//! | module | what |
//! |---|---|
//! | `base`, `reuse`, `refresh`, `merge_packs` | the snapshot that a run builds on, and what of it is still worth something |
//! | `round`, `inventory`, `keys` | one listing compared with the one before: what moved, what is to be read (pure) |
//! | `collect` | the rounds |
//! | `reading`, `packing` | items side by side into packs |
//! | `supply` | members that the operator supplies, item by item |
//! | `records` | metadata in memory: compressed, in the order of keys |
//! | `segments`, `catalogue`, `counts` | the new catalogue as one sorted merge |
//! | `shrink`, `guard`, `deadline` | when a snapshot is suspect, and when nothing is signed at all |
//! | `begin`, `renewal` | what the ledger says before a run: who may sign, and whether everything must be read |

mod base;
mod begin;
mod catalogue;
mod collect;
mod counts;
mod deadline;
mod error;
mod guard;
mod inventory;
mod keys;
mod merge_packs;
mod options;
mod packing;
mod reading;
mod records;
mod refresh;
mod renewal;
mod report;
mod reuse;
mod round;
mod run;
mod segments;
mod shrink;
mod supply;

pub use begin::Begun;
pub use error::CaptureError;
pub use options::CaptureOptions;
pub use report::{CaptureReport, HiddenKind, RefusedItem, SpentRequests, UnreadItem};
pub use run::{capture, capture_begun};
