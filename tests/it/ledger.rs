//! What a ledger makes of good, bad, forged and replayed files: what is reported, and that the rest still counts.

use bytes::Bytes;
use data_encoding::BASE64;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::envelope::Envelope;
use keyhaven::format::event::AcceptSuspectEvent;
use keyhaven::format::{Draft, Entry, Event, Place, RepositoryId, Role, SourceName, names};
use keyhaven::model::Digest;
use keyhaven::repository::ledger::{Problem, Severity, Why};
use proptest::prelude::*;

use crate::ledger_kit::*;

#[test]
fn a_good_ledger_has_no_problems() {
    let (book, [one, two, three]) = Book::with_three_snapshots();
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), []);
    assert_eq!(ledger.entries().len(), 4);
    assert_eq!(ledger.heads(), [&three]);
    assert_eq!(ledger.snapshots(), [&one, &two, &three]);
    assert_eq!(ledger.latest_good(), Some(&three));
    assert_eq!(ledger.source(), Some(&source()));
    assert_eq!(ledger.first().map(|entry| entry.digest), Some(book.id.0));
    assert!(ledger.is_ancestor(&one.digest, &three.digest) && !ledger.is_ancestor(&three.digest, &one.digest));
    assert!(!ledger.is_ancestor(&one.digest, &one.digest));
    assert_eq!(ledger.last_of(&fingerprint(COLLECTOR)), Some(&three));
}

#[test]
fn the_order_of_the_files_changes_nothing() {
    let (mut book, [one, ..]) = Book::with_three_snapshots();
    book.write(VERIFIER, &[&one], verification());
    book.write(STRANGER, &[&one], snapshot("forged"));
    let forward = book.ledger();
    book.files.reverse();
    let backward = book.ledger();
    assert_eq!(forward.entries(), backward.entries());
    assert_eq!(forward.problems(), backward.problems());
    assert_eq!(forward.heads(), backward.heads());
}

/// What makes a bad file out of a good ledger, and what has to be said about it.
struct Bad {
    name: &'static str,
    make: fn(&Book, &Entry) -> File,
    reported: fn(&Problem) -> bool,
}

fn not_an_entry(problem: &Problem) -> bool {
    matches!(problem, Problem::NotAnEntry { .. })
}

fn wrong_name(problem: &Problem) -> bool {
    matches!(problem, Problem::WrongName { .. })
}

