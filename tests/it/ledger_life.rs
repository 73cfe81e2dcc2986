//! Whether a snapshot is kept, given up or gone, in every order of the entries that say so.

use keyhaven::format::event::{ForgetChange, PinChange, SweepEvent};
use keyhaven::format::{Entry, Event, FormatError, RepositoryId, Role};
use keyhaven::model::Digest;
use keyhaven::repository::ledger::{Ledger, Life, Problem, Severity};

use crate::ledger_kit::*;

const REAPER: u8 = 5;
const OTHER_REAPER: u8 = 6;

fn digests(snapshots: &[&Entry]) -> Vec<Digest> {
    snapshots.iter().map(|entry| entry.digest).collect()
}

fn give_up(snapshots: &[&Entry]) -> Event {
    Event::Forget(ForgetChange::GiveUp { snapshots: digests(snapshots), rule: "keep_last 1".to_owned() })
}

fn undo(snapshots: &[&Entry]) -> Event {
    Event::Forget(ForgetChange::Undo { snapshots: digests(snapshots), reason: "needed".to_owned() })
}

fn sweep(snapshots: &[&Entry]) -> Event {
    Event::Sweep(SweepEvent { snapshots: digests(snapshots), objects: 2, bytes: 70_000, before: at(0) })
}

fn pin(snapshot: &Entry) -> Event {
    Event::Pin(PinChange::Set { snapshot: snapshot.digest, reason: "audit".to_owned() })
}

fn release(snapshot: &Entry) -> Event {
    Event::Pin(PinChange::Release { snapshot: snapshot.digest, reason: "done".to_owned() })
}

/// A book with three snapshots and two reapers, who are known at its head.
fn book() -> (Book, [Entry; 3], Entry) {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let first = book.write(CUSTODIAN, &[&three], add(REAPER, &[Role::Reaper]));
    let head = book.write(CUSTODIAN, &[&first], add(OTHER_REAPER, &[Role::Reaper]));
    (book, [one, two, three], head)
}

fn forgotten_by(entry: &Entry) -> Option<Life> {
    Some(Life::Forgotten { by: entry.digest, rule: "keep_last 1".to_owned() })
}

fn live(ledger: &Ledger) -> Vec<&Entry> {
    ledger.live().collect()
}

#[test]
fn without_a_word_every_snapshot_that_counts_is_kept() {
    let (mut book, [one, two, three], head) = book();
    let forged = book.write(STRANGER, &[&head], snapshot("forged"));
    let ledger = book.ledger();
    assert_eq!(live(&ledger), [&one, &two, &three]);
    assert_eq!(ledger.life(&one.digest), Some(Life::Live));
    assert_eq!((ledger.life(&head.digest), ledger.life(&forged.digest)), (None, None), "no snapshots that count");
}

#[test]
fn what_is_given_up_is_passed_over_and_comes_back_when_it_is_undone() {
    let (mut book, [one, two, three], head) = book();
    let gone = book.write(REAPER, &[&head], give_up(&[&two, &three]));
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), []);
    assert_eq!((live(&ledger), ledger.latest_good()), (vec![&one], Some(&one)));
    assert_eq!(ledger.life(&three.digest), forgotten_by(&gone));
    assert_eq!(ledger.snapshots().len(), 3, "it is still there");
    assert_eq!(ledger.unswept().count(), 3);
    let back = book.write(OTHER_REAPER, &[&gone], undo(&[&three]));
    let ledger = book.ledger();
    assert_eq!((live(&ledger), ledger.latest_good()), (vec![&one, &three], Some(&three)));
    // Given up again, knowing that it was taken back.
    let again = book.write(REAPER, &[&back], give_up(&[&three]));
    assert_eq!(book.ledger().life(&three.digest), forgotten_by(&again));
}

#[test]
fn an_undo_that_the_give_up_had_not_seen_wins_in_either_order() {
    let (mut book, [_, two, _], head) = book();
    let gone = book.write(REAPER, &[&head], give_up(&[&two]));
    book.write(OTHER_REAPER, &[&head], undo(&[&two]));
    assert_eq!(book.ledger().life(&two.digest), Some(Life::Live), "concurrent");
    // A second give-up beside the undo does not help either; one above both does.
    let beside = book.write(REAPER, &[&gone], give_up(&[&two]));
    assert_eq!(book.ledger().life(&two.digest), Some(Life::Live));
    let heads: Vec<Entry> = book.ledger().heads().into_iter().cloned().collect();
    assert_eq!(heads.len(), 2);
    let above = book.write(REAPER, &heads.iter().collect::<Vec<_>>(), give_up(&[&two]));
    assert_eq!(book.ledger().life(&two.digest), forgotten_by(&above));
    book.lose(&above);
    book.lose(&beside);
    assert_eq!(book.ledger().life(&two.digest), Some(Life::Live));
}

