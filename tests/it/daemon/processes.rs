//! The daemon as it is: real processes and signals, backups of a real (embedded) instance, a real service manager's socket.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyhaven::model::{ScheduledRun, Timestamp};
use keyhaven::repository::{Repository, Store};
use rustix::process::{Pid, Signal, kill_process};

use super::hooks::{alive, stubborn, written};
use crate::kit::program::Machine;
use crate::kit::receivers::{Answer, Receiver};
use crate::kit::site::Site;

/// How long anything may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `found` gives something.
pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A daemon; killed with this value.
struct Daemon {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Daemon {
    fn start(machine: &Machine, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let all = [&["run", "--log-format", "text"], arguments].concat();
        let mut command = machine.command(&all);
        command.envs(environment.iter().copied()).stdout(Stdio::null());
        Self::of(&mut command)
    }

    fn of(command: &mut std::process::Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, into) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = into.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log }
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until its log holds each of these in one line, `times` times.
    fn says(&self, words: &[&str], times: usize) {
        let log = Arc::clone(&self.log);
        let begun = Instant::now();
        loop {
            let text = log.lock().unwrap().clone();
            if text.lines().filter(|line| words.iter().all(|word| line.contains(word))).count() >= times {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {words:?}:\n{text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; its exit code.
    fn ends(&mut self) -> i32 {
        let child = &mut self.child;
        let status = until("the end of the daemon", || child.try_wait().unwrap());
        status.code().unwrap_or_else(|| panic!("killed: {status}"))
    }

    /// The processes that it has started and that are there.
    fn children(&self) -> Vec<u32> {
        let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| parent(*pid) == Some(self.child.id())).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already. Its jobs end with it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The parent of a process that runs; nothing of one that has ended.
fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = status.rsplit_once(") ")?.1.split(' ');
    let (state, parent) = (fields.next()?, fields.next()?);
    (state != "Z").then(|| parent.parse().ok())?
}

/// The runs of schedules that a repository's ledger names.
fn dues(folder: &Path, id: &str) -> Vec<ScheduledRun> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let repository = Repository::open(Store::local(folder), id.parse().unwrap()).await.unwrap();
        let ledger = repository.read_ledger().await.unwrap();
        ledger.counted().filter_map(|entry| entry.due.clone()).collect()
    })
}

/// A site with jobs.
struct Jobs {
    site: Site,
    plain: String,
    id: String,
}

impl Jobs {
    fn new() -> Self {
        let site = Site::seeded();
        // The section stands in the file that `init` writes, with every key commented out.
        let plain = site.machine.read("keyhaven.toml").replace("\n[daemon]\n", "\n");
        let config: toml::Value = toml::from_str(&plain).unwrap();
        let id = config["repository"]["id"].as_str().unwrap().to_owned();
        Self { site, plain, id }
    }

    fn configure(&self, more: &str) {
        self.site.machine.write("keyhaven.toml", &format!("{}\n{more}", self.plain));
    }

    /// With a source that answers so slowly that a backup takes several seconds.
    fn configure_slow(&self, more: &str) {
        let slow = self.plain.replace("requests_per_second = 1000", "requests_per_second = 2");
        assert_ne!(slow, self.plain);
        self.site.machine.write("keyhaven.toml", &format!("{slow}\n{more}"));
    }

    fn start(&self, arguments: &[&str]) -> Daemon {
        Daemon::start(&self.site.machine, arguments, &[])
    }