const BAD_FILES: &[Bad] = &[
    Bad {
        name: "re-indented",
        make: |book, entry| named(entry.sequence, book.text(entry).replace(',', ", ")),
        reported: not_an_entry,
    },
    Bad {
        name: "re-ordered",
        make: |book, entry| {
            let text = book.text(entry);
            let (payload, rest) = text.trim_start_matches('{').split_once(',').unwrap();
            named(entry.sequence, format!("{{{},{payload}}}", rest.strip_suffix('}').unwrap()))
        },
        reported: not_an_entry,
    },
    Bad {
        name: "extra member",
        make: |book, entry| named(entry.sequence, book.text(entry).replacen('{', r#"{"note":"","#, 1)),
        reported: not_an_entry,
    },
    Bad {
        name: "extra signature",
        make: |book, entry| {
            let text = book.text(entry);
            let one = text.split_once("\"signatures\":[").unwrap().1.strip_suffix("]}").unwrap();
            named(entry.sequence, text.replace(one, &format!("{one},{one}")))
        },
        reported: not_an_entry,
    },
    Bad {
        name: "unpadded base64",
        make: |book, entry| {
            let text = book.text(entry);
            // A signature of 64 bytes always ends in padding.
            named(entry.sequence, text.replace("==\"}]}", "\"}]}"))
        },
        reported: not_an_entry,
    },
    Bad {
        name: "line feed at the end",
        make: |book, entry| named(entry.sequence, book.text(entry) + "\n"),
        reported: not_an_entry,
    },
    Bad {
        name: "cut off",
        make: |book, entry| named(entry.sequence, book.bytes(entry).slice(..200)),
        reported: not_an_entry,
    },
    Bad { name: "empty", make: |_, entry| named(entry.sequence, Bytes::new()), reported: not_an_entry },
    Bad {
        name: "too large",
        make: |_, entry| named(entry.sequence, vec![b' '; 1024 * 1024 + 1]),
        reported: not_an_entry,
    },
    Bad {
        name: "nested without end",
        make: |_, entry| named(entry.sequence, "[".repeat(500_000)),
        reported: not_an_entry,
    },
    Bad {
        name: "signed by two keys at once",
        make: |book, entry| {
            let mine = Envelope::decode(&book.bytes(entry)).unwrap();
            let theirs = Envelope::sign(mine.payload.clone(), &key(VERIFIER));
            let second =
                format!("}},{{\"keyid\":\"{}\",\"sig\":\"{}\"}}]", theirs.key, BASE64.encode(&theirs.signature));
            named(entry.sequence, book.text(entry).replace("}]", &second))
        },
        reported: not_an_entry,
    },
    Bad {
        name: "of another major version",
        make: |book, entry| {
            re_signed(book, entry, COLLECTOR, |text| text.replace("\"format\":\"1.0\"", "\"format\":\"2.0\""))
        },
        reported: |problem| not_an_entry(problem) && problem.to_string().contains("format 2.0"),
    },
    Bad {
        name: "a member twice",
        make: |book, entry| {
            re_signed(book, entry, COLLECTOR, |text| text.replace("\"tool\":", "\"tool\":\"x\",\"tool\":"))
        },
        reported: not_an_entry,
    },
    Bad {
        name: "a body twice",
        make: |book, entry| {
            re_signed(book, entry, COLLECTOR, |text| text.replace("\"snapshot\":{", "\"snapshot\":{},\"snapshot\":{"))
        },
        reported: not_an_entry,
    },
    Bad {
        name: "subjects that are not its catalogue",
        make: |book, entry| {
            re_signed(book, entry, COLLECTOR, |text| {
                let (head, tail) = text.split_once(",\"predicateType\"").unwrap();
                let (before, _) = head.split_once("\"subject\":").unwrap();
                format!("{before}\"subject\":[],\"predicateType\"{tail}")
            })
        },
        reported: not_an_entry,
    },
    Bad {
        name: "unsorted parents",
        make: |book, entry| {
            re_signed(book, entry, COLLECTOR, |text| {
                let (head, tail) = text.split_once("\"parents\":[").unwrap();
                let highest = Digest::from_bytes([0xff; 32]);
                format!("{head}\"parents\":[\"{highest}\",{tail}")
            })
        },
        reported: not_an_entry,
    },
    Bad {
        name: "no parents and no first entry",
        make: |book, entry| {
            re_signed(book, entry, COLLECTOR, |text| {
                let parent = entry.parents.first().unwrap();
                text.replace(&format!("\"parents\":[\"{parent}\"]"), "\"parents\":[]")
            })
        },
        reported: not_an_entry,
    },
    Bad {
        name: "another predicate",
        make: |book, entry| {
            re_signed(book, entry, COLLECTOR, |text| text.replace("urn:keyhaven:ledger-entry:1", "urn:other"))
        },
        reported: not_an_entry,
    },
    Bad {
        name: "wrong sequence in its name",
        make: |book, entry| (names::entry(entry.sequence + 1, &entry.digest), book.bytes(entry)),
        reported: wrong_name,
    },
    Bad {
        name: "wrong digest in its name",
        make: |book, entry| (names::entry(entry.sequence, &sha256(b"other")), book.bytes(entry)),
        reported: wrong_name,
    },
    Bad {
        name: "replayed in another folder",
        make: |book, entry| (entry.name().replace("ledger/000000/", "ledger/000001/"), book.bytes(entry)),
        reported: wrong_name,
    },
    Bad {
        name: "a stray file",
        make: |_, _| ("ledger/000000/notes.txt".to_owned(), Bytes::from_static(b"hello")),
        reported: wrong_name,
    },
    Bad {
        name: "signed by an unknown key",
        make: |book, entry| {
            let (entry, bytes) = sign(&book.place(&[entry]), STRANGER, 9, snapshot("forged"));
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::UnknownKey { key, .. } if *key == fingerprint(STRANGER)),
    },
    Bad {
        name: "the same payload signed by an unknown key",
        make: |book, entry| re_signed(book, entry, STRANGER, str::to_owned),
        reported: |problem| matches!(problem, Problem::UnknownKey { .. }),
    },
    Bad {
        name: "the same payload signed by a key without the role",
        make: |book, entry| re_signed(book, entry, VERIFIER, str::to_owned),
        reported: |problem| matches!(problem, Problem::Ignored { why: Why::NoRole { .. }, .. }),
    },
    Bad {
        name: "signed by one key in the name of another",
        make: |book, entry| {
            let payload = Envelope::decode(&book.bytes(entry)).unwrap().payload;
            let forged = Envelope { key: fingerprint(COLLECTOR), ..Envelope::sign(payload, &key(STRANGER)) };
            named(entry.sequence, forged.encode())
        },
        reported: |problem| matches!(problem, Problem::BadSignature { .. }),
    },
    Bad {
        name: "payload changed under its signature",
        make: |book, entry| {
            let mut envelope = Envelope::decode(&book.bytes(entry)).unwrap();
            let text = String::from_utf8(envelope.payload).unwrap();
            envelope.payload = text.replace("\"tool\":\"test\"", "\"tool\":\"Test\"").into_bytes();
            named(entry.sequence, envelope.encode())
        },
        reported: |problem| matches!(problem, Problem::BadSignature { .. }),
    },
    Bad {
        name: "a key without the role",
        make: |book, entry| {
            let (entry, bytes) = sign(&book.place(&[entry]), VERIFIER, 9, snapshot("forged"));
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::Ignored { why: Why::NoRole { .. }, .. }),
    },
    Bad {
        name: "a collector that gives itself keys",
        make: |book, entry| {
            let (entry, bytes) = sign(&book.place(&[entry]), COLLECTOR, 9, add(STRANGER, &[Role::Custodian]));
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::Ignored { why: Why::NoRole { .. }, .. }),
    },
    Bad {
        name: "a second first entry",
        make: |_, _| {
            let mut event = init();
            if let Event::Init(init) = &mut event {
                init.keys.push(grant(STRANGER, &[Role::Collector]));
            }
            let (entry, bytes) = sign(&Place::first(source()), STRANGER, 0, event);
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::SecondFirst { .. }),
    },
    Bad {
        name: "an entry of a foreign repository",
        make: |book, entry| {
            let place = Place { repository: Some(RepositoryId(sha256(b"other"))), ..book.place(&[entry]) };
            let (entry, bytes) = sign(&place, COLLECTOR, 9, snapshot("foreign"));
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::Foreign { .. }),
    },
    Bad {
        name: "an entry about another instance",
        make: |book, entry| {
            let other = SourceName { crn: "crn:v1:other".to_owned(), region: "eu-de".to_owned() };
            let (entry, bytes) = sign(&Place { source: other, ..book.place(&[entry]) }, COLLECTOR, 9, snapshot("x"));
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::OtherSource { .. }),
    },
    Bad {
        name: "a gap in the sequence",
        make: |book, entry| {
            let place = Place { sequence: entry.sequence + 2, ..book.place(&[entry]) };
            let (entry, bytes) = sign(&place, COLLECTOR, 9, snapshot("ahead"));
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::Ignored { why: Why::Sequence { expected: 5 }, .. }),
    },
    Bad {
        name: "a sequence that goes back",
        make: |book, entry| {
            let place = Place { sequence: 2, ..book.place(&[entry]) };
            let (entry, bytes) = sign(&place, COLLECTOR, 9, snapshot("behind"));
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::Ignored { why: Why::Sequence { .. }, .. }),
    },
    Bad {
        name: "a sequence that fits only the lower one of its parents",
        make: |book, entry| {
            let parents = vec![entry.digest, entry.parents[0]];
            let place = Place { sequence: entry.sequence, parents, ..book.place(&[entry]) };
            let (entry, bytes) = sign(&place, COLLECTOR, 9, snapshot("beside"));
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::Ignored { why: Why::Sequence { expected: 5 }, .. }),
    },
    Bad {
        name: "an old catalogue passed off as the present",
        make: |book, entry| {
            let (entry, bytes) = sign(&book.place(&[entry]), COLLECTOR, 9, snapshot("one"));
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::Ignored { why: Why::OldCatalogue, .. }),
    },
    Bad {
        name: "accepting what is no snapshot",
        make: |book, entry| {
            let event = AcceptSuspectEvent { snapshot: book.first.digest, reason: String::new() };
            let (entry, bytes) = sign(&book.place(&[entry]), CUSTODIAN, 9, Event::AcceptSuspect(event));
            (entry.name(), bytes)
        },
        reported: |problem| matches!(problem, Problem::Ignored { why: Why::NothingToAccept { .. }, .. }),
    },
];

#[test]
fn an_old_catalogue_does_not_excuse_its_second_copy() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let old = book.write(COLLECTOR, &[&three], snapshot("one"));
    let again = book.write(COLLECTOR, &[&old], snapshot("one"));
    let accept = AcceptSuspectEvent { snapshot: again.digest, reason: String::new() };
    let accepting = book.write(CUSTODIAN, &[&again], Event::AcceptSuspect(accept));
    let ledger = book.ledger();
    for entry in [&old, &again] {
        assert_eq!(why(&ledger, entry), Some(Why::OldCatalogue), "{}", entry.name());
    }
    assert_eq!(why(&ledger, &accepting), Some(Why::NothingToAccept { snapshot: again.digest }));
    assert_eq!(ledger.latest_good(), Some(&three));
}

#[test]
fn every_bad_file_is_named_alone_and_stops_nothing() {
    for bad in BAD_FILES {
        let (mut book, [.., three]) = Book::with_three_snapshots();
        let good = book.ledger();
        let file = (bad.make)(&book, &three);
        book.files.push(file.clone());
        let ledger = book.ledger();
        let [problem] = ledger.problems() else {
            panic!("{}: expected one problem, got {:?}", bad.name, ledger.problems());
        };
        assert!((bad.reported)(problem), "{}: {problem:?}", bad.name);
        assert_eq!(problem.severity(), Severity::Error, "{}", bad.name);
        assert!(problem.to_string().contains(&file.0), "{} is not named: {problem}", bad.name);
        assert!(ledger.counted().eq(good.counted()), "{}: other entries count", bad.name);
        assert_eq!(ledger.heads(), [&three], "{}", bad.name);
        assert_eq!(ledger.latest_good(), Some(&three), "{}", bad.name);
    }
}

#[test]
fn all_bad_files_at_once_stop_nothing_either() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let bad: Vec<File> = BAD_FILES.iter().map(|bad| (bad.make)(&book, &three)).collect();
    book.files.extend(bad);
    let ledger = book.ledger();
    assert_eq!(ledger.problems().len(), BAD_FILES.len());
    assert_eq!((ledger.heads(), ledger.latest_good()), (vec![&three], Some(&three)));
}

