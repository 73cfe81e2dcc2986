//! Backups, sweeps, forgets and undos side by side on one repository, in turns by a seeded dice, each dying or
//! losing an answer at any operation: no snapshot that was not swept ever lacks an object.

use std::sync::Arc;

use keyhaven::format::list::PackList;
use keyhaven::format::names;
use keyhaven::job::forget::{forget_snapshots, undo_forget};
use keyhaven::job::verify::{Level, VerifyKeys, VerifyOptions, verify};
use keyhaven::model::{Clock as _, Digest};
use keyhaven::repository::Repository;
use keyhaven::repository::ledger::SnapshotState;

use crate::kit::repository::TOOL;
use crate::kit::simulated_store::{Actor, Dice, HOUR, Paging, Step, Turn};
use crate::kit::sweep::Yard;

/// What happens and how often, and how far the listings of whom lag behind.
pub(crate) struct Play {
    pub(crate) seed: u64,
    /// Jobs that are begun.
    pub(crate) jobs: u64,
    pub(crate) actors: usize,
    /// One operation in so many kills a process before it, one after it, one loses its answer; never with 0.
    pub(crate) deadly: u64,
    /// How far listings lag.
    pub(crate) lag: i64,
    /// Whether they lag for collectors and forgetters too, and not only for sweepers.
    pub(crate) all_lag: bool,
    /// A snapshot is undone only within this time after it was forgotten.
    pub(crate) undo_within: i64,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) backups: u64,
    pub(crate) swept: u64,
    pub(crate) deletes: u64,
    pub(crate) deaths: u64,
    pub(crate) stops: u64,
    pub(crate) undone: u64,
}

impl Tally {
    fn hear(&mut self, said: &str) {
        self.backups += u64::from(said.starts_with("backed up"));
        self.stops += u64::from(said.starts_with("stopped"));
        self.undone += u64::from(said.starts_with("undone"));
    }
}

/// Plays, and checks after every turn that changed the ledger or deleted something.
pub(crate) async fn play(play: &Play) -> Tally {
    let yard = Yard::new(play.seed).await;
    let mut dice = Dice(play.seed ^ 0x5eed);
    yard.backed_up().await;
    yard.sim.with(|world| world.lag = play.lag);
    let mut actors: Vec<Option<Actor>> = (0..play.actors).map(|_| None).collect();
    let (mut begun, mut tally, mut needed, mut deletes) = (0, Tally::default(), yard.needed(), 0);
    let mut trail: Vec<String> = Vec::new();
    while begun < play.jobs || actors.iter().any(Option::is_some) {
        let slot = usize::try_from(dice.below(actors.len() as u64)).unwrap();
        match &mut actors[slot] {
            None if begun < play.jobs => {
                // Mostly something is going on; now and then nothing for hours.
                if dice.one_in(2) {
                    yard.sim.advance(dice.millis(8 * HOUR));
                }
                actors[slot] = Some(begin(&yard, play, &mut dice, begun));
                begun += 1;
            }
            None => {}
            Some(actor) => {
                let name = actor.name.clone();
                match actor.step().await {
                    Step::Goes => {}
                    Step::Died => {
                        tally.deaths += 1;
                        trail.push(format!("{name}: died"));
                        actors[slot] = None;
                    }
                    Step::Ended(said) => {
                        tally.hear(&said);
                        trail.push(format!("{} {name}: {said}", yard.sim.now()));
                        actors[slot] = None;
                    }
                }
            }
        }
        let (changed, now_deleted) = yard.sim.with(|world| (std::mem::take(&mut world.ledger_changed), world.deletes));
        if changed {
            needed = yard.needed();
        }
        if changed || now_deleted != deletes {
            deletes = now_deleted;
            let tail = trail.iter().rev().take(12).rev().cloned().collect::<Vec<_>>().join("\n");
            needed.check(&yard.sim, &format!("seed {}, after\n{tail}\n", play.seed));
        }
    }
    tally.deletes = deletes;
    let ledger = yard.ledger();
    let swept =
        |entry: &&&keyhaven::format::Entry| matches!(ledger.state(&entry.digest), Some(SnapshotState::Swept { .. }));
    tally.swept = ledger.snapshots().iter().filter(swept).count() as u64;
    settle_down(&yard).await;
    tally
}

/// Afterwards everything that is left verifies, and one more sweep takes what the dead have left.
async fn settle_down(yard: &Yard) {
    yard.sim.with(|world| world.lag = 0);
    yard.sim.advance(100 * HOUR);
    yard.backed_up().await;
    yard.sweep().await;
    yard.needed().check(&yard.sim, "in the end");
    let repository = yard.open().await;
    let keys = VerifyKeys { catalogue: None, recovery: None };
    let report = verify(&yard.context(), &repository, &keys, &VerifyOptions::new(Level::Objects)).await.unwrap();
    assert!(report.ok, "{:#?}", report.problems);
    let again = yard.sweep().await;
    assert_eq!((again.going.objects, again.stopped.len()), (0, 0), "{again:#?}");
}

