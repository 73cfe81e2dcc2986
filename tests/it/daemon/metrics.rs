//! Metrics as Prometheus' own tools see them: the textfile of real commands, `/metrics` scraped by a real Prometheus, the
//! alert rules tried by promtool; and what becomes of a command whose metrics cannot be written.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use keyhaven::daemon::metrics::definition::{ALL, MetricKind};
use keyhaven::provider::embedded::every_type;

use crate::kit::program::Run;
use crate::kit::site::Site;

const BACKUP: &[&str] = &["backup", "--json"];
const VERIFY: &[&str] = &["verify", "--level", "ledger", "--json"];
const FILE: &str = "out/keyhaven.prom";

pub(crate) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schedules/prometheus").join(name)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Says that promtool has nothing to say of a page of metrics.
pub(crate) fn lint(text: &str) {
    let mut check = Command::new("promtool");
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    std::io::Write::write_all(&mut check.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success() && said(&output).is_empty(), "{}\n{text}", said(&output));
}

/// A site whose commands write a textfile.
fn site() -> Site {
    let site = Site::new(|source| every_type(source, 5).unwrap());
    configure(&site, "metrics", &format!("textfile = \"{FILE}\""));
    std::fs::create_dir(site.machine.path("out")).unwrap();
    site
}

/// Puts a line into a section of the configuration that `init` wrote.
pub(crate) fn configure(site: &Site, section: &str, line: &str) {
    let config = site.machine.read("keyhaven.toml");
    let header = format!("\n[{section}]\n");
    assert_eq!(config.matches(&header).count(), 1, "{config}");
    site.machine.write("keyhaven.toml", &config.replace(&header, &format!("{header}{line}\n")));
}

/// The value of the one series whose line begins like this.
fn value(text: &str, series: &str) -> f64 {
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(series)).collect();
    let [line] = lines[..] else { panic!("{series}: {lines:?} in\n{text}") };
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn job(metric: &str, kind: &str) -> String {
    format!("keyhaven_{metric}{{instance_name=\"\",job_name=\"{kind}\",kind=\"{kind}\"}} ")
}

fn of_instance(metric: &str) -> String {
    format!("keyhaven_{metric}{{instance_name=\"\"}} ")
}

