//! The commands of the story, run as a user would run them: this very program, as a process of its own.

use std::path::PathBuf;
use std::process::Stdio;

use serde::de::DeserializeOwned;
use tokio::process::Command;

use super::printed::Printed;
use crate::cli::app::App;
use crate::cli::env;
use crate::cli::failure::Failure;
use crate::model::FailureKind;

/// Whose host a command runs on: the variables that its configuration is given by.
#[derive(Debug, Clone)]
pub(super) struct DemoHost {
    /// The folder that plays the host.
    pub(super) folder: PathBuf,
    /// Its environment, in addition to the demo's own.
    pub(super) environment: Vec<(&'static str, String)>,
}

/// Exit codes that are no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// Done.
    Done,
    /// Done, or there is a difference to report, as `restore plan` has it.
    DoneOrDifferent,
    /// Done, or all but what cannot be done, as `restore apply` has it.
    DoneOrPartial,
}

impl Expect {
    /// Returns true if a command may end so.
    fn allows(self, code: i32) -> bool {
        let is = |kind: FailureKind| code == i32::from(kind.exit_code());
        code == 0
            || match self {
                Self::Done => false,
                Self::DoneOrDifferent => is(FailureKind::Different),
                Self::DoneOrPartial => is(FailureKind::Partial),
            }
    }
}

/// Runs `keyhaven ARGUMENTS --json` on a host and returns what it printed. Its progress and its messages go to standard
/// error.
///
/// # Errors
/// When it cannot be run, ends with a code that is not expected, or prints another result.
pub(super) async fn run<T: DeserializeOwned>(
    app: &App,
    host: &DemoHost,
    arguments: &[&str],
    expect: Expect,
) -> Result<Printed<T>, Failure> {
    let printed = output(app, host, &[arguments, &["--json"]].concat(), expect).await?;
    let read = |error: serde_json::Error| {
        Failure::new(FailureKind::Failed, format!("`{}` printed another result", shown(arguments))).because(error)
    };
    Ok(Printed {
        json: serde_json::from_slice(&printed).map_err(read)?,
        read: serde_json::from_slice(&printed).map_err(read)?,
    })
}

/// Runs `keyhaven ARGUMENTS` on a host and returns what a person would see.
///
/// # Errors
/// When it cannot be run or fails.
pub(super) async fn screen(app: &App, host: &DemoHost, arguments: &[&str]) -> Result<String, Failure> {
    let printed = output(app, host, arguments, Expect::Done).await?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

fn shown(arguments: &[&str]) -> String {
    format!("keyhaven {}", arguments.join(" "))
}

async fn output(app: &App, host: &DemoHost, arguments: &[&str], expect: Expect) -> Result<Vec<u8>, Failure> {
    let shown = shown(arguments);
    let failed =
        |error: std::io::Error| Failure::new(FailureKind::Failed, format!("cannot run `{shown}`")).because(error);
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    for (name, _) in env::ours() {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .args(app.globals.quiet.then_some("--quiet"))
        .envs(host.environment.iter().map(|(name, value)| (*name, value)))
        .current_dir(&host.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let output = command.spawn().map_err(failed)?.wait_with_output().await.map_err(failed)?;
    if app.cancel().is_cancelled() {
        return Err(Failure::interrupted());
    }
    let code = output.status.code().unwrap_or(-1);
    if !expect.allows(code) {
        return Err(Failure::new(FailureKind::Failed, format!("`{shown}` ended with exit code {code}")));
    }
    Ok(output.stdout)
}
