//! Reads lines from a stream of secrets.

use std::io::{self, Read};

use zeroize::Zeroizing;

use super::FormatError;
use crate::crypto::CryptoError;

/// Initial size of the buffer, in bytes; most lines fit.
const START: usize = 64 * 1024;

/// Reads lines one by one. The buffer is wiped, also when it has grown. The underlying reader bounds its size.
pub(super) struct Lines<R> {
    what: &'static str,
    reader: R,
    buffer: Zeroizing<Vec<u8>>,
    /// Number of bytes of the buffer that were already returned.
    start: usize,
    /// Number of bytes of the buffer that are filled.
    end: usize,
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(what: &'static str, reader: R) -> Self {
        Self { what, reader, buffer: Zeroizing::new(vec![0; START]), start: 0, end: 0, number: 0 }
    }

    /// Returns the number of the last line returned, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the next line without its line feed; `None` at the clean end.
    pub(super) fn next_line(&mut self) -> Result<Option<&[u8]>, FormatError> {
        let mut looked_at = 0;
        loop {
            let held = self.buffer.get(self.start..self.end).unwrap_or_default();
            if let Some(at) = held.get(looked_at..).unwrap_or_default().iter().position(|byte| *byte == b'\n') {
                let (from, to) = (self.start, self.start + looked_at + at);
                self.start = to + 1;
                self.number += 1;
                return Ok(self.buffer.get(from..to));
            }
            looked_at = held.len();
            if self.fill()? == 0 {
                return if looked_at == 0 {
                    Ok(None)
                } else {
                    Err(FormatError::malformed(self.what, "its last line does not end"))
                };
            }
        }
    }

    /// Reads more bytes after the buffered ones; makes room first.
    fn fill(&mut self) -> Result<usize, FormatError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            // A new buffer instead of a grown one, because dropping the old one wipes it.
            let mut larger = Zeroizing::new(vec![0; self.buffer.len() * 2]);
            for (to, from) in larger.iter_mut().zip(self.buffer.iter()) {
                *to = *from;
            }
            self.buffer = larger;
        }
        loop {
            match self.reader.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(FormatError::Crypto { what: self.what, source: CryptoError::from_read(&error) });
                }
            }
        }
    }
}

impl<R> std::fmt::Debug for Lines<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines(line {} of a {})", self.number, self.what)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader that returns at most this many bytes per read.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let take = self.1.min(buffer.len());
            self.0.read(buffer.get_mut(..take).unwrap_or_default())
        }
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_text_however_it_arrives(lines in proptest::collection::vec("[a-z]{0,9}", 0..20), step in 1usize..9) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let mut reader = Lines::new("pack", Slow(text.as_bytes(), step));
            for line in &lines {
                prop_assert_eq!(reader.next_line().unwrap(), Some(line.as_bytes()));
            }
            prop_assert_eq!(reader.next_line().unwrap(), None);
            prop_assert_eq!(reader.number(), lines.len() as u64);
        }
    }

    #[test]
    fn a_line_larger_than_the_buffer_is_whole() {
        let text = [vec![b'x'; START * 3], b"\nshort\n".to_vec()].concat();
        let mut reader = Lines::new("pack", text.as_slice());
        assert_eq!(reader.next_line().unwrap().unwrap().len(), START * 3);
        assert_eq!(reader.next_line().unwrap(), Some(b"short".as_slice()));
    }

    #[test]
    fn a_last_line_without_its_end_is_an_error() {
        let mut reader = Lines::new("pack", b"one\ntw".as_slice());
        assert!(reader.next_line().is_ok());
        assert!(reader.next_line().is_err());
    }
}
