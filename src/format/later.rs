//! Entries of a later version of the format: what an older version can read of them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::entry::{MEMBERS, WHAT};
use super::envelope::{Envelope, Holds};
use super::statement::{STATEMENT_TYPE, check_critical};
use super::version::FormatVersion;
use super::{FormatError, RepositoryId};

/// Prefix of the predicate type of an entry, for all versions.
const ENTRY_TYPES: &str = "urn:keyhaven:entry:";

/// An entry that only a later version of the format can read. Every version keeps the envelope, the two types, `format`
/// and `repository`, so that an older reader can identify the signer of an entry that it does not understand.
#[derive(Debug, Clone, PartialEq)]
pub struct Later {
    /// The envelope; its signatures are not checked.
    pub envelope: Envelope,
    /// The repository named in the entry.
    pub repository: RepositoryId,
    /// Reason why this version cannot read it.
    pub why: FormatError,
}

#[derive(Deserialize)]
struct Statement<'a> {
    #[serde(rename = "_type")]
    statement_type: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(borrow)]
    predicate: Predicate<'a>,
}

#[derive(Deserialize)]
struct Predicate<'a> {
    #[serde(borrow, default)]
    critical: Option<&'a RawValue>,
    format: FormatVersion,
    repository: RepositoryId,
}

impl Later {
    /// Reads the common members. `None` for an entry that this version can read, and for bytes that no version reads.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let envelope = Envelope::decode(bytes, Holds::Entry).ok()?;
        let statement: Statement<'_> = serde_json::from_slice(&envelope.payload).ok()?;
        let Statement { statement_type, predicate_type, predicate } = statement;
        if statement_type != STATEMENT_TYPE || !predicate_type.starts_with(ENTRY_TYPES) {
            return None;
        }
        let why = match predicate.format.check(WHAT) {
            Err(why) => why,
            Ok(()) => {
                let critical: Vec<String> = serde_json::from_str(predicate.critical?.get()).ok()?;
                check_critical(WHAT, Some(&critical), &MEMBERS)
                    .err()
                    .filter(|error| matches!(error, FormatError::Critical { .. }))?
            }
        };
        let repository = predicate.repository;
        Some(Self { envelope, repository, why })
    }
}
