//! Whether a snapshot is live, forgotten or swept, held or suspect, in every order of the entries that say so.

use keyhaven::crypto::digest::sha256;
use keyhaven::format::event::{ForgetEvent, SnapshotsEvent, SweepEvent};
use keyhaven::format::{Entry, EntryEvent, EntryRef, Policy, SnapshotEvent};
use keyhaven::repository::find::{SnapshotQuery, find};
use keyhaven::repository::ledger::{EntryStatus, Ledger, Problem, Severity, SnapshotState, Suspicion, Void};

use crate::kit::ledger::*;

fn forget(snapshots: &[&Entry]) -> EntryEvent {
    EntryEvent::Forget(ForgetEvent { snapshots: digests(snapshots), rule: "keep_last 1".to_owned() })
}

fn because(snapshots: &[&Entry]) -> SnapshotsEvent {
    SnapshotsEvent { snapshots: digests(snapshots), reason: "audit".to_owned() }
}

fn undo(snapshots: &[&Entry]) -> EntryEvent {
    EntryEvent::Undo(because(snapshots))
}

fn hold(snapshots: &[&Entry]) -> EntryEvent {
    EntryEvent::Hold(because(snapshots))
}

fn release(snapshots: &[&Entry]) -> EntryEvent {
    EntryEvent::Release(because(snapshots))
}

fn sweep(snapshots: &[&Entry]) -> EntryEvent {
    EntryEvent::Sweep(SweepEvent { snapshots: digests(snapshots), objects: 2, bytes: 70_000, before: at(0) })
}

/// Two days in minutes: the grace.
const GRACE: i64 = 2 * 24 * 60;

fn forgotten_by(entry: &Entry) -> Option<SnapshotState> {
    Some(SnapshotState::Forgotten { by: entry.digest, rule: "keep_last 1".to_owned() })
}

fn swept_by(entry: &Entry) -> Option<SnapshotState> {
    Some(SnapshotState::Swept { by: entry.digest })
}

fn live(ledger: &Ledger) -> Vec<&Entry> {
    ledger.live().collect()
}

#[test]
fn without_a_word_every_snapshot_that_counts_is_live() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let forged = book.write(STRANGER, &[&three], snapshot("forged"));
    let check = book.write(VERIFIER, &[&three], verification());
    let ledger = book.ledger();
    assert_eq!(live(&ledger), [&one, &two, &three]);
    assert_eq!(ledger.state(&one.digest), Some(SnapshotState::Live));
    assert_eq!((ledger.state(&check.digest), ledger.state(&forged.digest)), (None, None), "no snapshots that count");
}

#[test]
fn what_is_forgotten_is_passed_over_and_comes_back_when_it_is_undone() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let gone = book.write(REAPER, &[&three], forget(&[&two, &three]));
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), []);
    assert_eq!((live(&ledger), ledger.latest_good()), (vec![&one], Some(&one)));
    assert_eq!(ledger.state(&three.digest), forgotten_by(&gone));
    assert_eq!((ledger.snapshots().len(), ledger.unswept().count()), (3, 3), "it is still there");
    let back = book.write(OTHER_REAPER, &[&gone], undo(&[&three]));
    let ledger = book.ledger();
    assert_eq!((live(&ledger), ledger.latest_good()), (vec![&one, &three], Some(&three)));
    // Forgotten again, knowing of the undo.
    let again = book.write(REAPER, &[&back], forget(&[&three]));
    assert_eq!(book.ledger().state(&three.digest), forgotten_by(&again));
}

#[test]
fn an_undo_that_the_forget_had_not_seen_wins_in_either_order() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let gone = book.write(REAPER, &[&three], forget(&[&two]));
    book.write(OTHER_REAPER, &[&three], undo(&[&two]));
    assert_eq!(book.ledger().state(&two.digest), Some(SnapshotState::Live), "concurrent");
    // A second forget beside the undo does not help either; one above both does.
    book.write(REAPER, &[&gone], forget(&[&two]));
    assert_eq!(book.ledger().state(&two.digest), Some(SnapshotState::Live));
    let heads: Vec<Entry> = book.ledger().heads().into_iter().cloned().collect();
    assert_eq!(heads.len(), 2);
    let above = book.write(REAPER, &heads.iter().collect::<Vec<_>>(), forget(&[&two]));
    assert_eq!(book.ledger().state(&two.digest), forgotten_by(&above));
}

