//! Which entries count under a policy: ended keys, entries that cannot be judged yet, sequences out of reach, missing
//! entries.

use keyhaven::crypto::digest::sha256;
use keyhaven::format::{Entry, EntryRef, PolicyRef, RepositoryId, SigningRole};
use keyhaven::repository::find::{SnapshotQuery, find};
use keyhaven::repository::ledger::{EntryStatus, NotAuthorised, Pending, Problem, Severity, Void};
use keyhaven::repository::{RepositoryError, trust::Pin};

use crate::kit::ledger::*;

/// A version that nobody here has.
fn never_was() -> PolicyRef {
    PolicyRef { version: 9, digest: sha256(b"version 9") }
}

#[test]
fn a_retired_key_counts_up_to_its_last_entries_and_never_after_or_beside_them() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let beside = book.write(COLLECTOR, &[&three], snapshot("beside"));
    let other = book.write(OTHER_COLLECTOR, &[&three], snapshot("other"));
    book.end(COLLECTOR, &[&three]);
    let after = book.write(COLLECTOR, &[&other], snapshot("after"));
    let backdated = book.write(COLLECTOR, &[&one], snapshot("backdated"));
    let ledger = book.ledger();
    for entry in [&beside, &after, &backdated] {
        assert_eq!(status(&ledger, entry), EntryStatus::Void(Void::Ended), "{}", entry.name());
    }
    assert_eq!(ledger.snapshots(), [&one, &two, &three, &other]);
    let void = ledger.problems().iter().find(|problem| matches!(problem, Problem::Void { .. })).unwrap();
    assert!(matches!(void, Problem::Void { count: 3, name, .. } if name == "key 1"), "{void:?}");
    assert_eq!(void.severity(), Severity::Warning, "a correct revocation is no alarm for ever");
}

#[test]
fn a_revoked_key_counts_up_to_the_last_good_entry_or_not_at_all() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let check = book.write(VERIFIER, &[&three], verification());
    book.end(COLLECTOR, &[&two]);
    let ledger = book.ledger();
    assert_eq!(ledger.snapshots(), [&one, &two]);
    assert_eq!((status(&ledger, &three), ledger.latest_good()), (EntryStatus::Void(Void::Ended), Some(&two)));
    assert_eq!(status(&ledger, &check), EntryStatus::Counts, "what is above it is judged by itself");
    book.end(COLLECTOR, &[]);
    assert_eq!(book.ledger().snapshots(), Vec::<&Entry>::new());
}

/// Attack 1: the revoked key deletes its revocation and goes on.
#[test]
fn an_ended_key_never_counts_again_whatever_is_deleted() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let second = book.end(COLLECTOR, &[&two]);
    let carrying = book.entry(OTHER_COLLECTOR, &[&three]).carrying(&book.envelope(second));
    let honest = book.store(carrying, snapshot("honest"));
    let check = book.write(VERIFIER, &[&honest], verification());
    // PUT and DELETE, and the key.
    let stolen = book.entry(COLLECTOR, &[&check]).under(PolicyRef { version: 1, digest: book.id.0 });
    let planted = book.store(stolen, snapshot("planted"));
    book.lose_policy(second);
    let ledger = book.ledger();
    assert_eq!(status(&ledger, &planted), EntryStatus::Void(Void::Ended), "the version is in an honest entry");
    assert_eq!(ledger.latest_good(), Some(&honest));
    // With that gone as well, an honest entry that names the version makes everything undecided, not the thief's.
    book.lose(&honest);
    let unsure = book.store(book.entry(OTHER_COLLECTOR, &[&check]), snapshot("honest again"));
    let ledger = book.ledger();
    assert_eq!(status(&ledger, &unsure), EntryStatus::Pending(Pending::UnknownPolicy));
    assert!(find(&ledger, &SnapshotQuery::Latest).is_err());
    // And whoever holds on to the version is not misled at all.
    let pin = Pin { policy: second, bytes: Some(sign_policy(&second_policy(&book, &two), &[]).1) };
    let ledger = book.read(&[pin]).unwrap();
    assert_eq!((ledger.latest_good(), status(&ledger, &planted)), (Some(&unsure), EntryStatus::Void(Void::Ended)));
}

