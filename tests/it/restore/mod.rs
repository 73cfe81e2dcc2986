//! Restores.

mod apply;
mod authorities;
mod conflicts;
mod idmap;
mod issued_kill;
mod kill;
mod limits;
mod policies;
mod property;
mod refused;
mod reissue;
mod transforms;
