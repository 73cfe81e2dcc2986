//! Which version of the trust policy is in force: what fits, forks, pins, missing versions, signatures from wherever.

use bytes::Bytes;
use data_encoding::BASE64;
use keyhaven::crypto::KeyInfo;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::envelope::{Envelope, Holds, Signature};
use keyhaven::format::policy::Custodian;
use keyhaven::format::{Policy, PolicyRef, RepositoryId, SigningRole, names};
use keyhaven::repository::ledger::{EntryStatus, Problem, Severity};
use keyhaven::repository::trust::{Misfit, Pin, PinError, check_alone};

use crate::kit::ledger::*;

fn in_force(book: &Book) -> Vec<PolicyRef> {
    book.ledger().trust().branches().map(|(version, _)| version).collect()
}

/// A public key of whatever bytes.
pub(crate) fn public_key(bytes: &[u8]) -> KeyInfo {
    serde_json::from_str(&format!("\"{}\"", BASE64.encode(bytes))).unwrap()
}

/// An Ed25519 key of these 32 bytes, sound or not.
fn raw_key(raw: [u8; 32]) -> KeyInfo {
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    public_key(&[&prefix[..], &raw].concat())
}

#[test]
fn version_1_is_in_force_until_another_fits() {
    let mut book = Book::new();
    let first = book.policy;
    assert_eq!(in_force(&book), [first]);
    let second = book.change(|policy| policy.keys.push(policy_key(20, &[SigningRole::Verifier])));
    assert_eq!(in_force(&book), [second]);
    let third = book.following(&[second], |policy| policy.threshold = 3);
    let third = book.put_policy(&third, &CUSTODIANS);
    assert_eq!(in_force(&book), [third]);
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), []);
    assert_eq!(ledger.policy().map(|policy| policy.threshold), Some(3));
    assert_eq!(ledger.trust().fit().iter().copied().collect::<Vec<_>>(), [first, second, third]);
    // From now on three must sign.
    let fourth = book.following(&[third], |policy| policy.threshold = 1);
    book.put_policy(&fourth, TWO);
    assert_eq!(in_force(&book), [third]);
    let signed = book.put_policy(&fourth, &CUSTODIANS);
    assert_eq!(in_force(&book), [signed], "signatures of both files are pooled");
}

/// A version upon version 1 that does not fit.
struct Unfit {
    name: &'static str,
    signers: &'static [u8],
    change: fn(&mut Policy),
    why: fn(&Misfit) -> bool,
}

