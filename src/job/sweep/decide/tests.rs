//! Decisions on constructed views, one rule each.

use super::*;
use crate::crypto::digest::sha256;
use crate::repository::ObjectInfo;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const GRACE: i64 = 48 * HOUR;

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

fn ago(millis: i64) -> Timestamp {
    now().plus_millis(-millis)
}

fn pack(name: &str) -> String {
    names::pack(&sha256(name.as_bytes()))
}

fn part(name: &str) -> String {
    names::catalogue(&sha256(name.as_bytes()))
}

fn list(name: &str) -> String {
    names::list(&sha256(name.as_bytes()))
}

fn object(modified: Timestamp) -> SeenObject {
    SeenObject { size: 10, modified }
}

fn snapshot(sequence: u64, name: &str, packs: &[&str], kept: KeepState) -> SeenSnapshot {
    SeenSnapshot {
        entry: sha256(name.as_bytes()),
        sequence,
        good: true,
        kept,
        own: BTreeMap::from([(part(name), Some(10)), (list(name), None)]),
        packs: Ok(packs.iter().map(|name| (pack(name), 10)).collect()),
    }
}

fn forgotten(hours: i64) -> KeepState {
    KeepState::Forgotten { since: Some(ago(hours * HOUR)), rule: "test".to_owned() }
}

/// Returns a view with a live snapshot (packs `a` and `b`) and one forgotten 50 hours ago (packs `b` and `c`); all
/// objects are 60 hours old.
fn sight() -> SweepView {
    let snapshots =
        vec![snapshot(2, "old", &["b", "c"], forgotten(50)), snapshot(3, "new", &["a", "b"], KeepState::Live)];
    let mut seen = SweepView {
        here: now(),
        store: StoreTime::Own(Some(now())),
        listed: Some(now()),
        longest_run: 6 * HOUR,
        grace: GRACE,
        folders: BTreeMap::new(),
        by_name: BTreeMap::new(),
        ledger: LedgerSeen { snapshots, ..LedgerSeen::default() },
    };
    for path in [pack("a"), pack("b"), pack("c"), part("old"), part("new"), list("old"), list("new")] {
        show(&mut seen, &path, ago(60 * HOUR));
    }
    seen
}

/// Adds an object to every listing.
fn show(seen: &mut SweepView, path: &str, modified: Timestamp) {
    let folder = path.split('/').next().unwrap().to_owned();
    let views =
        seen.folders.entry(folder).or_insert_with(|| vec![DirectoryListing::default(), DirectoryListing::default()]);
    for view in views {
        view.objects.insert(path.to_owned(), object(modified));
    }
}

fn hide(seen: &mut SweepView, path: &str, views: &[usize]) {
    let folder = path.split('/').next().unwrap();
    for at in views {
        seen.folders.get_mut(folder).unwrap()[*at].objects.remove(path);
    }
}

fn stopped(seen: &SweepView) -> Vec<&'static str> {
    match decide(seen) {
        Ok(plan) => panic!("it goes on: {plan:#?}"),
        Err(stops) => stops.iter().map(SweepStop::word).collect(),
    }
}

fn there(path: &str, modified: Timestamp) -> Option<Retention> {
    Some(Retention::none(ObjectInfo { path: path.to_owned(), size: 10, modified }))
}

#[test]
fn what_only_the_given_up_snapshot_needs_goes() {
    let plan = decide(&sight()).unwrap();
    let going: Vec<&String> = plan.candidates.keys().collect();
    let mut expected = [part("old"), list("old"), pack("c")];
    expected.sort();
    assert_eq!(going, expected.iter().collect::<Vec<_>>());
    assert_eq!(plan.shared.keys().collect::<Vec<_>>(), [&pack("b")]);
    assert_eq!((plan.due.len(), plan.live, plan.before), (1, 1, ago(GRACE)));
}