    fn dues(&self) -> Vec<ScheduledRun> {
        dues(&self.site.repository(), &self.id)
    }
}

const EVERY_FEW_SECONDS: &str =
    "[daemon]\ntakeover_after = \"1s\"\n[jobs.often]\nkind = \"backup\"\ncron = \"*/2 * * * * *\"\n";

#[test]
fn it_backs_up_every_few_seconds_and_ends_when_asked() {
    let jobs = Jobs::new();
    jobs.configure(EVERY_FEW_SECONDS);
    let mut daemon = jobs.start(&[]);
    let seen = until("three runs", || Some(jobs.dues()).filter(|dues| dues.len() >= 3));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0, "{}", daemon.log());
    assert!(seen.iter().all(|due| due.job == "often" && due.at.millis() % 2_000 == 0), "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].at < pair[1].at), "each slot once: {seen:?}");
    assert!(daemon.children().is_empty());
    let runs = jobs.site.machine.read(&format!("state/{}/runs.json", jobs.id));
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    let ran = daemon.log().lines().filter(|line| line.contains("started") && line.contains("attempt")).count();
    assert_eq!(runs["jobs"]["often"]["counters"]["attempts"], ran, "each run counts once: {}", daemon.log());
    jobs.site.run(&["verify", "--level", "objects", "--json"]).json(0);
}

#[test]
fn without_jobs_and_with_a_recovery_identity_it_refuses_to_start() {
    let jobs = Jobs::new();
    jobs.site.run(&["run"]).fails(2, &["no jobs", "[jobs.backup]"]);
    let with_identity = jobs.plain.replace("[keys]", "[keys]\nrecovery_identity_file = \"kit/recovery-identity.txt\"");
    jobs.site.machine.write("keyhaven.toml", &format!("{with_identity}\n{EVERY_FEW_SECONDS}"));
    jobs.site.run(&["run"]).fails(2, &["recovery_identity_file", "recovery_key_on_collector"]);
    jobs.configure("[daemon]\nlisten = \"here\"\n[jobs.a]\nkind = \"backup\"\ncron = \"@daily\"\n");
    jobs.site.run(&["run"]).fails(2, &["daemon.listen"]);
}

#[test]
fn when_the_leader_is_killed_its_job_ends_and_the_other_takes_over() {
    let jobs = Jobs::new();
    jobs.configure_slow(EVERY_FEW_SECONDS);
    let leader = jobs.start(&["--state-dir", "state-a"]);
    leader.says(&["succeeded"], 1);
    let other = jobs.start(&["--state-dir", "state-b"]);
    other.says(&["running"], 1);
    let orphan = until("a run of the leader", || leader.children().first().copied());
    leader.signal(Signal::KILL);
    until("the end of the orphan", || parent(orphan).is_none().then_some(()));
    let before = jobs.dues().len();
    other.says(&["succeeded"], 2);
    assert!(jobs.dues().len() > before, "{}", other.log());
    jobs.site.run(&["verify", "--level", "objects", "--json"]).json(0);
}

#[test]
fn a_new_configuration_is_taken_and_a_wrong_one_is_not() {
    let jobs = Jobs::new();
    let receiver = Receiver::start(Answer::Status(200));
    jobs.site.machine.write("chat.url", &receiver.url("/chat"));
    let notify = "[[notify]]\nkind = \"webhook\"\nname = \"chat\"\nurl = \"file:chat.url\"\njobs = [\"other\"]\n";
    jobs.configure(&format!("{EVERY_FEW_SECONDS}{notify}"));
    let mut daemon = jobs.start(&[]);
    daemon.says(&["succeeded", "often"], 1);
    for nonsense in [
        "[jobs.often\n",
        "[jobs.x]\nkind = \"bakcup\"\ncron = \"@daily\"\n",
        "[daemon]\nmax_running = 0\n",
        "[jobs.x]\nkind = \"backup\"\nargs = [\"--ful\"]\ncron = \"@daily\"\n",
        "[jobs.x]\nkind = \"forget\"\ncron = \"@daily\"\n",
        "[standby]\nurl = \"https://standby.example\"\napi_key = \"file:no-such-file\"\n[jobs.x]\nkind = \"sync\"\ncron = \"@daily\"\n",
    ] {
        let said = daemon.log().matches("stays in force").count();
        jobs.configure(nonsense);
        daemon.signal(Signal::HUP);
        daemon.says(&["stays in force"], said + 1);
        // The file is still wrong, and the jobs go on under the one before.
        let (ran, failed) = (daemon.log().matches("succeeded").count(), daemon.log().matches("failed: ").count());
        daemon.says(&["succeeded"], ran + 2);
        assert_eq!(daemon.log().matches("failed: ").count(), failed, "{}", daemon.log());
    }
    let told = until("the notification", || Some(receiver.requests()).filter(|requests| !requests.is_empty()));
    assert_eq!(told.len(), 1, "once: {told:?}");
    let told = told[0].json();
    assert_eq!((told["event"].as_str(), told["exit"].as_u64()), (Some("failure"), Some(2)), "{told}");
    assert!(told["title"].as_str().unwrap().contains("new configuration: failed"), "{told}");
    jobs.configure(&format!("{EVERY_FEW_SECONDS}{notify}[jobs.check]\nkind = \"verify\"\ncron = \"*/3 * * * * *\"\n"));
    daemon.signal(Signal::HUP);
    daemon.says(&["succeeded", "check"], 1);
    let told = until("the recovery", || receiver.requests().get(1).cloned());
    assert_eq!(told.json()["event"].as_str(), Some("recovery"), "{told:?}");
    daemon.signal(Signal::INT);
    assert_eq!(daemon.ends(), 0, "{}", daemon.log());
}

#[test]
fn a_job_that_could_only_fail_keeps_it_from_starting() {
    let jobs = Jobs::new();
    for (job, why) in [
        ("kind = \"backup\"\nargs = [\"--ful\"]", "unexpected argument"),
        ("kind = \"forget\"\nargs = [\"--apply\"]", "no rule"),
    ] {
        jobs.configure(&format!("[jobs.x]\ncron = \"@daily\"\n{job}\n"));
        jobs.site.run(&["run"]).fails(2, &["jobs.x", why]);
        jobs.site.run(&["config", "validate"]).fails(2, &["jobs.x", why]);
    }
}

#[test]
fn a_run_that_is_under_way_is_ended_with_the_daemon() {
    let jobs = Jobs::new();
    jobs.configure_slow(EVERY_FEW_SECONDS);
    let mut daemon = jobs.start(&[]);
    let job = until("a run", || daemon.children().first().copied());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0, "{}", daemon.log());
    assert_eq!(parent(job), None, "the job has ended, too");
    jobs.site.run(&["verify", "--level", "objects", "--json"]).json(0);
}

