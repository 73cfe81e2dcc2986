//! What the credential types share: lifetimes, rotation within a lifetime, and which credentials are alive.

mod live;
mod policy;
mod ttl;
mod version_data;

pub use live::LiveCredential;
pub(crate) use policy::Limits;
pub(crate) use ttl::Ttl;
