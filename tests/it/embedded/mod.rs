//! The embedded instance.

mod credentials;
mod http;
mod pki;
mod roles;
mod sdk;
mod switches;