fn begin(yard: &Yard, play: &Play, dice: &mut Dice, number: u64) -> Actor {
    let paging = if play.all_lag { Paging::Whole } else { Paging::Prompt };
    match dice.below(20) {
        0..=8 => {
            if !dice.one_in(3) {
                yard.source.change(dice);
            }
            let collector = usize::try_from(dice.below(2)).unwrap();
            Actor::new(format!("backup {number}"), play.deadly, |turn| yard.backup(collector, &turn, paging))
        }
        9..=13 => {
            let host = format!("sweeper-{}", dice.below(2));
            Actor::new(format!("sweep {number}"), play.deadly, |turn| yard.sweeping(&host, &turn))
        }
        14..=17 => {
            let dice = dice.clone();
            Actor::new(format!("forget {number}"), play.deadly, |turn| forgetting(yard, &turn, dice, paging))
        }
        _ => {
            let (dice, within) = (dice.clone(), play.undo_within);
            Actor::new(format!("undo {number}"), play.deadly, |turn| undoing(yard, &turn, dice, within, paging))
        }
    }
}

/// Forgets some of the snapshots that this process sees, all but the newest two.
fn forgetting(yard: &Yard, turn: &Turn, mut dice: Dice, paging: Paging) -> impl Future<Output = String> + use<> {
    let (store, id, writer) = (yard.sim.client(turn, paging), yard.id, yard.writer("forgetter", &yard.reaper));
    async move {
        let chosen = async {
            let repository = Repository::open(store, id).await.map_err(|error| error.to_string())?;
            let ledger = repository.read_ledger().await.map_err(|error| error.to_string())?;
            let mut live: Vec<Digest> = ledger.live().map(|entry| entry.digest).collect();
            live.truncate(live.len().saturating_sub(2));
            live.retain(|_| !dice.one_in(4));
            Ok::<_, String>((repository, live))
        };
        match chosen.await {
            Err(error) => format!("not forgotten: {error}"),
            Ok((_, none)) if none.is_empty() => "nothing to forget".to_owned(),
            Ok((repository, chosen)) => match forget_snapshots(&repository, &writer, TOOL, &chosen, "by dice").await {
                Ok(_) => format!("forgot {}", chosen.len()),
                Err(error) => format!("not forgotten: {error}"),
            },
        }
    }
}

/// Undoes one snapshot that was forgotten not too long ago.
fn undoing(
    yard: &Yard,
    turn: &Turn,
    mut dice: Dice,
    within: i64,
    paging: Paging,
) -> impl Future<Output = String> + use<> {
    let (store, id, writer) = (yard.sim.client(turn, paging), yard.id, yard.writer("forgetter", &yard.reaper));
    let sim = Arc::new(yard.sim.clone());
    async move {
        let Ok(repository) = Repository::open(store, id).await else { return "not opened".to_owned() };
        let Ok(ledger) = repository.read_ledger().await else { return "not read".to_owned() };
        let young = |by: &Digest| ledger.get(by).is_some_and(|entry| sim.now().millis_since(entry.time) < within);
        let forgotten: Vec<Digest> = ledger
            .unswept()
            .filter(
                |entry| matches!(ledger.state(&entry.digest), Some(SnapshotState::Forgotten { by, .. }) if young(&by)),
            )
            .map(|entry| entry.digest)
            .collect();
        if forgotten.is_empty() {
            return "nothing to undo".to_owned();
        }
        let which = usize::try_from(dice.below(forgotten.len() as u64)).unwrap();
        match undo_forget(&repository, &writer, TOOL, &[forgotten[which]], "by dice").await {
            Ok(_) => "undone".to_owned(),
            Err(error) => format!("not undone: {error}"),
        }
    }
}

/// Several plays, and together they were no idle ones.
async fn plays(seeds: std::ops::Range<u64>, of: impl Fn(u64) -> Play) -> Tally {
    let mut all = Tally::default();
    for seed in seeds {
        let tally = play(&of(seed)).await;
        all.backups += tally.backups;
        all.swept += tally.swept;
        all.deletes += tally.deletes;
        all.deaths += tally.deaths;
        all.stops += tally.stops;
        all.undone += tally.undone;
    }
    all
}

#[tokio::test]
async fn nothing_that_is_kept_is_lost_side_by_side() {
    let all = plays(0..5, |seed| Play {
        seed,
        jobs: 100,
        actors: 4,
        deadly: 0,
        lag: 0,
        all_lag: true,
        undo_within: 1_000 * HOUR,
    })
    .await;
    assert!(all.backups > 100 && all.swept > 20 && all.deletes > 60 && all.undone > 5, "{all:?}");
}

