//! Reads a sealed object of lines: a pack or a catalogue part.

use std::fmt;

use super::header::Header;
use super::lines::Lines;
use super::{FormatError, RepositoryId, SourceName};
use crate::crypto::Identities;
use crate::crypto::open::{Opened, open};
use crate::model::limits;

/// Lines of one kind of object, and the state kept between them.
pub trait SealedLines: Sized {
    /// A parsed line.
    type Line;
    /// The kind in the first line.
    const KIND: &'static str;
    /// Name of the object in errors.
    const OBJECT: &'static str;

    /// Starts with the first line, whose header has been checked.
    ///
    /// # Errors
    /// When it lacks a member that this kind requires.
    fn begin(first: &[u8]) -> Result<Self, FormatError>;

    /// Reads the line with this number.
    ///
    /// # Errors
    /// When it is not a line of this kind, or must not follow the lines before it.
    fn read(&mut self, number: u64, line: &[u8]) -> Result<Self::Line, FormatError>;
}

/// Reads a sealed object line by line. The content is authentic only after the reader has ended without an error.
pub struct SealedReader<'a, L> {
    lines: Lines<Opened<'a>>,
    pub(super) state: L,
    failed: bool,
}

impl<'a, L: SealedLines> SealedReader<'a, L> {
    /// Opens an object of a repository and, if known, of its source.
    ///
    /// # Errors
    /// When no identity opens it, it is damaged, or it is of another kind, repository or source.
    pub fn open(
        sealed: &'a [u8],
        identities: &Identities,
        repository: &RepositoryId,
        source: Option<&SourceName>,
    ) -> Result<Self, FormatError> {
        let opened = open(sealed, identities, limits::PLAIN_READ);
        let opened = opened.map_err(|source| FormatError::Crypto { what: L::OBJECT, source })?;
        let mut lines = Lines::new(L::KIND, opened);
        let first = lines.next_line()?.ok_or_else(|| FormatError::malformed(L::KIND, "it is empty"))?;
        Header::read(first, L::KIND, repository, source)?;
        let state = L::begin(first)?;
        Ok(Self { lines, state, failed: false })
    }

    fn read(&mut self) -> Result<Option<L::Line>, FormatError> {
        let number = self.lines.number() + 1;
        let Some(line) = self.lines.next_line()? else { return Ok(None) };
        self.state.read(number, line).map(Some)
    }
}

impl<L: SealedLines> Iterator for SealedReader<'_, L> {
    type Item = Result<L::Line, FormatError>;

    /// Returns the next line; `None` after an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let line = self.read();
        self.failed = line.is_err();
        line.transpose()
    }
}

impl<L: SealedLines> fmt::Debug for SealedReader<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedReader").field("lines", &self.lines).finish_non_exhaustive()
    }
}
