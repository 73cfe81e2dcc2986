//! Notifications about runs: hooks, pings, webhooks, mail.
//!
//! One [`Notifier`] serves one instance, in the daemon and around a one-shot command alike: [`Notifier::run_started`]
//! before a run, [`Notifier::run_finished`] after it, and [`Notifier::freshness`] whenever the repository's state is
//! known. [`decide`] decides what to send, from the last notification of each target. Only the run-before hook can
//! affect a run; every other failure here is returned as a [`NotifyWarning`].

pub mod decide;
mod event;
mod group;
pub mod hooks;
mod http;
#[cfg(feature = "mail")]
mod mail;
pub mod message;
mod notification_state;
mod notifier;
mod ping;
pub mod target;
mod webhook;

pub use decide::BadCondition;
pub use event::{Freshness, NotifyWarning, RunStart};
pub use group::end_hooks;
pub use hooks::{HookFailure, Hooks};
pub use notifier::{Notifier, StartedRun};
pub use target::{Channel, NotifyEndpoint};
