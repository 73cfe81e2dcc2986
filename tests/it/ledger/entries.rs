//! What a ledger makes of good, bad and forged files: what is no entry is counted and named, and the rest still counts.

use bytes::Bytes;
use data_encoding::BASE64;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::envelope::{Envelope, Holds, Signature};
use keyhaven::format::{Draft, Entry, EntryEvent, EntryRef, RepositoryId, names};
use keyhaven::repository::ledger::{EntryStatus, Problem, Severity, Void};
use proptest::prelude::*;

use crate::kit::ledger::*;

#[test]
fn a_good_ledger_has_no_problems() {
    let (book, [one, two, three]) = Book::with_three_snapshots();
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), []);
    assert_eq!(ledger.entries().len(), 3);
    assert_eq!(ledger.heads(), [&three]);
    assert_eq!(ledger.snapshots(), [&one, &two, &three]);
    assert_eq!(ledger.latest_good(), Some(&three));
    assert_eq!(ledger.source(), Some(&source()));
    assert!(ledger.is_below(&one.digest, &three.digest) && !ledger.is_below(&three.digest, &one.digest));
    assert!(!ledger.is_below(&one.digest, &one.digest));
    assert_eq!(ledger.last_of(&fingerprint(COLLECTOR)), Some(&three));
}

/// What makes a file that is no entry out of a good ledger.
struct Bad {
    name: &'static str,
    make: fn(&Book, &Entry) -> File,
}

/// The entry's file with other bytes under its old name.
fn file(book: &Book, entry: &Entry, change: impl Fn(String) -> String) -> File {
    let text = book.text(entry);
    let changed = change(text.clone());
    assert_ne!(changed, text, "nothing was changed");
    (entry.name(), changed.into())
}

/// The entry's payload with one text replaced, signed again and named anew.
fn payload(book: &Book, entry: &Entry, from: &str, to: &str) -> File {
    re_signed(book, entry, COLLECTOR, |text| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replacen(from, to, 1)
    })
}

