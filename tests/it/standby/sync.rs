//! A warm standby kept in step.

use keyhaven::format::Entry;
use keyhaven::job::sync::choose::{SyncChoice, choose};
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{EmbeddedInstance, Verb};
use keyhaven::repository::ledger::Ledger;
use secrecy::ExposeSecret as _;

use crate::kit::ledger::{Book, COLLECTOR, at, snapshot, suspect};
use crate::kit::program::Run;
use crate::kit::site::Site;

const HOUR: i64 = 60;

fn taken(ledger: &Ledger, minute: i64) -> Option<Entry> {
    match choose(ledger, at(minute), HOUR * 60_000) {
        SyncChoice::Take(entry, _) => Some(entry.clone()),
        SyncChoice::Wait(_) | SyncChoice::None => None,
    }
}

#[test]
fn the_newest_good_snapshot_that_is_old_enough_is_taken() {
    // Written in the minutes 1, 2 and 3.
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let ledger = book.ledger();
    assert_eq!(taken(&ledger, HOUR + 3).unwrap().digest, three.digest);
    assert_eq!(taken(&ledger, HOUR + 2).unwrap().digest, two.digest);
    assert!(taken(&ledger, HOUR).is_none());
    assert!(matches!(choose(&ledger, at(HOUR), HOUR * 60_000), SyncChoice::Wait(until) if until == at(HOUR + 1)));
    book.write(COLLECTOR, &[&three], suspect("four"));
    assert_eq!(taken(&book.ledger(), HOUR + 50).unwrap().digest, three.digest, "suspect ones are passed over");
    assert!(matches!(choose(&Book::new().ledger(), at(HOUR), 0), SyncChoice::None));
}

#[test]
fn a_snapshot_that_is_dated_back_is_as_young_as_its_parent() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let early = book.store(book.entry(COLLECTOR, &[&three]).at(-HOUR), snapshot("early"));
    let ledger = book.ledger();
    assert!(ledger.status(&early.digest).unwrap().counts(), "it counts, it is only mistimed");
    assert_eq!(taken(&ledger, HOUR + 2).unwrap().digest, two.digest);
    assert_eq!(taken(&ledger, HOUR + 3).unwrap().digest, early.digest);
}

