//! Hooks: programs that run around a job, without a shell, in their own environment and process group, with bounded
//! output.

use std::collections::BTreeMap;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::event::{NotifyWarning, RunStart};
use super::group::ProcessGroup;
use super::message::exit;
use crate::config;
use crate::daemon::{JobRun, RunOutcome};

/// Maximum output kept for the log, in bytes, both streams together.
const OUTPUT: usize = 32 * 1024;
/// Longest log line, in characters.
const LINE: usize = 1_000;
/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long to read output after the hook has ended: processes that it left behind may hold the pipe open.
const DRAIN: Duration = Duration::from_secs(1);
/// Maximum run time of a hook after an interrupt: the platform kills us soon.
const INTERRUPTED: Duration = Duration::from_secs(30);

/// Failure of a hook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HookFailure {
    /// It could not be started.
    #[error("the {hook} hook cannot be started: {program}: {why}")]
    Unstarted {
        /// Hook name.
        hook: &'static str,
        /// Its program.
        program: String,
        /// Error from the operating system.
        why: String,
    },
    /// It ended with an exit code other than 0.
    #[error("the {hook} hook ended with exit code {code}; its output is in the log at level info")]
    Failed {
        /// Hook name.
        hook: &'static str,
        /// Exit code.
        code: i32,
    },
    /// A signal ended it.
    #[error("the {hook} hook was ended by a signal")]
    Killed {
        /// Hook name.
        hook: &'static str,
    },
    /// It exceeded its timeout.
    #[error("the {hook} hook did not end within {} s and was killed; `hooks.timeout` gives it more", within.as_secs())]
    TimedOut {
        /// Hook name.
        hook: &'static str,
        /// The timeout.
        within: Duration,
    },
    /// A stop was requested while it ran.
    #[error("the {hook} hook was stopped, as we were asked to stop")]
    Stopped {
        /// Hook name.
        hook: &'static str,
    },
}

/// Configured hooks.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    before: Vec<String>,
    after: Vec<String>,
    failed: Vec<String>,
    finally: Vec<String>,
    timeout: Duration,
    environment: Vec<(String, String)>,
}

impl Hooks {
    /// Creates hooks with the environment that they get. Nothing else of our environment reaches them, so no key does.
    #[must_use]
    pub fn new(hooks: config::sections::HooksSection, environment: Vec<(String, String)>) -> Self {
        let config::sections::HooksSection { run_before, run_after, run_failed, run_finally, timeout } = hooks;
        Self {
            before: run_before,
            after: run_after,
            failed: run_failed,
            finally: run_finally,
            timeout: timeout.0,
            environment,
        }
    }

    /// True if no hook is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.before, &self.after, &self.failed, &self.finally].iter().all(|hook| hook.is_empty())
    }

    /// Runs the run-before hook; ends it when `stop` is cancelled.
    pub(super) async fn before(&self, start: &RunStart, id: Uuid, stop: &CancellationToken) -> Result<(), HookFailure> {
        self.run("run-before", &self.before, &about_start(start, id), self.timeout, stop).await
    }

    /// Runs the hooks after a run: run-after or run-failed, then run-finally.
    pub(super) async fn after(&self, run: &JobRun, id: Uuid) -> Vec<NotifyWarning> {
        let about = about_run(run, id);
        let within = match run.ending {
            RunOutcome::Interrupted => self.timeout.min(INTERRUPTED),
            _ => self.timeout,
        };
        let (name, program) = if run.is_good() { ("run-after", &self.after) } else { ("run-failed", &self.failed) };
        let mut warnings = Vec::new();
        // These hooks also run after an interrupt, so only their timeout ends them.
        let never = CancellationToken::new();
        for (name, program) in [(name, program), ("run-finally", &self.finally)] {
            if let Err(failure) = self.run(name, program, &about, within, &never).await {
                warnings.push(NotifyWarning { who: format!("hook {name}"), why: failure.to_string() });
            }
        }
        warnings
    }

    async fn run(
        &self,
        hook: &'static str,
        arguments: &[String],
        about: &BTreeMap<&'static str, String>,
        within: Duration,
        asked: &CancellationToken,
    ) -> Result<(), HookFailure> {
        let Some((program, rest)) = arguments.split_first() else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(rest).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.envs(about).env("KEYHAVEN_HOOK", hook);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let unstarted =
            |error: std::io::Error| HookFailure::Unstarted { hook, program: program.clone(), why: error.to_string() };
        let (mut child, group) = ProcessGroup::start(&mut command).map_err(unstarted)?;
        let kept = Arc::new(Mutex::new(HookOutput::default()));
        let mut readers = JoinSet::new();
        if let Some(out) = child.stdout.take() {
            readers.spawn(drain(out, kept.clone()));
        }
        if let Some(err) = child.stderr.take() {
            readers.spawn(drain(err, kept.clone()));
        }
        let ended = tokio::select! {
            status = child.wait() => Ok(status),
            () = tokio::time::sleep(within) => Err(HookFailure::TimedOut { hook, within }),
            () = asked.cancelled() => Err(HookFailure::Stopped { hook }),
        };
        let result = match ended {
            Ok(status) => status.map_err(unstarted).and_then(|status| judge(hook, status)),
            Err(failure) => {
                stop(&group, &mut child).await;
                Err(failure)
            }
        };
        let all = async { while readers.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            // A process that the hook left behind holds the pipe open, so the group still exists and its number was not
            // reused.
            group.signal(Signal::KILL);
            readers.shutdown().await;
        }
        group.forget();
        log(hook, about, &kept, result.is_err());
        result
    }
}

