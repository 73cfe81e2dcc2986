//! Certificates: authorities and templates of the instance, what they issue, and orders at a public authority.
//!
//! X.509 is real: what is issued here passes `openssl verify`, and revocation lists name what was revoked. Keys of
//! authorities never leave. What the provider does with a hardware module (`crypto_key`) is done with a key in memory.

mod acme;
#[cfg(test)]
mod action_tests;
mod actions;
mod authority;
mod ca;
mod duration;
#[cfg(test)]
mod invariants;
mod issue;
pub(crate) mod key;
#[cfg(test)]
pub(super) mod kit;
mod managed;
#[cfg(test)]
mod managed_tests;
pub(crate) mod members;
mod names;
mod order;
#[cfg(test)]
mod order_tests;
mod policy;
mod private;
mod revoke;
mod template;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use authority::Authority;
pub(crate) use authority::PUBLIC;
pub(crate) use ca::is_authority;
pub(crate) use key::Algorithm;
pub(crate) use managed::Managed;
pub(crate) use names::{is_host, strings};
pub(crate) use order::{checked_rotation, ordered_version};
pub(crate) use private::{Asked, Issued};
pub(crate) use template::TEMPLATE;