#[test]
fn a_hook_that_hangs_does_not_hold_the_daemon_up() {
    let jobs = Jobs::new();
    let pids = jobs.site.machine.path("pids");
    let hook = jobs.site.machine.write("hook.sh", &format!("#!/bin/sh\n{}\n", stubborn(&pids)));
    let hooks = format!("[hooks]\nrun_before = [\"/bin/sh\", \"{}\"]\n", hook.display());
    let plain = jobs.plain.replace("\n[hooks]\n", "\n");
    jobs.site.machine.write("keyhaven.toml", &format!("{plain}\n{EVERY_FEW_SECONDS}{hooks}"));
    let mut daemon = jobs.start(&[]);
    let hook = written(&pids);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0, "{}", daemon.log());
    let log = daemon.log();
    assert!(!log.contains("did not end in time") && !log.contains("failed: "), "{log}");
    until("the end of the hook", || (!hook.split_whitespace().any(alive)).then_some(()));
    assert_eq!(jobs.dues(), []);
}

#[test]
fn a_second_signal_ends_the_daemon_at_once_and_its_job_and_hook_with_it() {
    let jobs = Jobs::new();
    let pids = jobs.site.machine.path("pids");
    let hook = jobs.site.machine.write("hook.sh", &format!("#!/bin/sh\n{}\n", stubborn(&pids)));
    let hooks = format!("[hooks]\nrun_after = [\"/bin/sh\", \"{}\"]\n", hook.display());
    let leases = "lease_url = \"leases\"\nlease_term = \"5s\"\n";
    let config = |plain: &str, hooks: &str| {
        let daemon = EVERY_FEW_SECONDS.replacen("[daemon]\n", &format!("[daemon]\n{leases}"), 1);
        let check = "[jobs.check]\nkind = \"verify\"\ncron = \"*/2 * * * * *\"\n";
        jobs.site.machine.write("keyhaven.toml", &format!("{plain}\n{daemon}{check}{hooks}"));
    };
    let plain = jobs.plain.replace("\n[hooks]\n", "\n");
    config(&plain.replace("requests_per_second = 1000", "requests_per_second = 1"), &hooks);
    let mut daemon = jobs.start(&["--state-dir", "state-a"]);
    // The verification is over, and its hook hangs; the slow backup is under way, and stands still.
    let hook = written(&pids);
    let stuck = until("the backup", || {
        let children = daemon.children();
        children.into_iter().find(|pid| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.contains("\0backup\0") && kill_process(Pid::from_raw(*pid as i32).unwrap(), Signal::STOP).is_ok()
        })
    });
    daemon.signal(Signal::TERM);
    daemon.says(&["no new jobs are started"], 1);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 130, "{}", daemon.log());
    until("the end of the hook", || (!hook.split_whitespace().any(alive)).then_some(()));
    // The kernel has told the job; it hears of it when it goes on.
    kill_process(Pid::from_raw(stuck as i32).unwrap(), Signal::CONT).unwrap();
    until("the end of the job", || (!alive(&stuck.to_string())).then_some(()));
    // Its leases run out, and another daemon goes on with a whole ledger.
    let before = jobs.dues().len();
    config(&plain, "");
    let other = jobs.start(&["--state-dir", "state-b"]);
    other.says(&["succeeded", "often"], 1);
    assert!(jobs.dues().len() > before, "{}", other.log());
    jobs.site.run(&["verify", "--level", "objects", "--json"]).json(0);
}

