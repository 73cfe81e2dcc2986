use std::time::Duration;

use super::kit::{LedgerBuilder, at};
use super::*;

const MINUTE: u64 = 60;

fn objectives(rpo_minutes: u64, verified_minutes: u64) -> Objectives {
    Objectives {
        rpo: Some(Duration::from_secs(rpo_minutes * MINUTE)),
        verified_within: Some(Duration::from_secs(verified_minutes * MINUTE)),
    }
}

fn stale(book: &LedgerBuilder, objectives: &Objectives, minute: i64) -> Vec<&'static str> {
    status(&book.ledger(), objectives, at(minute)).stale.iter().map(Stale::code).collect()
}

#[test]
fn a_repository_without_a_snapshot_is_stale_whatever_the_objectives() {
    let mut book = LedgerBuilder::new();
    assert_eq!(stale(&book, &Objectives::default(), 1), ["never_backed_up"]);
    book.suspect(1);
    assert_eq!(stale(&book, &Objectives::default(), 2), ["no_good_snapshot"]);
    book.good(2);
    assert_eq!(stale(&book, &Objectives::default(), 1_000_000), [""; 0]);
}

#[test]
fn the_recovery_point_counts_from_the_newest_good_cut() {
    let mut book = LedgerBuilder::new();
    book.good(10);
    let suspect = book.suspect(20);
    let wanted = objectives(15, 1_000);
    let told = status(&book.ledger(), &wanted, at(25));
    assert_eq!(told.backups.achieved_rpo_seconds, Some(15 * MINUTE), "at the objective is within it");
    assert_eq!(told.stale, []);
    assert_eq!(stale(&book, &wanted, 26), ["rpo_missed"]);
    assert_eq!((told.backups.suspect_since, told.backups.suspect), (Some(at(20)), 1));
    assert_eq!(told.backups.newest.unwrap().suspect, ["half is gone"]);
    book.accept(&suspect);
    let told = status(&book.ledger(), &wanted, at(26));
    assert_eq!(told.backups.achieved_rpo_seconds, Some(6 * MINUTE));
    assert_eq!((told.backups.suspect_since, told.backups.suspect), (None, 0));
}

#[test]
fn a_snapshot_from_the_future_makes_nothing_fresh() {
    let mut book = LedgerBuilder::new();
    book.good(10);
    let future = book.good(100_000);
    let ledger = book.ledger();
    let told = status(&ledger, &objectives(15, 1_000), at(20));
    assert_eq!(told.backups.achieved_rpo_seconds, Some(10 * MINUTE), "the one before it counts");
    assert!(told.backups.newest.unwrap().mistimed);
    // The store's time is known, and counts instead.
    let path = future.name();
    let told = status_with(&ledger, &objectives(15, 1_000), at(20), &StoreTimes::of([(path.as_str(), at(12))]));
    assert_eq!(told.backups.achieved_rpo_seconds, Some(8 * MINUTE));
    assert_eq!(told.stale, []);
}

#[test]
fn a_snapshot_older_than_its_parent_counts_from_when_the_store_got_it() {
    let mut book = LedgerBuilder::new();
    book.good(1_000);
    let back = book.good(10);
    let ledger = book.ledger();
    assert_eq!(status(&ledger, &Objectives::default(), at(1_001)).backups.achieved_rpo_seconds, Some(991 * MINUTE));
    let path = back.name();
    let stored = StoreTimes::of([(path.as_str(), at(1_000)), ("ledger/000000/rubbish", at(5))]);
    let told = status_with(&ledger, &Objectives::default(), at(1_001), &stored);
    assert_eq!(told.backups.achieved_rpo_seconds, Some(MINUTE));
}