#[test]
fn a_snapshot_given_up_within_the_grace_keeps_everything() {
    for kept in
        [forgotten(47), forgotten(48), KeepState::Forgotten { since: None, rule: String::new() }, KeepState::Live]
    {
        let mut seen = sight();
        seen.ledger.snapshots[0].kept = kept;
        let plan = decide(&seen).unwrap();
        assert!(plan.candidates.is_empty() && plan.due.is_empty(), "{plan:#?}");
    }
}

#[test]
fn what_is_younger_than_the_grace_stays_named_or_not() {
    let mut seen = sight();
    show(&mut seen, &pack("orphan"), ago(60 * HOUR));
    show(&mut seen, &pack("young orphan"), ago(GRACE));
    show(&mut seen, &pack("c"), ago(HOUR));
    let plan = decide(&seen).unwrap();
    assert!(plan.candidates.contains_key(&pack("orphan")));
    assert!(plan.young.contains_key(&pack("young orphan")) && plan.young.contains_key(&pack("c")));
    assert!(!plan.candidates.contains_key(&pack("c")));
}

#[test]
fn of_several_dates_the_latest_counts() {
    // Rewritten between two listings, or between two pages of one listing that shows it twice.
    let row = |modified| ObjectInfo { path: pack("c"), size: 10, modified };
    let twice = [vec![row(now()), row(ago(60 * HOUR))], vec![row(ago(60 * HOUR)), row(now())]];
    for listed in twice.into_iter().chain([vec![row(now())]]) {
        for view in [0, 1] {
            let mut seen = sight();
            let shown = DirectoryListing::new(None, listed.clone()).objects;
            seen.folders.get_mut("packs").unwrap()[view].objects.extend(shown);
            let plan = decide(&seen).unwrap();
            assert!(plan.young.contains_key(&pack("c")) && !plan.candidates.contains_key(&pack("c")), "{listed:?}");
        }
    }
}

#[test]
fn what_is_none_of_ours_is_no_candidate() {
    let mut seen = sight();
    for path in ["packs/readme", "evidence/x.json", "catalogues/x/y", "ledger/000000/x"] {
        show(&mut seen, path, ago(600 * HOUR));
    }
    let plan = decide(&seen).unwrap();
    assert_eq!((plan.candidates.len(), plan.foreign), (3, 3));
}

#[test]
fn what_the_ledger_says_against_it_stops_it() {
    let mut seen = sight();
    seen.ledger.problems = vec!["a hole".to_owned()];
    seen.ledger.unknown = vec!["an entry".to_owned()];
    seen.ledger.lost_heads = vec!["a head".to_owned()];
    assert_eq!(stopped(&seen), ["ledger", "unknown_entry", "head_missing"]);
}

#[test]
fn without_a_good_live_snapshot_nothing_goes() {
    let mut seen = sight();
    seen.ledger.snapshots[1].good = false;
    assert_eq!(stopped(&seen), ["no_good_left"]);
    seen.ledger.snapshots[1].good = true;
    seen.ledger.snapshots[1].kept = forgotten(1);
    assert_eq!(stopped(&seen), ["no_good_left"], "one that can be undone is not live");
}

#[test]
fn where_nothing_would_go_no_good_snapshot_is_missed() {
    let mut empty = sight();
    empty.folders.clear();
    empty.ledger.snapshots.clear();
    let plan = decide(&empty).unwrap();
    assert!(plan.candidates.is_empty() && plan.live == 0, "right after init: {plan:#?}");
    // From a first run that is in progress or died recently; then from one that died long ago.
    show(&mut empty, &pack("first"), ago(HOUR));
    assert_eq!(decide(&empty).unwrap().young.len(), 1);
    show(&mut empty, &pack("of a dead run"), ago(60 * HOUR));
    assert_eq!(stopped(&empty), ["no_good_left"], "what is hidden from the listing of the ledger may need it");
}

