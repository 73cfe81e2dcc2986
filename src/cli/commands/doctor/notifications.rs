//! Whether notifications, hooks and the audit trail would work.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::host::file_row;
use super::row::Rows;
use crate::cli::app::App;
use crate::cli::{env, run_hooks};
use crate::config::Settings;
use crate::model::FailureKind;

/// The rows. Only with `notify` is anybody told anything: a message that says that it is a test.
pub(super) async fn rows(app: &App, settings: &Settings, notify: bool) -> Rows {
    let mut rows = Rows::new("Notifications");
    notifications(&mut rows, app, settings, notify).await;
    hooks(&mut rows, settings);
    match settings.audit().to.as_deref() {
        Some("stdout") => rows.good("audit trail", "to standard output"),
        Some("stderr") => rows.good("audit trail", "to standard error"),
        Some(file) => {
            let mend = "make its folder, owned by the user that runs keyhaven, or set audit.to to another file";
            file_row(&mut rows, "audit trail", Path::new(file), mend);
        }
        None => rows.good("audit trail", "off; audit.to names a file for it"),
    }
    rows
}

async fn notifications(rows: &mut Rows, app: &App, settings: &Settings, notify: bool) {
    let what = "notification";
    let notifier = run_hooks::notifier(app, settings);
    if notifier.names().next().is_none() {
        return rows.warning(
            what,
            "nobody is notified when a run fails",
            "add a [[notify]] table (`keyhaven config init` shows some), or alert on the metrics",
        );
    }
    let names: Vec<String> = notifier.names().map(str::to_owned).collect();
    for name in names {
        let mend = format!("correct the [[notify]] table `{name}`, then run `keyhaven doctor --notify`");
        if let Some(broken) = notifier.broken().iter().find(|broken| broken.who == name) {
            rows.bad(what, FailureKind::Failed, broken.to_string(), mend);
        } else if notify {
            match notifier.test(&name).await {
                Ok(()) => rows.good(what, format!("{name}: a test message was taken")),
                Err(warning) => rows.bad(what, FailureKind::Failed, warning.to_string(), mend),
            }
        } else {
            rows.good(what, format!("{name}: set; not tried (`keyhaven doctor --notify` sends a test message)"));
        }
    }
}

fn hooks(rows: &mut Rows, settings: &Settings) {
    let hooks = settings.hooks();
    for (key, program) in [
        ("hooks.run_before", hooks.run_before.first()),
        ("hooks.run_after", hooks.run_after.first()),
        ("hooks.run_failed", hooks.run_failed.first()),
        ("hooks.run_finally", hooks.run_finally.first()),
    ] {
        let Some(program) = program else { continue };
        match runnable(program) {
            Ok(path) => rows.good("hook", format!("{key}: {}", path.display())),
            Err(why) => rows.bad(
                "hook",
                FailureKind::Failed,
                format!("{key}: {program} {why}"),
                format!("`chmod +x` it, or correct {key}"),
            ),
        }
    }
}

/// The file that a program of that name is, if it may be run.
fn runnable(program: &str) -> Result<PathBuf, &'static str> {
    let candidates: Vec<PathBuf> = match program.contains('/') {
        true => vec![PathBuf::from(program)],
        false => {
            let path = env::variable("PATH").unwrap_or_default();
            path.split(':').map(|folder| Path::new(folder).join(program)).collect()
        }
    };
    let found = candidates.into_iter().find(|path| path.is_file()).ok_or("is not there")?;
    match rustix::fs::access(&found, Access::EXEC_OK) {
        Ok(()) => Ok(found),
        Err(_) => Err("may not be run"),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make, spoil and read files")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_hook_is_a_file_that_may_be_run() {
        let root = tempfile::tempdir().unwrap();
        let hook = root.path().join("hook");
        let path = hook.to_str().unwrap();
        assert_eq!(runnable(path), Err("is not there"));
        std::fs::write(&hook, b"#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(runnable(path), Err("may not be run"));
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(runnable(path), Ok(hook));
        assert_eq!(runnable("no-such-program-anywhere"), Err("is not there"));
    }
}
