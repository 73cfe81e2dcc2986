//! The command line, driven as a user drives it: the real program against sandboxes in processes of their own.

use std::os::unix::fs::PermissionsExt;

use crate::program::{Machine, Run, SandboxProcess, files};

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
        assert_eq!(made["source"]["crn"], source.crn.as_str(), "asked of the instance itself");
        let id = made["repository_id"].as_str().unwrap().to_owned();
        Self { machine, source, id }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.machine.run(arguments)
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
            "ledger" => machine.run(&["ledger", "accept-loss", "--help"]),
            "restore" => machine.run(&["restore", "plan", "--help"]),
            _ => help,
        };
        assert_eq!(whole.code, 0, "{command}");
        assert!(whole.out.contains("Examples:"), "{command} has no examples");
        assert!(whole.out.contains("--json"), "{command} has no --json");
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
    assert_eq!(files(&machine.path("kit")), ["custodian-key.pem.age", "public.txt", "recovery-identity.txt.age"]);
    for name in ["kit/custodian-key.pem.age", "kit/recovery-identity.txt.age"] {
        let path = machine.path(name);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        assert!(std::fs::read(&path).unwrap().starts_with(b"age-encryption.org/v1\n-> scrypt "), "{name}");
    }
    assert!(!machine.read("kit/public.txt").contains("SECRET"));
    let before = std::fs::read(machine.path("kit/recovery-identity.txt.age")).unwrap();
    machine.run(&arguments).fails(2, &["kit/recovery-identity.txt.age exists already", "hint:"]);
    assert_eq!(std::fs::read(machine.path("kit/recovery-identity.txt.age")).unwrap(), before);
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
    again.fails(2, &["already holds a ledger"]);
    assert!(!site.machine.path("second").exists());
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
    site.run(&["doctor", "--source-url", "http://127.0.0.1:1"]).fails(17, &[]);
}

#[test]
fn a_sandbox_keeps_its_data_and_ends_cleanly() {
    let machine = Machine::new();
    let arguments = ["--seed", "3", "--secrets", "5", "--data", "state.sandbox", "--region", "eu-gb"];
    let first = SandboxProcess::start(&machine, &arguments);
    let crn = first.crn.clone();
    assert!(crn.contains(":eu-gb:"), "{crn}");
    assert_eq!(first.stop(), 0);
    let again = SandboxProcess::start(&machine, &["--data", "state.sandbox"]);
    assert_eq!(again.crn, crn, "the file knows who it is");
    machine.run(&["sandbox", "--listen", "0.0.0.0:0"]).fails(2, &["loopback only"]);
}