#[test]
fn an_undo_from_before_speaks_against_nothing_later() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let early = book.write(REAPER, &[&three], undo(&[&two]));
    let gone = book.write(REAPER, &[&early], forget(&[&two]));
    assert_eq!(book.ledger().state(&two.digest), forgotten_by(&gone));
}

#[test]
fn a_sweep_is_final_whatever_else_is_said_and_whoever_is_ended() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let gone = book.write(REAPER, &[&three], forget(&[&one, &two]));
    let swept = book.store(book.entry(OTHER_REAPER, &[&gone]).at(GRACE + 10), sweep(&[&one, &two]));
    let beside = book.write(OTHER_REAPER, &[&gone], undo(&[&one]));
    book.write(OTHER_REAPER, &[&swept, &beside], undo(&[&two]));
    book.end(REAPER, &[]);
    let ledger = book.ledger();
    for snapshot in [&one, &two] {
        assert_eq!(ledger.state(&snapshot.digest), swept_by(&swept));
    }
    assert_eq!((live(&ledger), ledger.unswept().collect::<Vec<_>>()), (vec![&three], vec![&three]));
    assert!(!ledger.problems().iter().any(|problem| matches!(problem, Problem::EarlySweep { .. })));
}

#[test]
fn a_sweep_signed_before_the_grace_is_named_and_ended_by_a_policy() {
    let (mut book, [one, _, three]) = Book::with_three_snapshots();
    let gone = book.store(book.entry(REAPER, &[&three]).at(10), forget(&[&one]));
    let early = book.store(book.entry(REAPER, &[&gone]).at(10 + GRACE - 1), sweep(&[&one]));
    let ledger = book.ledger();
    let [problem @ Problem::EarlySweep { entry }] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
    assert_eq!((entry, problem.severity()), (&early.name(), Severity::Error));
    assert_eq!(ledger.state(&one.digest), swept_by(&early), "its objects may be gone");
    book.end(REAPER, &[]);
    let ledger = book.ledger();
    assert_eq!(ledger.state(&one.digest), Some(SnapshotState::Live), "what is still there comes back");
}

#[test]
fn a_sweep_without_any_forget_or_beside_it_is_early() {
    let (mut book, [one, _, three]) = Book::with_three_snapshots();
    let gone = book.store(book.entry(REAPER, &[&three]).at(10), forget(&[&one]));
    let beside = book.store(book.entry(OTHER_REAPER, &[&three]).at(10 + 2 * GRACE), sweep(&[&one]));
    let early = |ledger: &Ledger| {
        ledger.problems().iter().filter(|problem| matches!(problem, Problem::EarlySweep { .. })).count()
    };
    assert_eq!(early(&book.ledger()), 1);
    book.lose(&beside);
    book.store(book.entry(OTHER_REAPER, &[&gone]).at(10 + GRACE), sweep(&[&one]));
    assert_eq!(early(&book.ledger()), 0, "at the grace is not before it");
}

#[test]
fn a_sweep_is_measured_by_the_grace_of_the_version_that_it_names() {
    let (mut book, [one, _, three]) = Book::with_three_snapshots();
    let gone = book.store(book.entry(REAPER, &[&three]).at(10), forget(&[&one]));
    book.change(|policy| policy.settings.grace_seconds = 4 * 24 * 3_600);
    let swept = book.store(book.entry(REAPER, &[&gone]).at(10 + GRACE), sweep(&[&one]));
    let early = Problem::EarlySweep { entry: swept.name() };
    assert!(book.ledger().problems().contains(&early));
}

#[test]
fn only_a_reaper_forgets_undoes_holds_and_sweeps() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    for seed in [COLLECTOR, VERIFIER, RESTORER, OPERATOR, CUSTODIANS[0], STRANGER] {
        for event in [forget(&[&three]), sweep(&[&three]), hold(&[&three])] {
            book.write(seed, &[&three], event);
        }
    }
    let ledger = book.ledger();
    assert_eq!((live(&ledger), ledger.holds().len()), (vec![&one, &two, &three], 0));
    let gone = book.write(REAPER, &[&three], forget(&[&three]));
    book.write(COLLECTOR, &[&gone], undo(&[&three]));
    assert_eq!(book.ledger().state(&three.digest), forgotten_by(&gone));
    // A reaper whose key is revoked forgot nothing.
    book.end(REAPER, &[]);
    assert_eq!(book.ledger().state(&three.digest), Some(SnapshotState::Live));
}

