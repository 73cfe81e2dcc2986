//! IBM Cloud Secrets Manager, REST API v2: the client.
//!
//! | module | what |
//! |---|---|
//! | [`settings`] | what a client is made of, checked before the first request |
//! | [`pace`] | the one limiter of an instance |
//! | `wire` | requests and answers: TLS, retries, bounded and wiped bodies, the provider's clock, the token |
//! | [`api`] | one method an endpoint |
//! | [`classify`] | which fields are secret, which types may be read, what can be brought back |
//! | `inventory`, `reading`, `revision` | the [`Source`](crate::provider::Source): listing everything, reading one item |
//! | [`recipe`], `standby` | the [`Standby`](crate::provider::standby::Standby): order, bodies and marks of a restore; writing |
//! | [`access`] | what the identity may do |

pub mod access;
pub mod api;
pub mod classify;
mod client;
mod inventory;
pub mod pace;
mod reading;
pub mod recipe;
mod revision;
pub mod settings;
mod source;
mod standby;
mod wire;

pub use api::{Filter, Split, Which, WireBody};
pub use classify::SafeToRead;
pub use client::Client;
pub use pace::Pace;
pub use settings::{ClientSettings, RetrySettings, Timeouts};

/// The provider's word in the name of a source.
pub const PROVIDER: &str = "ibm";
