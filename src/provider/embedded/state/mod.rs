//! The instance as a state machine over plain data: no network, no clock, no locks. A request and the current time go
//! in, an answer or a refusal comes out, and changes are collected for the log.

mod answer;
mod authorize;
pub(crate) mod certificate;
mod configurations;
mod credentials;
mod data;
mod forbidden;
mod fresh_version;
mod groups;
#[cfg(test)]
mod harness;
mod ids;
mod input;
mod instance_state;
#[cfg(test)]
mod invariants;
mod items;
mod kinds;
mod list;
mod locks;
mod merge;
mod payload_text;
mod pki;
mod plant;
mod query;
mod refusal;
mod registration;
mod render;
mod renderer;
mod request;
mod rules;
mod secret_kind;
mod secrets;
mod shared;
mod sweep;
mod tasks;
pub(crate) mod text;
mod versions;

pub(crate) use answer::Answer;
pub use credentials::LiveCredential;
pub use data::{Configuration, DEFAULT_GROUP, Group, Lock, Registration, Secret, SecretState, SecretVersion};
pub use forbidden::{ForbiddenAct, Planted};
pub(crate) use ids::Ids;
pub(crate) use instance_state::InstanceState;
pub use items::{ItemChange, Items};
pub(crate) use pki::PUBLIC;
pub use query::PageFault;
pub(crate) use query::query;
pub(crate) use refusal::Refusal;
pub use renderer::Renderer;
pub(crate) use request::{ApiRequest, class_of};
pub use request::{Class, Verb};
pub use tasks::{SecretTask, TaskError, TaskKind, TaskStatus, TaskTrigger};
