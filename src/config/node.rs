//! Settings as a tree, each value with its origin: what the layers are merged as, before they get their types.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::origin::SettingOrigin;

/// The name that asks for a text together with the directory that relative paths in it start at.
pub(super) const TEXT_AND_BASE: &str = "keyhaven::TextAndBase";
/// The same for what may be a secret in the wrong place: no message repeats it.
pub(super) const SECRET_AND_BASE: &str = "keyhaven::SecretAndBase";

/// A value with its origin.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: NodeValue,
    /// Of a member of a table: where its key is.
    pub(super) origin: SettingOrigin,
    /// The directory that relative paths start at.
    pub(super) base: Arc<Path>,
}

/// Value of a node.
#[derive(Debug, Clone)]
pub(super) enum NodeValue {
    /// The text of an environment variable, a flag or a default: it may stand for any type.
    Untyped(String),
    Text(String),
    Integer(i64),
    Float(f64),
    Flag(bool),
    Date(String),
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<(String, Node)>),
}

impl Default for Node {
    fn default() -> Self {
        Self { value: NodeValue::Table(Vec::new()), origin: SettingOrigin::Default, base: Arc::from(PathBuf::new()) }
    }
}

impl Node {
    /// Reads a TOML document.
    pub(super) fn parse(text: &str, name: &str, base: &Path) -> Result<Self, ConfigError> {
        let file = FileText { text, name, base: Arc::from(base) };
        let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            place: file.origin(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        Ok(file.table(document.get_ref(), file.origin(0)))
    }

    /// A table with one member.
    pub(super) fn member(name: &str, node: Self) -> Self {
        let (origin, base) = (node.origin.clone(), Arc::clone(&node.base));
        Self { value: NodeValue::Table(vec![(name.to_owned(), node)]), origin, base }
    }

    /// Sets the text of a key, `section.name` or a name alone.
    pub(super) fn set(&mut self, path: &str, text: &str, origin: SettingOrigin, base: &Arc<Path>) {
        let value = NodeValue::Untyped(text.to_owned());
        let leaf = Self { value, origin, base: Arc::clone(base) };
        self.merge(path.rsplit('.').fold(leaf, |node, name| Self::member(name, node)));
    }

    /// Puts later settings over these: tables member by member, everything else whole.
    pub(super) fn merge(&mut self, later: Self) {
        match (&mut self.value, later.value) {
            (NodeValue::Table(members), NodeValue::Table(later)) => {
                for (name, node) in later {
                    match members.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => known.merge(node),
                        None => members.push((name, node)),
                    }
                }
            }
            (_, value) => *self = Self { value, ..later },
        }
    }

    /// Removes a member of this table.
    pub(super) fn take(&mut self, name: &str) -> Option<Self> {
        let NodeValue::Table(members) = &mut self.value else { return None };
        let at = members.iter().position(|(known, _)| known == name)?;
        Some(members.remove(at).1)
    }

    /// The members, if this is a table.
    pub(super) fn members(&self) -> &[(String, Self)] {
        if let NodeValue::Table(members) = &self.value { members } else { &[] }
    }

    /// The member of that path.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        path.split('.')
            .try_fold(self, |node, name| node.members().iter().find(|(known, _)| known == name).map(|(_, node)| node))
    }

    /// The names of environment variables that its texts refer to.
    pub(super) fn variables(&self) -> Vec<String> {
        match &self.value {
            NodeValue::Untyped(text) | NodeValue::Text(text) => {
                text.strip_prefix("env:").map(str::to_owned).into_iter().collect()
            }
            NodeValue::List(list) => list.iter().flat_map(Self::variables).collect(),
            NodeValue::Table(members) => members.iter().flat_map(|(_, node)| node.variables()).collect(),
            _ => Vec::new(),
        }
    }

    /// The value as JSON; a date becomes its text. `None` if JSON has no such number.
    pub(super) fn json(&self) -> Option<Json> {
        Some(match &self.value {
            NodeValue::Untyped(text) | NodeValue::Text(text) | NodeValue::Date(text) => Json::String(text.clone()),
            NodeValue::Flag(flag) => Json::Bool(*flag),
            NodeValue::Integer(number) => Json::from(*number),
            NodeValue::Float(number) => Json::from(Some(*number).filter(|number| number.is_finite())?),
            NodeValue::List(list) => Json::Array(list.iter().map(Self::json).collect::<Option<_>>()?),
            NodeValue::Table(members) => {
                let member = |(name, node): &(String, Self)| Some((name.clone(), node.json()?));
                Json::Object(members.iter().map(member).collect::<Option<_>>()?)
            }
        })
    }

    /// Description of the value in messages.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            NodeValue::Untyped(text) | NodeValue::Text(text) => quoted(text),
            NodeValue::Integer(number) => number.to_string(),
            NodeValue::Float(number) => number.to_string(),
            NodeValue::Flag(flag) => flag.to_string(),
            NodeValue::Date(_) => "a date".to_owned(),
            NodeValue::List(_) => "a list".to_owned(),
            NodeValue::Table(_) => "a table".to_owned(),
        }
    }
}

/// A text in quotes; a long one, or a URL with credentials, only as what it is: it may be a secret in the wrong place.
pub(super) fn quoted(text: &str) -> String {
    if text.contains('@') || text.len() > 60 || text.chars().any(char::is_control) {
        return format!("a text of {} characters", text.chars().count());
    }
    if text.is_empty() { "empty".to_owned() } else { format!("\"{text}\"") }
}

/// The text of a file, to find lines in.
struct FileText<'t> {
    text: &'t str,
    name: &'t str,
    base: Arc<Path>,
}

impl FileText<'_> {
    fn origin(&self, at: usize) -> SettingOrigin {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        let before = before.rsplit('\n').next().unwrap_or_default();
        // A key at the start of its line, or in the header of its table, is found without a column.
        let obvious = before.trim_start().is_empty() || before.trim_start().starts_with('[');
        let column = (!obvious).then(|| before.chars().count() + 1);
        SettingOrigin::File { name: self.name.to_owned(), line, column }
    }

    fn table(&self, table: &DeTable<'_>, origin: SettingOrigin) -> Node {
        let mut members: Vec<_> = table.iter().collect();
        members.sort_by_key(|(key, _)| key.span().start);
        let member = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &std::borrow::Cow<'_, str> = key.get_ref();
            (name.to_string(), self.node(value.get_ref(), self.origin(key.span().start)))
        };
        Node {
            value: NodeValue::Table(members.into_iter().map(member).collect()),
            origin,
            base: Arc::clone(&self.base),
        }
    }

    fn node(&self, value: &DeValue<'_>, origin: SettingOrigin) -> Node {
        let value = match value {
            DeValue::Table(table) => return self.table(table, origin),
            DeValue::String(text) => NodeValue::Text(text.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => NodeValue::Integer(number),
                Err(_) => NodeValue::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            },
            DeValue::Float(number) => NodeValue::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => NodeValue::Flag(*flag),
            DeValue::Datetime(date) => NodeValue::Date(date.to_string()),
            DeValue::Array(list) => NodeValue::List(
                list.iter().map(|one| self.node(one.get_ref(), self.origin(one.span().start))).collect(),
            ),
        };
        Node { value, origin, base: Arc::clone(&self.base) }
    }
}

/// The parts of a list that is written as one text: separated by commas, `[]` for none.
pub(super) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(move |_| text != "[]")
}
