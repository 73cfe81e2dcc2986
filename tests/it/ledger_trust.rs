//! Which entries count: keys that come, go and are stolen, holes, accepted snapshots.

use keyhaven::crypto::digest::sha256;
use keyhaven::format::event::{AcceptLossEvent, AcceptSuspectEvent};
use keyhaven::format::{Entry, Event, Place, RepositoryId, Role};
use keyhaven::repository::ledger::{Ledger, Problem, Severity, Standing, Why};

use crate::ledger_kit::*;

#[test]
fn a_suspect_snapshot_is_passed_over_until_a_custodian_accepts_it() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let shrunk = book.write(COLLECTOR, &[&three], suspect("shrunk"));
    let accept = |snapshot| Event::AcceptSuspect(AcceptSuspectEvent { snapshot, reason: "we moved".to_owned() });
    let by_collector = book.write(COLLECTOR, &[&shrunk], accept(shrunk.digest));
    let ledger = book.ledger();
    assert_eq!(ledger.latest_good(), Some(&three));
    assert!(!ledger.accepted(&shrunk.digest));
    assert!(matches!(why(&ledger, &by_collector), Some(Why::NoRole { .. })));
    book.write(CUSTODIAN, &[&shrunk], accept(shrunk.digest));
    let ledger = book.ledger();
    assert_eq!(ledger.latest_good(), Some(&shrunk));
    assert!(ledger.accepted(&shrunk.digest));
}

#[test]
fn a_retired_key_counts_before_its_retirement_and_never_after_or_beside_it() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let retirement = book.write(CUSTODIAN, &[&three], retire(COLLECTOR));
    let after = book.write(COLLECTOR, &[&retirement], snapshot("after"));
    let beside = book.write(COLLECTOR, &[&three], snapshot("beside"));
    let backdated = book.write(COLLECTOR, &[&one], snapshot("backdated"));
    let ledger = book.ledger();
    for entry in [&after, &beside, &backdated] {
        assert_eq!(why(&ledger, entry), Some(Why::Retired { by: retirement.digest }), "{}", entry.name());
    }
    assert_eq!(ledger.snapshots(), [&one, &two, &three]);
    assert_eq!(ledger.heads(), [&retirement]);
}

#[test]
fn a_key_that_was_retired_does_not_come_back() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let retirement = book.write(CUSTODIAN, &[&three], retire(COLLECTOR));
    let again = book.write(CUSTODIAN, &[&retirement], add(COLLECTOR, &[Role::Collector]));
    let after = book.write(COLLECTOR, &[&again], snapshot("after"));
    assert_eq!(why(&book.ledger(), &after), Some(Why::Retired { by: retirement.digest }));
}

#[test]
fn an_entry_above_one_that_stopped_counting_still_counts() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let beside = book.write(COLLECTOR, &[&three], snapshot("beside"));
    let above = book.write(VERIFIER, &[&beside], verification());
    let retirement = book.write(CUSTODIAN, &[&three], retire(COLLECTOR));
    let ledger = book.ledger();
    assert!(why(&ledger, &beside).is_some() && why(&ledger, &above).is_none());
    // `three` is below both, if only through an entry that does not count.
    let mut heads = ledger.heads();
    heads.sort_by_key(|head| head.sequence);
    assert_eq!(heads, [&retirement, &above]);
}

#[test]
fn an_entry_that_does_not_count_hides_no_head() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    book.write(VERIFIER, &[&three], snapshot("no role"));
    assert_eq!(book.ledger().heads(), [&three]);
}

#[test]
fn a_revoked_key_counts_up_to_the_last_good_entry_only() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let revocation = book.write(CUSTODIAN, &[&three], revoke(COLLECTOR, Some(&two)));
    let ledger = book.ledger();
    assert_eq!(ledger.snapshots(), [&one, &two]);
    assert_eq!(why(&ledger, &three), Some(Why::Revoked { by: revocation.digest }));
    assert_eq!(ledger.latest_good(), Some(&two));
    book.lose(&revocation);
    book.write(CUSTODIAN, &[&three], revoke(COLLECTOR, None));
    assert_eq!(book.ledger().snapshots(), Vec::<&Entry>::new());
}

#[test]
fn a_new_key_counts_from_its_grant_on_and_not_beside_it() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let granted = book.write(CUSTODIAN, &[&three], add(5, &[Role::Collector]));
    let good = book.write(5, &[&granted], snapshot("good"));
    let beside = book.write(5, &[&three], snapshot("beside"));
    let ledger = book.ledger();
    assert_eq!(why(&ledger, &good), None);
    assert!(matches!(why(&ledger, &beside), Some(Why::NoRole { .. })));
    assert_eq!(ledger.latest_good(), Some(&good));
}

