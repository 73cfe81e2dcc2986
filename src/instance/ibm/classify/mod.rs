//! What the provider's types mean: which fields are secret, which payloads may be read, what can be brought back.
//!
//! The tables follow the provider's published data model (types and fields) and documentation (side effects of reads,
//! what a client can set).

pub mod cut;
mod fields;
mod restorability;
mod safe;

pub use cut::{Cut, cut, merge, rejoin};
pub use fields::{CONFIGURATION_TYPES, SECRET_TYPES, Shape};
pub use restorability::{configuration_class, group_class, registration_class, secret_class};
pub use safe::SafeToRead;
