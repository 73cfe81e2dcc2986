//! Floods: what costs nothing to put into a bucket costs a reader bounded requests and memory, and stops nobody.
//!
//! A share of each flood; the full counts with `KEYHAVEN_TEST_LONG=1`.

use std::sync::Arc;

use keyhaven::crypto::SigningKey;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::{Draft, Entry, EntryRef, RepositoryId, SigningRole, names};
use keyhaven::repository::ledger::{Ledger, NotAuthorised, Problem, Severity};
use keyhaven::repository::{Repository, StateDirectory};

use crate::kit::environment::is_long;
use crate::kit::ledger::*;
use crate::kit::store::MemoryStore;

fn memory_of(book: &Book) -> MemoryStore {
    let objects = book.trust.iter().chain(&book.files).cloned().collect();
    MemoryStore { objects: Arc::new(objects), ..MemoryStore::default() }
}

async fn read(memory: &Arc<MemoryStore>, id: RepositoryId) -> Ledger {
    Repository::open(memory.store(), id).await.unwrap().read_ledger().await.unwrap()
}

/// What is wrong, but for one line about rubbish and one about strangers.
fn others(ledger: &Ledger) -> Vec<&Problem> {
    let flood = |problem: &&Problem| !matches!(problem, Problem::Rubbish(_) | Problem::Strangers { .. });
    ledger.problems().iter().filter(flood).collect()
}

#[tokio::test]
async fn no_body_is_fetched_of_a_name_that_is_no_entrys() {
    let count: u64 = if is_long() { 100_000 } else { 5_000 };
    let (book, [.., three]) = Book::with_three_snapshots();
    let mut memory = memory_of(&book);
    for number in 0..count {
        let digest = sha256(&number.to_be_bytes());
        let name = match number % 5 {
            0 => format!("ledger/junk-{number}"),
            1 => format!("ledger/000000000/{number:011}-{digest}.json"),
            2 => format!("ledger/000000001/{:012}-{digest}.json", 1 + number % 999),
            3 => format!("ledger/000000000/{:012}-{}.json", 1 + number % 999, digest.to_string().to_uppercase()),
            _ => format!("trust/{:06}-{digest}", 1 + number % 999),
        };
        memory.junk.insert(name, 10);
    }
    let memory = Arc::new(memory);
    let ledger = read(&memory, book.id).await;
    assert_eq!(ledger.latest_good(), Some(&three));
    let [problem @ Problem::Rubbish(rubbish)] = ledger.problems() else { panic!("{}", ledger.problems().len()) };
    assert_eq!((rubbish.count, problem.severity()), (count, Severity::Warning));
    assert!(problem.to_string().len() < 1_000, "one line: {problem}");
    let fetched = [memory.fetched("ledger"), memory.fetched("trust")].map(|paths| paths.len());
    assert_eq!(fetched, [3, 1], "three entries, one version");
}

#[tokio::test]
async fn files_that_are_too_large_are_not_fetched() {
    let (book, [.., three]) = Book::with_three_snapshots();
    let mut memory = memory_of(&book);
    for number in 0..100_u64 {
        let digest = sha256(&number.to_be_bytes());
        memory.junk.insert(names::entry(&EntryRef { sequence: 9, digest }), 1024 * 1024 + 1);
        memory.junk.insert(names::policy(&keyhaven::format::PolicyRef { version: 2, digest }), 512 * 1024 + 1);
    }
    let memory = Arc::new(memory);
    let ledger = read(&memory, book.id).await;
    assert_eq!((ledger.latest_good(), others(&ledger).len()), (Some(&three), 0));
    assert_eq!(memory.fetched("").iter().filter(|path| !path.starts_with("keyhaven")).count(), 4);
}

/// Entries of these keys upon a parent, all well formed, as anybody with PUT can make them.
fn entries(book: &Book, parent: &Entry, count: usize, key: impl Fn(usize) -> SigningKey) -> Vec<File> {
    let many = (0..count).map(|number| {
        let draft = Draft { time: at(9), tool: "test".to_owned(), event: snapshot(&number.to_string()) };
        let (entry, bytes) = draft.sign(&book.place(&[parent]), &key(number)).unwrap();
        (entry.name(), bytes)
    });
    many.collect()
}