#[test]
fn an_entry_of_an_unknown_kind_is_linked_and_its_meaning_is_not_used() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let known = book.write(VERIFIER, &[&three], verification());
    let tomorrow = re_signed(&book, &known, VERIFIER, |text| {
        text.replace("\"1.0\"", "\"1.3\"")
            .replace("\"verification\"", "\"audit_trail\"")
            .replace("\"passed\"", "\"new\"")
    });
    book.lose(&known);
    book.files.push(tomorrow);
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), []);
    let [head] = ledger.heads()[..] else { panic!() };
    assert_eq!(head.event, Event::Unknown { kind: "audit_trail".to_owned() });
    let above = book.write(COLLECTOR, &[&head.clone()], snapshot("four"));
    assert_eq!(book.ledger().heads(), [&above]);
}

#[test]
fn a_known_kind_that_says_it_otherwise_in_a_later_minor_is_as_good_as_unknown() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let known = book.write(VERIFIER, &[&three], verification());
    let later = re_signed(&book, &known, VERIFIER, |text| {
        text.replace("\"1.0\"", "\"1.3\"").replace("\"passed\":true", "\"passed\":\"mostly\"")
    });
    let now = re_signed(&book, &known, VERIFIER, |text| text.replace("\"passed\":true", "\"passed\":\"mostly\""));
    book.files.extend([later.clone(), now.clone()]);
    let ledger = book.ledger();
    let [problem] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
    assert!(matches!(problem, Problem::NotAnEntry { file, .. } if *file == now.0), "{problem}");
    assert!(ledger.heads().iter().any(|head| head.name() == later.0));
}

