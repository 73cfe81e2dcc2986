//! The first line of packs, catalogue parts and lists: what it is and whose.

use serde::{Deserialize, Serialize};

use super::version::Version;
use super::{FormatError, RepositoryId};

/// The first line of everything sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: Version,
    pub(super) kind: String,
    pub(super) repository: RepositoryId,
    pub(super) source: String,
}

/// What the first line must say before the rest of it may be read.
#[derive(Deserialize)]
struct FormatAndKind {
    format: Version,
    kind: String,
}

impl Header {
    pub(super) fn new(kind: &'static str, repository: RepositoryId, source: &str) -> Self {
        Self { format: Version::CURRENT, kind: kind.to_owned(), repository, source: source.to_owned() }
    }

    /// Reads the first line of a `kind` and checks that it is one of this repository.
    pub(super) fn read(line: &[u8], kind: &'static str, repository: &RepositoryId) -> Result<Self, FormatError> {
        check_kind(line, kind)?;
        let header: Self = serde_json::from_slice(line).map_err(|error| FormatError::json(kind, &error))?;
        if header.repository != *repository {
            let (found, expected) = (header.repository.to_string(), repository.to_string());
            return Err(FormatError::Foreign { what: kind, found, expected });
        }
        Ok(header)
    }
}

/// Checks format and kind of a first line.
pub(super) fn check_kind(line: &[u8], kind: &'static str) -> Result<(), FormatError> {
    let first: FormatAndKind = serde_json::from_slice(line).map_err(|error| FormatError::json(kind, &error))?;
    first.format.check(kind)?;
    if first.kind != kind {
        return Err(FormatError::Kind { expected: kind, found: first.kind });
    }
    Ok(())
}
