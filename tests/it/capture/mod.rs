//! Captures: of what, against what, and that what they claim is true.

mod bad_input;
mod base;
mod faults;
mod oracle;
mod renewal;
mod run;
mod types;
