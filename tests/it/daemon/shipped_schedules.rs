//! What lies in `schedules/`, each file tried with the tool that reads it in a house.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keyhaven::provider::embedded::{Options, seed};
use serde_json::Value;

use crate::kit::command_line::{arguments, takes};
use crate::kit::environment::python_path;
use crate::kit::files::files;
use crate::kit::program::{Machine, SandboxProcess, terminate};
use crate::kit::receivers::{Answer, Receiver};
use crate::kit::site::Site;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schedules").join(name)
}

/// The files of a folder below `schedules/` whose names end so, each as (name, text); there are at least `least`.
fn texts(name: &str, end: &str, least: usize) -> Vec<(String, String)> {
    let root = folder(name);
    let found: Vec<_> = files(&root).into_iter().filter(|file| file.ends_with(end)).collect();
    assert!(found.len() >= least, "schedules/{name}: {found:?}");
    found.into_iter().map(|file| (file.clone(), std::fs::read_to_string(root.join(&file)).unwrap())).collect()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// How many seconds an entry may be on its way: what is asked to end must not be killed before.
fn longest_write() -> u64 {
    keyhaven::repository::store::WRITTEN_WITHIN.as_secs()
}

/// The values of a key of a unit file, in their order.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

// --- systemd --------------------------------------------------------------------------------------------------------

/// The units with the program of this build in the place of the installed one.
fn units(machine: &Machine) -> Vec<PathBuf> {
    let units =
        files(&folder("systemd")).into_iter().filter(|name| name.ends_with(".service") || name.ends_with(".timer"));
    units
        .map(|name| {
            let text = std::fs::read_to_string(folder("systemd").join(&name)).unwrap();
            machine.write(&name, &text.replace("/usr/bin/keyhaven", env!("CARGO_BIN_EXE_keyhaven")))
        })
        .collect()
}

fn systemd_analyze(arguments: &[&str], paths: &[PathBuf]) -> Output {
    let mut command = Command::new("systemd-analyze");
    // Colours and pages are for a person.
    command.args(["--no-pager"]).args(arguments).args(paths).env("SYSTEMD_COLORS", "0");
    command.output().expect("systemd-analyze: tests/run installs it")
}

#[test]
#[ignore = "needs systemd-analyze: tests/run"]
fn systemd_takes_every_unit_without_a_word() {
    let machine = Machine::new();
    let units = units(&machine);
    assert!(units.len() >= 18, "{units:?}");
    // It exits with 0 on a key that it does not know: only its silence says that all is well.
    let verified = systemd_analyze(&["verify", "--man=no"], &units);
    assert!(verified.status.success() && said(&verified).is_empty(), "{}", said(&verified));
    let wrong = machine.write("wrong.service", "[Service]\nExecStart=/bin/true\nProtectSystm=strict\n");
    let verified = systemd_analyze(&["verify", "--man=no"], &[wrong]);
    assert!(said(&verified).contains("ProtectSystm"), "the tool no longer says what this test listens for");
}

#[test]
#[ignore = "needs systemd-analyze: tests/run"]
fn every_timer_has_its_service_and_a_time_that_systemd_understands() {
    let timers = texts("systemd", ".timer", 8);
    for (name, text) in &timers {
        assert!(folder("systemd").join(name.replace(".timer", ".service")).is_file(), "{name} starts nothing");
        let [when] = values(text, "OnCalendar")[..] else { panic!("{name}: one OnCalendar") };
        let understood = systemd_analyze(&["calendar", "--iterations=2", when], &[]);
        assert!(understood.status.success(), "{name}: {}", said(&understood));
        assert!(said(&understood).contains("Iter. #2"), "{name} runs once and never again: {}", said(&understood));
        for (key, value) in [("Persistent", "yes"), ("FixedRandomDelay", "yes"), ("AccuracySec", "1s")] {
            assert_eq!(values(text, key), [value], "{name}");
        }
        assert_eq!(values(text, "RandomizedDelaySec").len(), 1, "{name}");
    }
    let wrong = systemd_analyze(&["calendar", "*-*-* 25:00:00"], &[]);
    assert!(!wrong.status.success());
}

#[test]
#[ignore = "needs systemd-analyze: tests/run"]
fn services_are_as_closed_as_systemd_can_make_what_needs_the_network() {
    let machine = Machine::new();
    let units = units(&machine);
    for unit in units.iter().filter(|unit| unit.extension().is_some_and(|end| end == "service")) {
        // Of 100. What is left: the network itself, local sockets for the journal, and the root folder.
        let judged = systemd_analyze(&["security", "--offline=true", "--threshold=11"], std::slice::from_ref(unit));
        assert!(judged.status.success(), "{}", said(&judged));
    }
    let bare = machine.write("bare.service", "[Service]\nExecStart=/bin/true\n");
    assert!(!systemd_analyze(&["security", "--offline=true", "--threshold=11"], &[bare]).status.success());
    let hardening =
        |text: &str| text.split_once("# Hardening:").unwrap().1.split("\n\n").next().unwrap().trim().to_owned();
    let services = texts("systemd", ".service", 10);
    let first = hardening(&services[0].1);
    for (name, text) in &services {
        assert_eq!(hardening(text), first, "{name}: not the lines of {}", services[0].0);
    }
}

#[test]
fn services_run_commands_that_exist_as_their_own_user_with_keys_by_credential() {
    let machine = Machine::new();
    for (name, text) in texts("systemd", ".service", 10) {
        if name.starts_with("keyhaven-failed@") {
            continue;
        }
        let [start] = values(&text, "ExecStart")[..] else { panic!("{name}: one ExecStart") };
        takes(&machine, &name, &arguments(start).unwrap());
        assert_eq!(values(&text, "User"), ["keyhaven"], "{name}");
        assert_eq!(values(&text, "OnFailure"), ["keyhaven-failed@%n.service"], "{name}");
        let [patience] = values(&text, "TimeoutStopSec")[..] else { panic!("{name}: 90 s may be too short to end in") };
        let minutes: u64 = patience.strip_suffix("min").unwrap().parse().unwrap();
        assert!(minutes * 60 > longest_write(), "{name} kills after {patience} what may be writing its entry");
        credentials(&name, &text);
    }
    let (name, text) = &texts("systemd/recovery-host", ".conf", 1)[0];
    credentials(name, text);
    let users = Command::new("systemd-sysusers").arg("--dry-run").arg(folder("systemd/keyhaven.sysusers")).output();
    let users = users.expect("systemd-sysusers");
    assert!(users.status.success() && said(&users).contains("keyhaven"), "{}", said(&users));
}

/// Every credential of a unit is named by a setting that exists, and every such setting by a credential.
fn credentials(name: &str, text: &str) {
    let loaded: Vec<&str> =
        values(text, "LoadCredential").into_iter().filter_map(|value| Some(value.split_once(':')?.0)).collect();
    let mut named = Vec::new();
    for line in values(text, "Environment") {
        let Some((variable, value)) = line.split_once('=') else { continue };
        assert!(is_setting(variable) || variable == "KEYHAVEN_CONFIG", "{name}: {variable} sets nothing");
        if variable != "KEYHAVEN_CONFIG" {
            named.push(value.rsplit(['/', ':']).next().unwrap());
        }
    }
    assert_eq!(loaded, named, "{name}");
    // Who only watches has no key but the one to the bucket.
    let least = if name == "keyhaven-status.service" { 2..=2 } else { 4..=usize::MAX };
    assert!(least.contains(&loaded.len()), "{name}: {loaded:?}");
}

// --- cron -----------------------------------------------------------------------------------------------------------

#[test]
#[ignore = "needs crontab: tests/run"]
fn cron_takes_the_crontab_with_the_lines_of_either_host() {
    let machine = Machine::new();
    let text = std::fs::read_to_string(folder("cron/keyhaven.crontab")).unwrap();
    // The lines of the recovery host are behind a sign of comment without a space.
    let recovery: String = text.lines().filter_map(|line| line.strip_prefix('#')).fold(String::new(), |lines, line| {
        if line.starts_with(|c: char| c.is_ascii_digit() || c == '*') { lines + line + "\n" } else { lines }
    });
    let check = |name: &str, text: &str| {
        // The syntax alone: nothing is installed.
        Command::new("crontab")
            .arg("-n")
            .arg(machine.write(name, text))
            .output()
            .expect("crontab: tests/run installs it")
    };
    let mut commands = Vec::new();
    for (name, text) in [("collector", &text), ("recovery", &recovery)] {
        let checked = check(name, text);
        assert!(checked.status.success(), "{name}: {}", said(&checked));
        for line in text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit() || c == '*')) {
            let command: String = line.split_whitespace().skip(5).collect::<Vec<_>>().join(" ");
            assert!(!command.contains('%'), "cron takes a percent sign for the end of a line: {line}");
            let arguments = arguments(&command).unwrap_or_else(|| panic!("no keyhaven in {line}"));
            takes(&machine, line, &arguments);
            commands.push(arguments[0].to_owned());
        }
    }
    assert_eq!(commands.len(), 9, "{commands:?}");
    assert!(!check("wrong", "61 * * * * keyhaven backup\n").status.success());
}