/// A member more, that no version knows.
fn member(book: &Book, entry: &Entry, value: &str) -> File {
    payload(book, entry, r#""tool":"test"}"#, &format!(r#""tool":"test","weather":{value}}}"#))
}

fn draft(book: &Book, entry: &Entry, change: impl Fn(Writing) -> Writing) -> File {
    let (entry, bytes) = change(book.entry(COLLECTOR, &[entry])).sign(snapshot("four"));
    (entry.name(), bytes)
}

fn with_signatures(book: &Book, entry: &Entry, signatures: Vec<Signature>) -> File {
    let payload = Envelope::decode(&book.bytes(entry), Holds::Entry).unwrap().payload;
    let mut envelope = Envelope::unsigned(payload);
    envelope.pool(signatures);
    // As a policy's, which may have any number of them; the form is the same.
    (entry.name(), envelope.encode(Holds::Policy).unwrap().into())
}

const BAD_FILES: &[Bad] = &[
    Bad { name: "re-indented", make: |book, entry| file(book, entry, |text| text.replace(',', ", ")) },
    Bad {
        name: "re-ordered",
        make: |book, entry| {
            file(book, entry, |text| {
                let (payload, rest) = text.trim_start_matches('{').split_once(',').unwrap();
                format!("{{{},{payload}}}", rest.strip_suffix('}').unwrap())
            })
        },
    },
    Bad { name: "extra member", make: |book, entry| file(book, entry, |text| text.replacen('{', r#"{"a":"","#, 1)) },
    Bad {
        name: "signature repeated",
        make: |book, entry| {
            file(book, entry, |text| {
                let one = text.split_once("\"signatures\":[").unwrap().1.strip_suffix("]}").unwrap();
                text.replace(one, &format!("{one},{one}"))
            })
        },
    },
    // A signature of 64 bytes always ends in padding.
    Bad { name: "unpadded base64", make: |book, entry| file(book, entry, |text| text.replace("==\"}]}", "\"}]}")) },
    Bad { name: "line feed at the end", make: |book, entry| file(book, entry, |text| text + "\n") },
    Bad { name: "byte order mark", make: |book, entry| file(book, entry, |text| format!("\u{feff}{text}")) },
    Bad { name: "cut off", make: |book, entry| (entry.name(), book.bytes(entry).slice(..200)) },
    Bad { name: "empty", make: |_, entry| (entry.name(), Bytes::new()) },
    Bad { name: "too large", make: |_, entry| (entry.name(), vec![b' '; 1024 * 1024 + 1].into()) },
    Bad { name: "nested without end", make: |_, entry| (entry.name(), "[".repeat(500_000).into()) },
    Bad { name: "no signature", make: |book, entry| with_signatures(book, entry, Vec::new()) },
    Bad {
        name: "nine signatures",
        make: |book, entry| {
            let signature = |seed: u8| Signature { keyid: fingerprint(seed), bytes: vec![seed; 64] };
            let own = Envelope::decode(&book.bytes(entry), Holds::Entry).unwrap().signatures;
            with_signatures(book, entry, own.into_iter().chain((20..28).map(signature)).collect())
        },
    },
    Bad { name: "signed by another key", make: |book, entry| re_signed(book, entry, STRANGER, str::to_owned) },
    Bad {
        name: "signed by one key in the name of another",
        make: |book, entry| {
            let payload = Envelope::decode(&book.bytes(entry), Holds::Entry).unwrap().payload;
            let mut theirs = Envelope::unsigned(payload);
            theirs.sign(&key(STRANGER));
            let bytes = theirs.signatures.first().unwrap().bytes.clone();
            with_signatures(book, entry, vec![Signature { keyid: fingerprint(COLLECTOR), bytes }])
        },
    },
    Bad {
        name: "payload changed under its signature",
        make: |book, entry| {
            let mut envelope = Envelope::decode(&book.bytes(entry), Holds::Entry).unwrap();
            let text = String::from_utf8(envelope.payload).unwrap();
            envelope.payload = text.replace("\"tool\":\"test\"", "\"tool\":\"Test\"").into_bytes();
            let reference = EntryRef { sequence: entry.sequence, digest: envelope.digest() };
            (names::entry(&reference), envelope.encode(Holds::Entry).unwrap().into())
        },
    },
    Bad { name: "white space", make: |book, entry| payload(book, entry, "\"tool\":", "\"tool\": ") },
    Bad { name: "a member twice", make: |book, entry| payload(book, entry, "\"tool\":", "\"tool\":\"x\",\"tool\":") },
    Bad { name: "a member that is null", make: |book, entry| member(book, entry, "null") },
    Bad { name: "a negative number", make: |book, entry| member(book, entry, "-1") },
    Bad { name: "a fraction", make: |book, entry| member(book, entry, "1.0") },
    Bad { name: "an exponent", make: |book, entry| member(book, entry, "1e3") },
    Bad { name: "a number over 2^53", make: |book, entry| member(book, entry, "9007199254740992") },
    Bad { name: "a number that begins with 0", make: |book, entry| member(book, entry, "01") },
    Bad { name: "a control character", make: |book, entry| member(book, entry, r#""\u0001""#) },
    Bad { name: "U+007F", make: |book, entry| member(book, entry, "\"\u{7f}\"") },
    Bad { name: "an escape too many", make: |book, entry| member(book, entry, r#""\u0041""#) },
    Bad { name: "a lone surrogate", make: |book, entry| member(book, entry, r#""\ud800""#) },
    // The entry itself is one level, its statement another.
    Bad {
        name: "nested 33 deep",
        make: |book, entry| member(book, entry, &format!("{}{}", "[".repeat(31), "]".repeat(31))),
    },
    Bad { name: "a member name that is no ASCII", make: |book, entry| member(book, entry, "{\"ä\":1}") },
    Bad { name: "members out of order", make: |book, entry| member(book, entry, r#"{"b":1,"a":1}"#) },
    Bad {
        name: "invalid UTF-8 in a member that nobody reads",
        make: |book, entry| {
            let text = Envelope::decode(&book.bytes(entry), Holds::Entry).unwrap().payload;
            let at = text.windows(13).position(|window| window == br#""tool":"test""#).unwrap() + 9;
            let mut bytes = text;
            bytes[at] = 0xff;
            signed_payload(entry.sequence, bytes, COLLECTOR)
        },
    },
    Bad {
        name: "of another major version and another repository",
        make: |book, entry| {
            re_signed(book, entry, COLLECTOR, |text| {
                let id = format!("\"repository\":\"{}\"", book.id);
                let other = format!("\"repository\":\"{}\"", sha256(b"other"));
                text.replace("\"format\":\"1.0\"", "\"format\":\"2.0\"").replace(&id, &other)
            })
        },
    },
    Bad { name: "of another major version, by a stranger", make: |book, entry| later(book, entry, STRANGER, MAJOR) },
    Bad {
        name: "of another major version, by a stranger who names a key of ours",
        make: |book, entry| {
            let (name, bytes) =
                re_signed(book, entry, STRANGER, |text| text.replace("\"format\":\"1.0\"", "\"format\":\"3.0\""));
            let mut envelope = Envelope::decode(&bytes, Holds::Entry).unwrap();
            let mut signature = envelope.signatures.pop_first().unwrap();
            signature.keyid = fingerprint(COLLECTOR);
            envelope.signatures.insert(signature);
            (name, envelope.encode(Holds::Entry).unwrap().into())
        },
    },
    Bad {
        name: "a version with two spellings",
        make: |book, entry| payload(book, entry, "\"format\":\"1.0\"", "\"format\":\"1.00\""),
    },
    Bad {
        name: "a critical member that nobody knows, by a stranger",
        make: |book, entry| later(book, entry, STRANGER, CRITICAL),
    },
    Bad {
        name: "nothing that is critical",
        make: |book, entry| payload(book, entry, "\"effect\"", "\"critical\":[],\"effect\""),
    },
    Bad { name: "no effect", make: |book, entry| payload(book, entry, "\"effect\":\"record\",", "") },
    Bad {
        name: "another effect",
        make: |book, entry| payload(book, entry, "\"effect\":\"record\"", "\"effect\":\"state\""),
    },
    Bad {
        name: "a time without milliseconds",
        make: |book, entry| payload(book, entry, ".000Z\",\"tool\"", "Z\",\"tool\""),
    },
    Bad { name: "a body that lacks a member", make: |book, entry| payload(book, entry, "\"rounds\":1,", "") },
    Bad {
        name: "a body that is no object",
        make: |book, entry| {
            re_signed(book, entry, COLLECTOR, |text| {
                let (head, tail) = text.split_once("\"body\":{").unwrap();
                format!("{head}\"body\":[],\"effect\"{}", tail.split_once(",\"effect\"").unwrap().1)
            })
        },
    },
    Bad {
        name: "subjects that are not its catalogue",
        make: |book, entry| {
            re_signed(book, entry, COLLECTOR, |text| {
                format!("{}\"subject\":[]}}", text.split_once("\"subject\":").unwrap().0)
            })
        },
    },
    Bad {
        name: "another predicate",
        make: |book, entry| payload(book, entry, "urn:keyhaven:entry:1", "urn:keyhaven:policy:1"),
    },
    Bad {
        name: "parents that are repeated",
        make: |book, entry| {
            let parent = entry.parents[0];
            payload(book, entry, &format!("[\"{parent}\"]"), &format!("[\"{parent}\",\"{parent}\"]"))
        },
    },
    Bad {
        name: "parents out of order",
        make: |book, entry| {
            let (parent, low) = (entry.parents[0], EntryRef { sequence: 1, digest: sha256(b"low") });
            payload(book, entry, &format!("[\"{parent}\"]"), &format!("[\"{parent}\",\"{low}\"]"))
        },
    },
    Bad {
        name: "a parent without its sequence",
        make: |book, entry| {
            let parent = entry.parents[0];
            payload(book, entry, &format!("[\"{parent}\"]"), &format!("[\"{}\"]", parent.digest))
        },
    },
    Bad {
        name: "a gap in the sequence",
        make: |book, entry| {
            let (_, bytes) = payload(book, entry, "\"sequence\":3", "\"sequence\":4");
            let digest = Envelope::peek_digest(&bytes).unwrap();
            (names::entry(&EntryRef { sequence: 4, digest }), bytes)
        },
    },
    Bad {
        name: "a parent with another sequence than it has",
        make: |book, entry| {
            draft(book, entry, |writing| {
                let wrong = EntryRef { sequence: 7, digest: entry.digest };
                let mut writing = writing.above(wrong);
                writing.place.parents.retain(|parent| *parent == wrong);
                writing
            })
        },
    },
    Bad {
        name: "a sequence in its name that is not its own",
        make: |book, entry| {
            (names::entry(&EntryRef { sequence: entry.sequence + 1, digest: entry.digest }), book.bytes(entry))
        },
    },
    Bad {
        name: "a digest in its name that is not its payload's",
        make: |book, entry| {
            (names::entry(&EntryRef { sequence: entry.sequence, digest: sha256(b"other") }), book.bytes(entry))
        },
    },
    Bad {
        name: "replayed in another folder",
        make: |book, entry| (entry.name().replace("ledger/000000000/", "ledger/000000001/"), book.bytes(entry)),
    },
    Bad { name: "a stray file", make: |_, _| ("ledger/000000000/notes.txt".to_owned(), Bytes::from_static(b"hello")) },
    Bad {
        name: "an entry of a foreign repository",
        make: |book, entry| {
            draft(book, entry, |mut writing| {
                writing.place.repository = RepositoryId(sha256(b"other"));
                writing
            })
        },
    },
    Bad {
        name: "a policy in it that it does not name",
        make: |book, entry| {
            let other = Envelope::unsigned(first_policy_of_others().payload().unwrap());
            let bytes = BASE64.encode(&other.encode(Holds::Policy).unwrap());
            payload(book, entry, "\"effect\"", &format!("\"carries\":\"{bytes}\",\"effect\""))
        },
    },
    Bad {
        name: "no policy where one should be",
        make: |book, entry| payload(book, entry, "\"effect\"", "\"carries\":\"aGVsbG8=\",\"effect\""),
    },
];

fn first_policy_of_others() -> keyhaven::format::Policy {
    keyhaven::format::Policy { tool: "other".to_owned(), ..first_policy() }
}

/// What makes an entry one that only a later version can read.
const MAJOR: (&str, &str) = ("\"format\":\"1.0\"", "\"format\":\"2.0\"");
const CRITICAL: (&str, &str) = ("\"effect\"", "\"critical\":[\"weather\"],\"effect\"");

fn later(book: &Book, entry: &Entry, seed: u8, (from, to): (&str, &str)) -> File {
    re_signed(book, entry, seed, |text| text.replace(from, to))
}

#[test]
fn what_only_a_later_version_can_read_is_no_rubbish_where_a_key_of_ours_signed_it() {
    for change in [MAJOR, CRITICAL] {
        let (mut book, [.., three]) = Book::with_three_snapshots();
        let (name, bytes) = later(&book, &three, VERIFIER, change);
        book.files.push((name.clone(), bytes));
        let ledger = book.ledger();
        let [problem @ Problem::Later { files }] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
        assert_eq!((files, problem.severity()), (&vec![name.clone()], Severity::Error), "a sweep stops");
        assert!(problem.to_string().contains(&name) && problem.to_string().contains("newer keyhaven"), "{problem}");
        let [found] = ledger.later() else { panic!() };
        assert_eq!((names::entry(&found.entry), found.key), (name.clone(), fingerprint(VERIFIER)));
        // What can be read counts as before.
        assert_eq!((ledger.heads(), ledger.latest_good()), (vec![&three], Some(&three)));
        // A key that has ended says nothing any more, and has said what its end names.
        book.end(VERIFIER, &[]);
        let ended = book.ledger();
        let [Problem::Rubbish(rubbish)] = ended.problems() else { panic!("{:?}", ended.problems()) };
        assert_eq!((rubbish.count, ended.later()), (1, &[][..]));
        let end = names::parse_entry(&name).unwrap();
        book.change(|policy| {
            let key = policy.keys.iter_mut().find(|key| key.public_key.fingerprint() == fingerprint(VERIFIER));
            key.unwrap().until = Some(vec![end]);
        });
        assert_eq!(book.ledger().later().len(), 1);
    }
}

#[test]
fn a_snapshot_of_a_later_minor_version_that_cannot_be_read_is_said_beside_the_latest() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let newer = book.write(COLLECTOR, &[&three], snapshot("four"));
    let tomorrow = re_signed(&book, &newer, COLLECTOR, |text| {
        text.replace("\"1.0\"", "\"1.3\"").replace("\"full\":true", "\"full\":\"mostly\"")
    });
    book.lose(&newer);
    book.files.push(tomorrow.clone());
    let ledger = book.ledger();
    assert_eq!(ledger.latest_good(), Some(&three));
    let [problem @ Problem::UnreadSnapshots { entries }] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
    assert_eq!((entries, problem.severity()), (&vec![tomorrow.0], Severity::Warning));
}

#[test]
fn every_bad_file_is_counted_as_rubbish_and_stops_nothing() {
    for bad in BAD_FILES {
        let (mut book, [.., three]) = Book::with_three_snapshots();
        let good = book.ledger();
        let file = (bad.make)(&book, &three);
        book.files.push(file.clone());
        let ledger = book.ledger();
        let [problem @ Problem::Rubbish(rubbish)] = ledger.problems() else {
            panic!("{}: expected one problem, got {:?}", bad.name, ledger.problems());
        };
        assert_eq!((rubbish.count, problem.severity()), (1, Severity::Warning), "{}", bad.name);
        assert!(problem.to_string().contains(&file.0), "{} is not named: {problem}", bad.name);
        assert!(ledger.counted().eq(good.counted()), "{}: other entries count", bad.name);
        assert_eq!(ledger.heads(), [&three], "{}", bad.name);
        assert_eq!(ledger.latest_good(), Some(&three), "{}", bad.name);
    }
}

#[test]
fn all_bad_files_at_once_are_one_line_and_stop_nothing_either() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let bad: Vec<File> = BAD_FILES.iter().map(|bad| (bad.make)(&book, &three)).collect();
    book.files.extend(bad);
    let ledger = book.ledger();
    let [problem @ Problem::Rubbish(rubbish)] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
    assert_eq!(rubbish.count, BAD_FILES.len() as u64);
    assert!(rubbish.first.len() < 10 && problem.to_string().len() < 500, "{problem}");
    assert_eq!((ledger.heads(), ledger.latest_good()), (vec![&three], Some(&three)));
}

#[test]
fn an_entry_with_members_and_a_kind_of_tomorrow_is_linked_and_its_meaning_is_not_used() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let known = book.write(VERIFIER, &[&three], verification());
    let tomorrow = re_signed(&book, &known, VERIFIER, |text| {
        text.replace("\"1.0\"", "\"1.3\"").replace("\"kind\":\"verification\"", "\"kind\":\"audit_trail\"")
    });
    book.lose(&known);
    book.files.push(tomorrow);
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), []);
    let [head] = ledger.heads()[..] else { panic!() };
    assert_eq!(head.event, EntryEvent::Unknown { kind: "audit_trail".to_owned() });
    let above = book.write(COLLECTOR, &[&head.clone()], snapshot("four"));
    assert_eq!(book.ledger().heads(), [&above]);
}

#[test]
fn a_known_kind_with_another_body_in_a_later_minor_is_as_good_as_unknown() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let known = book.write(VERIFIER, &[&three], verification());
    let changed = |text: &str| text.replace("\"passed\":true", "\"passed\":\"mostly\"");
    let later = re_signed(&book, &known, VERIFIER, |text| changed(&text.replace("\"1.0\"", "\"1.3\"")));
    let now = re_signed(&book, &known, VERIFIER, changed);
    book.files.extend([later.clone(), now.clone()]);
    let ledger = book.ledger();
    let rubbish = ledger.problems().iter().find(|problem| matches!(problem, Problem::Rubbish(_))).unwrap();
    assert!(rubbish.to_string().contains(&now.0), "{rubbish}");
    assert!(ledger.heads().iter().any(|head| head.name() == later.0 && !head.event.is_known()));
}

#[test]
fn unknown_members_of_a_later_minor_are_ignored() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let deep = format!("{}{}", "[".repeat(30), "]".repeat(30));
    let later = re_signed(&book, &three, COLLECTOR, |text| {
        text.replace("\"1.0\"", "\"1.1\"")
            .replace("\"tool\":\"test\"}", &format!("\"tool\":\"test\",\"weather\":{deep}}}"))
            .replace("\"rounds\":1", "\"rounds\":1,\"rowing\":1")
    });
    book.lose(&three);
    book.files.push(later);
    let ledger = book.ledger();
    assert_eq!(ledger.problems(), []);
    assert_eq!(ledger.latest_good().unwrap().event, three.event);
}

#[test]
fn a_second_signature_of_any_kind_changes_nothing() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let own = Envelope::decode(&book.bytes(&three), Holds::Entry).unwrap().signatures;
    let post_quantum = Signature { keyid: sha256(b"a key of tomorrow"), bytes: vec![7; 2_420] };
    let bad = Signature { keyid: fingerprint(COLLECTOR), bytes: vec![7; 64] };
    let signed_twice = with_signatures(&book, &three, own.into_iter().chain([post_quantum, bad]).collect());
    book.lose(&three);
    book.files.push(signed_twice);
    let ledger = book.ledger();
    assert_eq!((ledger.problems(), ledger.latest_good()), ([].as_slice(), Some(&three)));
}

/// Post-quantum keys will come; until then such an entry counts for nobody, and is no rubbish either.
#[test]
fn an_entry_of_an_unknown_algorithm_is_a_strangers_and_void_where_its_key_is_listed() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let unknown: keyhaven::crypto::KeyInfo = serde_json::from_str(&format!("\"{}\"", BASE64.encode(&[9; 60]))).unwrap();
    let ours = serde_json::to_string(&keyhaven::crypto::KeyInfo::from(key(COLLECTOR).public())).unwrap();
    let (_, bytes) = book.entry(COLLECTOR, &[&three]).sign(snapshot("four"));
    let payload = Envelope::decode(&bytes, Holds::Entry).unwrap().payload;
    let payload = String::from_utf8(payload).unwrap().replace(&ours, &serde_json::to_string(&unknown).unwrap());
    let mut envelope = Envelope::unsigned(payload.into_bytes());
    envelope.pool([Signature { keyid: unknown.fingerprint(), bytes: vec![1; 3_000] }]);
    let reference = EntryRef { sequence: 4, digest: envelope.digest() };
    book.files.push((names::entry(&reference), envelope.encode(Holds::Entry).unwrap().into()));
    let ledger = book.ledger();
    assert_eq!(ledger.status(&reference.digest), Some(&EntryStatus::Stranger));
    book.change(|policy| {
        policy.keys.push(keyhaven::format::policy::PolicyKey { public_key: unknown, ..policy.keys[0].clone() });
    });
    let ledger = book.ledger();
    assert_eq!(ledger.status(&reference.digest), Some(&EntryStatus::Void(Void::Unchecked)));
    assert_eq!((ledger.heads(), ledger.latest_good()), (vec![&three], Some(&three)));
}

#[test]
fn two_collectors_at_once_make_two_heads_and_the_next_entry_joins_them() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let a = book.write(COLLECTOR, &[&three], snapshot("a"));
    let b = book.write(OTHER_COLLECTOR, &[&three], snapshot("b"));
    let ledger = book.ledger();
    assert_eq!(ledger.heads().len(), 2);
    let mut both = vec![a.reference(), b.reference()];
    both.sort_unstable();
    assert_eq!(ledger.parents(), both);
    let joined = book.write(OTHER_COLLECTOR, &[&a, &b], snapshot("c"));
    let ledger = book.ledger();
    assert_eq!((ledger.problems(), ledger.heads()), ([].as_slice(), vec![&joined]));
}

#[test]
fn times_that_go_back_or_are_ahead_are_reported_and_change_nothing() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let early = book.store(book.entry(COLLECTOR, &[&three]).at(2), snapshot("early"));
    let ahead = book.store(book.entry(COLLECTOR, &[&early]).at(5_000_000), snapshot("ahead"));
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
fn a_hole_between_two_entries_of_one_key_is_one_problem() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let lost = book.write(VERIFIER, &[&three], verification());
    let above = book.write(VERIFIER, &[&lost], verification());
    let four = book.write(COLLECTOR, &[&above], snapshot("four"));
    book.lose(&lost);
    let ledger = book.ledger();
    let [Problem::Hole { parent, .. }] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
    assert_eq!(*parent, lost.reference());
    // An entry beside them that names nothing that is missing is a second hand with the same key all the same.
    book.write(COLLECTOR, &[&three], snapshot("beside"));
    let two_heads = |problem: &&Problem| matches!(problem, Problem::TwoHeads { .. });
    assert_eq!(book.ledger().problems().iter().filter(two_heads).count(), 1);
    // And where the custodians accept the loss, there is nothing to say.
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let lost = book.write(VERIFIER, &[&three], verification());
    book.write(COLLECTOR, &[&lost], snapshot("four"));
    book.lose(&lost);
    book.accept_loss(&[lost.reference()]);
    assert_eq!(book.ledger().problems(), []);
    drop(four);
}

#[test]
fn two_entries_of_one_key_that_do_not_know_of_each_other_are_reported_once() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let one = book.write(COLLECTOR, &[&three], snapshot("a"));
    let other = book.write(COLLECTOR, &[&three], snapshot("b"));
    book.write(COLLECTOR, &[&one, &other], snapshot("c"));
    let ledger = book.ledger();
    let [problem @ Problem::TwoHeads { key, .. }] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
    assert_eq!((*key, problem.severity()), (fingerprint(COLLECTOR), Severity::Warning));
}

#[test]
fn links_that_fork_and_join_many_times_take_no_exponential_walk() {
    let mut book = Book::new();
    let mut heads: Vec<Entry> = Vec::new();
    for layer in 0..60 {
        let parents: Vec<&Entry> = heads.iter().collect();
        let one = book.write(COLLECTOR, &parents, snapshot(&format!("a{layer}")));
        let two = book.write(OTHER_COLLECTOR, &parents, snapshot(&format!("b{layer}")));
        heads = vec![one, two];
    }
    let ledger = book.ledger();
    assert_eq!((ledger.problems(), ledger.heads().len()), ([].as_slice(), 2));
    let first = ledger.entries()[0].digest;
    assert!(ledger.is_below(&first, &heads[0].digest));
    assert!(!ledger.is_below(&heads[0].digest, &heads[1].digest));
}

#[test]
fn more_parents_than_the_limit_cannot_be_written() {
    let (book, [.., three]) = Book::with_three_snapshots();
    let references = |count: u32| (0..count).map(|n| EntryRef { sequence: 1, digest: sha256(&n.to_be_bytes()) });
    let draft = Draft { time: at(9), tool: "test".to_owned(), event: snapshot("x") };
    let place = |count| {
        let mut place = book.place(&[]);
        place.parents = references(count).collect();
        place
    };
    assert!(draft.sign(&place(1_000), &key(COLLECTOR)).is_ok());
    assert!(draft.sign(&place(1_001), &key(COLLECTOR)).is_err());
    let event = EntryEvent::Unknown { kind: "tea".to_owned() };
    assert!(Draft { event, ..draft }.sign(&book.place(&[&three]), &key(COLLECTOR)).is_err());
}

#[test]
fn of_more_heads_than_an_entry_can_name_the_two_highest_of_each_key_come_first() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let honest = book.write(OTHER_COLLECTOR, &[&three], snapshot("honest"));
    for number in 0..1_100 {
        book.write(COLLECTOR, &[&honest], snapshot(&number.to_string()));
    }
    let verified = book.write(VERIFIER, &[&honest], verification());
    let ledger = book.read(&[]).unwrap();
    assert_eq!(ledger.heads().len(), 1_101);
    let parents = ledger.parents();
    assert_eq!(parents.len(), 1_000);
    assert!(parents.contains(&verified.reference()), "a flood of one key hides no other key's head");
    assert!(parents.is_sorted());
}

