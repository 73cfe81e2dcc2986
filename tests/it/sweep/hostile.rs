//! Sweeps through listings that lag, lose pages, come in no order, show things twice or long after they are gone: a sweep
//! stops, or takes nothing that is needed.

use std::collections::BTreeMap;

use keyhaven::format::names;
use keyhaven::job::sweep::{SweepError, SweepReport};
use keyhaven::model::Digest;

use super::beside::{Play, Tally, play};
use crate::kit::repository::TOOL;
use crate::kit::simulated_store::{HOUR, Paging, Stored, Turn};
use crate::kit::sweep::Yard;

/// A repository with a past: many snapshots, some forgotten long ago, some lately, and what a dead run has left.
async fn grown() -> Yard {
    let yard = Yard::new(7).await;
    let mut old = Vec::new();
    for _ in 0..7 {
        yard.sim.advance(5 * HOUR);
        old.push(yard.backed_up().await);
    }
    yard.forget(&old[..4]).await;
    yard.sim.put(&names::pack(&keyhaven::crypto::digest::sha256(b"orphan")), b"orphan");
    yard.sim.advance(60 * HOUR);
    for _ in 0..5 {
        yard.sim.advance(HOUR);
        old.push(yard.backed_up().await);
    }
    yard.forget(&old[4..6]).await;
    yard.sim.advance(HOUR);
    yard
}

fn objects(yard: &Yard) -> BTreeMap<String, Stored> {
    yard.sim.with(|world| world.objects.clone())
}

/// Sweeps with such listings from the same beginning each time, as a host that remembers nothing.
async fn sweep_through(
    yard: &Yard,
    before: &BTreeMap<String, Stored>,
    host: &str,
    paging: Paging,
) -> Result<SweepReport, SweepError> {
    yard.sim.with(|world| world.objects.clone_from(before));
    let store = yard.sim.client(&Turn::free(), paging);
    let result = yard.sweep_by(host, store, true, Vec::new()).await;
    yard.needed().check(&yard.sim, &format!("{paging:?}: {result:?}"));
    result
}

#[tokio::test]
async fn a_lost_page_stops_it() {
    let yard = grown().await;
    let before = objects(&yard);
    let deletes = yard.sim.with(|world| world.deletes);
    // Pages of one object begin everywhere; all others lie elsewhere in a listing that begins elsewhere.
    for page in [2, 3, 5, 8] {
        yard.sim.with(|world| world.page = page);
        for paging in [Paging::DropLast, Paging::DropSame(0), Paging::DropSame(1), Paging::DropSame(2)] {
            let host = format!("host-{page}-{paging:?}");
            if let Paging::DropSame(number) = paging
                && before.keys().filter(|path| path.starts_with("packs/")).count() <= page * number
            {
                // No folder has such a page.
                continue;
            }
            match sweep_through(&yard, &before, &host, paging).await {
                Ok(report) => assert!(!report.stopped.is_empty(), "{page} {paging:?}: {report:#?}"),
                Err(SweepError::Repository(_)) => {}
                Err(error) => panic!("{error}"),
            }
            assert_eq!(yard.sim.with(|world| world.deletes), deletes, "{page} {paging:?}");
        }
    }
}

/// What only the second way of listing shows: an undo of long ago, and the page with that entry is lost
/// at the end, where no link leads to it.
#[tokio::test]
async fn an_undo_on_a_lost_page_is_not_overlooked() {
    let yard = Yard::new(11).await;
    let old = yard.backed_up().await;
    yard.sim.advance(HOUR);
    yard.backed_up().await;
    yard.forget(&[old]).await;
    let writer = yard.writer("forgetter", &yard.reaper);
    keyhaven::job::forget::undo_forget(&yard.open().await, &writer, TOOL, &[old], "test").await.unwrap();
    yard.sim.advance(72 * HOUR);
    assert_eq!(yard.sim.paths("ledger").len(), 4);
    yard.sim.with(|world| world.page = 3);
    let report = sweep_through(&yard, &objects(&yard), "new-host", Paging::DropLastOfLedger).await.unwrap();
    assert_eq!(report.stopped[0].reason, "listings_differ", "{report:#?}");
    assert_eq!(yard.sim.with(|world| world.deletes), 0);
}

