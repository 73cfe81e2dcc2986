//! The configuration: text in, validated types out.
//!
//! Pure: reads no file, no environment, no clock. The edge hands in the text of the file, the environment variables and
//! the flags as [`Layer`]s; [`Settings::build`] puts the later over the earlier and validates the result. Every key is
//! declared once, in its section ([`sections`]). The tables that shape a restore ([`tables`]), the jobs ([`jobs`]), the
//! notifications ([`notify`]) and the instances of a file with several ([`instances`]) can only be in the file.

mod de;
mod entry;
pub mod error;
pub mod instances;
pub mod jobs;
pub mod keys;
mod layer;
mod node;
pub mod notify;
mod origin;
pub mod reference;
mod section;
pub mod sections;
mod settings;
pub mod tables;
pub mod value;

pub use error::ConfigError;
pub use jobs::JobConfig;
pub use layer::Layer;
pub use origin::{SettingOrigin, ShownEntry};
pub use settings::{InstanceSettings, Repository, SetKey, Settings};
pub use tables::Tables;
pub use value::{Location, SecretRef};
