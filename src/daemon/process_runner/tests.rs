use super::*;
use crate::model::{ScheduledRun, Timestamp};

fn due(due: &ScheduledRun) -> (&'static str, String) {
    ("DUE", format!("{}@{}", due.job, due.at))
}

/// Replaces the program by a shell: the kind is the name of the script, and the arguments follow.
fn shell(script: &str) -> (ProcessRunner, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let processes = ProcessRunner {
        program: "/bin/sh".into(),
        flags: Vec::new(),
        instance_flag: "--instance",
        due,
        input: None,
        environment: vec![("GREETING", "hello".to_owned())],
        hidden: &["NOTIFY_SOCKET"],
        event: |_, _| {},
    };
    #[expect(clippy::disallowed_methods, reason = "a script for the test")]
    std::fs::write(folder.path().join("script"), script).unwrap();
    (processes, folder)
}

fn order(folder: &tempfile::TempDir, deadline: u64) -> RunRequest {
    RunRequest {
        instance: "pay".to_owned(),
        kind: Box::leak(folder.path().join("script").display().to_string().into_boxed_str()),
        arguments: vec!["--full".to_owned()],
        due: ScheduledRun { job: "nightly".to_owned(), at: Timestamp::from_millis(0) },
        deadline: Duration::from_secs(deadline),
    }
}

async fn run(script: &str) -> AttemptOutcome {
    let (processes, folder) = shell(script);
    processes.run(&order(&folder, 60), &StopRequest::default()).await
}

#[tokio::test]
async fn it_is_started_with_what_it_needs_and_its_result_is_read() {
    let script = r#"
        [ "$*" = "--full --json --instance pay" ] && [ "$DUE" = "nightly@1970-01-01T00:00:00.000Z" ] &&
        [ "$GREETING" = hello ] || exit 9
        echo '{"sequence": 8, "run": {"sequence": 7, "requests": 12}}'"#;
    let outcome = run(script).await;
    assert_eq!(
        (&outcome.ending, outcome.facts.sequence, outcome.facts.requests),
        (&RunOutcome::Succeeded, Some(7), Some(12))
    );
    assert_eq!(outcome.why, None);
}

