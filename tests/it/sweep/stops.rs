//! Every reason for which a sweep stops, each on a repository where it would otherwise delete: and nothing is deleted.

use std::sync::Arc;

use bytes::Bytes;
use keyhaven::crypto::SigningKey;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::envelope::{Envelope, Holds};
use keyhaven::format::event::{SnapshotsEvent, SweepEvent};
use keyhaven::format::{Draft, EntryEvent, EntryPlace, EntryRef, PolicyRef, names};
use keyhaven::job::event::{Observer, Stage};
use keyhaven::job::sweep::{SweepError, SweepOptions, SweepReport, sweep};
use keyhaven::job::{self, Context};
use keyhaven::model::{Clock as _, Digest, FailureKind};

use keyhaven::repository::StoreError;
use keyhaven::repository::store::Hold;
use tokio_util::sync::CancellationToken;

use crate::kit::policy;
use crate::kit::repository::TOOL;
use crate::kit::simulated_store::{Actor, HOUR, Paging, Turn};
use crate::kit::store::KeepingStore;
use crate::kit::store::Wrapper as _;
use crate::kit::sweep::Yard;

/// A repository with something to delete: two snapshots forgotten three days ago, and one that stays.
pub(crate) async fn yard() -> (Yard, Vec<Digest>) {
    yard_with(21_600, 172_800).await
}

async fn yard_with(longest_run: u64, grace: u64) -> (Yard, Vec<Digest>) {
    let yard = Yard::with(3, longest_run, grace).await;
    let mut snapshots = Vec::new();
    for _ in 0..3 {
        yard.sim.advance(HOUR);
        snapshots.push(yard.backed_up().await);
    }
    yard.forget(&snapshots[..2]).await;
    yard.sim.advance(72 * HOUR);
    (yard, snapshots)
}

/// Sweeps, and it stops for these reasons and with this kind of failure.
pub(crate) async fn stops(yard: &Yard, reasons: &[&str], kind: FailureKind) -> SweepReport {
    let before: Vec<String> = all(yard);
    let report = yard.sweep().await;
    let mut found: Vec<&str> = report.stopped.iter().map(|stop| stop.reason).collect();
    found.dedup();
    assert_eq!((found.as_slice(), report.failure()), (reasons, Some(kind)), "{report:#?}");
    assert_eq!((report.deleted.objects, report.entry), (0, None), "{report:#?}");
    assert_eq!(all(yard), before, "nothing was deleted or written");
    report
}

fn all(yard: &Yard) -> Vec<String> {
    yard.sim.with(|world| world.objects.keys().cloned().collect())
}

#[tokio::test]
async fn without_a_reason_it_sweeps() {
    let (yard, snapshots) = yard().await;
    let looked = yard.sweep_by("sweeper", yard.sim.store(), false, Vec::new()).await.unwrap();
    assert_eq!((looked.deleted.objects, looked.entry, looked.snapshots.len()), (0, None, 2), "a dry run: {looked:#?}");
    let report = yard.sweep().await;
    assert_eq!((report.failure(), report.snapshots.len()), (None, 2), "{report:#?}");
    assert_eq!(report.deleted, looked.going);
    assert!(report.deleted.objects > 2);
    yard.needed().check(&yard.sim, "after it");
    let ledger = yard.ledger();
    assert!(snapshots[..2].iter().all(|swept| !ledger.unswept().any(|entry| entry.digest == *swept)));
}

/// What is no entry, and what a stranger signed without naming a snapshot, is nobody's reason to wait.
#[tokio::test]
async fn rubbish_stops_nothing() {
    let (yard, _) = yard().await;
    yard.sim.put("ledger/000000000/notes.txt", b"rubbish");
    yard.sim.put("trust/notes.txt", b"rubbish");
    yard.sim.put(&names::entry(&EntryRef { sequence: 3, digest: sha256(b"no entry") }), b"rubbish");
    let draft = draft(&yard, EntryEvent::Hold(because(&[sha256(b"never was")])));
    let stranger = SigningKey::from_seed(&[9; 32]);
    let (entry, bytes) = draft.sign(&place(&yard), &stranger).unwrap();
    yard.sim.put(&entry.name(), &bytes);
    let report = yard.sweep().await;
    assert!(report.stopped.is_empty() && report.deleted.objects > 2, "{report:#?}");
    yard.needed().check(&yard.sim, "after it");
}

