//! `[restore]`.

use super::section;
use crate::config::value::words;

words! {
    /// What a restore does about an item of the standby that holds something of its own.
    pub enum ConflictRule {
        /// Report it.
        Fail = "fail",
        /// Leave it alone.
        Skip = "skip",
        /// Put the snapshot's content on top, as a new version.
        NewVersion = "new-version",
        /// Delete it and create it anew.
        Replace = "replace",
    }
}

section! {
    /// How a restore treats existing items of the standby. Which items become what: see the tables at the end.
    pub struct RestoreSection in "restore" {
        /// What to do about an item of the standby that holds something of its own: report it, leave it alone, put the
        /// snapshot's content on top as a new version, or delete it and create it anew.
        on_conflict: ConflictRule = "fail", r#""fail""#;
    }
}
