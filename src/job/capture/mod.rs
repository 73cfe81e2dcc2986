//! Capture: backs up an instance that has no snapshots of its own, and states how consistent the result is.
//!
//! List, read, list again. If two listings agree, everything listed existed together between them. If they never agree,
//! each item is consistent by itself, and the snapshot records that instead.
//!
//! | module | what |
//! |---|---|
//! | `base`, `reuse`, `refresh`, `merge_packs` | the base snapshot of a run, and which of its packs can be reused |
//! | `round`, `inventory`, `keys` | compares a listing with the previous one: changed items, items to read (pure) |
//! | `collect` | the rounds |
//! | `reading`, `packing` | reads items in parallel into packs |
//! | `supply` | members that the operator supplies per item |
//! | `records` | metadata in memory, compressed and in key order |
//! | `segments`, `catalogue`, `counts` | writes the new catalogue as one sorted merge |
//! | `shrink`, `guard`, `deadline` | when a snapshot is suspect, and when nothing is signed |
//! | `begin`, `renewal` | ledger checks before a run: signing rights, and whether everything must be read |

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