/// The version that ended the collector at an entry, as [`Book::end`] wrote it.
fn second_policy(book: &Book, until: &Entry) -> keyhaven::format::Policy {
    book.following(&[PolicyRef { version: 1, digest: book.id.0 }], |policy| end(policy, COLLECTOR, &[until]))
}

#[test]
fn a_run_that_began_under_the_version_before_counts() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let first = book.policy;
    book.change(|policy| policy.keys.push(policy_key(20, &[SigningRole::Verifier])));
    let late = book.store(book.entry(COLLECTOR, &[&three]).under(first), snapshot("late"));
    let checked = book.store(book.entry(20, &[&late]).under(first), verification());
    let ledger = book.ledger();
    assert_eq!((ledger.problems(), ledger.heads()), ([].as_slice(), vec![&checked]));
}

/// Flaw 4: with a pin at the newest version, and with an older one lost but named.
#[test]
fn entries_under_older_versions_count_for_whoever_is_pinned_and_where_one_is_lost() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let second = book.change(|policy| policy.reason = Some("second".to_owned()));
    let four = book.write(COLLECTOR, &[&three], snapshot("four"));
    let third = book.change(|policy| policy.reason = Some("third".to_owned()));
    let five = book.write(COLLECTOR, &[&four], snapshot("five"));
    let first = PolicyRef { version: 1, digest: book.id.0 };
    assert_eq!((book.pinned(third).snapshots().len(), book.pinned(third).latest_good()), (5, Some(&five)));
    for gone in [first, second] {
        let mut book = book.clone();
        book.lose_policy(gone);
        let ledger = book.pinned(third);
        assert_eq!((ledger.snapshots().len(), ledger.problems()), (5, [].as_slice()), "{gone}");
    }
    book.lose_policy(second);
    let ledger = book.ledger();
    assert_eq!((ledger.snapshots().len(), ledger.latest_good()), (5, Some(&five)), "named by a version that fits");
}

#[test]
fn a_snapshot_under_a_version_that_nobody_knows_is_pending_and_there_is_no_latest() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let pending = book.store(book.entry(COLLECTOR, &[&three]).under(never_was()), snapshot("pending"));
    let above = book.write(OTHER_COLLECTOR, &[&pending], snapshot("above"));
    let ledger = book.ledger();
    assert_eq!(status(&ledger, &pending), EntryStatus::Pending(Pending::UnknownPolicy));
    assert_eq!(status(&ledger, &above), EntryStatus::Counts, "an entry that names it is judged by itself");
    assert_eq!(ledger.heads(), [&above]);
    assert_eq!(ledger.pending_snapshots().collect::<Vec<_>>(), [&pending]);
    let [problem @ Problem::PendingSnapshots { .. }] = &ledger.problems()[..1] else { panic!() };
    assert_eq!(problem.severity(), Severity::Error);
    for wanted in [SnapshotQuery::Latest, SnapshotQuery::At(at(100))] {
        let Err(RepositoryError::PendingSnapshots { candidates }) = find(&ledger, &wanted) else { panic!() };
        assert_eq!(candidates.len(), 2, "{candidates:?}");
        assert!(candidates[0].contains(&pending.reference().to_string()));
        assert_eq!(candidates[1], above.reference().to_string());
    }
    assert_eq!(find(&ledger, &"5".parse().unwrap()).unwrap().0, &above, "by name it works");
    assert_eq!(find(&ledger, &"4".parse().unwrap()).unwrap().0, &pending, "and so does the pending one");
}