const UNFIT: &[Unfit] = &[
    Unfit {
        name: "no signature",
        signers: &[],
        change: |_| {},
        why: |why| matches!(why, Misfit::UnsignedBefore { predecessor: 1, signed: 0, needed: 2 }),
    },
    Unfit {
        name: "one custodian of two",
        signers: &[3],
        change: |_| {},
        why: |why| matches!(why, Misfit::UnsignedBefore { signed: 1, .. }),
    },
    Unfit {
        name: "keys that are no custodians'",
        signers: &[1, 2, 3, 9],
        change: |_| {},
        why: |why| matches!(why, Misfit::UnsignedBefore { signed: 1, .. }),
    },
    Unfit {
        name: "new custodians who did not sign",
        signers: TWO,
        change: |policy| policy.custodians = [21, 22, 23].map(custodian).into(),
        why: |why| matches!(why, Misfit::Unsigned { signed: 0, needed: 2 }),
    },
    Unfit {
        name: "new custodians alone",
        signers: &[21, 22, 23],
        change: |policy| policy.custodians = [21, 22, 23].map(custodian).into(),
        why: |why| matches!(why, Misfit::UnsignedBefore { signed: 0, .. }),
    },
    Unfit {
        name: "a higher threshold that it does not meet itself",
        signers: TWO,
        change: |policy| policy.threshold = 3,
        why: |why| matches!(why, Misfit::Unsigned { signed: 2, needed: 3 }),
    },
    Unfit {
        name: "threshold 0",
        signers: &[3, 4, 11],
        change: |policy| policy.threshold = 0,
        why: |why| matches!(why, Misfit::Threshold { threshold: 0, .. }),
    },
    Unfit {
        name: "threshold 4 of 3",
        signers: &[3, 4, 11],
        change: |policy| policy.threshold = 4,
        why: |why| matches!(why, Misfit::Threshold { threshold: 4, custodians: 3 }),
    },
    Unfit {
        name: "a number left out",
        signers: TWO,
        change: |policy| policy.version = 3,
        why: |why| *why == Misfit::Number,
    },
    Unfit {
        name: "of another repository",
        signers: TWO,
        change: |policy| policy.repository = Some(RepositoryId(sha256(b"other"))),
        why: |why| *why == Misfit::Foreign,
    },
    Unfit {
        name: "upon a version that is nowhere",
        signers: TWO,
        change: |policy| policy.previous = vec![PolicyRef { version: 1, digest: sha256(b"other") }],
        why: |why| *why == Misfit::NoPredecessor,
    },
    Unfit {
        name: "a key left out",
        signers: TWO,
        change: |policy| policy.keys.retain(|key| key.public_key.fingerprint() != fingerprint(COLLECTOR)),
        why: |why| matches!(why, Misfit::Key { key, predecessor: 1 } if *key == fingerprint(COLLECTOR)),
    },
    Unfit {
        name: "a key with a role more",
        signers: TWO,
        change: |policy| {
            let key = policy.keys.iter_mut().find(|key| key.public_key.fingerprint() == fingerprint(VERIFIER)).unwrap();
            key.roles = vec!["collector".to_owned(), "verifier".to_owned()];
        },
        why: |why| matches!(why, Misfit::Key { key, .. } if *key == fingerprint(VERIFIER)),
    },
    Unfit {
        name: "a custodian's key that signs entries, too",
        signers: TWO,
        change: |policy| policy.keys.push(policy_key(3, &[SigningRole::Collector])),
        why: |why| matches!(why, Misfit::Repeated { key } if *key == fingerprint(3)),
    },
    Unfit {
        name: "no recovery recipient",
        signers: TWO,
        change: |policy| policy.recovery_recipients.clear(),
        why: |why| *why == Misfit::NoRecipient,
    },
    Unfit {
        name: "runs longer than the grace",
        signers: TWO,
        change: |policy| policy.settings.longest_run_seconds = policy.settings.grace_seconds + 1,
        why: |why| *why == Misfit::Grace,
    },
    Unfit {
        name: "257 keys that have not ended",
        signers: TWO,
        change: |policy| {
            let more = (0..250_u32).map(|number| {
                let seed = sha256(&number.to_be_bytes());
                let key = keyhaven::crypto::SigningKey::from_seed(seed.as_bytes()).public();
                keyhaven::format::policy::PolicyKey {
                    public_key: key.into(),
                    ..policy_key(1, &[SigningRole::Verifier])
                }
            });
            let more: Vec<_> = more.collect();
            policy.keys.extend(more);
        },
        why: |why| *why == Misfit::Keys,
    },
    Unfit {
        name: "a key of small order",
        signers: TWO,
        change: |policy| {
            let mut identity = [0; 32];
            identity[0] = 1;
            let key = policy_key(20, &[SigningRole::Verifier]);
            policy.keys.push(keyhaven::format::policy::PolicyKey { public_key: raw_key(identity), ..key });
        },
        why: |why| matches!(why, Misfit::Weak { .. }),
    },
    Unfit {
        name: "a custodian whose key is in no canonical form",
        signers: TWO,
        // The identity again, with y = p + 1.
        change: |policy| {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (0xee, 0x7f);
            policy.custodians.push(Custodian { name: "weak".to_owned(), public_key: raw_key(bytes) });
        },
        why: |why| matches!(why, Misfit::Weak { .. }),
    },
];

#[test]
fn every_version_that_does_not_fit_is_named_with_its_reason_and_changes_nothing() {
    for unfit in UNFIT {
        let (mut book, [.., three]) = Book::with_three_snapshots();
        let first = book.policy;
        let next = book.following(&[first], unfit.change);
        let version = book.put_policy(&next, unfit.signers);
        let ledger = book.ledger();
        let [(misfit, why)] = ledger.trust().misfits() else {
            panic!("{}: {:?}", unfit.name, ledger.trust().misfits());
        };
        assert!(*misfit == version && (unfit.why)(why), "{}: {why:?}", unfit.name);
        let [problem @ Problem::Misfits { count: 1, .. }] = ledger.problems() else {
            panic!("{:?}", ledger.problems())
        };
        assert_eq!(problem.severity(), Severity::Warning, "anybody can put a file there");
        assert!(problem.to_string().contains(&version.to_string()), "{problem}");
        assert_eq!(in_force(&book), [first], "{}", unfit.name);
        assert_eq!(ledger.latest_good(), Some(&three), "{}", unfit.name);
    }
}

