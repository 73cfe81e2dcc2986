//! Counts of requests to an instance by class, and their times.

use std::time::{Duration, Instant};

use super::state::Class;

/// Maximum number of recorded instants, so that a sandbox that runs for months does not grow.
const INSTANTS: usize = 1_000_000;

/// Requests that reached the server, including faults and refusals.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Pages of lists, and the registration.
    pub listing: u64,
    /// Reads of items.
    pub reading: u64,
    /// Writes.
    pub writing: u64,
    /// Token exchanges.
    pub tokens: u64,
    /// Times of the first million requests, without token exchanges.
    pub instants: Vec<Instant>,
}

impl Counters {
    pub(crate) fn count(&mut self, class: Class) {
        match class {
            Class::Listing => self.listing += 1,
            Class::Reading => self.reading += 1,
            Class::Writing => self.writing += 1,
            Class::Token => self.tokens += 1,
        }
        if class != Class::Token && self.instants.len() < INSTANTS {
            self.instants.push(Instant::now());
        }
    }

    /// Returns the number of requests without token exchanges.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.listing + self.reading + self.writing
    }

    /// Returns the largest number of requests within any time span of this length.
    #[must_use]
    pub fn most_within(&self, stretch: Duration) -> usize {
        let mut most = 0;
        let mut first = 0;
        for (last, instant) in self.instants.iter().enumerate() {
            while self.instants.get(first).is_some_and(|start| instant.duration_since(*start) >= stretch) {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_stretch_is_found() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let instants = [0, 100, 900, 1000, 1050, 1099, 3000].map(at).to_vec();
        let counters = Counters { instants, ..Counters::default() };
        assert_eq!(counters.most_within(Duration::from_secs(1)), 5);
        assert_eq!(counters.most_within(Duration::from_millis(1)), 1);
    }
}