#[test]
fn unknown_members_of_a_later_minor_are_ignored() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let later = re_signed(&book, &three, COLLECTOR, |text| {
        text.replace("\"1.0\"", "\"1.1\"")
            .replace("\"tool\"", "\"weather\":{\"rain\":1},\"tool\"")
            .replace("\"rounds\"", "\"moon\":1,\"rounds\"")
    });
    book.lose(&three);
    book.files.push(later);
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), []);
    assert_eq!(ledger.latest_good().unwrap().event, three.event);
}

#[test]
fn two_collectors_at_once_make_two_heads_and_the_next_entry_joins_them() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    book.write(CUSTODIAN, &[&three], add(5, &[Role::Collector]));
    let granted = book.ledger().heads()[0].clone();
    let (a, b) = (book.write(COLLECTOR, &[&granted], snapshot("a")), book.write(5, &[&granted], snapshot("b")));
    let ledger = book.ledger();
    assert_eq!(ledger.heads().len(), 2);
    let joined = book.write(5, &[&a, &b], snapshot("c"));
    let ledger = book.ledger();
    assert_eq!((ledger.problems(), ledger.heads()), ([].as_slice(), vec![&joined]));
}

#[test]
fn quiet_snapshots_may_name_the_newest_catalogue_or_the_newest_good_one() {
    let (mut book, [one, _, three]) = Book::with_three_snapshots();
    let quiet = book.write(COLLECTOR, &[&three], snapshot("three"));
    let shrunk = book.write(COLLECTOR, &[&quiet], suspect("shrunk"));
    // The items are back and nothing else happened: the run built on the last good one.
    let back = book.write(COLLECTOR, &[&shrunk], snapshot("three"));
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), []);
    assert_eq!(ledger.latest_good(), Some(&back));
    assert!(ledger.may_repeat(&[shrunk.digest], &shrunk.digest) && ledger.may_repeat(&[shrunk.digest], &three.digest));
    assert!(!ledger.may_repeat(&[shrunk.digest], &one.digest));
    // Another collector was faster: what was the newest when the run began no longer is.
    let faster = book.write(COLLECTOR, &[&back], snapshot("faster"));
    assert!(!book.ledger().may_repeat(&[faster.digest], &three.digest));
}