#[tokio::test]
async fn a_snapshot_that_a_policy_made_void_goes_only_after_the_grace() {
    let (yard, snapshots) = yard().await;
    let last_good = yard.ledger().get(&snapshots[1]).unwrap().reference();
    yard.change(|policy| policy::end(policy, &yard.collectors[0], &[last_good])).await;
    stops(&yard, &["no_good_left"], FailureKind::Partial).await;
    let said = yard.backup(1, &Turn::free(), Paging::Prompt).await;
    assert!(said.starts_with("backed up"), "{said}");
    let needed = yard.sim.bytes(&names::list(&yard.ledger().get(&snapshots[2]).unwrap().snapshot().unwrap().list));
    assert!(needed.is_some());
    let report = yard.sweep().await;
    assert_eq!((report.failure(), report.snapshots.len(), report.waiting.len()), (None, 2, 1), "{report:#?}");
    let waiting = &report.waiting[0];
    assert_eq!((waiting.snapshot, waiting.rule.as_str()), (snapshots[2], "void by the trust policy"));
    assert!(waiting.goes_after.is_some_and(|at| at > yard.sim.now()), "a mistake of the custodians can be mended");
    yard.sim.advance(49 * HOUR);
    let report = yard.sweep().await;
    assert_eq!((report.failure(), report.waiting.len()), (None, 0), "{report:#?}");
    let list = names::list(&yard.ledger().get(&snapshots[2]).unwrap().snapshot().unwrap().list);
    assert!(yard.sim.bytes(&list).is_none(), "{report:#?}");
}

#[tokio::test]
async fn a_hole_in_the_ledger() {
    let (yard, _) = yard().await;
    let paths = yard.sim.paths("ledger");
    yard.sim.remove(&paths[paths.len() / 2]);
    stops(&yard, &["ledger"], FailureKind::Integrity).await;
    let lost = names::parse_entry(&paths[paths.len() / 2]).unwrap();
    yard.change(|policy| policy.lost.entries.push(lost)).await;
    let report = yard.sweep_by("new-host", yard.sim.store(), true, Vec::new()).await.unwrap();
    assert!(report.stopped.is_empty(), "{report:#?}");
    yard.needed().check(&yard.sim, "after it");
}