#[test]
fn an_undo_from_before_speaks_against_nothing_later() {
    let (mut book, [_, two, _], head) = book();
    let early = book.write(REAPER, &[&head], undo(&[&two]));
    let gone = book.write(REAPER, &[&early], give_up(&[&two]));
    assert_eq!(book.ledger().life(&two.digest), forgotten_by(&gone));
}

#[test]
fn a_sweep_is_final_whatever_else_is_said() {
    let (mut book, [one, two, three], head) = book();
    let gone = book.write(REAPER, &[&head], give_up(&[&one, &two]));
    let swept = book.write(REAPER, &[&gone], sweep(&[&one, &two]));
    let beside = book.write(OTHER_REAPER, &[&gone], undo(&[&one]));
    book.write(OTHER_REAPER, &[&swept, &beside], undo(&[&two]));
    let ledger = book.ledger();
    for snapshot in [&one, &two] {
        let swept = Life::Swept { by: swept.digest, given_up: Some(gone.digest) };
        assert_eq!(ledger.life(&snapshot.digest), Some(swept));
    }
    assert_eq!(live(&ledger), [&three]);
    assert_eq!(ledger.unswept().collect::<Vec<_>>(), [&three]);
}

#[test]
fn a_sweep_takes_only_what_was_given_up_among_its_own_ancestors() {
    let (mut book, [one, two, three], head) = book();
    // By a reaper whose key was stolen, or whose program is wrong.
    let rogue = book.write(REAPER, &[&head], sweep(&[&one, &two, &three]));
    let ledger = book.ledger();
    assert_eq!((ledger.problems(), live(&ledger)), (&[][..], vec![&one, &two, &three]));
    // A give-up beside it or above it does not help it.
    let beside = book.write(OTHER_REAPER, &[&head], give_up(&[&one]));
    book.write(OTHER_REAPER, &[&rogue], give_up(&[&two]));
    let ledger = book.ledger();
    assert_eq!(ledger.life(&one.digest), forgotten_by(&beside));
    assert!(matches!(ledger.life(&two.digest), Some(Life::Forgotten { .. })));
    assert_eq!(ledger.life(&three.digest), Some(Life::Live));
}

#[test]
fn a_sweep_that_had_seen_the_undo_takes_nothing() {
    let (mut book, [one, two, _], head) = book();
    let gone = book.write(REAPER, &[&head], give_up(&[&one, &two]));
    let back = book.write(OTHER_REAPER, &[&gone], undo(&[&one]));
    let swept = book.write(REAPER, &[&back], sweep(&[&one, &two]));
    let ledger = book.ledger();
    assert_eq!(ledger.life(&one.digest), Some(Life::Live));
    let life = Life::Swept { by: swept.digest, given_up: Some(gone.digest) };
    assert_eq!(ledger.life(&two.digest), Some(life));
    // Given up once more, the next one takes it.
    let again = book.write(REAPER, &[&swept], give_up(&[&one]));
    let last = book.write(REAPER, &[&again], sweep(&[&one]));
    let life = Life::Swept { by: last.digest, given_up: Some(again.digest) };
    assert_eq!(book.ledger().life(&one.digest), Some(life));
}

#[test]
fn a_sweep_stays_final_when_whoever_gave_up_is_revoked() {
    let (mut book, [one, two, _], head) = book();
    let gone = book.write(REAPER, &[&head], give_up(&[&one, &two]));
    let swept = book.write(OTHER_REAPER, &[&gone], sweep(&[&one]));
    book.write(CUSTODIAN, &[&swept], revoke(REAPER, None));
    let ledger = book.ledger();
    let life = Life::Swept { by: swept.digest, given_up: Some(gone.digest) };
    assert_eq!(ledger.life(&one.digest), Some(life), "its objects are gone");
    assert_eq!(ledger.life(&two.digest), Some(Life::Live));
}