#[test]
fn times_that_go_back_or_lie_ahead_are_said_and_change_nothing() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let (early, bytes) = sign(&book.place(&[&three]), COLLECTOR, 2, snapshot("early"));
    book.files.push((early.name(), bytes));
    let (ahead, bytes) = sign(&book.place(&[&early]), COLLECTOR, 5_000_000, snapshot("ahead"));
    book.files.push((ahead.name(), bytes));
    let ledger = book.ledger();
    let [problem @ Problem::Mistimed { entry, parent }] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
    assert_eq!((entry, parent), (&early.name(), &three.name()));
    assert_eq!(problem.severity(), Severity::Warning);
    // Order follows links, never time.
    assert_eq!(ledger.latest_good(), Some(&ahead));
    let [problem @ Problem::Ahead { entry, .. }] = &ledger.ahead_of(at(60), 300_000)[..] else { panic!() };
    assert_eq!((entry, problem.severity()), (&ahead.name(), Severity::Warning));
    assert!(ledger.ahead_of(at(5_000_000), 0).is_empty());
}

#[test]
fn links_that_fork_and_join_many_times_take_no_exponential_walk() {
    let mut book = Book::new();
    let mut heads = vec![book.first.clone()];
    for layer in 0..60 {
        let parents: Vec<&Entry> = heads.iter().collect();
        let (a, b) = (snapshot(&format!("a{layer}")), snapshot(&format!("b{layer}")));
        let place = book.place(&parents);
        let (one, first) = sign(&place, COLLECTOR, layer, a);
        let (two, second) = sign(&place, COLLECTOR, layer, b);
        book.files.extend([(one.name(), first), (two.name(), second)]);
        heads = vec![one, two];
    }
    let ledger = book.ledger();
    assert_eq!((ledger.problems(), ledger.heads().len()), ([].as_slice(), 2));
    assert!(ledger.is_ancestor(&book.id.0, &heads[0].digest));
    assert!(!ledger.is_ancestor(&heads[0].digest, &heads[1].digest));
}

