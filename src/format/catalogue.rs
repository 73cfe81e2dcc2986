//! Catalogue parts: the inventory, sealed to the catalogue and the recovery recipients.
//!
//! A catalogue is all its parts in order: keys rise from the first line of the first part to the last line of the last.

use std::fmt;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::header::Header;
use super::lines::Lines;
use super::{FormatError, RepositoryId};
use crate::crypto::buffer::SecretBuffer;
use crate::crypto::digest::sha256;
use crate::crypto::open::{Opened, open};
use crate::crypto::seal::seal_chunks;
use crate::crypto::{CryptoError, Identities, Padding, Recipients, Sealed};
use crate::model::{Digest, Item, ItemKey, Slot, limits};

const WHAT: &str = "catalogue";

/// A part begins at one key of so many, on average.
const KEYS_PER_PART: u16 = 512;

/// Whether a part ends before this key.
///
/// Decided by the key alone, so that an item that comes or goes moves no other bound than its own and unchanged parts
/// stay the same: the first two bytes of the SHA-256 of the key, as a big-endian number, are a multiple of 512.
#[must_use]
pub fn cut_before(key: &ItemKey) -> bool {
    let [first, second, ..] = *sha256(key.as_str().as_bytes()).as_bytes();
    u16::from_be_bytes([first, second]).is_multiple_of(KEYS_PER_PART)
}

/// Puts a catalogue part together in memory.
#[derive(Debug)]
pub struct PartBuilder {
    buffer: SecretBuffer,
    content: Sha256,
    last: Option<ItemKey>,
    items: u64,
}

impl PartBuilder {
    /// Begins a part of a repository, whose source instance has this CRN.
    ///
    /// # Errors
    /// Never in practice: only when the first line cannot be written.
    pub fn new(repository: RepositoryId, source_crn: &str) -> Result<Self, FormatError> {
        let mut builder = Self { buffer: SecretBuffer::new(), content: Sha256::new(), last: None, items: 0 };
        builder.write_line(&Header::new(WHAT, repository, source_crn))?;
        Ok(builder)
    }

    /// Adds an item.
    ///
    /// # Errors
    /// [`FormatError::Order`] when its key does not come after the last one's; [`FormatError::TooLarge`] when it would
    /// make the part larger than any reader accepts. Either leaves the part as it was.
    pub fn push(&mut self, item: &Item) -> Result<(), FormatError> {
        if self.last.as_ref().is_some_and(|last| *last >= item.key) {
            return Err(FormatError::Order { what: WHAT, key: item.key.to_string() });
        }
        self.write_line(item)?;
        self.last = Some(item.key.clone());
        self.items += 1;
        Ok(())
    }

    /// Its plain size so far, in bytes.
    #[must_use]
    pub fn plain_len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a writer should seal it and begin another, wherever the next key says to cut.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= limits::PACK_PLAIN_WRITE
    }

    /// How many items it lists.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.items
    }

    /// Whether it lists no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// A digest of its plain bytes, to find that a part has not changed. Never stored anywhere.
    #[must_use]
    pub fn content(&self) -> Digest {
        Digest::from_bytes(self.content.clone().finalize().into())
    }

    /// Seals it: zstd at `level` (1 to 19), age. Holds the CPU: call it on a blocking thread.
    ///
    /// # Errors
    /// When sealing fails ([`crate::crypto::seal::seal`]).
    pub fn seal(self, recipients: &Recipients, level: i32) -> Result<Sealed, FormatError> {
        seal_chunks(self.buffer.chunks(), self.buffer.len(), recipients, Padding::None, level).map_err(crypto)
    }

    fn write_line<T: serde::Serialize>(&mut self, value: &T) -> Result<(), FormatError> {
        let before = self.buffer.len();
        let content = self.content.clone();
        let mut line = OneLine { buffer: &mut self.buffer, content: &mut self.content };
        let written = serde_json::to_writer(&mut line, value)
            .map_err(|error| FormatError::json(WHAT, &error))
            .and_then(|()| line.end().map_err(|error| FormatError::malformed(WHAT, error.to_string())));
        let size = self.buffer.len();
        if written.is_err() || size > limits::PLAIN_READ {
            self.buffer.truncate(before);
            self.content = content;
            written?;
            return Err(FormatError::TooLarge { what: "a catalogue part", size, limit: limits::PLAIN_READ });
        }
        Ok(())
    }
}

/// Keeps a value on one line: the provider's answers are kept as received, and a line feed in them can only stand
/// between tokens, where a space means the same.
struct OneLine<'a> {
    buffer: &'a mut SecretBuffer,
    content: &'a mut Sha256,
}

impl OneLine<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.content.update(bytes);
        self.buffer.write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        self.put(b"\n")
    }
}

impl Write for OneLine<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        for (index, piece) in data.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                self.put(b" ")?;
            }
            self.put(piece)?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a catalogue part item by item. Only when it has ended without an error was the whole part as it was sealed.
pub struct PartReader<'a> {
    lines: Lines<Opened<'a>>,
    source: String,
    content: Sha256,
    last: Option<ItemKey>,
    items: u64,
    failed: bool,
}

impl<'a> PartReader<'a> {
    /// Opens a catalogue part of a repository.
    ///
    /// # Errors
    /// When no identity opens it, it is damaged, it is no catalogue part, or one of another repository.
    pub fn open(sealed: &'a [u8], identities: &Identities, repository: &RepositoryId) -> Result<Self, FormatError> {
        let opened = open(sealed, identities, limits::PLAIN_READ).map_err(crypto)?;
        let mut lines = Lines::new(WHAT, opened);
        let first = lines.next_line()?.ok_or_else(|| FormatError::malformed(WHAT, "it is empty"))?;
        let header = Header::read(first, WHAT, repository)?;
        let mut content = Sha256::new();
        content.update(first);
        content.update(b"\n");
        Ok(Self { lines, source: header.source, content, last: None, items: 0, failed: false })
    }

    /// The CRN of the instance that the items belong to.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How many items came out so far.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items
    }

    /// A digest of the plain bytes read so far; after the end, what [`PartBuilder::content`] was.
    #[must_use]
    pub fn content(&self) -> Digest {
        Digest::from_bytes(self.content.clone().finalize().into())
    }

    fn read(&mut self) -> Result<Option<Item>, FormatError> {
        let number = self.lines.number() + 1;
        let Some(bytes) = self.lines.next_line()? else { return Ok(None) };
        let bad = |problem: &str| FormatError::malformed(WHAT, format!("line {number}: {problem}"));
        let item: Item = serde_json::from_slice(bytes).map_err(|_| bad("not the members of an item"))?;
        self.content.update(bytes);
        self.content.update(b"\n");
        if !item.payloads.iter().all(|pointer| Slot::new(pointer.version.as_str()).is_some()) {
            return Err(bad("a payload has no usable version"));
        }
        if self.last.as_ref().is_some_and(|last| *last >= item.key) {
            return Err(FormatError::Order { what: WHAT, key: item.key.to_string() });
        }
        self.last = Some(item.key.clone());
        self.items += 1;
        Ok(Some(item))
    }
}

impl Iterator for PartReader<'_> {
    type Item = Result<Item, FormatError>;

    /// The next item; after an error, nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.read();
        self.failed = item.is_err();
        item.transpose()
    }
}

impl fmt::Debug for PartReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartReader").field("lines", &self.lines).finish_non_exhaustive()
    }
}

fn crypto(source: CryptoError) -> FormatError {
    FormatError::Crypto { what: "catalogue part", source }
}
