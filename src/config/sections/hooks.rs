//! `[hooks]`.

use super::section;
use crate::config::value::Period;

section! {
    /// Programs that run around a job: a list of the program and its arguments, no shell. They get KEYHAVEN_JOB,
    /// KEYHAVEN_ENDING and more in their environment, and none of our keys.
    pub struct HooksSection in "hooks" {
        /// Before a run. If it fails, the run does not start and counts as failed.
        run_before: Vec<String> = "[]", r#"["/usr/local/bin/before-backup", "--quiet"]"#;
        /// After a run that did everything.
        run_after: Vec<String> = "[]", r#"["/usr/local/bin/after-backup"]"#;
        /// After a run that did not.
        run_failed: Vec<String> = "[]", r#"["/usr/local/bin/backup-failed"]"#;
        /// After every run, also after one that was interrupted.
        run_finally: Vec<String> = "[]", r#"["/usr/local/bin/backup-over"]"#;
        /// How long a hook may take; then it is killed with everything that it started.
        timeout: Period = "5m", r#""5m""#;
    }
}
