//! Plain data: items, keys, revisions, payloads, limits. Knows no network, no file, no clock.

pub mod digest;
pub mod failure;
pub mod item;
pub mod json;
pub mod key;
pub mod limits;
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
pub use failure::FailureKind;
pub use item::{Docs, Item, Pointer, Slot};
pub use key::{ItemKey, ItemKind};
pub use payload::Payload;
pub use policies::{Override, Policies, RewriteField, Rule, Transform};
pub use restorability::{ItemClass, Restorability};
pub use revision::Revision;
pub use scheduled_run::ScheduledRun;
pub use selector::{Selector, SelectorSubject};
pub use time::{Clock, Timestamp};
pub use treatment::Treatment;
