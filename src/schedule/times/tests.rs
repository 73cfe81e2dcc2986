use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::schedule::DstNote;

/// Zones whose clocks change in every way: by an hour, by half an hour, at midnight, around a fast, in the south,
/// never.
const ZONES: &[&str] = &[
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Santiago",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "Antarctica/Troll",
];

fn schedule(line: &str, zone: &str) -> Schedule {
    Schedule::new(line, zone).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The due moments from one moment to another, by the clocks of the zone.
fn local(line: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
    let schedule = schedule(line, zone);
    let to = at(to);
    let due = schedule.upcoming(at(from)).take_while(|due| *due <= to);
    due.map(|due| schedule.zone().local(due).format("%d %H:%M %:z").to_string()).collect()
}

#[test]
fn a_time_that_the_clocks_leave_out_is_due_once_after_the_gap() {
    let berlin = |line| local(line, "Europe/Berlin", "2027-03-27T12:00:00Z", "2027-03-29T12:00:00Z");
    assert_eq!(berlin("30 2 * * *"), ["28 03:00 +02:00", "29 02:30 +02:00"], "never left out, unlike in the crate");
    assert_eq!(berlin("*/20 2 28 * *"), ["28 03:00 +02:00"], "three runs of the gap are one");
    assert_eq!(berlin("0 2,3 28 * *"), ["28 03:00 +02:00"], "and are one with what is due at its end");
    assert_eq!(berlin("0 3 28 * *"), ["28 03:00 +02:00"]);
    let hourly = local("0 * * * *", "Europe/Berlin", "2027-03-27T23:30:00Z", "2027-03-28T02:30:00Z");
    assert_eq!(hourly, ["28 01:00 +01:00", "28 03:00 +02:00", "28 04:00 +02:00"]);
    let cairo = local("0 0 * * *", "Africa/Cairo", "2027-04-28T12:00:00Z", "2027-05-01T12:00:00Z");
    assert_eq!(cairo, ["29 00:00 +02:00", "30 01:00 +03:00", "01 00:00 +03:00"], "the gap is at midnight");
    let lord_howe = local("15 2 * * *", "Australia/Lord_Howe", "2027-10-02T00:00:00Z", "2027-10-04T00:00:00Z");
    assert_eq!(lord_howe, ["03 02:30 +11:00", "04 02:15 +11:00"], "half an hour");
}

#[test]
fn of_a_time_that_the_clocks_show_twice_the_first_is_meant() {
    let berlin = |line| local(line, "Europe/Berlin", "2027-10-30T12:00:00Z", "2027-10-31T12:00:00Z");
    assert_eq!(berlin("30 2 * * *"), ["31 02:30 +02:00"]);
    assert_eq!(berlin("0 2,3 * * *"), ["31 02:00 +02:00", "31 03:00 +01:00"]);
    assert_eq!(berlin("*/30 2 * * *"), ["31 02:00 +02:00", "31 02:30 +02:00"]);
    // From within the second hour, too.
    let second = local("*/30 2 * * *", "Europe/Berlin", "2027-10-31T01:10:00Z", "2027-11-01T12:00:00Z");
    assert_eq!(second, ["01 02:00 +01:00", "01 02:30 +01:00"]);
}

#[test]
fn what_runs_in_every_hour_runs_in_both() {
    let berlin = |line, from, to| local(line, "Europe/Berlin", from, to);
    let hours = berlin("0 * * * *", "2027-10-30T23:30:00Z", "2027-10-31T02:30:00Z");
    assert_eq!(hours, ["31 02:00 +02:00", "31 02:00 +01:00", "31 03:00 +01:00"]);
    let quarters = berlin("*/30 * * * *", "2027-10-31T00:10:00Z", "2027-10-31T02:00:00Z");
    assert_eq!(quarters, ["31 02:30 +02:00", "31 02:00 +01:00", "31 02:30 +01:00", "31 03:00 +01:00"]);
    let sundays = berlin("0 * * * SUN", "2027-10-31T00:10:00Z", "2027-10-31T01:10:00Z");
    assert_eq!(sundays, ["31 02:00 +01:00"]);
}

#[test]
fn moments_are_strictly_later_and_not_later() {
    let nightly = schedule("30 2 * * *", "UTC");
    let due = at("2027-01-02T02:30:00Z");
    assert_eq!(nightly.next_after(at("2027-01-02T02:29:59.999Z")), Some(due));
    assert_eq!(nightly.next_after(due), Some(at("2027-01-03T02:30:00Z")));
    assert_eq!(nightly.next_after(due.plus_millis(1)), Some(at("2027-01-03T02:30:00Z")));
    assert_eq!(nightly.last_until(due), Some(due));
    assert_eq!(nightly.last_until(due.plus_millis(-1)), Some(at("2027-01-01T02:30:00Z")));
}

#[test]
fn rare_lines_are_found_in_both_directions() {
    let leap = schedule("0 3 29 2 *", "Europe/Berlin");
    assert_eq!(leap.next_after(at("2026-11-22T00:00:00Z")), Some(at("2028-02-29T02:00:00Z")));
    assert_eq!(leap.last_until(at("2027-11-22T00:00:00Z")), Some(at("2024-02-29T02:00:00Z")));
    assert_eq!(leap.next_after(at("2100-12-31T00:00:00Z")), None, "the crate's calendar ends");
    assert_eq!(schedule("0 3 1 1 *", "UTC").last_until(at("1969-01-01T00:00:00Z")), None);
}

#[test]
fn the_interval_is_the_longest_gap() {
    let hours = |line, zone, from| schedule(line, zone).interval(at(from)).unwrap().as_secs() / 3_600;
    assert_eq!(schedule("*/15 * * * *", "UTC").interval(at("2027-01-01T00:00:00Z")), Some(Duration::from_secs(900)));
    assert_eq!(hours("0 3 * * *", "Europe/Berlin", "2027-06-01T00:00:00Z"), 24);
    assert_eq!(hours("0 3 * * *", "Europe/Berlin", "2027-10-28T00:00:00Z"), 25, "the clocks go back");
    assert_eq!(hours("0 8-18 * * MON-FRI", "UTC", "2027-06-01T00:00:00Z"), 62, "over the weekend");
    assert_eq!(hours("@weekly", "UTC", "2027-06-01T00:00:00Z"), 168);
    assert_eq!(hours("@monthly", "UTC", "2027-06-01T00:00:00Z"), 744);
    assert_eq!(schedule("* * * * * *", "UTC").interval(at("2027-01-01T00:00:00Z")), Some(Duration::from_secs(1)));
    assert_eq!(schedule("@daily", "UTC").interval(at("2100-12-31T12:00:00Z")), None);
}

#[test]
fn at_most_the_newest_missed_run_is_caught_up() {
    let nightly = schedule("30 2 * * *", "UTC");
    let now = at("2027-01-10T12:00:00Z");
    let newest = at("2027-01-10T02:30:00Z");
    assert_eq!(missed(&nightly, Some(at("2027-01-03T02:30:00Z")), now), Some(newest), "once, not seven times");
    assert_eq!(missed(&nightly, Some(newest), now), None);
    assert_eq!(missed(&nightly, Some(now), now), None);
    assert_eq!(missed(&nightly, None, now), Some(newest));
    assert_eq!(missed(&schedule("@yearly", "UTC"), None, at("1969-06-01T00:00:00Z")), None);
}

#[test]
fn marks_say_what_the_clocks_did() {
    let marks = |line: &str, from: &str, count: usize| -> Vec<String> {
        let schedule = schedule(line, "Europe/Berlin");
        let mark = |due| schedule.mark(due).map(|mark: DstNote| mark.to_string()).unwrap_or_default();
        schedule.upcoming(at(from)).take(count).map(mark).collect()
    };
    assert_eq!(marks("30 2 * * *", "2027-03-27T00:00:00Z", 3), ["", "02:30 does not exist that day", ""]);
    assert_eq!(marks("0 5 * * *", "2027-03-27T00:00:00Z", 3), ["", "the clock went forward 1 h", ""]);
    assert_eq!(marks("0 5 * * *", "2027-10-30T00:00:00Z", 3), ["", "the clock went back 1 h", ""]);
    assert_eq!(
        marks("0 * * * *", "2027-10-30T23:30:00Z", 3),
        ["the clock shows it twice: the first", "the clock shows it twice: the second", ""]
    );
    assert_eq!(marks("0 * * * *", "2027-03-28T00:30:00Z", 2), ["02:00 does not exist that day", ""]);
}

/// Every second of a day that a line of one to three times names, by going through the minutes of the calendar one by
/// one: nothing of what is tested, and none of the crate.
fn by_minutes(hours: &BTreeSet<u32>, minutes: &BTreeSet<u32>, zone: Zone, from: i64, to: i64) -> Vec<i64> {
    let every_hour = hours.len() == 24;
    let mut due = BTreeSet::new();
    let mut seen: BTreeSet<i64> = BTreeSet::new();
    let named = |local: i64| {
        let minute = local.div_euclid(60);
        let of = |value: i64, by: i64| u32::try_from(value.rem_euclid(by)).unwrap();
        hours.contains(&of(minute.div_euclid(60), 24)) && minutes.contains(&of(minute, 60))
    };
    let mut last = zone.offset(from - 60) + from - 60;
    for at in (from..to).step_by(60) {
        let local = at + zone.offset(at);
        // What the clocks jumped over.
        if (last + 60..local).step_by(60).any(named) {
            due.insert(at);
        }
        let again = !seen.insert(local);
        if named(local) && (every_hour || !again) {
            due.insert(at);
        }
        last = local;
    }
    due.into_iter().collect()
}

fn zone() -> impl Strategy<Value = &'static str> {
    prop::sample::select(ZONES)
}