/// Cron mails what is printed, whatever the exit code: a run that finds something has to print it, a good one nothing.
#[test]
fn cron_has_something_to_mail_of_a_run_that_ends_badly() {
    let machine = Machine::new();
    let text = std::fs::read_to_string(folder("cron/keyhaven.crontab")).unwrap();
    let text = text.replace("/var/lib/keyhaven/", &format!("{}/", machine.path("").display()));
    let lines = text.lines().map(|line| line.trim_start_matches('#'));
    let lines = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_digit() || c == '*'));
    let commands: Vec<String> =
        lines.map(|line| line.split_whitespace().skip(5).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(commands.len(), 9, "{commands:?}");
    let here = machine.path("bin");
    std::fs::create_dir(&here).unwrap();
    let path = format!("{}:{}", here.display(), std::env::var("PATH").unwrap());
    for (exit, printed) in [(0, ""), (13, "exit code 13: found it\n")] {
        let program = machine.write("bin/keyhaven", &format!("#!/bin/sh\necho found it\nexit {exit}\n"));
        std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o700)).unwrap();
        for command in &commands {
            let run = Command::new("/bin/sh").args(["-c", command]).env("PATH", &path).output().unwrap();
            assert_eq!(said(&run), printed, "{command}");
        }
    }
}

// --- Kubernetes -----------------------------------------------------------------------------------------------------