fn fill(instance: &EmbeddedInstance) {
    for number in 0..10 {
        let body = format!(r#"{{"secret_type":"arbitrary","name":"secret-{number}","payload":"first"}}"#);
        let reply = instance.call(Verb::Post, "/api/v2/secrets", &body);
        assert_eq!(reply.status, 201);
    }
}

fn id(instance: &EmbeddedInstance, name: &str) -> Option<String> {
    let reply = instance.call(Verb::Get, "/api/v2/secrets?limit=1000", "");
    let list = JsonObject::parse(&reply.body).unwrap().array("secrets").unwrap();
    let rows = list.iter().map(|row| JsonObject::parse(row.get()).unwrap());
    rows.filter(|row| row.str("name").as_deref() == Some(name)).find_map(|row| row.str("id"))
}

fn rotate(instance: &EmbeddedInstance, name: &str, payload: &str) {
    let path = format!("/api/v2/secrets/{}/versions", id(instance, name).unwrap());
    let reply = instance.call(Verb::Post, &path, &format!(r#"{{"payload":"{payload}"}}"#));
    assert_eq!(reply.status, 201, "{}", *reply.body);
}

fn payload(instance: &EmbeddedInstance, name: &str) -> String {
    let reply = instance.call(Verb::Get, &format!("/api/v2/secrets/{}", id(instance, name).unwrap()), "");
    JsonObject::parse(&reply.body).unwrap().str("payload").unwrap()
}

/// A site with an empty standby beside it.
struct Warm {
    site: Site,
    standby: EmbeddedInstance,
    environment: Vec<(&'static str, String)>,
    _server: keyhaven::provider::embedded::Server,
}

impl Warm {
    fn new() -> Self {
        let site = Site::new(fill);
        let (standby, server) = site.standby();
        let environment = vec![
            ("KEYHAVEN_STANDBY_URL", server.base_url()),
            ("KEYHAVEN_STANDBY_IAM_URL", server.iam_url()),
            ("KEYHAVEN_STANDBY_API_KEY", "env:STANDBY_API_KEY".to_owned()),
            ("STANDBY_API_KEY", standby.options().api_key.expose_secret().to_owned()),
            ("KEYHAVEN_STANDBY_REQUESTS_PER_SECOND", "1000".to_owned()),
        ];
        Self { site, standby, environment, _server: server }
    }

    fn sync(&self, more: &[&str]) -> Run {
        let environment: Vec<(&str, &str)> = self.environment.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let fixed = ["sync", "--identity", "kit/recovery-identity.txt", "--json", "--confirm"];
        let confirm = [self.standby.options().instance_id.as_str()];
        self.standby.reset_counters();
        self.site.machine.run_with(&environment, &[&fixed[..], &confirm, more].concat())
    }

    fn backup(&self) {
        self.site.run(&["backup", "--json"]).json(0);
    }

    fn writes(&self) -> u64 {
        self.standby.counters().writing
    }
}

#[test]
fn a_standby_follows_only_when_it_may_and_keeps_what_nobody_told_it_to_delete() {
    let warm = Warm::new();
    // Too young for the delay; named, it is taken, and without --apply only said.
    let young = warm.sync(&["--apply"]).json(0);
    assert!(young["nothing_to_do"].as_str().unwrap().contains("no good snapshot is 1h old yet"), "{young:#}");
    let dry = warm.sync(&["--snapshot", "latest"]).json(15);
    assert_eq!((dry["plan"]["steps"].as_array().unwrap().len(), warm.writes()), (10, 0));
    warm.sync(&["--snapshot", "latest", "--apply"]).json(0);
    assert_eq!(payload(&warm.standby, "secret-3"), "first");
    let in_step = warm.sync(&["--snapshot", "latest", "--apply"]).json(0);
    assert_eq!((&in_step["applied"], warm.writes()), (&serde_json::Value::Null, 0));

    // One secret rotates, one is deleted; the standby's owner has one of their own.
    rotate(&warm.site.source, "secret-3", "second");
    let gone = id(&warm.site.source, "secret-4").unwrap();
    assert_eq!(warm.site.source.call(Verb::Delete, &format!("/api/v2/secrets/{gone}"), "").status, 204);
    let own = r#"{"secret_type":"arbitrary","name":"own","payload":"own"}"#;
    assert_eq!(warm.standby.call(Verb::Post, "/api/v2/secrets", own).status, 201);
    warm.backup();
    let kept = warm.sync(&["--snapshot", "latest", "--apply"]).json(0);
    assert_eq!((kept["lost"][0]["name"].as_str(), kept["deleted"].as_u64()), (Some("secret-4"), Some(0)), "{kept:#}");
    assert_eq!(payload(&warm.standby, "secret-3"), "second");
    assert!(id(&warm.standby, "secret-4").is_some());
    let told = warm.sync(&["--snapshot", "latest", "--delete"]).json(15);
    assert_eq!((told["deleted"].as_u64(), warm.writes()), (Some(0), 0), "dry");
    let deleted = warm.sync(&["--snapshot", "latest", "--delete", "--apply"]).json(0);
    assert_eq!(deleted["deleted"].as_u64(), Some(1), "{deleted:#}");
    assert!(id(&warm.standby, "secret-4").is_none() && id(&warm.standby, "own").is_some());

    // What the standby has is never taken back to an older snapshot by itself.
    warm.sync(&["--snapshot", "1", "--apply"]).fails(16, &["older", "--allow-older"]);
    assert_eq!((warm.writes(), payload(&warm.standby, "secret-3").as_str()), (0, "second"));
}

#[test]
fn a_sync_is_recorded_with_the_configured_key_when_none_is_named() {
    let mut warm = Warm::new();
    warm.environment.push(("KEYHAVEN_KEYS_SIGNING_KEY", "file:kit/recovery-signing-key.pem".to_owned()));
    let before = warm.site.stored("ledger").len();
    let synced = warm.sync(&["--snapshot", "latest", "--apply", "--record"]);
    synced.json(0);
    assert!(synced.err.contains("recorded as entry"), "{synced:#?}");
    assert_eq!(warm.site.stored("ledger").len(), before + 1);
}

#[test]
fn a_run_that_would_change_too_much_changes_nothing() {
    let warm = Warm::new();
    warm.sync(&["--snapshot", "latest", "--apply"]).json(0);
    for number in 0..4 {
        rotate(&warm.site.source, &format!("secret-{number}"), "garbage");
    }
    warm.backup();
    let stopped = warm.sync(&["--snapshot", "latest", "--apply"]).json(3);
    assert!(stopped["stopped"].as_str().unwrap().contains("--max-change"), "{stopped:#}");
    assert_eq!((warm.writes(), payload(&warm.standby, "secret-0").as_str()), (0, "first"));
    warm.sync(&["--snapshot", "latest", "--apply", "--max-change", "50%"]).json(0);
    assert_eq!(payload(&warm.standby, "secret-0"), "garbage");
}

#[test]
fn what_the_standby_made_its_own_is_not_deleted() {
    let warm = Warm::new();
    warm.sync(&["--snapshot", "latest", "--apply"]).json(0);
    rotate(&warm.standby, "secret-4", "somebody uses it here");
    let gone = id(&warm.site.source, "secret-4").unwrap();
    assert_eq!(warm.site.source.call(Verb::Delete, &format!("/api/v2/secrets/{gone}"), "").status, 204);
    warm.backup();
    let spared = warm.sync(&["--snapshot", "latest", "--apply", "--delete"]).json(0);
    assert_eq!((spared["spared"][0]["name"].as_str(), spared["deleted"].as_u64()), (Some("secret-4"), Some(0)));
    assert!(id(&warm.standby, "secret-4").is_some());
}

#[test]
fn what_came_with_a_later_snapshot_is_not_lost_when_the_standby_is_taken_back() {
    let warm = Warm::new();
    let first = warm.sync(&["--snapshot", "latest"]).json(15)["snapshot"]["sequence"].to_string();
    let later = r#"{"secret_type":"arbitrary","name":"later","payload":"only here"}"#;
    assert_eq!(warm.site.source.call(Verb::Post, "/api/v2/secrets", later).status, 201);
    warm.backup();
    warm.sync(&["--snapshot", "latest", "--apply"]).json(0);
    let back = warm.sync(&["--snapshot", &first, "--allow-older", "--apply", "--delete"]).json(0);
    assert_eq!((back["deleted"].as_u64(), &back["lost"]), (Some(0), &serde_json::json!([])), "{back:#}");
    assert_eq!(back["spared"][0]["name"].as_str(), Some("later"), "{back:#}");
    assert_eq!(payload(&warm.standby, "later"), "only here");
}

#[test]
fn what_was_only_taken_over_is_not_deleted() {
    let warm = Warm::new();
    warm.sync(&["--snapshot", "latest", "--apply"]).json(0);
    // As it is with one that was there before: the secret carries a mark, its version does not.
    let path = format!("/api/v2/secrets/{}/versions/current/metadata", id(&warm.standby, "secret-4").unwrap());
    assert_eq!(warm.standby.call(Verb::Patch, &path, r#"{"version_custom_metadata":{"keyhaven":null}}"#).status, 200);
    let gone = id(&warm.site.source, "secret-4").unwrap();
    assert_eq!(warm.site.source.call(Verb::Delete, &format!("/api/v2/secrets/{gone}"), "").status, 204);
    warm.backup();
    let kept = warm.sync(&["--snapshot", "latest", "--apply", "--delete"]).json(3);
    assert!(kept["undeleted"][0]["reason"].as_str().unwrap().contains("carries our mark"), "{kept:#}");
    assert!(id(&warm.standby, "secret-4").is_some());
}

#[test]
fn a_secret_in_the_way_is_never_replaced_whatever_the_configuration_says_of_restores() {
    let mut warm = Warm::new();
    let own = r#"{"secret_type":"arbitrary","name":"secret-3","payload":"somebody's own"}"#;
    assert_eq!(warm.standby.call(Verb::Post, "/api/v2/secrets", own).status, 201);
    warm.environment.push(("KEYHAVEN_RESTORE_ON_CONFLICT", "replace".to_owned()));
    let kept = warm.sync(&["--snapshot", "latest", "--apply", "--max-change", "100%"]).json(16);
    assert_eq!(kept["plan"]["conflicts"][0]["name"].as_str(), Some("secret-3"), "{kept:#}");
    assert_eq!(payload(&warm.standby, "secret-3"), "somebody's own");
}

#[test]
fn what_rotates_in_the_standby_is_neither_overwritten_nor_deleted() {
    let warm = Warm::new();
    for name in ["used", "left"] {
        let body = format!(
            r#"{{"secret_type":"username_password","name":"{name}","username":"admin","password":"pass-word-1","rotation":
                {{"auto_rotate":true,"interval":1,"unit":"month"}}}}"#
        );
        assert_eq!(warm.site.source.call(Verb::Post, "/api/v2/secrets", &body).status, 201);
    }
    warm.backup();
    warm.sync(&["--snapshot", "latest", "--apply"]).json(0);
    for name in ["used", "left"] {
        let path = format!("/api/v2/secrets/{}/metadata", id(&warm.standby, name).unwrap());
        let on = r#"{"rotation":{"auto_rotate":true,"interval":1,"unit":"month"}}"#;
        assert_eq!(warm.standby.call(Verb::Patch, &path, on).status, 200);
    }
    let path = format!("/api/v2/secrets/{}", id(&warm.site.source, "left").unwrap());
    assert_eq!(warm.site.source.call(Verb::Delete, &path, "").status, 204);
    let path = format!("/api/v2/secrets/{}/versions", id(&warm.site.source, "used").unwrap());
    assert_eq!(warm.site.source.call(Verb::Post, &path, r#"{"password":"pass-word-2"}"#).status, 201);
    warm.backup();
    let stopped = warm.sync(&["--snapshot", "latest", "--apply", "--delete"]).json(3);
    assert!(stopped["stopped"].as_str().unwrap().contains("used rotates in the standby"), "{stopped:#}");
    assert_eq!((&stopped["lost"], stopped["spared"][0]["name"].as_str()), (&serde_json::json!([]), Some("left")));
    assert_eq!(warm.writes(), 0);
    warm.sync(&["--snapshot", "latest", "--apply", "--delete", "--exclude", "used"]).json(0);
    assert!(id(&warm.standby, "left").is_some());
}

#[test]
fn a_collector_without_a_recovery_key_cannot_sync() {
    let warm = Warm::new();
    let environment: Vec<(&str, &str)> = warm.environment.iter().map(|(n, v)| (*n, v.as_str())).collect();
    warm.site.machine.run_with(&environment, &["sync"]).fails(12, &["recovery identity"]);
}
