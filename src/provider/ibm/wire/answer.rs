//! A usable answer.

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::model::Timestamp;
use crate::model::json::{JsonObject, Members};
use crate::provider::InstanceError;
use crate::provider::ibm::api::Split;
use crate::provider::ibm::classify::{AnswerShape, Cut, cut};

/// An answer with a 2xx status: JSON if JSON was expected, otherwise empty. Wiped when dropped.
#[derive(Debug)]
pub(in crate::provider::ibm) struct Answer {
    /// The request, for errors.
    pub(super) what: String,
    /// The body.
    pub(super) text: Zeroizing<String>,
    /// Its `Date`.
    pub(super) date: Option<Timestamp>,
}

impl Answer {
    /// Returns the provider's clock in this answer.
    pub(in crate::provider::ibm) fn date(&self) -> Result<Timestamp, InstanceError> {
        self.date.ok_or_else(|| self.malformed("it has no `Date`, and a backup goes by the provider's clock"))
    }

    /// Creates an error about this answer.
    pub(in crate::provider::ibm) fn malformed(&self, problem: &str) -> InstanceError {
        InstanceError::Malformed { what: self.what.clone(), problem: problem.to_owned() }
    }

    /// Creates an error about a list.
    pub(in crate::provider::ibm) fn incomplete(&self, problem: String) -> InstanceError {
        InstanceError::Incomplete { what: self.what.clone(), problem }
    }

    /// Returns the whole text, including secrets.
    pub(in crate::provider::ibm) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the members of the answer.
    pub(in crate::provider::ibm) fn members(&self) -> Result<Members<'_>, InstanceError> {
        Members::parse(&self.text).map_err(|_| self.malformed("it is no JSON object"))
    }

    /// Returns the elements of the list `name`.
    pub(in crate::provider::ibm) fn rows(&self, name: &str) -> Result<Vec<&RawValue>, InstanceError> {
        let members = self.members()?;
        let list = members.0.iter().rev().find(|(member, _)| member == name);
        let list = list.ok_or_else(|| self.malformed(&format!("it has no `{name}`")))?;
        serde_json::from_str(list.1.get()).map_err(|_| self.malformed(&format!("`{name}` is no list")))
    }

    /// Returns the unsigned integer `name`.
    pub(in crate::provider::ibm) fn count(&self, name: &str) -> Result<u64, InstanceError> {
        self.members()?
            .0
            .iter()
            .rev()
            .find(|(member, _)| member == name)
            .and_then(|(_, value)| value.get().parse().ok())
            .ok_or_else(|| self.malformed(&format!("it has no whole number `{name}`")))
    }

    /// Splits the answer into metadata and payload.
    pub(in crate::provider::ibm) fn split(&self, family: Family) -> Result<Split, InstanceError> {
        self.split_text(&self.text, family)
    }

    /// Splits a part of the answer into metadata and payload.
    pub(in crate::provider::ibm) fn split_text(&self, text: &str, family: Family) -> Result<Split, InstanceError> {
        let parts = self.cut_text(text, family, None)?;
        let metadata = JsonObject::parse(&parts.rest).map_err(|_| self.malformed("it is no JSON object"))?;
        Ok(Split { metadata, payload: parts.payload })
    }

    /// Cuts the secret members out of a part of the answer; their names get a prefix.
    pub(in crate::provider::ibm) fn cut_text(
        &self,
        text: &str,
        family: Family,
        prefix: Option<&str>,
    ) -> Result<Cut, InstanceError> {
        let members = Members::parse(text).map_err(|_| self.malformed("it is no JSON object"))?;
        let named = |name: &str| {
            let member = members.0.iter().rev().find(|(member, _)| member == name);
            member.and_then(|(_, value)| serde_json::from_str::<String>(value.get()).ok()).unwrap_or_default()
        };
        let name = match family {
            Family::Secret | Family::Version => named("secret_type"),
            Family::Configuration => named("config_type"),
            Family::Other => String::new(),
        };
        let shape = match family {
            Family::Secret => AnswerShape::Secret(&name),
            Family::Version => AnswerShape::Version(&name),
            Family::Configuration => AnswerShape::Configuration(&name),
            Family::Other => AnswerShape::Other,
        };
        cut(text, shape, prefix).map_err(|error| self.malformed(&error.to_string()))
    }
}

/// Kind of the objects of an endpoint, which determines the member of its answers that has the type. An answer without
/// it is treated as of an unknown type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider::ibm) enum Family {
    /// Secrets, and the metadata of versions.
    Secret,
    /// Versions with their payload.
    Version,
    /// Configurations.
    Configuration,
    /// Groups, locks, the registration.
    Other,
}
