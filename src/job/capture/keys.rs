//! Item keys of a whole instance in one contiguous buffer.

use std::cmp::Ordering;

use crate::model::ItemKey;

/// Length in bytes of a secret's key: the kind, a slash, a UUID.
const SECRET_KEY: usize = 43;

/// Keys in ascending order. 100,000 keys take about 5 MB, without an allocation for each.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    text: String,
    ends: Vec<usize>,
}

impl KeyTable {
    /// Reserves memory for this many keys of secrets.
    pub(super) fn reserve(&mut self, keys: usize) {
        self.text.reserve_exact(keys.saturating_mul(SECRET_KEY));
        self.ends.reserve_exact(keys);
    }

    /// Adds a key, which must be greater than all keys in the table.
    pub(super) fn push(&mut self, key: &ItemKey) {
        self.text.push_str(key.as_str());
        self.ends.push(self.text.len());
    }

    /// Appends another table, whose keys must be greater than all keys in this one.
    pub(super) fn append(&mut self, other: &KeyTable) {
        let moved = self.text.len();
        self.text.push_str(&other.text);
        self.ends.extend(other.ends.iter().map(|end| end + moved));
    }

    /// Returns the key at an index as text, or `None` past the end.
    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.text.get(start..end)
    }

    /// Returns the key at an index.
    pub(super) fn key(&self, at: usize) -> Option<ItemKey> {
        self.get(at)?.parse().ok()
    }

    /// Returns the index of a key.
    pub(super) fn find(&self, key: &ItemKey) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).map(|here| here.cmp(key.as_str())) {
                Some(Ordering::Equal) => return Some(middle),
                Some(Ordering::Less) => low = middle + 1,
                _ => high = middle,
            }
        }
        None
    }

    /// Returns the number of keys.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Releases unused capacity.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// Cursor over a [`KeyTable`] that advances alongside another sorted sequence.
#[derive(Debug, Default)]
pub(super) struct Walk {
    at: usize,
}

impl Walk {
    /// Advances to `key`, passes the index of every smaller key on the way to `passed`, and returns the index of `key`
    /// if it is present.
    pub(super) fn to(&mut self, table: &KeyTable, key: &str, mut passed: impl FnMut(usize)) -> Option<usize> {
        while let Some(here) = table.get(self.at) {
            match here.cmp(key) {
                Ordering::Less => passed(self.at),
                Ordering::Equal => {
                    self.at += 1;
                    return Some(self.at - 1);
                }
                Ordering::Greater => return None,
            }
            self.at += 1;
        }
        None
    }

    /// Passes the index of every remaining key to `passed`.
    pub(super) fn rest(&mut self, table: &KeyTable, passed: impl FnMut(usize)) {
        (self.at..table.len()).for_each(passed);
        self.at = table.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_what_is_there_and_names_what_it_passes() {
        let mut table = KeyTable::default();
        for key in ["group/a", "group/c", "secret/a", "secret/b"] {
            table.push(&key.parse().unwrap());
        }
        let (mut walk, mut passed) = (Walk::default(), Vec::new());
        assert_eq!(walk.to(&table, "group/b", |at| passed.push(at)), None);
        assert_eq!(walk.to(&table, "group/c", |at| passed.push(at)), Some(1));
        assert_eq!(walk.to(&table, "secret/b", |at| passed.push(at)), Some(3));
        walk.rest(&table, |at| passed.push(at));
        assert_eq!(passed, [0, 2]);
        assert_eq!(table.get(4), None);
        let (mut both, mut more) = (KeyTable::default(), KeyTable::default());
        more.push(&"secret/c".parse().unwrap());
        both.append(&table);
        both.append(&more);
        assert_eq!((both.len(), both.get(3), both.get(4)), (5, Some("secret/b"), Some("secret/c")));
        assert!((0..4).all(|at| table.find(&table.key(at).unwrap()) == Some(at)));
        assert!(
            ["configuration/a/b", "group/b", "secret/c"].iter().all(|key| table.find(&key.parse().unwrap()).is_none())
        );
    }
}