#[tokio::test]
async fn pages_lost_at_random_never_cost_what_is_needed() {
    let yard = grown().await;
    let before = objects(&yard);
    let mut stopped = 0;
    for round in 0..60 {
        yard.sim.with(|world| world.page = 1 + round % 7);
        match sweep_through(&yard, &before, &format!("host-{round}"), Paging::DropSome).await {
            Ok(report) if report.stopped.is_empty() => {}
            _ => stopped += 1,
        }
    }
    assert!(stopped > 50, "{stopped} of 60");
}

#[tokio::test]
async fn order_and_repetition_do_not_matter() {
    let yard = grown().await;
    let before = objects(&yard);
    let plain = sweep_through(&yard, &before, "plain", Paging::Whole).await.unwrap();
    assert!(plain.stopped.is_empty() && plain.deleted.objects > 3 && plain.snapshots.len() == 4, "{plain:#?}");
    assert_eq!(plain.waiting.len(), 2, "those forgotten lately");
    for round in 0..5 {
        let report = sweep_through(&yard, &before, &format!("host-{round}"), Paging::Shuffled).await.unwrap();
        assert_eq!((report.deleted, report.snapshots.len()), (plain.deleted, 4), "{report:#?}");
    }
}

/// What a listing never shows cannot be known of from listings. A hole in the middle shows by its links; newest entries do
/// by the memory of this host or by a pin. Without either nothing shows it, and the documentation says so.
#[tokio::test]
async fn entries_that_no_listing_shows_are_missed_by_links_memory_or_a_pin() {
    let yard = grown().await;
    let ledger = yard.ledger();
    let entries: Vec<(String, Digest)> = ledger.entries().iter().map(|entry| (entry.name(), entry.digest)).collect();
    let (newest, middle) = (entries.last().unwrap().clone(), entries[entries.len() / 2].clone());
    let deletes = yard.sim.with(|world| world.deletes);
    let hidden = |path: &str| yard.sim.with(|world| world.objects.remove(path).unwrap());

    let taken = hidden(&middle.0);
    let report = yard.sweep_by("new-host", yard.sim.store(), true, Vec::new()).await.unwrap();
    assert!(report.stopped.iter().any(|stop| stop.reason == "ledger"), "{report:#?}");
    yard.sim.with(|world| drop(world.objects.insert(middle.0.clone(), taken)));

    // The host that has seen it and the caller who has it in writing.
    let state = yard.state("old-host");
    state.keep_entry("x.json", bytes::Bytes::from_static(b"x")).await.unwrap();
    state.remember(vec![newest.0.clone()], "x.json").await.unwrap();
    let taken = hidden(&newest.0);
    let report = yard.sweep_by("old-host", yard.sim.store(), true, Vec::new()).await.unwrap();
    assert_eq!(report.stopped[0].reason, "head_missing", "{report:#?}");
    let report = yard.sweep_by("new-host", yard.sim.store(), true, vec![newest.1]).await.unwrap();
    assert_eq!(report.stopped[0].reason, "head_missing", "{report:#?}");
    assert_eq!(yard.sim.with(|world| world.deletes), deletes);
    yard.sim.with(|world| drop(world.objects.insert(newest.0, taken)));
    assert!(yard.sweep_by("old-host", yard.sim.store(), true, vec![newest.1]).await.unwrap().stopped.is_empty());
}

async fn plays(seeds: std::ops::Range<u64>, of: impl Fn(u64) -> Play) -> (u64, u64, u64) {
    let mut all = Tally::default();
    for seed in seeds {
        let tally = play(&of(seed)).await;
        all.backups += tally.backups;
        all.swept += tally.swept;
        all.deletes += tally.deletes;
    }
    (all.backups, all.swept, all.deletes)
}

/// Only what a sweeper is shown lags: by anything less than the grace without the longest run (48 h, 6 h). What is undone
/// back must be seen before the grace is over.
#[tokio::test]
async fn a_sweeper_may_see_everything_late() {
    let lag = 41 * HOUR;
    let of = |seed| Play { seed, jobs: 60, actors: 4, deadly: 0, lag, all_lag: false, undo_within: 6 * HOUR };
    let (backups, swept, _) = plays(200..205, of).await;
    assert!(backups > 60 && swept > 3, "{backups} backups, {swept} swept");
}

/// Everybody is shown things late: then it is the two lags together that must be less.
#[tokio::test]
async fn everybody_may_see_everything_late() {
    let lag = 20 * HOUR;
    let of = |seed| Play { seed, jobs: 60, actors: 4, deadly: 0, lag, all_lag: true, undo_within: 20 * HOUR };
    let (backups, swept, _) = plays(300..305, of).await;
    assert!(backups > 20 && swept > 3, "{backups} backups, {swept} swept");
}
