//! Everything that can be wrong around a backup, one row each: what is said, the exit code, and that nothing is lost.
//!
//! The program is the real one. The source is an embedded instance in this process, so that a row can spoil any of its
//! answers.

use std::collections::BTreeMap;
use std::path::Path;

use keyhaven::model::{Clock as _, Timestamp};
use keyhaven::provider::embedded::{Act, PageFault, When};
use serde_json::Value;

use crate::kit::files::contents;
use crate::kit::program::Run;
use crate::kit::site::Site;

const TEN_YEARS: i64 = 10 * 365 * 86_400_000;

/// One thing that is wrong.
struct Row {
    name: &'static str,
    spoil: fn(&Site),
    command: &'static [&'static str],
    code: i32,
    /// Said on either stream, so that `verify`'s findings count, too.
    said: &'static [&'static str],
}

const fn row(
    name: &'static str,
    spoil: fn(&Site),
    command: &'static [&'static str],
    code: i32,
    said: &'static [&'static str],
) -> Row {
    Row { name, spoil, command, code, said }
}

const BACKUP: &[&str] = &["backup"];
const FULL: &[&str] = &["backup", "--full"];
const LEDGER: &[&str] = &["verify", "--level", "ledger"];
const OBJECTS: &[&str] = &["verify", "--level", "objects"];
const PAYLOAD: &[&str] = &["verify", "--level", "payload", "--identity", "kit/recovery-identity.txt"];
const PLAN: &[&str] = &["restore", "plan", "--identity", "kit/recovery-identity.txt", "--out", "plan.json"];

fn status(status: u16) -> Act {
    Act::Status { status, retry_after: None }
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// The envelope of the newest entry, changed as text, under its own name.
fn respell(site: &Site, change: impl FnOnce(&str) -> String) {
    let text = std::fs::read_to_string(site.newest_entry()).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text, "the row changes nothing");
    std::fs::write(site.newest_entry(), changed).unwrap();
}

fn rows() -> Vec<Row> {
    let mut rows = instance_rows();
    rows.extend(store_rows());
    rows.extend(ledger_rows());
    rows.extend(key_and_configuration_rows());
    rows
}

fn instance_rows() -> Vec<Row> {
    vec![
        row("unreachable", |_| (), &["backup", "--source-url", "http://127.0.0.1:9"], 17, &["127.0.0.1:9"]),
        row(
            "wrong API key",
            |site| drop(site.machine.write("api-key", "not-the-key")),
            BACKUP,
            17,
            &["not authenticated", "check the API key"],
        ),
        row("401", |site| site.fault(When::any(), status(401)), BACKUP, 17, &["not authenticated"]),
        row("403 on a list", |site| site.fault(When::any().path("/secrets"), status(403)), BACKUP, 17, &["forbidden"]),
        row(
            "404 on a list",
            |site| site.fault(When::any().path("/configurations"), status(404)),
            BACKUP,
            17,
            &["list"],
        ),
        row("429 for ever", |site| site.fault(When::any(), status(429)), BACKUP, 17, &["429", "attempts"]),
        row("503 for ever", |site| site.fault(When::any(), status(503)), BACKUP, 17, &["503", "attempts"]),
        row(
            "empty body",
            |site| site.fault(When::any().path("/secret_groups"), Act::EmptyBody),
            BACKUP,
            17,
            &["group"],
        ),
        row("cut-off body", |site| site.fault(When::any().path("/secrets"), Act::CutBody), BACKUP, 17, &["secrets"]),
        row("no JSON", |site| site.fault(When::any().path("/secrets"), Act::InvalidJson), BACKUP, 17, &["secrets"]),
        row(
            "a page that skips a row",
            |site| site.fault(When::any().path("/secrets_locks"), Act::Page(PageFault::SkipRow)),
            BACKUP,
            17,
            &["nothing was recorded"],
        ),
        row("cut-off payload", |site| site.fault(When::any().path("/versions"), Act::CutBody), FULL, 17, &["version"]),
        row(
            "a clock ten years ahead",
            |site| {
                let now = site.source.clock().now();
                site.source.clock().set(Timestamp::from_millis(now.millis() + TEN_YEARS));
            },
            BACKUP,
            1,
            &["clock"],
        ),
    ]
}