#[test]
#[ignore = "needs promtool: tests/run"]
fn a_command_leaves_metrics_that_promtool_takes_whether_it_succeeded_or_not() {
    let site = site();
    configure(&site, "objectives", "rpo = \"1h\"");
    assert_eq!(site.run(BACKUP).code, 0);
    let good = site.machine.read(FILE);
    // The first backup was made before there was a textfile, and is counted all the same.
    assert_eq!(value(&good, &job("job_success_total", "backup")), 2.0);
    assert_eq!(value(&good, &job("job_last_status", "backup")), 1.0);
    assert_eq!(value(&good, &of_instance("rpo_objective_seconds")), 3600.0);
    assert!(value(&good, &of_instance("rpo_seconds")) < 3600.0);
    assert!(value(&good, &of_instance("snapshot_items")) > 10.0);
    assert_eq!(value(&good, &of_instance("ledger_heads")), 1.0);
    assert!(good.contains("keyhaven_items_by_type{instance_name=\"\",type=\"kv\",restorability=\"exact\"} "), "{good}");
    assert!(good.contains("keyhaven_expiry_timestamp_seconds{instance_name=\"\",type=\"imported_cert\""), "{good}");
    let mode = std::fs::metadata(site.machine.path(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "node_exporter is another user");

    site.machine.write("api-key", "wrong");
    site.run(BACKUP).fails(17, &["error: "]);
    let bad = site.machine.read(FILE);
    assert_eq!(value(&bad, &job("job_failure_total", "backup")), 1.0);
    assert_eq!(value(&bad, &job("job_failures_in_row", "backup")), 1.0);
    assert_eq!(value(&bad, &of_instance("backup_last_status")), 0.0);
    let last = of_instance("backup_last_successful_timestamp_seconds");
    assert_eq!(value(&bad, &last), value(&good, &last));

    // What was known of the repository stays when it cannot be read.
    std::fs::rename(site.machine.path("repo"), site.machine.path("away")).unwrap();
    site.run(VERIFY).fails(10, &["keep what they had"]);
    let blind = site.machine.read(FILE);
    for metric in ["snapshot_items", "ledger_sequence", "repository_last_read_timestamp_seconds"] {
        assert_eq!(value(&blind, &of_instance(metric)), value(&bad, &of_instance(metric)), "{metric}");
    }
    assert_eq!(value(&blind, &job("job_failure_total", "verify")), 1.0);
    [good, bad, blind].iter().for_each(|text| lint(text));
}

#[test]
fn commands_at_once_lose_no_run() {
    let site = site();
    let children: Vec<_> = (0..6).map(|_| site.machine.command(VERIFY).spawn().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(site.run(VERIFY).code, 0);
    assert_eq!(value(&site.machine.read(FILE), &job("job_success_total", "verify")), 7.0);
}

/// Runs commands of a shell in a mount namespace of their own; `$keyhaven` is the program.
fn in_a_namespace(site: &Site, script: &str) -> Run {
    let mut unshare = Command::new("unshare");
    unshare.args(["-rm", "sh", "-c", script]).current_dir(site.machine.path("")).env_clear();
    unshare.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", site.machine.path(""));
    let output = unshare.env("keyhaven", env!("CARGO_BIN_EXE_keyhaven")).output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn on_a_full_disk_the_backup_succeeds_says_so_and_leaves_the_old_file_whole() {
    let site = site();
    let script = "mount -t tmpfs -o size=256k tmpfs out && $keyhaven backup >&2 && cp out/keyhaven.prom before || exit 99; \
        cat /dev/zero >out/fill 2>/dev/null; $keyhaven backup >&2; code=$?; \
        cmp before out/keyhaven.prom && ls -A out; exit $code";
    let run = in_a_namespace(&site, script);
    run.fails(0, &["warning: cannot write the metrics to ", "No space left", "does not change the result"]);
    assert_eq!(run.out, ".keyhaven.prom.lock\nfill\nkeyhaven.prom\n", "nothing half lies there");
}

#[test]
fn a_missing_folder_changes_no_exit_code() {
    let site = site();
    std::fs::remove_dir(site.machine.path("out")).unwrap();
    site.run(BACKUP).fails(0, &["warning: cannot write the metrics to ", FILE]);
    site.machine.write("api-key", "wrong");
    site.run(BACKUP).fails(17, &["warning: cannot write the metrics to ", "error: "]);
    assert!(!site.machine.path("out").exists(), "a folder that is missing may be a mount that is");
}

#[test]
fn a_state_folder_that_takes_nothing_changes_no_exit_code() {
    let site = site();
    let script = "mount --bind state state && mount -o remount,ro,bind state && $keyhaven verify --level ledger";
    in_a_namespace(&site, script).fails(0, &["warning: the run was not counted: "]);
    // The run is in the textfile all the same.
    assert_eq!(value(&site.machine.read(FILE), &job("job_success_total", "verify")), 1.0);
}

/// The names of everything in the source that is called by one of its own.
pub(crate) fn names(site: &Site) -> Vec<String> {
    let listed = site.run(&["ls", "--json"]).json(0);
    let named = listed.as_array().unwrap().iter().filter(|item| item["name"] != item["type"]);
    let names = named.filter_map(|item| item["name"].as_str());
    // Shorter ones may be words of our own.
    names.filter(|name| name.len() > 8).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs promtool: tests/run"]
fn no_name_is_in_the_metrics_unless_it_is_allowed() {
    let site = site();
    let names = names(&site);
    assert!(names.len() > 10, "{names:?}");
    assert_eq!(site.run(BACKUP).code, 0);
    let text = site.machine.read(FILE);
    let found: Vec<_> = names.iter().filter(|name| text.contains(name.as_str())).collect();
    assert!(found.is_empty(), "{found:?}");

    configure(&site, "metrics", "names = true");
    assert_eq!(site.run(BACKUP).code, 0);
    let text = site.machine.read(FILE);
    assert!(names.iter().any(|name| text.contains(&format!(",name=\"{name}\","))), "{text}");
    lint(&text);
}

// --- rules and documentation ------------------------------------------------------------------------------------------

#[test]
#[ignore = "needs promtool: tests/run"]
fn promtool_takes_the_rules_and_every_alert_fires_when_it_should() {
    for (verb, file) in [("check", "keyhaven.rules.yml"), ("test", "keyhaven.rules.test.yml")] {
        let output = Command::new("promtool").args([verb, "rules"]).arg(shipped(file)).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    let rules = std::fs::read_to_string(shipped("keyhaven.rules.yml")).unwrap();
    let tests = std::fs::read_to_string(shipped("keyhaven.rules.test.yml")).unwrap();
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 20, "{alerts:?}");
    for alert in alerts {
        let named = format!("alertname: {alert}\n");
        let tested = tests.split(&named).skip(1);
        let (fires, silent): (Vec<_>, Vec<_>) =
            tested.partition(|rest| !rest.trim_start().starts_with("exp_alerts: []"));
        assert!(!fires.is_empty() && !silent.is_empty(), "{alert} is not tried both ways");
    }
}

#[test]
fn rules_speak_of_metrics_that_there_are() {
    let rules = std::fs::read_to_string(shipped("keyhaven.rules.yml")).unwrap();
    let words = rules.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let mut spoken: Vec<&str> =
        words.filter(|word| word.starts_with("keyhaven_") && *word != "keyhaven_job_").collect();
    spoken.sort_unstable();
    spoken.dedup();
    assert!(spoken.len() > 15, "{spoken:?}");
    for name in spoken {
        assert!(ALL.iter().any(|metric| metric.name == name), "there is no {name}");
    }
}

#[test]
fn the_documentation_has_every_metric_as_it_is() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `keyhaven_"))
        .map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`')).skip(1).collect())
        .collect();
    for metric in ALL {
        let shape = match metric.shape {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
            MetricKind::Histogram => "histogram",
        };
        assert!(rows.iter().any(|row| row[0] == metric.name && row[1] == shape), "{} ({shape})", metric.name);
    }
    for row in &rows {
        assert!(ALL.iter().any(|metric| metric.name == row[0]), "there is no {}", row[0]);
    }
}