fn list(values: &BTreeSet<u32>) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Against minutes counted one by one, over ten days from anywhere in 2026 to 2028.
    #[test]
    fn it_agrees_with_a_calendar_that_is_walked_minute_by_minute(
        zone in zone(),
        hours in prop_oneof![
            prop::collection::btree_set(0_u32..24, 1..4),
            Just((0..24).collect::<BTreeSet<u32>>()),
            Just(BTreeSet::from([0, 1, 2, 3])),
        ],
        minutes in prop::collection::btree_set(0_u32..60, 1..4),
        day in 0_i64..1_080,
    ) {
        let start = 1_767_225_600 + day * 86_400;
        let (from, to) = (start + 2 * 86_400, start + 12 * 86_400);
        let schedule = schedule(&format!("{} {} * * *", list(&minutes), list(&hours)), zone);
        let expected: Vec<i64> =
            by_minutes(&hours, &minutes, schedule.zone(), start, to).into_iter().filter(|at| *at > from).collect();
        let found: Vec<i64> = schedule
            .upcoming(Timestamp::from_millis(from * 1_000))
            .map(|due| due.millis() / 1_000)
            .take_while(|at| *at < to)
            .collect();
        prop_assert_eq!(found, expected);
    }

    /// From anywhere: strictly increasing, and forwards and backwards are one.
    #[test]
    fn forwards_and_backwards_are_one(
        zone in zone(),
        line in prop::sample::select(vec![
            "30 2 * * *", "0 0 * * *", "*/15 * * * *", "0 * * * *", "15 1-3 * * *", "0 3 * * MON-FRI", "@weekly", "@monthly",
            "59 23 31 12 *", "*/7 */5 * * *", "30 0 2 * * *", "0 2 29 2 *", "*/20 2 * 3,10 SUN",
        ]),
        millis in 1_767_225_600_000_i64..1_861_920_000_000,
    ) {
        let schedule = schedule(line, zone);
        let from = Timestamp::from_millis(millis);
        let mut last = from;
        for due in schedule.upcoming(from).take(20) {
            prop_assert!(due > last, "{} after {}", due, last);
            prop_assert_eq!(schedule.last_until(due), Some(due));
            prop_assert_eq!(schedule.last_until(due.plus_millis(-1)), schedule.last_until(last));
            prop_assert_eq!(schedule.next_after(last), Some(due));
            last = due;
        }
        if let Some(newest) = schedule.last_until(from) {
            prop_assert!(newest <= from);
            prop_assert!(schedule.next_after(newest).unwrap() > from);
        }
    }
}

