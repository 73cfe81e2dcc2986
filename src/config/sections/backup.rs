//! `[backup]`.

use super::section;
use crate::config::value::{Period, Share, Tags, Whole};

section! {
    /// How a backup runs.
    pub struct BackupSection in "backup" {
        /// Every item is read again within this time, each at its own moment.
        full_every: Period = "7d", r#""7d""#;
        /// A listing that lacks more than this share of the largest good snapshot of the last 7 days makes the snapshot
        /// suspect.
        max_shrink: Share = "20%", r#""20%""#;
        /// Take a listing without any secret for the truth instead of for a failure.
        allow_empty: bool = "false", "false";
        /// Exit with 0 although the values of configurations are refused, because the identity lacks
        /// configuration.read. The snapshot still records that it lacks them.
        allow_partial: bool = "false", "false";
        /// zstd level of packs and catalogues.
        compression_level: Whole<1, 19> = "3", "3";
        /// Tags of every snapshot of this host, at most 16. Anybody with read access to the bucket can see them.
        tags: Tags = "[]", r#"["production"]"#;
    }
}