#[test]
fn a_run_that_takes_too_long_is_stopped_and_tried_again() {
    let jobs = Jobs::new();
    let job =
        "[jobs.slow]\nkind = \"backup\"\ncron = \"* * * * *\"\ndeadline = \"1s\"\nretries = 1\nretry_after = \"1s\"\n";
    jobs.configure_slow(&format!("[daemon]\ntakeover_after = \"1s\"\n{job}"));
    let daemon = jobs.start(&[]);
    daemon.says(&["stopped at its deadline", "slow"], 2);
    daemon.says(&["will be tried again"], 1);
    assert_eq!(jobs.dues(), []);
}

/// What a service manager hears until it hears this; gives the message.
fn hears(socket: &UnixDatagram, wanted: &str) -> String {
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}"));
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.lines().any(|line| line.starts_with(wanted)) {
            return text;
        }
    }
}

#[test]
fn the_service_manager_hears_of_everything() {
    let jobs = Jobs::new();
    jobs.configure(EVERY_FEW_SECONDS);
    let path = jobs.site.machine.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "3000000")];
    let mut daemon = Daemon::start(&jobs.site.machine, &[], &environment);
    hears(&socket, "READY=1");
    hears(&socket, "WATCHDOG=1");
    hears(&socket, "WATCHDOG=1");
    assert!(hears(&socket, "STATUS=").contains("of 1 jobs running"));
    daemon.signal(Signal::HUP);
    assert!(hears(&socket, "RELOADING=1").contains("MONOTONIC_USEC="));
    hears(&socket, "READY=1");
    daemon.says(&["succeeded"], 1);
    daemon.signal(Signal::TERM);
    assert!(hears(&socket, "STOPPING=1").contains("EXTEND_TIMEOUT_USEC="));
    assert_eq!(daemon.ends(), 0);
}

#[test]
fn a_service_manager_whose_socket_has_no_file_hears_it_as_well() {
    let jobs = Jobs::new();
    jobs.configure(EVERY_FEW_SECONDS);
    let name = format!("keyhaven-test-{}", jobs.id);
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let named = format!("@{name}");
    let environment = [("NOTIFY_SOCKET", named.as_str()), ("WATCHDOG_USEC", "3000000")];
    let mut daemon = Daemon::start(&jobs.site.machine, &[], &environment);
    hears(&socket, "READY=1");
    hears(&socket, "WATCHDOG=1");
    daemon.signal(Signal::TERM);
    hears(&socket, "STOPPING=1");
    assert_eq!(daemon.ends(), 0);
}

/// The children of a process that have ended and that it has not waited for.
fn unburied(of: u32) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let stats = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let dead = format!("Z {of} ");
    stats.filter(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(&dead))).count()
}

#[test]
fn what_hooks_leave_behind_is_buried_by_a_daemon_that_is_its_parent() {
    let jobs = Jobs::new();
    let log = jobs.site.machine.path("hooks.log");
    // One child that holds the hook's output and is killed for it, one that does not and ends by itself.
    let script = format!("#!/bin/sh\nsleep 600 &\nsleep 0.1 >/dev/null 2>&1 &\necho ran >> {}\n", log.display());
    let hook = jobs.site.machine.write("hook.sh", &script);
    let hooks = format!("[hooks]\nrun_before = [\"/bin/sh\", \"{}\"]\n", hook.display());
    let plain = jobs.plain.replace("\n[hooks]\n", "\n");
    jobs.site.machine.write("keyhaven.toml", &format!("{plain}\n{EVERY_FEW_SECONDS}{hooks}"));
    // Orphans come to it as to process 1; that stays so over exec.
    let adopt =
        "import ctypes, os, sys; assert ctypes.CDLL(None).prctl(36, 1) == 0; os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", adopt, env!("CARGO_BIN_EXE_keyhaven"), "run"]).current_dir(jobs.site.machine.path(""));
    command.env("HOME", jobs.site.machine.path("")).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut daemon = Daemon::of(&mut command);
    let ran = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    until("eight hooks", || (ran() >= 8).then_some(()));
    assert!(unburied(daemon.child.id()) <= 4, "only of the last hooks: {}", unburied(daemon.child.id()));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0, "{}", daemon.log());
    let runs = daemon.log().lines().filter(|line| line.contains("succeeded")).count();
    assert!(runs >= 4, "no wait of a job was taken: {}", daemon.log());
}

