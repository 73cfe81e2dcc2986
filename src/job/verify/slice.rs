//! Slices of the packs, and the choice of the next one.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::Level;
use crate::format::EntryEvent;
use crate::model::Digest;
use crate::repository::ledger::Ledger;

/// Maximum number of parts.
const MOST: u32 = 10_000;

/// A slice of the packs: those whose digest falls into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Slice {
    /// Number of the part, from 1.
    index: u32,
    /// Number of parts.
    of: u32,
}

/// Choice of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceChoice {
    /// This slice.
    Of(Slice),
    /// The slice after the last one that passed. As many recorded runs as there are parts cover everything.
    Next {
        /// Number of parts.
        of: u32,
    },
}

/// The text is not a slice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a slice is N/T with N from 1 to T and T at most {MOST}, like 3/30, or next/T for the one that follows the last"
)]
pub struct SliceError;

impl Slice {
    /// Creates the slice `index` of `of`, counted from 1.
    ///
    /// # Errors
    /// If `index` is not within 1 to `of`, or `of` exceeds 10,000.
    pub fn new(index: u32, of: u32) -> Result<Self, SliceError> {
        let fits = (1..=MOST).contains(&of) && (1..=of).contains(&index);
        fits.then_some(Self { index, of }).ok_or(SliceError)
    }

    /// Returns the number of the part, and the number of parts.
    pub(super) fn parts(self) -> (u64, u64) {
        (u64::from(self.index), u64::from(self.of))
    }

    /// Returns true if an object belongs to this slice. Every object always belongs to the same one of the `of` slices.
    #[must_use]
    pub fn holds(&self, object: &Digest) -> bool {
        let hash =
            object.as_bytes().iter().fold(0_u64, |hash, byte| (hash << 8 | u64::from(*byte)) % u64::from(self.of));
        hash + 1 == u64::from(self.index)
    }
}

impl SliceChoice {
    /// Resolves the choice, based on the recorded verifications.
    ///
    /// The last slice is the newest by ledger order, not by time. A failed slice is repeated until it passes. A slice
    /// of only an old snapshot does not count.
    #[must_use]
    pub fn slice(self, ledger: &Ledger) -> Slice {
        let of = match self {
            Self::Of(slice) => return slice,
            Self::Next { of } => of,
        };
        let last = ledger.counted().filter_map(|entry| {
            let EntryEvent::Verification(event) = &entry.event else { return None };
            let slice = event.slice.as_ref()?;
            let slice = Slice::new(slice.part.try_into().ok()?, slice.of.try_into().ok()?).ok()?;
            let newest = ledger.live().rev().find(|snapshot| ledger.is_below(&snapshot.digest, &entry.digest));
            let whole = newest.is_none_or(|newest| {
                let covers = |named: &Digest| *named == newest.digest || ledger.is_below(&newest.digest, named);
                event.entries.iter().any(covers)
            });
            let fits = event.passed && event.level == Level::Payload.as_str() && slice.of == of && whole;
            fits.then_some((entry.sequence, slice.index))
        });
        let index = last.max().map_or(1, |(_, index)| index % of + 1);
        Slice { index, of }
    }
}

impl From<Slice> for SliceChoice {
    fn from(slice: Slice) -> Self {
        Self::Of(slice)
    }
}

impl FromStr for Slice {
    type Err = SliceError;

    fn from_str(text: &str) -> Result<Self, SliceError> {
        let (index, of) = text.split_once('/').ok_or(SliceError)?;
        Self::new(index.parse().map_err(|_| SliceError)?, of.parse().map_err(|_| SliceError)?)
    }
}

impl FromStr for SliceChoice {
    type Err = SliceError;

    fn from_str(text: &str) -> Result<Self, SliceError> {
        match text.strip_prefix("next/") {
            // The bounds are those of its first slice.
            Some(of) => Slice::new(1, of.parse().map_err(|_| SliceError)?).map(|slice| Self::Next { of: slice.of }),
            None => text.parse().map(Self::Of),
        }
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest::sha256;

    #[test]
    fn every_object_falls_into_exactly_one_slice() {
        for of in [1, 2, 7, 30] {
            let slices: Vec<_> = (1..=of).map(|index| Slice::new(index, of).unwrap()).collect();
            let mut used = vec![0; slices.len()];
            for number in 0..500_u32 {
                let object = sha256(&number.to_be_bytes());
                let holding: Vec<_> = (0..slices.len()).filter(|at| slices[*at].holds(&object)).collect();
                assert_eq!(holding.len(), 1, "{object} of {of}");
                used[holding[0]] += 1;
            }
            assert!(used.iter().all(|count| *count > 0), "{used:?}");
        }
    }

    #[test]
    fn a_slice_outside_of_its_range_is_refused() {
        for text in
            ["0/3", "4/3", "1/0", "1/10001", "1", "a/b", "-1/3", "1/2/3", "next/0", "next/10001", "next", "next/x"]
        {
            assert_eq!(text.parse::<SliceChoice>(), Err(SliceError), "{text}");
        }
        assert_eq!("3/30".parse::<Slice>().unwrap().to_string(), "3/30");
        assert_eq!("3/30".parse::<SliceChoice>(), Ok(SliceChoice::Of(Slice { index: 3, of: 30 })));
        assert_eq!("next/30".parse::<SliceChoice>(), Ok(SliceChoice::Next { of: 30 }));
    }
}