#[test]
fn what_no_predecessor_could_make_fit_is_refused_before_it_is_signed() {
    for unfit in UNFIT {
        let book = Book::new();
        let next = book.following(&[book.policy], unfit.change);
        let alone = ["threshold", "signs entries", "recovery recipient", "grace", "257", "small order", "canonical"];
        let expected = alone.iter().any(|word| unfit.name.contains(word)) && !unfit.name.contains("does not meet");
        assert_eq!(check_alone(&next).is_err(), expected, "{}", unfit.name);
    }
}

#[test]
fn a_version_must_name_what_its_predecessor_names() {
    let mut book = Book::new();
    let first = book.policy;
    let second = book.change(|_| {});
    let third = book.following(&[second], |policy| policy.previous.retain(|version| *version != first));
    book.put_policy(&third, TWO);
    let ledger = book.ledger();
    assert_eq!(ledger.trust().misfits()[0].1, Misfit::NotNamed { version: first, predecessor: 2 });
}

#[test]
fn an_ended_key_stays_ended_in_every_later_version_whatever_the_end() {
    let (mut book, [one, two, _]) = Book::with_three_snapshots();
    let second = book.end(COLLECTOR, &[&one]);
    let back = book.following(&[second], |policy| policy.keys.iter_mut().for_each(|key| key.until = None));
    book.put_policy(&back, &CUSTODIANS);
    let ledger = book.ledger();
    assert!(matches!(ledger.trust().misfits()[0].1, Misfit::Key { predecessor: 2, .. }));
    assert_eq!(ledger.snapshots(), [&one]);
    book.end(COLLECTOR, &[&two]);
    assert_eq!(book.ledger().snapshots(), [&one, &two], "the end may move");
}

#[test]
fn a_custodian_counts_once_however_often_it_signs() {
    let mut book = Book::new();
    let first = book.policy;
    let next = book.following(&[first], |_| {});
    let (version, bytes) = sign_policy(&next, &[3]);
    let mut envelope = Policy::decode(&bytes).unwrap().2;
    envelope.pool((0..4).map(|number| Signature { keyid: fingerprint(3), bytes: vec![number; 64] }));
    // A signature of one custodian in the name of another.
    let theirs = envelope.good_of(&key(3).public()).unwrap().clone();
    let stolen = Signature { keyid: fingerprint(4), ..theirs };
    envelope.pool([stolen]);
    book.trust.push((names::policy(&version), envelope.encode(Holds::Policy).unwrap().into()));
    assert_eq!(in_force(&book), [first]);
}

#[test]
fn a_threshold_of_0_opens_nothing_where_the_version_fits_by_its_digest() {
    let mut book = Book::of(&Policy { threshold: 0, ..first_policy() });
    let first = book.policy;
    let next = book.following(&[first], |policy| policy.threshold = 1);
    book.put_policy(&next, &[STRANGER]);
    assert_eq!(in_force(&book), [first]);
    let signed = book.put_policy(&next, &[3]);
    assert_eq!(in_force(&book), [signed]);
}

#[test]
fn custodians_of_an_unknown_algorithm_are_not_counted_and_break_nothing() {
    let unknown = Custodian { name: "of tomorrow".to_owned(), public_key: public_key(&[7; 1_300]) };
    let mut book = Book::of(&{
        let mut policy = first_policy();
        policy.custodians.push(unknown.clone());
        policy.sort();
        policy
    });
    let first = book.policy;
    let next = book.following(&[first], |policy| policy.reason = Some("x".to_owned()));
    let (version, bytes) = sign_policy(&next, &[3]);
    let mut envelope = Policy::decode(&bytes).unwrap().2;
    envelope.pool([Signature { keyid: unknown.public_key.fingerprint(), bytes: vec![1; 2_420] }]);
    book.trust.push((names::policy(&version), envelope.encode(Holds::Policy).unwrap().into()));
    assert_eq!(in_force(&book), [first]);
    book.put_policy(&next, TWO);
    assert_eq!(in_force(&book), [version]);
}

