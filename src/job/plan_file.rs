//! Plans as files: one form, one digest over all the rest, one way to read them back.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::crypto::digest::sha256;
use crate::model::{Digest, FailureKind};

/// A plan that is saved and applied later.
pub trait PlanFile: Serialize + DeserializeOwned {
    /// The version of the plan's own form; a plan of another is refused.
    const FORMAT: u32;
    /// The member that says the form.
    const FORM: &'static str;
    /// The command that makes such a plan.
    const COMMAND: &'static str;

    /// Where its digest is.
    fn digest_mut(&mut self) -> &mut Digest;

    /// The plan with its digest, once all the rest is as it should be.
    #[must_use]
    fn sealed(mut self) -> Self {
        // Part of what is digested, so it has one value there. Every plan can be written; were there one that cannot,
        // `to_json` would say so.
        *self.digest_mut() = Digest::from_bytes([0; 32]);
        let digest = sha256(&serde_json::to_vec(&self).unwrap_or_default());
        *self.digest_mut() = digest;
        self
    }

    /// Reads a plan back.
    ///
    /// # Errors
    /// When it is no such plan, one of another form, or one that was changed after it was made.
    fn from_json(text: &[u8]) -> Result<Self, PlanFileError> {
        let command = Self::COMMAND;
        let read = |source| PlanFileError::Json { command, source };
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(text).map_err(read)?;
        let form = members.get(Self::FORM).and_then(|form| form.get().parse().ok());
        // One that says no form is no plan: reading it whole says why.
        if let Some(form) = form.filter(|form: &u64| *form != u64::from(Self::FORMAT)) {
            return Err(PlanFileError::Format { form, known: Self::FORMAT, command });
        }
        let mut plan: Self = serde_json::from_slice(text).map_err(read)?;
        let made_with = *plan.digest_mut();
        let mut plan = plan.sealed();
        if *plan.digest_mut() == made_with { Ok(plan) } else { Err(PlanFileError::Changed { command }) }
    }

    /// The plan as a file's text.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which no plan does.
    fn to_json(&self) -> Result<String, PlanFileError> {
        serde_json::to_string_pretty(self).map_err(|source| PlanFileError::Json { command: Self::COMMAND, source })
    }
}

/// A file is no plan that this release can apply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanFileError {
    /// Another form of plan.
    #[error("the plan has form {form}, this release knows {known}; make a new one with `{command}`")]
    Format {
        /// The form that it has.
        form: u64,
        /// The form that can be applied.
        known: u32,
        /// The command that makes one.
        command: &'static str,
    },
    /// Not what was made.
    #[error(
        "the plan was changed after it was made; make a new one with `{command}`, whose options choose what is done and in \
         which order"
    )]
    Changed {
        /// The command that makes one.
        command: &'static str,
    },
    /// No plan at all.
    #[error("the file is no such plan; make one with `{command}`")]
    Json {
        /// The command that makes one.
        command: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl PlanFileError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        FailureKind::Usage
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Errand {
        form: u32,
        what: String,
        digest: Digest,
    }

    impl PlanFile for Errand {
        const FORMAT: u32 = 3;
        const FORM: &'static str = "form";
        const COMMAND: &'static str = "keyhaven errand";

        fn digest_mut(&mut self) -> &mut Digest {
            &mut self.digest
        }
    }

    #[test]
    fn a_plan_comes_back_as_it_was_made_or_not_at_all() {
        let errand = Errand { form: 3, what: "fetch".into(), digest: Digest::from_bytes([9; 32]) }.sealed();
        let text = errand.to_json().unwrap();
        assert_eq!(Errand::from_json(text.as_bytes()).unwrap().what, "fetch");
        let refused = |text: &str| Errand::from_json(text.as_bytes()).unwrap_err();
        assert!(matches!(refused(&text.replace("fetch", "leave")), PlanFileError::Changed { .. }));
        let other = refused(&text.replace("\"form\": 3", "\"form\": 4"));
        assert!(matches!(other, PlanFileError::Format { form: 4, known: 3, .. }));
        for text in ["", "[]", "{}", r#"{"form":3}"#, r#"{"form":"3"}"#] {
            let error = refused(text);
            assert!(matches!(error, PlanFileError::Json { .. }) && error.to_string().contains("keyhaven errand"));
        }
    }
}