/// Junk, entries of strangers, and what a custodian makes who is one no more: entries, and versions of the policy.
#[tokio::test]
async fn a_flood_of_everything_is_fetched_once_and_changes_no_answer() {
    let (junk, strange, forged) = if is_long() { (100_000_u64, 5_000, 4_000) } else { (2_000, 200, 100) };
    let versions = forged / 10;
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let first = book.policy;
    let rightful = memory_of(&book).objects.len();
    let second = book.change(|policy| policy.custodians.retain(|one| one.name != "custodian 11"));
    let third = book.end(OTHER_COLLECTOR, &[&one]);
    let four = book.write(COLLECTOR, &[&three], snapshot("four"));
    book.files.extend(entries(&book, &two, strange, |number| {
        SigningKey::from_seed(sha256(&number.to_be_bytes()).as_bytes())
    }));
    book.files.extend(entries(&book, &three, forged, |_| key(CUSTODIANS[2])));
    for number in 0..versions {
        let before = [first, second, third];
        let forged = book.following(&before[..1 + number % 3], |policy| policy.reason = Some(number.to_string()));
        let (version, bytes) = sign_policy(&forged, &[CUSTODIANS[2], STRANGER]);
        book.trust.push((names::policy(&version), bytes));
    }
    let mut memory = memory_of(&book);
    for number in 0..junk {
        memory.junk.insert(format!("ledger/junk-{number}"), 10);
    }
    let memory = Arc::new(memory);
    let root = tempfile::tempdir().unwrap();
    let look = || async {
        let repository = Repository::open(memory.store(), book.id).await.unwrap();
        let cached = repository.cached_in(&StateDirectory::new(root.path(), &book.id.to_string()));
        cached.read_ledger().await.unwrap()
    };

    let ledger = look().await;
    assert_eq!((ledger.latest_good(), ledger.heads()), (Some(&four), vec![&four]));
    assert_eq!(ledger.trust().branches().map(|(version, _)| version).collect::<Vec<_>>(), [third]);
    assert_eq!((ledger.snapshots().len(), ledger.pending_snapshots().count(), ledger.unproven().count()), (4, 0, 0));
    assert_eq!(ledger.check_signer(&fingerprint(COLLECTOR), SigningRole::Collector), Ok(()));
    let ended = ledger.check_signer(&fingerprint(OTHER_COLLECTOR), SigningRole::Collector);
    assert_eq!(ended, Err(NotAuthorised::Ended));
    let custodian = ledger.check_signer(&fingerprint(CUSTODIANS[2]), SigningRole::Collector);
    assert_eq!(custodian, Err(NotAuthorised::NotListed));

    let [Problem::Misfits { count, .. }, Problem::Rubbish(rubbish), Problem::Strangers { count: strangers, .. }] =
        ledger.problems()
    else {
        panic!("a line for each: {:?}", ledger.problems())
    };
    assert_eq!((*count, rubbish.count), (versions as u64, junk));
    assert_eq!(*strangers, (strange + forged) as u64);
    assert!(ledger.problems().iter().all(|problem| problem.to_string().len() < 1_000));

    let fetched = memory.fetched("ledger/").len() + memory.fetched("trust/").len();
    assert_eq!(fetched, rightful + 3 + strange + forged + versions, "each once, and no junk");
    memory.fetched.lock().unwrap().clear();
    let again = look().await;
    assert_eq!((again.latest_good(), again.problems()), (Some(&four), ledger.problems()));
    assert_eq!(memory.fetched("ledger/"), Vec::<String>::new(), "strangers' entries are on this host's disk, too");
}

/// Every command took minutes for 4,000 of these once; `cargo bench --bench ledger` has the time.
#[test]
fn a_flood_by_an_ended_key_changes_no_answer() {
    let count = if is_long() { 4_000 } else { 1_000 };
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    for number in 0..count {
        book.write(OTHER_COLLECTOR, &[&one], snapshot(&format!("flood {number}")));
    }
    let mut chain = two.clone();
    for number in 0..count {
        chain = book.write(OTHER_REAPER, &[&chain], snapshot(&format!("chain {number}")));
    }
    book.end(OTHER_COLLECTOR, &[]);
    book.end(OTHER_REAPER, &[]);
    let ledger = book.read(&[]).unwrap();
    assert_eq!((ledger.latest_good(), ledger.snapshots().len()), (Some(&three), 3));
    assert!(ledger.problems().len() <= 4, "{:?}", ledger.problems());
}

#[tokio::test]
async fn a_flood_of_policies_hides_none_that_an_entry_carries() {
    let count = if is_long() { 5_000 } else { 2_500 };
    let (mut book, [one, .., three]) = Book::with_three_snapshots();
    let first = book.policy;
    let second = book.end(COLLECTOR, &[&one]);
    let envelope = book.envelope(second);
    let carrier = book.store(book.entry(OTHER_COLLECTOR, &[&three]).carrying(&envelope), snapshot("carrier"));
    for number in 0..count {
        let junk = book.following(&[first], |policy| policy.reason = Some(number.to_string()));
        let (version, bytes) = sign_policy(&junk, &[]);
        book.trust.push((names::policy(&version), bytes));
    }
    let memory = Arc::new(memory_of(&book));
    let ledger = read(&memory, book.id).await;
    assert!(memory.fetched("trust").len() <= 2_000);
    let unread = |problem: &Problem| matches!(problem, Problem::Rubbish(rubbish) if rubbish.unread > 0);
    let problem = ledger.problems().iter().find(|problem| unread(problem)).expect("what was not read is told");
    assert_eq!(problem.severity(), Severity::Error);
    assert_eq!(ledger.snapshots(), [&one, &carrier]);
    assert_eq!(ledger.trust().branches().map(|(version, _)| version).collect::<Vec<_>>(), [second]);
}