/// Asks a hook and everything that it started to end, then kills it.
async fn stop(group: &ProcessGroup, child: &mut Child) {
    group.signal(Signal::TERM);
    // Do not reap before the group is killed: until then its number cannot be reused.
    tokio::time::sleep(GRACE).await;
    group.signal(Signal::KILL);
    drop(child.wait().await);
}

fn judge(hook: &'static str, status: ExitStatus) -> Result<(), HookFailure> {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(HookFailure::Failed { hook, code }),
        None => Err(HookFailure::Killed { hook }),
    }
}

/// First bytes of a hook's output, both streams together.
#[derive(Debug, Default)]
struct HookOutput {
    bytes: Vec<u8>,
    dropped: u64,
}

/// Reads to the end, so that a hook never blocks on a full pipe; keeps the first part.
async fn drain(mut from: impl AsyncRead + Unpin, kept: Arc<Mutex<HookOutput>>) {
    let mut chunk = vec![0; 8 * 1024];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OUTPUT.saturating_sub(kept.bytes.len()).min(read);
        kept.bytes.extend(chunk.iter().take(room));
        kept.dropped = kept.dropped.saturating_add(u64::try_from(read - room).unwrap_or(u64::MAX));
    }
}

fn log(hook: &'static str, about: &BTreeMap<&'static str, String>, kept: &Mutex<HookOutput>, failed: bool) {
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let job = about.get("KEYHAVEN_JOB").map_or("", String::as_str);
    let text = String::from_utf8_lossy(&kept.bytes);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LINE).collect();
        tracing::info!(job, hook, "{line}");
    }
    if kept.dropped > 0 {
        tracing::info!(job, hook, dropped = kept.dropped, "more output of the hook was dropped");
    }
    tracing::info!(job, hook, failed, "hook ended");
}

/// Returns the variables of every hook.
fn about_start(start: &RunStart, id: Uuid) -> BTreeMap<&'static str, String> {
    let mut about = BTreeMap::from([
        ("KEYHAVEN_JOB", start.job.clone()),
        ("KEYHAVEN_KIND", start.kind.clone()),
        ("KEYHAVEN_RUN_ID", id.to_string()),
        ("KEYHAVEN_STARTED", start.started.to_string()),
        ("KEYHAVEN_ATTEMPT", start.attempt.to_string()),
    ]);
    if !start.instance.is_empty() {
        about.insert("KEYHAVEN_INSTANCE", start.instance.clone());
    }
    if let Some(due) = &start.due {
        about.insert("KEYHAVEN_DUE", due.at.to_string());
    }
    about
}

/// Returns the variables of a hook after a run.
fn about_run(run: &JobRun, id: Uuid) -> BTreeMap<&'static str, String> {
    let start = RunStart {
        job: run.job.clone(),
        kind: run.kind.clone(),
        instance: run.instance.clone(),
        due: run.due.clone(),
        started: run.started,
        attempt: run.attempt,
    };
    let mut about = about_start(&start, id);
    let seconds = run.ended.millis_since(run.started).max(0) / 1000;
    about.extend([
        ("KEYHAVEN_ENDING", run.ending.word().to_owned()),
        ("KEYHAVEN_EXIT", exit(run).map(|exit| exit.to_string()).unwrap_or_default()),
        ("KEYHAVEN_ENDED", run.ended.to_string()),
        ("KEYHAVEN_SECONDS", seconds.to_string()),
        ("KEYHAVEN_SNAPSHOT", run.facts.snapshot.map(|digest| digest.to_string()).unwrap_or_default()),
        ("KEYHAVEN_SEQUENCE", run.facts.sequence.map(|sequence| sequence.to_string()).unwrap_or_default()),
        ("KEYHAVEN_WHY", run.why.clone().unwrap_or_default().replace('\0', " ")),
    ]);
    about
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make, spoil and read files")]
mod tests {
    use rustix::process::Pid;