#[test]
fn a_fork_counts_what_both_branches_count_until_a_version_names_both() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let first = book.policy;
    let a = book.following(&[first], |policy| end(policy, COLLECTOR, &[&one]));
    let b = book.following(&[first], |policy| end(policy, COLLECTOR, &[&two]));
    let (a, b) = (book.put_policy(&a, TWO), book.put_policy(&b, &[4, 11]));
    let ledger = book.ledger();
    assert!(ledger.trust().is_fork());
    assert_eq!(ledger.trust().writes_under().map(|(version, _)| version), Some(first));
    let [problem @ Problem::Fork { .. }] = &ledger.problems()[..1] else { panic!("{:?}", ledger.problems()) };
    assert_eq!(problem.severity(), Severity::Error);
    assert_eq!(ledger.snapshots(), [&one], "under both");
    // A reader that holds on to one branch keeps to it.
    assert_eq!(book.pinned(b).snapshots(), [&one, &two]);
    assert!(!book.pinned(b).trust().is_fork());
    // Custodians of both sides end it.
    let merge = book.following(&[a, b], |policy| end(policy, COLLECTOR, &[&two, &three]));
    assert_eq!((merge.version, merge.previous.len()), (3, 3));
    let merge = book.put_policy(&merge, TWO);
    let ledger = book.ledger();
    assert_eq!((ledger.problems(), ledger.snapshots().len()), ([].as_slice(), 3));
    assert_eq!(ledger.trust().branches().map(|(version, _)| version).collect::<Vec<_>>(), [merge]);
}

/// Flaw 1 of the second attack: a fork by old custodians, and a merge that its own custodian alone signs.
#[test]
fn a_merge_needs_the_custodians_of_every_branch() {
    let (mut book, [one, .., three]) = Book::with_three_snapshots();
    let first = book.policy;
    let replaced = book.following(&[first], |policy| {
        policy.custodians = [21, 22, 23].map(custodian).into();
        end(policy, COLLECTOR, &[&one]);
    });
    let replaced = book.put_policy(&replaced, &[3, 4, 21, 22]);
    // Two old custodians with another grudge: their own branch, with one custodian and the collector alive.
    let mut fork = book.following(&[first], |policy| {
        policy.custodians = vec![custodian(30)];
        policy.threshold = 1;
    });
    fork.reason = Some("theft".to_owned());
    let fork = book.put_policy(&fork, &[3, 4, 30]);
    assert!(book.ledger().trust().is_fork());
    let merge = |alive: bool| {
        book.following(&[replaced, fork], |policy| {
            policy.custodians = vec![custodian(30)];
            policy.threshold = 1;
            let until = (!alive).then(|| vec![one.reference()]);
            let key = policy.keys.iter_mut().find(|key| key.public_key.fingerprint() == fingerprint(COLLECTOR));
            key.unwrap().until = until;
        })
    };
    let (ended, alive) = (merge(false), merge(true));
    let mut book = book.clone();
    for (merge, signers) in [(&ended, &[30][..]), (&alive, &[30]), (&alive, &[30, 21, 22])] {
        let version = book.put_policy(merge, signers);
        let ledger = book.ledger();
        assert!(ledger.trust().is_fork(), "{signers:?}");
        assert!(ledger.trust().misfits().iter().any(|(misfit, _)| *misfit == version), "{signers:?}");
        assert_eq!((ledger.snapshots(), ledger.latest_good()), (vec![&one], Some(&one)));
    }
    // With the signatures of both, and the ended key ended, it is a merge as any other.
    let version = book.put_policy(&ended, &[30, 21, 22]);
    assert_eq!(in_force(&book), [version]);
    assert_eq!(book.ledger().status(&three.digest).map(EntryStatus::counts), Some(false));
}

