//! `[objectives]`.

use super::section;
use crate::config::value::Period;

section! {
    /// The objectives for the backups: `keyhaven status` measures against them, and so do metrics and alerts.
    pub struct ObjectivesSection in "objectives" {
        /// The recovery point objective: how old the newest good snapshot may become before the backups are stale.
        /// Twice the interval of the schedule leaves room for one run that failed.
        rpo: Option<Period>, r#""1h""#;
        /// How long ago the last recorded verification (level objects or deeper) may be before the backups are stale.
        verified_within: Option<Period>, r#""7d""#;
    }
}
