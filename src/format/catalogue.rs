//! Catalogue parts: the inventory, sealed to the catalogue and the recovery recipients.
//!
//! A catalogue consists of all its parts in order: keys rise from the first line of the first part to the last line of
//! the last.

use std::collections::HashSet;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::header::Header;
use super::sealed_reader::{SealedLines, SealedReader};
use super::{FormatError, RepositoryId, SourceName};
use crate::crypto::buffer::SecretBuffer;
use crate::crypto::digest::sha256;
use crate::crypto::seal::seal_chunks;
use crate::crypto::{CryptoError, Recipients, Sealed};
use crate::model::{Digest, Item, ItemKey, Slot, limits};

const WHAT: &str = "catalogue";

/// Average number of keys per part.
const KEYS_PER_PART: u16 = 512;

/// Returns true if a part ends before this key.
///
/// Only the key decides, so an item that appears or disappears moves only its own boundary, and other parts stay
/// unchanged. The condition: the first two bytes of the SHA-256 of the key, as a big-endian number, are a multiple of
/// 512.
#[must_use]
pub fn cut_before(key: &ItemKey) -> bool {
    let [first, second, ..] = *sha256(key.as_str().as_bytes()).as_bytes();
    u16::from_be_bytes([first, second]).is_multiple_of(KEYS_PER_PART)
}

/// Builds a catalogue part in memory.
#[derive(Debug)]
pub struct PartBuilder {
    buffer: SecretBuffer,
    content: Sha256,
    last: Option<ItemKey>,
    items: u64,
}

impl PartBuilder {
    /// Starts a part of a repository, for items of this source.
    ///
    /// # Errors
    /// When the first line cannot be written, which does not happen in practice.
    pub fn new(repository: RepositoryId, source: &SourceName) -> Result<Self, FormatError> {
        let mut builder = Self { buffer: SecretBuffer::new(), content: Sha256::new(), last: None, items: 0 };
        builder.write_line(&Header::new(WHAT, repository, source))?;
        Ok(builder)
    }

    /// Adds an item.
    ///
    /// # Errors
    /// [`FormatError::Order`] if its key does not follow the last key; [`FormatError::TooLarge`] if the part would
    /// become larger than any reader accepts. Either leaves the part unchanged.
    pub fn push(&mut self, item: &Item) -> Result<(), FormatError> {
        if self.last.as_ref().is_some_and(|last| *last >= item.key) {
            return Err(FormatError::Order { what: WHAT, key: item.key.to_string() });
        }
        self.write_line(item)?;
        self.last = Some(item.key.clone());
        self.items += 1;
        Ok(())
    }

    /// Returns the plain size so far, in bytes.
    #[must_use]
    pub fn plain_len(&self) -> usize {
        self.buffer.len()
    }

    /// Returns true if a writer should seal the part and start another, regardless of where keys cut.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= limits::PACK_PLAIN_WRITE
    }

    /// Returns the number of items in the part.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.items
    }

    /// Returns true if the part has no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Returns a digest of the plain bytes, to detect an unchanged part. Never stored.
    #[must_use]
    pub fn content(&self) -> Digest {
        Digest::from_bytes(self.content.clone().finalize().into())
    }

    /// Seals the part: zstd at `level` (1 to 19), padding, age. Blocks the CPU: call it on a blocking thread.
    ///
    /// # Errors
    /// When sealing fails ([`crate::crypto::seal::seal`]).
    pub fn seal(self, recipients: &Recipients, level: i32) -> Result<Sealed, FormatError> {
        seal_chunks(self.buffer.chunks(), self.buffer.len(), recipients, level).map_err(crypto)
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

/// Keeps a value on one line. The provider's answers are stored as received; a line feed in them can only be between
/// tokens, where a space means the same.
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

/// Reads a catalogue part item by item.
pub type PartReader<'a> = SealedReader<'a, PartLines>;

/// State after the lines read so far.
#[derive(Debug)]
pub struct PartLines {
    content: Sha256,
    last: Option<ItemKey>,
    items: u64,
    packs: HashSet<Digest>,
}

impl PartLines {
    fn count(&mut self, line: &[u8]) {
        self.content.update(line);
        self.content.update(b"\n");
    }
}

impl SealedReader<'_, PartLines> {
    /// Returns the number of items read so far.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.state.items
    }

    /// Returns a digest of the plain bytes read so far; after the end, the same as [`PartBuilder::content`].
    #[must_use]
    pub fn content(&self) -> Digest {
        Digest::from_bytes(self.state.content.clone().finalize().into())
    }
}

impl SealedLines for PartLines {
    type Line = Item;
    const KIND: &'static str = WHAT;
    const OBJECT: &'static str = "catalogue part";

    fn begin(first: &[u8]) -> Result<Self, FormatError> {
        let mut lines = Self { content: Sha256::new(), last: None, items: 0, packs: HashSet::new() };
        lines.count(first);
        Ok(lines)
    }