#[test]
fn only_a_check_that_reads_every_object_is_a_verification() {
    let mut book = LedgerBuilder::new();
    book.good(1);
    let wanted = objectives(100_000, 60);
    assert_eq!(stale(&book, &wanted, 61), [""; 0], "a new repository has its time, too");
    assert_eq!(stale(&book, &wanted, 62), ["never_verified"]);
    book.verified(63, "ledger", None, true);
    assert_eq!(stale(&book, &wanted, 64), ["never_verified"]);
    book.verified(64, "objects", None, false);
    let told = status(&book.ledger(), &wanted, at(64));
    assert_eq!(told.stale.first().map(Stale::code), Some("never_verified"), "a failed one proves nothing");
    assert_eq!(told.failed_check.unwrap().problems, 1);
    book.verified(65, "payload", Some("1/30"), true);
    let told = status(&book.ledger(), &wanted, at(125));
    assert_eq!((told.stale, told.failed_check), (vec![], None), "a slice of the payloads reads every object");
    assert_eq!(stale(&book, &wanted, 126), ["verified_too_long_ago"]);
}

/// Returns level and slice of the failed verification that is still unresolved.
fn still_failed(book: &LedgerBuilder) -> Option<(String, Option<String>)> {
    let told = status(&book.ledger(), &Objectives::default(), at(1_000));
    told.failed_check.map(|check| (check.level, check.slice))
}

#[test]
fn a_check_that_failed_stands_until_one_as_deep_passes() {
    let mut book = LedgerBuilder::new();
    let old = book.good(1);
    book.good(2);
    let open = |level: &str| Some((level.to_owned(), None));
    book.verified(10, "payload", None, false);
    for (minute, level, slice) in [(11, "ledger", None), (12, "catalogue", None), (13, "payload", Some("1/2"))] {
        book.verified(minute, level, slice, true);
        assert_eq!(still_failed(&book), open("payload"), "{level} {slice:?} has not opened everything");
    }
    book.verified_of(14, "payload", None, true, vec![old.digest]);
    assert_eq!(still_failed(&book), open("payload"), "an old snapshot is not all");
    book.verified(15, "objects", None, false);
    assert_eq!(still_failed(&book), open("objects"), "the newest is told");
    book.verified(16, "catalogue", None, true);
    assert_eq!(still_failed(&book), open("payload"), "and the one before it when that is made good");
    book.verified(17, "drill", None, true);
    assert_eq!(still_failed(&book), None);
    // A failure on a single snapshot is resolved by a check of everything.
    book.verified_of(20, "objects", None, false, vec![old.digest]);
    assert_eq!(still_failed(&book), open("objects"));
    book.verified(21, "payload", Some("2/2"), true);
    assert_eq!(still_failed(&book), None, "every slice reads every object");
    // A failure at an unknown level is resolved only at that level.
    book.verified(30, "deeper", None, false);
    book.verified(31, "drill", None, true);
    assert_eq!(still_failed(&book), open("deeper"));
    book.verified(32, "deeper", None, true);
    assert_eq!(still_failed(&book), None);
}

#[test]
fn a_slice_that_failed_is_made_good_by_itself_or_by_all_parts() {
    let failed = |later: &[&str]| {
        let mut book = LedgerBuilder::new();
        book.good(1);
        book.verified(5, "payload", Some("2/3"), false);
        for (minute, slice) in (10..).zip(later) {
            book.verified(minute, "payload", Some(slice), true);
        }
        still_failed(&book)
    };
    let open = Some(("payload".to_owned(), Some("2/3".to_owned())));
    assert_eq!(failed(&["1/3", "3/3", "1/2", "1/2"]), open);
    assert_eq!(failed(&["2/3"]), None);
    assert_eq!(failed(&["1/2", "3/3", "2/2"]), None, "divided otherwise, and all of it");
    assert_eq!(failed(&["1/2", "2/4", "0/1"]), open);
}

#[test]
fn a_check_of_an_old_snapshot_says_nothing_of_the_newest() {
    let mut book = LedgerBuilder::new();
    let old = book.good(1);
    book.good(2);
    book.verified_of(3, "objects", None, true, vec![old.digest]);
    let ledger = book.ledger();
    let told = status(&ledger, &Objectives::default(), at(4));
    assert_eq!(told.verified, None);
    let level = told.levels.first().unwrap();
    assert_eq!((level.level.as_str(), level.last.covers), ("objects", Some(1)));
    book.verified(5, "objects", None, true);
    book.good(6);
    let told = status(&book.ledger(), &Objectives::default(), at(7));
    assert_eq!(told.verified.unwrap().covers, 2, "what came later is not covered and takes nothing from it");
}

