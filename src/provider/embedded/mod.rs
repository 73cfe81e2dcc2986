//! An instance in this process: an in-memory Secrets Manager behind the provider's HTTP API.
//!
//! `state` is a state machine over plain data, without network access; `http` adds the API and an identity service. It
//! serves the sandbox, the demo, drills and the tests. It behaves as the provider documents; each behaviour that the
//! documents leave open is a switch (see the table at [`Switches`]). It stores and creates all nine secret types and
//! all eight configuration types. Certificates are real X.509 from its own authorities; the public authority, cloud
//! services and jobs that create credentials are simulated. Elliptic-curve keys derive from the seed of its ids, RSA
//! keys do not; the 224-bit curve is refused, and a key in a hardware module (`crypto_key`) is kept in memory.
//!
//! Nothing here is protected: the API key is an option, transport is plain HTTP, and a data file holds every payload in
//! clear. Use it for made-up secrets only.

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
