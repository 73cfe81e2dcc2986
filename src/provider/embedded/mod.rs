//! An instance in this process: a Secrets Manager in memory and the provider's HTTP API over it.
//!
//! `state` is a machine of plain data that knows no network; `http` puts the API and an identity service around it. It
//! serves the sandbox, the demo, drills and the tests. What it does is what the provider documents; what the documents
//! leave open is a switch ([`Switches`], the table there). It keeps and makes all nine secret types and all eight
//! configuration types. Certificates are real X.509 by authorities of its own; the public authority, cloud services and
//! jobs that make credentials are made up. Keys on curves come from the seed of its ids, RSA keys do not; the curve of
//! 224 bits is refused, and a key in a hardware module (`crypto_key`) is one in memory.
//!
//! Nothing here protects anything: the API key is an option, transport is plain HTTP, and a data file holds every
//! payload in clear. It is for made-up secrets.

mod access;
mod clock;
mod counters;
mod error;
mod faults;
mod file;
mod history;
mod http;
mod instance;
mod options;
mod sandbox;
pub(crate) mod seed;
mod state;
mod switch;
mod tokens;

pub use access::{ApiKey, Grant, ServiceRole, UnknownRole};
pub use clock::InstanceClock;
pub use counters::Counters;
pub use error::EmbeddedError;
pub use faults::{Act, FaultScript, Hook, ScriptError, SeenRequest, When};
pub use history::{History, PastInstance};
pub use http::Server;
pub use instance::{EmbeddedInstance, Reply};
pub use options::{NameScope, Options, Precision, Switches};
pub use sandbox::{Sandbox, SandboxOptions, SandboxSettings};
pub use seed::{every_type, every_type_among, seed, seed_small};
pub use state::{
    Class, Configuration, DEFAULT_GROUP, ForbiddenAct, Group, ItemChange, Items, LiveCredential, Lock, PageFault,
    Planted, Registration, Renderer, Secret, SecretState, SecretTask, SecretVersion, TaskError, TaskKind, TaskStatus,
    TaskTrigger, Verb,
};
pub use switch::SwitchError;