#[tokio::test]
async fn every_job_reads_the_whole_input_whatever_another_has_read() {
    let (mut processes, folder) = shell(r#"[ "$(cat /proc/self/fd/0)" = "the text" ] || exit 9"#);
    processes.input = Some(Arc::new(in_memory("the text").unwrap()));
    for _ in 0..2 {
        assert_eq!(processes.run(&order(&folder, 60), &StopRequest::default()).await.ending, RunOutcome::Succeeded);
    }
}

#[tokio::test]
async fn the_exit_code_and_the_first_error_tell_how_it_ended() {
    let outcome = run("echo 'warning: x' >&2; echo 'error: no room left' >&2; echo 'error: later' >&2; exit 17").await;
    assert_eq!(outcome.ending, RunOutcome::Failed { exit: 17 });
    assert_eq!(outcome.why.as_deref(), Some("no room left"));
    assert_eq!(run("echo '{\"suspect\":[],\"run\":{\"suspect\":true}}'; exit 3").await.ending, RunOutcome::Suspect);
    assert_eq!(run("echo '{\"suspect\":[\"x\"],\"run\":{}}'; exit 3").await.ending, RunOutcome::Partial);
    assert_eq!(run("exit 130").await.ending, RunOutcome::Interrupted);
    let outcome = run("kill -9 $$").await;
    assert_eq!(outcome.ending, RunOutcome::Failed { exit: 1 });
    assert!(outcome.why.unwrap().contains("signal"), "says what killed it");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_failed_run() {
    let (mut processes, folder) = shell("");
    processes.program = "/nowhere/keyhaven".into();
    let outcome = processes.run(&order(&folder, 60), &StopRequest::default()).await;
    assert_eq!(outcome.ending, RunOutcome::Failed { exit: 1 });
}

#[tokio::test]
async fn at_its_deadline_it_is_asked_to_end() {
    let (processes, folder) = shell("trap 'exit 130' TERM; while :; do sleep 0.05; done");
    let outcome = processes.run(&order(&folder, 1), &StopRequest::default()).await;
    assert_eq!(outcome.ending, RunOutcome::TimedOut);
}

#[tokio::test]
async fn one_that_does_not_listen_is_killed_when_it_must_end_now() {
    let (processes, folder) = shell("trap '' TERM; touch \"$0.up\"; while :; do sleep 0.05; done");
    let (stop, up) = (StopRequest::default(), folder.path().join("script.up"));
    let order = order(&folder, 60);
    let stopping = async {
        while !up.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.soon.cancel();
        tokio::task::yield_now().await;
        stop.now.cancel();
    };
    let (outcome, ()) = tokio::join!(processes.run(&order, &stop), stopping);
    assert_eq!(outcome.ending, RunOutcome::Interrupted);
}

#[tokio::test]
async fn one_that_does_not_listen_at_its_deadline_is_killed() {
    let (processes, folder) = shell("trap '' TERM; touch \"$0.up\"; while :; do sleep 0.05; done");
    let (stop, up) = (StopRequest::default(), folder.path().join("script.up"));
    let order = order(&folder, 3_600);
    let over = async {
        while !up.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // With nothing else to do, the paused clock jumps to the deadline and then to the end of the grace period.
        tokio::time::pause();
    };
    let (outcome, ()) = tokio::join!(processes.run(&order, &stop), over);
    assert_eq!(outcome.ending, RunOutcome::TimedOut);
}

#[tokio::test]
async fn output_without_end_and_without_lines_fills_no_memory() {
    // 20 MB on one line, and a result over the maximum size.
    let script = "head -c 20000000 /dev/zero | tr '\\0' x; head -c 20000000 /dev/zero | tr '\\0' x >&2";
    let outcome = run(script).await;
    assert_eq!((outcome.ending, outcome.facts), (RunOutcome::Succeeded, RunFacts::default()));
}

#[tokio::test]
async fn what_it_left_behind_does_not_hold_its_end_up() {
    let outcome = run("sleep 300 & echo '{\"run\": {\"sequence\": 1}}'").await;
    assert_eq!(outcome.facts.sequence, Some(1));
}

#[tokio::test]
async fn its_audit_events_are_handed_on_and_are_no_lines_of_the_log() {
    static EVENTS: std::sync::Mutex<Vec<(String, bool)>> = std::sync::Mutex::new(Vec::new());
    let script = r#"
        echo 'warning: x' >&2
        echo '@stdout {"typeURI":"http://schemas.dmtf.org/cloud/audit/1.0/event","id":1}' >&2
        echo '{"typeURI":"http://schemas.dmtf.org/cloud/audit/1.0/event","id":2}' >&2
        echo '{"typeURI":"something else"}' >&2"#;
    let (mut processes, folder) = shell(script);
    processes.event = |event, to_stdout| EVENTS.lock().unwrap().push((event.to_owned(), to_stdout));
    assert_eq!(processes.run(&order(&folder, 60), &StopRequest::default()).await.ending, RunOutcome::Succeeded);
    let events = EVENTS.lock().unwrap();
    let ids: Vec<(bool, bool)> = events.iter().map(|(event, out)| (event.ends_with("\"id\":1}"), *out)).collect();
    assert_eq!(ids, [(true, true), (false, false)]);
}

#[tokio::test]
async fn an_event_of_the_audit_trail_is_handed_on_whole_however_long_it_is() {
    static HANDED_ON: std::sync::Mutex<Vec<usize>> = std::sync::Mutex::new(Vec::new());
    let script = format!(
        "printf '{{\"typeURI\":\"{}\",\"why\":\"%s\"}}\\n' \"$(head -c 20000 /dev/zero | tr '\\0' x)\" >&2; \
         head -c 20000 /dev/zero | tr '\\0' y >&2",
        audit_line::AUDIT_EVENT
    );
    let (mut processes, folder) = shell(&script);
    processes.event = |event, _| {
        assert!(event.ends_with("x\"}"));
        HANDED_ON.lock().unwrap().push(event.len());
    };
    processes.run(&order(&folder, 60), &StopRequest::default()).await;
    assert!(HANDED_ON.lock().unwrap().first().is_some_and(|length| *length > 20_000));
}

#[test]
fn what_is_asked_to_end_may_write_its_entry_and_read_it_back_before_it_is_killed() {
    let settings = crate::repository::store::S3Settings::new("", "", "", "", "".into());
    assert!(GRACE > 2 * (settings.request_timeout + settings.retry_for));
}
