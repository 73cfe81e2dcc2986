//! IBM Cloud Secrets Manager, REST API v2: the client.
//!
//! | module | what |
//! |---|---|
//! | [`settings`] | settings of a client, validated before the first request |
//! | [`pace`] | the shared rate limiter of an instance |
//! | `wire` | requests and answers: TLS, retries, bounded and wiped bodies, the provider's clock, the token |
//! | [`api`] | one method per endpoint |
//! | [`classify`] | secret fields, readable types, restorability |
//! | `source`, `inventory`, `reading`, `revision` | listing all items, reading one item |
//! | [`convert`] | conversion for a standby: order of creation, request bodies |
//! | `writer` | sending changes |
//! | [`access`] | rights of the identity |

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

/// The provider's name in the name of a source.
pub const PROVIDER: &str = "ibm";
