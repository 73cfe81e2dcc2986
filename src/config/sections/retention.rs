//! `[retention]`.

use super::section;
use crate::config::value::{Period, Tags, Whole, ZoneName};

type Count = Whole<0, 100_000>;

section! {
    /// Which snapshots `keyhaven forget` keeps. Without a rule it refuses to forget anything.
    pub struct RetentionSection in "retention" {
        /// Number of newest good snapshots to keep. 0 is no rule, here and below.
        keep_last: Count = "0", "96";
        /// Number of hours that have a good snapshot to keep the last one of.
        keep_hourly: Count = "0", "48";
        /// The same for days.
        keep_daily: Count = "0", "35";
        /// The same for weeks, from Monday.
        keep_weekly: Count = "0", "13";
        /// The same for months.
        keep_monthly: Count = "0", "24";
        /// The same for years.
        keep_yearly: Count = "0", "7";
        /// Keep every good snapshot that is no older than this, measured from the newest good one. No flood of new
        /// snapshots pushes these out.
        keep_within: Option<Period>, r#""7d""#;
        /// Keep every snapshot with one of these tags.
        keep_tags: Tags = "[]", r#"["release"]"#;
        /// Suspect snapshots are kept at least this long, and as long as nothing newer is good and verified.
        keep_suspect: Period = "30d", r#""30d""#;
        /// The IANA time zone in which hours, days, weeks, months and years begin.
        zone: ZoneName = "UTC", r#""Europe/Berlin""#;
    }
}
