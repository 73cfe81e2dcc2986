//! Errors around an embedded instance. A request that its API refuses is an answer, not an error.

use std::io;
use std::path::PathBuf;

/// Error when creating, storing or serving an embedded instance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// The data file cannot be read or written.
    #[error("cannot {what} the data file {}", path.display())]
    File {
        /// `read`, `write`, …
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The data file is damaged or not a sandbox data file.
    #[error("{} is no data file of a sandbox: line {line} {problem}; choose another file", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The problem, without the content of the line.
        problem: &'static str,
    },
    /// A generated certificate could not be built.
    #[error("cannot make a certificate for {name}")]
    Certificate {
        /// The common name.
        name: String,
        /// The cause.
        #[source]
        source: x509_cert::builder::Error,
    },
    /// The instance refused a generated item.
    #[error("cannot fill the instance: {what} was refused with {status}: {message}")]
    Refused {
        /// Refused request.
        what: String,
        /// HTTP status.
        status: u16,
        /// Message of the error body.
        message: String,
    },
    /// The server cannot listen.
    #[error("cannot serve the sandbox on {address}")]
    Listen {
        /// The address.
        address: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}