/// Every document of a file, as JSON.
fn documents(path: &Path) -> Vec<Value> {
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let output = Command::new(python_path()).args(["-c", script]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}: {}", path.display(), said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn kubernetes() -> Vec<(String, Value)> {
    let files = texts("kubernetes", ".yaml", 6);
    let of = |(name, _): (String, String)| {
        documents(&folder("kubernetes").join(&name)).into_iter().map(move |document| (name.clone(), document))
    };
    files.into_iter().flat_map(of).collect()
}

/// The pod of a document that makes one.
fn pod(document: &Value) -> Option<&Value> {
    ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"].iter().find_map(|path| document.pointer(path))
}

#[test]
#[ignore = "needs the Python environment: tests/run"]
fn kubernetes_takes_every_document() {
    let validate = |path: &Path| {
        let tool = python_path().with_file_name("kubernetes-validate");
        Command::new(tool).arg("--strict").arg(path).output().expect("kubernetes-validate: tests/run installs it")
    };
    for (name, text) in texts("kubernetes", ".yaml", 6) {
        let validated = validate(&folder("kubernetes").join(&name));
        assert!(validated.status.success(), "{}", said(&validated));
        assert_eq!(said(&validated).matches("passed for resource").count(), text.matches("\nkind: ").count(), "{name}");
    }
    let machine = Machine::new();
    let text = std::fs::read_to_string(folder("kubernetes/cronjobs-collector.yaml")).unwrap();
    let wrong = machine.write("wrong.yaml", &text.replace("concurrencyPolicy", "concurencyPolicy"));
    assert!(!validate(&wrong).status.success());
}

