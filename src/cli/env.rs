//! The environment, read in one place.

/// A variable, if it is set and is text.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Every `KEYHAVEN_…` variable that is text.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub(super) fn ours() -> Vec<(String, String)> {
    // `vars` would panic on a variable that is no Unicode.
    std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("KEYHAVEN_"))
        .collect()
}

/// Returns true if colour is wanted where there is a terminal.
pub(super) fn colour_wanted() -> bool {
    variable("NO_COLOR").is_none() && variable("TERM").is_none_or(|term| term != "dumb")
}

/// Returns the name of this host.
#[expect(clippy::disallowed_methods, reason = "a file of the kernel, at the edge")]
pub(super) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}