#[test]
fn a_pin_holds_without_any_signature_and_with_its_bytes_without_the_bucket() {
    let (mut book, _) = Book::with_three_snapshots();
    let first = book.policy;
    let second = book.change(|policy| policy.reason = Some("second".to_owned()));
    let third = book.change(|policy| policy.reason = Some("third".to_owned()));
    let (_, stripped) = sign_policy(&book.get_policy(second), &[]);
    let with_bytes = Pin { policy: second, bytes: Some(stripped.clone()) };
    for gone in [first, second, third] {
        let mut book = book.clone();
        book.lose_policy(gone);
        let ledger = book.read(std::slice::from_ref(&with_bytes)).unwrap();
        let in_force = if gone == third { second } else { third };
        assert_eq!(ledger.trust().branches().map(|(version, _)| version).collect::<Vec<_>>(), [in_force], "{gone}");
        assert_eq!(ledger.trust().missing(), [], "{gone}: what the pin names is not asked for");
        assert_eq!(ledger.snapshots().len(), 3, "{gone}");
    }
    // Without its bytes it must be somewhere.
    let mut without = book.clone();
    without.lose_policy(second);
    let pin = Pin { policy: second, bytes: None };
    assert_eq!(without.read(&[pin]).unwrap_err(), PinError::Missing { pin: second });
    without.trust.push((names::policy(&second), stripped));
    assert_eq!(without.pinned(second).trust().branches().map(|(version, _)| version).collect::<Vec<_>>(), [third]);
}

#[test]
fn of_several_pins_of_one_chain_the_highest_holds_and_two_branches_are_an_error() {
    let mut book = Book::new();
    let first = book.policy;
    let a = book.change(|policy| policy.reason = Some("a".to_owned()));
    let b = book.following(&[first], |policy| policy.reason = Some("b".to_owned()));
    let b = book.put_policy(&b, TWO);
    let pin = |policy| Pin { policy, bytes: None };
    for pins in [vec![pin(first), pin(a)], vec![pin(a), pin(first)], vec![pin(a)]] {
        let trust = book.judged(&pins).unwrap();
        assert_eq!((trust.pinned(), trust.is_fork()), (a, false));
    }
    for (one, other) in [(a, b), (b, a)] {
        let error = book.judged(&[pin(one), pin(other)]).unwrap_err();
        assert!(matches!(error, PinError::TwoBranches { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains(&a.to_string()) && said.contains(&b.to_string()), "{said}");
    }
    let foreign = first_policy();
    let foreign = Policy { version: 2, previous: vec![first], repository: Some(RepositoryId(sha256(b"x"))), ..foreign };
    let (version, bytes) = sign_policy(&foreign, TWO);
    let error = book.judged(&[Pin { policy: version, bytes: Some(bytes) }]).unwrap_err();
    assert_eq!(error, PinError::Foreign { pin: version });
}

#[test]
fn bytes_that_are_not_the_pinned_version_are_as_good_as_none() {
    let mut book = Book::new();
    let second = book.change(|_| {});
    book.lose_policy(second);
    for bytes in [Bytes::from_static(b"rubbish"), book.trust[0].1.clone()] {
        let error = book.judged(&[Pin { policy: second, bytes: Some(bytes) }]).unwrap_err();
        assert_eq!(error, PinError::Missing { pin: second });
    }
}

/// Flaw 14.
#[test]
fn a_version_that_is_named_and_gone_or_stripped_is_an_error_of_a_check() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let second = book.change(|policy| policy.reason = Some("second".to_owned()));
    let third = book.change(|policy| policy.reason = Some("third".to_owned()));
    let whole = book.clone();
    book.lose_policy(second);
    let missing = [Problem::MissingVersion { version: second }];
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), missing);
    assert_eq!(ledger.problems()[0].severity(), Severity::Error);
    assert_eq!((ledger.trust().missing(), ledger.latest_good()), (vec![second], Some(&three)), "it holds all the same");
    // Overwritten with the same payload and no signature: it is there, and does not fit.
    book.put_policy(&whole.get_policy(second), &[]);
    let ledger = book.ledger();
    assert_eq!(ledger.trust().missing(), [second]);
    assert!(ledger.problems().contains(&missing[0]));
    // Below a pin nothing is asked for.
    assert_eq!(book.pinned(third).problems(), []);
}

