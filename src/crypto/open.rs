//! Opening what was sealed, as a stream, with nothing unbounded.

use std::fmt;
use std::io::{self, BufReader, Read};

use super::seal::SKIPPABLE;
use super::{CryptoError, Identities};

/// The largest zstd window that is followed, as base-2 logarithm: a whole object of the largest size.
const WINDOW_LOG: u32 = 26;

type Decrypted<'a> = BufReader<age::stream::StreamReader<&'a [u8]>>;

/// The plain bytes of a sealed object. Ends cleanly only when everything was in order up to the last sealed byte: bytes
/// that came out before an error must not be acted upon.
pub struct Opened<'a> {
    /// Nothing once the end was reached, or an error.
    frame: Option<zstd::stream::read::Decoder<'static, Decrypted<'a>>>,
    left: usize,
    limit: usize,
}

/// Opens a sealed object for reading; at most `limit` plain bytes come out.
///
/// Reading fails with a [`CryptoError`] inside the [`io::Error`] (see [`CryptoError::from_read`]) when the bytes were
/// altered or cut off anywhere, when there are more than `limit`, when a second frame or anything but one skippable
/// frame of zeros stands behind the first.
///
/// # Errors
/// [`CryptoError::NoMatchingKey`] when no identity fits; [`CryptoError::Damaged`] when there is no readable header.
pub fn open<'a>(sealed: &'a [u8], identities: &Identities, limit: usize) -> Result<Opened<'a>, CryptoError> {
    let damaged = |problem: &str| CryptoError::Damaged { problem: problem.to_owned() };
    let decryptor = age::Decryptor::new_buffered(sealed).map_err(|_| damaged("no readable age header"))?;
    let reader = decryptor.decrypt(identities.as_age()).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => CryptoError::NoMatchingKey,
        _ => damaged("its age header was altered"),
    })?;
    let frame = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(64 * 1024, reader))
        .and_then(|mut decoder| decoder.window_log_max(WINDOW_LOG).map(|()| decoder.single_frame()))
        .map_err(|error| CryptoError::Failed { what: "decompress", problem: error.to_string() })?;
    Ok(Opened { frame: Some(frame), left: limit, limit })
}

impl Opened<'_> {
    fn next_bytes(&mut self, buffer: &mut [u8]) -> Result<usize, CryptoError> {
        let Some(frame) = self.frame.as_mut() else { return Ok(0) };
        let read = frame.read(buffer).map_err(|error| damaged(&error))?;
        if read == 0
            && let Some(frame) = self.frame.take()
        {
            check_tail(frame.finish())?;
        }
        self.left = self.left.checked_sub(read).ok_or(CryptoError::TooLarge { limit: self.limit })?;
        Ok(read)
    }
}

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.next_bytes(buffer).map_err(|error| {
            self.frame = None;
            io::Error::new(io::ErrorKind::InvalidData, error)
        })
    }
}

impl fmt::Debug for Opened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({} of {} bytes left)", self.left, self.limit)
    }
}

fn damaged(error: &io::Error) -> CryptoError {
    CryptoError::Damaged { problem: error.to_string() }
}

/// Reads what stands behind the zstd frame to its end: nothing, or one skippable frame of zeros.
///
/// Reading to the end is also what makes age check that the last chunk is there.
fn check_tail(mut rest: Decrypted<'_>) -> Result<(), CryptoError> {
    let not_padding = || CryptoError::Damaged { problem: "something but padding stands behind the data".to_owned() };
    let mut header = [0; 8];
    let mut filled = 0;
    while let Some(space) = header.get_mut(filled..).filter(|space| !space.is_empty()) {
        match rest.read(space).map_err(|error| damaged(&error))? {
            0 if filled == 0 => return Ok(()),
            0 => return Err(not_padding()),
            read => filled += read,
        }
    }
    let [a, b, c, d, length @ ..] = header;
    if [a, b, c, d] != SKIPPABLE {
        return Err(not_padding());
    }
    let mut left = u64::from(u32::from_le_bytes(length));
    let mut buffer = [0; 4096];
    loop {
        let read = rest.read(&mut buffer).map_err(|error| damaged(&error))?;
        if read == 0 {
            break;
        }
        let zeros = buffer.get(..read).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        left = left.checked_sub(read as u64).filter(|_| zeros).ok_or_else(not_padding)?;
    }
    if left == 0 { Ok(()) } else { Err(not_padding()) }
}
