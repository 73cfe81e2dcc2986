//! Errors in stored bytes.

use crate::crypto::CryptoError;
use crate::model::{Digest, FailureKind};

/// Stored bytes that are invalid, or a value that the format cannot hold. Never shows a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Opening or sealing failed.
    #[error("cannot process the {what}")]
    Crypto {
        /// `pack`, `catalogue part`, `entry`.
        what: &'static str,
        /// The cause.
        #[source]
        source: CryptoError,
    },
    /// The bytes do not have the form defined in `docs/format.md`.
    #[error("not a valid {what}: {problem}")]
    Malformed {
        /// Kind of document.
        what: &'static str,
        /// Description of the problem, without values.
        problem: String,
    },
    /// The document is of another major version of the format.
    #[error("this {what} has format {found}, and this program reads 1.n; get a newer keyhaven")]
    Version {
        /// Kind of document.
        what: &'static str,
        /// The version found.
        found: String,
    },
    /// The document has no good signature of the key that it names.
    #[error("it carries no good signature of its key {key}: it was altered or forged")]
    Signature {
        /// The fingerprint of the key.
        key: Digest,
    },
    /// The document has a critical member that this program does not know.
    #[error("this {what} has a member `{member}` that this program does not know; get a newer keyhaven")]
    Critical {
        /// Kind of document.
        what: &'static str,
        /// The name of the member.
        member: String,
    },
    /// A pack in place of a catalogue, or the reverse.
    #[error("expected a {expected}, this says that it is a {found}: objects were swapped")]
    Kind {
        /// The expected kind.
        expected: &'static str,
        /// The kind found.
        found: String,
    },
    /// The document belongs to another repository.
    #[error("this {what} belongs to repository {found}, not to {expected}: it was put here from elsewhere")]
    Foreign {
        /// Kind of document.
        what: &'static str,
        /// The repository that it names.
        found: String,
        /// The expected repository.
        expected: String,
    },
    /// The document belongs to this repository, but to another source instance.
    #[error(
        "this {what} is of the instance {found}, this repository holds backups of {expected}: its writer mixed them up"
    )]
    OtherSource {
        /// Kind of document.
        what: &'static str,
        /// The source that it names.
        found: String,
        /// The source of the repository.
        expected: String,
    },
    /// The MAC of a payload does not match.
    #[error("the payload of {key}, version {version}, does not fit its MAC: the pack was put together wrongly")]
    Mac {
        /// The item.
        key: String,
        /// The version.
        version: String,
    },
    /// The same item and version twice in one pack, or a key repeated or out of order in a catalogue.
    #[error("{what}: {key} is repeated or out of order")]
    Order {
        /// The document that contains it.
        what: &'static str,
        /// The item, or item and version.
        key: String,
    },
    /// The document is larger than the format allows.
    #[error("{what} of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Kind of document.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The maximum size in bytes.
        limit: usize,
    },
}

impl FormatError {
    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Crypto { source, .. } => source.kind(),
            Self::Version { .. } | Self::Critical { .. } => FailureKind::Failed,
            _ => FailureKind::Integrity,
        }
    }

    pub(crate) fn malformed(what: &'static str, problem: impl Into<String>) -> Self {
        Self::Malformed { what, problem: problem.into() }
    }

    /// Describes a JSON error by place and class. Its own text may contain a value, which may be a secret.
    pub(crate) fn json(what: &'static str, error: &serde_json::Error) -> Self {
        let class = match error.classify() {
            serde_json::error::Category::Data => "a member is missing, repeated or of the wrong type",
            _ => "not JSON",
        };
        Self::malformed(what, format!("{class} (line {}, column {})", error.line(), error.column()))
    }
}
