//! The client of a provider's instance.

mod embedded;
mod listing;
mod reading;
mod wire;
