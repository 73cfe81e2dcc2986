//! Programs that run around a command.

use super::processes::until;
use crate::kit::program::Machine;
use crate::kit::site::Site;

/// Sets a hook that appends what it is told to `hooks.log`, then does `then`.
fn hook(site: &Site, name: &str, then: &str) {
    let log = site.machine.path("hooks.log");
    let script = format!(
        "#!/bin/sh\necho \"$KEYHAVEN_HOOK $KEYHAVEN_JOB $KEYHAVEN_ENDING $KEYHAVEN_EXIT\" >> {}\n{then}\n",
        log.display()
    );
    let path = site.machine.write(&format!("{name}.sh"), &script);
    let config = site.machine.read("keyhaven.toml");
    let line = format!("[hooks]\n{name} = [\"/bin/sh\", \"{}\", \"an argument; with `a` $shell\"]\n", path.display());
    site.machine.write("keyhaven.toml", &config.replacen("[hooks]\n", &line, 1));
}

fn log(machine: &Machine) -> Vec<String> {
    let text = std::fs::read_to_string(machine.path("hooks.log")).unwrap_or_default();
    std::fs::write(machine.path("hooks.log"), "").unwrap();
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn site() -> Site {
    let site = Site::seeded();
    hook(&site, "run_after", "exit 0");
    hook(&site, "run_failed", "exit 0");
    hook(&site, "run_finally", "exit 0");
    site
}

#[test]
fn hooks_run_in_their_order_with_what_they_need_and_without_our_keys() {
    let site = site();
    let environment = site.machine.path("environment");
    hook(
        &site,
        "run_before",
        &format!("[ \"$1\" = 'an argument; with `a` $shell' ] || exit 9; env > {}", environment.display()),
    );
    let secrets = [("STANDBY_API_KEY", "hunter2"), ("AWS_SECRET_ACCESS_KEY", "hunter2"), ("SLACK", "hunter2")];
    let run = site.machine.run_with(&secrets, &["backup"]);
    assert_eq!(run.code, 0, "{run:#?}");
    assert_eq!(
        log(&site.machine),
        ["run-before backup", "run-after backup succeeded 0", "run-finally backup succeeded 0"]
    );
    let environment = std::fs::read_to_string(environment).unwrap();
    assert!(!environment.contains("hunter2") && environment.contains("KEYHAVEN_RUN_ID="), "{environment}");
    site.machine.write("api-key", "no key of this instance");
    assert_eq!(site.run(&["backup"]).code, 17);
    assert_eq!(
        log(&site.machine),
        ["run-before backup", "run-failed backup failed 17", "run-finally backup failed 17"]
    );
    assert_eq!(site.run(&["ls"]).code, 0);
    assert!(log(&site.machine).is_empty(), "a command that is no job has no hooks");
}

#[test]
fn a_hook_before_the_run_that_fails_stops_it() {
    let site = site();
    hook(&site, "run_before", "exit 3");
    let entries = site.stored("ledger").len();
    site.run(&["backup"]).fails(1, &["the run-before hook ended with exit code 3", "hooks.run_before"]);
    assert_eq!(site.stored("ledger").len(), entries, "nothing was recorded");
    assert_eq!(log(&site.machine), ["run-before backup", "run-failed backup failed 1", "run-finally backup failed 1"]);
}

#[test]
fn a_hook_after_the_run_that_hangs_or_is_missing_changes_nothing() {
    let site = Site::seeded();
    hook(&site, "run_after", "sleep 600");
    hook(&site, "run_finally", "exit 0");
    let environment = [("KEYHAVEN_HOOKS_TIMEOUT", "1s")];
    let run = site.machine.run_with(&environment, &["backup", "--json"]);
    assert!(run.json(0)["sequence"].is_u64());
    assert!(run.err.contains("the run-after hook did not end within 1 s and was killed"), "{run:#?}");
    assert_eq!(log(&site.machine), ["run-after backup succeeded 0", "run-finally backup succeeded 0"]);
    let environment = [("KEYHAVEN_HOOKS_RUN_AFTER", "/no/such/hook")];
    let run = site.machine.run_with(&environment, &["backup"]);
    assert!(run.code == 0 && run.err.contains("cannot be started: /no/such/hook"), "{run:#?}");
}

#[test]
fn an_interrupt_does_not_keep_the_last_hook_from_running() {
    let site = site();
    // The parent of the hook is the program: it is asked to stop before its work begins.
    hook(&site, "run_before", "kill -TERM $PPID");
    let run = site.run(&["backup"]);
    assert_eq!(run.code, 130, "{run:#?}");
    assert_eq!(
        log(&site.machine),
        ["run-before backup", "run-failed backup interrupted 130", "run-finally backup interrupted 130"]
    );
}

#[test]
fn an_interrupt_ends_a_hook_that_hangs_before_the_run() {
    let site = site();
    hook(&site, "run_before", "kill -TERM $PPID; sleep 600");
    let entries = site.stored("ledger").len();
    let run = site.machine.run_with(&[("KEYHAVEN_HOOKS_TIMEOUT", "30s")], &["backup"]);
    assert_eq!(run.code, 130, "{run:#?}");
    assert_eq!(site.stored("ledger").len(), entries, "nothing was recorded");
    assert_eq!(
        log(&site.machine),
        ["run-before backup", "run-failed backup interrupted 130", "run-finally backup interrupted 130"]
    );
}

/// Whether a process runs; one that nobody has reaped yet does not.
pub(crate) fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

/// What a hook does that nothing but SIGKILL ends, once it has written the numbers of its processes into a file.
pub(crate) fn stubborn(pids: &std::path::Path) -> String {
    let pids = pids.display();
    format!("trap '' TERM INT; sleep 600 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait; sleep 600")
}

/// Waits until a hook has written its file.
pub(crate) fn written(path: &std::path::Path) -> String {
    until("the file of a hook", || std::fs::read_to_string(path).ok())
}

#[test]
fn a_second_signal_ends_at_once_and_leaves_no_hook_behind() {
    use rustix::process::{Pid, Signal, kill_process};
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::seeded();
        let pids = site.machine.path("pids");
        hook(&site, "run_before", "sleep 600");
        hook(&site, "run_failed", &stubborn(&pids));
        hook(&site, "run_finally", "exit 0");
        let entries = site.stored("ledger").len();
        let mut child = site.machine.command(&["backup"]).spawn().unwrap();
        let send = || kill_process(Pid::from_child(&child), signal).unwrap();
        written(&site.machine.path("hooks.log"));
        // The first stops the run, and what follows a run hangs.
        send();
        let hooks = written(&pids);
        assert!(hooks.split_whitespace().all(alive), "{hooks}");
        send();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        // The kernel was told before the end, and may need a moment.
        until("the end of the hook", || (!hooks.split_whitespace().any(alive)).then_some(()));
        assert_eq!(log(&site.machine), ["run-before backup", "run-failed backup interrupted 130"], "no last hook");
        assert_eq!(site.stored("ledger").len(), entries, "nothing was recorded");
        let config = site.machine.read("keyhaven.toml");
        let without: Vec<&str> = config.lines().filter(|line| !line.starts_with("run_")).collect();
        site.machine.write("keyhaven.toml", &without.join("\n"));
        site.run(&["backup", "--json"]).json(0);
    }
}

#[test]
fn a_flood_of_output_is_bounded_and_only_in_the_log() {
    let site = Site::seeded();
    hook(&site, "run_after", "head -c 5000000 /dev/zero | tr '\\0' x; echo last");
    let run = site.machine.run_with(&[("RUST_LOG", "info")], &["backup", "--json"]);
    run.json(0);
    assert!(run.err.contains("xxxx") && run.err.contains("more output of the hook was dropped"), "{}", run.err.len());
    assert!(run.err.len() < 100_000 && !run.err.contains("last"), "{}", run.err.len());
    assert!(!site.run(&["backup"]).err.contains("xxxx"), "the log is quiet by default");
}
