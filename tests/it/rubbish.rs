//! Floods: what costs nothing to put into a bucket costs a reader bounded requests and memory, and stops nobody.
//!
//! A share of each flood; the full counts with `KEYHAVEN_TEST_LONG=1`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::{EntryRef, RepositoryId, names};
use keyhaven::model::Timestamp;
use keyhaven::repository::ledger::{Ledger, Problem, Severity};
use keyhaven::repository::store::Backend;
use keyhaven::repository::{ObjectInfo, Repository, StateFolder, Store, StoreError};

use crate::ledger_kit::*;
use crate::readers_agree::is_long;

/// Strangers' entries that one command reads at most.
const STRANGERS: usize = 10_000;

/// A store in memory that counts what is fetched.
#[derive(Debug, Default)]
struct Memory {
    objects: BTreeMap<String, Bytes>,
    /// Names that are listed as objects of this size and cannot be had.
    junk: BTreeMap<String, u64>,
    fetched: Mutex<Vec<String>>,
}

impl Memory {
    fn of(book: &Book) -> Self {
        let objects = book.trust.iter().chain(&book.files).cloned().collect();
        Self { objects, ..Self::default() }
    }

    fn fetched(&self, below: &str) -> Vec<String> {
        self.fetched.lock().unwrap().iter().filter(|path| path.starts_with(below)).cloned().collect()
    }
}

#[async_trait]
impl Backend for Memory {
    async fn get(&self, path: &str, _limit: usize) -> Result<Bytes, StoreError> {
        self.fetched.lock().unwrap().push(path.to_owned());
        let missing = || StoreError::NotFound { path: path.to_owned(), place: self.place() };
        self.objects.get(path).cloned().ok_or_else(missing)
    }

    async fn put(&self, path: &str, _bytes: Bytes) -> Result<(), StoreError> {
        panic!("{path} was written")
    }

    async fn list(&self, directory: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        let prefix = format!("{directory}/");
        let there = self.objects.iter().map(|(path, bytes)| (path, bytes.len() as u64));
        let junk = self.junk.iter().map(|(path, size)| (path, *size));
        let modified = Timestamp::from_millis(0);
        let mut listed: Vec<ObjectInfo> = there
            .chain(junk)
            .filter(|(path, _)| path.starts_with(&prefix))
            .map(|(path, size)| ObjectInfo { path: path.clone(), size, modified })
            .collect();
        listed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(listed)
    }

    async fn head(&self, _path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        Ok(None)
    }

    fn clock(&self) -> Option<Timestamp> {
        None
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

async fn read(memory: &Arc<Memory>, id: RepositoryId) -> Ledger {
    let store = Store::with_backend(Arc::clone(memory) as Arc<dyn Backend>);
    Repository::open(store, id).await.unwrap().read_ledger().await.unwrap()
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
    let mut memory = Memory::of(&book);
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
    let mut memory = Memory::of(&book);
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

/// Entries of strangers, all well formed, as anybody with PUT can make them.
fn strangers(book: &Book, parent: &keyhaven::format::Entry, count: usize) -> Vec<File> {
    let many = (0..count).map(|number| {
        let seed = sha256(&number.to_be_bytes());
        let key = keyhaven::crypto::SigningKey::from_seed(seed.as_bytes());
        let draft =
            keyhaven::format::Draft { time: at(9), tool: "test".to_owned(), event: snapshot(&number.to_string()) };
        let (entry, bytes) = draft.sign(&book.place(&[parent]), &key).unwrap();
        (entry.name(), bytes)
    });
    many.collect()
}

#[tokio::test]
async fn strangers_entries_are_one_line_and_stop_nobody() {
    let count = if is_long() { 5_000 } else { 500 };
    let (mut book, [one, _, three]) = Book::with_three_snapshots();
    let flood = strangers(&book, &one, count);
    book.files.extend(flood);
    let memory = Arc::new(Memory::of(&book));
    let ledger = read(&memory, book.id).await;
    assert_eq!((ledger.latest_good(), ledger.heads()), (Some(&three), vec![&three]));
    let [problem @ Problem::Strangers { count: found, .. }] = ledger.problems() else { panic!() };
    assert_eq!((*found, problem.severity()), (count as u64, Severity::Warning));
}

/// Beyond the bound only what other entries name is fetched: a host that saw the newest entry finds it, and all below it.
#[tokio::test]
async fn of_a_flood_of_strangers_entries_at_most_10_000_are_fetched() {
    if !is_long() {
        return;
    }
    let (mut book, [one, .., three]) = Book::with_three_snapshots();
    let mut head = three;
    for number in 0..3 {
        head = book.write(COLLECTOR, &[&head], snapshot(&format!("later {number}")));
    }
    // Below the honest ones, so that these would come last.
    let flood = strangers(&book, &one, STRANGERS + 5_000);
    book.files.extend(flood);
    let memory = Arc::new(Memory::of(&book));
    let root = tempfile::tempdir().unwrap();
    let state = StateFolder::new(root.path(), &book.id.to_string());
    state.remember_heads(vec![head.name()]).await.unwrap();
    let store = Store::with_backend(Arc::clone(&memory) as Arc<dyn Backend>);
    let repository = Repository::open(store, book.id).await.unwrap().remembered_in(state);
    let ledger = repository.read_ledger().await.unwrap();
    assert!(memory.fetched("ledger").len() < STRANGERS + 1_000, "{}", memory.fetched("ledger").len());
    assert_eq!(others(&ledger), Vec::<&Problem>::new());
    assert_eq!((ledger.latest_good(), ledger.snapshots().len()), (Some(&head), 6));
    let rubbish = ledger.problems().iter().find(|problem| matches!(problem, Problem::Rubbish(_))).unwrap();
    assert!(rubbish.to_string().contains("not read"), "what was left unread is said: {rubbish}");
}

/// 4,000 entries by a key that was ended, which every command took minutes for once.
#[test]
fn a_flood_by_an_ended_key_is_judged_in_one_pass() {
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
    let began = std::time::Instant::now();
    let ledger = book.read(&[]).unwrap();
    assert_eq!((ledger.latest_good(), ledger.snapshots().len()), (Some(&three), 3));
    assert!(ledger.problems().len() <= 4, "{:?}", ledger.problems());
    // Cubic, it took a minute for 4,000; this bound is for the slowest of machines.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
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
    let memory = Arc::new(Memory::of(&book));
    let ledger = read(&memory, book.id).await;
    assert!(memory.fetched("trust").len() <= 2_000);
    let unread = |problem: &Problem| matches!(problem, Problem::Rubbish(rubbish) if rubbish.unread > 0);
    let problem = ledger.problems().iter().find(|problem| unread(problem)).expect("what was not read is told");
    assert_eq!(problem.severity(), Severity::Error);
    assert_eq!(ledger.snapshots(), [&one, &carrier]);
    assert_eq!(ledger.trust().branches().map(|(version, _)| version).collect::<Vec<_>>(), [second]);
}