#[tokio::test]
async fn a_version_of_the_policy_that_is_gone_and_a_fork() {
    let (yard, _) = yard().await;
    let second = yard.change(|policy| policy.reason = Some("second".to_owned())).await;
    let bytes = yard.sim.bytes(&names::policy(&second)).unwrap();
    yard.change(|policy| policy.reason = Some("third".to_owned())).await;
    yard.sim.remove(&names::policy(&second));
    stops(&yard, &["ledger"], FailureKind::Integrity).await;
    yard.sim.put(&names::policy(&second), &bytes);
    // Upon the second, beside the third.
    let beside = yard.beside(second, |policy| policy.reason = Some("beside".to_owned()));
    stops(&yard, &["ledger"], FailureKind::Integrity).await;
    yard.sim.remove(&names::policy(&beside));
    assert!(yard.sweep().await.stopped.is_empty());
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_judged_yet() {
    let (yard, _) = yard().await;
    let never_was = PolicyRef { version: 9, digest: sha256(b"never was") };
    let ledger = yard.ledger();
    let event = ledger.latest_good().unwrap().snapshot().unwrap().clone();
    let place = EntryPlace { policy: never_was, ..place(&yard) };
    let signed = draft(&yard, EntryEvent::Snapshot(Box::new(event))).sign(&place, &yard.collectors[0]).unwrap();
    yard.sim.put(&signed.0.name(), &signed.1);
    stops(&yard, &["ledger"], FailureKind::Integrity).await;
    // The operator says which policy holds: then it is no reason to wait.
    let (writer, state) = (yard.writer("sweeper", &yard.reaper), yard.state("sweeper"));
    let (pinned_heads, tool) = (Vec::new(), TOOL.to_owned());
    let options = SweepOptions { state: &state, pinned_heads, policy_chosen: true, writer: Some(&writer), tool };
    let report = sweep(&yard.context(), &yard.open().await, &options).await.unwrap();
    assert!(report.stopped.is_empty() && report.deleted.objects > 0, "{report:#?}");
    yard.needed().check(&yard.sim, "after it");
}

fn because(snapshots: &[Digest]) -> SnapshotsEvent {
    SnapshotsEvent { snapshots: snapshots.to_vec(), reason: "test".to_owned() }
}

pub(crate) fn draft(yard: &Yard, event: EntryEvent) -> Draft {
    Draft { time: yard.sim.now(), tool: TOOL.to_owned(), event }
}

/// On top of all heads.
pub(crate) fn place(yard: &Yard) -> EntryPlace {
    let ledger = yard.ledger();
    let (policy, in_force) = ledger.trust().writes_under().unwrap();
    EntryPlace {
        repository: yard.id,
        source: in_force.source.clone(),
        parents: ledger.parents(),
        lost: Vec::new(),
        policy,
        carries: None,
        due: None,
    }
}

/// An entry on top of all of a kind that this version does not know, which changes what is kept.
fn of_tomorrow(yard: &Yard, snapshot: Digest, key: &SigningKey) {
    let (_, bytes) = draft(yard, EntryEvent::Hold(because(&[snapshot]))).sign(&place(yard), key).unwrap();
    let payload = Envelope::decode(&bytes, Holds::Entry).unwrap().payload;
    let changed = String::from_utf8(payload).unwrap().replace("\"kind\":\"hold\"", "\"kind\":\"hold_until\"");
    let mut envelope = Envelope::unsigned(changed.into_bytes());
    envelope.sign(key);
    let entry = EntryRef { sequence: place(yard).sequence(), digest: envelope.digest() };
    yard.sim.put(&names::entry(&entry), &envelope.encode(Holds::Entry).unwrap());
}

#[tokio::test]
async fn an_entry_of_a_reaper_of_a_kind_of_tomorrow() {
    let (yard, snapshots) = yard().await;
    of_tomorrow(&yard, snapshots[0], &yard.reaper);
    stops(&yard, &["unknown_entry"], FailureKind::Failed).await;
}

#[tokio::test]
async fn an_entry_of_a_kind_of_tomorrow_by_somebody_who_deletes_nothing() {
    let (yard, snapshots) = yard().await;
    of_tomorrow(&yard, snapshots[0], &yard.collectors[1]);
    assert!(yard.sweep().await.stopped.is_empty());
}

#[tokio::test]
async fn a_head_that_this_host_knew() {
    let (yard, _) = yard().await;
    let state = yard.state("sweeper");
    state.keep_entry("x.json", Bytes::from_static(b"x")).await.unwrap();
    let gone = EntryRef { sequence: 99, digest: sha256(b"gone") };
    state.remember(vec![names::entry(&gone)], "x.json").await.unwrap();
    let report = stops(&yard, &["head_missing"], FailureKind::Integrity).await;
    assert!(report.stopped[0].text.contains(&names::entry(&gone)));
    // Only the custodians accept a loss.
    yard.change(|policy| policy.lost.entries.push(gone)).await;
    assert!(yard.sweep().await.stopped.is_empty());
}

#[tokio::test]
async fn a_pinned_head_that_does_not_count() {
    let (yard, snapshots) = yard().await;
    for (head, reasons) in [(sha256(b"gone"), &["head_missing"][..]), (snapshots[2], &[])] {
        let report = yard.sweep_by("new-host", yard.sim.store(), false, vec![head]).await.unwrap();
        let found: Vec<&str> = report.stopped.iter().map(|stop| stop.reason).collect();
        assert_eq!(found, reasons, "{report:#?}");
    }
}

#[tokio::test]
async fn what_a_stranger_wants_kept_is_kept_until_the_operator_decides() {
    let (yard, snapshots) = yard().await;
    let stranger = SigningKey::from_seed(&[9; 32]);
    let undo = draft(&yard, EntryEvent::Undo(because(&snapshots[..1]))).sign(&place(&yard), &stranger).unwrap();
    yard.sim.put(&undo.0.name(), &undo.1);
    let report = yard.sweep().await;
    let swept: Vec<Digest> = report.snapshots.iter().map(|swept| swept.snapshot).collect();
    assert_eq!((swept, report.stopped.len()), (vec![snapshots[1]], 0), "{report:#?}");
    yard.needed().check(&yard.sim, "after it");
    let (writer, state) = (yard.writer("sweeper", &yard.reaper), yard.state("sweeper"));
    let (pinned_heads, tool) = (Vec::new(), TOOL.to_owned());
    let options = SweepOptions { state: &state, pinned_heads, policy_chosen: true, writer: Some(&writer), tool };
    let report = sweep(&yard.context(), &yard.open().await, &options).await.unwrap();
    assert_eq!(report.snapshots.len(), 1, "{report:#?}");
}

#[tokio::test]
async fn a_live_snapshot_that_lacks_an_object_or_has_half_of_it() {
    let (yard, snapshots) = yard().await;
    let ledger = yard.ledger();
    let event = ledger.get(&snapshots[2]).unwrap().snapshot().unwrap();
    let part = names::catalogue(&event.parts[0].digest);
    let whole = yard.sim.bytes(&part).unwrap();
    yard.sim.edit(&part, |stored| stored.bytes = whole.slice(..10));
    stops(&yard, &["object_missing"], FailureKind::Integrity).await;
    yard.sim.remove(&part);
    stops(&yard, &["object_missing"], FailureKind::Integrity).await;
}

/// What a live snapshot names and no listing shows is asked for by name.
#[tokio::test]
async fn a_listing_that_does_not_show_what_is_there() {
    let (yard, snapshots) = yard().await;
    let young = yard.backed_up().await;
    let ledger = yard.ledger();
    let part = |of: &Digest| names::catalogue(&ledger.get(of).unwrap().snapshot().unwrap().parts[0].digest);
    let later = yard.sim.now().plus_millis(HOUR);
    let sweep = || yard.sweep_by("sweeper", yard.sim.client(&Turn::free(), Paging::Whole), true, Vec::new());
    yard.sim.edit(&part(&snapshots[2]), |stored| stored.shown = later);
    let report = sweep().await.unwrap();
    let found: Vec<&str> = report.stopped.iter().map(|stop| stop.reason).collect();
    assert_eq!((found.as_slice(), report.failure()), (&["listing_partial"][..], Some(FailureKind::Failed)));
    yard.sim.edit(&part(&snapshots[2]), |stored| stored.shown = stored.modified);
    yard.sim.edit(&part(&young), |stored| stored.shown = later);
    let report = sweep().await.unwrap();
    assert_eq!(report.failure(), None, "it lags, as listings do: {report:#?}");
}

/// An entry that only a later version can read may be a snapshot or a hold; a stranger's is rubbish.
#[tokio::test]
async fn what_a_later_version_wrote_and_a_key_of_ours_signed() {
    let (yard, _) = yard().await;
    let later = |key: &SigningKey| {
        let (entry, bytes) =
            draft(&yard, EntryEvent::Hold(because(&[sha256(b"never was")]))).sign(&place(&yard), key).unwrap();
        let payload = String::from_utf8(Envelope::decode(&bytes, Holds::Entry).unwrap().payload).unwrap();
        let mut envelope = Envelope::unsigned(payload.replace("\"format\":\"1.0\"", "\"format\":\"2.0\"").into_bytes());
        envelope.sign(key);
        let name = names::entry(&EntryRef { sequence: entry.sequence, digest: envelope.digest() });
        yard.sim.put(&name, &envelope.encode(Holds::Entry).unwrap());
        name
    };
    let name = later(&yard.collectors[0]);
    let report = stops(&yard, &["ledger"], FailureKind::Integrity).await;
    assert!(report.stopped[0].text.contains(&name), "{report:#?}");
    yard.sim.remove(&name);
    later(&SigningKey::from_seed(&[9; 32]));
    let report = yard.sweep().await;
    assert!(report.stopped.is_empty() && report.deleted.objects > 2, "{report:#?}");
}

#[tokio::test]
async fn a_list_that_cannot_be_read() {
    let (yard, snapshots) = yard().await;
    let ledger = yard.ledger();
    let list = names::list(&ledger.get(&snapshots[2]).unwrap().snapshot().unwrap().list);
    let whole = yard.sim.bytes(&list).unwrap();
    yard.sim.edit(&list, |stored| stored.bytes = Bytes::from(vec![b'x'; whole.len()]));
    stops(&yard, &["list_unreadable"], FailureKind::Integrity).await;
}

/// A lock of somebody on one object; of a snapshot that goes anyway it says nothing that is needed.
#[tokio::test]
async fn a_list_that_nobody_may_read() {
    let (yard, snapshots) = yard().await;
    for (at, reasons) in [(2, &["list_unreadable"][..]), (0, &[])] {
        let odd = KeepingStore::around(yard.sim.store(), true);
        let list = names::list(&yard.ledger().get(&snapshots[at]).unwrap().snapshot().unwrap().list);
        *odd.unreadable.lock().unwrap() = Some(list);
        let report = yard.sweep_by("sweeper", odd.store(), true, Vec::new()).await.unwrap();
        let found: Vec<&str> = report.stopped.iter().map(|stop| stop.reason).collect();
        assert_eq!(found, reasons, "{report:#?}");
        assert_eq!(report.deleted.objects > 0, reasons.is_empty(), "{report:#?}");
    }
    yard.needed().check(&yard.sim, "after it");
}

#[tokio::test]
async fn no_good_snapshot_left() {
    let (yard, snapshots) = yard().await;
    yard.forget(&snapshots[2..]).await;
    stops(&yard, &["no_good_left"], FailureKind::Partial).await;
    yard.sim.advance(72 * HOUR);
    stops(&yard, &["no_good_left"], FailureKind::Partial).await;
}

#[tokio::test]
async fn a_clock_that_is_wrong() {
    let (yard, _) = yard().await;
    let path = yard.sim.paths("packs")[0].clone();
    let ahead = yard.sim.now().plus_millis(HOUR);
    let was = yard.sim.with(|world| world.objects[&path].modified);
    yard.sim.edit(&path, |stored| stored.modified = ahead);
    stops(&yard, &["from_the_future"], FailureKind::Failed).await;
    yard.sim.edit(&path, |stored| stored.modified = was);
    assert!(yard.sweep().await.stopped.is_empty());
}

#[tokio::test]
async fn a_host_whose_clock_differs_from_the_stores_and_a_store_without_one() {
    let (yard, _) = yard().await;
    let before = all(&yard);
    let odd = KeepingStore::around(yard.sim.store(), true);
    for (clock, reason) in [(Some(yard.sim.now().plus_millis(HOUR)), "clock_skewed"), (None, "clock_unknown")] {
        *odd.clock.lock().unwrap() = Some(clock);
        let report = yard.sweep_by("sweeper", odd.store(), true, Vec::new()).await.unwrap();
        assert_eq!((report.stopped[0].reason, report.failure()), (reason, Some(FailureKind::Failed)), "{report:#?}");
        assert_eq!(all(&yard), before);
    }
}

#[tokio::test]
async fn a_grace_that_is_no_longer_than_a_run() {
    let (yard, _) = yard_with(3_600, 3_600).await;
    stops(&yard, &["no_room"], FailureKind::Failed).await;
}

/// Runs a sweep up to where its own entry is in the ledger, then something else, then the rest of the sweep.
async fn meanwhile<F: Future<Output = ()>>(yard: &Yard, work: impl FnOnce() -> F) -> String {
    yard.meanwhile(Actor::new("sweep", 0, |turn| yard.sweeping("sweeper", &turn)), work).await
}

#[tokio::test]
async fn an_undo_in_the_last_moment() {
    let (yard, snapshots) = yard().await;
    let deletes = yard.sim.with(|world| world.deletes);
    let said = meanwhile(&yard, || async {
        let writer = yard.writer("forgetter", &yard.reaper);
        yard.unseen(async {
            let undo = &snapshots[..1];
            keyhaven::job::forget::undo_forget(&yard.open().await, &writer, TOOL, undo, "test").await.unwrap();
        })
        .await;
    })
    .await;
    assert!(said.contains("came too late"), "{said}");
    assert_eq!(yard.sim.with(|world| world.deletes), deletes);
}

#[tokio::test]
async fn a_snapshot_that_needs_what_would_go_is_recorded_in_the_last_moment() {
    let (yard, snapshots) = yard().await;
    let deletes = yard.sim.with(|world| world.deletes);
    let said = meanwhile(&yard, || async {
        // No collector of ours would: it names a part of a snapshot that was forgotten long ago.
        let ledger = yard.ledger();
        let event = |snapshot: &Digest| ledger.get(snapshot).unwrap().snapshot().unwrap().clone();
        let (old, mut event) = (event(&snapshots[0]), event(&snapshots[2]));
        event.parts = old.parts;
        let writer = yard.writer("collector-1", &yard.collectors[1]);
        let draft = Draft { time: yard.sim.now(), tool: TOOL.to_owned(), event: EntryEvent::Snapshot(Box::new(event)) };
        yard.open().await.commit(&writer, draft).await.unwrap();
    })
    .await;
    assert!(said.contains("was recorded meanwhile"), "{said}");
    assert_eq!(yard.sim.with(|world| world.deletes), deletes);
}

#[tokio::test]
async fn the_second_look_asks_by_name_for_what_the_first_saw_and_for_its_own_entry() {
    let (yard, _) = yard().await;
    let deletes = yard.sim.with(|world| world.deletes);
    let said = meanwhile(&yard, || async {
        let seen = yard.sim.paths("ledger");
        yard.sim.remove(&seen[seen.len() - 2]);
    })
    .await;
    assert!(said.starts_with("stopped: "), "{said}");
    assert_eq!(yard.sim.with(|world| world.deletes), deletes);

    // Not gone: listings do not show them for a while.
    for back in [1, 2] {
        let (yard, _) = self::yard().await;
        yard.backed_up().await;
        let later = yard.sim.now().plus_millis(HOUR);
        let said = meanwhile(&yard, || async {
            let seen = yard.sim.paths("ledger");
            yard.sim.edit(&seen[seen.len() - back], |stored| stored.shown = later);
        })
        .await;
        assert!(said.starts_with("swept"), "{back} from the end: {said}");
        yard.needed().check(&yard.sim, "after it");
    }
}

/// Somebody wants it to stop as it has just asked about the last object.
#[derive(Debug)]
struct Stopping(CancellationToken);

impl Observer for Stopping {
    fn observe(&self, event: job::event::JobEvent) {
        if matches!(event, job::event::JobEvent::End { stage: Stage::CheckObjects }) {
            self.0.cancel();
        }
    }
}

#[tokio::test]
async fn interrupted_before_it_signs() {
    let (yard, _) = yard().await;
    let before = all(&yard);
    let cancel = CancellationToken::new();
    let context = Context { observer: Arc::new(Stopping(cancel.clone())), cancel, ..yard.context() };
    let (writer, state) = (yard.writer("sweeper", &yard.reaper), yard.state("sweeper"));
    let (pinned_heads, tool) = (Vec::new(), TOOL.to_owned());
    let options = SweepOptions { state: &state, pinned_heads, policy_chosen: false, writer: Some(&writer), tool };
    let ended = sweep(&context, &yard.open().await, &options).await;
    assert!(matches!(ended, Err(SweepError::Interrupted)), "{ended:#?}");
    assert_eq!(all(&yard), before, "it signed nothing");
}

#[tokio::test]
async fn an_older_sweep_that_died_is_finished_by_the_next() {
    let (yard, snapshots) = yard().await;
    // Its entry is there, and it got no further.
    let writer = yard.writer("sweeper", &yard.reaper);
    let event = SweepEvent { snapshots: snapshots[..2].to_vec(), objects: 9, bytes: 9, before: yard.sim.now() };
    let draft = Draft { time: yard.sim.now(), tool: TOOL.to_owned(), event: EntryEvent::Sweep(event) };
    yard.open().await.commit(&writer, draft).await.unwrap();
    let report = yard.sweep().await;
    assert_eq!((report.snapshots.len(), report.stopped.len()), (0, 0), "they are gone already: {report:#?}");
    assert!(report.deleted.objects > 2 && report.orphans == report.going, "{report:#?}");
    yard.needed().check(&yard.sim, "after it");
}

/// In another bucket everything is young, what was swept before seems to be swept too early, and its list is gone.
#[tokio::test]
async fn a_repository_that_was_swept_and_then_copied_is_swept_on() {
    let (yard, snapshots) = yard().await;
    yard.sweep().await;
    let latest = yard.backed_up().await;
    yard.forget(&snapshots[2..]).await;
    let now = yard.sim.now();
    yard.sim.with(|world| world.objects.retain(|_, stored| stored.gone.is_none()));
    yard.sim.with(|world| world.objects.values_mut().for_each(|stored| stored.modified = now));
    let copied = yard.sweep_by("new-host", yard.sim.store(), true, Vec::new()).await.unwrap();
    assert_eq!((copied.failure(), copied.going.objects, copied.waiting.len()), (None, 0, 1), "{copied:#?}");
    yard.sim.advance(72 * HOUR);
    let later = yard.sweep_by("new-host", yard.sim.store(), true, Vec::new()).await.unwrap();
    assert_eq!((later.failure(), later.snapshots.len()), (None, 1), "{later:#?}");
    assert!(later.deleted.objects > 0 && yard.ledger().is_live(&latest));
    yard.needed().check(&yard.sim, "after it");
}

/// Signs that these are swept and deletes nothing: somebody with a stolen key, or a program that is wrong.
async fn signs_a_sweep(yard: &Yard, snapshots: &[Digest]) {
    let writer = yard.writer("thief", &yard.reaper);
    let event = SweepEvent { snapshots: snapshots.to_vec(), objects: 9, bytes: 9, before: yard.sim.now() };
    let draft = Draft { time: yard.sim.now(), tool: TOOL.to_owned(), event: EntryEvent::Sweep(event) };
    yard.open().await.commit(&writer, draft).await.unwrap();
}

/// With a stolen reaper's key: what it names waits for the grace all the same, so there is time to end that key.
#[tokio::test]
async fn an_entry_that_sweeps_what_was_not_forgotten_takes_nothing_before_the_grace() {
    let (yard, snapshots) = yard().await;
    signs_a_sweep(&yard, &snapshots).await;
    let later = yard.backed_up().await;
    let report = yard.sweep().await;
    assert_eq!((report.failure(), report.live, report.waiting.len()), (None, 1, 1), "{report:#?}");
    let list = names::list(&yard.ledger().get(&snapshots[2]).unwrap().snapshot().unwrap().list);
    assert!(yard.sim.bytes(&list).is_some());
    let last_good = yard.ledger().get(&later).unwrap().parents[0];
    let before_theft = yard.ledger().get(&last_good.digest).unwrap().parents.clone();
    yard.change(|policy| policy::end(policy, &yard.reaper, &before_theft)).await;
    let ledger = yard.ledger();
    assert!(ledger.is_live(&snapshots[2]), "the custodians ended the key, and it is back");
    assert!(yard.sim.bytes(&list).is_some());
}

#[tokio::test]
async fn an_entry_that_sweeps_too_early_makes_nothing_go_before_the_grace() {
    let (yard, snapshots) = yard().await;
    let later = yard.backed_up().await;
    yard.sim.advance(72 * HOUR);
    // Everything about the third snapshot is old; only that it was forgotten is not.
    let needed = yard.needed();
    let of_third: Vec<&String> = needed.0[2].1.iter().collect();
    yard.forget(&snapshots[2..]).await;
    signs_a_sweep(&yard, &snapshots[2..]).await;
    let report = yard.sweep().await;
    assert_eq!(report.failure(), None, "{report:#?}");
    assert!(report.deleted.objects > 0, "the first two go");
    let waits: Vec<(Digest, bool)> =
        report.waiting.iter().map(|waiting| (waiting.snapshot, waiting.goes_after.is_some())).collect();
    assert_eq!(waits, [(snapshots[2], true)], "{report:#?}");
    assert!(of_third.iter().all(|path| yard.sim.bytes(path).is_some()), "there is time to revoke the key");
    // Nobody did: then it goes.
    yard.sim.advance(49 * HOUR);
    let report = yard.sweep().await;
    assert_eq!((report.failure(), report.waiting.len()), (None, 0), "{report:#?}");
    assert!(of_third.iter().any(|path| yard.sim.bytes(path).is_none()), "{report:#?}");
    assert!(yard.ledger().is_live(&later));
    yard.needed().check(&yard.sim, "at the end");
}

#[tokio::test]
async fn evidence_and_what_is_none_of_ours_is_never_touched() {
    let (yard, _) = yard().await;
    let foreign = ["evidence/x.json", "packs/readme.txt", "lists/x", "RECOVER-old.md", "catalogues/sub/x"];
    for path in foreign {
        yard.sim.put(path, b"x");
    }
    yard.sim.advance(72 * HOUR);
    let report = yard.sweep().await;
    assert!(report.deleted.objects > 2, "{report:#?}");
    assert_eq!(report.foreign, 3, "in the folders of packs, lists and catalogues");
    for path in foreign.into_iter().chain(["keyhaven.json", "RECOVER.md"]) {
        assert!(yard.sim.bytes(path).is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_ends_it_and_the_count_is_kept() {
    let (yard, snapshots) = yard().await;
    let mut many = vec![snapshots[2]];
    for _ in 0..8 {
        many.push(yard.backed_up().await);
    }
    yard.forget(&many[..8]).await;
    yard.sim.advance(72 * HOUR);
    let odd = KeepingStore::around(yard.sim.store(), true);
    let going = yard.sweep_by("sweeper", odd.store(), false, Vec::new()).await.unwrap().going.objects;
    let before = yard.sim.with(|world| world.deletes);
    *odd.breaks_at.lock().unwrap() = Some(2);
    let report = yard.sweep_by("sweeper", odd.store(), true, Vec::new()).await.unwrap();
    let deleted = yard.sim.with(|world| world.deletes) - before;
    assert_eq!((report.deleted.objects, report.failure()), (deleted, Some(FailureKind::Failed)), "{report:#?}");
    assert!(report.failed.as_deref().is_some_and(|failed| failed.contains("not allowed")), "{report:#?}");
    assert!(deleted >= 2 && report.left > 0 && deleted + report.left < going, "{report:#?}");
    *odd.breaks_at.lock().unwrap() = None;
    let rest = yard.sweep_by("sweeper", odd.store(), true, Vec::new()).await.unwrap();
    assert_eq!((rest.deleted.objects, rest.failure()), (going - deleted, None), "{rest:#?}");
}

#[tokio::test]
async fn what_is_written_again_in_the_last_moment_stays() {
    let (yard, snapshots) = yard().await;
    let list = names::list(&yard.ledger().get(&snapshots[0]).unwrap().snapshot().unwrap().list);
    let bytes = yard.sim.bytes(&list).unwrap();
    let said = meanwhile(&yard, || async { yard.sim.put(&list, &bytes) }).await;
    assert!(said.starts_with("swept"), "{said}");
    assert!(yard.sim.bytes(&list).is_some(), "it is young again");
}

#[tokio::test]
async fn a_held_snapshot_stays_whatever_was_forgotten() {
    let (yard, snapshots) = yard().await;
    let draft = draft(&yard, EntryEvent::Hold(because(&snapshots[..1])));
    yard.open().await.commit(&yard.writer("other", &yard.reaper), draft).await.unwrap();
    let report = yard.sweep().await;
    let swept: Vec<Digest> = report.snapshots.iter().map(|swept| swept.snapshot).collect();
    assert_eq!(swept, [snapshots[1]], "{report:#?}");
    yard.needed().check(&yard.sim, "with a hold");
}

#[tokio::test]
async fn what_the_custodians_hold_stays_whatever_a_reaper_says() {
    let (yard, snapshots) = yard().await;
    yard.change(|policy| policy.held.push(snapshots[0])).await;
    let draft = draft(&yard, EntryEvent::Release(because(&snapshots[..1])));
    yard.open().await.commit(&yard.writer("other", &yard.reaper), draft).await.unwrap();
    let swept: Vec<Digest> = yard.sweep().await.snapshots.iter().map(|swept| swept.snapshot).collect();
    assert_eq!(swept, [snapshots[1]]);
    yard.needed().check(&yard.sim, "with a hold");
}

#[tokio::test]
async fn a_refusal_because_of_retention_is_told_from_a_missing_right() {
    let (yard, _) = yard().await;
    let path = yard.sim.paths("packs")[0].clone();
    let until = yard.sim.now().plus_millis(HOUR);
    for (says, held) in [(true, true), (false, false)] {
        let odd = KeepingStore::around(yard.sim.store(), says);
        odd.keeps.lock().unwrap().insert(path.clone(), Some(until));
        match odd.store().delete(&path).await {
            Err(StoreError::Held { hold, .. }) if held => assert_eq!(hold, Hold::Until(until)),
            Err(StoreError::Denied { .. }) if !held => {}
            other => panic!("says {says}: {other:?}"),
        }
    }
}

/// What is kept is no failure, whether a HEAD says so or only the refusal itself; a missing right is one.
#[tokio::test]
async fn what_the_store_keeps_is_said_with_its_date_and_is_no_failure() {
    let (yard, snapshots) = yard().await;
    let odd = KeepingStore::around(yard.sim.store(), true);
    let (until, later) = (yard.sim.now().plus_millis(5 * HOUR), yard.sim.now().plus_millis(50 * HOUR));
    let ledger = yard.ledger();
    let event = ledger.get(&snapshots[0]).unwrap().snapshot().unwrap();
    let (part, list) = (names::catalogue(&event.parts[0].digest), names::list(&event.list));
    odd.keeps.lock().unwrap().extend([(part.clone(), Some(until)), (list.clone(), Some(later))]);
    let report = yard.sweep_by("sweeper", odd.store(), true, Vec::new()).await.unwrap();
    assert_eq!((report.failure(), report.locked.amount.objects), (None, 2), "{report:#?}");
    assert_eq!((report.locked.first, report.locked.last, report.next), (Some(until), Some(later), Some(until)));
    assert!(report.deleted.objects > 0 && yard.sim.bytes(&part).is_some() && yard.sim.bytes(&list).is_some());
    let looked = yard.sweep_by("sweeper", odd.store(), true, Vec::new()).await.unwrap();
    assert_eq!((looked.entry, looked.locked.amount.objects), (None, 2), "nothing to sign for: {looked:#?}");
    yard.sim.advance(6 * HOUR);
    odd.keeps.lock().unwrap().remove(&part);
    let report = yard.sweep_by("sweeper", odd.store(), true, Vec::new()).await.unwrap();
    assert_eq!((report.deleted.objects, report.locked.amount.objects), (1, 1), "{report:#?}");
    odd.keeps.lock().unwrap().insert(list.clone(), None);
    let report = yard.sweep_by("sweeper", odd.store(), true, Vec::new()).await.unwrap();
    assert_eq!((report.held.objects, report.failure()), (1, None), "{report:#?}");
}

#[tokio::test]
async fn what_is_locked_in_the_last_moment_is_not_even_hidden() {
    // Seen when it is asked about once more, or only by the refusal behind that.
    for (looks, refuses) in [(1, false), (2, true)] {
        let (yard, snapshots) = yard().await;
        let odd = KeepingStore::around(yard.sim.store(), false);
        let until = yard.sim.now().plus_millis(5 * HOUR);
        let list = names::list(&yard.ledger().get(&snapshots[0]).unwrap().snapshot().unwrap().list);
        odd.locks_late.lock().unwrap().insert(list.clone(), (looks, until));
        if refuses {
            odd.keeps.lock().unwrap().insert(list.clone(), None);
        }
        let report = yard.sweep_by("sweeper", odd.store(), true, Vec::new()).await.unwrap();
        let locked = (report.locked.amount.objects, report.locked.first);
        assert_eq!((report.failure(), locked), (None, (1, Some(until))), "{report:#?}");
        assert_eq!(report.deleted.objects + 1, report.going.objects, "{report:#?}");
        assert!(yard.sim.bytes(&list).is_some(), "behind {looks}");
    }
}

#[tokio::test]
async fn a_missing_right_to_delete_is_a_failure() {
    let (yard, snapshots) = yard().await;
    let odd = KeepingStore::around(yard.sim.store(), false);
    let list = names::list(&yard.ledger().get(&snapshots[0]).unwrap().snapshot().unwrap().list);
    odd.keeps.lock().unwrap().insert(list.clone(), None);
    let report = yard.sweep_by("sweeper", odd.store(), true, Vec::new()).await.unwrap();
    assert_eq!((report.failure(), report.held.objects), (Some(FailureKind::Failed), 0), "{report:#?}");
    assert!(yard.sim.bytes(&list).is_some());
}