#[test]
fn a_forget_reaches_only_what_is_below_it() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    // Written beside the forget: it cannot have been known to it, and is not forgotten.
    let beside = book.write(COLLECTOR, &[&three], snapshot("beside"));
    book.write(REAPER, &[&three], forget(&[&beside, &two]));
    let ledger = book.ledger();
    assert_eq!(ledger.state(&beside.digest), Some(SnapshotState::Live));
    assert!(matches!(ledger.state(&two.digest), Some(SnapshotState::Forgotten { .. })));
}

#[test]
fn above_a_hole_nothing_is_forgotten_that_cannot_be_seen_below() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let lost = book.write(VERIFIER, &[&three], verification());
    book.write(REAPER, &[&lost], forget(&[&one, &two, &three]));
    let swept = book.write(OTHER_REAPER, &[&lost], sweep(&[&one]));
    book.lose(&lost);
    let ledger = book.ledger();
    assert_eq!(live(&ledger), [&two, &three], "the links to them are gone: the safe side");
    assert_eq!(ledger.state(&one.digest), swept_by(&swept), "what is deleted stays deleted");
    // An entry that names all heads reaches them again.
    let heads: Vec<Entry> = ledger.heads().into_iter().cloned().collect();
    let above = book.write(REAPER, &heads.iter().collect::<Vec<_>>(), forget(&[&two]));
    assert_eq!(book.ledger().state(&two.digest), forgotten_by(&above));
}

#[test]
fn names_of_what_is_no_snapshot_mean_nothing() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let forged = book.write(STRANGER, &[&two], snapshot("forged"));
    let check = book.write(VERIFIER, &[&three], verification());
    book.write(REAPER, &[&check, &forged], forget(&[&check, &forged]));
    assert_eq!(live(&book.ledger()), [&one, &two, &three]);
}

#[test]
fn a_hold_lasts_until_a_release_that_had_seen_it() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let set = book.write(REAPER, &[&three], hold(&[&one]));
    let other = book.write(OTHER_REAPER, &[&set], hold(&[&two]));
    let holds = book.ledger().holds().clone();
    assert_eq!(holds.keys().copied().collect::<std::collections::BTreeSet<_>>(), [one.digest, two.digest].into());
    assert_eq!((holds[&one.digest].by, holds[&one.digest].reason.as_str()), (Some(set.digest), "audit"));
    // Beside the hold: had not seen it.
    book.write(OTHER_REAPER, &[&three], release(&[&one]));
    assert_eq!(book.ledger().holds().len(), 2);
    let released = book.write(REAPER, &[&other], release(&[&one]));
    assert_eq!(book.ledger().holds().keys().copied().collect::<Vec<_>>(), [two.digest]);
    book.write(REAPER, &[&released], hold(&[&one]));
    assert_eq!(book.ledger().holds().len(), 2, "held again");
}

#[test]
fn the_custodians_hold_what_no_release_ends() {
    let (mut book, [one, _, three]) = Book::with_three_snapshots();
    book.change(|policy| policy.held = vec![one.digest]);
    book.write(REAPER, &[&three], release(&[&one]));
    let holds = book.ledger().holds().clone();
    assert_eq!(holds[&one.digest].by, None);
    book.change(|policy| policy.held.clear());
    assert!(book.ledger().holds().is_empty());
}

#[test]
fn a_suspect_snapshot_is_passed_over_until_the_custodians_accept_it() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let shrunk = book.write(COLLECTOR, &[&three], suspect("shrunk"));
    let ledger = book.ledger();
    assert_eq!((ledger.latest_good(), ledger.accepted(&shrunk.digest)), (Some(&three), false));
    assert_eq!(ledger.suspicion(&shrunk), Some(&Suspicion::Own("gone: 9 of 10".to_owned())));
    assert_eq!(ledger.problems(), [], "a suspect snapshot is a state, no problem of the ledger");
    book.change(|policy| policy.accepted = vec![shrunk.digest]);
    let ledger = book.ledger();
    assert_eq!((ledger.latest_good(), ledger.accepted(&shrunk.digest)), (Some(&shrunk), true));
}

