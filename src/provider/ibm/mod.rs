//! IBM Cloud Secrets Manager, REST API v2: the client.
//!
//! | module | what |
//! |---|---|
//! | [`settings`] | what a client is made of, checked before the first request |
//! | [`pace`] | the one limiter of an instance |
//! | `wire` | requests and answers: TLS, retries, bounded and wiped bodies, the provider's clock, the token |
//! | [`api`] | one method an endpoint |
//! | [`classify`] | which fields are secret, which types may be read, what can be brought back |
//! | `source`, `inventory`, `reading`, `revision` | listing everything, reading one item |
//! | [`convert`] | what items become in a standby, in which order they are made, the bodies of requests |
//! | `writer` | sending changes |
//! | [`access`] | what the identity may do |

pub mod access;
pub mod api;
pub mod classify;
mod client;
pub mod convert;
mod docs;
mod inventory;
pub mod pace;
mod reading;
mod revision;
pub mod settings;
mod source;
mod wire;
mod writer;

pub use api::{Filter, Split, Which};
pub use classify::SafeToRead;
pub use client::Client;
pub use pace::Pace;
pub use settings::{ClientSettings, RetrySettings, Timeouts};

/// The provider's word in the name of a source.
pub const PROVIDER: &str = "ibm";
