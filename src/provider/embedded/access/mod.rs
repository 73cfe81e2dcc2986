//! Access control: API keys, the provider's service roles, and policies limited to some secret groups.

mod key;
mod keyring;
mod role;

pub use key::{ApiKey, Grant};
pub(crate) use key::{GroupScope, scope_of};
pub(crate) use keyring::{Caller, Keyring};
pub use role::{ServiceRole, UnknownRole};
