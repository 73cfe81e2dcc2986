//! Plain data: items, keys, revisions, payloads, limits. Uses no network, files or clock.

pub mod digest;
mod error_chain;
pub mod failure;
pub mod item;
pub mod json;
pub mod key;
pub mod limits;
mod loopback;
pub mod nearest;
pub mod payload;
pub mod policies;
pub mod restorability;
pub mod revision;
pub mod scheduled_run;
pub mod selector;
pub mod tag;
pub mod time;
pub mod treatment;

pub use digest::Digest;
pub use error_chain::with_causes;
pub use failure::FailureKind;
pub use item::{Docs, Item, Pointer, Slot};
pub use key::{ItemKey, ItemKind};
pub use loopback::is_loopback;
pub use payload::Payload;
pub use policies::{Override, Policies, RewriteField, Rule, Transform};
pub use restorability::{ItemClass, Restorability};
pub use revision::Revision;
pub use scheduled_run::ScheduledRun;
pub use selector::{Selector, SelectorSubject};
pub use time::{Clock, Timestamp};
pub use treatment::Treatment;
