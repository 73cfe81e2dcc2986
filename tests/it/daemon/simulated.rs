//! The run loop in simulated time: hours and days pass in seconds, on one host and on several, over a ledger in memory and
//! over a real repository.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use keyhaven::daemon::lease_manager::LeaseManager;
use keyhaven::daemon::plan::CompletedSlot;
use keyhaven::daemon::ports::{AttemptOutcome, Ledgers, RunRequest, Runner, StopRequest};
use keyhaven::daemon::slots::newest_filled;
use keyhaven::daemon::task::JobTask;
use keyhaven::daemon::{DaemonRole, RunOutcome};
use keyhaven::format::EntryEvent;
use keyhaven::job::RunFacts;
use keyhaven::job::verify::{Level, VerifyKeys, VerifyOptions, verify};
use keyhaven::model::{Clock, Timestamp};
use keyhaven::repository::lease::{LeaseAnswer, Leases};
use keyhaven::repository::{Repository, Store};

use crate::kit::clock::{SimulatedClock, context};
use crate::kit::daemon::{Daemon, Ear, Host, Pretend, RunLog, task};
use crate::kit::repository::{Contents, Kit};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// One daemon with a ledger in memory.
struct Single {
    clock: Arc<SimulatedClock>,
    book: Arc<RunLog>,
    host: Host,
}

