//! The command line, driven as a user drives it: the real program against sandboxes in processes of their own.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;

use keyhaven::crypto::Identities;
use serde_json::Value;

use crate::kit::files::files;
use crate::kit::program::{Machine, Run, SandboxProcess, terminate};

/// Paces that do not hold a test up; both instances are on this host.
const FAST: [(&str, &str); 2] =
    [("KEYHAVEN_SOURCE_REQUESTS_PER_SECOND", "1000"), ("KEYHAVEN_STANDBY_REQUESTS_PER_SECOND", "1000")];
const STANDBY_ID: &str = "22222222-0f4d-4a6b-8c7d-9e0f1a2b3c4d";
const IDENTITY: [&str; 2] = ["--identity", "kit/recovery-identity.txt"];

/// A machine with a sandbox as its source, a recovery kit, and a repository; the kit lies there for the test's sake.
struct Site {
    machine: Machine,
    source: SandboxProcess,
    id: String,
}

impl Site {
    fn new(secrets: &str) -> Self {
        let machine = Machine::new();
        let source = SandboxProcess::start(&machine, &["--seed", "7", "--secrets", secrets]);
        let kit = machine.run(&["keys", "new", "--out", "kit", "--no-passphrase", "--json"]).json(0);
        assert_eq!(kit["passphrase"], false);
        machine.write("api-key", &source.api_key);
        let made = machine
            .run(&[
                "init",
                "--json",
                "--recovery",
                "kit/public.txt",
                "--source-url",
                &source.url,
                "--iam-url",
                &source.iam_url,
                "--api-key-file",
                "api-key",
                "--repository",
                "repo",
                "--state-dir",
                "state",
            ])
            .json(0);
        assert_eq!(made["source"]["instance"], source.crn.as_str(), "asked of the instance itself");
        let id = made["repository_id"].as_str().unwrap().to_owned();
        Self { machine, source, id }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.machine.run_with(&FAST, arguments)
    }

    fn backup(&self) -> Value {
        self.run(&["backup", "--json"]).json(0)
    }