#[test]
#[ignore = "needs the Python environment: tests/run"]
fn pods_are_closed_and_run_commands_that_exist() {
    let machine = Machine::new();
    let documents = kubernetes();
    let pods: Vec<_> = documents.iter().filter_map(|(name, document)| Some((name, document, pod(document)?))).collect();
    assert!(pods.len() >= 9, "{}", pods.len());
    for (name, document, pod) in pods {
        let what = format!("{name}: {}", document["metadata"]["name"]);
        assert_eq!(pod["automountServiceAccountToken"], false, "{what}");
        let patience = pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        assert!(patience > longest_write(), "{what} kills after {patience} s what may be writing its entry");
        let context = &pod["securityContext"];
        assert_eq!((&context["runAsNonRoot"], &context["runAsUser"]), (&true.into(), &65532.into()), "{what}");
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{what}");
        let [container] = &pod["containers"].as_array().unwrap()[..] else { panic!("{what}: one container") };
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{what}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{what}");
        assert_eq!(context["capabilities"]["drop"][0], "ALL", "{what}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{what}");
        let arguments: Vec<&str> = container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
        takes(&machine, &what, &arguments);
        // What is mounted is there, and what is there is mounted.
        let names = |list: &Value| -> BTreeSet<String> {
            list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]), "{what}");
        for volume in pod["volumes"].as_array().unwrap() {
            let (kind, wanted) = match (&volume["secret"], &volume["configMap"], &volume["persistentVolumeClaim"]) {
                (Value::Object(secret), ..) => {
                    // Read by the group of fsGroup, and by nobody else.
                    assert_eq!(secret["defaultMode"], 0o440, "{what}");
                    ("Secret", &secret["secretName"])
                }
                (_, Value::Object(map), _) => ("ConfigMap", &map["name"]),
                (.., Value::Object(claim)) => ("PersistentVolumeClaim", &claim["claimName"]),
                _ => continue,
            };
            let there = documents.iter().any(|(_, one)| one["kind"] == kind && one["metadata"]["name"] == *wanted);
            assert!(there, "{what}: no {kind} {wanted}");
        }
        if document["kind"] == "CronJob" {
            let spec = &document["spec"];
            assert_eq!(spec["concurrencyPolicy"], "Forbid", "{what}");
            assert!(spec["startingDeadlineSeconds"].is_u64() && spec["timeZone"].is_string(), "{what}");
            assert!(spec["jobTemplate"]["spec"]["activeDeadlineSeconds"].is_u64(), "{what}");
            let line = spec["schedule"].as_str().unwrap();
            keyhaven::schedule::Schedule::new(line, spec["timeZone"].as_str().unwrap()).unwrap();
        }
    }
}

// --- Code Engine ----------------------------------------------------------------------------------------------------

/// There is no cloud in a test. A stand-in notes what `ibmcloud` would be asked, and what comes to the program that way
/// is held against the program.
#[test]
fn the_script_for_code_engine_asks_for_jobs_that_exist() {
    let machine = Machine::new();
    let script = folder("code-engine/collector.sh");
    let script_text = std::fs::read_to_string(&script).unwrap();
    let stand_in = machine.write("ibmcloud", "#!/bin/sh\nprintf '%s\\037' \"$@\" >> \"$NOTES\"\necho >> \"$NOTES\"\n");
    std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:{}", machine.path("").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.arg(&script).args(["registry.example/keyhaven", "keyhaven.toml", "keys"]);
    let run = command.env("PATH", path).env("NOTES", machine.path("notes")).output().unwrap();
    assert!(run.status.success() && run.stderr.is_empty(), "{}", said(&run));
    let notes = machine.read("notes");
    let calls: Vec<Vec<&str>> =
        notes.lines().map(|line| line.split('\u{1f}').filter(|w| !w.is_empty()).collect()).collect();
    let after = |call: &[&str], flag: &str| -> Vec<String> {
        call.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].to_owned()).collect()
    };
    let mut jobs = 0;
    for call in &calls {
        match call[..4] {
            ["ce", "job", "create", _] => {
                let arguments = after(call, "--argument");
                takes(&machine, "collector.sh", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
                for variable in after(call, "--env") {
                    let known =
                        variable.starts_with("KEYHAVEN_CONFIG=") || is_setting(variable.split('=').next().unwrap());
                    assert!(known, "{variable}");
                }
                jobs += 1;
            }
            ["ce", "subscription", "cron", "create"] => {
                let [line] = &after(call, "--schedule")[..] else { panic!("{call:?}") };
                keyhaven::schedule::Schedule::new(line, &after(call, "--time-zone")[0]).unwrap();
            }
            ["ce", "secret", "create", _] => {
                for variable in after(call, "--from-file") {
                    let name = variable.split('=').next().unwrap();
                    let reference = format!("=env:{name}");
                    let is_secret = script_text.lines().any(|line| line.contains(&reference));
                    assert!(is_secret, "{name} is no secret of the configuration");
                }
            }
            ["ce", "configmap", "create", _] => {}
            _ => panic!("{call:?}"),
        }
    }
    assert_eq!((jobs, calls.len()), (3, 8), "{calls:?}");
}

