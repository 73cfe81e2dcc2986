//! Finding items in an inventory.

use std::collections::BTreeMap;

use crate::model::{Item, ItemKind, Restorability};

/// The names of secret groups, learnt from the inventory itself.
#[derive(Debug, Default)]
pub(super) struct GroupNames(BTreeMap<String, String>);

impl GroupNames {
    /// Remembers the item if it is a group.
    pub(super) fn learn(&mut self, item: &Item) {
        if item.key.kind() == ItemKind::Group {
            self.0.insert(item.key.id().to_owned(), item.name.clone());
        }
    }

    /// The name of the group that a secret is in.
    pub(super) fn of(&self, item: &Item) -> Option<&str> {
        self.0.get(item.group.as_deref()?).map(String::as_str)
    }
}

/// Which items to list.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Filter {
    /// A name, GROUP/NAME or id; `*` stands for any characters
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Only this kind: group, configuration, secret, registration
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only this type: arbitrary, kv, imported_cert, …
    #[arg(long = "type", value_name = "TYPE")]
    item_type: Option<String>,
    /// Only this secret group, by name or id
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Only this restorability: exact, converted, reissued, definition_only, impossible
    #[arg(long, value_name = "CLASS", value_parser = Restorability::ALL.map(Restorability::as_str))]
    class: Option<String>,
}

impl Filter {
    /// Returns true if the item is one of them.
    pub(super) fn takes(&self, item: &Item, groups: &GroupNames) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        same(&self.kind, item.key.kind_word())
            && same(&self.item_type, &item.item_type)
            && same(&self.class, item.class.as_str())
            && self
                .group
                .as_deref()
                .is_none_or(|group| item.group.as_deref() == Some(group) || groups.of(item) == Some(group))
            && self.name.as_deref().is_none_or(|name| is_called(item, groups, name))
    }
}

/// Whether `name` means the item: its key, its id, its name or GROUP/NAME, with `*` for any characters.
pub(super) fn is_called(item: &Item, groups: &GroupNames, name: &str) -> bool {
    let in_group = groups.of(item).map(|group| format!("{group}/{}", item.name));
    [Some(item.key.as_str()), Some(item.key.id()), Some(item.name.as_str()), in_group.as_deref()]
        .into_iter()
        .flatten()
        .any(|is| fits(name, is))
}

/// Returns true if `text` is what `pattern` describes. Greedy from the left, so linear in the text for each piece.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = text.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text) in [("a", "a"), ("*", ""), ("a*", "abc"), ("*c", "abc"), ("a*c", "abc"), ("a*b*c", "aXbYc")]
        {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*c", "ab"), ("ab*b", "ab"), ("a*b*b", "ab"), ("*x*", "abc")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