#[test]
fn a_long_ledger_is_read_in_one_pass_for_each_question() {
    // Two writers in turn, two heads all the time: every question that looks below is asked of thousands of entries.
    let mut book = Book::new();
    let mut top: Vec<Entry> = Vec::new();
    for layer in 0..700 {
        let parents: Vec<&Entry> = top.iter().collect();
        let one = book.write(COLLECTOR, &parents, snapshot(&layer.to_string()));
        top = vec![one, book.write(VERIFIER, &parents, verification())];
    }
    let ledger = book.read(&[]).unwrap();
    assert_eq!((ledger.problems(), ledger.counted().count()), ([].as_slice(), 1_400));
    let first = ledger.snapshots()[0].digest;
    assert!(ledger.heads().iter().all(|head| ledger.is_below(&first, &head.digest)));
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
        let digest = Envelope::peek_digest(&bytes).filter(|_| rename).unwrap_or(three.digest);
        let file = (names::entry(&EntryRef { sequence: three.sequence, digest }), Bytes::from(bytes));
        book.files.push(file.clone());
        let ledger = book.ledger();
        let [problem @ Problem::Rubbish(_)] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
        prop_assert!(problem.to_string().contains(&file.0), "{}", problem);
        prop_assert_eq!(ledger.snapshots(), [&one, &two]);
    }

    #[test]
    fn any_bytes_under_any_name_are_survived(name in "(ledger/000000000/[0-9]{12}-[0-9a-f]{64}\\.json|.{0,40})", bytes: Vec<u8>) {
        let (mut book, [.., three]) = Book::with_three_snapshots();
        book.files.push((name, bytes.into()));
        let ledger = book.ledger();
        prop_assert_eq!(ledger.problems().len(), 1);
        prop_assert_eq!(ledger.heads(), [&three]);
    }
}