#[test]
fn clocks_that_are_unknown_or_differ_stop_it() {
    let mut seen = sight();
    seen.store = StoreTime::Own(None);
    assert_eq!(stopped(&seen), ["clock_unknown"]);
    seen.store = StoreTime::Own(Some(now().plus_millis(SKEW_MILLIS + 1)));
    assert_eq!(stopped(&seen), ["clock_skewed"]);
    seen.store = StoreTime::Own(Some(now().plus_millis(SKEW_MILLIS)));
    assert!(decide(&seen).is_ok());
    seen.store = StoreTime::Shared;
    assert!(decide(&seen).is_ok(), "a folder has this host's clock");
    show(&mut seen, &pack("x"), now().plus_millis(SKEW_MILLIS + 1));
    assert_eq!(stopped(&seen), ["from_the_future"]);
    // The last listing ended late, and the object was written meanwhile.
    seen.listed = Some(now().plus_millis(1));
    assert!(decide(&seen).is_ok());
}

#[test]
fn a_grace_without_room_for_a_run_stops_it() {
    let mut seen = sight();
    seen.longest_run = GRACE;
    assert_eq!(stopped(&seen), ["no_room"]);
}

#[test]
fn listings_that_differ_stop_it_but_for_what_is_written_just_now() {
    for view in [0, 1] {
        let mut seen = sight();
        hide(&mut seen, &pack("c"), &[view]);
        assert_eq!(stopped(&seen), ["listings_differ"]);
    }
    let mut seen = sight();
    show(&mut seen, &pack("fresh"), now());
    hide(&mut seen, &pack("fresh"), &[0]);
    assert!(decide(&seen).unwrap().young.contains_key(&pack("fresh")));
    show(&mut seen, &pack("fresh"), ago(SKEW_MILLIS + 1));
    hide(&mut seen, &pack("fresh"), &[0]);
    assert_eq!(stopped(&seen), ["listings_differ"], "written before it began: young or not, both should show it");
    // Present in both, with another date or another size.
    for other in [object(ago(59 * HOUR)), SeenObject { size: 11, ..object(ago(60 * HOUR)) }] {
        let mut seen = sight();
        seen.folders.get_mut("packs").unwrap()[1].objects.insert(pack("c"), other);
        assert_eq!(stopped(&seen), ["listings_differ"], "{other:?}");
    }
}

#[test]
fn a_listing_that_began_later_is_compared_from_there() {
    let mut seen = sight();
    let mut packs = [pack("a"), pack("b"), pack("c")];
    packs.sort();
    seen.folders.get_mut("packs").unwrap()[1].after = Some(packs[0].clone());
    hide(&mut seen, &packs[0], &[1]);
    assert!(decide(&seen).is_ok());
    hide(&mut seen, &packs[2], &[1]);
    assert_eq!(stopped(&seen), ["listings_differ"]);
}

#[test]
fn a_live_snapshot_must_have_everything_with_its_size() {
    for path in [pack("a"), part("new"), list("new")] {
        let mut seen = sight();
        hide(&mut seen, &path, &[0, 1]);
        seen.by_name.insert(path.clone(), None);
        assert_eq!(stopped(&seen), ["object_missing"], "{path}");
        // Exists after all: if it is young, the listing lags; if it is old, the listing is incomplete.
        seen.by_name.insert(path.clone(), Some(object(ago(HOUR))));
        assert!(decide(&seen).is_ok(), "{path}");
        seen.by_name.insert(path.clone(), Some(object(ago(60 * HOUR))));
        assert_eq!(stopped(&seen), ["listing_partial"], "{path}");
    }
    let mut seen = sight();
    seen.ledger.snapshots[1].packs = Ok(BTreeMap::from([(pack("a"), 11)]));
    assert_eq!(stopped(&seen), ["object_missing"], "another size");
}

