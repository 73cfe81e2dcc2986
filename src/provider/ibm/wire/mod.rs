//! Requests and answers: the layer between the methods of [`super::api`] and the network.

mod answer;
mod clock;
mod exchange;
mod failure;
mod retry;
mod token;
mod transport;

pub(super) use answer::{Answer, Family};
pub(super) use exchange::{Purpose, Wire, WireRequest};