#[test]
fn a_snapshot_sealed_to_others_than_its_version_names_is_suspect() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let thief = Policy { recovery_recipients: vec![recipient("age1thief")], ..first_policy() };
    let event = SnapshotEvent { recipients: recipients(&thief), ..snapshot_event("four") };
    let four = book.write(COLLECTOR, &[&three], EntryEvent::Snapshot(Box::new(event.clone())));
    let ledger = book.ledger();
    assert_eq!((ledger.suspicion(&four), ledger.latest_good()), (Some(&Suspicion::Recipients), Some(&three)));
    assert!(ledger.problems().contains(&Problem::Recipients { snapshot: four.name() }));
    // A change of the recipients leaves older snapshots as they are, and new ones need the new ones.
    book.change(|policy| policy.recovery_recipients = vec![recipient("age1thief")]);
    let five = book.write(COLLECTOR, &[&four], EntryEvent::Snapshot(Box::new(event)));
    let six = book.write(COLLECTOR, &[&five], snapshot("six"));
    let ledger = book.ledger();
    assert!(ledger.is_good(&three) && !ledger.is_good(&four) && ledger.is_good(&five) && !ledger.is_good(&six));
}

#[test]
fn recipients_of_a_version_that_is_known_and_not_there_cannot_be_checked() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let second = book.change(|policy| policy.recovery_recipients = vec![recipient("age1other")]);
    let four = book.write(COLLECTOR, &[&three], snapshot("four"));
    let third = book.change(|policy| policy.reason = Some("x".to_owned()));
    assert!(!book.ledger().is_good(&four));
    book.lose_policy(second);
    let ledger = book.pinned(third);
    assert_eq!(ledger.status(&four.digest), Some(&EntryStatus::Counts));
    assert!(ledger.is_good(&four), "it cannot be checked, so it is not suspect for it");
}

/// Two collectors, one stolen: the honest one reuses the thief's packs.
#[test]
fn what_reuses_packs_of_a_key_that_was_ended_is_suspect_to_the_next_full_snapshot() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let theirs = book.write(OTHER_COLLECTOR, &[&three], snapshot("garbage"));
    let built = book.write(COLLECTOR, &[&theirs], based("built", &theirs));
    let again = book.write(COLLECTOR, &[&built], based("again", &built));
    let full = book.write(COLLECTOR, &[&again], snapshot("full"));
    let upon_full = book.write(COLLECTOR, &[&full], based("upon full", &full));
    assert!([&built, &again, &full].iter().all(|entry| book.ledger().is_good(entry)));
    book.end(OTHER_COLLECTOR, &[]);
    let ledger = book.ledger();
    assert_eq!(status(&ledger, &theirs), EntryStatus::Void(Void::Ended));
    for entry in [&built, &again] {
        assert_eq!(ledger.suspicion(entry), Some(&Suspicion::Base(theirs.digest)), "{}", entry.name());
        assert!(!ledger.may_build_on(entry), "{}", entry.name());
    }
    assert!(ledger.is_good(&full) && ledger.is_good(&upon_full));
    let tainted = |problem: &&Problem| matches!(problem, Problem::Tainted { count: 2, .. });
    assert_eq!(ledger.problems().iter().filter(tainted).count(), 1);
    // With the thief's entry deleted, what the honest ones say they reuse still shows it.
    book.lose(&theirs);
    let ledger = book.ledger();
    assert!(!ledger.is_good(&built) && !ledger.is_good(&again) && ledger.is_good(&upon_full));
    book.change(|policy| policy.accepted = vec![built.digest]);
    let ledger = book.ledger();
    assert!(ledger.is_good(&built) && ledger.is_good(&again), "what builds on an accepted one is good");
}

/// A planned rotation: the base of what the old key built counts, and whoever deletes its entry cannot take the rest away.
#[test]
fn a_base_that_is_gone_and_was_below_the_end_of_its_key_makes_nothing_suspect() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let four = book.write(COLLECTOR, &[&three], based("four", &three));
    let five = book.write(COLLECTOR, &[&four], based("five", &four));
    let last = book.write(OTHER_COLLECTOR, &[&five], snapshot("another"));
    book.end(COLLECTOR, &[&five]);
    let lost = |gone: &Entry| {
        let mut book = book.clone();
        book.lose(gone);
        book.ledger()
    };
    let ledger = lost(&three);
    assert!(ledger.is_good(&four) && ledger.is_good(&five) && ledger.may_build_on(&five));
    assert!(lost(&four).is_good(&five), "named by the end itself");
    assert_eq!(lost(&three).latest_good(), Some(&last));
    // Nothing leads from the end to what is two holes down, and what is above the end never counted.
    let mut apart = book.clone();
    apart.lose(&four);
    apart.lose(&three);
    let over = apart.write(OTHER_COLLECTOR, &[&last], based("over", &three));
    assert_eq!(apart.ledger().suspicion(&over), Some(&Suspicion::Base(three.digest)));
    book.end(COLLECTOR, &[&two]);
    let over = book.write(OTHER_COLLECTOR, &[&last], based("over", &four));
    book.lose(&four);
    assert_eq!(book.ledger().suspicion(&over), Some(&Suspicion::Base(four.digest)));
}

