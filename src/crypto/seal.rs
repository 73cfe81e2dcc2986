//! Sealing: compression, padding, encryption and naming in one pass.

use std::io::{self, Write};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{CryptoError, Recipients, pad};
use crate::model::Digest;

/// The magic number of a zstd skippable frame, in stream order (RFC 8878, 3.1.2; number 0x184D2A50).
pub(super) const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
const ZEROS: [u8; 4096] = [0; 4096];

/// The default compression level.
pub const DEFAULT_LEVEL: i32 = 3;

/// A sealed object as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The object's bytes.
    pub bytes: Bytes,
    /// Their SHA-256, which is the object's name.
    pub digest: Digest,
}

/// Seals plain bytes: one zstd frame with content checksum and size, padding to a PADMÉ length of at least 64 KiB
/// ([`pad`]), then age for every recipient.
///
/// Takes one pass and blocks the CPU: call it on blocking threads, several in parallel.
///
/// # Errors
/// [`CryptoError::Level`] for a level outside 1 to 19; [`CryptoError::Failed`] if a library fails.
pub fn seal(plain: &[u8], recipients: &Recipients, level: i32) -> Result<Sealed, CryptoError> {
    seal_chunks(std::iter::once(plain), plain.len(), recipients, level)
}

/// Seals plain bytes that are in chunks; `len` is the sum of their lengths.
///
/// # Errors
/// As [`seal`], and if `len` is not that sum.
pub fn seal_chunks<'a>(
    chunks: impl Iterator<Item = &'a [u8]>,
    len: usize,
    recipients: &Recipients,
    level: i32,
) -> Result<Sealed, CryptoError> {
    if !(1..=19).contains(&level) {
        return Err(CryptoError::Level { level });
    }
    let encryptor = age::Encryptor::with_recipients(recipients.as_age())
        .map_err(|error| CryptoError::Failed { what: "seal", problem: error.to_string() })?;
    write_sealed(encryptor, chunks, len, level)
        .map_err(|error| CryptoError::Failed { what: "seal", problem: error.to_string() })
}

fn write_sealed<'a>(
    encryptor: age::Encryptor,
    chunks: impl Iterator<Item = &'a [u8]>,
    len: usize,
    level: i32,
) -> io::Result<Sealed> {
    let output = Hashed { bytes: Vec::with_capacity(len / 4 + 4096), hash: Sha256::new() };
    let counted = Counted { inner: encryptor.wrap_output(output)?, written: 0 };
    let mut zstd = zstd::stream::write::Encoder::new(counted, level)?;
    zstd.include_checksum(true)?;
    zstd.set_pledged_src_size(u64::try_from(len).ok())?;
    for chunk in chunks {
        zstd.write_all(chunk)?;
    }
    let mut counted = zstd.finish()?;
    write_padding(&mut counted)?;
    let output = counted.inner.finish()?;
    Ok(Sealed { digest: Digest::from_bytes(output.hash.finalize().into()), bytes: output.bytes.into() })
}

fn write_padding<W: Write>(output: &mut Counted<W>) -> io::Result<()> {
    let mut zeros = pad::zeros_behind(output.written);
    let length = u32::try_from(zeros).map_err(io::Error::other)?;
    output.write_all(&SKIPPABLE)?;
    output.write_all(&length.to_le_bytes())?;
    while zeros > 0 {
        let piece = usize::try_from(zeros).unwrap_or(usize::MAX).min(ZEROS.len());
        output.write_all(ZEROS.get(..piece).unwrap_or_default())?;
        zeros -= u64::try_from(piece).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Counts the bytes written, to calculate the padding.
struct Counted<W> {
    inner: W,
    written: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(data)?;
        self.written += u64::try_from(taken).map_err(io::Error::other)?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes the sealed bytes as they are written, while they are in the CPU cache.
struct Hashed {
    bytes: Vec<u8>,
    hash: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(data);
        self.hash.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
