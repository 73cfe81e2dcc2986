//! Plan files: one format, a digest of the contents, one reader.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::crypto::digest::sha256;
use crate::model::{Digest, FailureKind};

/// A plan that can be saved and applied later.
pub trait PlanFile: Serialize + DeserializeOwned {
    /// Format version of the plan; other versions are refused.
    const FORMAT: u32;
    /// Name of the member with the format version.
    const FORM: &'static str;
    /// Command that makes such a plan.
    const COMMAND: &'static str;

    /// Returns its digest member.
    fn digest_mut(&mut self) -> &mut Digest;

    /// Sets the digest; called once the plan is complete.
    #[must_use]
    fn sealed(mut self) -> Self {
        // The digest member itself is zero while hashing. Every plan can be serialised; if one could not, `to_json`
        // would fail.
        *self.digest_mut() = Digest::from_bytes([0; 32]);
        let digest = sha256(&serde_json::to_vec(&self).unwrap_or_default());
        *self.digest_mut() = digest;
        self
    }

    /// Reads a plan back.
    ///
    /// # Errors
    /// If it is not such a plan, has another format version, or was changed after it was made.
    fn from_json(text: &[u8]) -> Result<Self, PlanFileError> {
        let command = Self::COMMAND;
        let read = |source| PlanFileError::Json { command, source };
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(text).map_err(read)?;
        let form = members.get(Self::FORM).and_then(|form| form.get().parse().ok());
        // Without a format version it is not a plan; parsing it completely gives the reason.
        if let Some(form) = form.filter(|form: &u64| *form != u64::from(Self::FORMAT)) {
            return Err(PlanFileError::Format { form, known: Self::FORMAT, command });
        }
        let mut plan: Self = serde_json::from_slice(text).map_err(read)?;
        let made_with = *plan.digest_mut();
        let mut plan = plan.sealed();
        if *plan.digest_mut() == made_with { Ok(plan) } else { Err(PlanFileError::Changed { command }) }
    }

    /// Returns the plan as the text of a file.
    ///
    /// # Errors
    /// If it cannot be serialised to JSON, which no plan does.
    fn to_json(&self) -> Result<String, PlanFileError> {
        serde_json::to_string_pretty(self).map_err(|source| PlanFileError::Json { command: Self::COMMAND, source })
    }
}

/// A plan file that this release cannot apply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanFileError {
    /// The plan has another format version.
    #[error("the plan has form {form}, this release knows {known}; make a new one with `{command}`")]
    Format {
        /// Format version of the plan.
        form: u64,
        /// Supported format version.
        known: u32,
        /// Command that makes a plan.
        command: &'static str,
    },
    /// The plan was changed after it was made.
    #[error(
        "the plan was changed after it was made; make a new one with `{command}`, whose options choose what is done \
         and in \
         which order"
    )]
    Changed {
        /// Command that makes a plan.
        command: &'static str,
    },
    /// The file is not a plan.
    #[error("not a plan file of this kind; create one with `{command}`")]
    Json {
        /// Command that makes a plan.
        command: &'static str,
        /// Cause.
        source: serde_json::Error,
    },
}

impl PlanFileError {
    /// Returns the kind of this failure.
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