/// Nothing but its digest ties a base to what builds on it: it may even have the higher sequence.
#[test]
fn a_bad_base_is_found_however_far_back_and_whatever_its_sequence() {
    let (mut book, [one, _, three]) = Book::with_three_snapshots();
    let void = book.write(VERIFIER, &[&three], snapshot("void"));
    let above = book.write(OTHER_COLLECTOR, &[&void], based("above", &void));
    let low = book.write(COLLECTOR, &[&one], based("low", &above));
    assert!(low.sequence < above.sequence);
    let ledger = book.ledger();
    for entry in [&above, &low] {
        assert_eq!(ledger.suspicion(entry), Some(&Suspicion::Base(void.digest)), "{}", entry.name());
    }
}

#[test]
fn a_snapshot_is_found_by_sequence_and_digest_and_a_forgotten_one_only_by_name() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    book.write(REAPER, &[&three], forget(&[&three]));
    let ledger = book.ledger();
    let found = |wanted: &str| find(&ledger, &wanted.parse().unwrap()).map(|(entry, _)| entry.digest);
    assert_eq!(found("latest").unwrap(), two.digest);
    assert_eq!(found("3").unwrap(), three.digest);
    assert_eq!(found(&one.digest.to_string()[..10]).unwrap(), one.digest);
    assert_eq!(find(&ledger, &SnapshotQuery::At(at(0))).unwrap().0.digest, two.digest);
    assert!(found("9").is_err());
}

#[test]
fn what_a_later_minor_says_about_snapshots_is_linked_and_not_followed() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let gone = book.write(REAPER, &[&three], forget(&[&two]));
    let later =
        re_signed(&book, &gone, REAPER, |text| text.replace("\"kind\":\"forget\"", "\"kind\":\"forget_twice\""));
    book.lose(&gone);
    book.add_file(later);
    let ledger = book.ledger();
    assert_eq!(live(&ledger), [&one, &two, &three]);
    let unknown: Vec<&Entry> = ledger.counted().filter(|entry| !entry.event.is_known()).collect();
    assert_eq!(unknown.len(), 1, "what deletes stops at this");
    assert_eq!(unknown[0].effect, keyhaven::format::role::EntryEffect::State);
    assert!(ledger.problems().iter().all(|problem: &Problem| problem.severity() < Severity::Error));
}

#[test]
fn a_list_of_snapshots_is_bounded_and_repeats_nothing() {
    let (book, [one, _, three]) = Book::with_three_snapshots();
    let draft = |event| keyhaven::format::Draft { time: at(9), tool: "test".to_owned(), event };
    let place = book.place(&[&three]);
    let many = |count: u32| (0..count).map(|number| sha256(&number.to_be_bytes())).collect::<Vec<_>>();
    let named = |snapshots| EntryEvent::Forget(ForgetEvent { snapshots, rule: "x".to_owned() });
    assert!(draft(named(many(2_000))).sign(&place, &key(REAPER)).is_ok());
    for wrong in [many(2_001), Vec::new(), vec![one.digest, one.digest]] {
        assert!(draft(named(wrong)).sign(&place, &key(REAPER)).is_err());
    }
    assert!(draft(sweep(&[])).sign(&place, &key(REAPER)).is_ok(), "a sweep may name none");
}

#[test]
fn the_loss_of_a_snapshots_entry_is_a_hole_until_the_custodians_accept_it() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    book.lose(&two);
    let ledger = book.ledger();
    let [problem @ Problem::Hole { parent, named_by }, ..] = ledger.problems() else {
        panic!("{:?}", ledger.problems())
    };
    assert_eq!(
        (*parent, named_by.as_slice(), problem.severity()),
        (two.reference(), [three.name()].as_slice(), Severity::Error)
    );
    assert_eq!((ledger.snapshots(), ledger.heads()), (vec![&one, &three], vec![&one, &three]));
    book.accept_loss(&[EntryRef { sequence: 2, digest: two.digest }]);
    let ledger = book.ledger();
    assert!(ledger.holes().is_empty());
    assert!(ledger.problems().iter().all(|problem| problem.severity() == Severity::Warning));
}
