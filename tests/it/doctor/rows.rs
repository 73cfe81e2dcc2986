//! `keyhaven doctor`: every row can be bad, and says how to mend it.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use keyhaven::crypto::{Identities, SigningKey};
use keyhaven::provider::embedded::{
    Act, ApiKey, EmbeddedInstance, InstanceClock, Options, ServiceRole, Verb, When, seed,
};
use serde_json::Value;

use crate::kit::program::Run;
use crate::kit::site::{CUSTODIAN, Site};

/// The rows about one thing.
pub(crate) fn rows<'a>(table: &'a Value, what: &str) -> Vec<&'a Value> {
    table["checks"].as_array().unwrap().iter().filter(|row| row["what"] == what).collect()
}

/// Says that a run found one thing bad (`bad`) or worth a look (`warning`), with these words, and how to mend it.
pub(crate) fn finds(run: &Run, exit: i32, group: &str, what: &str, verdict: &str, said: &str, mend: &str) {
    let table = run.json(exit);
    let fits = |row: &&Value| {
        row["group"] == group
            && row["verdict"] == verdict
            && row["found"].as_str().unwrap().contains(said)
            && row["hint"].as_str().is_some_and(|hint| hint.contains(mend))
    };
    assert!(rows(&table, what).iter().any(fits), "no {what}, {verdict}: `{said}`, mend `{mend}`: {table:#}");
    // Whatever is wrong, the rest of the table is there.
    for row in table["checks"].as_array().unwrap() {
        assert_eq!(row["verdict"] == "good", row["hint"].is_null(), "what is not good says how to mend it: {row:#}");
        assert_eq!(row["verdict"] == "bad", row["exit"] != 0, "{row:#}");
    }
    for what in ["file", "process", "state folder", "notification", "audit trail"] {
        assert!(!rows(&table, what).is_empty(), "{what} is missing: {table:#}");
    }
}

pub(crate) fn bad(run: &Run, exit: i32, group: &str, what: &str, said: &str, mend: &str) {
    finds(run, exit, group, what, "bad", said, mend);
}

/// Changes the configuration.
pub(crate) fn configure(site: &Site, from: &str, to: &str) {
    let config = site.machine.read("keyhaven.toml");
    assert!(config.contains(from), "{config}");
    site.machine.write("keyhaven.toml", &config.replacen(from, to, 1));
}

pub(crate) fn doctor(site: &Site) -> Run {
    site.run(&["doctor", "--json"])
}

#[test]
fn a_host_that_is_set_up_is_good_and_nothing_is_changed() {
    let site = Site::seeded();
    let stored = site.stored("");
    let bytes: Vec<Vec<u8>> = stored.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let state = crate::kit::files::files(&site.machine.path("state"));
    let table = doctor(&site).json(0);
    assert_eq!(table["bad"], 0, "{table:#}");
    let good = |what: &str| rows(&table, what).iter().all(|row| row["verdict"] == "good");
    for what in [
        "file",
        "process",
        "state folder",
        "signing key",
        "catalogue key",
        "recovery identity",
        "repository",
        "reading",
        "ledger",
        "known heads",
        "writing",
        "role",
        "address",
        "login",
        "rights",
        "listing",
        "clock and provider",
        "identity",
        "newest good snapshot",
        "audit trail",
    ] {
        assert!(!rows(&table, what).is_empty() && good(what), "{what}: {table:#}");
    }
    assert!(rows(&table, "writing")[0]["found"].as_str().unwrap().contains("with its own bytes"));
    assert_eq!(site.stored(""), stored);
    for (path, bytes) in stored.iter().zip(&bytes) {
        assert_eq!(&std::fs::read(path).unwrap(), bytes, "{}", path.display());
    }
    assert_eq!(crate::kit::files::files(&site.machine.path("state")), state);
}

