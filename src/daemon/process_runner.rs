//! Runs jobs as processes: this program, with the arguments that a person would type.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::ports::{AttemptOutcome, RunRequest, Runner, StopRequest};
use super::{RunOutcome, audit_line};
use crate::job::RunFacts;
use crate::model::FailureKind;
use crate::repository::store::WRITTEN_WITHIN;

/// Time between SIGTERM and SIGKILL. A writing command ends at its next safe point, which may include writing and
/// reading back an entry.
const GRACE: Duration = WRITTEN_WITHIN.saturating_add(Duration::from_secs(60));
/// How long to read output after a process has ended: a process that it started may hold the pipe open.
const DRAIN: Duration = Duration::from_secs(2);
/// Maximum size of a result, in bytes. A longer one is read to its end and discarded.
const RESULT: u64 = 16 * 1024 * 1024;
/// Maximum length of a log line, in characters.
const LINE: usize = 4096;
/// Maximum size of an audit trail event, in bytes. A truncated one is invalid.
const EVENT: usize = 256 * 1024;

/// Settings of the processes of jobs.
#[derive(Debug, Clone)]
pub struct ProcessRunner {
    /// The program.
    pub program: OsString,
    /// Arguments after those of every job: the daemon's own flags.
    pub flags: Vec<OsString>,
    /// Flag that precedes the instance name.
    pub instance_flag: &'static str,
    /// Returns the variable that names the scheduled run, and its value.
    pub due: fn(&crate::model::ScheduledRun) -> (&'static str, String),
    /// Standard input of every job; `None` for no input.
    pub input: Option<Arc<File>>,
    /// Further variables.
    pub environment: Vec<(&'static str, String)>,
    /// Variables of the daemon that are removed for a job.
    pub hidden: &'static [&'static str],
    /// Receives each audit trail event of a job, with `true` if it belongs on standard output.
    pub event: fn(&str, bool),
}

/// Writes a text to an unnamed in-memory file, for [`ProcessRunner::input`]. No other process sees it, and it
/// disappears with the daemon.
///
/// # Errors
/// When the kernel has no memory for it.
pub fn in_memory(text: &str) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("keyhaven.toml", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    Ok(file)
}

impl ProcessRunner {
    fn command(&self, order: &RunRequest) -> std::io::Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg(order.kind).args(&order.arguments).arg("--json").args(&self.flags);
        if !order.instance.is_empty() {
            command.arg(self.instance_flag).arg(&order.instance);
        }
        for name in self.hidden {
            command.env_remove(name);
        }
        let (name, value) = (self.due)(&order.due);
        command.env(name, value).envs(self.environment.iter().map(|(name, value)| (name, value)));
        // Own process group: Ctrl-C in the daemon's terminal reaches it only through the daemon, and once.
        command.process_group(0).kill_on_drop(true);
        let input = self.input.as_ref().map(|file| file.try_clone()).transpose()?;
        command.stdin(input.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

#[async_trait]
impl Runner for ProcessRunner {
    async fn run(&self, order: &RunRequest, stop: &StopRequest) -> AttemptOutcome {
        // The kernel ends a job when the *thread* that started it ends. The loop, which polls us, runs on the main
        // thread.
        let mut child = match self.command(order).and_then(|mut command| command.spawn()) {
            Ok(child) => child,
            Err(error) => return failed(format!("cannot start `{}`: {error}", order.kind)),
        };
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let mut output = ProcessOutput::default();
        let (status, forced) = {
            let reading = async {
                let ProcessOutput { result, error } = &mut output;
                tokio::join!(collect(out, result), forward(err, order, error, self.event));
            };
            tokio::pin!(reading);
            let ended = wait(&mut child, pid, order.deadline, stop);
            tokio::pin!(ended);
            let mut read = false;
            let ended = loop {
                tokio::select! {
                    () = &mut reading, if !read => read = true,
                    ended = &mut ended => break ended,
                }
            };
            if !read {
                // Unread output is lost, but the job is over.
                drop(timeout(DRAIN, reading).await);
            }
            ended
        };
        match status {
            Ok(status) => outcome(status, forced, &output),
            Err(error) => failed(format!("cannot wait for `{}`: {error}", order.kind)),
        }
    }
}

/// Captured output of a process.
#[derive(Default)]
struct ProcessOutput {
    result: Vec<u8>,
    error: Option<String>,
}

/// Result of a job, as far as the daemon reads it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PrintedResult {
    run: RunFacts,
}

/// Waits for a process to end, and ends it after the deadline or on a stop request.
async fn wait(
    child: &mut Child,
    pid: Option<Pid>,
    deadline: Duration,
    stop: &StopRequest,
) -> (std::io::Result<ExitStatus>, Option<RunOutcome>) {
    let forced = tokio::select! {
        status = child.wait() => return (status, None),
        () = sleep(deadline) => RunOutcome::TimedOut,
        () = stop.soon.cancelled() => RunOutcome::Interrupted,
        () = stop.now.cancelled() => RunOutcome::Interrupted,
    };
    if let Some(pid) = pid {
        // It may have just ended; its status then tells how.
        if let Err(error) = kill_process(pid, Signal::TERM) {
            debug!("a job was not asked to end: {error}");
        }
    }
    // If the daemon itself ends, the daemon's timeout applies.
    let patience = if forced == RunOutcome::TimedOut { GRACE } else { Duration::MAX };
    let status = tokio::select! {
        status = child.wait() => return (status, Some(forced)),
        () = sleep(patience) => child.kill().await,
        () = stop.now.cancelled() => child.kill().await,
    };
    let status = match status {
        Ok(()) => child.wait().await,
        Err(error) => Err(error),
    };
    (status, Some(forced))
}

fn outcome(status: ExitStatus, forced: Option<RunOutcome>, output: &ProcessOutput) -> AttemptOutcome {
    let facts = serde_json::from_slice::<PrintedResult>(&output.result).unwrap_or_default().run;
    let partial = FailureKind::Partial.exit_code();
    let ending = match (status.code(), forced) {
        // It succeeded before the stop reached it.
        (Some(0), _) => RunOutcome::Succeeded,
        (Some(code), None) if code == i32::from(FailureKind::Interrupted.exit_code()) => RunOutcome::Interrupted,
        (Some(code), _) if code == i32::from(partial) && facts.suspect => RunOutcome::Suspect,
        (Some(code), _) if code == i32::from(partial) => RunOutcome::Partial,
        (_, Some(forced)) => forced,
        (Some(code), None) => RunOutcome::Failed { exit: u8::try_from(code).unwrap_or(1) },
        (None, None) => RunOutcome::Failed { exit: FailureKind::Failed.exit_code() },
    };
    let why = match (&ending, &output.error) {
        (RunOutcome::Succeeded, _) => None,
        (_, Some(error)) => Some(error.clone()),
        (RunOutcome::Failed { .. }, None) => Some(status.to_string()),
        _ => None,
    };
    AttemptOutcome { ending, facts, why }
}

fn failed(why: String) -> AttemptOutcome {
    let ending = RunOutcome::Failed { exit: FailureKind::Failed.exit_code() };
    AttemptOutcome { ending, facts: RunFacts::default(), why: Some(why) }
}

/// Reads a result to its end and keeps it up to the maximum size.
async fn collect(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    if (&mut from).take(RESULT).read_to_end(into).await.is_ok() && into.len() as u64 == RESULT {
        into.clear();
        drop(tokio::io::copy(&mut from, &mut tokio::io::sink()).await);
    }
}

/// Copies every line of a job's log to ours, and keeps the first error line.
async fn forward(
    from: Option<impl AsyncRead + Unpin>,
    order: &RunRequest,
    error: &mut Option<String>,
    event: fn(&str, bool),
) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match read_line(&mut from, &mut line).await {
            Ok(true) => {}
            // A broken pipe means that the process ended.
            Ok(false) | Err(_) => return,
        }
        let text = String::from_utf8_lossy(&line);
        let text: String = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if text.is_empty() {
            continue;
        }
        if let Some((line, to_stdout)) = audit_line::audit_event(&text) {
            event(line, to_stdout);
            continue;
        }
        let text: String = text.chars().take(LINE).collect();
        if error.is_none()
            && let Some(said) = text.strip_prefix("error:")
        {
            *error = Some(said.trim().to_owned());
        }
        info!(target: "keyhaven::job", job = order.due.job, instance = order.instance, "{text}");
    }
}

/// Reads to the end of a line and keeps its first [`EVENT`] bytes. Returns `false` at the end of input.
async fn read_line(from: &mut (impl tokio::io::AsyncBufRead + Unpin), line: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut any = false;
    loop {
        let (used, end) = {
            let buffer = from.fill_buf().await?;
            if buffer.is_empty() {
                return Ok(any);
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            let room = EVENT.saturating_sub(line.len()).min(part.len());
            line.extend_from_slice(part.get(..room).unwrap_or_default());
            (end.map_or(buffer.len(), |end| end + 1), end.is_some())
        };
        from.consume(used);
        if end {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests;
