//! Strict reader for a table of a script: an unknown key is an error.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::error::ScriptError;
use crate::model::nearest::nearest;

/// Longest time in a script, in seconds: a day. A longer one is probably a wrong unit.
const LONGEST: f64 = 86_400.0;

/// Text and name of a script.
#[derive(Clone, Copy)]
pub(super) struct Script<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Script<'_> {
    /// Returns file and line of a byte offset.
    pub(super) fn place(&self, at: usize) -> String {
        let line = 1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        format!("{}, line {line}", self.name)
    }
}

/// Table with its known keys.
pub(super) struct ScriptTable<'a> {
    script: Script<'a>,
    members: &'a DeTable<'a>,
    /// Name in messages.
    called: String,
    /// Byte offset of its start.
    at: usize,
}

impl<'a> ScriptTable<'a> {
    /// Creates a reader; fails on keys that are not `known`.
    pub(super) fn new(
        script: Script<'a>,
        members: &'a DeTable<'a>,
        called: impl Into<String>,
        at: usize,
        known: &[&str],
    ) -> Result<Self, ScriptError> {
        let called = called.into();
        for key in members.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            return Err(ScriptError::UnknownKey {
                place: script.place(key.span().start),
                key: name.to_owned(),
                table: called,
                nearest: nearest(name, known.iter().copied()).map(str::to_owned),
                known: listed(known),
            });
        }
        Ok(Self { script, members, called, at })
    }

    /// Returns file and line of a key, or of the table if the key is absent.
    pub(super) fn place(&self, name: &str) -> String {
        let at = self.members.get_key_value(name).map_or(self.at, |(key, _)| key.span().start);
        self.script.place(at)
    }

    fn get(&self, name: &str) -> Option<&'a DeValue<'a>> {
        self.members.get(name).map(toml::Spanned::get_ref)
    }

    pub(super) fn wrong(&self, name: &str, expected: impl Into<String>) -> ScriptError {
        let found = self.get(name).map_or_else(|| "nothing".to_owned(), describe);
        ScriptError::WrongValue { place: self.place(name), key: name.to_owned(), expected: expected.into(), found }
    }

    /// Returns the value of a required key.
    pub(super) fn required<T>(
        &self,
        name: &'static str,
        value: Option<T>,
        expected: impl Into<String>,
    ) -> Result<T, ScriptError> {
        value.ok_or_else(|| ScriptError::Missing {
            place: self.script.place(self.at),
            table: self.called.clone(),
            key: name,
            expected: expected.into(),
        })
    }

    pub(super) fn exclusive(&self, first: &'static str, second: &'static str) -> Result<(), ScriptError> {
        if self.get(first).is_some() && self.get(second).is_some() {
            return Err(ScriptError::Both { place: self.place(second), first, second });
        }
        Ok(())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, ScriptError> {
        match self.get(name) {
            None => Ok(None),
            Some(DeValue::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "text that is not empty")),
        }
    }

    /// Returns the value of a key that takes one of these words.
    pub(super) fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, ScriptError> {
        let expected = || format!("one of {}", listed(&words.iter().map(|(word, _)| *word).collect::<Vec<_>>()));
        match self.get(name) {
            None => Ok(None),
            Some(DeValue::String(text)) => {
                let found = words.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
                found.map(Some).ok_or_else(|| self.wrong(name, expected()))
            }
            Some(_) => Err(self.wrong(name, expected())),
        }
    }

    /// Returns the value of a key that takes a list of these words, at least one.
    pub(super) fn choices<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<Vec<T>>, ScriptError> {
        let expected = || format!("a list of {}", listed(&words.iter().map(|(word, _)| *word).collect::<Vec<_>>()));
        let Some(value) = self.get(name) else { return Ok(None) };
        let DeValue::Array(elements) = value else { return Err(self.wrong(name, expected())) };
        let found: Option<Vec<T>> = elements
            .iter()
            .map(|element| match element.get_ref() {
                DeValue::String(text) => words.iter().find(|(word, _)| word == text).map(|(_, value)| *value),
                _ => None,
            })
            .collect();
        found.filter(|found| !found.is_empty()).map(Some).ok_or_else(|| self.wrong(name, expected()))
    }

    /// Returns an integer within these bounds, inclusive.
    pub(super) fn whole(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, ScriptError> {
        let expected = || match most {
            u64::MAX => format!("a whole number from {least}"),
            _ => format!("a whole number from {least} to {most}"),
        };
        match self.get(name) {
            None => Ok(None),
            Some(DeValue::Integer(number)) => {
                let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
                let number = number.filter(|number| (least..=most).contains(number));
                number.map(Some).ok_or_else(|| self.wrong(name, expected()))
            }
            Some(_) => Err(self.wrong(name, expected())),
        }
    }

    fn number(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        }
    }

    /// Returns a number above 0 and up to 1.
    pub(super) fn share(&self, name: &str) -> Result<Option<f64>, ScriptError> {
        if self.get(name).is_none() {
            return Ok(None);
        }
        let share = self.number(name).filter(|share| *share > 0.0 && *share <= 1.0);
        share.map(Some).ok_or_else(|| self.wrong(name, "a number above 0 and up to 1"))
    }

    /// Returns a number of seconds from 0 to a day; fractions are allowed.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<Duration>, ScriptError> {
        if self.get(name).is_none() {
            return Ok(None);
        }
        let seconds = self.number(name).filter(|seconds| (0.0..=LONGEST).contains(seconds));
        let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.map(Some).ok_or_else(|| self.wrong(name, "seconds from 0 to 86400"))
    }

    /// Returns a nested table.
    pub(super) fn table(&self, name: &str, known: &[&str]) -> Result<Option<Self>, ScriptError> {
        match self.get(name) {
            None => Ok(None),
            Some(DeValue::Table(members)) => {
                let at = self.members.get_key_value(name).map_or(self.at, |(key, _)| key.span().start);
                Self::new(self.script, members, format!("`{name}`"), at, known).map(Some)
            }
            Some(_) => Err(self.wrong(name, "a table, such as { class = \"reading\" }")),
        }
    }
}

/// Formats words for a message.
pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", text.chars().take(40).collect::<String>()),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "that list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
