//! Parts shared by the credential types: lifetimes, rotation within a lifetime, and the set of valid credentials.

pub(super) mod engine;
mod live;
mod policy;
pub(super) mod references;
mod ttl;
mod version_data;

pub use live::LiveCredential;
pub(crate) use policy::Limits;
pub(crate) use ttl::Ttl;
