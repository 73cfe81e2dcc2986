//! The program as a user meets it.

mod audit;
mod bad_input;
mod cache;
mod canary;
mod commands;
mod config;
mod config_messages;
mod coverage;
mod demo;
mod forbidden;
mod install;
mod keys;
mod logs;
pub(crate) mod signals;
mod status;
mod terminal;
