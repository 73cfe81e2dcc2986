//! `/metrics` as a real Prometheus scrapes it, with the shipped alert rules in it.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use keyhaven::daemon::{DaemonState, InstanceView, JobRun, JobView, RunOutcome, http};
use keyhaven::job::RunFacts;
use keyhaven::model::Clock;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::metrics::{configure, lint, names, shipped};
use crate::kit::clock::SystemClock;
use crate::kit::program::{Machine, terminate};
use crate::kit::site::Site;

/// A Prometheus on loopback; ends with this value.
struct Prometheus {
    child: std::process::Child,
    address: String,
}

impl Prometheus {
    /// Scrapes each (job, address) every 200 ms, with the shipped rules whose waiting times are left out.
    fn start(machine: &Machine, targets: &[(&str, &str)]) -> Self {
        let rules = std::fs::read_to_string(shipped("keyhaven.rules.yml")).unwrap();
        let at_once: Vec<&str> = rules.lines().filter(|line| !line.trim_start().starts_with("for: ")).collect();
        machine.write("rules.yml", &at_once.join("\n"));
        let jobs: String = targets
            .iter()
            .map(|(job, address)| format!("  - job_name: {job}\n    static_configs:\n      - targets: ['{address}']\n"))
            .collect();
        machine.write(
            "prometheus.yml",
            &format!(
                "global:\n  scrape_interval: 200ms\n  evaluation_interval: 200ms\nrule_files: [rules.yml]\nscrape_configs:\n{jobs}"
            ),
        );
        let address = free_address();
        let child = Command::new("prometheus")
            .current_dir(machine.path(""))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--log.level=error"])
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address }
    }

    /// Asks until the answer to a query has what is looked for; fails after two minutes.
    async fn until<T>(&self, query: &str, found: impl Fn(&[Value]) -> Option<T>) -> T {
        let url = format!("http://{}/api/v1/query", self.address);
        let client = reqwest::Client::new();
        let mut last = Value::Null;
        let asking = async {
            loop {
                // It is not listening yet at first.
                if let Ok(answer) = client.get(&url).query(&[("query", query)]).send().await {
                    last = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default();
                    if let Some(found) = last["data"]["result"].as_array().and_then(|result| found(result)) {
                        return found;
                    }
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        let found = tokio::time::timeout(std::time::Duration::from_secs(120), asking).await;
        found.unwrap_or_else(|_| panic!("{query}: {last:#}"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address of loopback where nobody listens just now.
fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn number(sample: &Value) -> f64 {
    sample["value"][1].as_str().unwrap().parse().unwrap()
}

/// The alerts that fire for an instance, by name, sorted.
fn firing(result: &[Value], instance: &str) -> Vec<String> {
    let of = result.iter().filter(|one| one["metric"]["instance_name"] == instance);
    let mut names: Vec<_> = of.map(|one| one["metric"]["alertname"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

fn instance(name: &str) -> InstanceView {
    let mut instance = InstanceView::new(name);
    instance.jobs = vec![JobView {
        name: "nightly".to_owned(),
        kind: "backup".to_owned(),
        interval: Some(Duration::from_secs(86_400)),
        next: Some(SystemClock.now().plus_millis(60_000)),
        running: false,
    }];
    instance
}

fn run(ending: RunOutcome) -> JobRun {
    let now = SystemClock.now();
    JobRun {
        job: "nightly".to_owned(),
        kind: "backup".to_owned(),
        instance: "pay".to_owned(),
        due: None,
        started: now.plus_millis(-2000),
        ended: now,
        attempt: 1,
        ending,
        facts: RunFacts { requests: Some(7), ..RunFacts::default() },
        why: Some("a-name-from-the-error".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Prometheus: tests/run"]
async fn prometheus_reads_the_server_and_never_succeeded_alerts_until_it_has() {
    let machine = Machine::new();
    let daemon_state = DaemonState::new(Arc::new(SystemClock), Duration::from_secs(600));
    daemon_state.set_instance(instance("pay"));
    daemon_state.set_instance(instance("web"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut serving = JoinSet::new();
    serving.spawn(http::serve(listener, daemon_state.clone(), CancellationToken::new()));
    let prometheus = Prometheus::start(&machine, &[("keyhaven", &address)]);

    // A start like any other: nothing has run, and every series is there.
    let attempts = "keyhaven_job_attempt_total";
    prometheus
        .until(attempts, |found| (found.len() == 2 && found.iter().all(|one| number(one) == 0.0)).then_some(()))
        .await;
    let alerts = "ALERTS{alertstate=\"firing\"}";
    let never = |name: &'static str| {
        move |found: &[Value]| firing(found, name).contains(&"KeyhavenNeverBackedUp".to_owned()).then_some(())
    };
    prometheus.until(alerts, never("pay")).await;
    prometheus.until(alerts, never("web")).await;

    let mut better = instance("pay");
    better.tally.take(&run(RunOutcome::Failed { exit: 17 }));
    better.tally.take(&run(RunOutcome::Succeeded));
    daemon_state.set_instance(better);
    prometheus
        .until(alerts, |found| (!firing(found, "pay").contains(&"KeyhavenNeverBackedUp".to_owned())).then_some(()))
        .await;
    prometheus.until(alerts, never("web")).await;
    let mine = |metric: &str| format!("{metric}{{job=\"keyhaven\",instance_name=\"pay\",job_name=\"nightly\"}}");
    for (metric, expected) in [
        ("keyhaven_job_attempt_total", 2.0),
        ("keyhaven_job_failure_total", 1.0),
        ("keyhaven_job_success_total", 1.0),
        ("keyhaven_job_failures_in_row", 0.0),
        ("keyhaven_job_requests_total", 14.0),
        ("keyhaven_job_last_duration_seconds", 2.0),
        ("keyhaven_job_duration_seconds_count", 2.0),
        ("keyhaven_schedule_expected_interval_seconds", 86_400.0),
    ] {
        prometheus.until(&mine(metric), |found| (number(found.first()?) == expected).then_some(())).await;
    }
    // Types reach Prometheus as they are declared: a counter by the name that its samples have.
    let types = format!("http://{}/api/v1/targets/metadata?metric=keyhaven_job_attempt_total", prometheus.address);
    let types: Value = serde_json::from_slice(&reqwest::get(types).await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(types["data"][0]["type"], "counter", "{types:#}");
    // What an error said stays in the state folder.
    let page = reqwest::get(format!("http://{address}/metrics")).await.unwrap().bytes().await.unwrap();
    assert!(!String::from_utf8_lossy(&page).contains("a-name-from-the-error"));
}

/// The daemon in a process of its own; killed with this value.
struct Daemon {
    child: std::process::Child,
    address: String,
    log: std::thread::JoinHandle<String>,
}

impl Daemon {
    fn start(machine: &Machine) -> Self {
        let mut child = machine.command(&["run"]).spawn().unwrap();
        let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        let address = loop {
            let before = text.len();
            assert!(std::io::BufRead::read_line(&mut log, &mut text).unwrap() > 0, "it ended: {text}");
            let line = &text[before..];
            let found = line.split_once("http://").and_then(|(_, rest)| rest.split_once("/metrics"));
            if let Some((address, _)) = found {
                break address.to_owned();
            }
        };
        // Whoever does not read it stops the daemon once the pipe is full.
        let log = std::thread::spawn(move || {
            drop(std::io::Read::read_to_string(&mut log, &mut text));
            text
        });
        Self { child, address, log }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        let status = answer.status().as_u16();
        (status, String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap())
    }

    /// Asks it to end; its exit code and what it logged.
    fn stop(mut self) -> (Option<i32>, String) {
        terminate(&self.child);
        let code = self.child.wait().unwrap().code();
        (code, self.log.join().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Prometheus: tests/run"]
async fn prometheus_follows_a_daemon_from_its_first_start() {
    let site = tokio::task::spawn_blocking(Site::seeded).await.unwrap();
    configure(&site, "daemon", "listen = \"127.0.0.1:0\"\ntakeover_after = \"1s\"");
    configure(&site, "objectives", "rpo = \"1h\"");
    let config = site.machine.read("keyhaven.toml");
    let jobs = "[jobs.often]\nkind = \"backup\"\ncron = \"*/2 * * * * *\"\n[jobs.never]\nkind = \"verify\"\ncron = \"0 0 1 1 *\"\n";
    site.machine.write("keyhaven.toml", &format!("{config}\n{jobs}"));
    let daemon = Daemon::start(&site.machine);
    let prometheus = Prometheus::start(&site.machine, &[("keyhaven", &daemon.address)]);
    let at_least = |least: f64| move |found: &[Value]| (number(found.first()?) >= least).then_some(());

    prometheus.until("keyhaven_job_success_total{job_name=\"often\",kind=\"backup\"}", at_least(2.0)).await;
    prometheus.until("keyhaven_job_attempt_total{job_name=\"never\",kind=\"verify\"} + 1", at_least(1.0)).await;
    prometheus.until("keyhaven_daemon_role{role=\"running\"}", at_least(1.0)).await;
    prometheus.until("keyhaven_schedule_next_run_timestamp_seconds{job_name=\"never\"} - time()", at_least(1.0)).await;
    let interval = "keyhaven_schedule_expected_interval_seconds{job_name=\"often\"}";
    prometheus.until(interval, |found| (number(found.first()?) == 2.0).then_some(())).await;
    // What the repository says, and that it is kept fresh.
    prometheus.until("keyhaven_snapshot_items", at_least(10.0)).await;
    prometheus.until("keyhaven_ledger_sequence", at_least(3.0)).await;
    prometheus.until("keyhaven_rpo_objective_seconds - keyhaven_rpo_seconds", at_least(3500.0)).await;
    let all = "count({__name__=~\"keyhaven_.*\"})";
    prometheus.until(all, at_least(80.0)).await;

    assert_eq!(daemon.get("/healthz").await.0, 200);
    let (ready, body) = daemon.get("/readyz").await;
    assert_eq!(ready, 200, "{body}");
    let (_, page) = daemon.get("/metrics").await;
    lint(&page);
    for name in names(&site) {
        assert!(!page.contains(&name) && !body.contains(&name), "{name}");
    }
    let (code, log) = tokio::task::spawn_blocking(move || daemon.stop()).await.unwrap();
    assert_eq!(code, Some(0), "{log}");
    // Counters go on where they were.
    let counted = site.machine.read("keyhaven.toml");
    site.machine.write("keyhaven.toml", &counted.replace("*/2 * * * * *", "0 0 2 1 *"));
    let daemon = Daemon::start(&site.machine);
    // It answers before it has looked at its jobs.
    let looking = async {
        loop {
            let (_, page) = daemon.get("/metrics").await;
            let mut lines = page.lines().filter(|line| line.starts_with("keyhaven_job_success_total{"));
            match lines.find(|line| line.contains("\"often\"")) {
                Some(line) => return line.to_owned(),
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let line = tokio::time::timeout(Duration::from_secs(120), looking).await.unwrap();
    assert!(line.rsplit(' ').next().unwrap().parse::<u64>().unwrap() >= 2, "{line}");
    tokio::task::spawn_blocking(move || (daemon.stop(), drop(site))).await.unwrap();
}