#[test]
fn the_table_fits_a_terminal_and_is_grouped() {
    let site = Site::seeded();
    let run = site
        .machine
        .run_with(&[("COLUMNS", "80")], &["doctor", "--source-url", "http://127.0.0.1:1", "--timeout", "2"]);
    assert_eq!(run.code, 17, "{run:#?}");
    for heading in ["Configuration\n", "\nThis host\n", "\nKeys\n", "\nRepository\n", "\nSource\n", "\nBackups\n"] {
        assert!(run.out.contains(heading), "{heading}: {}", run.out);
    }
    assert!(run.out.contains("BAD ") && run.out.contains("mend: "), "{}", run.out);
    // A path or a digest is one word and stays whole.
    for line in run.out.lines().filter(|line| line.split_whitespace().all(|word| word.len() < 50)) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn keys_that_are_missing_open_to_others_or_in_the_wrong_place_are_bad() {
    let site = Site::seeded();
    let path = |name: &str| site.machine.path(name);
    let mode = |name: &str, mode| std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    mode("signing-key.pem", 0o644);
    bad(&doctor(&site), 12, "Keys", "signing key", "open to every user", "chmod 600");
    mode("signing-key.pem", 0o600);
    std::fs::rename(path("catalogue-key.txt"), path("away")).unwrap();
    bad(&doctor(&site), 12, "Keys", "catalogue key", "catalogue-key.txt", "check the path");
    std::fs::rename(path("away"), path("catalogue-key.txt")).unwrap();

    let one = "one: if its key is lost";
    finds(&doctor(&site), 0, "Recipients", "recovery recipients", "warning", one, "keys new");
    let own = Identities::parse(&site.machine.read("catalogue-key.txt")).unwrap().recipients().remove(0).to_string();
    let add = ["recipients", "add", &own, "--name", "the collector"];
    assert_eq!(site.run(&[&add[..], &CUSTODIAN].concat()).code, 0);
    bad(&doctor(&site), 2, "Recipients", "recovery recipients", "can open its own backups", "recipients remove");
    let remove = ["recipients", "remove", "the collector"];
    assert_eq!(site.run(&[&remove[..], &CUSTODIAN].concat()).code, 0);

    configure(&site, "[keys]", "[keys]\nrecovery_identity_file = \"kit/recovery-identity.txt\"");
    bad(&doctor(&site), 2, "Keys", "recovery identity", "`keyhaven backup` refuses to run", "another host");
    configure(&site, "[keys]", "[keys]\nrecovery_key_on_collector = \"accepted\"");
    finds(&doctor(&site), 0, "Keys", "recovery identity", "warning", "every entry says so", "another host");
    mode("kit/recovery-identity.txt", 0o604);
    bad(&doctor(&site), 12, "Keys", "recovery identity", "open to every user", "chmod 600");
}

#[test]
fn a_key_that_the_ledger_does_not_know_has_no_role() {
    let site = Site::seeded();
    let stranger = SigningKey::from_seed(&[7; 32]);
    site.machine.write("signing-key.pem", &stranger.to_pem().unwrap());
    bad(&doctor(&site), 12, "Repository", "role", "needs the role collector", "keys add");
}

#[test]
fn a_state_folder_that_cannot_be_written_is_bad() {
    let site = Site::seeded();
    site.machine.write("in-the-way", "x");
    let run = site.run(&["doctor", "--json", "--state-dir", "in-the-way/state"]);
    bad(&run, 1, "This host", "state folder", "is no folder", "state_dir");
}

#[test]
fn a_repository_that_is_not_there_or_lost_something_is_bad() {
    let site = Site::seeded();
    let elsewhere = site.run(&["doctor", "--json", "--repository", "elsewhere"]);
    bad(&elsewhere, 10, "Repository", "repository", "no repository", "repository.url");
    let newest = site.newest_entry();
    let kept = std::fs::read(&newest).unwrap();
    std::fs::remove_file(&newest).unwrap();
    bad(&doctor(&site), 13, "Repository", "known heads", "is gone", "ledger accept-loss");
    std::fs::write(&newest, kept).unwrap();
    site.plant_entry(b"{}");
    finds(&doctor(&site), 0, "Repository", "ledger", "warning", "no entry", "verify --level ledger");
    std::fs::write(site.repository().join("keyhaven.json"), b"rubbish").unwrap();
    finds(&doctor(&site), 0, "Repository", "repository", "warning", "is damaged", "verify --level objects");
    finds(&doctor(&site), 0, "Repository", "protection", "warning", "unprotected against its own collector", "bucket");
}

#[test]
fn a_repository_that_takes_nothing_is_bad() {
    let site = Site::seeded();
    // No file may grow: whoever runs this may be root, whom permissions do not stop.
    let program = env!("CARGO_BIN_EXE_keyhaven");
    let script = format!("trap '' XFSZ; ulimit -f 0; exec {program} doctor --json");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(site.machine.path("")).env_clear().env("HOME", site.machine.path(""));
    let output = command.output().unwrap();
    let run = Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    bad(&run, 1, "Repository", "writing", "no room left", "named here");
}

#[test]
fn a_source_that_does_not_answer_or_refuses_is_bad() {
    let site = Site::seeded();
    let nobody = site.run(&["doctor", "--json", "--source-url", "http://127.0.0.1:1", "--timeout", "2"]);
    bad(&nobody, 17, "Source", "login", "", "network between");
    bad(&nobody, 17, "Source", "listing", "", "network between");
    site.machine.write("api-key", "not-the-key");
    bad(&doctor(&site), 17, "Source", "login", "not authenticated", "API key");
    site.machine.write("api-key", " ");
    bad(&doctor(&site), 12, "Source", "address", "not one line", "config show");
}

#[test]
fn a_source_that_hangs_is_given_up_and_the_table_goes_on() {
    let site = Site::seeded();
    site.fault(When::all(), Act::Hang);
    let run = site.run(&["doctor", "--json", "--timeout", "1"]);
    bad(&run, 17, "Source", "login", "no answer within 1 s", "--timeout");
    bad(&run, 17, "Source", "listing", "no answer within 1 s", "--timeout");
}

#[test]
fn rights_that_are_missing_are_named_with_the_role_that_has_them() {
    let site = Site::seeded();
    site.source.set_key(ApiKey::new("reads-secrets", ServiceRole::SecretsReader));
    site.machine.write("api-key", "reads-secrets");
    bad(&doctor(&site), 17, "Source", "rights", "configuration.read is refused", "custom role");
    configure(&site, "[backup]", "[backup]\nallow_partial = true");
    finds(&doctor(&site), 0, "Source", "rights", "warning", "accepted", "custom role");
    site.source.set_key(ApiKey::new("reads-metadata", ServiceRole::Reader));
    site.machine.write("api-key", "reads-metadata");
    bad(&doctor(&site), 17, "Source", "rights", "secret-version.read is refused", "SecretsReader");
}

#[test]
fn a_source_that_is_another_instance_or_lives_in_another_time_is_bad() {
    let site = Site::seeded();
    let (other, server) = site.standby();
    seed(&other, 5, 3).unwrap();
    let (url, iam_url) = (server.base_url(), server.iam_url());
    let elsewhere = [("KEYHAVEN_SOURCE_URL", url.as_str()), ("KEYHAVEN_SOURCE_IAM_URL", iam_url.as_str())];
    let run = site.machine.run_with(&elsewhere, &["doctor", "--json"]);
    bad(&run, 16, "Source", "identity", "the repository is of", "one repository is one instance");
    site.source.options().clock.advance(-200_000);
    let soon = "past 5 min nothing is signed";
    finds(&doctor(&site), 0, "Source", "clock and provider", "warning", soon, "timedatectl");
    site.source.options().clock.advance(-200_000);
    bad(&doctor(&site), 1, "Source", "clock and provider", "apart", "timedatectl");
}

/// The environment of a standby.
fn standby_at(url: &str, iam_url: &str) -> [(&'static str, String); 4] {
    [
        ("KEYHAVEN_STANDBY_URL", url.to_owned()),
        ("KEYHAVEN_STANDBY_IAM_URL", iam_url.to_owned()),
        ("KEYHAVEN_STANDBY_API_KEY", "file:standby-key".to_owned()),
        ("KEYHAVEN_STANDBY_REQUESTS_PER_SECOND", "1000".to_owned()),
    ]
}

fn with_standby(site: &Site, url: &str, iam_url: &str) -> Run {
    let environment = standby_at(url, iam_url);
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    site.machine.run_with(&environment, &["doctor", "--json", "--timeout", "2"])
}

/// Everything that an instance holds, as its lists show it.
fn content(instance: &EmbeddedInstance) -> Vec<String> {
    let lists = ["secrets", "secret_groups", "configurations"];
    lists.map(|list| instance.call(Verb::Get, &format!("/api/v2/{list}"), "").body.to_string()).to_vec()
}

#[test]
fn a_standby_is_asked_whether_it_may_be_written_and_nothing_is_written() {
    let site = Site::seeded();
    let (standby, server) = site.standby();
    seed(&standby, 5, 3).unwrap();
    let (url, iam_url) = (server.base_url(), server.iam_url());
    site.machine.write("standby-key", "embedded-instance-api-key");
    let before = content(&standby);
    let table = with_standby(&site, &url, &iam_url).json(0);
    let rights: Vec<_> = rows(&table, "rights").into_iter().filter(|row| row["group"] == "Standby").collect();
    assert!(rights.len() == 1 && rights[0]["verdict"] == "good", "{table:#}");
    let regions = rows(&table, "source and standby");
    assert!(regions[0]["found"].as_str().unwrap().contains("eu-de and eu-gb"), "{table:#}");
    assert_eq!(content(&standby), before);

    standby.set_key(ApiKey::new("only-reads", ServiceRole::Reader));
    site.machine.write("standby-key", "only-reads");
    let run = with_standby(&site, &url, &iam_url);
    bad(&run, 17, "Standby", "rights", "configuration.update is refused", "Manager");
    bad(&run, 17, "Standby", "rights", "secret-version.create is refused", "Manager");
    standby.set_key(ApiKey::new("writes", ServiceRole::Writer));
    site.machine.write("standby-key", "writes");
    bad(&with_standby(&site, &url, &iam_url), 17, "Standby", "rights", "configuration.update is refused", "Manager");
    bad(&with_standby(&site, "http://127.0.0.1:1", &iam_url), 17, "Standby", "listing", "", "network between");
}

#[test]
fn a_standby_that_is_the_source_by_another_address_is_bad() {
    let site = Site::seeded();
    site.machine.write("standby-key", "embedded-instance-api-key");
    let config: toml::Value = toml::from_str(&site.machine.read("keyhaven.toml")).unwrap();
    let of = |key: &str| config["source"][key].as_str().unwrap().replace("127.0.0.1", "localhost");
    let run = with_standby(&site, &of("url"), &of("iam_url"));
    bad(&run, 16, "Standby", "not the source", "the standby is the source", "standby.url");
    let one = "both in eu-de";
    let table = run.json(16);
    assert!(rows(&table, "source and standby")[0]["found"].as_str().unwrap().contains(one), "{table:#}");
}

#[test]
fn backups_that_are_late_suspect_or_unverified_are_bad() {
    // The provider lives four minutes ago, which is still allowed: so does every snapshot.
    let clock = InstanceClock::ahead(-240_000);
    let site = Site::with(Options { clock, ..Options::default() }, |source| seed(source, 11, 12).unwrap());
    finds(&doctor(&site), 0, "Backups", "verification", "warning", "none is recorded", "verify --record");
    configure(&site, "[objectives]", "[objectives]\nrpo = \"2m\"\nverified_within = \"3m\"");
    let run = doctor(&site);
    bad(&run, 14, "Backups", "newest good snapshot", "the objective is 2 min", "keyhaven status");
    bad(&run, 14, "Backups", "verification", "no verification has read the objects", "verify --record");
}

#[test]
fn a_fresh_repository_is_worth_a_look_and_not_bad() {
    let site = Site::seeded();
    // A repository without a snapshot, and a host without a memory.
    std::fs::remove_file(site.newest_entry()).unwrap();
    let run = site.run(&["doctor", "--json", "--state-dir", "another"]);
    finds(&run, 0, "Backups", "newest good snapshot", "warning", "there is none yet", "keyhaven backup");
}

#[test]
fn hooks_and_audit_trail_that_cannot_work_are_bad() {
    let site = Site::seeded();
    finds(&doctor(&site), 0, "Notifications", "notification", "warning", "nobody is notified", "[[notify]]");
    configure(&site, "[audit]", "[audit]\nto = \"/no-such-folder/audit.jsonl\"");
    bad(&doctor(&site), 1, "Notifications", "audit trail", "is not there", "audit.to");
    configure(&site, "[hooks]", "[hooks]\nrun_failed = [\"/no-such-program\"]");
    bad(&doctor(&site), 1, "Notifications", "hook", "hooks.run_failed: /no-such-program is not there", "chmod +x");
}

#[test]
fn jobs_that_run_too_rarely_or_need_a_role_that_is_not_there_are_bad() {
    let site = Site::seeded();
    let no_objective = "no recovery point objective";
    finds(&doctor(&site), 0, "Schedule", "objective", "warning", no_objective, "objectives.rpo");
    configure(&site, "[objectives]", "[objectives]\nrpo = \"90m\"");
    let config = site.machine.read("keyhaven.toml");
    let with = |jobs: &str| drop(site.machine.write("keyhaven.toml", &format!("{config}\n{jobs}")));
    with("[jobs.nightly]\nkind = \"backup\"\ncron = \"0 3 * * *\"\n");
    bad(&doctor(&site), 2, "Schedule", "objective", "the objective is 1 h 30 min", "more often");
    with("[jobs.often]\nkind = \"backup\"\ncron = \"@hourly\"\n");
    finds(&doctor(&site), 0, "Schedule", "objective", "warning", "one run that fails misses it", "twice as often");
    with("[jobs.often]\nkind = \"backup\"\ncron = \"*/15 * * * *\"\n");
    let table = doctor(&site).json(0);
    assert!(rows(&table, "objective").iter().all(|row| row["verdict"] == "good"), "{table:#}");
    assert!(rows(&table, "job")[0]["found"].as_str().unwrap().starts_with("often (backup): next 20"), "{table:#}");
    let forget = "[jobs.retain]\nkind = \"forget\"\ncron = \"@daily\"\nargs = [\"--apply\", \"--keep-last=7\"]\n";
    let sync = "[jobs.warm]\nkind = \"sync\"\ncron = \"@daily\"\nargs = [\"--record\"]\n";
    with(&format!("{forget}{sync}"));
    let run = doctor(&site);
    bad(&run, 12, "Repository", "role", "forget needs the role reaper", "keys add");
    finds(&run, 12, "Schedule", "job", "warning", "keep_last is the only rule", "by time");
    bad(&run, 12, "Repository", "role", "sync --record needs the role restorer", "keys add");
}

#[test]
fn jobs_that_cannot_do_what_they_are_for_are_bad() {
    let site = Site::seeded();
    let config = site.machine.read("keyhaven.toml");
    let with = |kind: &str, args: &str| {
        let job = format!("[jobs.mine]\nkind = \"{kind}\"\ncron = \"@daily\"\nargs = [{args}]\n");
        site.machine.write("keyhaven.toml", &format!("{config}\n{job}"));
        doctor(&site)
    };
    let payload = "\"--level\", \"payload\"";
    let says = "no recovery identity is named";
    bad(&with("verify", payload), 12, "Schedule", "job", says, "keys.recovery_identity_file");
    bad(&with("verify", "\"--level=payload\""), 12, "Schedule", "job", says, "keys.recovery_identity_file");
    bad(&with("verify", "\"--slice\", \"next/30\""), 2, "Schedule", "job", "records none", "--record");
    bad(&with("sync", "\"--apply\""), 12, "Schedule", "job", says, "keys.recovery_identity_file");
    bad(&with("drift", ""), 2, "Schedule", "job", "none is configured", "standby.url");
    let no_rule = "no rule of retention is set, so every run fails";
    bad(&with("forget", ""), 2, "Schedule", "job", no_rule, "retention.keep_");
    let off = with("forget", "\"--apply\", \"--keep-daily=0\"");
    bad(&off, 12, "Schedule", "job", no_rule, "`--keep-… 0` in jobs.mine.args");
    site.run(&["config", "validate"]).fails(2, &["`jobs.mine`", "no rule is set", "`--keep-… 0`"]);
    bad(&with("backup", "\"--ful\""), 2, "Schedule", "job", "unexpected argument '--ful'", "backup --help");
    let kept = with("forget", "\"--apply\", \"--keep-daily=7\"").json(12);
    assert!(rows(&kept, "job").iter().all(|row| row["verdict"] == "good"), "{kept:#}");
    let dry = "only says what it would do";
    finds(&with("sweep", ""), 0, "Schedule", "job", "warning", dry, "jobs.mine.args");
    let table = with("verify", "\"--level\", \"objects\"").json(0);
    assert!(rows(&table, "job").iter().all(|row| row["verdict"] == "good"), "{table:#}");
    site.machine.write("sealed.age", "age-encryption.org/v1\n-> scrypt x\n");
    let sealed = format!("{payload}, \"--identity\", \"{}\"", site.machine.path("sealed.age").display());
    bad(&with("verify", &sealed), 12, "Schedule", "job", "nobody is there", "--passphrase-file");
    // Each of them is a run that would have failed.
    with("verify", payload);
    assert_eq!(site.run(&["verify", "--level", "payload"]).code, 12);
    assert_eq!(site.run(&["forget"]).code, 2);
    assert_eq!(site.run(&["drift"]).code, 2);
}

#[test]
fn a_metrics_file_without_a_folder_is_bad() {
    let site = Site::seeded();
    configure(&site, "[metrics]", "[metrics]\ntextfile = \"/no-such-folder/keyhaven.prom\"");
    bad(&doctor(&site), 1, "Schedule", "metrics file", "is not there", "metrics.textfile");
}

#[test]
fn a_place_that_is_no_good_for_leases_is_worth_a_look() {
    let site = Site::seeded();
    let config = site.machine.read("keyhaven.toml");
    let with = |url: &str| {
        let line = format!("[daemon]\nlease_url = \"{url}\"");
        drop(site.machine.write("keyhaven.toml", &config.replacen("[daemon]", &line, 1)));
    };
    with("leases");
    let table = doctor(&site).json(0);
    assert_eq!(rows(&table, "leases")[0]["verdict"], "good", "{table:#}");
    assert!(crate::kit::files::files(&site.machine.path("leases")).is_empty(), "nothing is left behind");
    site.machine.write("in-the-way", "x");
    with("in-the-way/leases");
    finds(&doctor(&site), 0, "Schedule", "leases", "warning", "go by the ledger alone", "daemon.lease_url");
}
