use super::*;
use crate::daemon::kinds;
use crate::schedule::Schedule;

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

fn at(text: &str) -> Timestamp {
    format!("2026-11-22T{text}Z").parse().unwrap()
}

fn task(line: &str) -> JobTask {
    JobTask {
        instance: String::new(),
        name: "backup".to_owned(),
        kind: kinds::find("backup").unwrap(),
        schedule: Schedule::new(line, "UTC").unwrap(),
        jitter: Duration::ZERO,
        deadline: Duration::from_secs(60),
        retries: 2,
        retry_after: Duration::from_secs(60),
        catch_up: true,
        arguments: Vec::new(),
    }
}

fn turns() -> TakeoverPolicy {
    TakeoverPolicy { salt: "host".to_owned(), takeover_after: Duration::from_secs(60) }
}

fn filled(time: &str) -> Option<CompletedSlot> {
    Some(CompletedSlot { at: at(time), took_millis: 5_000, contested: false })
}

fn run(slot: &str, attempt: u32) -> Step {
    Step::Run { slot: at(slot), attempt }
}

#[test]
fn the_ledger_is_asked_before_anything_is_decided() {
    let mut progress = JobProgress::new(None, at("10:00:00"));
    assert_eq!(progress.step(&task("0 * * * *"), &turns(), at("10:00:00")), Step::Look);
}

#[test]
fn who_ran_last_runs_on_the_dot_and_once() {
    let (task, turns) = (task("0 * * * *"), turns());
    let mut progress = JobProgress::new(Some(at("09:00:00")), at("09:30:00"));
    progress.saw(None);
    assert!(progress.ran_last());
    assert_eq!(progress.step(&task, &turns, at("09:30:00")), Step::Wait(Some(at("10:00:00"))));
    assert_eq!(progress.step(&task, &turns, at("10:00:00")), run("10:00:00", 1));
    progress.ended(&task, &turns, at("10:00:00"), 1, &RunOutcome::Succeeded, at("10:00:07"));
    assert_eq!(progress.step(&task, &turns, at("10:00:08")), Step::Wait(Some(at("11:00:00"))));
    assert!(progress.ran_last());
}

#[test]
fn who_stands_by_waits_for_the_other_and_then_takes_over() {
    let (task, turns) = (task("0 * * * *"), turns());
    let mut progress = JobProgress::new(None, at("09:30:00"));
    progress.saw(filled("09:00:00"));
    assert!(!progress.ran_last());
    let Step::Wait(Some(opens)) = progress.step(&task, &turns, at("10:00:00")) else { panic!("too early") };
    assert!((60_000..=90_000).contains(&opens.millis_since(at("10:00:00"))), "{opens}");
    assert_eq!(progress.step(&task, &turns, opens), run("10:00:00", 1));
    // The ledger shows that the other daemon did it.
    progress.saw(filled("10:00:00"));
    assert_eq!(progress.step(&task, &turns, opens), Step::Wait(Some(at("11:00:00"))));
    // At eleven no other daemon runs it, so it is ours from then on.
    assert_eq!(progress.step(&task, &turns, at("11:02:00")), run("11:00:00", 1));
    progress.ended(&task, &turns, at("11:00:00"), 1, &RunOutcome::Succeeded, at("11:02:05"));
    assert_eq!(progress.step(&task, &turns, at("12:00:00")), run("12:00:00", 1));
}

#[test]
fn who_stands_by_waits_longer_where_runs_take_longer_but_no_longer_than_a_slot() {
    let (task, turns) = (task("0 * * * *"), turns());
    for (took, least, most) in [(10 * MINUTE, 20 * MINUTE, 21 * MINUTE), (5 * HOUR, HOUR, HOUR + MINUTE)] {
        let mut progress = JobProgress::new(None, at("09:30:00"));
        progress.saw(Some(CompletedSlot { at: at("09:00:00"), took_millis: took, contested: false }));
        let opens = progress.opens(&task, &turns, at("10:00:00"));
        assert!((least..=most).contains(&opens.millis_since(at("10:00:00"))), "{took}: {opens}");
    }
}

#[test]
fn slots_that_come_faster_than_patience_ends_do_not_starve_who_stands_by() {
    let (task, turns) = (task("*/2 * * * * *"), turns());
    for (known, least, most) in [(None, 0, 32_000), (filled("09:59:58"), 58_000, 92_000)] {
        let mut progress = JobProgress::new(None, at("10:00:00"));
        progress.saw(known);
        let mut now = at("10:00:00");
        let ran = loop {
            match progress.step(&task, &turns, now) {
                Step::Run { slot, .. } => break slot,
                Step::Wait(Some(until)) => now = until,
                other => panic!("{other:?}"),
            }
        };
        let waited = ran.millis_since(at("10:00:00"));
        assert!((least..=most).contains(&waited), "{waited}");
    }
}

