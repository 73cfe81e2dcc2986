//! Providers of secrets-manager instances: the traits that the jobs use, and one directory for each provider.
//!
//! A provider's paths, types, order of creation and limits are in its own directory; nothing above this one knows them.

pub mod assess;
pub mod embedded;
pub mod error;
pub mod ibm;
pub mod source;
pub mod standby;

pub use error::InstanceError;
pub use source::{CompleteListing, Listed, Presence, Readable, Reading, Requests, Sink, Source};