/// Whether an environment variable sets a key of the configuration.
fn is_setting(variable: &str) -> bool {
    keyhaven::config::keys::all().any(|key| key.variable() == variable)
}

// --- schedule sets ----------------------------------------------------------------------------------------------------

/// A host with a sandbox as its source, a repository of its own, and every key that a set names in a folder of keys.
struct Host {
    machine: Machine,
    source: SandboxProcess,
    repository_id: String,
    recipient: String,
}

impl Host {
    fn new() -> Self {
        let machine = Machine::new();
        let source = SandboxProcess::start(&machine, &["--seed", "7", "--secrets", "20"]);
        machine.run(&["keys", "new", "--out", "kit", "--no-passphrase", "--json"]).json(0);
        let api_key = machine.write("api-key", &source.api_key);
        let made = machine.run(&[
            "init",
            "--json",
            "--out",
            "keys",
            "--recovery",
            "kit/public.txt",
            "--source-url",
            &source.url,
            "--iam-url",
            &source.iam_url,
            "--api-key-file",
            api_key.to_str().unwrap(),
            "--repository",
            "repository",
            "--state-dir",
            "state",
        ]);
        let made = made.json(0);
        for name in ["source-api-key", "standby-api-key", "s3-access-key-id", "s3-secret-access-key"] {
            machine.write(&format!("keys/{name}"), &source.api_key);
        }
        for name in ["ping-url", "chat-url"] {
            machine.write(&format!("keys/{name}"), "https://FILL-IN.example/key");
        }
        machine.write("keys/recovery-identity.txt", &machine.read("kit/recovery-identity.txt"));
        let recipient =
            machine.read("kit/public.txt").lines().find(|line| line.starts_with("age1")).unwrap().to_owned();
        Self { source, repository_id: made["repository_id"].as_str().unwrap().to_owned(), recipient, machine }
    }

    /// A set as an operator fills it in, with the folders of this host in the place of the system's.
    fn fill_in(&self, text: &str) -> String {
        let home = self.machine.path("");
        let home = home.to_str().unwrap().trim_end_matches('/');
        let text = text
            .replace("FILL-IN-RECIPIENT-1", &self.recipient)
            .replace(", \"FILL-IN-RECIPIENT-2\"", "")
            .replace("FILL-IN-REPOSITORY-ID", &self.repository_id)
            .replace("/etc/keyhaven/", &format!("{home}/keys/"))
            .replace("/run/keyhaven/keys/", &format!("{home}/keys/"))
            .replace("/var/lib/keyhaven", &format!("{home}/state"))
            .replace("/var/log/keyhaven/", &format!("{home}/"));
        let text = text.replace("FILL-IN-INSTANCE-ID", "instance").replace("FILL-IN-STANDBY-ID", "standby");
        let text = text.replace("FILL-IN-BUCKET", "bucket").replace("FILL-IN-PREFIX", "prefix");
        let text = text.replace("FILL-IN-SMALL-BUCKET", "leases");
        let left = text.lines().find(|line| !line.trim_start().starts_with('#') && line.contains("FILL-IN"));
        assert_eq!(left, None, "nobody said what to fill in here");
        text
    }

