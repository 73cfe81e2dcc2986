//! An entry of a table, such as one `[[rules]]` or one `[jobs.NAME]`.

use std::borrow::Cow;

use serde::Deserialize;

use super::de::{read, unknown_member};
use super::error::ConfigError;
use super::node::{Node, NodeValue};
use super::origin::SettingOrigin;

/// Entries of one table.
const MOST_ENTRIES: usize = 1_000;

/// An entry of a table.
pub(super) struct TableEntry<'n> {
    /// Its name in messages, without brackets.
    pub(super) table: Cow<'static, str>,
    pub(super) node: &'n Node,
}

/// The entries of a table that is written with double brackets.
pub(super) fn entries<'n>(table: &'static str, node: &'n Node) -> Result<Vec<TableEntry<'n>>, ConfigError> {
    let wrong = |place: &SettingOrigin| ConfigError::Table {
        place: place.clone(),
        what: format!("`{table}`"),
        problem: format!("write each entry as `[[{table}]]` on a line of its own, its members below"),
    };
    let NodeValue::List(list) = &node.value else { return Err(wrong(&node.origin)) };
    if list.len() > MOST_ENTRIES {
        let problem = format!("{} entries, more than {MOST_ENTRIES}", list.len());
        return Err(ConfigError::Table { place: node.origin.clone(), what: format!("`{table}`"), problem });
    }
    let entry = |node: &'n Node| match node.value {
        NodeValue::Table(_) => Ok(TableEntry { table: table.into(), node }),
        _ => Err(wrong(&node.origin)),
    };
    list.iter().map(entry).collect()
}

impl<'n> TableEntry<'n> {
    /// Reads all members.
    pub(super) fn read<T: Deserialize<'n>>(&self) -> Result<T, ConfigError> {
        read(self.node, &self.table, true)
    }

    /// Reads one member.
    pub(super) fn member<T: Deserialize<'n>>(&self, name: &str) -> Result<Option<T>, ConfigError> {
        self.node.find(name).map(|node| read(node, &format!("{}.{name}", self.table), true)).transpose()
    }

    /// Refuses members of other names.
    pub(super) fn only(&self, known: &[&'static str]) -> Result<(), ConfigError> {
        match self.node.members().iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, node)) => Err(unknown_member(&self.table, name, known, &node.origin)),
            None => Ok(()),
        }
    }

    /// An error of the entry as a whole.
    pub(super) fn error(&self, problem: &str) -> ConfigError {
        let (place, what) = (self.node.origin.clone(), format!("`[[{}]]`", self.table));
        ConfigError::Table { place, what, problem: problem.to_owned() }
    }

    /// An error of one member.
    pub(super) fn at(&self, member: &str, problem: impl Into<String>) -> ConfigError {
        let place = self.node.find(member).unwrap_or(self.node).origin.clone();
        ConfigError::Table { place, what: format!("`{}.{member}`", self.table), problem: problem.into() }
    }
}

/// Returns true if a text is a short name: 1 to `most` characters, a to z, 0 to 9 and `-`, which neither begins nor
/// ends it.
pub(super) fn is_name(text: &str, most: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=most).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-') && !text.ends_with('-')
}