/// Flaw 5: a live verifier's key freezes nothing.
#[test]
fn only_a_live_key_with_the_role_can_be_pending() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    book.end(OTHER_COLLECTOR, &[]);
    let mut forged = Vec::new();
    for seed in [VERIFIER, REAPER, OPERATOR, OTHER_COLLECTOR, CUSTODIANS[0], STRANGER] {
        forged.push(book.store(book.entry(seed, &[&three]).under(never_was()), snapshot("forged")));
    }
    let ledger = book.ledger();
    let statuses: Vec<EntryStatus> = forged.iter().map(|entry| status(&ledger, entry)).collect();
    let no_role = EntryStatus::Void(Void::NoRole);
    let ended = EntryStatus::Void(Void::Ended);
    let stranger = EntryStatus::Stranger;
    let expected = [no_role.clone(), no_role.clone(), no_role, ended, stranger.clone(), stranger];
    assert_eq!(statuses, expected);
    assert_eq!(find(&ledger, &SnapshotQuery::Latest).unwrap().0, &three);
    assert!(ledger.problems().iter().all(|problem| problem.severity() == Severity::Warning));
    let strangers = ledger.problems().iter().find(|problem| matches!(problem, Problem::Strangers { .. })).unwrap();
    assert!(matches!(strangers, Problem::Strangers { count: 2, newer: true, .. }), "{strangers:?}");
    // A verification by a live verifier may be pending, and stops nobody.
    let check = book.store(book.entry(VERIFIER, &[&three]).under(never_was()), verification());
    let ledger = book.ledger();
    assert_eq!(status(&ledger, &check), EntryStatus::Pending(Pending::UnknownPolicy));
    assert_eq!(find(&ledger, &SnapshotQuery::Latest).unwrap().0, &three);
    assert!(ledger.problems().iter().all(|problem| problem.severity() == Severity::Warning));
}

/// A version is known on whatever branch: a reader that keeps to one is not stopped by honest entries under the other.
#[test]
fn a_version_of_the_other_branch_of_a_fork_is_known() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let first = book.policy;
    let (a, b) = (
        book.following(&[first], |policy| policy.reason = Some("a".to_owned())),
        book.following(&[first], |policy| policy.keys.push(policy_key(20, &[SigningRole::Collector]))),
    );
    let (a, b) = (book.put_policy(&a, TWO), book.put_policy(&b, TWO));
    let four = book.store(book.entry(COLLECTOR, &[&three]).under(a), snapshot("four"));
    let ledger = book.pinned(b);
    assert_eq!((status(&ledger, &four), ledger.latest_good()), (EntryStatus::Counts, Some(&four)));
    // In the fork a key that only one branch lists is a stranger's.
    let five = book.store(book.entry(20, &[&four]).under(b), snapshot("five"));
    assert_eq!(status(&book.ledger(), &five), EntryStatus::Stranger);
    assert_eq!(status(&book.pinned(b), &five), EntryStatus::Counts);
}

/// Attack 2 and flaw 2: no key uses up the sequences, in one jump or in two.
#[test]
fn a_jump_far_above_everything_is_out_of_reach_and_so_is_what_stands_on_it() {
    let top = 999_999_999_990;
    for seed in [COLLECTOR, VERIFIER, OTHER_COLLECTOR] {
        let (mut book, [.., three]) = Book::with_three_snapshots();
        let kind = || if seed == VERIFIER { verification() } else { snapshot("jump") };
        let made_up = EntryRef { sequence: top, digest: sha256(b"made up") };
        let jump = book.store(book.entry(seed, &[&three]).above(made_up), kind());
        let second = book.write(seed, &[&jump], kind());
        let by_stranger = book.write(STRANGER, &[&second], verification());
        let third = book.write(seed, &[&by_stranger], kind());
        let ledger = book.ledger();
        for entry in [&jump, &second, &third] {
            assert_eq!(status(&ledger, entry), EntryStatus::Pending(Pending::OutOfReach), "{}", entry.name());
        }
        assert_eq!(ledger.parents(), [three.reference()], "the next entry is the fourth");
        let honest = book.write(OTHER_COLLECTOR, &[&three], snapshot("honest"));
        assert_eq!((honest.sequence, status(&book.ledger(), &honest)), (4, EntryStatus::Counts));
        // The key ends, and what it wrote is void.
        book.end(seed, &[]);
        let ledger = book.ledger();
        assert!(matches!(status(&ledger, &jump), EntryStatus::Void(_)));
        assert!(ledger.pending_snapshots().next().is_none());
    }
}

