//! Request bodies, read without changing the digits or the order of members.

use chrono::DateTime;
use serde_json::value::RawValue;

use super::refusal::Refusal;
use crate::model::Timestamp;
use crate::model::json::{Members, as_array, as_str};

/// Members of a request body, borrowed from its text.
pub(crate) struct InputBody<'a>(Members<'a>);

/// Member of a merge patch.
pub(crate) enum Patched<T> {
    /// Not in the patch: unchanged.
    Absent,
    /// `null`: cleared.
    Clear,
    /// The new value.
    Set(T),
}

impl<T> Patched<T> {
    /// Applies the patch to an optional value. Returns `true` if the member was in the patch.
    pub(crate) fn apply(self, target: &mut Option<T>) -> bool {
        match self {
            Self::Absent => return false,
            Self::Clear => *target = None,
            Self::Set(value) => *target = Some(value),
        }
        true
    }
}

impl<'a> InputBody<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        // Do not quote serde's message: it may contain a payload.
        Members::parse(text).map(Self).map_err(|_| Refusal::invalid("The request body is not a JSON object."))
    }

    /// Returns the last member with that name; `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.find(name).filter(|value| value.get() != "null")
    }

    /// True if there is a member with that name, even `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// True if a merge patch clears a member.
    pub(crate) fn clears(&self, name: &str) -> bool {
        self.find(name).is_some_and(|value| value.get() == "null")
    }

    fn find(&self, name: &str) -> Option<&'a RawValue> {
        self.0.0.iter().rev().find(|(found, _)| found == name).map(|(_, value)| *value)
    }

    fn patched<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Self, &str) -> Result<Option<T>, Refusal>,
    ) -> Result<Patched<T>, Refusal> {
        match self.find(name) {
            None => Ok(Patched::Absent),
            Some(value) if value.get() == "null" => Ok(Patched::Clear),
            Some(_) => Ok(read(self, name)?.map_or(Patched::Clear, Patched::Set)),
        }
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => as_str(value).map(Some).ok_or_else(|| wrong(name, "a string")),
        }
    }

    pub(crate) fn required_string(&self, name: &str) -> Result<String, Refusal> {
        self.string(name)?.ok_or_else(|| Refusal::invalid(format!("The field '{name}' is required.")))
    }

    pub(crate) fn bool(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name).map(RawValue::get) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(wrong(name, "a boolean")),
        }
    }

    /// Returns the exact text of a member that must be an object.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Box<RawValue>>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) if value.get().starts_with('{') => Ok(Some(value.to_owned())),
            Some(_) => Err(wrong(name, "an object")),
        }
    }

    pub(crate) fn array(&self, name: &str) -> Result<Option<Vec<Box<RawValue>>>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => as_array(value).map(Some).ok_or_else(|| wrong(name, "a list")),
        }
    }

    pub(crate) fn strings(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let Some(list) = self.array(name)? else { return Ok(None) };
        let strings: Option<Vec<String>> = list.iter().map(|element| as_str(element)).collect();
        strings.map(Some).ok_or_else(|| wrong(name, "a list of strings"))
    }

    pub(crate) fn date(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let Some(text) = self.string(name)? else { return Ok(None) };
        DateTime::parse_from_rfc3339(&text)
            .map(|date| Some(date.to_utc().into()))
            .map_err(|_| wrong(name, "an RFC 3339 date"))
    }

    pub(crate) fn patched_string(&self, name: &str) -> Result<Patched<String>, Refusal> {
        self.patched(name, Self::string)
    }

    pub(crate) fn patched_object(&self, name: &str) -> Result<Patched<Box<RawValue>>, Refusal> {
        self.patched(name, Self::object)
    }

    pub(crate) fn patched_strings(&self, name: &str) -> Result<Patched<Vec<String>>, Refusal> {
        self.patched(name, Self::strings)
    }

    pub(crate) fn patched_date(&self, name: &str) -> Result<Patched<Timestamp>, Refusal> {
        self.patched(name, Self::date)
    }

    /// Rejects members that are not `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.0.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Refusal::invalid(format!("The field '{name}' is not allowed here."))),
            None => Ok(()),
        }
    }
}

fn wrong(name: &str, wanted: &str) -> Refusal {
    Refusal::invalid(format!("The field '{name}' must be {wanted}."))
}