#[test]
fn only_a_reaper_gives_up_undoes_and_sweeps() {
    let (mut book, [one, two, three], head) = book();
    for seed in [COLLECTOR, VERIFIER, CUSTODIAN, STRANGER] {
        for event in [give_up(&[&three]), sweep(&[&three])] {
            book.write(seed, &[&head], event);
        }
    }
    let ledger = book.ledger();
    assert_eq!(live(&ledger), [&one, &two, &three]);
    assert!(ledger.problems().len() >= 8, "each is reported: {:?}", ledger.problems());
    let gone = book.write(REAPER, &[&head], give_up(&[&three]));
    book.write(CUSTODIAN, &[&gone], undo(&[&three]));
    assert_eq!(book.ledger().life(&three.digest), forgotten_by(&gone));
    // A reaper whose key is revoked gave up nothing.
    book.write(CUSTODIAN, &[&gone], revoke(REAPER, None));
    assert_eq!(book.ledger().life(&three.digest), Some(Life::Live));
}

#[test]
fn a_give_up_reaches_only_what_is_below_it() {
    let (mut book, [_, two, _], head) = book();
    // Made beside the give-up: it cannot have been known to it, and is not given up.
    let beside = book.write(COLLECTOR, &[&head], snapshot("beside"));
    book.write(REAPER, &[&head], give_up(&[&beside, &two]));
    let ledger = book.ledger();
    assert_eq!(ledger.life(&beside.digest), Some(Life::Live));
    assert!(matches!(ledger.life(&two.digest), Some(Life::Forgotten { .. })));
}

#[test]
fn above_a_hole_nothing_is_given_up_that_cannot_be_seen_below() {
    let (mut book, [one, two, three], head) = book();
    let lost = book.write(VERIFIER, &[&head], verification());
    book.write(REAPER, &[&lost], give_up(&[&one, &two, &three]));
    let swept = book.write(OTHER_REAPER, &[&lost], sweep(&[&one]));
    book.lose(&lost);
    let ledger = book.ledger();
    assert_eq!(live(&ledger), [&two, &three], "the links to them are gone: the safe side");
    let life = Life::Swept { by: swept.digest, given_up: None };
    assert_eq!(ledger.life(&one.digest), Some(life), "what is deleted stays deleted");
    // Whoever names all heads reaches them again.
    let heads: Vec<Entry> = ledger.heads().into_iter().cloned().collect();
    let above = book.write(REAPER, &heads.iter().collect::<Vec<_>>(), give_up(&[&two]));
    assert_eq!(book.ledger().life(&two.digest), forgotten_by(&above));
}

#[test]
fn names_of_what_is_no_snapshot_mean_nothing() {
    let (mut book, [one, two, three], head) = book();
    let forged = book.write(STRANGER, &[&three], snapshot("forged"));
    book.write(REAPER, &[&head], give_up(&[&head, &forged, &book.first.clone()]));
    let ledger = book.ledger();
    assert_eq!(live(&ledger), [&one, &two, &three]);
}

#[test]
fn a_pin_holds_until_a_release_that_had_seen_it() {
    let (mut book, [one, two, _], head) = book();
    let set = book.write(REAPER, &[&head], pin(&one));
    let other = book.write(CUSTODIAN, &[&set], pin(&two));
    book.write(VERIFIER, &[&head], pin(&two));
    let pins = book.ledger().pins().clone();
    assert_eq!(pins.keys().copied().collect::<std::collections::BTreeSet<_>>(), [one.digest, two.digest].into());
    assert_eq!((pins[&one.digest].by, pins[&one.digest].reason.as_str()), (set.digest, "audit"));
    assert_eq!(pins[&two.digest].by, other.digest, "a verifier pins nothing");
    // Beside the pin: had not seen it.
    book.write(OTHER_REAPER, &[&head], release(&one));
    assert_eq!(book.ledger().pins().len(), 2);
    let released = book.write(CUSTODIAN, &[&other], release(&one));
    assert_eq!(book.ledger().pins().keys().copied().collect::<Vec<_>>(), [two.digest]);
    book.write(REAPER, &[&released], pin(&one));
    assert_eq!(book.ledger().pins().len(), 2, "pinned again");
}