#[test]
fn slices_add_up_while_they_are_fresh() {
    let mut book = LedgerBuilder::new();
    book.good(1);
    let slices = |book: &LedgerBuilder, minute| {
        let told = status(&book.ledger(), &objectives(1_000, 60), at(minute));
        told.levels.into_iter().find(|level| level.level == "payload").and_then(|level| level.slices)
    };
    assert_eq!(slices(&book, 2), None);
    book.verified(10, "payload", Some("1/4"), true);
    book.verified(20, "payload", Some("2/4"), true);
    book.verified(30, "payload", Some("2/4"), true);
    book.verified(40, "payload", Some("3/4"), false);
    book.verified(41, "payload", Some("1/3"), true);
    book.verified(42, "payload", Some("4/4"), true);
    assert_eq!(slices(&book, 43), Some(Slices { of: 4, done: 3, since: Some(at(10)) }), "4/4 divides as 1/4 does");
    assert_eq!(slices(&book, 71), Some(Slices { of: 4, done: 2, since: Some(at(30)) }), "the first is too old");
    book.verified(72, "payload", None, true);
    assert_eq!(slices(&book, 73).unwrap().done, 4);
}

#[test]
fn the_last_restore_says_how_far_the_standby_lies_behind() {
    let mut book = LedgerBuilder::new();
    let one = book.good(10);
    book.restored(11, &one);
    assert_eq!(status(&book.ledger(), &Objectives::default(), at(12)).restored.unwrap().behind, 0);
    book.good(20);
    book.suspect(25);
    book.good(30);
    let restored = status(&book.ledger(), &Objectives::default(), at(31)).restored.unwrap();
    assert_eq!((restored.behind, restored.behind_seconds), (2, 20 * MINUTE));
    assert_eq!((restored.sequence, restored.time, restored.at), (Some(1), Some(at(10)), at(11)));
}

#[test]
fn what_was_forgotten_is_no_recovery_point() {
    let mut book = LedgerBuilder::new();
    book.good(10);
    let newer = book.good(20);
    book.forget(21, &newer);
    let told = status(&book.ledger(), &Objectives::default(), at(22)).backups;
    assert_eq!((told.good, told.forgotten, told.newest_good.unwrap().sequence), (1, 1, 1));
    assert_eq!(told.achieved_rpo_seconds, Some(12 * MINUTE));
}

#[test]
fn days_are_told_one_by_one_and_today_is_the_last() {
    let mut book = LedgerBuilder::new();
    for day in [0, 1, 1, 3] {
        book.good(day * 1_440);
    }
    book.suspect(3 * 1_440);
    let told = status(&book.ledger(), &Objectives::default(), at(3 * 1_440));
    assert_eq!(told.backups.days.len(), 14);
    let last: Vec<_> = told.backups.days.iter().rev().take(5).map(|day| (day.good, day.suspect)).collect();
    assert_eq!(last, [(1, 1), (0, 0), (2, 0), (1, 0), (0, 0)]);
}

#[test]
fn figures_in_json_have_their_unit_in_the_name() {
    let mut book = LedgerBuilder::new();
    book.good(1);
    let json = serde_json::to_value(status(&book.ledger(), &objectives(1, 2), at(5))).unwrap();
    assert_eq!(json["objectives"]["rpo_seconds"], 60);
    assert_eq!(json["objectives"]["verified_within_seconds"], 120);
    assert_eq!(json["stale"][0]["reason"], "rpo_missed");
    assert_eq!(json["stale"][0]["achieved_seconds"], 240);
    assert_eq!(json["backups"]["newest_good"]["cut"], "point_in_time");
}
