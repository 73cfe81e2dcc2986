//! Errors of an instance.

use crate::model::FailureKind;

/// A failed request to an instance, or an unusable answer.
///
/// `what` names the operation and the item (`list secrets, page at offset 1000`); it never contains a payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// No answer: refused, timed out, interrupted, or a TLS failure.
    #[error("cannot {what}: no usable answer from {host}")]
    Unreachable {
        /// The operation.
        what: String,
        /// Host and port.
        host: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// 401 from the instance, or the identity service refused the API key.
    #[error("cannot {what}: not authenticated: {message}; check the API key and that it belongs to this account")]
    Unauthenticated {
        /// The operation.
        what: String,
        /// The provider's message.
        message: String,
    },
    /// 403: the identity lacks a role.
    #[error("cannot {what}: forbidden: {message}; the identity lacks a role for it (`keyhaven doctor` names it)")]
    Forbidden {
        /// The operation.
        what: String,
        /// The provider's message.
        message: String,
    },
    /// 404 for an item that existed before.
    #[error("cannot {what}: it is gone")]
    Gone {
        /// The operation.
        what: String,
    },
    /// Still 429 or 5xx after every retry.
    #[error("cannot {what}: the instance answers {status} after {attempts} attempts: {message}")]
    Overloaded {
        /// The operation.
        what: String,
        /// The last status.
        status: u16,
        /// Number of attempts.
        attempts: u32,
        /// The provider's message.
        message: String,
    },
    /// A create request was sent, and its outcome is unknown: no usable answer, or a 5xx.
    ///
    /// It is never resent blindly: the caller checks the state first.
    #[error("cannot tell whether it was done: {what}: no usable answer from {host}; look before it is sent again")]
    Unanswered {
        /// The operation.
        what: String,
        /// Host and port.
        host: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The item changed while its parts were read, or since it was listed, so that the parts are inconsistent.
    #[error("cannot {what}: it moved meanwhile ({problem}); list it again")]
    Moved {
        /// The operation.
        what: String,
        /// Description of the mismatch.
        problem: String,
    },
    /// Any other refusal (400, 409, 412, …).
    #[error("cannot {what}: refused with {status}: {message}")]
    Refused {
        /// The operation.
        what: String,
        /// The status.
        status: u16,
        /// The provider's message.
        message: String,
    },
    /// The answer is not JSON, lacks a member, is empty, or exceeds its limit.
    #[error("cannot {what}: the answer cannot be used: {problem}")]
    Malformed {
        /// The operation.
        what: String,
        /// Description of the problem, without values.
        problem: String,
    },
    /// A list was incomplete or repeated rows.
    #[error("cannot {what}: {problem}; nothing was recorded, run it again")]
    Incomplete {
        /// The operation.
        what: String,
        /// Description of the contradiction.
        problem: String,
    },
    /// A request was not sent because it would change or destroy what it reads, or has the wrong target.
    #[error("not sent: {what}: {why}")]
    Unsafe {
        /// The operation.
        what: String,
        /// The reason.
        why: String,
    },
    /// The settings are invalid.
    #[error("{what}: {why}")]
    Settings {
        /// The setting.
        what: String,
        /// Description of the problem and its fix.
        why: String,
    },
}

/// An item cannot be converted to a request: the backup lacks something that the provider requires.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot make a request for {what}: {why}")]
pub struct ConvertError {
    /// The item.
    pub what: String,
    /// Description of what is missing, without values.
    pub why: String,
}

impl InstanceError {
    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Settings { .. } => FailureKind::Usage,
            _ => FailureKind::Instance,
        }
    }
}
