//! References between items: ids in an answer, names in a plan.
//!
//! An id of the source means nothing in a standby. So settings that hold an id are put into views by name on both sides
//! (`@group:NAME`, `@secret:TYPE/GROUP/NAME`, `@configuration:TYPE/NAME`), where they can be compared, and a request
//! puts the standby's ids back in. Which settings these are is the provider's converter to say.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::restore_item::RestoreItem;
use crate::model::ItemKind;

/// The text that replaces an item's id in references; `group` is the name of its group.
#[must_use]
pub fn reference(kind: ItemKind, item_type: &str, group: Option<&str>, name: &str) -> String {
    match kind {
        ItemKind::Group => format!("@group:{name}"),
        ItemKind::Secret => format!("@secret:{item_type}/{}/{name}", group.unwrap_or_default()),
        ItemKind::Configuration => format!("@configuration:{item_type}/{name}"),
        ItemKind::Registration => "@registration".to_owned(),
        ItemKind::Other => format!("@other:{item_type}/{name}"),
    }
}

/// The references of one instance: which id has which, and the other way round. Grows while items are made.
#[derive(Debug, Default)]
pub struct ReferenceNames(RwLock<Both>);

#[derive(Debug, Default)]
struct Both {
    references: BTreeMap<String, String>,
    ids: BTreeMap<String, String>,
}

impl ReferenceNames {
    /// The names of all items of an instance; `group` says what the group with that id is called.
    pub fn of<'v>(views: impl IntoIterator<Item = &'v RestoreItem>, group: impl Fn(&str) -> Option<String>) -> Self {
        let names = Self::default();
        for view in views {
            let group = view.group.as_deref().and_then(&group);
            names.add(view.key.id(), reference(view.key.kind(), &view.item_type, group.as_deref(), &view.name));
        }
        names
    }

    /// Adds an item.
    pub fn add(&self, id: &str, reference: String) {
        let mut both = self.0.write().unwrap_or_else(PoisonError::into_inner);
        both.ids.insert(reference.clone(), id.to_owned());
        both.references.insert(id.to_owned(), reference);
    }

    /// The reference of the item with that id.
    #[must_use]
    pub fn reference(&self, id: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).references.get(id).cloned()
    }

    /// The id of the item that a reference names.
    #[must_use]
    pub fn id(&self, reference: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).ids.get(reference).cloned()
    }
}

/// Requirements that must exist and be usable before an item can be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemDependency {
    /// For people, such as `the template web`.
    pub what: String,
    /// References: any one of them will do.
    pub any_of: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_two_types_is_two_references() {
        let secret = |item_type| reference(ItemKind::Secret, item_type, Some("prod"), "db");
        let names = ReferenceNames::default();
        names.add("1", secret("kv"));
        names.add("2", secret("arbitrary"));
        assert_eq!(names.id(&secret("kv")).as_deref(), Some("1"));
        assert_eq!(names.reference("2").as_deref(), Some("@secret:arbitrary/prod/db"));
        assert_eq!(names.id("@secret:kv/test/db"), None, "another group is another secret");
    }
}
