//! Retention by example and by property.

use proptest::prelude::*;

use super::*;
use crate::crypto::digest::sha256;
use crate::schedule::Zone;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Returns noon of a Thursday, in UTC.
fn noon() -> Timestamp {
    "2026-11-19T12:00:00Z".parse().unwrap()
}

fn policy() -> Policy {
    let suspect = Duration::from_secs(30 * 86_400);
    Policy { last: 0, every: Vec::new(), within: None, tags: Vec::new(), suspect, zone: Zone::new("UTC").unwrap() }
}

fn daily(count: u32) -> Policy {
    Policy { every: vec![(Period::Day, count)], ..policy() }
}

/// Returns a good snapshot made `before` milliseconds before noon.
fn good(before: i64) -> Candidate {
    let time = noon().plus_millis(-before);
    Candidate {
        digest: sha256(before.to_string().as_bytes()),
        sequence: 0,
        time,
        stored: time,
        good: true,
        verified: false,
        pinned: None,
        tags: Vec::new(),
    }
}

fn suspect(before: i64) -> Candidate {
    Candidate { good: false, ..good(before) }
}

fn verified(before: i64) -> Candidate {
    Candidate { verified: true, ..good(before) }
}

fn said(policy: &Policy, candidates: &[Candidate]) -> Vec<String> {
    let kept = judge(policy, candidates, noon());
    kept.iter().map(|reasons| reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")).collect()
}

fn kept(policy: &Policy, candidates: &[Candidate]) -> Vec<bool> {
    judge(policy, candidates, noon()).iter().map(|reasons| !reasons.is_empty()).collect()
}

#[test]
fn every_reason_is_said() {
    let policy = Policy {
        last: 2,
        every: vec![(Period::Day, 2), (Period::Week, 2)],
        within: Some(Duration::from_secs(3_600)),
        tags: vec!["release".to_owned()],
        ..policy()
    };
    let candidates = [
        Candidate { tags: vec!["release".to_owned()], ..good(40 * DAY) },
        good(9 * DAY),
        Candidate { pinned: Some("audit".to_owned()), ..good(8 * DAY) },
        verified(DAY),
        suspect(2 * HOUR),
        good(HOUR),
        good(MINUTE),
    ];
    assert_eq!(
        said(&policy, &candidates),
        [
            "tag release",
            "",
            "held: audit; weekly 2026-W46",
            "last verified; daily 2026-11-18",
            "suspect: kept for 30d",
            "last 2 of 2; within 1h",
            "newest good; last 1 of 2; daily 2026-11-19; weekly 2026-W47; within 1h",
        ]
    );
}

#[test]
fn days_are_those_of_the_zone() {
    // Two snapshots of one day in UTC; in Auckland, midnight is between them.
    let candidates = [good(3 * HOUR), good(0)];
    assert_eq!(kept(&daily(2), &candidates), [false, true]);
    let there = Policy { zone: Zone::new("Pacific/Auckland").unwrap(), ..daily(2) };
    assert_eq!(kept(&there, &candidates), [true, true]);
}

#[test]
fn days_without_a_snapshot_are_not_counted() {
    let candidates = [good(30 * DAY), good(20 * DAY), good(0)];
    assert_eq!(kept(&daily(2), &candidates), [false, true, true]);
}

#[test]
fn suspect_ones_push_nothing_out_and_go_only_when_something_newer_is_verified() {
    let counted = Policy { last: 1, ..policy() };
    assert_eq!(kept(&counted, &[good(DAY), suspect(HOUR), suspect(0)]), [true, true, true]);
    let old = 31 * DAY;
    assert_eq!(kept(&counted, &[suspect(old), good(0)]), [true, true], "nothing newer is verified");
    assert_eq!(kept(&counted, &[suspect(old), verified(0)]), [false, true]);
    assert_eq!(
        kept(&counted, &[verified(old), suspect(old), good(0)]),
        [true, true, true],
        "what is verified is older"
    );
    // The later of the two dates counts, whichever clock it comes from.
    let young_there = Candidate { stored: noon().plus_millis(-DAY), ..suspect(old) };
    let young_here = Candidate { stored: noon().plus_millis(-old), ..suspect(DAY) };
    assert_eq!(kept(&counted, &[young_there, young_here, suspect(old), verified(0)]), [true, true, false, true]);
}

#[test]
fn when_backups_stop_what_is_there_does_not_run_out() {
    let within = Policy { within: Some(Duration::from_secs(2 * 86_400)), ..policy() };
    let candidates = [good(103 * DAY), good(101 * DAY), good(100 * DAY)];
    assert_eq!(kept(&within, &candidates), [false, true, true]);
    assert_eq!(kept(&within, &[good(2 * DAY + 1), good(2 * DAY), good(0)]), [false, true, true], "to the moment");
    // A snapshot dated in the future displaces nothing.
    assert_eq!(kept(&within, &[good(2 * DAY), good(DAY), good(-10 * DAY)]), [true, true, true]);
}

#[test]
fn a_flood_of_garbage_pushes_out_nothing_of_earlier_days() {
    let policy = Policy {
        every: vec![(Period::Day, 7), (Period::Week, 4), (Period::Month, 12), (Period::Year, 3)],
        within: Some(Duration::from_secs(3 * 86_400)),
        ..policy()
    };
    let honest: Vec<Candidate> = (1..400).rev().map(|day| good(day * DAY)).collect();
    let before = kept(&policy, &[&honest[..], &[good(HOUR)]].concat());
    let flood = |time: &dyn Fn(i64) -> i64| -> Vec<Candidate> {
        let garbage = (0..100).map(|n| Candidate { time: noon().plus_millis(-time(n)), ..good(n * MINUTE / 2) });
        [honest.clone(), garbage.collect()].concat()
    };
    // Dated in this hour; spread over past days, as the last of each day; in the future.
    let claims: [(&str, &dyn Fn(i64) -> i64); 3] =
        [("now", &|n| n * MINUTE / 2), ("the past", &|n| n * DAY - HOUR), ("the future", &|n| -(n * DAY))];
    for (what, time) in claims {
        let after = kept(&policy, &flood(time));
        for (at, candidate) in honest.iter().enumerate() {
            assert!(after[at] || !before[at], "{what}: {} was pushed out", candidate.time);
        }
    }
}

#[test]
fn a_copied_repository_keeps_its_days() {
    // The store dates every object to the time of the copy.
    let copied: Vec<Candidate> = (0..30).rev().map(|day| Candidate { stored: noon(), ..good(day * DAY) }).collect();
    let kept = kept(&daily(7), &copied);
    assert_eq!(kept.iter().filter(|kept| **kept).count(), 7);
    assert!(kept[23..].iter().all(|kept| *kept));
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let times = (0..200 * 24_i64, -30_i64..200 * 24);
    let marks = (prop::bool::weighted(0.8), prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    (times, prop::bool::weighted(0.2), marks, prop::bool::weighted(0.1)).prop_map(
        |((time, other), odd, (good_one, verified, pinned), tagged)| {
            let stored = if odd { other } else { time };
            Candidate {
                stored: noon().plus_millis(-stored * HOUR),
                good: good_one,
                verified,
                pinned: pinned.then(|| "why".to_owned()),
                tags: tagged.then(|| "keep".to_owned()).into_iter().collect(),
                ..good(time * HOUR)
            }
        },
    )
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let every = prop::collection::vec((prop::sample::select(&Period::ALL[..]), 0..10_u32), 0..5);
    (0..10_u32, every, prop::option::of(1..100_u64), any::<bool>()).prop_map(|(last, every, within, tags)| Policy {
        last,
        every,
        within: within.map(|days| Duration::from_secs(days * 86_400)),
        tags: tags.then(|| "keep".to_owned()).into_iter().collect(),
        ..policy()
    })
}

fn left(candidates: &[Candidate], kept: &[bool]) -> Vec<Candidate> {
    candidates.iter().zip(kept).filter(|(_, kept)| **kept).map(|(candidate, _)| candidate.clone()).collect()
}

proptest! {
    #[test]
    fn what_is_never_given_up_is_kept_by_every_policy(
        candidates in prop::collection::vec(any_candidate(), 0..60),
        policy in any_policy(),
    ) {
        let kept = kept(&policy, &candidates);
        let newest = |wanted: fn(&Candidate) -> bool| candidates.iter().rposition(wanted);
        for at in [newest(|one| one.good), newest(|one| one.good && one.verified)].into_iter().flatten() {
            prop_assert!(kept[at]);
        }
        prop_assert!(candidates.iter().zip(&kept).all(|(candidate, kept)| candidate.pinned.is_none() || *kept));
    }

    #[test]
    fn a_second_time_nothing_more_is_given_up(
        candidates in prop::collection::vec(any_candidate(), 0..60),
        policy in any_policy(),
    ) {
        let once = left(&candidates, &kept(&policy, &candidates));
        prop_assert!(kept(&policy, &once).iter().all(|kept| *kept));
    }

    #[test]
    fn suspect_ones_never_cost_a_good_one_its_place(
        candidates in prop::collection::vec(any_candidate(), 0..60),
        policy in any_policy(),
    ) {
        let all = kept(&policy, &candidates);
        let only: Vec<Candidate> = candidates.iter().filter(|one| one.good).cloned().collect();
        let among: Vec<bool> =
            candidates.iter().zip(&all).filter(|(one, _)| one.good).map(|(_, kept)| *kept).collect();
        prop_assert_eq!(among, kept(&policy, &only));
    }

    #[test]
    fn a_newer_snapshot_never_saves_an_older_one(
        candidates in prop::collection::vec(any_candidate(), 1..60),
        policy in any_policy(),
    ) {
        // Newer by both clocks.
        let newer = Candidate { verified: true, ..good(-31 * HOUR) };
        let before = kept(&policy, &candidates);
        let after = kept(&policy, &[&candidates[..], &[newer]].concat());
        for (at, candidate) in candidates.iter().enumerate() {
            prop_assert!(before[at] || !after[at], "{} came back", candidate.time);
        }
    }
}
