//! What can be wrong with a script of faults.

/// A script of faults cannot be used. Every message names the file and the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The file is no TOML.
    #[error("{place}: not valid TOML: {message}")]
    Syntax {
        /// File and line.
        place: String,
        /// The parser's words.
        message: String,
    },
    /// A key that is not known there.
    #[error("{place}: unknown key `{key}` in {table}; {}", .nearest.as_ref().map_or_else(|| format!("it takes {known}"), |n| format!("did you mean `{n}`?")))]
    UnknownKey {
        /// File and line.
        place: String,
        /// The key as written.
        key: String,
        /// What it stands in.
        table: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
        /// All keys that are known there.
        known: String,
    },
    /// A value of the wrong type or outside its bounds.
    #[error("{place}: `{key}` must be {expected}, not {found}")]
    WrongValue {
        /// File and line.
        place: String,
        /// The key.
        key: String,
        /// What would be right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A key that has to be there.
    #[error("{place}: {table} lacks `{key}`: {expected}")]
    Missing {
        /// File and line of the table.
        place: String,
        /// What it is missing from.
        table: String,
        /// The key.
        key: &'static str,
        /// What it takes.
        expected: String,
    },
    /// Two keys that exclude each other.
    #[error("{place}: `{first}` and `{second}` exclude each other; keep one")]
    Both {
        /// File and line.
        place: String,
        /// One key.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}
