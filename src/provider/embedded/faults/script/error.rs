//! Errors in a fault script.

/// An invalid fault script. Every message names the file and the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The file is not valid TOML.
    #[error("{place}: not valid TOML: {message}")]
    Syntax {
        /// File and line.
        place: String,
        /// Message of the parser.
        message: String,
    },
    /// Unknown key.
    #[error("{place}: unknown key `{key}` in {table}; {}", .nearest.as_ref().map_or_else(|| format!("it takes {known}"), |n| format!("did you mean `{n}`?")))]
    UnknownKey {
        /// File and line.
        place: String,
        /// The key as written.
        key: String,
        /// The table.
        table: String,
        /// The most similar known key.
        nearest: Option<String>,
        /// All known keys.
        known: String,
    },
    /// Value of the wrong type or out of range.
    #[error("{place}: `{key}` must be {expected}, not {found}")]
    WrongValue {
        /// File and line.
        place: String,
        /// The key.
        key: String,
        /// Expected value.
        expected: String,
        /// Value found.
        found: String,
    },
    /// Required key is missing.
    #[error("{place}: {table} lacks `{key}`: {expected}")]
    Missing {
        /// File and line of the table.
        place: String,
        /// The table.
        table: String,
        /// The key.
        key: &'static str,
        /// Expected value.
        expected: String,
    },
    /// Two mutually exclusive keys.
    #[error("{place}: `{first}` and `{second}` exclude each other; keep one")]
    Both {
        /// File and line.
        place: String,
        /// First key.
        first: &'static str,
        /// Second key.
        second: &'static str,
    },
}
