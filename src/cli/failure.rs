//! A command that failed: what it was, why, what to do next, and the exit code.

use std::error::Error;
use std::fmt;

use crate::config::ConfigError;
use crate::job::{RunFacts, RunResult};
use crate::model::FailureKind;
#[cfg(feature = "sandbox")]
use crate::provider::embedded::EmbeddedError;

/// A failed command.
#[derive(Debug)]
pub(super) struct Failure {
    kind: FailureKind,
    error: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
    /// Facts of the result that was printed before the failure.
    facts: Option<Box<RunFacts>>,
}

/// A message with a cause below it.
#[derive(Debug)]
struct Message {
    text: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Message {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl Failure {
    /// A failure in our own words.
    pub(super) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, error: Box::new(Message { text: text.into(), cause: None }), hint: None, facts: None }
    }

    /// Wrong usage or configuration.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::new(FailureKind::Usage, text)
    }

    /// A signal came.
    pub(super) fn interrupted() -> Self {
        Self::new(FailureKind::Interrupted, "interrupted")
    }

    /// Converts an error of the library.
    pub(super) fn from_error(kind: FailureKind, error: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, error: Box::new(error), hint: None, facts: None }
    }

    /// Names the cause of a failure in our own words.
    pub(super) fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        let text = self.error.to_string();
        self.error = Box::new(Message { text, cause: Some(Box::new(cause)) });
        self
    }

    /// Adds what to do next.
    pub(super) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps what the result says that was printed before it.
    pub(super) fn after(mut self, result: &impl RunResult) -> Self {
        self.facts = Some(Box::new(result.facts()));
        self
    }

    /// Adds the facts of the result that was printed before it.
    pub(super) fn facts(&self) -> RunFacts {
        self.facts.as_deref().cloned().unwrap_or_default()
    }

    /// Puts the subject in front of the message.
    pub(super) fn of(self, what: &str) -> Self {
        let text = format!("{what}: {}", self.error);
        let mut cause = self.error;
        // Its own words stand in the text already; what caused it comes below.
        if let Some(message) = cause.downcast_mut::<Message>() {
            let cause = message.cause.take();
            return Self { error: Box::new(Message { text, cause }), ..self };
        }
        Self { error: Box::new(Message { text, cause: Some(cause) }), ..self }
    }

    /// Returns the kind of failure.
    pub(super) fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Returns the hint, if there is one.
    pub(super) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message and its causes, each once: many errors repeat their cause in their own text.
    pub(super) fn chain(&self) -> Vec<String> {
        let mut lines = vec![self.error.to_string()];
        let mut next = self.error.source();
        while let Some(error) = next {
            let text = error.to_string();
            if !text.is_empty() && !lines.iter().any(|line| line.contains(&text)) {
                lines.push(text);
            }
            next = error.source();
        }
        lines
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = match &error {
            ConfigError::Missing { .. } | ConfigError::MissingSecret { .. } => {
                "`keyhaven config show` prints what is set and where; `keyhaven config init` prints a commented file"
            }
            ConfigError::Instance { .. } => "`keyhaven config show` prints what each instance sets",
            _ => "`keyhaven config init` prints a commented file with every key",
        };
        Self::from_error(FailureKind::Usage, error).hinted(hint)
    }
}

#[cfg(feature = "sandbox")]
impl From<EmbeddedError> for Failure {
    fn from(error: EmbeddedError) -> Self {
        Self::from_error(FailureKind::Failed, error)
    }
}

/// Errors of the library that know their kind.
macro_rules! from_library {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::from_error(error.kind(), error)
            }
        })+
    };
}

from_library!(
    crate::crypto::CryptoError,
    crate::format::FormatError,
    crate::provider::InstanceError,
    crate::job::activate::ActivateError,
    crate::job::capture::CaptureError,
    crate::job::forget::ForgetError,
    crate::job::restore::RestoreError,
    crate::job::restore::idmap::external_secrets::ManifestError,
    crate::job::plan_file::PlanFileError,
    crate::job::sweep::SweepError,
    crate::job::verify::VerifyError,
    crate::repository::RepositoryError,
    crate::repository::StoreError,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let inner = std::io::Error::other("disk on fire");
        let failure = Failure::new(FailureKind::Failed, "cannot write x: disk on fire").because(inner);
        assert_eq!(failure.chain(), ["cannot write x: disk on fire"]);
        let failure =
            Failure::new(FailureKind::Failed, "cannot write x").because(std::io::Error::other("disk on fire"));
        assert_eq!(failure.chain(), ["cannot write x", "disk on fire"]);
    }

    #[test]
    fn what_it_is_about_comes_first_and_nothing_twice() {
        let inner = std::io::Error::other("disk on fire");
        let failure = Failure::new(FailureKind::Failed, "cannot write x").because(inner).of("instance `pay`");
        assert_eq!(failure.chain(), ["instance `pay`: cannot write x", "disk on fire"]);
        let failure =
            Failure::from_error(FailureKind::Usage, std::io::Error::other("disk on fire")).of("instance `pay`");
        assert_eq!((failure.chain().len(), failure.kind()), (1, FailureKind::Usage));
    }
}
