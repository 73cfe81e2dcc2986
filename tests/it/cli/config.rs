//! The configuration as a user meets it: what is wrong is named, and what holds is shown.

use std::path::Path;

use keyhaven::config::{Layer, Settings, reference};

use crate::kit::program::Machine;

#[test]
fn the_commented_file_is_valid_with_every_key_set_to_its_example() {
    let machine = Machine::new();
    let text = machine.run(&["config", "init"]);
    assert_eq!(text.code, 0);
    assert_eq!(text.out, reference::commented(&std::collections::BTreeMap::new()));
    // Without the values that are placeholders.
    let skip = ["id = \"64"];
    let set: String = text
        .out
        .lines()
        .filter(|line| !skip.iter().any(|word| line.contains(word)))
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let layer = Layer::file(&set, "keyhaven.toml", Path::new("/etc/keyhaven")).unwrap();
    let settings = Settings::build([layer]).unwrap();
    assert_eq!(settings.source().unwrap().requests_per_second, 5.0);
    assert_eq!(settings.standby().unwrap().requests_per_second, 20.0);
    assert!(settings.repository().unwrap().secret_access_key.is_some());
    assert!(settings.keys().recovery_key_on_collector.is_some());
    machine.write("keyhaven.toml", &set);
    let valid = machine.run(&["config", "show", "--json"]).json(0);
    assert_eq!(valid["file"], "keyhaven.toml");
}

#[test]
fn mistakes_name_file_line_and_key() {
    let machine = Machine::new();
    let cases = [
        ("[source]\nrequest_per_second = 5\n", "line 2: unknown key `source.request_per_second`; did you mean"),
        ("[sorce]\nurl = \"x\"\n", "line 1: unknown key `sorce`"),
        ("[source]\n\nrequests_per_second = \"fast\"\n", "line 3: `source.requests_per_second` must be a number"),
        ("[backup]\nmax_shrink = 20\n", "line 2: `backup.max_shrink` must be a number from 0 to 1"),
        ("[backup]\nfull_every = 7\n", "line 2: `backup.full_every` must be a time with a unit"),
        ("[source]\nurl = \"http://sm.example\"\n", "plain http is for loopback only"),
        ("[source]\nurl = \n", "line 2, column 7: not valid TOML"),
    ];
    for (text, said) in cases {
        machine.write("keyhaven.toml", text);
        machine.run(&["config", "validate"]).fails(2, &["error: ", "keyhaven.toml", said, "hint: "]);
    }
    machine.write("keyhaven.toml", "[source]\napi_key = \"hunter2\"\n");
    let inline = machine.run(&["config", "validate"]);
    inline.fails(2, &["line 2: `source.api_key` must be \"file:PATH\"", "not the secret itself"]);
    assert!(!inline.err.contains("hunter2"));
    machine.run(&["--config", "no.toml", "config", "show"]).fails(2, &["no.toml", "No such file"]);
}

#[test]
fn jobs_of_retention_that_fail_or_only_look_are_named() {
    let machine = Machine::new();
    let job = "[jobs.retain]\nkind = \"forget\"\ncron = \"@daily\"\n";
    machine.write("keyhaven.toml", &format!("{job}args = [\"--apply\"]\n"));
    machine
        .run(&["config", "validate"])
        .fails(2, &["line 1: `jobs.retain`: forgets what no rule", "hint: say in [retention]"]);
    machine.write("keyhaven.toml", &format!("[retention]\nkeep_last = 5\n{job}"));
    let valid = machine.run(&["config", "validate", "--json"]).json(0);
    let warnings: Vec<&str> = valid["warnings"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let [number, looks] = warnings[..] else { panic!("{warnings:?}") };
    assert!(number.contains("line 3: jobs.retain: keep_last is the only rule"), "{number}");
    assert!(looks.contains("it only looks"), "{looks}");
}

#[test]
fn no_time_at_all_is_written_as_a_second() {
    let machine = Machine::new();
    let least = "not \"0s\"; the shortest is \"1s\"";
    machine.write("keyhaven.toml", "[sync]\ndelay = \"0s\"\n");
    machine.run(&["config", "validate"]).fails(2, &["line 2: `sync.delay` must be a time with a unit", least]);
    machine.run(&["sync", "--delay", "0s"]).fails(2, &["--delay", least]);
    machine.write(
        "keyhaven.toml",
        "[sync]\ndelay = \"1s\"\n[jobs.a]\nkind = \"backup\"\ncron = \"@daily\"\njitter = \"0s\"\n",
    );
    machine.run(&["config", "validate"]).fails(2, &["jitter", least]);
    let without = machine.read("keyhaven.toml").replace("jitter = \"0s\"\n", "");
    machine.write("keyhaven.toml", &without);
    machine.run(&["config", "validate", "--json"]).json(0);
}

#[test]
fn flags_beat_the_environment_and_the_environment_beats_the_file() {
    let machine = Machine::new();
    machine.write("keyhaven.toml", "[source]\nurl = \"https://file.example\"\nrequests_per_second = 3\n");
    let environment = [
        ("KEYHAVEN_SOURCE_URL", "https://env.example"),
        ("KEYHAVEN_STANDBY_URL", "https://env.example"),
        ("KEYHAVEN_SOURCE_API_KEY", "env:KEYHAVEN_OWN_KEY"),
        ("KEYHAVEN_OWN_KEY", "hunter2"),
    ];
    let run = machine.run_with(&environment, &["config", "show", "--json", "--source-url", "https://flag.example"]);
    let shown = run.json(0);
    let of = |key: &str| {
        let line = shown["values"].as_array().unwrap().iter().find(|line| line["key"] == key).unwrap();
        (line["value"].as_str().unwrap().to_owned(), line["origin"].as_str().unwrap().to_owned())
    };
    assert_eq!(of("source.url"), ("https://flag.example".into(), "flag --source-url".into()));
    assert_eq!(of("standby.url").1, "environment variable KEYHAVEN_STANDBY_URL");
    assert_eq!(of("source.requests_per_second"), ("3".into(), "keyhaven.toml, line 3".into()));
    assert_eq!(of("backup.full_every"), ("7d".into(), "default".into()));
    assert_eq!(of("source.api_key").0, "env:KEYHAVEN_OWN_KEY");
    assert!(!run.out.contains("hunter2"), "a secret in the environment is not shown");
    let bad = machine.run_with(&[("KEYHAVEN_BACKUP_MAX_SHRINK", "lots")], &["config", "show"]);
    bad.fails(2, &["environment variable KEYHAVEN_BACKUP_MAX_SHRINK: `backup.max_shrink` must be"]);
    let unknown = machine.run_with(&[("KEYHAVEN_SOURCE_URLL", "https://a.example")], &["config", "show"]);
    unknown.fails(2, &["unknown environment variable KEYHAVEN_SOURCE_URLL; did you mean KEYHAVEN_SOURCE_URL?"]);
}
