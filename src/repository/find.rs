//! Lookup of snapshots.

use std::fmt;
use std::str::FromStr;

use super::RepositoryError;
use super::ledger::Ledger;
use crate::format::{Entry, SnapshotEvent};
use crate::model::Timestamp;

/// Minimum number of hexadecimal digits of a digest prefix.
pub const PREFIX_DIGITS: usize = 4;

/// A query for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotQuery {
    /// The newest good and live snapshot (`latest`).
    Latest,
    /// A sequence number, or at least [`PREFIX_DIGITS`] digits of the digest. A text that can be both is tried as a
    /// sequence number first. Also finds forgotten and swept snapshots.
    Named(String),
    /// The newest good and live snapshot taken at or before this time.
    At(Timestamp),
}

/// The text is not a snapshot query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot is `latest`, a sequence number, or at least 4 digits of its digest; this is none of them")]
pub struct WantedError;

impl FromStr for SnapshotQuery {
    type Err = WantedError;

    fn from_str(text: &str) -> Result<Self, WantedError> {
        let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        match text {
            "latest" => Ok(Self::Latest),
            text if text.parse::<u64>().is_ok() => Ok(Self::Named(text.to_owned())),
            text if (PREFIX_DIGITS..=64).contains(&text.len()) && text.chars().all(hexadecimal) => {
                Ok(Self::Named(text.to_owned()))
            }
            _ => Err(WantedError),
        }
    }
}

impl fmt::Display for SnapshotQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Named(name) => f.write_str(name),
            Self::At(time) => write!(f, "the state at {time}"),
        }
    }
}

/// Finds the snapshot for a query among those that count. By name it also finds those that cannot be judged because
/// entries or policy versions are missing.
///
/// # Errors
/// [`RepositoryError::NoSnapshot`] if none or more than one fits; [`RepositoryError::PendingSnapshots`] for a query
/// other than by name while there may be a newer one.
pub fn find<'a>(ledger: &'a Ledger, wanted: &SnapshotQuery) -> Result<(&'a Entry, &'a SnapshotEvent), RepositoryError> {
    let none = |why: String| RepositoryError::NoSnapshot { wanted: wanted.to_string(), why };
    let undecided = ledger.unproven().chain(ledger.pending_snapshots());
    let named: Vec<&Entry> = ledger.snapshots().into_iter().chain(undecided).collect();
    let snapshots = || named.iter().copied().filter_map(|entry| Some((entry, entry.snapshot()?)));
    match wanted {
        SnapshotQuery::Latest | SnapshotQuery::At(_) if ledger.pending_snapshots().next().is_some() => {
            let pending = ledger.pending_snapshots().map(|entry| format!("{} (pending)", entry.reference()));
            let newest = ledger.latest_good().map(|entry| entry.reference().to_string());
            Err(RepositoryError::PendingSnapshots { candidates: pending.chain(newest).collect() })
        }
        SnapshotQuery::Latest => ledger
            .latest_good()
            .and_then(|entry| Some((entry, entry.snapshot()?)))
            .ok_or_else(|| none("there is no good snapshot".to_owned())),
        SnapshotQuery::At(time) => {
            let mut newest_first = ledger.live().rev().filter_map(|entry| Some((entry, entry.snapshot()?)));
            newest_first
                .find(|(entry, event)| ledger.is_good(entry) && event.time <= *time)
                .ok_or_else(|| none("there is no good snapshot that old".to_owned()))
        }
        SnapshotQuery::Named(name) => {
            let by_sequence: Vec<_> = match name.parse::<u64>() {
                Ok(sequence) => snapshots().filter(|(entry, _)| entry.sequence == sequence).collect(),
                Err(_) => Vec::new(),
            };
            let matching = match by_sequence.is_empty() && name.len() >= PREFIX_DIGITS {
                true => snapshots().filter(|(entry, _)| entry.digest.to_string().starts_with(name)).collect(),
                false => by_sequence,
            };
            match matching.as_slice() {
                [one] => Ok(*one),
                [] => Err(none("there is none with that sequence number or digest".to_owned())),
                several => {
                    let names: Vec<_> = several.iter().map(|(entry, _)| entry.digest.short()).collect();
                    Err(none(format!("it fits {}; give more digits of the digest", names.join(", "))))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_rubbish() {
        assert_eq!("latest".parse(), Ok(SnapshotQuery::Latest));
        assert_eq!("7".parse(), Ok(SnapshotQuery::Named("7".to_owned())));
        assert_eq!("00ff".parse(), Ok(SnapshotQuery::Named("00ff".to_owned())));
        for rubbish in ["", "abc", "LATEST", "00FF", "xyz0", "-1", &"a".repeat(65)] {
            assert_eq!(rubbish.parse::<SnapshotQuery>(), Err(WantedError), "{rubbish}");
        }
    }
}