    /// A filled-in set on the sandbox and a repository in a folder: the rest of it is as it ships.
    fn on_the_sandbox(&self, text: &str) -> String {
        let mut section = "";
        let mut lines = Vec::new();
        let (url, iam) = (format!("url = \"{}\"", self.source.url), format!("iam_url = \"{}\"", self.source.iam_url));
        let folder = format!("url = \"{}\"", self.machine.path("repository").display());
        let filled = self.fill_in(text);
        for line in filled.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let key = line.split(' ').next().unwrap();
            match (section, key) {
                ("[source]", "url") => lines.extend([url.as_str(), &iam]),
                ("[repository]", "url") => lines.push(&folder),
                ("[repository]", "endpoint" | "region" | "access_key_id" | "secret_access_key") => {}
                // Nobody is told by a test, and no two tests listen at one address.
                ("[[notify]]", _) | ("[daemon]", "listen") => {}
                // A test does not wait for what keeps many hosts apart.
                (_, "jitter") => {}
                ("[daemon]", "[daemon]") => lines.extend([line, "takeover_after = \"1s\""]),
                _ => lines.push(line),
            }
        }
        lines.join("\n")
    }
}

/// Every configuration of the folder: the sets, and those inside the ConfigMaps.
fn configurations() -> Vec<(String, String)> {
    let mut all: Vec<_> = texts("sets", ".toml", 4);
    for (name, document) in kubernetes() {
        if let Some(text) = document.pointer("/data/keyhaven.toml") {
            all.push((format!("{name}: {}", document["metadata"]["name"]), text.as_str().unwrap().to_owned()));
        }
    }
    assert!(all.len() >= 6, "{}", all.len());
    all
}

#[test]
fn every_set_is_valid_once_it_is_filled_in_and_not_before() {
    let host = Host::new();
    for (name, text) in configurations() {
        host.machine.write("keyhaven.toml", &text);
        let before = host.machine.run(&["config", "validate"]);
        assert!([2, 12].contains(&before.code), "{name} is valid although nothing is filled in: {before:?}");
        host.machine.write("keyhaven.toml", &host.fill_in(&text));
        let valid = host.machine.run(&["config", "validate", "--json"]).json(0);
        assert_eq!(valid["valid"], true, "{name}");
        let shown = host.machine.run(&["config", "show", "--json"]).json(0);
        let kinds: Vec<&str> = shown["values"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|line| {
                line["key"].as_str().unwrap().starts_with("jobs.") && line["key"].as_str().unwrap().ends_with(".kind")
            })
            .map(|line| line["value"].as_str().unwrap())
            .collect();
        // Who backs up holds no recovery key, and who holds one backs nothing up.
        let collects = text.contains("[source]");
        assert_eq!(kinds.contains(&"backup"), collects, "{name}: {kinds:?}");
        assert_eq!(text.contains("recovery_identity_file"), !collects, "{name}");
        assert!(kinds.contains(&"verify") && kinds.contains(&"doctor"), "{name}: {kinds:?}");
        assert!(text.contains("rpo = ") && text.contains("[[notify]]"), "{name}: nobody would be told");
        sends_a_sign_of_life(&name, &text);
    }
}

/// A ping from every run of one job, whether the daemon runs it under its name or a timer runs the command.
fn sends_a_sign_of_life(name: &str, text: &str) {
    let config: toml::Value = toml::from_str(text).unwrap();
    let targets = config["notify"].as_array().unwrap();
    let ping = targets.iter().find(|target| target["kind"].as_str() == Some("ping"));
    let ping = ping.unwrap_or_else(|| panic!("{name}: nobody outside would miss it"));
    let watched: Vec<&str> = ping["jobs"].as_array().unwrap().iter().map(|job| job.as_str().unwrap()).collect();
    let jobs = config["jobs"].as_table().unwrap();
    let both = jobs.iter().filter(|(job, table)| {
        let kind = table.get("kind").map_or(job.as_str(), |kind| kind.as_str().unwrap());
        watched.contains(&job.as_str()) && watched.contains(&kind)
    });
    assert_eq!(both.count(), 1, "{name}: {watched:?}");
}

// --- a backup that never starts -------------------------------------------------------------------------------------

/// What another host runs so that it is heard of: the lines of cron, of systemd and of Kubernetes, each as arguments.
fn watching() -> Vec<(&'static str, Vec<String>)> {
    let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let crontab = std::fs::read_to_string(folder("cron/keyhaven.crontab")).unwrap();
    let line = crontab.lines().find(|line| line.starts_with('#') && line.contains("keyhaven status")).unwrap();
    let unit = std::fs::read_to_string(folder("systemd/keyhaven-status.service")).unwrap();
    let documents = kubernetes();
    let job = documents.iter().find(|(name, document)| {
        let job = document["kind"] == "CronJob" && document["metadata"]["name"] == "keyhaven-status";
        job && name == "cronjobs-recovery-host.yaml"
    });
    let pod = pod(&job.unwrap().1).unwrap();
    let container: Vec<&str> =
        pod["containers"][0]["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    vec![
        ("cron", owned(arguments(line).unwrap())),
        ("systemd", owned(arguments(values(&unit, "ExecStart")[0]).unwrap())),
        ("Kubernetes", owned(container)),
    ]
}

