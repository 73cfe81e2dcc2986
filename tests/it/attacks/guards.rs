//! What this host keeps on its disk, what custodians have accepted, and a pin beside a flood: none of them opens a way in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyhaven::crypto::digest::sha256;
use keyhaven::crypto::{Identities, Recipients};
use keyhaven::format::list::{ListedPack, PackList};
use keyhaven::format::{EntryEvent, PolicyRef, names};
use keyhaven::job::verify::{Level, ProblemKind, VerifyKeys, VerifyOptions, VerifyReport, verify};
use keyhaven::repository::{EntryWriter, Repository};

use super::by_command::Forged;
use crate::kit::attacked_site::problems;
use crate::kit::clock::context;
use crate::kit::files::files;
use crate::kit::ledger::{Book, COLLECTOR, OTHER_COLLECTOR, snapshot, verification};
use crate::kit::repository::{Contents, Kit};

/// Another letter in the signature: the same name, the same size, and good for nothing.
fn spoil_signature(file: &Path) -> Vec<u8> {
    let whole = fs::read(file).unwrap();
    let mark = b"\"sig\":\"";
    let at = whole.windows(mark.len()).position(|window| window == mark).unwrap() + mark.len();
    let mut spoiled = whole.clone();
    spoiled[at] = if whole[at] == b'A' { b'B' } else { b'A' };
    fs::write(file, spoiled).unwrap();
    whole
}

/// Where a host keeps the bytes of its own entries.
fn kept(writer: &EntryWriter) -> Vec<PathBuf> {
    let root = writer.state.path().join("entries");
    files(&root).into_iter().map(|name| root.join(name)).collect()
}

#[tokio::test]
async fn a_cached_entry_with_another_signature_is_fetched_again() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("collector", &kit.collector, repository.id());
    let entry = kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
    let reader = kit.writer("reader", &kit.verifier, repository.id()).state;
    fs::create_dir_all(reader.path().parent().unwrap()).unwrap();
    let open = || async { Repository::open(kit.store(), *repository.id()).await.unwrap().cached_in(&reader) };
    // A directory has no cache of its own use; the file is put where a bucket's would be.
    let stored = kit.place().join(entry.name());
    open().await.read_ledger().await.unwrap();
    let cached = reader.path().join("cache").join(entry.name());
    assert!(cached.exists(), "kept after the first reading");
    let whole = spoil_signature(&cached);
    assert_eq!(open().await.read_ledger().await.unwrap().counted().count(), 1);
    assert_eq!(fs::read(&cached).unwrap(), whole, "and mended");

    // In the store: it does not count, and is not kept for a good one either.
    let good = spoil_signature(&stored);
    fs::remove_file(&cached).unwrap();
    let ledger = open().await.read_ledger().await.unwrap();
    assert_eq!((ledger.entries().len(), ledger.problems().len()), (0, 1), "{:?}", ledger.problems());
    assert!(!cached.exists(), "a later reading would have believed it");
    fs::write(&stored, good).unwrap();
    assert_eq!(open().await.read_ledger().await.unwrap().counted().count(), 1);
}

#[tokio::test]
async fn what_this_host_kept_and_was_spoiled_there_is_not_put_back() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("collector", &kit.collector, repository.id());
    kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
    let lost = kit.snapshot(&repository, &writer, &[("a", "{\"x\":1}")]).await.unwrap();
    let file = kit.place().join(lost.name());
    // Only the signature was overwritten in the store: the good bytes come back over it.
    let whole = spoil_signature(&file);
    let third = kit.snapshot(&repository, &writer, &[("a", "{\"x\":2}")]).await.unwrap();
    assert_eq!((fs::read(&file).unwrap(), &third.lost[..]), (whole, &[][..]));

    // Both are spoiled: nothing is put back, and it is said.
    let file = kit.place().join(third.name());
    let [own] = &kept(&writer)[..] else { panic!() };
    fs::remove_file(&file).unwrap();
    spoil_signature(own);
    let fourth = kit.snapshot(&repository, &writer, &[("a", "{\"x\":3}")]).await.unwrap();
    assert!(!file.exists() && fourth.lost == [third.reference()], "{fourth:#?}");
    assert!(!fourth.parents.contains(&third.reference()));
}

