//! Schedules as a user meets them: the coming runs, cron lines to try, jobs and instances in the configuration.

use serde_json::Value;

use crate::kit::program::Machine;

const JOBS: &str = "\
[jobs.backup]
cron = \"0 */6 * * *\"
jitter = \"10m\"

[jobs.nightly]
kind = \"verify\"
args = [\"--level\", \"objects\"]
cron = \"30 2 * * *\"
zone = \"Europe/Berlin\"
";

fn machine(config: &str) -> Machine {
    let machine = Machine::new();
    machine.write("keyhaven.toml", config);
    machine
}

fn column<'v>(result: &'v Value, member: &str) -> Vec<&'v str> {
    result["runs"].as_array().unwrap().iter().map(|run| run[member].as_str().unwrap_or_default()).collect()
}

#[test]
fn the_coming_runs_of_all_jobs_stand_in_one_order() {
    let machine = machine(JOBS);
    let from = "2027-03-27T20:00:00Z";
    let result = machine.run(&["schedule", "next", "5", "--from", from, "--json"]).json(0);
    assert_eq!(column(&result, "job"), ["backup", "nightly", "backup", "backup", "backup"]);
    assert_eq!(
        column(&result, "at"),
        [
            "2027-03-28T00:00:00.000Z",
            "2027-03-28T01:00:00.000Z",
            "2027-03-28T06:00:00.000Z",
            "2027-03-28T12:00:00.000Z",
            "2027-03-28T18:00:00.000Z",
        ]
    );
    let moved = &result["runs"][1];
    assert_eq!(moved["kind"], "verify");
    assert_eq!(moved["local"], "2027-03-28T03:00:00+02:00");
    assert_eq!((&moved["mark"], &moved["note"]), (&"moved".into(), &"02:30 does not exist that day".into()));
    assert_eq!(result["runs"][0]["jitter_seconds"], 600);
    let text = machine.run(&["schedule", "next", "5", "--from", from]);
    assert_eq!(text.code, 0, "{text:#?}");
    assert!(text.out.contains("Sun 2027-03-28 03:00:00 CEST +02:00"), "{}", text.out);
    assert!(text.out.contains("02:30 does not exist that day"), "{}", text.out);
    assert!(text.out.contains("up to 10 min 0 s later"), "{}", text.out);
}

#[test]
fn one_job_and_a_number_of_runs_can_be_chosen() {
    let machine = machine(JOBS);
    let autumn = ["schedule", "next", "3", "--job", "nightly", "--from", "2027-10-30T00:00:00Z", "--json"];
    let result = machine.run(&autumn).json(0);
    assert_eq!(column(&result, "at")[1..], ["2027-10-31T00:30:00.000Z", "2027-11-01T01:30:00.000Z"]);
    assert_eq!(column(&result, "mark"), ["", "first_of_two", "clock_changed"]);
    machine.run(&["schedule", "next", "--job", "nigthly"]).fails(2, &["no job `nigthly`", "backup, nightly"]);
    for count in ["0", "1001", "-1", "ten"] {
        machine.run(&["schedule", "next", count]).fails(2, &[]);
    }
    machine.run(&["schedule", "next", "--from", "tomorrow"]).fails(2, &["--from"]);
    let default = machine.run(&["schedule", "next", "--json"]).json(0);
    assert_eq!(default["runs"].as_array().unwrap().len(), 10);
    let empty = Machine::new().run(&["schedule", "next"]);
    assert_eq!(empty.code, 0);
    assert!(empty.out.contains("no run is to come") && empty.out.contains("[jobs.NAME]"), "{empty:#?}");
}

#[test]
fn a_line_can_be_tried() {
    let machine = Machine::new();
    let check = |arguments: &[&str]| machine.run(&[&["schedule", "check"], arguments].concat());
    let from = ["--from", "2027-10-30T23:30:00Z", "--json"];
    let hourly = check(&[&["@hourly", "--zone", "Europe/Berlin"], from.as_slice()].concat()).json(0);
    assert_eq!(column(&hourly, "mark")[..2], ["first_of_two", "second_of_two"]);
    assert_eq!(hourly["longest_gap_seconds"], 3_600);
    let text = check(&["30 2 * * 1-5", "--zone", "Asia/Kolkata"]);
    assert_eq!(text.code, 0, "{text:#?}");
    assert!(text.out.contains("Mon ") && text.out.contains("IST +05:30"), "{}", text.out);
    assert!(!text.out.contains("Sun "), "1 is Monday: {}", text.out);
    for (line, zone, said) in [
        ("0 24 * * *", "UTC", "`0 24 * * *`: hour `24`: 24 is not from 0 to 23; midnight is 0"),
        ("", "UTC", "the cron line is empty; write five fields"),
        ("-5 * * * *", "UTC", "minute `-5`"),
        ("0 3 31 2 *", "UTC", "never runs: day of month `31` does not occur in month `2`"),
        ("0 3 13 * FRI", "UTC", "are both restricted"),
        ("0 0 * * FRI-MON", "UTC", "write `FRI-SAT,SUN-MON`"),
        ("@reboot", "UTC", "names no time"),
        ("0 0 3 * * * 2027", "UTC", "has 7 fields"),
        ("@daily", "Europe/Berln", "unknown time zone `Europe/Berln`; did you mean `Europe/Berlin`"),
        ("@daily", "Mars/Olympus", "unknown time zone `Mars/Olympus`"),
    ] {
        check(&[line, "--zone", zone]).fails(2, &[said]);
    }
}

