//! Files that are no entries.

/// Files that are named of those that are no entries.
const NAMED: usize = 5;

/// Files that are no entries: counted, the first of them named, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rubbish {
    /// Their number.
    pub count: u64,
    /// The first by name, each with what is wrong.
    pub first: Vec<(String, String)>,
    /// Number of files not read because there are too many.
    pub unread: u64,
}

impl Rubbish {
    /// Counts one.
    pub fn add(&mut self, file: String, why: String) {
        self.count = self.count.saturating_add(1);
        let at = self.first.partition_point(|(other, _)| *other < file);
        if at < NAMED {
            self.first.insert(at, (file, why));
            self.first.truncate(NAMED);
        }
    }

    /// Counts one that was not read.
    pub fn add_unread(&mut self, file: String) {
        self.unread = self.unread.saturating_add(1);
        self.add(file, "not read: there are too many".to_owned());
    }

    /// Counts what another counted.
    pub fn extend(&mut self, other: Self) {
        let unnamed = other.count.saturating_sub(other.first.len() as u64);
        other.first.into_iter().for_each(|(file, why)| self.add(file, why));
        self.count = self.count.saturating_add(unnamed);
        self.unread = self.unread.saturating_add(other.unread);
    }
}
