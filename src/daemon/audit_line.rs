//! Recognises audit trail events in a job's standard error.

/// Value of `typeURI`, the first member of every audit trail event.
pub const AUDIT_EVENT: &str = "http://schemas.dmtf.org/cloud/audit/1.0/event";

/// Prefix of an event that belongs on the daemon's standard output. A job's own standard output carries its result.
pub const TO_STDOUT: &str = "@stdout ";

/// Returns the audit trail event in a line of a job's standard error, and `true` if it belongs on the daemon's standard
/// output rather than on its standard error. `None` if the line is not an event.
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