fn store_rows() -> Vec<Row> {
    vec![
        row("no repository", |_| (), &["backup", "--repository", "elsewhere"], 10, &["elsewhere", "no repository"]),
        row(
            "ledger and trust policy are gone",
            |site| {
                for directory in ["ledger", "trust"] {
                    std::fs::remove_dir_all(site.repository().join(directory)).unwrap();
                }
            },
            BACKUP,
            10,
            &["no repository"],
        ),
        row(
            "a corrupted pack",
            |site| rewrite(&site.pack(), |bytes| *bytes.last_mut().unwrap() ^= 1),
            OBJECTS,
            13,
            &["packs/"],
        ),
        row("a missing pack", |site| std::fs::remove_file(site.pack()).unwrap(), OBJECTS, 13, &["packs/"]),
        row("a truncated pack", |site| rewrite(&site.pack(), |bytes| bytes.truncate(1000)), OBJECTS, 13, &["packs/"]),
        row(
            "a truncated pack, to open",
            |site| rewrite(&site.pack(), |bytes| bytes.truncate(1000)),
            PAYLOAD,
            13,
            &["packs/"],
        ),
        row(
            "a catalogue in a pack's place",
            |site| {
                std::fs::copy(&site.stored("catalogues")[0], site.pack()).unwrap();
            },
            PAYLOAD,
            13,
            &["packs/"],
        ),
        row(
            "a foreign repository's pack",
            |site| {
                std::fs::copy(Site::seeded().pack(), site.pack()).unwrap();
            },
            PAYLOAD,
            13,
            &["packs/"],
        ),
        row(
            "a corrupted catalogue, to restore from",
            |site| rewrite(&site.stored("catalogues")[0], |bytes| *bytes.last_mut().unwrap() ^= 1),
            &["ls"],
            13,
            &["catalogues/"],
        ),
        row(
            "a missing pack list",
            |site| std::fs::remove_file(&site.stored("lists")[0]).unwrap(),
            OBJECTS,
            13,
            &["lists/"],
        ),
    ]
}

