//! `[log]`.

use super::section;
use crate::config::value::words;

words! {
    /// How log lines are written.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// For programs.
        Json = "json",
    }
}

section! {
    /// The log on standard error.
    pub struct LogSection in "log" {
        /// How lines are written. Default: `keyhaven run` writes JSON where standard error is no terminal, and text
        /// everywhere else.
        format: Option<LogFormat>, r#""json""#;
    }
}