    fn read(&mut self, number: u64, line: &[u8]) -> Result<Item, FormatError> {
        let bad = |problem: &str| FormatError::malformed(WHAT, format!("line {number}: {problem}"));
        let item: Item = serde_json::from_slice(line).map_err(|_| bad("not the members of an item"))?;
        self.count(line);
        if !item.payloads.iter().all(|pointer| Slot::new(pointer.version.as_str()).is_some()) {
            return Err(bad("a payload has no usable version"));
        }
        // No list names more packs. A part that does can only be an attempt to exhaust the memory of its readers.
        self.packs.extend(item.payloads.iter().map(|pointer| pointer.pack));
        if self.packs.len() > limits::PACKS_READ {
            return Err(bad("with this item the part names more packs than a list may have"));
        }
        if self.last.as_ref().is_some_and(|last| *last >= item.key) {
            return Err(FormatError::Order { what: WHAT, key: item.key.to_string() });
        }
        self.last = Some(item.key.clone());
        self.items += 1;
        Ok(item)
    }
}

fn crypto(source: CryptoError) -> FormatError {
    FormatError::Crypto { what: PartLines::OBJECT, source }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::Identities;
    use crate::crypto::seal::seal;
    use crate::format::pack::PackReader;
    use crate::model::{ItemKind, Pointer, Restorability};

    fn repository() -> RepositoryId {
        RepositoryId(sha256(b"repository"))
    }

    fn source() -> SourceName {
        SourceName { provider: "fake".to_owned(), instance: "one".to_owned(), region: None }
    }

    fn keys() -> (Identities, Recipients) {
        let (identities, _) = Identities::generate();
        let recipients = Recipients::new(identities.recipients()).unwrap();
        (identities, recipients)
    }

    fn item(id: &str, row: &str) -> Item {
        Item {
            key: ItemKey::new(ItemKind::Secret, id).unwrap(),
            name: "name".to_owned(),
            item_type: "arbitrary".to_owned(),
            group: Some("default".to_owned()),
            class: Restorability::Exact.into(),
            revision: Some(sha256(b"rows")),
            read_at: None,
            payloads: vec![Pointer { version: Slot::new("v1").unwrap(), pack: sha256(b"pack") }],
            docs: [("row".to_owned(), serde_json::from_str(row).unwrap())].into(),
        }
    }

    fn part(items: &[Item]) -> PartBuilder {
        let mut part = PartBuilder::new(repository(), &source()).unwrap();
        for item in items {
            part.push(item).unwrap();
        }
        part
    }

    #[test]
    fn items_come_back_with_their_documents_as_received() {
        let (identities, recipients) = keys();
        let row = "{\"big\": 12345678901234567890,\n \"x\":1e400,\"k\":1,\"k\":2}";
        let part = part(&[item("a", row), item("b", "{}")]);
        let content = part.content();
        let sealed = part.seal(&recipients, 3).unwrap();
        let mut reader = PartReader::open(&sealed.bytes, &identities, &repository(), None).unwrap();
        let first = reader.next().unwrap().unwrap();
        // The line feed in the provider's answer became a space: a catalogue line is one line.
        assert_eq!(first.docs["row"].get(), row.replace('\n', " "));
        assert_eq!(first.payloads, item("a", row).payloads);
        assert!(reader.next().unwrap().is_ok() && reader.next().is_none());
        assert_eq!((reader.items(), reader.content()), (2, content));
    }

    #[test]
    fn the_same_items_have_the_same_content_and_others_do_not() {
        assert_eq!(part(&[item("a", "{}")]).content(), part(&[item("a", "{}")]).content());
        assert_ne!(part(&[item("a", "{}")]).content(), part(&[item("a", r#"{"x":1}"#)]).content());
        let other = PartBuilder::new(RepositoryId(sha256(b"other")), &source()).unwrap();
        assert_ne!(part(&[]).content(), other.content());
    }

    #[test]
    fn keys_must_rise() {
        let mut part = part(&[item("b", "{}")]);
        let before = (part.plain_len(), part.content());
        for id in ["a", "b"] {
            assert!(matches!(part.push(&item(id, "{}")), Err(FormatError::Order { .. })), "{id}");
        }
        assert_eq!((part.plain_len(), part.content(), part.len()), (before.0, before.1, 1));
        part.push(&item("c", "{}")).unwrap();
    }

    #[test]
    fn parts_that_a_broken_or_foreign_writer_made_are_refused() {
        let (identities, recipients) = keys();
        let good = part(&[item("a", "{}"), item("b", "{}")]);
        let plain = String::from_utf8(good.buffer.chunks().flatten().copied().collect()).unwrap();
        let read = |text: &str, repository: &RepositoryId| -> Result<Vec<Item>, FormatError> {
            let sealed = seal(text.as_bytes(), &recipients, 3).unwrap();
            PartReader::open(&sealed.bytes, &identities, repository, Some(&source()))?.collect()
        };
        assert_eq!(read(&plain, &repository()).unwrap().len(), 2);
        let mut lines: Vec<&str> = plain.lines().collect();
        lines.swap(1, 2);
        assert!(matches!(read(&(lines.join("\n") + "\n"), &repository()), Err(FormatError::Order { .. })));
        assert!(read(&plain.replace("\"v1\"", "\"\""), &repository()).is_err(), "a pointer without version");
        assert!(read(plain.trim_end(), &repository()).is_err(), "cut off");
        assert!(read(&plain.replace("\"1.0\"", "\"3.0\""), &repository()).is_err(), "other major");
        assert!(
            read(&plain.replace("\"1.0\"", "\"1.3\"").replace("\"name\":", "\"new\":1,\"name\":"), &repository())
                .is_ok()
        );
        let foreign = RepositoryId(sha256(b"other"));
        assert!(matches!(read(&plain, &foreign), Err(FormatError::Foreign { .. })));
        let sealed = part(&[]).seal(&recipients, 3).unwrap();
        let error = PackReader::open(&sealed.bytes, &identities, &repository(), None).unwrap_err();
        assert_eq!(error, FormatError::Kind { expected: "pack", found: "catalogue".to_owned() });
    }

    #[test]
    fn parts_are_padded_and_of_one_source() {
        let (identities, recipients) = keys();
        let sealed = part(&[item("a", "{}")]).seal(&recipients, 3).unwrap();
        assert!(sealed.bytes.len() > 65_536, "{} bytes", sealed.bytes.len());
        let open =
            |source: &SourceName| PartReader::open(&sealed.bytes, &identities, &repository(), Some(source)).map(|_| ());
        assert!(open(&source()).is_ok());
        let other = SourceName { instance: "two".to_owned(), ..source() };
        assert!(matches!(open(&other), Err(FormatError::OtherSource { .. })));
    }

    #[test]
    fn kinds_and_classes_of_a_later_version_pass_through() {
        let (identities, recipients) = keys();
        let plain = String::from_utf8(part(&[item("a", "{}")]).buffer.chunks().flatten().copied().collect()).unwrap();
        let later = plain.replace("secret/a", "store/a/b").replace("\"exact\"", "\"half_way\"");
        let sealed = seal(later.as_bytes(), &recipients, 3).unwrap();
        let mut reader = PartReader::open(&sealed.bytes, &identities, &repository(), None).unwrap();
        let found = reader.next().unwrap().unwrap();
        assert_eq!((found.key.kind_word(), found.class.as_str()), ("store", "half_way"));
        let again: Vec<u8> = part(&[found]).buffer.chunks().flatten().copied().collect();
        assert_eq!(String::from_utf8(again).unwrap(), later, "written again as it was");
    }

    #[test]
    fn a_part_points_into_4096_packs_at_most() {
        let (identities, recipients) = keys();
        let with = |id: &str, packs: std::ops::Range<usize>| {
            let pointer = |n: usize| Pointer { version: Slot::new("v1").unwrap(), pack: sha256(&n.to_be_bytes()) };
            Item { payloads: packs.map(pointer).collect(), ..item(id, "{}") }
        };
        let read = |items: &[Item]| {
            let sealed = part(items).seal(&recipients, 1).unwrap();
            PartReader::open(&sealed.bytes, &identities, &repository(), None).unwrap().collect::<Result<Vec<_>, _>>()
        };
        let most = limits::PACKS_READ;
        assert_eq!(read(&[with("a", 0..most), with("b", 0..most)]).unwrap().len(), 2);
        let error = read(&[with("a", 0..most), with("b", most..most + 1)]).unwrap_err();
        assert!(error.to_string().contains("more packs than a list"), "{error}");
        assert!(read(&[with("a", 0..most + 1)]).is_err());
    }

    #[test]
    fn about_one_key_in_512_begins_a_part_and_always_the_same_ones() {
        let key = |n: u32| ItemKey::new(ItemKind::Secret, &format!("id-{n}")).unwrap();
        let cuts = (0..51_200).filter(|n| cut_before(&key(*n))).count();
        assert!((60..150).contains(&cuts), "{cuts} of 51,200");
        // Part of the format: with another hash or divisor, every catalogue would be sealed anew.
        let first = (0..51_200).find(|n| cut_before(&key(*n))).unwrap();
        assert_eq!(first, 303, "see docs/format.md");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_document_stays_on_its_line(texts in proptest::collection::vec(any::<String>(), 1..10)) {
            let (identities, recipients) = keys();
            let items: Vec<Item> = texts
                .iter()
                .enumerate()
                .map(|(n, text)| item(&format!("{n:03}"), &format!("{{\n\"text\" : {} }}", serde_json::to_string(text).unwrap())))
                .collect();
            let sealed = part(&items).seal(&recipients, 1).unwrap();
            let read: Vec<Item> = PartReader::open(&sealed.bytes, &identities, &repository(), None).unwrap().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read.len(), texts.len());
            for (item, text) in read.iter().zip(&texts) {
                prop_assert_eq!(&item.doc("row").unwrap().str("text").unwrap(), text);
            }
        }
    }
}
