//! The moments at which a schedule is due.

use std::iter;
use std::str::FromStr as _;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::ScheduleError;
use super::cron_line::CronLine;
use super::zone::Zone;
use crate::model::Timestamp;

/// How far back the newest due moment is looked for: 29 February was left out for eight years around 1900, and will be
/// around 2100.
const LONGEST_PAUSE: i64 = 9 * 366 * 86_400;
/// What [`Schedule::interval`] looks at: this many seconds, at least so many runs and at most so many.
const WEEK: i64 = 7 * 86_400;
const FEWEST_RUNS: usize = 4;
const MOST_RUNS: usize = 20_000;

/// When a job is due: a cron line by the clocks of a zone.
///
/// At the two changes of daylight saving: times that the clocks leave out are due once, at the first moment after the
/// gap. Of times that the clocks show twice, the first is meant, unless the line names every hour: then both are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    line: String,
    cron: cron::Schedule,
    zone: Zone,
    every_hour: bool,
}

impl Schedule {
    /// Reads a cron line of five fields, or six with seconds in front, or a word such as `@daily`, and an IANA time
    /// zone.
    ///
    /// # Errors
    /// When the line is none or never fits, or the zone is unknown. The words say which field, and what would be right.
    pub fn new(line: &str, zone: &str) -> Result<Self, ScheduleError> {
        let parsed: CronLine = line.parse()?;
        let zone = Zone::new(zone)?;
        // Ours are plain numbers within their bounds, so this takes them all.
        let cron = cron::Schedule::from_str(&parsed.to_string())
            .map_err(|error| ScheduleError::line(format!("cannot be used: {error}")))?;
        Ok(Self { line: line.trim().to_owned(), cron, zone, every_hour: parsed.names_every_hour() })
    }

    /// The line as it was written.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// By whose clocks.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The first due moment that is later than `at`; `None` when there is none before the year 2101.
    #[must_use]
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.next(at.millis().div_euclid(1_000)).map(moment)
    }

    /// The newest due moment that is not later than `at`.
    #[must_use]
    pub fn last_until(&self, at: Timestamp) -> Option<Timestamp> {
        let at = at.millis().div_euclid(1_000);
        let not_later = |from: i64| self.next(from).filter(|due| *due <= at);
        let mut back = 3_600_i64;
        let mut found = loop {
            match not_later(at.saturating_sub(back)) {
                Some(due) => break due,
                None if back >= LONGEST_PAUSE => return None,
                None => back = back.saturating_mul(8).min(LONGEST_PAUSE),
            }
        };
        // `next` only grows, so the newest is found by halving: one definition of when, forwards and backwards.
        let mut end = at;
        while not_later(found).is_some() {
            let middle = found + (end - found) / 2;
            match not_later(middle) {
                Some(due) => found = due,
                // Nothing between the middle and `at`; what is left lies before it.
                None => end = middle,
            }
        }
        Some(moment(found))
    }

    /// The due moments later than `at`, in order.
    pub fn upcoming(&self, at: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        iter::successors(self.next_after(at), |due| self.next_after(*due))
    }

    /// How long it is at most from one run to the next: the longest gap in the week after `at`, or among the next few
    /// runs where they are rarer. `None` when fewer than two runs are to come.
    #[must_use]
    pub fn interval(&self, at: Timestamp) -> Option<Duration> {
        let first = self.next_after(at)?;
        let mut longest = None;
        let mut last = first;
        for (count, due) in self.upcoming(first).take(MOST_RUNS).enumerate() {
            longest = longest.max(Some(due.millis_since(last)));
            last = due;
            if count + 1 >= FEWEST_RUNS && due.millis_since(first) >= WEEK * 1_000 {
                break;
            }
        }
        longest.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis)
    }

    /// The first due second after `after`. Walks from one change of the clocks to the next; between two of them local
    /// time and UTC run side by side.
    fn next(&self, after: i64) -> Option<i64> {
        let mut at = after;
        let mut offset = self.zone.offset(at);
        let mut shown = at.saturating_add(offset);
        // What these clocks show now they have shown before, and then it was due.
        if !self.every_hour
            && let Some(change) = self.zone.repeats(at)
        {
            shown = shown.max(change.at + change.before - 1);
        }
        let mut local = self.fits_after(shown)?;
        loop {
            let Some(change) = self.zone.first_change(at, local - offset) else { return Some(local - offset) };
            let shows = change.at + change.after;
            if change.by() > 0 {
                if local <= shows {
                    return Some(change.at);
                }
            } else if self.every_hour {
                local = self.fits_after(shows - 1)?;
            }
            (at, offset) = (change.at, change.after);
        }
    }

    /// The first local second after `shown` that the line names, on a calendar without any changes.
    pub(super) fn fits_after(&self, shown: i64) -> Option<i64> {
        let shown = DateTime::<Utc>::from_timestamp(shown, 0)?;
        self.cron.after(&shown).next().map(|time| time.timestamp())
    }
}

/// The run that has to be caught up: the newest due moment until `now`, when it is later than the last one that was
/// `done`. Older ones stay missed: one backup now is worth all that were left out. A job that was never done has missed
/// its newest moment.
#[must_use]
pub fn missed(schedule: &Schedule, done: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    schedule.last_until(now).filter(|newest| done.is_none_or(|done| done < *newest))
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1_000))
}

#[cfg(test)]
mod tests;
