//! What others do while snapshots are forgotten or undone, and who says what time it is.

use keyhaven::crypto::digest::sha256;
use keyhaven::format::event::{SNAPSHOTS_AN_ENTRY, SnapshotsEvent, SweepEvent};
use keyhaven::format::{Draft, EntryEvent};
use keyhaven::job::forget::{forget_snapshots, now_of, undo_forget};
use keyhaven::model::{Clock as _, Digest};
use keyhaven::repository::Repository;
use keyhaven::repository::ledger::SnapshotState;

use crate::kit::repository::TOOL;
use crate::kit::simulated_store::{Actor, HOUR, Paging};
use crate::kit::store::KeepingStore;
use crate::kit::store::Wrapper as _;
use crate::kit::sweep::Yard;

/// Three snapshots.
async fn yard() -> (Yard, Vec<Digest>) {
    let yard = Yard::new(17).await;
    let mut snapshots = Vec::new();
    for _ in 0..3 {
        yard.sim.advance(HOUR);
        snapshots.push(yard.backed_up().await);
    }
    (yard, snapshots)
}

async fn sign(yard: &Yard, event: EntryEvent) {
    let draft = Draft { time: yard.sim.now(), tool: TOOL.to_owned(), event };
    yard.open().await.commit(&yard.writer("other", &yard.reaper), draft).await.unwrap();
}

#[tokio::test]
async fn what_another_host_holds_while_it_is_forgotten_is_undone() {
    let (yard, snapshots) = yard().await;
    let forgetting = Actor::new("forget", 0, |turn| {
        let (store, id) = (yard.sim.client(&turn, Paging::Whole), yard.id);
        let (writer, chosen) = (yard.writer("forgetter", &yard.reaper), snapshots[..2].to_vec());
        async move {
            let repository = Repository::open(store, id).await.unwrap();
            let done = forget_snapshots(&repository, &writer, TOOL, &chosen, "test").await.unwrap();
            assert_eq!((done.entries.len(), done.undone), (2, vec![chosen[1]]));
            "done".to_owned()
        }
    });
    let said = yard
        .meanwhile(forgetting, || {
            let hold = SnapshotsEvent { snapshots: vec![snapshots[1]], reason: "the audit".to_owned() };
            yard.unseen(sign(&yard, EntryEvent::Hold(hold)))
        })
        .await;
    assert_eq!(said, "done");
    let ledger = yard.ledger();
    assert!(ledger.is_live(&snapshots[1]) && ledger.holds().contains_key(&snapshots[1]));
    assert!(matches!(ledger.state(&snapshots[0]), Some(SnapshotState::Forgotten { .. })), "nobody holds that");
}

#[tokio::test]
async fn an_undo_looks_again_whether_a_sweep_was_faster() {
    let (yard, snapshots) = yard().await;
    yard.forget(&snapshots[..1]).await;
    let undoing = Actor::new("undo", 0, |turn| {
        let (store, id) = (yard.sim.client(&turn, Paging::Whole), yard.id);
        let (writer, chosen) = (yard.writer("forgetter", &yard.reaper), snapshots[..1].to_vec());
        async move {
            let repository = Repository::open(store, id).await.unwrap();
            match undo_forget(&repository, &writer, TOOL, &chosen, "test").await {
                Ok(_) => "undone".to_owned(),
                Err(error) => error.to_string(),
            }
        }
    });
    let said = yard
        .meanwhile(undoing, || {
            let gone = snapshots[..1].to_vec();
            let sweep = SweepEvent { snapshots: gone, objects: 1, bytes: 1, before: yard.sim.now() };
            yard.unseen(sign(&yard, EntryEvent::Sweep(sweep)))
        })
        .await;
    assert!(said.starts_with("too late: snapshot 1 was swept"), "{said}");
}

#[tokio::test]
async fn what_was_swept_before_is_refused_without_an_entry() {
    let (yard, snapshots) = yard().await;
    yard.forget(&snapshots[..1]).await;
    let sweep = SweepEvent { snapshots: snapshots[..1].to_vec(), objects: 1, bytes: 1, before: yard.sim.now() };
    sign(&yard, EntryEvent::Sweep(sweep)).await;
    let entries = yard.sim.paths("ledger");
    let writer = yard.writer("forgetter", &yard.reaper);
    let refused = undo_forget(&yard.open().await, &writer, TOOL, &snapshots[..1], "test").await.unwrap_err();
    assert!(refused.to_string().starts_with("too late"), "{refused}");
    assert_eq!(yard.sim.paths("ledger"), entries);
}

#[tokio::test]
async fn more_than_one_entry_may_name_take_several() {
    let (yard, snapshots) = yard().await;
    let others = (1..=SNAPSHOTS_AN_ENTRY).map(|number| sha256(&number.to_be_bytes()));
    let many: Vec<Digest> = others.chain([snapshots[0]]).collect();
    let writer = yard.writer("forgetter", &yard.reaper);
    let done = forget_snapshots(&yard.open().await, &writer, TOOL, &many, "test").await.unwrap();
    assert_eq!(done.entries.len(), 2);
    assert!(!yard.ledger().is_live(&snapshots[0]), "it stands in the second");
}

#[tokio::test]
async fn retention_goes_by_the_clock_of_the_store() {
    let (yard, _) = yard().await;
    let odd = KeepingStore::around(yard.sim.store(), true);
    let there = yard.sim.now().plus_millis(HOUR);
    *odd.clock.lock().unwrap() = Some(Some(there));
    let repository = Repository::open(odd.store(), yard.id).await.unwrap();
    assert_eq!(now_of(&repository, &yard.sim), there);
    *odd.clock.lock().unwrap() = Some(None);
    assert_eq!(now_of(&repository, &yard.sim), yard.sim.now(), "a store that shows none");
}
