//! Certificates: the instance's authorities and templates, their certificates, and orders at a public authority.
//!
//! The certificates are real X.509: they pass `openssl verify`, and revocation lists contain the revoked ones. Private
//! keys of authorities are never returned. Keys that the provider keeps in a hardware module (`crypto_key`) are kept in
//! memory.

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