#[tokio::test]
async fn nothing_that_is_kept_is_lost_when_processes_die_at_any_operation() {
    let all = plays(100..105, |seed| Play {
        seed,
        jobs: 100,
        actors: 4,
        deadly: 120,
        lag: 0,
        all_lag: true,
        undo_within: 1_000 * HOUR,
    })
    .await;
    assert!(all.backups > 40 && all.swept > 5 && all.deletes > 20 && all.deaths > 40, "{all:?}");
}

/// Two lists of the same packs must not be one object: a sweep that is about to delete the first would delete the second.
#[tokio::test]
async fn a_run_that_needs_the_packs_of_an_older_snapshot_writes_a_list_of_its_own() {
    let yard = Yard::new(5).await;
    let backup = || async {
        yard.sim.advance(HOUR);
        let said = yard.backup(0, &Turn::free(), Paging::Prompt).await;
        assert!(said.starts_with("backed up"), "{said}");
        let ledger = yard.ledger();
        ledger.snapshots().last().unwrap().snapshot().unwrap().list
    };
    let packs = |list: &Digest| PackList::decode(&yard.sim.bytes(&names::list(list)).unwrap()).unwrap().packs;
    let first = backup().await;
    let names = |list: &Digest| packs(list).iter().map(|listed| listed.pack).collect::<Vec<_>>();
    let settled = backup().await;
    assert_ne!(settled, first, "the packs are of an earlier snapshot now, which the list says");
    assert_eq!(names(&settled), names(&first));
    let made = yard.sim.now().plus_millis(-10_000);
    yard.source.secrets.lock().unwrap().insert("zzz".to_owned(), (1, made));
    let more = backup().await;
    assert_eq!(packs(&more).len(), 2);
    yard.source.secrets.lock().unwrap().remove("zzz");
    let again = backup().await;
    assert_eq!(packs(&again), packs(&settled));
    assert!(again != first && again != settled);
}

/// How the only snapshot of a collector stands when its next backup and a sweep begin at once.
#[derive(Clone, Copy)]
enum Given {
    /// It was forgotten three days ago.
    LongAgo,
    /// It is forgotten as they begin.
    Now,
}

/// One backup and one sweep, in turns: the sweep would take what the backup would build upon, or has just written.
async fn duel(seed: u64, given: Given) -> bool {
    let yard = Yard::new(seed).await;
    let mut dice = Dice(seed ^ 0xd0e1);
    let said = yard.backup(1, &Turn::free(), Paging::Prompt).await;
    assert!(said.starts_with("backed up"), "{said}");
    let old = yard.ledger().snapshots()[0].digest;
    yard.sim.advance(HOUR);
    yard.backed_up().await;
    if matches!(given, Given::LongAgo) {
        yard.forget(&[old]).await;
    }
    yard.sim.advance(72 * HOUR);
    yard.source.change(&mut dice);
    let sweep = |turn: Turn| {
        let (sweep, forget) = (yard.sweeping("sweeper", &turn), forget_in_turn(&yard, &turn, old));
        async move {
            if matches!(given, Given::Now) {
                forget.await;
            }
            sweep.await
        }
    };
    let backup = Actor::new("backup", 0, |turn| yard.backup(1, &turn, Paging::Prompt));
    let mut actors = vec![backup, Actor::new("sweep", 0, sweep)];
    let mut said = Vec::new();
    while !actors.is_empty() {
        let at = usize::try_from(dice.below(actors.len() as u64)).unwrap();
        // Several operations in a row now and then, so that one gets far while the other stands.
        for _ in 0..=dice.below(12) {
            match actors[at].step().await {
                Step::Goes => {}
                Step::Died => unreachable!("nothing is deadly here"),
                Step::Ended(words) => {
                    said.push(words);
                    drop(actors.remove(at));
                    break;
                }
            }
        }
        yard.needed().check(&yard.sim, &format!("seed {seed}, after {said:?}"));
    }
    said.iter().any(|said| said.starts_with("backed up"))
}

/// Many of them; nearly every backup comes through.
async fn duels(seeds: std::ops::Range<u64>, given: Given) {
    let count = seeds.end - seeds.start;
    let mut recorded = 0;
    for seed in seeds {
        recorded += u64::from(duel(seed, given).await);
    }
    assert!(recorded * 10 > count * 9, "{recorded} of {count} were recorded");
}

fn forget_in_turn(yard: &Yard, turn: &Turn, old: Digest) -> impl Future<Output = ()> + use<> {
    let (store, id) = (yard.sim.client(turn, Paging::Prompt), yard.id);
    let writer = yard.writer("forgetter", &yard.reaper);
    async move {
        let repository = Repository::open(store, id).await.unwrap();
        forget_snapshots(&repository, &writer, TOOL, &[old], "test").await.unwrap();
    }
}

#[tokio::test]
async fn a_backup_whose_base_is_due_and_a_sweep() {
    duels(0..60, Given::LongAgo).await;
}

#[tokio::test]
async fn a_backup_whose_base_is_given_up_meanwhile_and_a_sweep() {
    duels(1_000..1_060, Given::Now).await;
}