#[test]
fn a_hole_of_up_to_10_000_entries_is_passed_over_and_a_longer_one_waits_for_the_custodians() {
    for (gap, reached) in [(10_000, true), (10_001, false)] {
        let (mut book, [.., three]) = Book::with_three_snapshots();
        let lost = EntryRef { sequence: three.sequence + gap - 1, digest: sha256(b"lost") };
        let above = book.store(book.entry(COLLECTOR, &[]).above(lost), snapshot("above"));
        let upon = book.write(OTHER_COLLECTOR, &[&above], snapshot("upon"));
        let ledger = book.ledger();
        assert_eq!(above.sequence - three.sequence, gap);
        for entry in [&above, &upon] {
            assert_eq!(status(&ledger, entry).counts(), reached, "{gap}");
        }
        book.accept_loss(&[lost]);
        let ledger = book.ledger();
        assert_eq!((ledger.latest_good(), ledger.holes().len()), (Some(&upon), 0), "{gap}");
    }
}

/// Else the revocation of a collector that wrote 10,001 entries in a row would put everybody above it out of reach.
#[test]
fn ended_keys_are_in_the_measure_and_strangers_are_not() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let step = |sequence| EntryRef { sequence, digest: sha256(&sequence.to_be_bytes()) };
    let rung = book.store(book.entry(COLLECTOR, &[&three]).above(step(9_000)), snapshot("rung"));
    let honest = book.store(book.entry(OTHER_COLLECTOR, &[&rung]).above(step(18_000)), snapshot("honest"));
    assert_eq!(status(&book.ledger(), &honest), EntryStatus::Counts);
    book.end(COLLECTOR, &[&three]);
    let ledger = book.ledger();
    assert_eq!(
        (status(&ledger, &rung), status(&ledger, &honest)),
        (EntryStatus::Void(Void::Ended), EntryStatus::Counts)
    );
    let mut book = Book::with_three_snapshots().0;
    book.store(book.entry(STRANGER, &[&three]).above(step(9_000)), snapshot("rung"));
    let jump = book.store(book.entry(OTHER_COLLECTOR, &[&three]).above(step(18_000)), snapshot("jump"));
    assert_eq!(status(&book.ledger(), &jump), EntryStatus::Pending(Pending::OutOfReach));
}

/// Flaw 11: heads.
#[test]
fn an_entry_that_does_not_count_unmakes_no_head_and_links_what_is_below_it() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    book.write(STRANGER, &[&three], snapshot("stranger"));
    book.write(VERIFIER, &[&three], snapshot("no role"));
    assert_eq!(book.ledger().heads(), [&three]);
    let mut head = three;
    for number in 0..6 {
        let void = book.write(OTHER_COLLECTOR, &[&head], snapshot(&format!("void {number}")));
        head = book.write(COLLECTOR, &[&void], snapshot(&format!("honest {number}")));
    }
    book.end(OTHER_COLLECTOR, &[]);
    assert_eq!(book.ledger().heads(), [&head]);
}

#[test]
fn a_hole_is_named_until_its_loss_is_accepted_and_what_is_above_and_below_it_counts() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let gone = book.write(OTHER_COLLECTOR, &[&three], snapshot("gone"));
    let above = book.write(OTHER_COLLECTOR, &[&gone], snapshot("above"));
    let last = book.write(COLLECTOR, &[&above], snapshot("last"));
    book.lose(&gone);
    let ledger = book.ledger();
    assert_eq!(ledger.holes()[0].entry, gone.reference());
    let [problem @ Problem::Hole { parent, named_by }] = &ledger.problems()[..1] else { panic!() };
    assert_eq!((*parent, named_by.as_slice()), (gone.reference(), [above.name()].as_slice()));
    assert_eq!(problem.severity(), Severity::Error);
    assert_eq!(ledger.snapshots(), [&one, &two, &three, &above, &last]);
    // Below the hole is a head too: nobody can tell that the lost entry named it.
    assert_eq!(ledger.heads(), [&three, &last]);
    book.write(COLLECTOR, &[&three, &last], snapshot("joined"));
    book.accept_loss(&[gone.reference()]);
    let ledger = book.ledger();
    assert!(ledger.holes().is_empty());
    assert!(ledger.problems().iter().all(|problem| problem.severity() == Severity::Warning));
}

