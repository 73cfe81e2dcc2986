//! Files that are not entries.

/// Number of such files that are named.
const NAMED: usize = 5;

/// Number of files that are not entries, and the names of the first ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rubbish {
    /// Number of files.
    pub count: u64,
    /// The first files by name, each with the reason.
    pub first: Vec<(String, String)>,
    /// Number of files that were not read because there are too many.
    pub unread: u64,
}

impl Rubbish {
    /// Adds one file.
    pub fn add(&mut self, file: String, why: String) {
        self.count = self.count.saturating_add(1);
        let at = self.first.partition_point(|(other, _)| *other < file);
        if at < NAMED {
            self.first.insert(at, (file, why));
            self.first.truncate(NAMED);
        }
    }

    /// Adds one file that was not read.
    pub fn add_unread(&mut self, file: String) {
        self.unread = self.unread.saturating_add(1);
        self.add(file, "not read: there are too many".to_owned());
    }

    /// Adds the files of another count.
    pub fn extend(&mut self, other: Self) {
        let unnamed = other.count.saturating_sub(other.first.len() as u64);
        other.first.into_iter().for_each(|(file, why)| self.add(file, why));
        self.count = self.count.saturating_add(unnamed);
        self.unread = self.unread.saturating_add(other.unread);
    }
}
