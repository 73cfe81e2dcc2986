//! Capture against the embedded instance, over HTTP.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keyhaven::crypto::{Identities, Recipients};
use keyhaven::format::catalogue::PartBuilder;
use keyhaven::format::list::{ListedPack, PackList};
use keyhaven::format::pack::PackBuilder;
use keyhaven::format::snapshot::PartRef;
use keyhaven::format::{Draft, EntryEvent, EntryRef, SnapshotEvent};
use keyhaven::job::capture::{CaptureError, CaptureOptions, CaptureReport, capture};
use keyhaven::model::json::JsonObject;
use keyhaven::model::{Clock, FailureKind, Payload, Restorability, Timestamp};
use keyhaven::provider::embedded::{
    Act, Class, EmbeddedInstance, Options, Planted, Precision, SeenRequest, Switches, Verb, When,
};
use keyhaven::repository::Repository;
use zeroize::Zeroizing;

use crate::kit::capture::{ByHand, Opened, Rig, Shared};
use crate::kit::clock::{SkewedClock, context};
use crate::kit::instance::write;
use crate::kit::policy;
use crate::kit::store::LosingStore;

const DAY: i64 = 24 * 3600 * 1000;

fn arbitrary(instance: &EmbeddedInstance, name: &str, payload: &str) -> String {
    let body = format!(r#"{{"secret_type":"arbitrary","name":"{name}","payload":"{payload}"}}"#);
    write(instance, Verb::Post, "/api/v2/secrets", &body).unwrap()
}

fn rotate(instance: &EmbeddedInstance, id: &str, payload: &str) {
    write(instance, Verb::Post, &format!("/api/v2/secrets/{id}/versions"), &format!(r#"{{"payload":"{payload}"}}"#));
}

fn rename(instance: &EmbeddedInstance, id: &str, name: &str) {
    write(instance, Verb::Patch, &format!("/api/v2/secrets/{id}/metadata"), &format!(r#"{{"name":"{name}"}}"#));
}

fn delete(instance: &EmbeddedInstance, id: &str) {
    write(instance, Verb::Delete, &format!("/api/v2/secrets/{id}"), "");
}

fn lock(instance: &EmbeddedInstance, id: &str, name: &str) {
    let body = format!(r#"{{"locks":[{{"name":"{name}"}}]}}"#);
    write(instance, Verb::Post, &format!("/api/v2/secrets/{id}/locks_bulk"), &body);
}

fn configure(instance: &EmbeddedInstance, key: &str) {
    let body = format!(r#"{{"config_type":"iam_credentials_configuration","name":"iam","api_key":"{key}"}}"#);
    write(instance, Verb::Post, "/api/v2/configurations", &body);
}

fn planted(secret_type: &str, name: &str, fields: &str) -> Planted {
    Planted {
        secret_type: secret_type.to_owned(),
        name: name.to_owned(),
        group: "default".to_owned(),
        fields: JsonObject::parse(fields).unwrap(),
        payload: Payload::new(Zeroizing::new(r#"{"api_key":"never to be read"}"#.to_owned())),
    }
}

fn secret(id: &str) -> String {
    format!("secret/{id}")
}

fn current(opened: &Opened, id: &str) -> String {
    opened.payloads(&secret(id))[0].1.clone()
}

/// How many objects lie in the repository.
fn objects(rig: &Rig) -> usize {
    fn count(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
    }
    count(&rig.folder.path().join("repository"))
}

/// Runs something before a request that has this in its path.
fn before(rig: &Rig, when: When, run: impl Fn(&EmbeddedInstance, &SeenRequest) + Send + Sync + 'static) {
    rig.instance.fault(when, Act::Before(Arc::new(run)));
}

#[tokio::test]
async fn every_case_costs_the_requests_of_the_table_and_a_quiet_run_two_inventories_and_one_object() {
    let rig = Rig::new().await;
    let one = arbitrary(&rig.instance, "one", "v1");
    let two = arbitrary(&rig.instance, "two", "v1");
    rotate(&rig.instance, &two, "v2");
    let four = arbitrary(&rig.instance, "four", "v1");
    for version in ["v2", "v3", "v4"] {
        rotate(&rig.instance, &four, version);
    }
    lock(&rig.instance, &one, "keep");
    configure(&rig.instance, "an api key");
    let unread = rig.instance.plant(&planted("iam_credentials", "minted", r#"{"reuse_api_key":false}"#));
    let unknown = rig.instance.plant(&planted("quantum_secret", "unheard-of", "{}"));

    let report = rig.capture().await.unwrap();
    assert_eq!(report.requests.listing, [5, 5], "secrets, their locks, groups, configurations, registration");
    // One version and a lock, two versions, a list and two versions, a configuration, two lists.
    assert_eq!(report.requests.reading, (1 + 1) + 2 + 3 + 1 + 2);
    assert_eq!((report.requests.rereading, report.requests.asking), (0, 0));
    assert_eq!((report.cut, report.rounds, report.full), ("point_in_time", 1, true));
    assert_eq!(report.counts["secret"], 5);
    assert_eq!(report.counts["lock"], 1);
    assert!(rig.instance.forbidden_acts().is_empty(), "a read that would have changed the source");

    let opened = rig.opened().await;
    assert_eq!(opened.packs, 1);
    assert_eq!(opened.payloads(&secret(&four)).len(), 2);
    assert!(current(&opened, &four).contains("v4"));
    assert!(current(&opened, &two).contains("v2"));
    for untouched in [&unread, &unknown] {
        assert!(opened.items[&secret(untouched)].payloads.is_empty());
        assert!(opened.items[&secret(untouched)].revision.is_some(), "metadata only is complete, and kept next time");
    }
    assert_eq!(opened.items[&secret(&unknown)].class, Restorability::DefinitionOnly);
    let value = opened.payloads("configuration/iam_credentials_configuration/iam");
    assert!(value[0].1.contains("an api key"));

    let before = objects(&rig);
    let quiet = rig.capture().await.unwrap();
    assert!(quiet.quiet);
    assert_eq!(quiet.requests.listing, [5, 5]);
    assert_eq!((quiet.requests.total(), quiet.read), (10, 0));
    assert_eq!(objects(&rig), before + 2, "the entry, and a list that says who named the packs first");
    let snapshots = rig.snapshots().await;
    let [first, second] = [0, 1].map(|at| snapshots[at].snapshot().unwrap().clone());
    assert_eq!(second.parts, first.parts);
    let since = |list: PackList| list.packs.into_iter().map(|pack| pack.since).collect::<BTreeSet<_>>();
    assert_eq!(since(rig.repository.get_list(&first.list).await.unwrap()), [None].into());
    let named = EntryRef { sequence: snapshots[0].sequence, digest: snapshots[0].digest };
    assert_eq!(since(rig.repository.get_list(&second.list).await.unwrap()), [Some(named)].into());

    assert!(rig.capture().await.unwrap().quiet);
    assert_eq!(objects(&rig), before + 3, "the entry");
    let snapshots = rig.snapshots().await;
    let third = snapshots[2].snapshot().unwrap();
    assert_eq!((&third.parts, third.list), (&second.parts, second.list));
}

#[tokio::test]
async fn an_incremental_run_reads_what_changed_and_nothing_else() {
    let rig = Rig::new().await;
    let kept: Vec<_> = (0..5).map(|n| arbitrary(&rig.instance, &format!("kept-{n}"), "same")).collect();
    let moved = arbitrary(&rig.instance, "moved", "old");
    lock(&rig.instance, &moved, "stays");
    rig.capture().await.unwrap();
    let first = rig.opened().await;

    rotate(&rig.instance, &moved, "new");
    let added = arbitrary(&rig.instance, "added", "fresh");
    delete(&rig.instance, &kept[0]);
    let report = rig.capture().await.unwrap();
    assert_eq!((report.read, report.full), (2, false));
    assert_eq!(report.requests.asking, 1, "what vanished is asked for by id");
    assert_eq!(report.packs_reused, 1);
    assert!(report.suspect.is_empty());

    let opened = rig.opened().await;
    assert!(!opened.items.contains_key(&secret(&kept[0])));
    assert!(current(&opened, &moved).contains("new"));
    assert!(current(&opened, &added).contains("fresh"));
    assert_eq!(opened.items[&secret(&kept[1])].payloads, first.items[&secret(&kept[1])].payloads);

    // A name is metadata: the item is read, and its payload is under the version id that it had.
    rename(&rig.instance, &kept[1], "renamed");
    assert_eq!(rig.capture().await.unwrap().read, 1);
    assert_eq!(rig.opened().await.items[&secret(&kept[1])].name, "renamed");
}

#[tokio::test]
async fn reads_by_others_move_nothing() {
    let rig = Rig::new().await;
    let id = arbitrary(&rig.instance, "popular", "v1");
    rig.capture().await.unwrap();
    write(&rig.instance, Verb::Get, &format!("/api/v2/secrets/{id}"), "");
    assert!(rig.capture().await.unwrap().quiet);
}

#[tokio::test]
async fn new_recovery_recipients_and_a_full_run_trust_no_earlier_pack() {
    let mut rig = Rig::new().await;
    for n in 0..4 {
        arbitrary(&rig.instance, &format!("secret-{n}"), "value");
    }
    rig.capture().await.unwrap();
    let full = CaptureOptions { full: true, ..rig.options() };
    let report = rig.capture_with(&full).await.unwrap();
    assert_eq!((report.read, report.packs_reused, report.full), (5, 0, true));

    let second = Identities::generate().0;
    let both = rig.recovery.recipients().into_iter().chain(second.recipients()).collect();
    let both = Recipients::new(both).unwrap().names();
    let listed = policy::recipients(&second);
    let version = rig.change(|policy| policy.recovery_recipients.extend(listed)).await;
    let report = rig.capture().await.unwrap();
    assert_eq!((report.read, report.packs_reused), (4, 0), "the default group has no pack and is kept");
    let entry = rig.snapshots().await.pop().unwrap();
    let list = rig.repository.get_list(&entry.snapshot().unwrap().list).await.unwrap();
    assert!(list.packs.iter().all(|pack| pack.recipients == both));
    assert_eq!((entry.policy, entry.carries), (version, true), "the first entry under a version carries it");
    // The second kit alone opens everything from now on.
    rig.recovery = Arc::new(second);
    rig.opened().await;
    let ledger = rig.repository.read_ledger().await.unwrap();
    assert!(ledger.problems().is_empty() && ledger.live().count() == 3, "older ones stay as they are");
}

#[tokio::test]
async fn every_item_is_read_again_within_the_period_but_not_all_at_once() {
    let rig = Rig::new().await;
    for n in 0..60 {
        arbitrary(&rig.instance, &format!("secret-{n}"), "value");
    }
    rig.capture().await.unwrap();
    let mut read = Vec::new();
    for _ in 0..7 {
        rig.clock.advance(DAY);
        read.push(rig.capture().await.unwrap().read);
    }
    assert_eq!(read.iter().sum::<u64>(), 61);
    assert!(read.iter().all(|read| *read < 30), "{read:?}");
}

#[tokio::test]
async fn a_pack_that_is_gone_is_written_again() {
    let rig = Rig::new().await;
    let id = arbitrary(&rig.instance, "precious", "gold");
    rig.capture().await.unwrap();
    let packs = rig.folder.path().join("repository/packs");
    for pack in std::fs::read_dir(&packs).unwrap() {
        std::fs::remove_file(pack.unwrap().path()).unwrap();
    }
    let report = rig.capture().await.unwrap();
    assert_eq!((report.read, report.packs_reused), (1, 0));
    assert!(current(&rig.opened().await, &id).contains("gold"));
}

#[tokio::test]
async fn packs_that_vanish_before_the_entry_are_read_again() {
    let mut rig = Rig::new().await;
    let id = arbitrary(&rig.instance, "precious", "gold");
    let store = LosingStore::around(rig.repository.store().clone(), "packs/", Vec::new());
    rig.repository = Repository::open(store, *rig.repository.id()).await.unwrap();
    let report = rig.capture().await.unwrap();
    assert_eq!(report.warnings.len(), 1);
    assert_eq!(report.requests.listing.len(), 4, "two listings for each of two attempts");
    assert_eq!(rig.snapshots().await.len(), 1);
    assert!(current(&rig.opened().await, &id).contains("gold"));
}

#[tokio::test]
async fn a_listing_that_lacks_too_much_is_suspect_until_somebody_accepts_it() {
    let rig = Rig::new().await;
    let ids: Vec<_> = (0..10).map(|n| arbitrary(&rig.instance, &format!("secret-{n}"), "value")).collect();
    let good = rig.capture().await.unwrap();
    ids[..2].iter().for_each(|id| delete(&rig.instance, id));
    assert!(rig.capture().await.unwrap().suspect.is_empty(), "2 of 11 is under a fifth");
    delete(&rig.instance, &ids[2]);
    let suspect = rig.capture().await.unwrap();
    assert_eq!(suspect.suspect.len(), 1);
    assert!(suspect.suspect[0].contains("3 of the 11"), "measured by the largest: {}", suspect.suspect[0]);
    assert_eq!(suspect.failure(), Some(FailureKind::Partial));
    let again = rig.capture().await.unwrap();
    assert_eq!(again.suspect.len(), 1, "and every later one");
    assert_ne!(again.base, Some(suspect.snapshot), "nothing builds on a suspect snapshot");
    assert_ne!(again.base, Some(good.snapshot));

    rig.change(|policy| policy.accepted.push(again.snapshot)).await;
    let after = rig.capture().await.unwrap();
    assert!(after.suspect.is_empty(), "{:?}", after.suspect);
    assert_eq!(after.base, Some(again.snapshot));
}

#[tokio::test]
async fn what_vanished_and_is_hidden_from_us_is_sight_lost_and_no_deletion() {
    for status in [401, 403] {
        let rig = Rig::new().await;
        let ids: Vec<_> = (0..10).map(|n| arbitrary(&rig.instance, &format!("secret-{n}"), "value")).collect();
        rig.capture().await.unwrap();
        delete(&rig.instance, &ids[0]);
        let hidden = When::any().path(&format!("/secrets/{}/metadata", ids[0]));
        rig.instance.fault(hidden, Act::Status { status, retry_after: None });
        let error = rig.capture().await.unwrap_err();
        assert!(matches!(&error, CaptureError::SightLost { key } if key.id() == ids[0]), "{status}: {error}");
        assert_eq!(error.kind(), FailureKind::Instance);
        assert_eq!(rig.snapshots().await.len(), 1, "nothing was recorded");
    }
}

#[tokio::test]
async fn an_instance_that_never_rests_gets_each_item_on_its_own_and_the_next_run_mends_it() {
    let rig = Rig::new().await;
    let busy = arbitrary(&rig.instance, "busy", "value");
    let still = arbitrary(&rig.instance, "still", "value");
    let doomed = arbitrary(&rig.instance, "doomed", "value");
    let (clock, rounds) = (rig.clock.clone(), AtomicU64::new(0));
    let ids = (busy.clone(), doomed.clone());
    before(&rig, When::any().verb(Verb::Get).path("/configurations"), move |instance, _| {
        clock.advance(5_000);
        let round = rounds.fetch_add(1, Ordering::SeqCst);
        rotate(instance, &ids.0, &format!("value {round}"));
        if round == 4 {
            delete(instance, &ids.1);
        }
    });
    let report = rig.capture().await.unwrap();
    assert_eq!((report.cut, report.rounds, report.moved), ("per_item", 5, 1));
    assert_eq!(report.requests.listing.len(), 6);
    assert_eq!(report.requests.asking, 1, "every id that some round saw and the last lacks");
    assert!(report.unread.is_empty());
    let opened = rig.opened().await;
    assert!(opened.items[&secret(&busy)].revision.is_none(), "it moved in the last round");
    assert!(current(&opened, &busy).contains("value 5"), "and was read all the same");
    assert!(opened.items[&secret(&still)].revision.is_some());
    assert!(!opened.items.contains_key(&secret(&doomed)));

    rig.instance.clear_faults();
    let next = rig.capture().await.unwrap();
    assert_eq!((next.cut, next.read), ("point_in_time", 1));
    assert!(rig.opened().await.items[&secret(&busy)].revision.is_some());
}

#[tokio::test]
async fn what_moved_in_the_first_round_is_read_again_and_the_second_is_one_point_in_time() {
    let rig = Rig::new().await;
    let id = arbitrary(&rig.instance, "busy", "old");
    arbitrary(&rig.instance, "still", "value");
    let (clock, moved) = (rig.clock.clone(), id.clone());
    // Between its reading and the second listing.
    before(&rig, When::any().verb(Verb::Get).path("/configurations").nth(2), move |instance, _| {
        clock.advance(5_000);
        rotate(instance, &moved, "new");
    });
    let report = rig.capture().await.unwrap();
    assert_eq!((report.cut, report.rounds, report.moved), ("point_in_time", 2, 0));
    assert_eq!((report.requests.reading, report.requests.rereading), (2, 2));
    let opened = rig.opened().await;
    assert!(current(&opened, &id).contains("new"));
    assert_eq!(opened.payloads(&secret(&id)).len(), 2);
}

#[tokio::test]
async fn an_item_that_changed_within_two_seconds_is_read_only_once_they_are_over() {
    let switches = Switches { precision: Precision::Seconds, ..Switches::default() };
    let rig = Rig::with(Options { switches, ..Options::default() }).await;
    let id = arbitrary(&rig.instance, "young", "value");
    let changed = rig.clock.now();
    let read_at: Shared<Vec<Timestamp>> = Shared::default();
    let (clock, seen) = (rig.clock.clone(), Arc::clone(&read_at));
    before(&rig, When::any().path(&format!("/secrets/{id}/versions/current")), move |_, _| {
        seen.lock().unwrap().push(clock.now());
    });
    rig.capture_now(&rig.options()).await.unwrap();
    let read_at = read_at.lock().unwrap();
    assert_eq!(read_at.len(), 1);
    assert!(read_at[0].millis_since(changed) >= 2_000, "read {} ms after", read_at[0].millis_since(changed));
}

#[tokio::test]
async fn one_item_that_cannot_be_read_makes_the_run_partial_and_keeps_what_was_known() {
    let rig = Rig::new().await;
    let id = arbitrary(&rig.instance, "shy", "old");
    let others: Vec<_> = (0..9).map(|n| arbitrary(&rig.instance, &format!("other-{n}"), "value")).collect();
    rig.capture().await.unwrap();
    rotate(&rig.instance, &id, "new");
    rig.instance
        .fault(When::any().path(&format!("/secrets/{id}/versions")), Act::Status { status: 403, retry_after: None });
    let report = rig.capture().await.unwrap();
    assert_eq!(report.failure(), Some(FailureKind::Partial));
    assert_eq!(report.unread.iter().map(|unread| unread.key.id()).collect::<Vec<_>>(), [id.as_str()]);
    assert!(report.suspect.is_empty());
    let opened = rig.opened().await;
    assert!(opened.items[&secret(&id)].revision.is_none());
    assert!(current(&opened, &id).contains("old"), "an older payload is better than none");
    assert!(opened.doc(&secret(&id), "row").unwrap().contains(r#""versions_total":2"#), "its rows are the new ones");

    rig.instance.clear_faults();
    let report = rig.capture().await.unwrap();
    assert_eq!((report.read, report.failure()), (1, None));
    assert!(current(&rig.opened().await, &id).contains("new"));

    // Past the share that may be missing, the snapshot is not to be relied upon.
    rig.instance.fault(When::any().path("/versions"), Act::Status { status: 403, retry_after: None });
    others.iter().take(3).for_each(|id| rotate(&rig.instance, id, "changed"));
    let report = rig.capture().await.unwrap();
    assert_eq!((report.unread.len(), report.suspect.len()), (3, 1));
}

#[tokio::test]
async fn an_instance_that_fails_as_a_whole_leaves_nothing_recorded() {
    let status = |status| Act::Status { status, retry_after: None };
    let reading = || When::any().path("/versions/current");
    for (what, when, act) in [
        ("401 in the middle", reading(), status(401)),
        ("listing refused", When::any().path("/secrets_locks"), status(403)),
        ("listing down", When::any().path("/secret_groups"), status(503)),
        ("cut off", reading(), Act::CutBody),
        ("no connection", reading(), Act::DropBefore),
        ("an empty second listing", When::any().path("/configurations").nths(2..), Act::EmptyBody),
    ] {
        let rig = Rig::new().await;
        arbitrary(&rig.instance, "secret", "value");
        rig.instance.fault(when, act);
        let error = rig.capture().await.expect_err(what);
        assert_eq!(error.kind(), FailureKind::Instance, "{what}: {error}");
        assert!(rig.snapshots().await.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_run_gives_up_when_item_after_item_is_overloaded() {
    let rig = Rig::new().await;
    for n in 0..40 {
        arbitrary(&rig.instance, &format!("secret-{n}"), "value");
    }
    rig.instance.fault(When::any().path("/versions/current"), Act::Status { status: 503, retry_after: None });
    let error = rig.capture().await.unwrap_err();
    assert!(matches!(error, CaptureError::Unreadable { .. }), "{error}");
    assert_eq!(error.kind(), FailureKind::Instance);
}

#[tokio::test]
async fn an_instance_without_a_secret_is_a_failure_unless_it_may_be_empty() {
    let rig = Rig::new().await;
    let error = rig.capture().await.unwrap_err();
    assert!(matches!(error, CaptureError::Empty), "{error}");
    let options = CaptureOptions { allow_empty: true, ..rig.options() };
    let report = rig.capture_with(&options).await.unwrap();
    assert_eq!(report.counts.get("secret"), None);
    assert!(rig.capture_with(&options).await.unwrap().quiet);
}

#[tokio::test]
async fn another_instance_than_the_repositorys_is_refused() {
    let mut rig = Rig::new().await;
    let options = Options {
        instance_id: "00000000-0000-4000-8000-000000000000".to_owned(),
        clock: rig.clock.clone(),
        ..Options::default()
    };
    let other = Rig::over(EmbeddedInstance::new(options), rig.clock.clone()).await;
    arbitrary(&other.instance, "foreign", "value");
    let own: ByHand = std::mem::replace(&mut rig.source, other.source);
    let error = rig.capture().await.unwrap_err();
    assert!(matches!(error, CaptureError::OtherInstance { .. }), "{error}");
    assert_eq!(error.kind(), FailureKind::Moved);
    drop(own);
}

#[tokio::test]
async fn nothing_is_signed_with_a_clock_that_differs_by_more_than_five_minutes() {
    let rig = Rig::new().await;
    arbitrary(&rig.instance, "secret", "value");
    for (skew, refused) in [(-301_000, true), (302_000, true), (299_000, false)] {
        let clock = Arc::new(SkewedClock(rig.clock.clone(), skew));
        let context = context(clock);
        let writer = rig.writer(&rig.collector);
        let options = rig.options();
        let result = capture(&context, &rig.source, &rig.repository, &writer, &rig.catalogue, &options).await;
        assert_eq!(matches!(result, Err(CaptureError::ClockSkew { .. })), refused, "{skew}");
    }
}

#[tokio::test]
async fn a_run_that_is_cancelled_at_any_request_ends_and_shows_nothing() {
    for request in 1..=14 {
        let rig = Rig::new().await;
        for n in 0..3 {
            arbitrary(&rig.instance, &format!("secret-{n}"), "value");
        }
        let cancel = rig.cancel.clone();
        before(&rig, When::any().nth(request), move |_, _| cancel.cancel());
        match rig.capture().await {
            Err(error) => {
                assert!(matches!(error, CaptureError::Interrupted), "request {request}: {error}");
                assert_eq!(error.kind(), FailureKind::Interrupted);
                assert!(rig.snapshots().await.is_empty(), "request {request}");
            }
            Ok(_) => assert!(request > 13, "request {request} came too late to matter"),
        }
    }
}

#[tokio::test]
async fn an_instance_that_moves_updated_at_on_reads_needs_one_more_listing_once() {
    for precision in [Precision::Millis, Precision::Seconds] {
        let switches = Switches { precision, reads_move_updated_at: true, ..Switches::default() };
        let rig = Rig::with(Options { switches, ..Options::default() }).await;
        for n in 0..5 {
            arbitrary(&rig.instance, &format!("secret-{n}"), "value");
        }
        let report = rig.capture().await.unwrap();
        assert_eq!((report.cut, report.requests.listing.len()), ("point_in_time", 3), "{precision:?}");
        assert!(report.notes.iter().any(|note| note.contains("updated_at")));
        let quiet = rig.capture().await.unwrap();
        assert!(quiet.quiet, "{precision:?}: our own reads are no change");
        assert_eq!(quiet.requests.listing.len(), 2);
    }
}

#[tokio::test]
async fn a_collector_builds_on_its_own_snapshots_only() {
    let rig = Rig::new().await;
    let id = arbitrary(&rig.instance, "secret", "old");
    let own = rig.capture().await.unwrap();
    rotate(&rig.instance, &id, "new");
    let other = capture_as_other(&rig).await;
    assert_eq!(other.base, None, "nobody builds on what another collector signed");
    rotate(&rig.instance, &id, "newest");
    let third = rig.capture().await.unwrap();
    assert_eq!(third.base, Some(own.snapshot));
    assert!(!third.quiet);
    capture_as_other(&rig).await;
    let fourth = rig.capture().await.unwrap();
    assert_eq!((fourth.base, fourth.read), (Some(third.snapshot), 0));
    assert!(current(&rig.opened().await, &id).contains("newest"));
    let entry = rig.snapshots().await.pop().unwrap();
    let event = entry.snapshot().unwrap();
    assert_eq!((event.base, &event.reuses[..]), (Some(third.snapshot), &[rig.collector.public().fingerprint()][..]));
}

async fn capture_as_other(rig: &Rig) -> CaptureReport {
    try_as_other(rig).await.unwrap()
}

async fn try_as_other(rig: &Rig) -> Result<CaptureReport, CaptureError> {
    rig.clock.advance(60_000);
    let writer = rig.writer(&rig.other_collector);
    let options = rig.options();
    capture(&rig.context(), &rig.source, &rig.repository, &writer, &rig.catalogue, &options).await
}

#[tokio::test]
async fn a_new_collector_asks_for_what_vanished_since_the_snapshots_of_others() {
    let rig = Rig::new().await;
    let ids: Vec<_> = (0..10).map(|n| arbitrary(&rig.instance, &format!("secret-{n}"), "value")).collect();
    rig.capture().await.unwrap();
    delete(&rig.instance, &ids[0]);
    let hidden = When::any().path(&format!("/secrets/{}/metadata", ids[0]));
    rig.instance.fault(hidden, Act::Status { status: 403, retry_after: None });
    let error = try_as_other(&rig).await.unwrap_err();
    assert!(matches!(&error, CaptureError::SightLost { key } if key.id() == ids[0]), "{error}");
    rig.instance.clear_faults();
    let report = try_as_other(&rig).await.unwrap();
    assert_eq!((report.requests.asking, report.failure()), (1, None));
}

#[tokio::test]
async fn a_collector_without_the_catalogue_key_of_before_starts_in_full() {
    let mut rig = Rig::new().await;
    arbitrary(&rig.instance, "secret", "value");
    rig.capture().await.unwrap();
    rig.catalogue_with(Arc::new(Identities::generate().0)).await;
    let report = rig.capture().await.unwrap();
    assert_eq!((report.base, report.full, report.read), (None, true, 2));
    assert_eq!(report.warnings.len(), 2, "no base, and nothing to measure by: {:?}", report.warnings);
    assert!(rig.snapshots().await[1].snapshot().unwrap().is_good());
}

/// A list of configurations that shows none.
const NO_CONFIGURATIONS: &str = r#"{"configurations":[],"total_count":0,"offset":0,"limit":1000}"#;

#[tokio::test]
async fn a_list_that_hides_every_configuration_is_sight_lost_and_no_deletion() {
    // By name, they are forbidden, or still answer.
    for status in [Some(403), None] {
        let rig = Rig::new().await;
        (0..10).for_each(|n| _ = arbitrary(&rig.instance, &format!("secret-{n}"), "value"));
        configure(&rig.instance, "an api key");
        rig.capture().await.unwrap();
        let list = When::any().class(Class::Listing).path("/configurations");
        rig.instance.fault(list, Act::Body(NO_CONFIGURATIONS.to_owned()));
        if let Some(status) = status {
            rig.instance.fault(When::any().path("/configurations/iam"), Act::Status { status, retry_after: None });
        }
        let error = rig.capture().await.unwrap_err();
        assert!(matches!(&error, CaptureError::SightLost { key } if key.id().ends_with("/iam")), "{status:?}: {error}");
        assert_eq!(rig.snapshots().await.len(), 1, "nothing was recorded");

        rig.instance.clear_faults();
        write(&rig.instance, Verb::Delete, "/api/v2/configurations/iam", "");
        let report = rig.capture().await.unwrap();
        assert!(
            report.suspect.is_empty() && !report.counts.contains_key("configuration"),
            "really deleted, it is gone"
        );
    }
}

#[tokio::test]
async fn what_moved_and_cannot_be_read_again_shows_the_rows_of_the_cut_and_is_not_bound() {
    let rig = Rig::new().await;
    let id = arbitrary(&rig.instance, "before", "value");
    (0..9).for_each(|n| _ = arbitrary(&rig.instance, &format!("other-{n}"), "value"));
    let (clock, moved) = (rig.clock.clone(), id.clone());
    // After it was read, and before the second listing.
    before(&rig, When::any().verb(Verb::Get).path("/configurations").nth(2), move |instance, _| {
        clock.advance(5_000);
        rename(instance, &moved, "after");
        let forbidden = Act::Status { status: 403, retry_after: None };
        instance.fault(When::any().path(&format!("/secrets/{moved}/versions")), forbidden);
    });
    let report = rig.capture().await.unwrap();
    assert_eq!((report.cut, report.rounds), ("point_in_time", 2));
    assert_eq!(report.unread.iter().map(|unread| unread.key.id()).collect::<Vec<_>>(), [id.as_str()]);
    let opened = rig.opened().await;
    let item = &opened.items[&secret(&id)];
    assert_eq!((item.name.as_str(), item.revision), ("after", None));
    assert!(opened.doc(&secret(&id), "row").unwrap().contains("after"), "the lists are claimed as of the cut");
    assert!(current(&opened, &id).contains("value"), "and what was read of it before is better than nothing");
}

#[tokio::test]
async fn a_change_from_the_future_is_read_a_tick_after_it_was_listed() {
    let rig = Rig::new().await;
    rig.clock.advance(3_650 * DAY);
    let id = arbitrary(&rig.instance, "ahead", "value");
    rig.clock.advance(-3_650 * DAY);
    let at: Shared<Vec<Timestamp>> = Shared::default();
    for path in ["/secrets_locks".to_owned(), format!("/secrets/{id}/versions/current")] {
        let (clock, at) = (rig.clock.clone(), Arc::clone(&at));
        before(&rig, When::any().path(&path).nth(1), move |_, _| at.lock().unwrap().push(clock.now()));
    }
    assert_eq!(rig.capture().await.unwrap().cut, "point_in_time");
    let at = at.lock().unwrap();
    assert!(at[1].millis_since(at[0]) >= 2_000, "read {} ms after", at[1].millis_since(at[0]));
}

/// Records a snapshot like the newest one, whose payloads lie in a pack each.
async fn scatter(rig: &Rig) -> usize {
    let (entry, opened) = (rig.snapshots().await.pop().unwrap(), rig.opened().await);
    let (id, source) = (*rig.repository.id(), rig.repository.source().unwrap());
    let recovery = Recipients::new(rig.recovery.recipients()).unwrap();
    let both = rig.catalogue.recipients().into_iter().chain(rig.recovery.recipients()).collect();
    let (mut parts, mut packs) = (Vec::new(), Vec::new());
    let mut part = PartBuilder::new(id, &source).unwrap();
    for (key, item) in &opened.items {
        let mut item = item.clone();
        for (pointer, (_, payload)) in item.payloads.iter_mut().zip(opened.payloads(key)) {
            let mut pack = PackBuilder::new(id, &source).unwrap();
            pack.push(&item.key, &pointer.version, &Payload::new(Zeroizing::new(payload))).unwrap();
            let sealed = pack.seal(&recovery, 1).unwrap();
            rig.repository.put_pack(&sealed).await.unwrap();
            pointer.pack = sealed.digest;
            let size = sealed.bytes.len() as u64;
            packs.push(ListedPack { pack: sealed.digest, size, recipients: recovery.names(), since: None });
        }
        part.push(&item).unwrap();
    }
    let items = part.len();
    let sealed = part.seal(&Recipients::new(both).unwrap(), 1).unwrap();
    rig.repository.put_part(&sealed).await.unwrap();
    parts.push(PartRef { digest: sealed.digest, size: sealed.bytes.len() as u64, items });
    packs.sort_by_key(|pack| pack.pack);
    let count = packs.len();
    let list = rig.repository.put_list(&PackList::new(packs).unwrap()).await.unwrap();
    let event = SnapshotEvent { parts, list, packs: count as u64, ..entry.snapshot().unwrap().clone() };
    let event = EntryEvent::Snapshot(Box::new(event));
    let draft = Draft { time: rig.clock.now(), tool: "keyhaven/test".to_owned(), event };
    rig.repository.commit(&rig.writer(&rig.collector), draft).await.unwrap();
    count
}

#[tokio::test]
async fn more_new_packs_than_there_is_room_for_make_room_and_no_failure() {
    let rig = Rig::new().await;
    let ids: Vec<_> = (0..248).map(|n| arbitrary(&rig.instance, &format!("secret-{n}"), "value")).collect();
    rig.capture().await.unwrap();
    assert_eq!(scatter(&rig).await, 248, "as many as are kept without a thought");
    // More than 8 packs of 4 MiB.
    let large = "x".repeat(1_000_000);
    (0..50).for_each(|n| _ = arbitrary(&rig.instance, &format!("large-{n}"), &large));
    let report = rig.capture().await.unwrap();
    assert_eq!((report.cut, report.failure()), ("point_in_time", None), "{report:?}");
    let opened = rig.opened().await;
    assert!(opened.packs <= 256, "{}", opened.packs);
    assert!(ids.iter().all(|id| current(&opened, id).contains("value")));
    assert!(report.warnings.iter().any(|warning| warning.contains("too many")), "{:?}", report.warnings);
}
