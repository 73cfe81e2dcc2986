//! What the source code itself must keep to.

mod circles;
pub(crate) mod layering;
mod names;
