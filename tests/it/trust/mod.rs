//! The trust policy.

pub(crate) mod commands;
mod in_force;
mod pins;
mod put_back;
mod words;