/// Flaw 3: with the signatures gone the version is not in force; the copy in an entry brings them back.
#[test]
fn signatures_come_from_every_copy_wherever_it_is() {
    let (mut book, [one, _, three]) = Book::with_three_snapshots();
    let first = book.policy;
    let next = book.following(&[first], |policy| end(policy, COLLECTOR, &[&one]));
    let second = book.put_policy(&next, &[3]);
    assert_eq!(book.ledger().latest_good(), Some(&three), "one signature is not enough");
    let (_, by_other) = sign_policy(&next, &[4]);
    let other = Policy::decode(&by_other).unwrap().2;
    // In an entry of a stranger, of whom nothing else counts.
    let writing = book.entry(STRANGER, &[&three]).under(second).carrying(&other);
    let carrier = book.store(writing, verification());
    let ledger = book.ledger();
    assert_eq!(ledger.trust().branches().map(|(version, _)| version).collect::<Vec<_>>(), [second]);
    assert_eq!(ledger.status(&carrier.digest), Some(&EntryStatus::Stranger));
    assert_eq!(ledger.snapshots(), [&one]);
    // With the file in the bucket gone altogether, one copy with both signatures does.
    book.lose_policy(second);
    let both = Policy::decode(&sign_policy(&next, TWO).1).unwrap().2;
    book.store(book.entry(VERIFIER, &[&carrier]).under(second).carrying(&both), verification());
    assert_eq!(in_force(&book), [second]);
}

#[test]
fn an_entry_carries_nothing_but_the_version_that_it_names() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let first = book.policy;
    let second = book.following(&[first], |policy| policy.threshold = 3);
    let (second, bytes) = sign_policy(&second, &CUSTODIANS);
    let envelope: Envelope = Policy::decode(&bytes).unwrap().2;
    let place = book.entry(COLLECTOR, &[&three]).carrying(&envelope).place;
    let draft = keyhaven::format::Draft { time: at(9), tool: "test".to_owned(), event: snapshot("x") };
    assert!(draft.sign(&place, &key(COLLECTOR)).is_err(), "it names version 1");
    assert_eq!(in_force(&book), [first]);
    book.store(book.entry(COLLECTOR, &[&three]).under(second).carrying(&envelope), snapshot("x"));
    assert_eq!(in_force(&book), [second]);
}

#[test]
fn files_that_are_no_policies_are_rubbish_and_change_nothing() {
    let mut book = Book::new();
    let first = book.policy;
    let whole = book.trust[0].clone();
    let text = String::from_utf8(whole.1.to_vec()).unwrap();
    let other = first_policy_elsewhere();
    book.trust.extend([
        ("trust/readme.txt".to_owned(), Bytes::from_static(b"hello")),
        (whole.0.replace("000001", "000002"), whole.1.clone()),
        (names::policy(&PolicyRef { version: 2, digest: sha256(b"x") }), text.replace(',', ", ").into()),
        (names::policy(&other.0), other.1),
    ]);
    let ledger = book.read(&[]).unwrap();
    assert_eq!(ledger.trust().branches().map(|(version, _)| version).collect::<Vec<_>>(), [first]);
    assert!(ledger.problems().iter().all(|problem| problem.severity() == Severity::Warning));
}

/// Version 1 of another repository.
fn first_policy_elsewhere() -> (PolicyRef, Bytes) {
    sign_policy(&Policy { tool: "elsewhere".to_owned(), ..first_policy() }, TWO)
}

/// Attack 3: whoever has fewer custodians' keys than the threshold changes nothing, early or late.
#[test]
fn no_stolen_custodian_key_below_the_threshold_changes_anything() {
    let (mut book, [one, .., three]) = Book::with_three_snapshots();
    let first = book.policy;
    let theft = |policy: &mut Policy| {
        policy.custodians = vec![custodian(3)];
        policy.threshold = 1;
        end(policy, COLLECTOR, &[]);
    };
    let early = book.following(&[first], theft);
    book.put_policy(&early, &[3, COLLECTOR, OTHER_COLLECTOR]);
    assert_eq!((in_force(&book), book.ledger().latest_good().cloned()), (vec![first], Some(three.clone())));
    // The others answer; then he answers again, from below and from above.
    let second = book.change(|policy| policy.custodians = [4, 11, 12].map(custodian).into());
    assert_eq!(in_force(&book), [first], "the new custodians must sign, too");
    let answer = book.get_policy(second);
    book.put_policy(&answer, &[4, 11, 12]);
    for before in [first, second] {
        let late = book.following(&[before], theft);
        book.put_policy(&late, &[3, COLLECTOR]);
    }
    assert_eq!(in_force(&book), [second]);
    assert_eq!(book.ledger().snapshots().len(), 3);
    assert_ne!(book.ledger().snapshots(), [&one]);
}
