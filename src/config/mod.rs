//! The configuration: text in, validated types out.
//!
//! Pure: reads no file, no environment, no clock. The edge hands the text of the file, the environment variables and the
//! flags in as [`Layer`]s; [`Settings::build`] puts the later over the earlier and validates the result. Every key stands
//! once, in [`keys::KEYS`]: its type, its default, its words in the commented file and its environment variable all come
//! from there. The tables that shape a restore ([`tables`]), the jobs ([`jobs`]) and the instances of a file with several
//! ([`instances`]) are no keys: they can only stand in the file.

mod entry;
pub mod error;
pub mod instances;
pub mod jobs;
pub mod keys;
pub mod layer;
pub mod notify;
pub mod retention;
pub mod sections;
pub mod settings;
pub mod tables;
pub mod template;
pub mod value;

pub use error::ConfigError;
pub use jobs::JobConfig;
pub use layer::{Layer, SettingOrigin};
pub use retention::Retention;
pub use sections::{InstanceSettings, Keys, Location, Objectives, Repository, SecretRef};
pub use settings::Settings;
pub use tables::Tables;
