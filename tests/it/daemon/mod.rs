//! The daemon and all that runs around a job: hooks, notifications, metrics, schedules.

mod hooks;
mod metrics;
mod notify;
mod processes;
mod prometheus;
mod schedule;
mod shipped_schedules;
mod simulated;