#[test]
fn a_given_up_snapshot_may_lack_things() {
    let mut seen = sight();
    hide(&mut seen, &pack("c"), &[0, 1]);
    seen.ledger.snapshots[0].packs = Err("gone".to_owned());
    assert!(decide(&seen).is_ok(), "it is due: its list says nothing that is needed");
    seen.ledger.snapshots[0].kept = forgotten(1);
    assert_eq!(stopped(&seen), ["list_unreadable"], "it may be undone, and its packs would look like orphans");
}

#[test]
fn what_the_store_keeps_or_has_again_does_not_go() {
    let plan = decide(&sight()).unwrap();
    let mut answers: BTreeMap<String, Option<Retention>> =
        plan.candidates.keys().map(|path| (path.clone(), there(path, ago(60 * HOUR)))).collect();
    assert_eq!(settle(&plan, &answers, now()).going.len(), 3);
    answers.insert(part("old"), there(&part("old"), ago(HOUR)));
    answers.insert(list("old"), None);
    answers.get_mut(&pack("c")).unwrap().as_mut().unwrap().until = Some(now().plus_millis(1));
    let settled = settle(&plan, &answers, now());
    assert_eq!((settled.going.len(), settled.rewritten.len(), settled.gone, settled.locked.len()), (0, 1, 1, 1));
    assert!(settled.sweeping.is_empty(), "a snapshot that loses nothing is not gone");
    let later = settle(&plan, &answers, now().plus_millis(1));
    assert_eq!((later.going.len(), later.sweeping.len()), (1, 1));
}

#[test]
fn what_happened_since_stops_it() {
    let seen = sight();
    let plan = decide(&seen).unwrap();
    let answers = plan.candidates.keys().map(|path| (path.clone(), there(path, ago(60 * HOUR)))).collect();
    let settled = settle(&plan, &answers, now());
    let mut again = LedgerSeen { snapshots: vec![seen.ledger.snapshots[1].clone()], ..LedgerSeen::default() };
    assert_eq!(recheck(&settled, &seen.ledger, &again), []);
    let words = |again: &LedgerSeen| -> Vec<&str> {
        recheck(&settled, &seen.ledger, again).iter().map(SweepStop::word).collect()
    };
    again.undos.insert(sha256(b"undo"), vec![sha256(b"old")]);
    assert_eq!(words(&again), ["undone"]);
    let known = LedgerSeen { undos: again.undos.clone(), ..seen.ledger.clone() };
    assert_eq!(recheck(&settled, &known, &again), [], "one that was known before was weighed already");
    // The sweep's entry had seen the undo: the snapshot is live again, in time.
    let in_time = seen.ledger.snapshots.iter().find(|snapshot| snapshot.entry == sha256(b"old")).unwrap().clone();
    again.snapshots.push(SeenSnapshot { kept: KeepState::Live, ..in_time });
    assert_eq!(words(&again), ["overtaken"]);
    again.snapshots.pop();
    again.undos.clear();
    again.snapshots.push(snapshot(9, "latest", &["c"], KeepState::Live));
    assert_eq!(words(&again), ["overtaken"]);
    again.snapshots[1].packs = Err("gone".to_owned());
    again.snapshots[1].own.clear();
    assert_eq!(words(&again), ["list_unreadable"], "what it needs is not known");
    again.snapshots = vec![];
    assert_eq!(words(&again), ["no_good_left"]);
}

#[test]
fn one_entry_names_so_many_snapshots_and_no_more() {
    let mut seen = sight();
    for number in 0..SNAPSHOTS_AN_ENTRY {
        let name = format!("many {number}");
        seen.ledger.snapshots.push(snapshot(10 + number as u64, &name, &["d"], forgotten(50)));
        show(&mut seen, &part(&name), ago(60 * HOUR));
    }
    show(&mut seen, &pack("d"), ago(60 * HOUR));
    let plan = decide(&seen).unwrap();
    assert_eq!((plan.due.len(), plan.waiting.len()), (SNAPSHOTS_AN_ENTRY, 1));
    assert!(!plan.candidates.contains_key(&pack("d")), "the one that waits needs it");
}
