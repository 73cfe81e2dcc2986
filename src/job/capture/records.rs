//! Queue of metadata lines in key order, compressed until they are needed.

use std::collections::VecDeque;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CaptureError;
use crate::crypto::compress;

/// Plain bytes of a block before compression.
const BLOCK: usize = 256 * 1024;

/// A queue of lines, written at the end and read from the front. Memory of lines that were read is freed.
///
/// Holds metadata only: this memory is not wiped, so payloads must not be stored here.
#[derive(Debug)]
pub(super) struct Records<T> {
    blocks: VecDeque<(Vec<u8>, usize)>,
    open: Vec<u8>,
    front: VecDeque<T>,
    lines: PhantomData<T>,
}

impl<T> Default for Records<T> {
    fn default() -> Self {
        Self { blocks: VecDeque::new(), open: Vec::new(), front: VecDeque::new(), lines: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> Records<T> {
    /// Appends a line.
    ///
    /// # Errors
    /// If it cannot be serialised to JSON or compressed.
    pub(super) fn push(&mut self, line: &T) -> Result<(), CaptureError> {
        serde_json::to_writer(&mut self.open, line).map_err(|error| broken(&error))?;
        self.open.push(b'\n');
        if self.open.len() >= BLOCK {
            self.close()?;
        }
        Ok(())
    }

    /// Removes and returns the first line.
    ///
    /// # Errors
    /// If a block cannot be read back.
    pub(super) fn pop(&mut self) -> Result<Option<T>, CaptureError> {
        if self.front.is_empty() {
            if self.blocks.is_empty() {
                self.close()?;
            }
            if let Some((packed, len)) = self.blocks.pop_front() {
                let plain = compress::unpack(&packed, len).map_err(|error| broken(&error))?;
                for line in plain.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    self.front.push_back(serde_json::from_slice(line).map_err(|error| broken(&error))?);
                }
            }
        }
        Ok(self.front.pop_front())
    }

    fn close(&mut self) -> Result<(), CaptureError> {
        if !self.open.is_empty() {
            let packed = compress::pack(&self.open).map_err(|error| broken(&error))?;
            self.blocks.push_back((packed, self.open.len()));
            self.open.clear();
        }
        Ok(())
    }
}

fn broken(error: &dyn std::error::Error) -> CaptureError {
    CaptureError::Internal { what: format!("the lines kept in memory do not read back: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_in_order_over_many_blocks_and_while_writing_goes_on() {
        let mut records = Records::<String>::default();
        for n in 0..5_000 {
            records.push(&format!("{n} {}", "x".repeat(200))).unwrap();
        }
        assert!(records.blocks.len() > 2);
        assert!(records.pop().unwrap().unwrap().starts_with("0 "));
        records.push(&"last".to_owned()).unwrap();
        let mut rest = Vec::new();
        while let Some(line) = records.pop().unwrap() {
            rest.push(line);
        }
        assert_eq!(rest.len(), 5_000);
        assert!(rest[4_998].starts_with("4999 "));
        assert_eq!(rest[4_999], "last");
    }
}