/// What is done to the newest entry is found by what this host remembers of it.
fn ledger_rows() -> Vec<Row> {
    const ENTRY: &[&str] = &["000000000001-"];
    let found = |name, spoil| row(name, spoil, LEDGER, 13, ENTRY);
    vec![
        found("a re-indented entry", |site| {
            respell(site, |text| serde_json::to_string_pretty(&serde_json::from_str::<Value>(text).unwrap()).unwrap());
        }),
        found("a re-ordered entry", |site| {
            respell(site, |text| {
                let (payload, rest) = text.split_once(r#","payloadType""#).unwrap();
                let (kind, signatures) = rest.split_once(r#","signatures""#).unwrap();
                let payload = payload.strip_prefix('{').unwrap();
                format!(r#"{{"payloadType"{kind},{payload},"signatures"{signatures}"#)
            });
        }),
        found("an extra member", |site| respell(site, |text| text.replacen('{', r#"{"a":1,"#, 1))),
        found("a signature twice", |site| {
            respell(site, |text| {
                let at = text.find(r#"{"keyid""#).unwrap();
                let signature = text[at..].strip_suffix("]}").unwrap();
                format!("{},{signature}]}}", text.strip_suffix("]}").unwrap())
            });
        }),
        found("no signature", |site| {
            respell(site, |text| format!("{}\"signatures\":[]}}", text.split_once("\"signatures\"").unwrap().0));
        }),
        found("another repository's entry in its place", |site| {
            std::fs::copy(Site::seeded().newest_entry(), site.newest_entry()).unwrap();
        }),
        found("a truncated newest entry", |site| rewrite(&site.newest_entry(), |bytes| bytes.truncate(100))),
        found("the newest entry is gone", |site| std::fs::remove_file(site.newest_entry()).unwrap()),
        row(
            "the trust policy is gone",
            |site| std::fs::remove_file(&site.stored("trust")[0]).unwrap(),
            LEDGER,
            13,
            &["trust/000001-"],
        ),
        row(
            "another repository's trust policy in its place",
            |site| {
                std::fs::copy(&Site::seeded().stored("trust")[0], &site.stored("trust")[0]).unwrap();
            },
            LEDGER,
            13,
            &["trust/000001-"],
        ),
        row(
            "trust policy and ledger are gone",
            |site| {
                std::fs::remove_dir_all(site.repository().join("trust")).unwrap();
                std::fs::remove_dir_all(site.repository().join("ledger")).unwrap();
            },
            BACKUP,
            10,
            &["no repository"],
        ),
        row(
            "another repository's id",
            |_| (),
            &["verify", "--repository-id", "00000000000000000000000000000000000000000000000000000000000000aa"],
            13,
            &["does not hold repository 00000000"],
        ),
        row("a pin that is none", |_| (), &["verify", "--policy", "000002"], 2, &["--policy"]),
        row(
            "a pin on a version that is nowhere",
            |_| (),
            &["verify", "--policy", "000002-00000000000000000000000000000000000000000000000000000000000000aa"],
            13,
            &["is pinned and is nowhere"],
        ),
    ]
}

fn key_and_configuration_rows() -> Vec<Row> {
    fn configure(site: &Site, from: &str, to: &str) {
        let config = site.machine.read("keyhaven.toml");
        assert!(config.contains(from), "{from}");
        site.machine.write("keyhaven.toml", &config.replacen(from, to, 1));
    }
    fn other_kit(site: &Site) {
        site.machine.run(&["keys", "new", "--out", "other", "--no-passphrase", "--json"]).json(0);
    }
    vec![
        row(
            "no signing key",
            |site| {
                std::fs::remove_file(site.machine.path("signing-key.pem")).unwrap();
            },
            BACKUP,
            12,
            &["signing-key.pem"],
        ),
        row(
            "a signing key that the ledger does not know",
            |site| {
                other_kit(site);
                std::fs::copy(site.machine.path("other/custodian-key.pem"), site.machine.path("signing-key.pem"))
                    .unwrap();
            },
            BACKUP,
            12,
            &["key"],
        ),
        row(
            "another catalogue key",
            |site| {
                other_kit(site);
                std::fs::copy(site.machine.path("other/recovery-identity.txt"), site.machine.path("catalogue-key.txt"))
                    .unwrap();
            },
            &["ls"],
            12,
            &["key"],
        ),
        row(
            "another recovery identity",
            other_kit,
            &["verify", "--level", "payload", "--identity", "other/recovery-identity.txt"],
            12,
            &["none of the given identities opens it"],
        ),
        row(
            "another recovery identity, to restore with",
            other_kit,
            &["restore", "plan", "--identity", "other/recovery-identity.txt", "--out", "plan.json"],
            2,
            &["standby.url"],
        ),
        row("a restore without a standby", |_| (), PLAN, 2, &["standby.url"]),
        row(
            "a wrong type",
            |site| configure(site, "requests_per_second = 1000", "requests_per_second = \"fast\""),
            BACKUP,
            2,
            &["keyhaven.toml", "requests_per_second"],
        ),
        row(
            "an unknown key",
            |site| configure(site, "requests_per_second = 1000", "request_per_second = 1000"),
            BACKUP,
            2,
            &["keyhaven.toml", "request_per_second", "requests_per_second"],
        ),
        row("not TOML", |site| configure(site, "[source]", "[source"), BACKUP, 2, &["keyhaven.toml"]),
    ]
}

#[test]
fn each_says_what_is_wrong_and_nothing_is_lost() {
    let rows = rows();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    // Some rows only wait for retries, so more of them run at once than there are processors.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    if let Err(problem) =
                        std::panic::catch_unwind(|| check(row)).unwrap_or_else(|_| Err("panicked".into()))
                    {
                        wrong.lock().unwrap().push(format!("{}: {problem}", row.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn check(row: &Row) -> Result<(), String> {
    let site = Site::seeded();
    (row.spoil)(&site);
    let before = contents(&site.repository());
    let run = site.run(row.command);
    let said = format!("{}{}", run.err, run.out);
    if run.code != row.code {
        return Err(format!("exit code {} instead of {}\n{said}", run.code, row.code));
    }
    if let Some(unsaid) = row.said.iter().find(|text| !said.contains(**text)) {
        return Err(format!("`{unsaid}` is not said\n{said}"));
    }
    if !said.contains("error: ") && !said.contains("problem: ") {
        return Err(format!("neither an error nor a finding\n{said}"));
    }
    let after = contents(&site.repository());
    if before.iter().any(|(name, bytes)| after.get(name) != Some(bytes)) {
        return Err("an object was changed or removed".to_owned());
    }
    let entries = |all: &BTreeMap<String, Vec<u8>>| all.keys().filter(|name| name.starts_with("ledger/")).count();
    if entries(&after) != entries(&before) {
        return Err("a failed command left an entry".to_owned());
    }
    Ok(())
}

/// Anybody with PUT can put it there: it is counted, and stops nothing and nobody.
#[test]
fn rubbish_in_the_ledger_stops_no_check_no_backup_and_no_reader() {
    let site = Site::seeded();
    let text = std::fs::read_to_string(site.newest_entry()).unwrap();
    site.plant_entry(format!("{text}\n").as_bytes());
    site.plant_entry(b"rubbish");
    // A replayed entry, and one of another repository.
    site.plant_entry(text.as_bytes());
    site.plant_entry(&std::fs::read(Site::seeded().newest_entry()).unwrap());
    std::fs::copy(&Site::seeded().stored("trust")[0], site.repository().join("trust/000002-x.json")).unwrap();
    let checked = site.run(&["verify", "--level", "ledger", "--json"]).json(0);
    let lines = checked["warnings"].as_array().unwrap();
    assert_eq!(lines.len(), 1, "{checked:#}");
    assert!(lines[0].as_str().unwrap().contains("5 files"), "{checked:#}");
    assert_eq!(site.run(&["backup", "--json"]).json(0)["quiet"], true);
    assert!(!site.run(&["ls", "--json"]).json(0).as_array().unwrap().is_empty());
}

/// The next backup puts back what this host has of it, and goes on.
#[test]
fn what_was_done_to_the_newest_entry_is_mended_by_the_next_backup() {
    let spoils: [fn(&Site); 3] = [
        |site| rewrite(&site.newest_entry(), |bytes| bytes.truncate(100)),
        |site| std::fs::remove_file(site.newest_entry()).unwrap(),
        |site| std::fs::remove_file(&site.stored("trust")[0]).unwrap(),
    ];
    for spoil in spoils {
        let site = Site::seeded();
        let before = contents(&site.repository());
        spoil(&site);
        assert_eq!(site.run(&["verify", "--level", "ledger", "--json"]).code, 13);
        let run = site.run(&["backup", "--json"]);
        assert!([0, 3].contains(&run.code), "{run:#?}");
        let after = contents(&site.repository());
        let lost: Vec<&String> = before.keys().filter(|name| after.get(*name) != before.get(*name)).collect();
        assert_eq!(lost, [""; 0], "{run:#?}");
        site.run(&["verify", "--level", "ledger", "--json"]).json(0);
    }
}

/// Runs a command with the repository on a file system of its own, made by `mount` in a mount namespace of its own.
fn with_mount(site: &Site, mount: &str, command: &str) -> Run {
    let script = format!("set -e; {mount}; set +e; '{}' {command}", env!("CARGO_BIN_EXE_keyhaven"));
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(["-rm", "sh", "-c", &script]).current_dir(site.machine.path("")).env_clear();
    unshare.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", site.machine.path(""));
    let output = unshare.output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_full_disk_is_said_and_the_ledger_stays_as_it_was() {
    let site = Site::seeded();
    let mount = "mkdir small; mount -t tmpfs -o size=220k tmpfs small; cp -a repo/. small/";
    let count = "ls small/ledger/*/ | wc -l";
    let run = with_mount(&site, mount, &format!("backup --full --repository small; code=$?; {count}; exit $code"));
    run.fails(1, &["error: ", "small", "space"]);
    assert_eq!(run.out.trim(), "1", "no entry was left");
    assert_eq!(site.run(BACKUP).code, 0, "and the real repository goes on");
}

#[test]
fn a_read_only_repository_is_said() {
    let site = Site::seeded();
    let mount = "mount --bind repo repo; mount -o remount,ro,bind repo";
    with_mount(&site, mount, "backup").fails(1, &["error: ", "repo"]);
}