impl Single {
    fn new(start: &str, tasks: Vec<JobTask>, takes: u64, endings: &[RunOutcome]) -> Self {
        let clock = SimulatedClock::at(at(start));
        let book = Arc::new(RunLog::default());
        let runner = Pretend {
            book: Arc::clone(&book),
            clock: Arc::clone(&clock),
            takes: Duration::from_secs(takes),
            endings: Mutex::new(endings.iter().rev().cloned().collect()),
        };
        let host = Host {
            name: "host".to_owned(),
            // As if it had always run here: no waiting for others that are not there.
            remembered: tasks.iter().map(|task| (task.id(), at(start))).collect(),
            tasks,
            runner: Arc::new(runner),
            ledgers: Arc::clone(&book) as Arc<dyn Ledgers>,
            leases: LeaseManager::default(),
            ear: Arc::new(Ear::default()),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            takeover_after: Duration::from_secs(60),
        };
        Self { clock, book, host }
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_with_a_change_of_the_clocks_has_every_slot_once() {
    // 25 hours in Berlin; 23 hours; and a zone that has no such thing.
    for (start, zone) in [
        ("2026-10-24T22:30:00Z", "Europe/Berlin"),
        ("2026-03-28T22:30:00Z", "Europe/Berlin"),
        ("2026-10-24T22:30:00Z", "UTC"),
    ] {
        for line in ["0 * * * *", "30 2 * * *", "*/15 * * * *"] {
            let job = task("backup", "backup", line, zone);
            let schedule = job.schedule.clone();
            let world = Single::new(start, vec![job], 5, &[]);
            let daemon = world.host.start();
            pass(26 * HOUR).await;
            daemon.stop().await;
            let end = at(start).plus_millis(26 * 3_600_000 - 6_000);
            let expected: Vec<_> = schedule.upcoming(at(start)).take_while(|due| *due < end).collect();
            assert!(!expected.is_empty());
            assert_eq!(world.book.slots("backup"), expected, "{line} in {zone}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_is_followed() {
    let world = Single::new("2026-11-22T10:10:00Z", vec![task("backup", "backup", "0 * * * *", "UTC")], 5, &[]);
    let daemon = world.host.start();
    pass(60).await;
    assert_eq!(world.book.slots("backup"), []);
    // The lid was closed for three and a half hours: one run, of the newest slot, and soon.
    world.clock.jump(3 * 3_600_000 + 1_800_000);
    pass(30).await;
    assert_eq!(world.book.slots("backup"), [at("2026-11-22T13:00:00Z")]);
    // Set back by two hours: what was run is not run again, and the next one is on time by the new time.
    world.clock.jump(-2 * 3_600_000);
    pass(2 * HOUR).await;
    // 11:41 to 13:41 once more: the slots that nobody had run, and not the one that was.
    let hours = |hours: &[u32]| hours.iter().map(|h| at(&format!("2026-11-22T{h}:00:00Z"))).collect::<Vec<_>>();
    assert_eq!(world.book.slots("backup"), hours(&[11, 12, 13]));
    pass(HOUR).await;
    assert_eq!(world.book.slots("backup"), hours(&[11, 12, 13, 14]));
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_job_is_tried_again_with_growing_pauses() {
    let mut job = task("backup", "backup", "0 * * * *", "UTC");
    job.retries = 3;
    let down = RunOutcome::Failed { exit: 17 };
    let world = Single::new("2026-11-22T10:10:00Z", vec![job], 5, &[down.clone(), RunOutcome::TimedOut, down]);
    let daemon = world.host.start();
    pass(HOUR).await;
    let ear = Arc::clone(&daemon.ear);
    daemon.stop().await;
    let began = world.book.began("backup");
    let pauses: Vec<i64> = began.windows(2).map(|pair| pair[1].millis_since(pair[0]) / 1_000).collect();
    assert_eq!(began.len(), 4, "three failures, then it worked");
    assert!((65..=85).contains(&pauses[0]) && (125..=165).contains(&pauses[1]), "{pauses:?}");
    assert!((245..=310).contains(&pauses[2]), "{pauses:?}");
    assert_eq!(world.book.slots("backup"), [at("2026-11-22T11:00:00Z")]);
    let runs = ear.runs.lock().unwrap();
    let told: Vec<(u32, bool)> = runs.iter().map(|(run, again)| (run.attempt, *again)).collect();
    assert_eq!(told, [(1, true), (2, true), (3, true), (4, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_needs_a_person_waits_for_the_next_slot() {
    let mut job = task("backup", "backup", "0 * * * *", "UTC");
    job.retries = 5;
    let world = Single::new("2026-11-22T10:10:00Z", vec![job], 5, &[RunOutcome::Failed { exit: 13 }]);
    let daemon = world.host.start();
    pass(2 * HOUR).await;
    daemon.stop().await;
    assert_eq!(world.book.began("backup").len(), 2);
    assert_eq!(world.book.slots("backup"), [at("2026-11-22T12:00:00Z")]);
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_one_run_is_made_up_for_and_only_where_it_is_wanted() {
    let caught = task("caught", "verify", "*/15 * * * *", "UTC");
    let mut skipped = task("skipped", "verify", "*/15 * * * *", "UTC");
    skipped.catch_up = false;
    let mut world = Single::new("2026-11-22T09:07:00Z", vec![caught, skipped], 5, &[]);
    for slot in world.host.remembered.values_mut() {
        *slot = at("2026-11-22T02:00:00Z");
    }
    let daemon = world.host.start();
    pass(60).await;
    assert_eq!(world.book.slots("caught"), [at("2026-11-22T09:00:00Z")]);
    assert_eq!(world.book.slots("skipped"), []);
    pass(10 * MINUTE).await;
    assert_eq!(world.book.slots("caught"), [at("2026-11-22T09:00:00Z"), at("2026-11-22T09:15:00Z")]);
    assert_eq!(world.book.slots("skipped"), [at("2026-11-22T09:15:00Z")]);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_never_overlaps_itself_nor_another_on_its_instance() {
    // Each takes longer than the time between two slots of it.
    let tasks = vec![
        task("backup", "backup", "* * * * *", "UTC"),
        task("full", "backup", "*/5 * * * *", "UTC"),
        task("verify", "verify", "* * * * *", "UTC"),
    ];
    let world = Single::new("2026-11-22T10:00:30Z", tasks, 90, &[]);
    let daemon = world.host.start();
    pass(HOUR).await;
    daemon.stop().await;
    let attempts = world.book.attempts.lock().unwrap();
    let mut beside = 0;
    for (at, (one, began, ended)) in attempts.iter().enumerate() {
        for (other, other_began, _) in &attempts[at + 1..] {
            let together = ended.is_none_or(|ended| *other_began < ended) && other_began >= began;
            let excluded = one == other || (one != "verify" && other != "verify");
            assert!(!(together && excluded), "{one} and {other} at {other_began}");
            beside += usize::from(together);
        }
    }
    assert!(beside > 0, "what touches no instance runs beside");
    drop(attempts);
    for job in ["backup", "full", "verify"] {
        let slots = world.book.slots(job);
        assert!(slots.len() >= 10, "{job} has its turns: {}", slots.len());
        assert!(slots.windows(2).all(|pair| pair[0] < pair[1]), "{job}: none twice");
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_more_to_do_than_time_every_job_has_its_turn() {
    // All at the same second, on one instance, and together longer than the time between two slots; one of them only fails.
    let names = ["a", "b", "c", "d"];
    let tasks = names.map(|name| task(name, "backup", "* * * * *", "UTC")).into();
    let mut world = Single::new("2026-11-22T10:00:30Z", tasks, 40, &[]);
    world.host.takeover_after = Duration::from_secs(20);
    let daemon = world.host.start();
    pass(2 * HOUR).await;
    daemon.stop().await;
    let began: Vec<usize> = names.map(|name| world.book.began(name).len()).into();
    assert!(began.iter().min() >= Some(&40) && began.iter().max() <= Some(&50), "{began:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_daemon_that_is_alone_soon_runs_what_is_due_more_often_than_others_are_waited_for() {
    let mut world = Single::new("2026-11-22T10:00:03Z", vec![task("often", "backup", "*/10 * * * * *", "UTC")], 2, &[]);
    world.host.remembered.clear();
    let daemon = world.host.start();
    pass(HOUR).await;
    daemon.stop().await;
    let slots = world.book.slots("often");
    let first = slots.first().unwrap().millis_since(at("2026-11-22T10:00:00Z"));
    assert!(first <= 40_000, "{first}");
    assert!(slots.windows(2).all(|pair| pair[1].millis_since(pair[0]) == 10_000), "none left out from then on");
}

/// Leases of a folder whose clock is that of the world.
fn desk(folder: &Path, clock: &Arc<SimulatedClock>, owner: &str) -> (LeaseManager, Leases) {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let leases = Leases::new(Store::local(folder), clock, owner, Duration::from_secs(60));
    let mut desk = LeaseManager::default();
    desk.add("", leases.clone(), "repository");
    (desk, leases)
}

#[tokio::test(start_paused = true)]
async fn three_daemons_share_three_instances_and_leave_no_slot_out() {
    const INSTANCES: [&str; 3] = ["pay", "shop", "mail"];
    let jobs = INSTANCES
        .map(|instance| JobTask { instance: instance.to_owned(), ..task("backup", "backup", "* * * * *", "UTC") });
    let mut world = Single::new("2026-11-22T10:00:30Z", jobs.into(), 3, &[]);
    let folder = tempfile::tempdir().unwrap();
    world.host.takeover_after = Duration::from_secs(20);
    // The worst case: each believes that everything is its own.
    let mut daemons = Vec::new();
    for name in ["a", "b", "c"] {
        let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        let leases = Leases::new(Store::local(folder.path()), clock, name, Duration::from_secs(30));
        world.host.name = name.to_owned();
        world.host.leases = LeaseManager::default();
        for instance in INSTANCES {
            world.host.leases.add(instance, leases.clone(), instance);
        }
        world.host.ear = Arc::new(Ear::default());
        daemons.push(world.host.start());
    }
    pass(20 * MINUTE).await;
    let gone = daemons.remove(0);
    gone.vanish();
    let vanished = world.clock.now();
    pass(20 * MINUTE).await;
    for daemon in daemons {
        daemon.stop().await;
    }
    let done = world.book.done.lock().unwrap();
    for instance in INSTANCES {
        let mut slots: Vec<Timestamp> =
            done.iter().filter(|(of, _, _)| of == instance).map(|(_, due, _)| due.at).collect();
        slots.sort();
        assert_eq!(slots.first(), Some(&at("2026-11-22T10:01:00Z")), "{instance}");
        let gaps: Vec<_> = slots.windows(2).filter(|pair| pair[1].millis_since(pair[0]) != 60_000).collect();
        // What was under way when it vanished waits for the end of the lease, and one run makes up for that time.
        assert!(gaps.len() <= 1, "{instance}, {vanished}: {gaps:?}");
        for gap in gaps {
            assert_eq!(gap[1].millis_since(gap[0]), 120_000, "{instance}: neither twice nor more than one");
            assert!(gap[0] < vanished && gap[1].millis_since(vanished) < 120_000, "{instance}, {vanished}: {gap:?}");
        }
        assert!(slots.len() >= 39, "{instance}: {}", slots.len());
    }
}

/// A ledger that shows something only from the so-maniest question on.
#[derive(Debug)]
struct Late {
    questions: AtomicUsize,
    from: usize,
    shows: Timestamp,
}

#[async_trait]
impl Ledgers for Late {
    async fn filled(&self, _instance: &str, _job: &str, _until: Timestamp) -> Result<Option<CompletedSlot>, String> {
        let question = self.questions.fetch_add(1, Ordering::SeqCst) + 1;
        Ok((question >= self.from).then_some(CompletedSlot { at: self.shows, took_millis: 5_000, contested: false }))
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_did_between_the_look_and_the_lease_is_not_done_again() {
    let mut world = Single::new("2026-11-22T10:10:00Z", vec![task("backup", "backup", "0 * * * *", "UTC")], 5, &[]);
    let folder = tempfile::tempdir().unwrap();
    world.host.leases = desk(folder.path(), &world.clock, "host").0;
    // One look at the start, one before the lease; the third is the one under it.
    let shows = at("2026-11-22T11:00:00Z");
    world.host.ledgers = Arc::new(Late { questions: AtomicUsize::new(0), from: 3, shows });
    let daemon = world.host.start();
    pass(2 * HOUR).await;
    daemon.stop().await;
    assert_eq!(world.book.slots("backup"), [at("2026-11-22T12:00:00Z")]);
}

#[tokio::test(start_paused = true)]
async fn of_a_job_that_leaves_no_entry_the_lease_tells_what_is_done() {
    let mut world = Single::new("2026-11-22T10:00:30Z", vec![task("doctor", "doctor", "* * * * *", "UTC")], 3, &[]);
    let folder = tempfile::tempdir().unwrap();
    let shows = at("2026-11-22T10:00:00Z");
    world.host.ledgers = Arc::new(Late { questions: AtomicUsize::new(0), from: usize::MAX, shows });
    let mut daemons = Vec::new();
    for name in ["a", "b"] {
        world.host.name = name.to_owned();
        world.host.leases = desk(folder.path(), &world.clock, name).0;
        daemons.push(world.host.start());
    }
    pass(20 * MINUTE).await;
    for daemon in daemons {
        daemon.stop().await;
    }
    let slots = world.book.slots("doctor");
    assert!(slots.len() >= 19, "{slots:?}");
    assert!(slots.windows(2).all(|pair| pair[1].millis_since(pair[0]) == 60_000), "each once: {slots:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_tells_of_a_run_in_the_future_stops_no_run() {
    let mut world = Single::new("2026-11-22T10:10:00Z", vec![task("check", "verify", "0 * * * *", "UTC")], 5, &[]);
    let folder = tempfile::tempdir().unwrap();
    let (desk, leases) = desk(folder.path(), &world.clock, "host");
    // Left by a daemon whose clock was a year ahead.
    let LeaseAnswer::Ours(lease) = leases.take("repository", "check").await.unwrap() else { panic!("taken") };
    leases.release(&lease, Some(at("2027-11-22T10:00:00Z"))).await.unwrap();
    world.host.leases = desk;
    let daemon = world.host.start();
    pass(3 * HOUR).await;
    daemon.stop().await;
    let hours = [11, 12, 13].map(|hour| at(&format!("2026-11-22T{hour}:00:00Z")));
    assert_eq!(world.book.slots("check"), hours);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_slept_for_days_makes_up_for_each_job_once() {
    let jobs = || ["a", "b"].map(|name| task(name, "backup", "*/15 * * * *", "UTC")).into();
    let mut world = Single::new("2026-11-22T10:10:00Z", jobs(), 5, &[]);
    world.host.remembered.clear();
    let daemon = world.host.start();
    pass(2 * MINUTE).await;
    for name in ["a", "b"] {
        assert_eq!(world.book.slots(name), [at("2026-11-22T10:00:00Z")]);
    }
    world.clock.jump(3 * 24 * 3_600_000);
    pass(60).await;
    // By NTP, right after.
    world.clock.jump(-3_600_000);
    pass(HOUR).await;
    daemon.stop().await;
    for name in ["a", "b"] {
        let caught = at("2026-11-25T10:00:00Z");
        let slots = world.book.slots(name);
        assert_eq!(slots.iter().filter(|slot| **slot == caught).count(), 1, "{slots:?}");
        assert!(slots.windows(2).all(|pair| pair[0] < pair[1]), "none twice: {slots:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_forbids_it_is_a_failed_run() {
    let world = Single::new("2026-11-22T10:10:00Z", vec![task("backup", "backup", "0 * * * *", "UTC")], 5, &[]);
    *world.host.ear.veto.lock().unwrap() = true;
    let daemon = world.host.start();
    pass(HOUR).await;
    let ear = Arc::clone(&daemon.ear);
    daemon.stop().await;
    assert!(world.book.began("backup").is_empty());
    let runs = ear.runs.lock().unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (&runs[0].0.ending, runs[0].0.why.as_deref()),
        (&RunOutcome::Failed { exit: 1 }, Some("the hook says no"))
    );
}

#[tokio::test(start_paused = true)]
async fn another_configuration_takes_over_without_touching_what_runs() {
    let mut world = Single::new("2026-11-22T10:59:00Z", vec![task("backup", "backup", "0 * * * *", "UTC")], 600, &[]);
    let daemon = world.host.start();
    pass(120).await;
    assert_eq!(world.book.began("backup").len(), 1, "it runs");
    // The job is gone, another has come.
    world.host.tasks = vec![task("verify", "verify", "*/5 * * * *", "UTC")];
    world.host.remembered.clear();
    daemon.setups.send(world.host.setup()).await.unwrap();
    pass(20 * MINUTE).await;
    assert_eq!(world.book.slots("backup"), [at("2026-11-22T11:00:00Z")], "it went on to its end");
    assert!(!world.book.slots("verify").is_empty());
    pass(2 * HOUR).await;
    assert_eq!(world.book.slots("backup").len(), 1, "and does not come back");
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn asked_to_end_it_starts_nothing_and_waits_for_what_runs() {
    let world = Single::new("2026-11-22T10:59:00Z", vec![task("backup", "backup", "0 * * * *", "UTC")], 600, &[]);
    let daemon = world.host.start();
    pass(120).await;
    let ear = Arc::clone(&daemon.ear);
    daemon.stop().await;
    let runs = ear.runs.lock().unwrap();
    assert_eq!((runs.len(), &runs[0].0.ending, runs[0].1), (1, &RunOutcome::Interrupted, false));
    assert_eq!(*ear.role.lock().unwrap(), Some(DaemonRole::Stopping));
}

/// A repository on disk, and backups into it that take simulated time.
struct Shared {
    kit: Kit,
    repository: Repository,
    clock: Arc<SimulatedClock>,
}

/// The ledger of the repository, as every daemon reads it.
#[derive(Debug)]
struct Real(Repository);

#[async_trait]
impl Ledgers for Real {
    async fn filled(&self, _instance: &str, job: &str, until: Timestamp) -> Result<Option<CompletedSlot>, String> {
        let ledger = self.0.read_ledger().await.map_err(|error| error.to_string())?;
        Ok(newest_filled(&ledger, job, until))
    }
}

/// Makes a snapshot that names its slot.
struct Snapshots {
    shared: Arc<Shared>,
    name: String,
    takes: Duration,
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshots({})", self.name)
    }
}

#[async_trait]
impl Runner for Snapshots {
    async fn run(&self, order: &RunRequest, _stop: &StopRequest) -> AttemptOutcome {
        tokio::time::sleep(self.takes).await;
        let Shared { kit, repository, clock } = &*self.shared;
        let mut contents = Contents::of(kit, repository.id(), &[("a", "1")]);
        let now = clock.now();
        (contents.event.from, contents.event.to, contents.event.time) = (now, now, now);
        contents.put(repository).await.unwrap();
        let mut writer = kit.writer(&self.name, &kit.collector, repository.id());
        writer.clock = Arc::clone(clock) as Arc<dyn Clock>;
        writer.due = Some(order.due.clone());
        repository.commit(&writer, kit.draft(EntryEvent::Snapshot(Box::new(contents.event)))).await.unwrap();
        AttemptOutcome { ending: RunOutcome::Succeeded, facts: RunFacts::default(), why: None }
    }
}

impl Shared {
    async fn new() -> Arc<Self> {
        // The same minute in every run of the tests: who comes first in a slot follows from its time.
        let start = at("2026-06-01T09:59:00Z");
        let kit = Kit::beginning(start);
        let repository = kit.init().await;
        // A minute that has just begun; the slot of its full minute is open.
        let clock = SimulatedClock::at(start.plus_millis(61_000));
        Arc::new(Self { kit, repository, clock })
    }

    /// A daemon of the repository, on a host of its own.
    fn host(self: &Arc<Self>, name: &str, takes: u64, leases: Option<&Path>) -> Host {
        let mut desk = LeaseManager::default();
        if let Some(folder) = leases {
            let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
            let place = Leases::new(Store::local(folder), clock, name, Duration::from_secs(60));
            desk.add("", place, "repository");
        }
        Host {
            name: name.to_owned(),
            tasks: vec![task("backup", "backup", "* * * * *", "UTC")],
            remembered: BTreeMap::new(),
            runner: Arc::new(Snapshots {
                shared: Arc::clone(self),
                name: name.to_owned(),
                takes: Duration::from_secs(takes),
            }),
            ledgers: Arc::new(Real(self.repository.clone())),
            leases: desk,
            ear: Arc::new(Ear::default()),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            takeover_after: Duration::from_secs(20),
        }
    }

    /// How often each slot was filled, from the first one to the last; slots that are missing are there with 0.
    async fn filled(&self) -> BTreeMap<Timestamp, usize> {
        let ledger = self.repository.read_ledger().await.unwrap();
        let mut filled = BTreeMap::new();
        for due in ledger.counted().filter_map(|entry| entry.due.as_ref()) {
            *filled.entry(due.at).or_insert(0) += 1;
        }
        let (first, last) = (*filled.keys().next().unwrap(), *filled.keys().last().unwrap());
        let mut slot = first;
        while slot < last {
            filled.entry(slot).or_insert(0);
            slot = slot.plus_millis(60_000);
        }
        filled
    }

    async fn verifies_clean(&self) {
        let context = context(self.clock.clone());
        let keys = VerifyKeys { catalogue: None, recovery: None };
        let report = verify(&context, &self.repository, &keys, &VerifyOptions::new(Level::Objects)).await.unwrap();
        assert!(report.ok, "{report:#?}");
    }
}

fn runs_of(daemon: &Daemon) -> usize {
    daemon.ear.runs.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn two_daemons_for_an_hour_without_leases_leave_no_slot_out() {
    let shared = Shared::new().await;
    let (a, b) = (shared.host("a", 1, None).start(), shared.host("b", 1, None).start());
    pass(HOUR).await;
    let (of_a, of_b) = (runs_of(&a), runs_of(&b));
    a.stop().await;
    b.stop().await;
    let filled = shared.filled().await;
    assert!(filled.len() >= 58, "{}", filled.len());
    assert!(filled.values().all(|times| *times >= 1), "none left out: {filled:?}");
    assert!(filled.values().all(|times| *times <= 2), "one too many at worst: {filled:?}");
    let extra = filled.values().filter(|times| **times > 1).count();
    assert!(extra <= 3, "only until one of them leads: {filled:?}");
    assert!(of_a.min(of_b) <= 3, "one runs, the other stands by: {of_a} and {of_b}");
    shared.verifies_clean().await;
}

#[tokio::test(start_paused = true)]
async fn two_that_both_think_it_is_theirs_make_one_snapshot_too_many_and_the_repository_stays_whole() {
    let shared = Shared::new().await;
    let before = shared.clock.now().plus_millis(-1_000);
    let mut hosts = [shared.host("a", 3, None), shared.host("b", 3, None)];
    for host in &mut hosts {
        host.remembered.insert((String::new(), "backup".to_owned()), before);
    }
    let daemons: Vec<Daemon> = hosts.iter().map(Host::start).collect();
    pass(10 * MINUTE).await;
    for daemon in daemons {
        daemon.stop().await;
    }
    let filled = shared.filled().await;
    assert!(filled.values().any(|times| *times == 2), "they did run side by side: {filled:?}");
    assert_eq!(filled.values().rev().take(3).max(), Some(&1), "and no longer than they had to: {filled:?}");
    assert!(filled.values().all(|times| (1..=2).contains(times)), "{filled:?}");
    shared.verifies_clean().await;
}

#[tokio::test(start_paused = true)]
async fn with_leases_no_slot_is_left_out_and_none_is_run_twice_even_when_the_leader_vanishes() {
    let shared = Shared::new().await;
    let folder = tempfile::tempdir().unwrap();
    let before = shared.clock.now().plus_millis(-1_000);
    let mut hosts = [shared.host("a", 3, Some(folder.path())), shared.host("b", 3, Some(folder.path()))];
    // The worst case: both go for every slot at the same moment.
    for host in &mut hosts {
        host.remembered.insert((String::new(), "backup".to_owned()), before);
    }
    let [a, b] = hosts.each_ref().map(Host::start);
    pass(20 * MINUTE).await;
    let filled = shared.filled().await;
    assert!(filled.values().all(|times| *times == 1), "{filled:?}");
    // Whoever holds the lease loses its power in the middle of a run.
    let (leader, other) = loop {
        let second = shared.clock.now().millis().rem_euclid(60_000) / 1_000;
        if second == 1 {
            let newest = |daemon: &Daemon| daemon.ear.runs.lock().unwrap().last().map(|(run, _)| run.started);
            break if newest(&a) > newest(&b) { (a, b) } else { (b, a) };
        }
        pass(1).await;
    };
    leader.vanish();
    let vanished = shared.clock.now();
    pass(20 * MINUTE).await;
    other.stop().await;
    let filled = shared.filled().await;
    assert!(filled.values().all(|times| *times <= 1), "none twice: {filled:?}");
    // The lease of the one that vanished has to end first; the slots of that time are made up for by one run.
    let open: Vec<_> = filled.iter().filter(|(_, times)| **times == 0).map(|(slot, _)| *slot).collect();
    assert!(open.len() <= 1, "{open:?}");
    assert!(open.iter().all(|slot| slot.millis_since(vanished).abs() < 90_000), "{open:?} when {vanished}");
    assert!(filled.len() >= 39, "{}", filled.len());
    shared.verifies_clean().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_vanishes_is_followed_before_the_next_slot() {
    let shared = Shared::new().await;
    let (first, second) = (shared.host("a", 3, None), shared.host("b", 3, None));
    let a = first.start();
    pass(5 * MINUTE).await;
    let b = second.start();
    pass(5 * MINUTE).await;
    assert_eq!(runs_of(&b), 0, "it stands by");
    assert_eq!(*b.ear.role.lock().unwrap(), Some(DaemonRole::StandingBy));
    // In the middle of a run: three seconds long, from the full minute on.
    while shared.clock.now().millis().rem_euclid(60_000) / 1_000 != 1 {
        pass(1).await;
    }
    a.vanish();
    pass(50 * MINUTE).await;
    assert_eq!(*b.ear.role.lock().unwrap(), Some(DaemonRole::Running));
    b.stop().await;
    let filled = shared.filled().await;
    assert!(filled.len() >= 58 && filled.values().all(|times| *times == 1), "every slot once: {filled:?}");
    shared.verifies_clean().await;
}
