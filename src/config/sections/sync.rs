//! `[sync]`.

use super::section;
use crate::config::value::{Period, Share};

section! {
    /// How `keyhaven sync` keeps a standby in step. Only hosts that hold a recovery key run it.
    pub struct SyncSection in "sync" {
        /// Change the standby. Without it `sync` only reports what it would do, unless it is run with --apply.
        apply: bool = "false", "false";
        /// Only snapshots that are at least this old are brought into the standby, so that a corruption of the source
        /// does not travel at once. "1s" is as good as none.
        delay: Period = "1h", r#""1h""#;
        /// Delete from the standby what a restore made and the source has lost since. Nothing else is ever deleted.
        delete: bool = "false", "false";
        /// A run that would change or delete more than this share of the standby's items changes nothing and reports
        /// it.
        max_change: Share = "20%", r#""20%""#;
    }
}