#[test]
fn another_host_hears_of_a_backup_that_never_starts() {
    let site = Site::initialised(Options::default(), |source| seed(source, 11, 1).unwrap());
    let receiver = Receiver::start(Answer::Status(200));
    let config: toml::Value = toml::from_str(&site.machine.read("keyhaven.toml")).unwrap();
    let id = config["repository"]["id"].as_str().unwrap();
    let run = |(place, words): &(&str, Vec<String>)| {
        // A host that knows where the repository is, and nothing else.
        let watcher = format!(
            "state_dir = \"state-of-{place}\"\n[repository]\nurl = \"repo\"\nid = \"{id}\"\n[objectives]\n\
             rpo = \"1d\"\n[[notify]]\nkind = \"webhook\"\nurl = \"file:hook\"\n"
        );
        site.machine.write("watcher.toml", &watcher);
        site.machine.write("hook", &receiver.url(&format!("/{place}")));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(words[0], "status", "{place}");
        let run = site.run(&[&["--config", "watcher.toml"], &words[..]].concat());
        let told = receiver.take();
        assert!(told.iter().all(|told| told.path() == format!("/{place}")), "{told:?}");
        (run.code, told.iter().map(|told| told.json()["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    for watcher in &watching() {
        assert_eq!(run(watcher), (14, vec!["stale".to_owned()]), "{watcher:?}");
        assert_eq!(run(watcher), (14, vec![]), "{watcher:?}: told once, and still an exit code for whoever started it");
    }
    site.run(&["backup", "--json"]).json(0);
    for watcher in &watching() {
        assert_eq!(run(watcher), (0, vec!["recovery".to_owned()]), "{watcher:?}");
    }
}

#[test]
fn a_set_backs_up_and_verifies_for_real() {
    let host = Host::new();
    let text = std::fs::read_to_string(folder("sets/every-15-minutes.toml")).unwrap();
    host.machine.write("keyhaven.toml", &host.on_the_sandbox(&text));
    let run = |arguments: &[&str]| host.machine.run_with(&[("KEYHAVEN_SOURCE_REQUESTS_PER_SECOND", "1000")], arguments);
    let made = run(&["backup", "--json"]).json(0);
    assert_eq!(made["cut"], "point_in_time", "{made:#}");
    let verified = run(&["verify", "--level", "objects", "--json"]).json(0);
    assert_eq!(verified["ok"], true, "{verified:#}");
    let audit = host.machine.read("audit.jsonl");
    assert!(audit.lines().count() >= 2, "the trail that the set asks for: {audit}");
}

#[test]
fn the_daemon_runs_a_set() {
    let host = Host::new();
    let text = std::fs::read_to_string(folder("sets/every-15-minutes.toml")).unwrap();
    host.machine.write("keyhaven.toml", &host.on_the_sandbox(&text));
    let mut daemon = host.machine.command(&["run", "--log-level", "info"]).spawn().unwrap();
    // A job that never ran has missed its newest moment: the daemon makes up for it as soon as it is there.
    let mut said = String::new();
    let lines = BufReader::new(daemon.stderr.take().unwrap()).lines().map(Result::unwrap);
    for line in lines {
        said += &(line.clone() + "\n");
        if line.contains("\"succeeded\"") && line.contains("\"backup\"") {
            break;
        }
        assert!(!line.contains("failed:") || !line.contains("\"backup\""), "{said}");
    }
    terminate(&daemon);
    assert!(daemon.wait().unwrap().code().is_some(), "{said}");
    let snapshots = host.machine.run(&["snapshots", "--json"]).json(0);
    assert_eq!(snapshots["snapshots"].as_array().unwrap().len(), 1, "one slot, one snapshot: {said}");
}
