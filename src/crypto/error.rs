//! Errors of keys and sealed bytes.

use std::io;

use crate::model::FailureKind;

/// A key that cannot be used, or sealed bytes that are invalid. Never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// A text is not a recipient that we can seal to.
    #[error("not a recipient: `{text}` ({why}); an age recipient starts with age1")]
    Recipient {
        /// The text as given; recipients are public.
        text: String,
        /// Description of the problem.
        why: &'static str,
    },
    /// A set of recipients is empty.
    #[error("no recipient given: nobody could open what is sealed; name at least one")]
    NoRecipient,
    /// A line of an identity file is not an identity. The line itself is not shown.
    #[error("line {line} of the identity file is no identity; expected AGE-SECRET-KEY-1… or a comment")]
    Identity {
        /// The line number, from 1.
        line: usize,
    },
    /// An identity file without an identity.
    #[error("the identity file holds no identity; expected a line that starts with AGE-SECRET-KEY-1")]
    NoIdentity,
    /// The identity file is protected by a passphrase and none was given.
    #[error("the identity file is protected by a passphrase; give it, or decrypt the file with `age -d` first")]
    Encrypted,
    /// The passphrase does not open the identity file.
    #[error("the passphrase does not open the identity file")]
    Passphrase,
    /// The identity file requires a higher scrypt work factor than we accept.
    #[error("the identity file asks for a scrypt work factor of 2^{asked}, more than the 2^{limit} allowed")]
    WorkFactor {
        /// Value in the file.
        asked: u8,
        /// The maximum that is accepted.
        limit: u8,
    },
    /// A signing or public key cannot be read.
    #[error("not a usable Ed25519 {what}: {why}")]
    Key {
        /// `signing key` or `public key`.
        what: &'static str,
        /// Description of the problem.
        why: &'static str,
    },
    /// None of the identities opens the sealed bytes.
    #[error("none of the given identities opens it; it was sealed to other recipients")]
    NoMatchingKey,
    /// The sealed bytes were altered, truncated, or were never sealed in this format.
    #[error("sealed bytes are damaged: {problem}")]
    Damaged {
        /// Place of the problem.
        problem: String,
    },
    /// The sealed object contains more plain bytes than the format allows.
    #[error("more than {limit} plain bytes inside; refused")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A compression level that zstd does not have.
    #[error("compression level {level} is not between 1 and 19")]
    Level {
        /// The requested value.
        level: i32,
    },
    /// The operating system returned no random bytes, or sealing failed inside a library.
    #[error("cannot {what}: {problem}")]
    Failed {
        /// The operation.
        what: &'static str,
        /// The cause.
        problem: String,
    },
}

impl CryptoError {
    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Recipient { .. } | Self::NoRecipient | Self::Level { .. } => FailureKind::Usage,
            Self::Identity { .. }
            | Self::NoIdentity
            | Self::Encrypted
            | Self::Passphrase
            | Self::WorkFactor { .. }
            | Self::Key { .. }
            | Self::NoMatchingKey => FailureKind::Key,
            Self::Damaged { .. } | Self::TooLarge { .. } => FailureKind::Integrity,
            Self::Failed { .. } => FailureKind::Failed,
        }
    }

    /// Extracts the error from an [`io::Error`] of [`super::open::Opened`]; any other becomes [`CryptoError::Damaged`].
    #[must_use]
    pub fn from_read(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            Some(inner) => inner.clone(),
            None => Self::Damaged { problem: error.to_string() },
        }
    }
}