#[test]
fn what_a_later_minor_says_about_lives_is_linked_and_not_followed() {
    let (mut book, [one, two, three], head) = book();
    let gone = book.write(REAPER, &[&head], give_up(&[&two]));
    let later = re_signed(&book, &gone, REAPER, |text| text.replace("\"give_up\"", "\"give_up_twice\""));
    book.lose(&gone);
    book.add_file(later);
    let set = book.write(REAPER, &[&head], pin(&one));
    let later = re_signed(&book, &set, REAPER, |text| text.replace("\"set\"", "\"set_until\""));
    book.lose(&set);
    book.add_file(later);
    let ledger = book.ledger();
    assert_eq!(live(&ledger), [&one, &two, &three]);
    assert!(ledger.pins().is_empty());
    assert_eq!(ledger.counted().filter(|entry| !entry.event.is_understood()).count(), 2, "what deletes stops at these");
    assert!(ledger.problems().iter().all(|problem: &Problem| problem.severity() < Severity::Error));
}

#[test]
fn a_body_that_this_version_should_know_and_cannot_read_is_no_entry() {
    let (mut book, [_, two, _], head) = book();
    let gone = book.write(REAPER, &[&head], give_up(&[&two]));
    for (from, to) in [("\"rule\"", "\"role\""), ("\"snapshots\"", "\"snapshot\"")] {
        let bad = re_signed(&book, &gone, REAPER, |text| text.replace(from, to));
        let mut book = Book { id: book.id, first: book.first.clone(), files: book.files.clone() };
        book.lose(&gone);
        book.add_file(bad);
        let ledger = book.ledger();
        assert_eq!(ledger.life(&two.digest), Some(Life::Live));
        let malformed =
            |problem: &Problem| matches!(problem, Problem::NotAnEntry { why: FormatError::Malformed { .. }, .. });
        assert!(ledger.problems().iter().any(malformed), "{from}: {:?}", ledger.problems());
    }
}

fn fixture() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1-lives")
}

/// The ledger of the fixture: each kind of entry that says whether a snapshot is kept, in each of its forms.
fn book_of_fixture() -> (Book, [Entry; 4]) {
    let (mut book, [one, two, three], head) = book();
    let four = book.write(COLLECTOR, &[&head], suspect("four"));
    let gone = book.write(REAPER, &[&four], give_up(&[&one, &two, &four]));
    let back = book.write(OTHER_REAPER, &[&gone], undo(&[&two]));
    let set = book.write(CUSTODIAN, &[&back], pin(&two));
    let released = book.write(REAPER, &[&set], release(&two));
    let again = book.write(REAPER, &[&released], pin(&three));
    book.write(REAPER, &[&again], sweep(&[&one]));
    (book, [one, two, three, four])
}

/// Writes the fixture, once for ever: `cargo test --test it make_the_fixture_of_lives -- --ignored`.
#[test]
#[ignore = "the fixture is there; it must never change"]
fn make_the_fixture_of_lives() {
    let (book, _) = book_of_fixture();
    std::fs::create_dir_all(fixture().join("ledger/000000")).unwrap();
    for (name, bytes) in &book.files {
        std::fs::write(fixture().join(name), bytes).unwrap();
    }
    std::fs::write(fixture().join("repository-id"), format!("{}\n", book.id)).unwrap();
}

#[test]
fn the_fixture_of_lives_reads_as_it_was_written() {
    let id: RepositoryId = std::fs::read_to_string(fixture().join("repository-id")).unwrap().trim().parse().unwrap();
    let files: Vec<File> = crate::program::files(&fixture().join("ledger"))
        .into_iter()
        .map(|name| (format!("ledger/{name}"), std::fs::read(fixture().join("ledger").join(&name)).unwrap().into()))
        .collect();
    assert_eq!(files.len(), 13);
    let ledger = Ledger::build(files, id, &[]);
    assert_eq!(ledger.problems(), []);
    assert!(ledger.counted().all(|entry| entry.event.is_understood()));
    let lives: Vec<Life> = ledger.snapshots().iter().map(|entry| ledger.life(&entry.digest).unwrap()).collect();
    assert!(
        matches!(&lives[..], [Life::Swept { .. }, Life::Live, Life::Live, Life::Forgotten { rule, .. }] if rule == "keep_last 1"),
        "{lives:?}"
    );
    assert_eq!(ledger.pins().len(), 1);
    assert_eq!(ledger.latest_good().map(|entry| entry.sequence), Some(4));
}
