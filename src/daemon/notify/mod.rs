//! Telling the world of runs: hooks, pings, webhooks, mail.
//!
//! One [`Notifier`] serves one instance, in the daemon and around a one-shot command alike: [`Notifier::run_started`] before a
//! run, [`Notifier::run_finished`] after it, [`Notifier::freshness`] whenever the state of the repository is known. What is worth
//! telling is decided by [`decide`], over what each target was told before; only the run-before hook can change what
//! happens to a run, and everything else that goes wrong here comes back as a [`NotifyWarning`].

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