#[test]
fn what_a_stolen_custodian_key_adds_beside_its_retirement_falls_with_all_that_follows() {
    let (mut book, [one, .., three]) = Book::with_three_snapshots();
    let retirement = book.write(CUSTODIAN, &[&three], retire(OTHER_CUSTODIAN));
    // Long after, somebody finds the retired key and goes back in the ledger with it.
    let backdated = book.write(OTHER_CUSTODIAN, &[&one], add(STRANGER, &[Role::Collector, Role::Custodian]));
    let planted = book.write(STRANGER, &[&backdated], snapshot("planted"));
    let second = book.write(STRANGER, &[&backdated], add(8, &[Role::Collector]));
    let planted_too = book.write(8, &[&second], snapshot("planted too"));
    let ledger = book.ledger();
    assert_eq!(why(&ledger, &backdated), Some(Why::Retired { by: retirement.digest }));
    for entry in [&planted, &second, &planted_too] {
        assert!(matches!(why(&ledger, entry), Some(Why::NoRole { .. })), "{}", entry.name());
    }
    assert_eq!((ledger.heads(), ledger.latest_good()), (vec![&retirement], Some(&three)));
}

#[test]
fn of_two_custodians_who_retire_each_other_the_lower_entry_wins() {
    let (mut book, [one, two, _]) = Book::with_three_snapshots();
    let higher = book.write(OTHER_CUSTODIAN, &[&two], retire(CUSTODIAN));
    let lower = book.write(CUSTODIAN, &[&one], retire(OTHER_CUSTODIAN));
    let ledger = book.ledger();
    assert_eq!(why(&ledger, &lower), None);
    assert_eq!(why(&ledger, &higher), Some(Why::Retired { by: lower.digest }));
}

#[test]
fn a_retired_custodian_key_that_turns_up_again_cannot_retire_those_who_retired_it() {
    let (mut book, [one, .., three]) = Book::with_three_snapshots();
    let retirement = book.write(CUSTODIAN, &[&three], retire(OTHER_CUSTODIAN));
    let after = book.write(COLLECTOR, &[&retirement], snapshot("after"));
    // Older by its links than everything since, and with helpers of the thief's own making.
    let mut top = book.write(OTHER_CUSTODIAN, &[&one], add(STRANGER, &[Role::Verifier]));
    top = book.write(OTHER_CUSTODIAN, &[&top], add(8, &[Role::Verifier]));
    let coup = book.write(OTHER_CUSTODIAN, &[&one], retire(CUSTODIAN));
    for seed in [STRANGER, 8] {
        book.write(seed, &[&coup, &top], verification());
    }
    assert!(coup.sequence < retirement.sequence);
    let ledger = book.ledger();
    assert_eq!((why(&ledger, &retirement), ledger.latest_good()), (None, Some(&after)));
    assert_eq!(why(&ledger, &coup), Some(Why::Retired { by: retirement.digest }));
    assert_eq!(ledger.heads(), [&after]);
}

#[test]
fn a_revocation_that_undoes_its_own_authority_does_not_count() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let granted = book.write(CUSTODIAN, &[&three], add(5, &[Role::Custodian]));
    // Revoked back to before it made this custodian: then nobody may have revoked it.
    let revocation = book.write(5, &[&granted], revoke(CUSTODIAN, Some(&book.first.clone())));
    let ledger = book.ledger();
    assert_eq!((why(&ledger, &granted), why(&ledger, &revocation)), (None, Some(Why::Undone)));
}

#[test]
fn a_custodian_may_retire_itself() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let own = book.write(CUSTODIAN, &[&three], retire(CUSTODIAN));
    let after = book.write(CUSTODIAN, &[&own], retire(COLLECTOR));
    let ledger = book.ledger();
    assert_eq!(why(&ledger, &own), None);
    assert_eq!(why(&ledger, &after), Some(Why::Retired { by: own.digest }));
    assert_eq!(ledger.latest_good(), Some(&three));
}

#[test]
fn a_revocation_takes_back_what_the_thief_did_and_brings_its_victims_back() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let theft = book.write(OTHER_CUSTODIAN, &[&three], add(STRANGER, &[Role::Custodian]));
    let harm = book.write(STRANGER, &[&theft], retire(COLLECTOR));
    let beside = book.write(COLLECTOR, &[&three], snapshot("beside"));
    assert!(why(&book.ledger(), &beside).is_some());
    let cure = book.write(CUSTODIAN, &[&harm, &beside], revoke(OTHER_CUSTODIAN, Some(&two)));
    let ledger = book.ledger();
    assert_eq!(why(&ledger, &cure), None);
    assert!(why(&ledger, &theft).is_some() && why(&ledger, &harm).is_some());
    assert_eq!(why(&ledger, &beside), None);
    assert_eq!(ledger.heads(), [&cure]);
}

