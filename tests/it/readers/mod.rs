//! Other readers of the format, and repositories of earlier versions.

mod agree;
mod audit_script;
mod format_1;
mod recover;
mod second_reader;