    /// An empty standby in another region, in a process of its own, and the environment that names it.
    fn standby(&self) -> (SandboxProcess, Vec<(&'static str, String)>) {
        let standby = SandboxProcess::start(&self.machine, &["--region", "eu-gb", "--instance-id", STANDBY_ID]);
        let mut environment: Vec<_> = FAST.map(|(name, value)| (name, value.to_owned())).into();
        environment.push(("KEYHAVEN_STANDBY_URL", standby.url.clone()));
        environment.push(("KEYHAVEN_STANDBY_IAM_URL", standby.iam_url.clone()));
        environment.push(("KEYHAVEN_STANDBY_API_KEY", "env:STANDBY_API_KEY".to_owned()));
        environment.push(("STANDBY_API_KEY", standby.api_key.clone()));
        (standby, environment)
    }

    fn run_in(&self, environment: &[(&'static str, String)], arguments: &[&str]) -> Run {
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.machine.run_with(&environment, arguments)
    }
}

#[test]
fn every_command_has_help_with_examples() {
    let machine = Machine::new();
    let help = machine.run(&["--help"]);
    assert_eq!(help.code, 0);
    for code in ["0 done", "12 a key is missing", "130 interrupted"] {
        assert!(help.out.contains(code), "{code}");
    }
    let commands: Vec<&str> = help
        .out
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() >= 15, "{commands:?}");
    for command in commands {
        let help = machine.run(&[command, "--help"]);
        let whole = match command {
            // Groups of commands have their examples one level down.
            "keys" => machine.run(&["keys", "new", "--help"]),
            "config" => machine.run(&["config", "show", "--help"]),
            "recipients" => machine.run(&["recipients", "add", "--help"]),
            "trust" => machine.run(&["trust", "sign", "--help"]),
            "ledger" => machine.run(&["ledger", "accept-loss", "--help"]),
            "prepare-standby" => machine.run(&["prepare-standby", "plan", "--help"]),
            "restore" => machine.run(&["restore", "plan", "--help"]),
            "notify" => machine.run(&["notify", "test", "--help"]),
            "schedule" => machine.run(&["schedule", "next", "--help"]),
            _ => help,
        };
        assert_eq!(whole.code, 0, "{command}");
        assert!(whole.out.contains("Examples:"), "{command} has no examples");
        assert!(whole.out.contains("--json"), "{command} has no --json");
    }
}

#[test]
fn the_commands_of_readme_and_docs_exist_with_their_flags() {
    let machine = Machine::new();
    for (page, at_least) in [("README.md", 13), ("docs/restoring.md", 10), ("docs/sandbox.md", 2)] {
        let text = std::fs::read_to_string(format!("{}/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let text = text.replace("\\\n", " ");
        let commands: Vec<&str> = text.lines().filter_map(|line| line.trim_start().strip_prefix("keyhaven ")).collect();
        assert!(commands.len() >= at_least, "{page}: {commands:?}");
        for line in commands {
            let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
            let is_name =
                |word: &&&str| !word.starts_with('-') && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            let name: Vec<&str> = words.iter().take_while(is_name).copied().collect();
            let help = machine.run(&[&name[..], &["--help"]].concat());
            assert_eq!(help.code, 0, "{page}: {line}: {help:#?}");
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let is_there = help.out.split(|c: char| c.is_whitespace() || c == ',').any(|word| word == *flag);
                assert!(is_there, "{page}: {line}: no {flag}");
            }
        }
    }
}

#[test]
fn completions_and_manual_pages_come_out() {
    let machine = Machine::new();
    for (shell, sign) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
        let run = machine.run(&["completions", shell]);
        assert!(run.code == 0 && run.out.contains(sign), "{shell}");
    }
    assert!(machine.run(&["man"]).out.contains(".TH keyhaven"));
    assert_eq!(machine.run(&["man", "--out", "pages"]).code, 0);
    let pages = files(&machine.path("pages"));
    assert!(pages.iter().any(|page| page == "keyhaven-keys-new.1"), "{pages:?}");
}

#[test]
fn a_recovery_kit_is_for_its_owner_only_and_never_written_over() {
    let machine = Machine::new();
    machine.write("passphrase", "correct horse\n");
    let arguments = ["keys", "new", "--out", "kit", "--passphrase-file", "passphrase"];
    let first = machine.run(&arguments);
    assert_eq!(first.code, 0, "{first:?}");
    let secret = ["custodian-key.pem.age", "recovery-identity.txt.age", "recovery-signing-key.pem.age"];
    assert_eq!(files(&machine.path("kit")), [secret[0], "public.txt", secret[1], secret[2]]);
    for name in secret.map(|name| format!("kit/{name}")) {
        let name = name.as_str();
        let path = machine.path(name);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        assert!(std::fs::read(&path).unwrap().starts_with(b"age-encryption.org/v1\n-> scrypt "), "{name}");
    }
    assert!(!machine.read("kit/public.txt").contains("SECRET"));
    let before = std::fs::read(machine.path("kit/recovery-identity.txt.age")).unwrap();
    machine.run(&arguments).fails(2, &["kit/recovery-identity.txt.age exists already", "hint:"]);
    assert_eq!(std::fs::read(machine.path("kit/recovery-identity.txt.age")).unwrap(), before);
    // The id of a repository goes into the protected file, and the file still opens.
    let id = "ab".repeat(32);
    let pin =
        ["keys", "pin", "kit/recovery-identity.txt.age", "--passphrase-file", "passphrase", "--repository-id", &id];
    let json = [&pin[..], &["--json"]].concat();
    assert_eq!(machine.run(&json).json(0)["changed"], true);
    assert_eq!(machine.run(&json).json(0)["changed"], false, "once is enough");
    let pinned = std::fs::read(machine.path("kit/recovery-identity.txt.age")).unwrap();
    let opened = Identities::decrypt_file(&pinned, &"correct horse".to_owned().into()).unwrap();
    assert_eq!(opened.repository_hint().unwrap().to_string(), id);
    let public = machine.read("kit/public.txt");
    assert!(opened.recipients().iter().all(|recipient| public.contains(recipient.as_str())), "still the same key");
    machine.write("wrong", "battery staple\n");
    let wrong = ["keys", "pin", "kit/recovery-identity.txt.age", "--passphrase-file", "wrong", "--repository-id", &id];
    machine.run(&wrong).fails(12, &["passphrase does not open"]);
    machine.run(&["keys", "new", "--out", "other"]).fails(2, &["no terminal to ask on", "--passphrase-file"]);
    assert!(!machine.path("other").exists(), "nothing was made");
}

#[test]
fn init_pins_the_repository_and_leaves_no_secret_in_it() {
    let site = Site::new("10");
    let config = site.machine.read("keyhaven.toml");
    assert!(config.contains(&format!("id = \"{}\"", site.id)));
    assert!(!config.contains(&site.source.api_key) && !config.contains("AGE-SECRET-KEY"));
    let sheet = site.machine.read("recovery-sheet.txt");
    assert!(sheet.contains(&site.id) && sheet.contains(&site.source.crn));
    let stored = files(&site.machine.path("repo"));
    assert_eq!(stored.len(), 3, "{stored:?}");
    assert!(stored.contains(&"RECOVER.md".to_owned()) && stored.contains(&"keyhaven.json".to_owned()));
    let doctor = site.run(&["doctor", "--json"]).json(0);
    let verdicts: Vec<_> = doctor["checks"].as_array().unwrap().iter().map(|check| &check["verdict"]).collect();
    assert!(verdicts.iter().all(|verdict| *verdict != "bad"), "{doctor:#}");
    // A second repository in the same place is refused before anything is made.
    let again = site.run(&["init", "--recovery", "kit/public.txt", "--out", "second"]);
    again.fails(2, &["already holds the repository", &site.id, "choose another place"]);
    assert!(!site.machine.path("second").exists());
    // So is the same `init` again, as after one that was cut short: with the id, and the keys that are not to be lost.
    let again = site.run(&["init", "--recovery", "kit/public.txt"]);
    again.fails(2, &[&format!("repository.id = \"{}\"", site.id), "keep its keys", "signing-key.pem"]);
}

#[test]
fn a_key_that_the_world_can_read_is_refused_with_the_command_that_mends_it() {
    let site = Site::new("10");
    let key = site.machine.path("catalogue-key.txt");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let path = key.to_str().unwrap();
    site.run(&["ls"]).fails(12, &[path, "open to every user", &format!("hint: chmod 600 {path}")]);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    site.run(&["ls"]).fails(2, &["no good snapshot"]);
    std::fs::remove_file(&key).unwrap();
    site.run(&["ls"]).fails(12, &[path, "No such file"]);
}

#[test]
fn what_is_not_there_has_its_own_exit_code() {
    let site = Site::new("10");
    site.run(&["snapshots", "--repository", "elsewhere"]).fails(10, &["elsewhere", "no repository"]);
    let other = "0".repeat(64);
    let wrong = site.run(&["snapshots", "--repository-id", &other]);
    assert!(wrong.code == 10 || wrong.code == 13, "{wrong:#?}");
    site.run(&["show", "99"]).fails(2, &["99"]);
    site.run(&["verify", "--level", "payload"]).fails(12, &["recovery identity", "--identity FILE"]);
    site.run(&["doctor", "--source-url", "http://127.0.0.1:1", "--timeout", "2"]).fails(17, &[]);
}

#[test]
fn a_sandbox_keeps_its_data_and_ends_cleanly() {
    let machine = Machine::new();
    let arguments = ["--seed", "3", "--secrets", "5", "--data", "state.sandbox", "--region", "eu-gb"];
    let first = SandboxProcess::start(&machine, &arguments);
    let crn = first.crn.clone();
    assert!(crn.contains(":eu-gb:"), "{crn}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", first.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "no core dumps: {core}");
    assert_eq!(first.stop(), 0);
    let again = SandboxProcess::start(&machine, &["--data", "state.sandbox"]);
    assert_eq!(again.crn, crn, "the file knows who it is");
    machine.run(&["sandbox", "--listen", "0.0.0.0:0"]).fails(2, &["loopback only"]);
}

#[test]
fn a_backup_is_recorded_shown_verified_and_quiet_when_nothing_has_changed() {
    let site = Site::new("30");
    let first = site.backup();
    assert_eq!((&first["cut"], &first["full"], &first["sequence"]), (&"point_in_time".into(), &true.into(), &1.into()));
    let second = site.backup();
    assert_eq!((&second["quiet"], &second["read"], &second["base"]), (&true.into(), &0.into(), &first["snapshot"]));
    let run = &second["run"];
    assert_eq!((&run["snapshot"], &run["sequence"], &run["problems"]), (&second["snapshot"], &2.into(), &0.into()));
    let requests = &second["requests"];
    let listing: u64 = requests["listing"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    assert_eq!(run["requests"].as_u64(), Some(listing + requests["reading"].as_u64().unwrap()));

    let snapshots = site.run(&["snapshots", "--json"]).json(0);
    assert_eq!(snapshots["schema"], "keyhaven/snapshots/1");
    assert!(snapshots["memory"].as_object().unwrap().values().all(|list| *list == Value::Array(Vec::new())));
    let lines = snapshots["snapshots"].as_array().unwrap();
    let sequences: Vec<_> = lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, [2, 1], "newest first");
    let newest = ["state", "judgement", "consistency"].map(|name| lines[0][name].as_str().unwrap());
    assert_eq!((newest, &lines[0]["partial"]), (["live", "good", "point_in_time"], &false.into()));
    let shown = site.run(&["show", "1", "--json"]).json(0);
    assert_eq!(shown["digest"], first["snapshot"]);
    let configurations = shown["snapshot"]["counts"]["kinds"]["configuration"]["items"].as_u64().unwrap();
    assert!(configurations > 1);
    let shown_text = site.run(&["show", "1"]).out;
    assert!(shown_text.contains(&format!("{configurations} configurations")), "{shown_text}");
    assert_eq!(shown["source"]["instance"], site.source.crn.as_str());
    let secrets = site.run(&["ls", "--kind", "secret", "--json"]).json(0);
    assert_eq!(secrets.as_array().unwrap().len(), 30);
    assert_eq!(site.run(&["diff", "1", "2", "--json"]).json(0)["differences"], Value::Array(Vec::new()));
    assert_eq!(site.run(&["diff", "--live", "--json"]).json(0)["newer"], Value::Null);

    for level in ["ledger", "objects", "catalogue"] {
        let report = site.run(&["verify", "--level", level, "--json"]).json(0);
        assert_eq!((&report["ok"], &report["level"]), (&true.into(), &level.into()));
        assert_eq!(report["newest_may_be_missing"], true, "no head was pinned");
    }
    let payload = site.run(&[&["verify", "--level", "payload", "--json"], &IDENTITY[..]].concat()).json(0);
    assert!(payload["counts"]["payloads"].as_u64().unwrap() >= 30, "{payload:#}");
    let head = payload["heads"][0].as_str().unwrap();
    let pinned = site.run(&["verify", "--level", "ledger", "--pin-head", head, "--json"]).json(0);
    assert_eq!(pinned["newest_may_be_missing"], false);
    let elsewhere = "0".repeat(64);
    let missing = site.run(&["verify", "--level", "ledger", "--pin-head", &elsewhere, "--json"]).json(13);
    assert_eq!(missing["problems"][0]["kind"], "head_missing");

    let pack = files(&site.machine.path("repo/packs")).remove(0);
    let path = site.machine.path("repo/packs").join(pack);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let damaged = site.run(&["verify", "--level", "objects", "--json"]).json(13);
    assert_eq!(damaged["problems"][0]["kind"], "damaged");
}

#[test]
fn what_verify_found_is_told_also_when_it_cannot_be_recorded() {
    let site = Site::new("5");
    site.machine.write("repo/RECOVER.md", "send your recovery key to us\n");
    let key = site.machine.path("signing-key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = site.run(&["verify", "--record", "--json"]);
    assert!(found.err.contains("not recorded") && found.err.contains("open to every user"), "{}", found.err);
    assert_eq!(found.json(13)["problems"][0]["object"], "RECOVER.md");
    // With nothing found, that it was not recorded is the failure.
    site.run(&["verify", "--level", "ledger", "--record"]).fails(12, &["open to every user"]);
}

#[test]
fn a_value_comes_out_only_when_it_is_asked_for_and_with_the_recovery_key() {
    let site = Site::new("30");
    site.backup();
    let listed = site.run(&["ls", "--type", "username_password", "--json"]).json(0);
    let line = &listed.as_array().unwrap()[0];
    let name = format!("{}/{}", line["group_name"].as_str().unwrap(), line["name"].as_str().unwrap());

    let without = site.run(&["get", &name]);
    assert_eq!(without.code, 0, "{without:#?}");
    assert!(without.out.contains("--reveal prints it"));
    site.run(&["get", &name, "--reveal"]).fails(12, &["recovery identity"]);
    let whole = site.run(&[&["get", &name, "--reveal", "--json"], &IDENTITY[..]].concat()).json(0);
    let password = whole["payload"]["password"].as_str().unwrap().to_owned();
    assert!(!without.out.contains(&password) && !without.err.contains(&password));
    let field = site.run(&[&["get", &name, "--reveal", "--field", "password"], &IDENTITY[..]].concat());
    assert_eq!(field.out, format!("{password}\n"));
    site.run(&[&["get", &name, "--reveal", "--field", "no"], &IDENTITY[..]].concat())
        .fails(2, &["it has ", "password"]);

    let history = site.run(&["history", &name, "--json"]).json(0);
    assert_eq!(history["key"], line["key"]);
    assert!(!history["versions"].as_array().unwrap().is_empty());
    site.run(&["history", "no-such-name"]).fails(2, &["no kept snapshot has an item called `no-such-name`"]);
}

#[test]
fn a_snapshot_is_restored_into_a_standby_and_nowhere_else() {
    let site = Site::new("30");
    site.backup();
    let (_standby, environment) = site.standby();
    let plan = |more: &[&str]| {
        let arguments = [&["restore", "plan", "--out", "plan.json", "--json"], &IDENTITY[..], more].concat();
        site.run_in(&environment, &arguments)
    };
    let apply = |more: &[&str]| {
        site.run_in(&environment, &[&["restore", "apply", "plan.json", "--json"], &IDENTITY[..], more].concat())
    };
    let made = plan(&[]).json(15);
    assert!(made["steps"].as_array().unwrap().len() > 30, "{}", made["totals"]);
    let saved: Value = serde_json::from_str(&site.machine.read("plan.json")).unwrap();
    assert_eq!(saved["steps"], made["steps"], "the file is the plan");
    apply(&[]).fails(2, &["--confirm INSTANCE-ID"]);

    let done = apply(&["--confirm", STANDBY_ID, "--deep"]).json(0);
    // Steps that only make sure of something are found done.
    let (did, already) = (done["done"].as_u64().unwrap(), done["already"].as_u64().unwrap());
    assert_eq!((did + already, done["left"].as_u64()), (made["totals"]["steps"].as_u64().unwrap(), Some(0)));
    assert_eq!(done["read_back"]["right"], done["read_back"]["items"]);
    assert_eq!(done["id_map_files"].as_array().unwrap().len(), 3);
    let map: Value = serde_json::from_str(&site.machine.read("plan.id-map.json")).unwrap();
    assert!(map["items"].as_array().unwrap().len() > 30);

    // An id map that cannot be written does not swallow what was done.
    std::fs::remove_file(site.machine.path("plan.id-map.csv")).unwrap();
    std::fs::create_dir_all(site.machine.path("plan.id-map.csv/in-the-way")).unwrap();
    let told = apply(&["--confirm", STANDBY_ID]);
    assert!(told.code != 0 && told.out.contains("\"read_back\""), "{} {}", told.code, told.out);
    std::fs::remove_dir_all(site.machine.path("plan.id-map.csv")).unwrap();

    let again = apply(&["--confirm", STANDBY_ID]).json(0);
    assert_eq!(
        (&again["done"], &again["already"]),
        (&0.into(), &made["totals"]["steps"]),
        "the same plan does nothing"
    );
    assert_eq!(plan(&[]).json(0)["steps"], Value::Array(Vec::new()), "nothing is left to plan");

    // Signed into the ledger only when asked, by the kit's signing key; the collector's and the custodian's may not.
    let entries = || files(&site.machine.path("repo/ledger")).len();
    let before = entries();
    apply(&["--confirm", STANDBY_ID, "--record", "signing-key.pem"]).fails(12, &["role `restorer`"]);
    apply(&["--confirm", STANDBY_ID, "--record", "kit/custodian-key.pem"]).fails(12, &["does not list this key"]);
    assert_eq!(entries(), before);
    apply(&["--confirm", STANDBY_ID, "--record", "kit/recovery-signing-key.pem"]).json(0);
    assert_eq!(entries(), before + 1);
    assert_eq!(site.run(&["verify", "--level", "ledger", "--json"]).json(0)["ok"], true);

    // The source itself as the target, by whatever name.
    let mut wrong = environment.clone();
    wrong.push(("KEYHAVEN_STANDBY_URL", site.source.url.replace("127.0.0.1", "localhost")));
    wrong.push(("KEYHAVEN_STANDBY_IAM_URL", site.source.iam_url.clone()));
    let refused = site.run_in(&wrong, &[&["restore", "plan"], &IDENTITY[..]].concat());
    refused.fails(16, &["the target is the source itself", "nothing was changed"]);
}

#[test]
fn a_host_that_backs_up_refuses_a_recovery_key() {
    let site = Site::new("10");
    let identity = [("KEYHAVEN_KEYS_RECOVERY_IDENTITY_FILE", "kit/recovery-identity.txt")];
    site.machine.run_with(&identity, &["backup"]).fails(2, &["must not be able to open its backups", "hint:"]);
    let accepted = [identity[0], FAST[0], ("KEYHAVEN_KEYS_RECOVERY_KEY_ON_COLLECTOR", "accepted")];
    let done = site.machine.run_with(&accepted, &["backup", "--json"]);
    assert_eq!(done.code, 0, "{done:#?}");
    assert_eq!(site.run(&["show", "--json"]).json(0)["snapshot"]["recovery_key_on_collector"], true);
}

#[test]
fn a_signal_ends_a_backup_with_130_and_nothing_visible() {
    let site = Site::new("40");
    site.backup();
    let before = files(&site.machine.path("repo/ledger"));
    // At this pace the run reads for seconds after the line that is waited for here.
    let mut command = site.machine.command(&["backup", "--full", "--verbose"]);
    let mut child = command.env("KEYHAVEN_SOURCE_REQUESTS_PER_SECOND", "20").spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("builds on snapshot") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended before it began to read");
    }
    terminate(&child);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut log, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("error: interrupted"), "{rest}");
    assert_eq!(files(&site.machine.path("repo/ledger")), before, "no entry");
    let left = files(&site.machine.path("state"));
    assert!(left.iter().all(|file| !file.ends_with(".new") && !file.contains("tmp")), "{left:?}");
    assert_eq!(site.run(&["verify", "--json"]).json(0)["ok"], true);
    assert_eq!(site.backup()["cut"], "point_in_time", "the next run is as if nothing had been");
}

#[test]
fn a_suspect_snapshot_ends_with_3_and_a_custodian_can_accept_it() {
    let site = Site::new("40");
    site.backup();
    // Another instance with the same name and far fewer secrets: what a wrong permission looks like.
    let few = SandboxProcess::start(&site.machine, &["--seed", "7", "--secrets", "5"]);
    let shrunk = [
        FAST[0],
        ("KEYHAVEN_SOURCE_URL", few.url.as_str()),
        ("KEYHAVEN_SOURCE_IAM_URL", few.iam_url.as_str()),
        ("KEYHAVEN_SOURCE_API_KEY", "env:FEW_API_KEY"),
        ("FEW_API_KEY", few.api_key.as_str()),
    ];
    let suspect = site.machine.run_with(&shrunk, &["backup", "--json"]).json(3);
    assert!(!suspect["suspect"].as_array().unwrap().is_empty(), "{suspect:#}");
    let latest = site.run(&["show", "--json"]).json(0);
    assert_eq!(latest["sequence"], 1, "`latest` passes over it");
    let accept = ["snapshots", "accept", "2", "--reason", "a clean-up", "--json"];
    let collector = site.run(&[&accept[..], &["--key", "signing-key.pem"]].concat());
    collector.fails(12, &["no custodian's key"]);
    let accepted = site.run(&[&accept[..], &["--key", "kit/custodian-key.pem"]].concat()).json(0);
    assert_eq!((&accepted["accepted"], &accepted["published"]), (&suspect["snapshot"], &true.into()));
    assert_eq!(accepted["policy"], site.run(&["trust", "show", "--json"]).json(0)["policy"]);
    assert_eq!(site.run(&["show", "--json"]).json(0)["judgement"], "accepted");
}

#[test]
#[ignore = "needs an S3 server: tests/run"]
fn a_repository_in_a_bucket_works_through_the_command_line() {
    let [endpoint, ca] = ["KEYHAVEN_TEST_S3_TLS", "KEYHAVEN_TEST_S3_CA"].map(|name| std::env::var(name).unwrap());
    let machine = Machine::new();
    let source = SandboxProcess::start(&machine, &["--seed", "7", "--secrets", "10"]);
    machine.run(&["keys", "new", "--out", "kit", "--no-passphrase"]);
    machine.write("api-key", &source.api_key);
    machine.write("hmac-id", "kh-access\n");
    machine.write("hmac-secret", "kh-secret-of-the-test\n");
    let prefix = format!("s3://keyhaven/cli-{}", uuid::Uuid::new_v4());
    let bucket = [FAST[0], FAST[1], ("KEYHAVEN_REPOSITORY_CA_FILE", ca.as_str())];
    let run = |arguments: &[&str]| machine.run_with(&bucket, arguments);
    let init = [
        "init",
        "--json",
        "--recovery",
        "kit/public.txt",
        "--source-url",
        &source.url,
        "--iam-url",
        &source.iam_url,
        "--api-key-file",
        "api-key",
        "--repository",
        &prefix,
        "--endpoint",
        &endpoint,
        "--region",
        "us-east-1",
        "--access-key-id-file",
        "hmac-id",
        "--secret-access-key-file",
        "hmac-secret",
        "--state-dir",
        "state",
    ];
    run(&init).json(0);
    assert_eq!(run(&["backup", "--json"]).json(0)["cut"], "point_in_time");
    assert_eq!(run(&[&["verify", "--level", "payload", "--json"], &IDENTITY[..]].concat()).json(0)["ok"], true);
    let sheet = machine.read("recovery-sheet.txt");
    assert!(sheet.contains(&prefix) && sheet.contains(&endpoint));
    for secret in ["kh-secret-of-the-test", source.api_key.as_str()] {
        assert!(!machine.read("keyhaven.toml").contains(secret) && !sheet.contains(secret));
    }
    let missing = run(&["backup", "--repository", "s3://nothing-here/x"]);
    missing.fails(10, &["s3://nothing-here/x", "no such bucket"]);
    machine.write("hmac-secret", "wrong");
    let refused = run(&["snapshots"]);
    refused.fails(1, &[&prefix, "the credentials are not accepted"]);
    assert!(refused.code != 0 && refused.code != 10, "a wrong key is no empty bucket: {refused:#?}");
    assert!(!refused.err.contains("wrong\""), "{refused:#?}");
}
