//! Buffer for plain bytes before they are sealed.

use std::fmt;
use std::io::{self, Write};

use zeroize::{Zeroize, Zeroizing};

/// Bytes of one chunk.
const CHUNK: usize = 256 * 1024;

/// A growing buffer that is wiped when dropped and never leaves a copy behind when it grows.
///
/// A `Vec` that grows moves its bytes and leaves the old ones in freed memory; this one adds chunks instead.
#[derive(Default)]
pub struct SecretBuffer {
    chunks: Vec<Zeroizing<Vec<u8>>>,
    len: usize,
}

impl SecretBuffer {
    /// Creates an empty buffer; memory is allocated as it fills.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of bytes in the buffer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns true if the buffer is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Iterates over the bytes, chunk by chunk.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().map(|chunk| chunk.as_slice())
    }

    /// Wipes everything after the first `len` bytes. Has no effect if there are fewer.
    pub fn truncate(&mut self, len: usize) {
        while self.len > len {
            let excess = self.len - len;
            let Some(last) = self.chunks.last_mut() else { break };
            let kept = last.len().saturating_sub(excess);
            self.len -= last.len() - kept;
            if kept == 0 {
                self.chunks.pop();
            } else {
                if let Some(tail) = last.get_mut(kept..) {
                    tail.zeroize();
                }
                last.truncate(kept);
            }
        }
    }
}

impl Write for SecretBuffer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut rest = data;
        while !rest.is_empty() {
            if self.chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
                self.chunks.push(Zeroizing::new(Vec::with_capacity(CHUNK)));
            }
            let Some(last) = self.chunks.last_mut() else { break };
            let (now, later) = rest.split_at(rest.len().min(CHUNK - last.len()));
            last.extend_from_slice(now);
            self.len += now.len();
            rest = later;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for SecretBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[redacted, {} bytes]", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(buffer: &SecretBuffer) -> Vec<u8> {
        buffer.chunks().flatten().copied().collect()
    }

    #[test]
    fn bytes_come_back_in_order_over_chunk_bounds() {
        let data: Vec<u8> = (0..CHUNK * 2 + 7).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut buffer = SecretBuffer::new();
        for piece in data.chunks(1000) {
            buffer.write_all(piece).unwrap();
        }
        assert_eq!(buffer.len(), data.len());
        assert!(all(&buffer) == data);
        // No chunk grew past its initial capacity: that would have moved its bytes.
        assert!(buffer.chunks.iter().all(|chunk| chunk.capacity() == CHUNK));
    }

    #[test]
    fn truncating_goes_back_over_chunk_bounds_and_writing_goes_on() {
        let mut buffer = SecretBuffer::new();
        buffer.write_all(&vec![1; CHUNK + 10]).unwrap();
        buffer.truncate(CHUNK - 1);
        buffer.write_all(&[2, 3]).unwrap();
        assert_eq!(buffer.len(), CHUNK + 1);
        assert_eq!(all(&buffer).get(CHUNK - 2..), Some([1, 2, 3].as_slice()));
        buffer.truncate(0);
        assert!(buffer.is_empty() && all(&buffer).is_empty());
    }

    #[test]
    fn debug_shows_nothing() {
        let mut buffer = SecretBuffer::new();
        buffer.write_all(b"hunter2").unwrap();
        assert_eq!(format!("{buffer:?}"), "[redacted, 7 bytes]");
    }
}