/// A repository of its own for the site's source, made in a folder below; gives its settings with absolute paths.
fn another(site: &Site, name: &str) -> toml::Table {
    let folder = site.machine.path(name);
    std::fs::create_dir(&folder).unwrap();
    let first: toml::Value = toml::from_str(&site.machine.read("keyhaven.toml")).unwrap();
    let of = |key: &str| first["source"][key].as_str().unwrap().to_owned();
    let (recovery, key) = (site.machine.path("kit/public.txt"), site.machine.path("api-key"));
    let (url, iam_url) = (of("url"), of("iam_url"));
    let arguments = [
        ["init", "--json"].as_slice(),
        &["--recovery", recovery.to_str().unwrap(), "--api-key-file", key.to_str().unwrap()],
        &["--source-url", &url, "--iam-url", &iam_url, "--repository", "repo", "--state-dir", "state"],
    ];
    let output = site.machine.command(&arguments.concat()).current_dir(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut config: toml::Table = toml::from_str(&site.machine.read(&format!("{name}/keyhaven.toml"))).unwrap();
    // The state is the daemon's, and sections without a key that is set say nothing; some belong to all instances.
    config.retain(|_, value| value.as_table().is_some_and(|members| !members.is_empty()));
    for (section, members) in &mut config {
        for (member, value) in members.as_table_mut().unwrap() {
            let is_path = member.ends_with("_file") || (section == "repository" && member == "url");
            if let (true, Some(path)) = (is_path, value.as_str()) {
                *value = folder.join(path).to_str().unwrap().into();
            }
        }
    }
    config["source"].as_table_mut().unwrap().insert("requests_per_second".to_owned(), 1000.into());
    config.insert("name".to_owned(), name.into());
    config
}

#[test]
fn three_daemons_share_the_jobs_of_several_instances() {
    let site = Site::seeded();
    let instances: Vec<toml::Table> = ["pay", "shop", "mail"].iter().map(|name| another(&site, name)).collect();
    let mut config = toml::Table::new();
    config.insert(
        "instances".to_owned(),
        instances.clone().into_iter().map(toml::Value::Table).collect::<Vec<_>>().into(),
    );
    let jobs = "\n[daemon]\nlease_url = \"leases\"\nlease_term = \"5s\"\ntakeover_after = \"1s\"\n\
                [jobs.often]\nkind = \"backup\"\ncron = \"*/4 * * * * *\"\n";
    site.machine.write("many.toml", &format!("{}{jobs}", toml::to_string(&config).unwrap()));
    let start = |state: &str| Daemon::start(&site.machine, &["--config", "many.toml", "--state-dir", state], &[]);
    let mut daemons = ["state-1", "state-2", "state-3"].map(start);
    let seen = || -> Vec<Vec<ScheduledRun>> {
        let of = |config: &toml::Table| {
            let repository = config["repository"].as_table().unwrap();
            dues(Path::new(repository["url"].as_str().unwrap()), repository["id"].as_str().unwrap())
        };
        instances.iter().map(of).collect()
    };
    until("four runs on each instance", || seen().iter().all(|dues| dues.len() >= 4).then_some(()));
    // One of them dies without a word; the others do its share.
    daemons[0].signal(Signal::KILL);
    let before: Vec<usize> = seen().iter().map(Vec::len).collect();
    until("more runs on each", || {
        seen().iter().zip(&before).all(|(now, before)| now.len() >= before + 2).then_some(())
    });
    for daemon in &mut daemons[1..] {
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ends(), 0, "{}", daemon.log());
    }
    for dues in seen() {
        let mut times: BTreeMap<Timestamp, usize> = BTreeMap::new();
        for due in &dues {
            *times.entry(due.at).or_default() += 1;
        }
        assert!(times.values().all(|times| *times == 1), "no slot twice: {times:?}");
    }
}
