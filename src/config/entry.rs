//! One table of the file, being read member by member.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::layer::SettingOrigin;
use super::value::{SettingValue, ValueKind, describe};

/// Entries of one table.
const MOST_ENTRIES: usize = 1_000;

/// A table such as one `[[rules]]` or one `[jobs.NAME]`, with where it stands.
pub(super) struct TableEntry<'d, 'p> {
    /// What messages call it, without brackets.
    pub(super) table: Cow<'static, str>,
    pub(super) members: &'d DeTable<'d>,
    /// Where it begins, as an offset into the file.
    pub(super) at: usize,
    pub(super) place: &'p dyn Fn(usize) -> SettingOrigin,
}

/// The entries of a table that is written with double brackets.
pub(super) fn entries<'d, 'p>(
    table: &'static str,
    value: &'d Spanned<DeValue<'d>>,
    place: &'p dyn Fn(usize) -> SettingOrigin,
) -> Result<Vec<TableEntry<'d, 'p>>, ConfigError> {
    let wrong = |at: usize| ConfigError::Table {
        place: place(at),
        what: format!("`{table}`"),
        problem: format!("write each entry as `[[{table}]]` on a line of its own, its members below"),
    };
    let DeValue::Array(list) = value.get_ref() else { return Err(wrong(value.span().start)) };
    if list.len() > MOST_ENTRIES {
        let problem = format!("{} entries, more than {MOST_ENTRIES}", list.len());
        return Err(ConfigError::Table { place: place(value.span().start), what: format!("`{table}`"), problem });
    }
    let entry = |element: &'d Spanned<DeValue<'d>>| match element.get_ref() {
        DeValue::Table(members) => Ok(TableEntry { table: table.into(), members, at: element.span().start, place }),
        _ => Err(wrong(element.span().start)),
    };
    list.iter().map(entry).collect()
}

impl TableEntry<'_, '_> {
    /// A member and where it stands.
    pub(super) fn member(&self, name: &str) -> Option<(&DeValue<'_>, SettingOrigin)> {
        let (key, value) = self.members.iter().find(|(key, _)| key.get_ref() == name)?;
        Some((value.get_ref(), (self.place)(key.span().start)))
    }

    /// A member that is text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        match self.member(name) {
            None => Ok(None),
            Some((DeValue::String(text), _)) => Ok(Some(text.to_string())),
            Some((other, _)) => Err(self.at(name, format!("must be text, not {}", describe(other)))),
        }
    }

    /// A member of one of the types that keys have.
    pub(super) fn value(&self, name: &str, kind: ValueKind) -> Result<Option<SettingValue>, ConfigError> {
        let Some((value, _)) = self.member(name) else { return Ok(None) };
        // No member of a table is a path, so nothing is relative to anywhere.
        let read = kind.read_toml(value, std::path::Path::new(""));
        read.map(Some).map_err(|found| self.at(name, format!("must be {}, not {found}", kind.expected())))
    }

    /// Refuses members of other names.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ConfigError> {
        for (key, _) in self.members {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let near = known.iter().map(|known| (known, strsim::jaro_winkler(known, name)));
                let near = near.filter(|(_, score)| *score > 0.8).max_by(|a, b| a.1.total_cmp(&b.1));
                return Err(ConfigError::UnknownKey {
                    place: (self.place)(key.span().start),
                    key: format!("{}.{name}", self.table),
                    nearest: near.map(|(known, _)| format!("{}.{known}", self.table)),
                });
            }
        }
        Ok(())
    }

    /// What messages call a member.
    pub(super) fn path(&self, member: &str) -> String {
        format!("`{}.{member}`", self.table)
    }

    /// Where the entry begins.
    pub(super) fn place(&self) -> SettingOrigin {
        (self.place)(self.at)
    }

    /// An error of the table as a whole.
    pub(super) fn error(&self, problem: &str) -> ConfigError {
        let what = format!("`[[{}]]`", self.table);
        ConfigError::Table { place: (self.place)(self.at), what, problem: problem.to_owned() }
    }

    /// An error of one member.
    pub(super) fn at(&self, member: &str, problem: String) -> ConfigError {
        let place = self.member(member).map_or_else(|| (self.place)(self.at), |(_, origin)| origin);
        ConfigError::Table { place, what: self.path(member), problem }
    }
}

/// What of `known` looks most like a word, as the end of a message.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    let scored = known.map(|known| (known, strsim::jaro_winkler(known, word))).filter(|(_, score)| *score > 0.8);
    let best = scored.max_by(|a, b| a.1.total_cmp(&b.1));
    best.map(|(known, _)| format!("; did you mean `{known}`?")).unwrap_or_default()
}

/// Whether a text is a short name: 1 to `most` characters, a to z, 0 to 9 and `-`, which neither begins nor ends it.
pub(super) fn is_name(text: &str, most: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=most).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-') && !text.ends_with('-')
}