#[test]
fn more_parents_than_the_limit_cannot_be_written() {
    let (book, [.., three]) = Book::with_three_snapshots();
    let digests = |count: u32| (0..count).map(|n| sha256(&n.to_be_bytes())).collect::<Vec<_>>();
    let draft = Draft { time: at(9), tool: "test".to_owned(), event: snapshot("x") };
    let place = |count| Place { parents: digests(count), ..book.place(&[&three]) };
    assert!(draft.sign(&place(1000), &key(COLLECTOR)).is_ok());
    assert!(draft.sign(&place(1001), &key(COLLECTOR)).is_err());
    let event = Event::Unknown { kind: "tea".to_owned() };
    assert!(Draft { event, ..draft }.sign(&book.place(&[&three]), &key(COLLECTOR)).is_err());
}

#[test]
fn a_long_ledger_is_read_in_one_pass_for_each_question() {
    // Written by two collectors in turn, with a key that comes and goes in between: every question that looks at
    // ancestors is asked of thousands of entries.
    let mut book = Book::new();
    let mut top = vec![book.first.clone()];
    for layer in 0..700 {
        let parents: Vec<&Entry> = top.iter().collect();
        let place = book.place(&parents);
        let mut next = Vec::new();
        for (seed, event) in [(COLLECTOR, snapshot(&format!("{layer}"))), (VERIFIER, verification())] {
            let (entry, bytes) = sign(&place, seed, layer + 2, event);
            book.files.push((entry.name(), bytes));
            next.push(entry);
        }
        if layer % 100 == 50 {
            next.push(book.write(
                CUSTODIAN,
                &parents,
                add(u8::try_from(100 + layer / 100).unwrap(), &[Role::Restorer]),
            ));
        }
        top = next;
    }
    let ledger = book.ledger();
    assert_eq!((ledger.problems(), ledger.counted().count()), ([].as_slice(), 1 + 2 * 700 + 7));
    assert!(ledger.heads().iter().all(|head| ledger.is_ancestor(&book.id.0, &head.digest)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_anywhere_is_named_and_nothing_else_changes(at in any::<prop::sample::Index>(), bit in 0u32..8, rename: bool) {
        let (mut book, [one, two, three]) = Book::with_three_snapshots();
        let mut bytes = book.bytes(&three).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        book.lose(&three);
        // Under the old name, or under the one that whoever can write into the bucket would give it.
        let file = if rename { named(three.sequence, bytes) } else { (three.name(), bytes.into()) };
        book.files.push(file.clone());
        let ledger = book.ledger();
        let [problem] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
        prop_assert!(problem.to_string().contains(&file.0), "{}", problem);
        prop_assert_eq!(ledger.snapshots(), [&one, &two]);
    }

    #[test]
    fn any_bytes_under_any_name_are_survived(name in "(ledger/000000/[0-9]{9}-[0-9a-f]{64}\\.json|.{0,40})", bytes: Vec<u8>) {
        let (mut book, [.., three]) = Book::with_three_snapshots();
        book.files.push((name, bytes.into()));
        let ledger = book.ledger();
        prop_assert_eq!(ledger.problems().len(), 1);
        prop_assert_eq!(ledger.heads(), [&three]);
    }
}