#[test]
fn what_a_writer_says_is_lost_silences_no_check() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    book.lose(&two);
    let writing = book.entry(COLLECTOR, &[&three]).losing(&[two.reference()]);
    book.store(writing, snapshot("four"));
    assert!(
        book.ledger().problems().contains(&Problem::Hole { parent: two.reference(), named_by: vec![three.name()] })
    );
}

/// With the entries between missing, nobody can say whether it is below the end of its key.
#[test]
fn entries_of_an_ended_key_below_a_hole_are_unproven_kept_and_never_latest() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let second = book.end(COLLECTOR, &[&three]);
    let late = book.write(COLLECTOR, &[&three], snapshot("late"));
    book.lose(&two);
    let ledger = book.ledger();
    assert_eq!(ledger.unproven().collect::<Vec<_>>(), [&one]);
    assert_eq!(
        (status(&ledger, &one), status(&ledger, &late)),
        (EntryStatus::Void(Void::Ended), EntryStatus::Void(Void::Ended))
    );
    assert_eq!((ledger.snapshots(), ledger.latest_good()), (vec![&three], Some(&three)));
    assert!(ledger.problems().iter().any(|problem| matches!(problem, Problem::Unproven { count: 1, .. })));
    assert_eq!(find(&ledger, &"1".parse().unwrap()).unwrap().0, &one, "by name it can be had");
    // With the end itself gone, everything below it is unproven.
    book.lose(&three);
    assert_eq!(book.ledger().unproven().collect::<Vec<_>>(), [&one]);
    assert!(book.ledger().latest_good().is_none());
    // The custodians may move the end, or accept the loss.
    book.end(COLLECTOR, &[&one]);
    let ledger = book.ledger();
    assert_eq!((ledger.unproven().count(), ledger.latest_good()), (0, Some(&one)));
    let mut other = book.clone();
    other.policy = second;
    other.lose_policy(book.policy);
    other.accept_loss(&[two.reference(), three.reference()]);
    let ledger = other.ledger();
    assert_eq!((ledger.unproven().count(), ledger.latest_good()), (0, None), "what is lost proves nothing any more");
}

#[test]
fn a_repository_with_another_id_trusts_nothing_here() {
    let (book, _) = Book::with_three_snapshots();
    let other = Book { id: RepositoryId(sha256(b"other")), ..book };
    assert!(other.read(&[]).is_err());
}

#[test]
fn a_writer_is_refused_with_the_reason_before_it_writes() {
    let (mut book, _) = Book::with_three_snapshots();
    let check = |book: &Book, seed: u8, role| book.ledger().check_signer(&fingerprint(seed), role);
    assert_eq!(check(&book, COLLECTOR, SigningRole::Collector), Ok(()));
    assert_eq!(check(&book, COLLECTOR, SigningRole::Verifier), Err(NotAuthorised::NoRole(SigningRole::Verifier)));
    assert_eq!(check(&book, CUSTODIANS[0], SigningRole::Collector), Err(NotAuthorised::NotListed));
    book.end(COLLECTOR, &[]);
    assert_eq!(check(&book, COLLECTOR, SigningRole::Collector), Err(NotAuthorised::Ended));
    for error in [NotAuthorised::NotListed, NotAuthorised::NoRole(SigningRole::Reaper), NotAuthorised::Ended] {
        assert!(error.to_string().contains("key"), "{error}");
    }
}

#[test]
fn the_first_entry_of_a_key_under_a_version_carries_it() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let collector = fingerprint(COLLECTOR);
    assert!(book.ledger().must_carry(&collector));
    let envelope = book.envelope(book.policy);
    let four = book.store(book.entry(COLLECTOR, &[&three]).carrying(&envelope), snapshot("four"));
    assert!(!book.ledger().must_carry(&collector) && book.ledger().must_carry(&fingerprint(VERIFIER)));
    book.change(|policy| policy.reason = Some("x".to_owned()));
    book.write(COLLECTOR, &[&four], snapshot("five"));
    assert!(book.ledger().must_carry(&collector));
}
