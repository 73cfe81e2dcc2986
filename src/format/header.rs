//! The first line of packs, catalogue parts and lists: kind, repository and source.

use serde::{Deserialize, Serialize};

use super::version::FormatVersion;
use super::{FormatError, RepositoryId, SourceName};

/// The first line of every sealed object.
#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: FormatVersion,
    pub(super) kind: String,
    pub(super) repository: RepositoryId,
    pub(super) source: SourceName,
}

/// The members that are checked before the rest of a first line is read.
#[derive(Deserialize)]
struct FormatAndKind {
    format: FormatVersion,
    kind: String,
}

impl Header {
    pub(super) fn new(kind: &'static str, repository: RepositoryId, source: &SourceName) -> Self {
        Self { format: FormatVersion::CURRENT, kind: kind.to_owned(), repository, source: source.clone() }
    }

    /// Reads the first line of a `kind`. Checks that it belongs to this repository and to its source, if that is known.
    pub(super) fn read(
        line: &[u8],
        kind: &'static str,
        repository: &RepositoryId,
        source: Option<&SourceName>,
    ) -> Result<Self, FormatError> {
        check_kind(line, kind)?;
        let header: Self = serde_json::from_slice(line).map_err(|error| FormatError::json(kind, &error))?;
        if header.repository != *repository {
            let (found, expected) = (header.repository.to_string(), repository.to_string());
            return Err(FormatError::Foreign { what: kind, found, expected });
        }
        if let Some(expected) = source
            && !header.source.is_same(expected)
        {
            let (found, expected) = (header.source.to_string(), expected.to_string());
            return Err(FormatError::OtherSource { what: kind, found, expected });
        }
        Ok(header)
    }
}

/// Checks the format and kind of a first line.
pub(super) fn check_kind(line: &[u8], kind: &'static str) -> Result<(), FormatError> {
    let first: FormatAndKind = serde_json::from_slice(line).map_err(|error| FormatError::json(kind, &error))?;
    first.format.check(kind)?;
    if first.kind != kind {
        return Err(FormatError::Kind { expected: kind, found: first.kind });
    }
    Ok(())
}