#[test]
fn jobs_are_validated_with_the_words_of_their_commands() {
    let validate = |config: &str| machine(config).run(&["config", "validate"]);
    let valid = validate(JOBS);
    assert_eq!(valid.code, 0, "{valid:#?}");
    assert!(valid.out.contains("jobs: kinds, cron lines, zones, arguments"), "{}", valid.out);
    let job = |members: &str| format!("[jobs.backup]\ncron = \"@daily\"\n{members}\n");
    validate(&job("kind = \"bakup\"")).fails(2, &["keyhaven.toml, line 1", "no kind of job; did you mean `backup`?"]);
    validate(&job("args = [\"--ful\"]")).fails(2, &["`jobs.backup.args`", "'--ful'", "keyhaven backup --help"]);
    validate(&job("args = [\"--instance\", \"x\"]")).fails(2, &["by the daemon"]);
    validate(&job("zone = \"Berlin\"")).fails(2, &["line 3", "did you mean `Europe/Berlin`?"]);
    validate("[jobs.backup]\ncron = \"*/60 * * * *\"\n").fails(2, &["line 2: `jobs.backup.cron`: minute `*/60`"]);
    // What cannot be used is refused by every command, not only by this one.
    machine(&job("kind = \"bakup\"")).run(&["schedule", "next"]).fails(2, &["no kind of job"]);
}

#[test]
fn jobs_and_instances_are_shown() {
    let machine = machine(&format!("{TWO}{JOBS}"));
    let shown = machine.run(&["config", "show", "--json"]).json(0);
    let lines: Vec<String> = shown["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| format!("{}={}", line["key"].as_str().unwrap(), line["value"].as_str().unwrap()))
        .collect();
    for line in
        ["jobs.nightly.cron=30 2 * * *", "jobs.nightly.retries=2", "instances.shop.source.url=https://shop.example"]
    {
        assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:#?}");
    }
    let one = machine.run(&["--instance", "shop", "config", "show", "--json"]).json(0);
    let url = one["values"].as_array().unwrap().iter().find(|line| line["key"] == "source.url").unwrap();
    assert_eq!(url["value"], "https://shop.example");
}

const TWO: &str = "\
[[instances]]
name = \"pay\"
source.url = \"https://pay.example\"
repository.url = \"pay\"
[[instances]]
name = \"shop\"
source.url = \"https://shop.example\"
repository.url = \"shop\"
";

#[test]
fn of_several_instances_one_is_named() {
    let machine = machine(TWO);
    machine.run(&["snapshots"]).fails(2, &["several instances", "--instance NAME", "pay, shop"]);
    machine.run(&["--instance", "shp", "snapshots"]).fails(2, &["`shp`; did you mean `shop`?; it has pay, shop"]);
    let id = "a".repeat(64);
    // Each has its own repository, and neither is there.
    for (name, environment) in [("pay", None), ("shop", Some("shop"))] {
        let mut command = vec!["snapshots", "--repository-id", &id];
        if environment.is_none() {
            command.extend(["--instance", name]);
        }
        let variables: Vec<(&str, &str)> = environment.map(|name| ("KEYHAVEN_INSTANCE", name)).into_iter().collect();
        let folder = machine.path(name);
        machine.run_with(&variables, &command).fails(10, &[folder.file_name().unwrap().to_str().unwrap()]);
    }
    Machine::new().run(&["--instance", "pay", "snapshots"]).fails(2, &["no `[[instances]]`"]);
}

#[test]
fn all_instances_are_validated_and_kept_apart() {
    let valid =
        |config: &str, environment: &[(&str, &str)]| machine(config).run_with(environment, &["config", "validate"]);
    let key = [("KEYHAVEN_SOURCE_API_KEY", "env:API_KEY"), ("API_KEY", "k")];
    let both = valid(TWO, &key);
    assert_eq!(both.code, 0, "{both:#?}");
    assert!(both.out.contains("pay: source") && both.out.contains("shop: repository"), "{}", both.out);
    valid(&TWO.replace("\"shop\"\nsource", "\"shop\"\nsource.ca_file = \"none.pem\"\nsource"), &key)
        .fails(2, &["instance `shop`", "none.pem"]);
    let same = TWO.replace("repository.url = \"shop\"", "repository.url = \"./pay\"");
    valid(&same, &key).fails(2, &["line 8", "the instances `pay` and `shop` have one repository"]);
    // A variable beats the file, and so would send both into one place.
    let sent = [key[0], key[1], ("KEYHAVEN_REPOSITORY_URL", "elsewhere")];
    valid(TWO, &sent).fails(2, &["KEYHAVEN_REPOSITORY_URL", "have one repository"]);
}

#[test]
fn the_jobs_of_one_instance_are_shown_alone() {
    let jobs = "[jobs.backup]\ncron = \"@hourly\"\n[jobs.drift]\ncron = \"@hourly\"\ninstances = [\"shop\"]\n";
    let machine = machine(&format!("{TWO}{jobs}"));
    let jobs_of = |arguments: &[&str]| {
        let from = ["schedule", "next", "2", "--from", "2027-01-01T00:30:00Z", "--json"];
        let result = machine.run(&[arguments, from.as_slice()].concat()).json(0);
        column(&result, "job").iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(jobs_of(&[]), ["backup", "drift"]);
    assert_eq!(jobs_of(&["--instance", "shop"]), ["backup", "drift"]);
    assert_eq!(jobs_of(&["--instance", "pay"]), ["backup", "backup"]);
}
