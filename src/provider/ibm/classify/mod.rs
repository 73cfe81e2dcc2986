//! Properties of the provider's types: secret fields, readable payloads, restorability.
//!
//! The tables follow the provider's published data model (types and fields) and documentation (side effects of reads,
//! what a client can set).

mod assess;
pub mod cut;
mod expiry;
mod fields;
mod judgements;
mod needs;
mod restorability;
mod safe;
mod write_only;

pub(in crate::provider::ibm) use assess::assess;
pub use cut::{Cut, cut, merge, rejoin};
pub(in crate::provider::ibm) use expiry::expiry;
pub use fields::{AnswerShape, CONFIGURATION_TYPES, SECRET_TYPES};
pub(in crate::provider::ibm) use restorability::{class, has_key, is_revoked, supplied};
pub use safe::SafeToRead;
