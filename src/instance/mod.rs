//! Secrets-manager instances: the traits that the jobs use, and one folder a provider.
//!
//! A provider's paths, types, order of creation and limits stand in its own folder; nothing above this one knows them.

pub mod assess;
pub mod embedded;
pub mod error;
pub mod ibm;
pub mod source;
pub mod standby;

pub use error::InstanceError;
pub use source::{CompleteListing, Listed, Presence, Readable, Reading, Requests, Sink, Source};