#[test]
fn of_many_missed_runs_the_newest_is_made_up_for_once() {
    let (task, turns) = (task("*/15 * * * *"), turns());
    let mut progress = JobProgress::new(Some(at("02:00:00")), at("09:07:00"));
    progress.saw(filled("02:00:00"));
    assert_eq!(progress.step(&task, &turns, at("09:07:00")), run("09:00:00", 1));
    progress.ended(&task, &turns, at("09:00:00"), 1, &RunOutcome::Succeeded, at("09:07:30"));
    assert_eq!(progress.step(&task, &turns, at("09:07:31")), Step::Wait(Some(at("09:15:00"))));
}

#[test]
fn what_is_not_to_be_caught_up_is_skipped_once_and_said() {
    let mut task = task("0 2 * * *");
    task.catch_up = false;
    let turns = turns();
    let mut progress = JobProgress::new(None, at("09:00:00"));
    progress.saw(None);
    assert_eq!(progress.step(&task, &turns, at("09:00:00")), Step::Skip(at("02:00:00")));
    assert!(matches!(progress.step(&task, &turns, at("09:00:00")), Step::Wait(Some(_))));
    // A slot that was noticed in time but had to wait was not missed.
    let mut progress = JobProgress::new(Some(at("01:00:00")), at("01:30:00"));
    progress.saw(None);
    assert_eq!(progress.step(&task, &turns, at("02:00:01")), run("02:00:00", 1));
    assert_eq!(progress.step(&task, &turns, at("05:00:00")), run("02:00:00", 1));
}

#[test]
fn a_failure_gets_its_attempts_and_is_then_left_to_others() {
    let (task, turns) = (task("0 * * * *"), turns());
    let mut progress = JobProgress::new(Some(at("09:00:00")), at("09:30:00"));
    progress.saw(None);
    let slot = at("10:00:00");
    let mut now = slot;
    let mut waits = Vec::new();
    for attempt in 1..=3 {
        assert_eq!(progress.step(&task, &turns, now), Step::Run { slot, attempt });
        if let Some(again) = progress.ended(&task, &turns, slot, attempt, &RunOutcome::Failed { exit: 17 }, now) {
            assert_eq!(progress.step(&task, &turns, now), Step::Wait(Some(again)));
            waits.push(again.millis_since(now));
            now = again;
        }
    }
    assert!((60_000..=75_000).contains(&waits[0]) && (120_000..=150_000).contains(&waits[1]), "{waits:?}");
    assert_eq!(waits.len(), 2);
    assert_eq!(progress.step(&task, &turns, now), Step::Wait(Some(at("11:00:00"))));
    assert!(progress.ran_last(), "nobody else filled it");
    progress.saw(filled("10:00:00"));
    assert!(!progress.ran_last(), "the other one did");
}

#[test]
fn a_failure_that_cannot_mend_itself_is_not_repeated() {
    let (task, turns) = (task("0 * * * *"), turns());
    let mut progress = JobProgress::new(Some(at("09:00:00")), at("09:30:00"));
    progress.saw(None);
    assert_eq!(
        progress.ended(&task, &turns, at("10:00:00"), 1, &RunOutcome::Failed { exit: 12 }, at("10:00:01")),
        None
    );
    assert_eq!(progress.step(&task, &turns, at("10:00:02")), Step::Wait(Some(at("11:00:00"))));
}

#[test]
fn a_newer_slot_replaces_another_attempt() {
    let (mut task, turns) = (task("0 * * * *"), turns());
    task.retry_after = Duration::from_secs(50 * 60);
    let mut progress = JobProgress::new(Some(at("09:00:00")), at("09:30:00"));
    progress.saw(None);
    progress.ended(&task, &turns, at("10:00:00"), 1, &RunOutcome::TimedOut, at("10:20:00"));
    assert_eq!(progress.step(&task, &turns, at("10:59:59")), Step::Wait(Some(at("11:00:00"))));
    assert_eq!(progress.step(&task, &turns, at("11:00:00")), run("11:00:00", 1));
}

#[test]
fn a_clock_that_is_set_back_repeats_nothing_and_a_wild_one_blocks_nothing() {
    let (task, turns) = (task("0 * * * *"), turns());
    let mut progress = JobProgress::new(Some(at("09:00:00")), at("09:30:00"));
    progress.saw(None);
    progress.ended(&task, &turns, at("10:00:00"), 1, &RunOutcome::Succeeded, at("10:00:01"));
    // NTP sets the clock back by two minutes: the ten o'clock slot comes again.
    assert_eq!(progress.step(&task, &turns, at("09:58:00")), Step::Wait(Some(at("10:00:00"))));
    assert_eq!(progress.step(&task, &turns, at("10:00:00")), Step::Wait(Some(at("11:00:00"))));
    // The clock was three hours fast: a slot filled then does not fill earlier ones.
    progress.ended(&task, &turns, at("13:00:00"), 1, &RunOutcome::Succeeded, at("13:00:01"));
    progress.held_back(at("13:00:00"), 1, at("23:00:00"));
    assert_eq!(progress.step(&task, &turns, at("10:30:00")), Step::Look);
    progress.saw(filled("10:00:00"));
    assert_eq!(progress.step(&task, &turns, at("10:30:00")), Step::Wait(Some(at("11:00:00"))));
    assert!(matches!(progress.step(&task, &turns, at("11:05:00")), Step::Run { .. }));
}

