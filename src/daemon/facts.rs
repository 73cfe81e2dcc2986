//! What the output of a command says, whichever command it was: its `--json` result in numbers, and which lines of its log
//! are events of the audit trail.

use serde_json::Value;

use super::RunFacts;

/// The type that every event of the audit trail names in its first member.
pub const AUDIT_EVENT: &str = "http://schemas.dmtf.org/cloud/audit/1.0/event";

/// What stands before an event that belongs on the daemon's standard output: that of a job is its result.
pub const TO_STDOUT: &str = "@stdout ";

/// The event of the audit trail that a job wrote to standard error, if the line is one, and whether it belongs on the
/// daemon's standard output rather than on its standard error.
#[must_use]
pub fn audit_event(line: &str) -> Option<(&str, bool)> {
    let (event, to_stdout) = line.strip_prefix(TO_STDOUT).map_or((line, false), |event| (event, true));
    let named = event.strip_prefix("{\"typeURI\":\"")?;
    named.starts_with(AUDIT_EVENT).then_some((event, to_stdout))
}

impl RunFacts {
    /// The facts of a result; what it does not say is left out. Reads numbers and digests only.
    #[must_use]
    pub fn read(result: &Value) -> Self {
        let snapshot = &result["snapshot"];
        let digest = snapshot.as_str().or_else(|| snapshot["digest"].as_str());
        Self {
            sequence: result["sequence"].as_u64().or_else(|| snapshot["sequence"].as_u64()),
            snapshot: digest.and_then(|text| text.parse().ok()),
            requests: requests(&result["requests"]),
            problems: problems(result),
        }
    }
}

/// Whether a result speaks of a suspect snapshot.
#[must_use]
pub fn is_suspect(result: &Value) -> bool {
    match &result["suspect"] {
        Value::Array(reasons) => !reasons.is_empty(),
        other => other.as_bool().unwrap_or(false),
    }
}

/// A number, or the sum of those in an object. Those that were sent again are in the others already.
fn requests(value: &Value) -> Option<u64> {
    let sum = |value: &Value| match value {
        Value::Array(list) => list.iter().filter_map(Value::as_u64).sum(),
        other => other.as_u64().unwrap_or(0),
    };
    match value {
        Value::Object(members) => {
            Some(members.iter().filter(|(name, _)| *name != "retried").map(|(_, one)| sum(one)).sum())
        }
        other => other.as_u64(),
    }
}

/// Everything that a result lists as wrong, missing or different.
fn problems(result: &Value) -> Option<u64> {
    let lists = ["problems", "differences", "unread", "refused", "hidden", "conflicts", "losses", "failed"];
    let count = |name: &&str| match &result[*name] {
        Value::Array(list) => u64::try_from(list.len()).ok(),
        other => other.as_u64(),
    };
    let mut found = lists.iter().filter_map(count).peekable();
    found.peek().is_some().then(|| found.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_are_handed_on_as_events() {
        let event = format!("{{\"typeURI\":\"{AUDIT_EVENT}\",\"id\":1}}");
        assert_eq!(audit_event(&event), Some((event.as_str(), false)));
        assert_eq!(audit_event(&format!("{TO_STDOUT}{event}")), Some((event.as_str(), true)));
        assert_eq!(audit_event(&format!("{TO_STDOUT}some line")), None);
        assert_eq!(audit_event(&format!("x {event}")), None);
    }

    #[test]
    fn a_backup_and_a_check_are_read() {
        let digest = "ab".repeat(32);
        let backup = serde_json::json!({
            "snapshot": digest, "sequence": 7, "suspect": [], "unread": [{"key": "secret/1"}], "refused": [],
            "requests": {"listing": [23, 23], "reading": 4, "rereading": 1, "asking": 0, "retried": 9},
        });
        let facts = RunFacts::read(&backup);
        assert_eq!((facts.sequence, facts.requests, facts.problems), (Some(7), Some(51), Some(1)));
        assert_eq!(facts.snapshot.unwrap().to_string(), digest);
        assert!(!is_suspect(&backup) && is_suspect(&serde_json::json!({"suspect": ["too few"]})));
        let verify = serde_json::json!({"problems": [1, 2], "snapshot": {"digest": digest, "sequence": 3}});
        let facts = RunFacts::read(&verify);
        assert_eq!((facts.sequence, facts.problems, facts.requests), (Some(3), Some(2), None));
        assert_eq!(RunFacts::read(&serde_json::json!([1])), RunFacts::default());
        assert_eq!(RunFacts::read(&serde_json::json!({"snapshot": "secret-name"})), RunFacts::default());
    }
}
