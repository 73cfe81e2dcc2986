//! Sweeps.

mod beside;
mod cut_off;
mod guards;
mod hostile;
pub(crate) mod program;
mod stops;