#[test]
fn a_job_that_nobody_ever_ran_waits_only_so_long_that_several_do_not_start_together() {
    let (task, turns) = (task("0 2 * * *"), turns());
    let opens = |saw: fn(&mut JobProgress), turns: &TakeoverPolicy| {
        let mut progress = JobProgress::new(None, at("10:00:00"));
        saw(&mut progress);
        progress.opens(&task, turns, at("02:00:00")).millis_since(at("10:00:00"))
    };
    let empty: fn(&mut JobProgress) = |progress| progress.saw(None);
    assert!((0..=30_000).contains(&opens(empty, &turns)));
    let other = TakeoverPolicy { salt: "other host".to_owned(), ..turns.clone() };
    assert_ne!(opens(empty, &other), opens(empty, &turns));
    // If the ledger could not be read, another daemon may be running it.
    let unread = opens(JobProgress::saw_nothing, &turns);
    assert!((60_000..=90_000).contains(&unread), "{unread}");
    // The same holds once any daemon has run it.
    let seen = opens(
        |progress| {
            progress.saw(None);
            progress.saw(Some(CompletedSlot { at: at("01:00:00"), took_millis: 0, contested: false }));
        },
        &turns,
    );
    assert!((60_000..=90_000).contains(&seen), "{seen}");
}

#[test]
fn since_when_it_wants_to_run_does_not_move_with_newer_slots() {
    let (task, turns) = (task("* * * * *"), turns());
    let mut progress = JobProgress::new(Some(at("09:59:00")), at("09:59:30"));
    progress.saw(None);
    assert_eq!(progress.wanting(), None);
    assert_eq!(progress.step(&task, &turns, at("10:00:01")), run("10:00:00", 1));
    assert_eq!(progress.step(&task, &turns, at("10:03:00")), run("10:03:00", 1));
    assert_eq!(progress.wanting(), Some(at("10:00:01")));
    // A failed attempt counts as a turn.
    progress.ended(&task, &turns, at("10:03:00"), 3, &RunOutcome::TimedOut, at("10:03:10"));
    assert_eq!(progress.step(&task, &turns, at("10:04:00")), run("10:04:00", 1));
    assert_eq!(progress.wanting(), Some(at("10:04:00")));
    progress.saw(filled("10:04:00"));
    assert_eq!(progress.wanting(), None, "another daemon ran it");
}

#[test]
fn two_that_both_ran_a_slot_do_not_go_on_doing_so() {
    let (task, turns) = (task("0 * * * *"), turns());
    let mut progress = JobProgress::new(Some(at("09:00:00")), at("09:30:00"));
    progress.saw(Some(CompletedSlot { at: at("09:00:00"), took_millis: 5_000, contested: true }));
    assert!(!progress.ran_last());
    let opens = progress.opens(&task, &turns, at("10:00:00"));
    assert!((60_000..=90_000).contains(&opens.millis_since(at("10:00:00"))), "{opens}");
    let other = TakeoverPolicy { salt: "other".to_owned(), ..turns.clone() };
    assert_ne!(progress.opens(&task, &other, at("10:00:00")), opens, "each waits for another time");
    progress.ended(&task, &turns, at("10:00:00"), 1, &RunOutcome::Succeeded, opens);
    assert!(progress.ran_last(), "who is first ran_last from then on");
}

#[test]
fn those_that_share_an_instance_go_one_after_the_other() {
    let named = |instance: &str, name: &str, kind: &str| JobTask {
        instance: instance.to_owned(),
        name: name.to_owned(),
        kind: kinds::find(kind).unwrap(),
        ..task("0 * * * *")
    };
    let backup = named("pay", "backup", "backup");
    let full = named("pay", "full", "backup");
    let elsewhere = named("shop", "backup", "backup");
    let verify = named("pay", "verify", "verify");
    let wanting = [(&full, at("10:00:00")), (&verify, at("10:00:00")), (&backup, at("09:00:00"))];
    assert_eq!(choose(&wanting, &[], 4), [2, 1], "the one that waits longest first");
    assert_eq!(choose(&wanting, &[&backup], 4), [1]);
    assert_eq!(choose(&wanting, &[&elsewhere], 4), [2, 1]);
    assert_eq!(choose(&wanting, &[&elsewhere], 2), [2], "no more than that at once");
    assert_eq!(choose(&[(&verify, at("10:00:00"))], &[&verify], 4), [] as [usize; 0], "never beside itself");
}