    use super::*;
    use crate::job::RunFacts;
    use crate::model::Timestamp;

    fn hooks(script: &str, timeout: Duration) -> Hooks {
        let argv = |script: &str| vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        Hooks { before: argv(script), finally: argv(script), timeout, environment: vec![path], ..Hooks::default() }
    }

    fn start() -> RunStart {
        RunStart {
            job: "nightly".into(),
            kind: "backup".into(),
            instance: String::new(),
            due: None,
            started: Timestamp::from_millis(0),
            attempt: 1,
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn what_a_hook_says_by_its_exit_code_is_told() {
        let id = Uuid::new_v4();
        assert_eq!(hooks("exit 0", LONG).before(&start(), id, &CancellationToken::new()).await, Ok(()));
        let failed =
            hooks("echo no >&2; exit 7", LONG).before(&start(), id, &CancellationToken::new()).await.unwrap_err();
        assert_eq!(failed, HookFailure::Failed { hook: "run-before", code: 7 });
        let killed = hooks("kill -9 $$", LONG).before(&start(), id, &CancellationToken::new()).await.unwrap_err();
        assert_eq!(killed, HookFailure::Killed { hook: "run-before" });
        let missing = Hooks { before: vec!["/no/such/program".into()], timeout: LONG, ..Hooks::default() };
        assert!(
            missing
                .before(&start(), id, &CancellationToken::new())
                .await
                .unwrap_err()
                .to_string()
                .contains("/no/such/program")
        );
        assert_eq!(Hooks::default().before(&start(), id, &CancellationToken::new()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_hook_that_hangs_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!("trap '' TERM; sleep 600 & echo $$ $! > {}; wait; sleep 600", pids.display());
        let failed = hooks(&script, Duration::from_secs(1))
            .before(&start(), Uuid::new_v4(), &CancellationToken::new())
            .await
            .unwrap_err();
        assert!(matches!(failed, HookFailure::TimedOut { hook: "run-before", .. }), "{failed}");
        let text = std::fs::read_to_string(&pids).unwrap();
        for pid in text.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()) {
            assert!(!alive(pid), "{pid:?} lives on");
        }
    }

    /// True if a process runs. One that is not reaped yet does not count.
    fn alive(pid: Pid) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
    }

    #[tokio::test]
    async fn what_it_leaves_behind_with_its_output_is_ended_and_megabytes_do_not_block_it() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; head -c 9000000 /dev/zero | tr '\\0' x", pid.display());
        assert_eq!(hooks(&script, LONG).before(&start(), Uuid::new_v4(), &CancellationToken::new()).await, Ok(()));
        let left = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        let left = Pid::from_raw(left).unwrap();
        // Its new parent reaps it; it no longer runs either way.
        while alive(left) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn only_what_is_handed_on_is_in_its_environment() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("env");
        let run = JobRun {
            job: "nightly".into(),
            kind: "backup".into(),
            instance: "pay".into(),
            due: None,
            started: Timestamp::from_millis(0),
            ended: Timestamp::from_millis(61_000),
            attempt: 2,
            ending: RunOutcome::Failed { exit: 17 },
            facts: RunFacts { sequence: Some(4), ..RunFacts::default() },
            why: Some("cannot\0reach".into()),
        };
        let warnings = hooks(&format!("env > {}", out.display()), LONG).after(&run, Uuid::new_v4()).await;
        assert!(warnings.is_empty(), "{warnings:?}");
        let environment = std::fs::read_to_string(&out).unwrap();
        for line in [
            "KEYHAVEN_HOOK=run-finally",
            "KEYHAVEN_JOB=nightly",
            "KEYHAVEN_INSTANCE=pay",
            "KEYHAVEN_ENDING=failed",
            "KEYHAVEN_EXIT=17",
            "KEYHAVEN_SECONDS=61",
            "KEYHAVEN_SEQUENCE=4",
            "KEYHAVEN_WHY=cannot reach",
        ] {
            assert!(environment.lines().any(|one| one == line), "{line}: {environment}");
        }
        assert!(!environment.contains("HOME=") && !environment.contains("CARGO"), "{environment}");
    }
}
