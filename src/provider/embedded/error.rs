//! What can go wrong around an embedded instance; what its API refuses is an answer, not an error.

use std::io;
use std::path::PathBuf;

/// An embedded instance cannot be made, kept or served.
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
    /// The data file is not one of ours, or is damaged.
    #[error("{} is no data file of a sandbox: line {line} {problem}; choose another file", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it, without its text.
        problem: &'static str,
    },
    /// A made-up certificate could not be built.
    #[error("cannot make a certificate for {name}")]
    Certificate {
        /// The common name.
        name: String,
        /// The cause.
        #[source]
        source: x509_cert::builder::Error,
    },
    /// The instance refused a made-up item.
    #[error("cannot fill the instance: {what} was refused with {status}: {message}")]
    Refused {
        /// The request.
        what: String,
        /// The status.
        status: u16,
        /// The words of the error body.
        message: String,
    },
    /// The server cannot listen.
    #[error("cannot serve the sandbox on {address}")]
    Listen {
        /// Where.
        address: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}
