//! Restoring a snapshot into a standby: plan, then apply.

pub mod backup;
pub mod error;
pub mod goal;
pub mod guard;
pub mod known;
pub mod matching;
pub mod options;
pub mod plan;
pub mod planner;
pub mod state;
