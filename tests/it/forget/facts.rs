//! What retention believes of a ledger: times that cannot be, and which snapshot was verified last.

use keyhaven::format::event::VerificationEvent;
use keyhaven::format::{Entry, EntryEvent};
use keyhaven::job::forget::{Candidate, StoredTimes, candidates};
use keyhaven::model::Timestamp;

use crate::kit::ledger::*;

const DAY: i64 = 24 * 60;

fn stored(of: &[(&Entry, i64)]) -> StoredTimes {
    of.iter().map(|(entry, minute)| (entry.digest, at(*minute))).collect()
}

fn times(book: &Book, stored: &StoredTimes, of: &Entry, now: i64) -> (Timestamp, Timestamp) {
    let found = candidates(&book.ledger(), stored, at(now));
    let one = found.iter().find(|one| one.digest == of.digest).unwrap();
    (one.time, one.stored)
}

/// A snapshot that claims a time, in an entry that claims another.
fn claims(book: &mut Book, parent: &Entry, taken: i64, signed: i64) -> Entry {
    let EntryEvent::Snapshot(mut event) = snapshot(&format!("{taken} {signed}")) else { unreachable!() };
    event.time = at(taken);
    book.store(book.entry(COLLECTOR, &[parent]).at(signed), EntryEvent::Snapshot(event))
}

#[test]
fn a_time_that_can_be_is_believed_and_the_store_agrees() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let entry = claims(&mut book, &three, 100, 110);
    assert_eq!(times(&book, &StoredTimes::new(), &entry, 200), (at(100), at(100)), "nobody knows better");
    assert_eq!(times(&book, &stored(&[(&entry, 111)]), &entry, 200), (at(100), at(100)));
}

#[test]
fn a_time_that_cannot_be_is_that_of_the_store() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let now = 10 * DAY;
    // Signed before its parent; signed in the future; taken after it was signed; taken long before.
    for (taken, signed) in [(-50, -50), (now + 60, now + 60), (200, 100), (100, 5 * DAY)] {
        let entry = claims(&mut book, &three, taken, signed);
        let known = stored(&[(&entry, 9 * DAY)]);
        assert_eq!(times(&book, &known, &entry, now), (at(9 * DAY), at(9 * DAY)), "{taken} {signed}");
    }
}

#[test]
fn a_history_written_today_is_of_today_by_the_store() {
    let (mut book, [one, ..]) = Book::with_three_snapshots();
    // On an old parent, so that its claims contradict nothing in the ledger.
    let forged = claims(&mut book, &one, 2 * DAY, 2 * DAY + 5);
    let known = stored(&[(&forged, 9 * DAY)]);
    assert_eq!(times(&book, &known, &forged, 10 * DAY), (at(2 * DAY), at(9 * DAY)));
}

fn verified(of: &[&Entry], level: &str, passed: bool) -> EntryEvent {
    let entries = of.iter().map(|entry| entry.digest).collect();
    let (level, problems) = (level.to_owned(), u64::from(!passed));
    EntryEvent::Verification(VerificationEvent { level, slice: None, passed, problems, entries, counts: None })
}

/// Which of the candidates is taken for the last verified one.
fn last_verified(book: &Book) -> Vec<u64> {
    let all: Vec<Candidate> = candidates(&book.ledger(), &StoredTimes::new(), at(100));
    all.iter().filter(|one| one.verified).map(|one| one.sequence).collect()
}

#[test]
fn the_last_verified_one_is_the_newest_good_one_that_was_looked_at() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let shallow = book.write(VERIFIER, &[&three], verified(&[&three], "ledger", true));
    let failed = book.write(VERIFIER, &[&shallow], verified(&[&three], "payload", false));
    let by_stranger = book.write(STRANGER, &[&failed], verified(&[&three], "objects", true));
    let without_the_role = book.write(COLLECTOR, &[&failed], verified(&[&three], "objects", true));
    assert_eq!(last_verified(&book), [] as [u64; 0], "no proof among these");
    let one_only = book.write(VERIFIER, &[&failed], verified(&[&two], "objects", true));
    assert_eq!(last_verified(&book), [two.sequence]);
    // Of everything: it names the head, which is no snapshot, and covers what is below.
    book.write(VERIFIER, &[&one_only, &by_stranger, &without_the_role], verified(&[&one_only], "objects", true));
    assert_eq!(last_verified(&book), [three.sequence]);
}

#[test]
fn a_suspect_one_that_was_verified_proves_nothing_of_those_below_it() {
    let (mut book, [.., two, three]) = Book::with_three_snapshots();
    let checked = book.write(VERIFIER, &[&three], verified(&[&two], "objects", true));
    let odd = book.write(COLLECTOR, &[&checked], suspect("odd"));
    book.write(VERIFIER, &[&odd], verified(&[&odd], "payload", true));
    assert_eq!(last_verified(&book), [two.sequence], "rather an older one that was looked at");
}