/// An own entry that others have built upon is no head any more. It comes back all the same.
#[tokio::test]
async fn an_own_entry_below_others_is_missed_and_put_back() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("collector", &kit.collector, repository.id());
    let own = kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
    let other = kit.writer("verifier", &kit.verifier, repository.id());
    let above = repository.commit(&other, kit.draft(verification())).await.unwrap().entry;
    // This host reads, and has seen a head that is not its own.
    let open =
        || async { Repository::open(kit.store(), *repository.id()).await.unwrap().remembered_in(writer.state.clone()) };
    let reader = open().await;
    reader.remember(&reader.read_ledger().await.unwrap()).await;
    for entry in [&own, &above] {
        fs::remove_file(kit.place().join(entry.name())).unwrap();
    }
    let memory = open().await.read_ledger().await.unwrap().memory().clone();
    let (both, kept) = ([own.reference(), above.reference()], [own.reference()]);
    assert_eq!((&memory.heads[..], &memory.kept[..]), (&both[..], &kept[..]));
    let next = kit.snapshot(&repository, &writer, &[("a", "{\"x\":1}")]).await.unwrap();
    assert!(kit.place().join(own.name()).exists());
    assert_eq!((next.parents, next.lost), (vec![own.reference()], vec![above.reference()]));
}

async fn checked(kit: &Kit, repository: &Repository) -> VerifyReport {
    let keys = VerifyKeys { catalogue: Some(Arc::clone(&kit.catalogue)), recovery: Some(Arc::clone(&kit.recovery)) };
    verify(&context(kit.clock.clone()), repository, &keys, &VerifyOptions::new(Level::Payload)).await.unwrap()
}

#[tokio::test]
async fn a_check_passes_a_snapshot_that_the_custodians_accepted_and_nothing_else_of_it() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("collector", &kit.collector, repository.id());
    // Its list says that the packs are sealed to somebody else.
    let mut contents = Contents::of(&kit, repository.id(), &[("a", "{}")]);
    let others = Recipients::new(Identities::generate().0.recipients()).unwrap();
    let size = contents.pack.bytes.len() as u64;
    let pack = ListedPack { pack: contents.pack.digest, size, recipients: others.names(), since: None };
    contents.list = PackList::new(vec![pack]).unwrap();
    contents.event.list = contents.list.digest().unwrap();
    contents.put(&repository).await.unwrap();
    let draft = kit.draft(EntryEvent::Snapshot(Box::new(contents.event.clone())));
    let entry = repository.commit(&writer, draft).await.unwrap().entry;
    let pack = names::pack(&contents.pack.digest);
    let report = checked(&kit, &repository).await;
    let [problem] = report.problems.as_slice() else { panic!("{report:#?}") };
    assert_eq!((&problem.object, problem.kind), (&pack, ProblemKind::Disagrees));
    assert!(problem.why.contains("sealed to other recipients than in the policy version"), "{problem}");

    kit.change(&repository, |policy| policy.accepted = vec![entry.digest]).await;
    let report = checked(&kit, &repository).await;
    assert!(report.ok, "{report:#?}");
    // Accepted is what it says, not what anybody makes of it later.
    fs::write(kit.place().join(&pack), b"another").unwrap();
    let report = checked(&kit, &repository).await;
    assert!(report.problems.iter().all(|problem| problem.object == pack) && !report.ok, "{report:#?}");
}

/// Of `trust/` only so many files are read. A pinned version is among them wherever it stands in the order.
#[test]
fn a_pin_is_found_behind_any_number_of_files() {
    let (mut book, [one, _, three]) = Book::with_three_snapshots();
    book.change(|policy| policy.reason = Some("second".to_owned()));
    let third = book.end(COLLECTOR, &[&one]);
    book.write(OTHER_COLLECTOR, &[&three], snapshot("honest"));
    let forged = Forged::new(&book);
    for number in 0..2_001_u64 {
        let junk = PolicyRef { version: 1, digest: sha256(&number.to_be_bytes()) };
        fs::write(forged.machine.path("repo").join(names::policy(&junk)), b"x").unwrap();
    }
    let pin = ["--policy", &third.to_string(), "--state-dir", "none"];
    let shown = forged.run(&[&["trust", "show"], &pin[..]].concat()).json(0);
    assert_eq!(shown["policy"], third.to_string(), "{shown:#}");
    assert_eq!(forged.run(&[&["show"], &pin[..]].concat()).json(0)["sequence"], 4);
    let checked = forged.run(&[&["verify", "--level", "ledger"], &pin[..]].concat()).json(13);
    assert!(problems(&checked).contains("a newer trust policy may be among those not read"), "{checked:#}");
}
