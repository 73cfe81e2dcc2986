//! `[audit]`.

use super::section;

section! {
    /// A trail of every command that touches secrets, as JSON Lines.
    pub struct AuditSection in "audit" {
        /// A file that lines are appended to, or "stderr", or, for the daemon, "stdout". While it cannot be written,
        /// commands that reveal or change something refuse to start.
        to: Option<String>, r#""/var/log/keyhaven/audit.jsonl""#;
        /// Name a revealed secret by its name, too, not by its id alone.
        names: bool = "false", "false";
    }
}
