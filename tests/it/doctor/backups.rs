//! `keyhaven doctor` over backups that nobody can rely upon, and people who cannot be told.

use keyhaven::format::EntryEvent;
use keyhaven::format::event::ForgetEvent;
use keyhaven::provider::embedded::Verb;
use serde_json::Value;

use super::rows::{bad, configure, doctor, finds, rows};
use crate::kit::receivers::{Answer, Receiver};
use crate::kit::site::Site;

/// Most secrets go, as with a wrong permission; the next backup is suspect.
fn suspect_backup(site: &Site) {
    let listed: Value =
        serde_json::from_str(&site.source.call(Verb::Get, "/api/v2/secrets?limit=100", "").body).unwrap();
    for secret in listed["secrets"].as_array().unwrap().iter().take(8) {
        let target = format!("/api/v2/secrets/{}", secret["id"].as_str().unwrap());
        assert_eq!(site.source.call(Verb::Delete, &target, "").status, 204);
    }
    site.run(&["backup", "--json"]).json(3);
}

/// Forgets the good snapshot: the program never does, another tool with a reaper's key might.
fn forget_the_good_one(site: &Site) -> u64 {
    site.let_in("reaper", &["reaper"]);
    let (_, ledger) = site.ledger();
    let good = ledger.latest_good().unwrap();
    let forget = ForgetEvent { snapshots: vec![good.digest], rule: "another tool".to_owned() };
    site.sign("reaper/signing-key.pem", EntryEvent::Forget(forget));
    good.sequence
}

#[test]
fn suspect_snapshots_are_a_warning_as_long_as_a_good_one_is_kept() {
    let site = Site::seeded();
    suspect_backup(&site);
    let since = "every snapshot since";
    finds(&doctor(&site), 0, "Backups", "suspect", "warning", since, "snapshots accept");
    let good = forget_the_good_one(&site);
    let what = "newest good snapshot";
    let run = doctor(&site);
    bad(&run, 14, "Backups", what, "1 suspect, 1 forgotten, 0 swept", "snapshots accept");
    bad(&run, 14, "Backups", what, "no snapshot can be relied upon", "forget --undo");
    // Each of the two ways that it names mends it.
    let accept = ["snapshots", "accept", "2", "--reason", "test", "--key", "kit/custodian-key.pem", "--json"];
    site.run(&accept).json(0);
    let table = doctor(&site).json(0);
    assert_eq!(rows(&table, what)[0]["verdict"], "good", "{table:#}");
    assert!(rows(&table, "suspect").is_empty(), "{table:#}");
    let good = good.to_string();
    let undo = ["forget", "--undo", &good, "--reason", "test", "--key", "reaper/signing-key.pem", "--json"];
    site.run(&undo).json(0);
}

#[test]
fn a_repository_whose_snapshots_are_all_forgotten_is_bad() {
    let site = Site::seeded();
    let good = forget_the_good_one(&site).to_string();
    let (what, run) = ("newest good snapshot", doctor(&site));
    bad(&run, 14, "Backups", what, "0 suspect, 1 forgotten, 0 swept", "forget --undo");
    let table = run.json(14);
    assert!(!rows(&table, what)[0]["hint"].as_str().unwrap().contains("accept"), "nothing to accept: {table:#}");
    let undo = ["forget", "--undo", &good, "--reason", "test", "--key", "reaper/signing-key.pem", "--json"];
    site.run(&undo).json(0);
    assert_eq!(rows(&doctor(&site).json(0), what)[0]["verdict"], "good");
}

#[test]
fn a_verification_that_found_something_is_bad_until_one_passes() {
    let site = Site::seeded();
    let pack = site.pack();
    let whole = std::fs::read(&pack).unwrap();
    std::fs::write(&pack, b"rubbish").unwrap();
    assert_eq!(site.run(&["verify", "--level", "objects", "--json"]).code, 13);
    finds(&doctor(&site), 0, "Backups", "verification", "warning", "none is recorded", "verify --record");
    let record = ["--record", "kit/recovery-signing-key.pem", "--json"];
    assert_eq!(site.run(&[&["verify", "--level", "objects"], &record[..]].concat()).code, 13);
    let run = doctor(&site);
    bad(&run, 13, "Backups", "verification", "found 1 problem", "keyhaven verify --level objects");
    let table = run.json(13);
    assert_eq!(rows(&table, "verification").len(), 1, "one is recorded: {table:#}");
    // A shallower look that passes does not make it good again: the pack is as broken as it was.
    site.run(&[&["verify", "--level", "ledger"], &record[..]].concat()).json(0);
    bad(&doctor(&site), 13, "Backups", "verification", "found 1 problem", "keyhaven verify --level objects");
    std::fs::write(&pack, whole).unwrap();
    site.run(&[&["verify", "--level", "objects"], &record[..]].concat()).json(0);
    let table = doctor(&site).json(0);
    assert_eq!(rows(&table, "verification")[0]["verdict"], "good", "{table:#}");
}

#[test]
fn only_a_test_message_shows_that_somebody_cannot_be_told() {
    const TOKEN: &str = "token-5c1e7f9a2b";
    let site = Site::seeded();
    let good = Receiver::start(Answer::Status(200));
    let broken = Receiver::start(Answer::Status(500));
    let targets = [("good", good.url(&format!("/{TOKEN}"))), ("broken", broken.url(&format!("/{TOKEN}")))];
    let down = ("down", format!("http://127.0.0.1:1/{TOKEN}"));
    for (name, url) in targets.iter().chain([&down]) {
        let file = format!("{name}.url");
        site.machine.write(&file, url);
        let config = site.machine.read("keyhaven.toml");
        let table =
            format!("[[notify]]\nkind = \"webhook\"\nname = \"{name}\"\nurl = \"file:{file}\"\ntimeout = \"3s\"\n");
        site.machine.write("keyhaven.toml", &format!("{config}\n{table}"));
    }
    let said = |verdict: &str| -> Vec<String> {
        let run = site.run(&["doctor", "--json", "--notify"]);
        assert!(!run.out.contains(TOKEN) && !run.err.contains(TOKEN), "the token is shown");
        let table = run.json(1);
        let rows = rows(&table, "notification").into_iter().filter(|row| row["verdict"] == verdict);
        rows.map(|row| row["found"].as_str().unwrap().to_owned()).collect()
    };
    let table = doctor(&site).json(0);
    assert!(rows(&table, "notification").iter().all(|row| row["found"].as_str().unwrap().contains("not tried")));
    assert!(good.requests().is_empty() && broken.requests().is_empty(), "without --notify nobody hears anything");

    assert_eq!(said("good"), ["good: a test message was taken"]);
    // It is a run as well, which failed, and of that they are told as of any other.
    let events: Vec<Value> = good.take().iter().map(|request| request.json()["event"].clone()).collect();
    assert_eq!(events, ["test", "failure"]);
    let bad_ones = said("bad");
    assert_eq!(bad_ones.len(), 2, "{bad_ones:?}");
    assert!(bad_ones.iter().any(|found| found.contains("broken") && found.contains("answered 500")), "{bad_ones:?}");
    let run = site.run(&["doctor", "--json", "--notify"]);
    bad(&run, 1, "Notifications", "notification", "down", "[[notify]] table `down`");
    // One whose file is missing is seen without a message.
    configure(&site, "good.url", "no-such.url");
    bad(&doctor(&site), 1, "Notifications", "notification", "good", "[[notify]] table `good`");
}
