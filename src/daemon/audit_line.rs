//! Which lines of a job's standard error are events of the audit trail.

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
}