/// Every run of three years in every zone: none lost, none twice, no gap longer than a day and an hour, and every
/// moment is shown by the clocks as the line says, or ends a gap of the clocks.
#[test]
fn a_nightly_job_of_three_years_loses_no_night() {
    for zone in ZONES {
        for line in ["30 2 * * *", "0 0 * * *", "15 1 * * *", "0 3 * * *"] {
            let schedule = schedule(line, zone);
            let (mut last, end) = (at("2025-12-31T23:59:59Z"), at("2029-01-01T00:00:00Z"));
            let mut nights = BTreeSet::new();
            for due in schedule.upcoming(last).take_while(|due| *due < end) {
                let local = schedule.zone().local(due);
                assert!(nights.insert(local.date_naive()), "{zone} {line}: twice on {local}");
                let gap = due.millis_since(last);
                assert!(
                    nights.len() == 1 || (22..=26).contains(&(gap / 3_600_000)),
                    "{zone} {line}: {gap} ms to {local}"
                );
                let shown = local.format("%-M %-H * * *").to_string();
                assert!(
                    shown == line || matches!(schedule.mark(due), Some(DstNote::Moved { .. })),
                    "{zone} {line}: {local}"
                );
                last = due;
            }
            assert!((1_095..=1_097).contains(&nights.len()), "{zone} {line}: {} nights", nights.len());
        }
    }
}