#[test]
fn a_hole_is_said_and_what_lies_above_and_below_it_counts() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let granted = book.write(CUSTODIAN, &[&three], add(5, &[Role::Collector]));
    let gone = book.write(5, &[&granted], snapshot("gone"));
    let above = book.write(5, &[&gone], snapshot("above"));
    let last = book.write(COLLECTOR, &[&above], snapshot("last"));
    book.lose(&gone);
    let ledger = book.ledger();
    let [Problem::Missing { parent, named_by, accepted: false }] = ledger.problems() else {
        panic!("{:?}", ledger.problems());
    };
    assert_eq!((*parent, named_by.as_slice()), (gone.digest, [above.name()].as_slice()));
    assert_eq!(ledger.snapshots(), [&one, &two, &three, &above, &last]);
    // Below the hole is a head too: nobody can tell that the lost entry named it.
    assert_eq!(ledger.heads(), [&granted, &last]);
    let loss = AcceptLossEvent { entries: vec![gone.digest], reason: "a disk".to_owned() };
    book.write(COLLECTOR, &[&granted, &last], Event::AcceptLoss(loss));
    let ledger = book.ledger();
    assert!(ledger.missing()[0].accepted);
    assert!(ledger.problems().iter().all(|problem| problem.severity() == Severity::Warning));
}

#[test]
fn a_hole_does_not_bring_a_retired_key_back() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let retirement = book.write(CUSTODIAN, &[&three], retire(COLLECTOR));
    let invented = Place { parents: vec![sha256(b"never was")], sequence: 3, ..book.place(&[&three]) };
    let (forged, bytes) = sign(&invented, COLLECTOR, 3, snapshot("forged"));
    book.files.push((forged.name(), bytes));
    assert_eq!(why(&book.ledger(), &forged), Some(Why::Retired { by: retirement.digest }));
}

#[test]
fn without_the_first_entry_only_named_keys_count() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    book.lose(&book.first.clone());
    let ledger = book.ledger();
    assert!(ledger.problems().iter().any(|problem| matches!(problem, Problem::NoFirst { .. })));
    assert!(ledger.latest_good().is_none() && ledger.heads().is_empty() && ledger.source().is_none());
    let ledger = Ledger::build(book.files.clone(), book.id, &[key(COLLECTOR).public()]);
    assert_eq!(ledger.latest_good(), Some(&three));
    assert!(matches!(ledger.standing(&three.digest), Some(Standing::Overridden { why: Why::NoRole { .. } })));
    assert_eq!(ledger.source(), Some(&source()));
}

#[test]
fn a_named_key_overrides_a_revocation_and_is_flagged() {
    let (mut book, [.., two, three]) = Book::with_three_snapshots();
    book.write(CUSTODIAN, &[&three], revoke(COLLECTOR, Some(&two)));
    let ledger = Ledger::build(book.files.clone(), book.id, &[key(COLLECTOR).public()]);
    assert_eq!(ledger.latest_good(), Some(&three));
    assert!(matches!(ledger.standing(&three.digest), Some(Standing::Overridden { why: Why::Revoked { .. } })));
    assert!(matches!(ledger.standing(&two.digest), Some(Standing::Counts)));
}

#[test]
fn a_repository_with_another_id_trusts_nothing_here() {
    let (book, _) = Book::with_three_snapshots();
    let ledger = Ledger::build(book.files.clone(), RepositoryId(sha256(b"other")), &[]);
    assert_eq!((ledger.counted().count(), ledger.entries().len()), (0, 0));
    assert_eq!(ledger.problems().iter().filter(|problem| matches!(problem, Problem::Foreign { .. })).count(), 3);
}

#[test]
fn key_entries_by_strangers_are_ignored_and_those_of_granted_custodians_are_not() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let granted = book.write(CUSTODIAN, &[&three], add(50, &[Role::Custodian]));
    let by_granted = book.write(50, &[&granted], add(51, &[Role::Collector]));
    let mut top = three.clone();
    for _ in 0..30 {
        top = book.write(STRANGER, &[&top], add(STRANGER, &[Role::Custodian]));
    }
    let last = book.write(51, &[&by_granted], snapshot("four"));
    let ledger = book.ledger();
    assert_eq!(why(&ledger, &top), Some(Why::NoRole { kind: "keys".to_owned() }));
    assert_eq!(ledger.latest_good(), Some(&last), "a key that a granted custodian added counts");
    assert_eq!(ledger.problems().len(), 30);
}
