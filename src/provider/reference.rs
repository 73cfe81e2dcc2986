//! References between items: ids in an answer, names in a plan.
//!
//! An id of the source has no meaning in a standby. So on both sides, settings that hold an id are converted to names
//! (`@group:NAME`, `@secret:TYPE/GROUP/NAME`, `@configuration:TYPE/NAME`) for comparison, and a request converts them
//! to ids of the standby. The provider's converter defines which settings these are.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::restore_item::RestoreItem;
use crate::model::ItemKind;

/// Returns the text that replaces an item's id; `group` is the name of its group.
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

/// The references of one instance, mapped from ids and to ids. Grows while items are created.
#[derive(Debug, Default)]
pub struct ReferenceNames(RwLock<Both>);

#[derive(Debug, Default)]
struct Both {
    references: BTreeMap<String, String>,
    ids: BTreeMap<String, String>,
}

impl ReferenceNames {
    /// Collects the references of all items of an instance; `group` returns the name of the group with an id.
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

    /// Returns the reference of the item with that id.
    #[must_use]
    pub fn reference(&self, id: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).references.get(id).cloned()
    }

    /// Returns the id of the item that a reference names.
    #[must_use]
    pub fn id(&self, reference: &str) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).ids.get(reference).cloned()
    }
}

/// A dependency that must exist and be usable before an item can be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemDependency {
    /// Description for people, such as `the template web`.
    pub what: String,
    /// References, any one of which is sufficient.
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
