//! Opens sealed objects as a stream, with bounds on memory and output.

use std::fmt;
use std::io::{self, BufReader, Read};

use super::seal::SKIPPABLE;
use super::{CryptoError, Identities};

/// The largest zstd window that is accepted, as base-2 logarithm: a whole object of the largest size.
const WINDOW_LOG: u32 = 26;

type Decrypted<'a> = BufReader<age::stream::StreamReader<&'a [u8]>>;

/// The plain bytes of a sealed object. Reading ends without an error only if everything was valid up to the last sealed
/// byte. Bytes read before an error must not be used.
pub struct Opened<'a> {
    /// `None` after the end or an error.
    frame: Option<zstd::stream::read::Decoder<'static, Decrypted<'a>>>,
    left: usize,
    limit: usize,
}

/// Opens a sealed object for reading. At most `limit` plain bytes can be read.
///
/// Reading fails with a [`CryptoError`] inside the [`io::Error`] (see [`CryptoError::from_read`]) if the bytes were
/// altered or truncated, if there are more than `limit`, or if anything but one skippable frame of zeros follows the
/// first frame.
///
/// # Errors
/// [`CryptoError::NoMatchingKey`] if no identity fits; [`CryptoError::Damaged`] if there is no readable header.
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

/// Reads the rest after the zstd frame to its end: nothing, or one skippable frame of zeros.
///
/// Reading to the end also makes age check that the last chunk is present.
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::crypto::digest::sha256;
    use crate::crypto::pad::{LEAST, padme};
    use crate::crypto::seal::seal;
    use crate::crypto::{Recipients, Sealed};

    fn keys() -> (Identities, Recipients) {
        let (identities, _) = Identities::generate();
        let recipients = Recipients::new(identities.recipients()).unwrap();
        (identities, recipients)
    }

    fn read_all(sealed: &[u8], identities: &Identities, limit: usize) -> Result<Vec<u8>, CryptoError> {
        let mut plain = Vec::new();
        let mut opened = open(sealed, identities, limit)?;
        opened.read_to_end(&mut plain).map_err(|error| CryptoError::from_read(&error))?;
        Ok(plain)
    }

    /// Returns `len` pseudorandom bytes, which compress badly.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let next = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        next.take(len).collect()
    }

    /// Returns the content protected by age: the zstd stream with its padding.
    fn inside(sealed: &Sealed, identities: &Identities) -> Vec<u8> {
        let mut stream = Vec::new();
        let decryptor = age::Decryptor::new_buffered(&*sealed.bytes).unwrap();
        decryptor.decrypt(identities.as_age()).unwrap().read_to_end(&mut stream).unwrap();
        stream
    }

    fn encrypted(stream: &[u8], recipients: &Recipients) -> Vec<u8> {
        let encryptor = age::Encryptor::with_recipients(recipients.as_age()).unwrap();
        let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
        writer.write_all(stream).unwrap();
        writer.finish().unwrap()
    }

    /// Returns a data frame alone, the start of a sealed stream.
    fn frame(plain: &[u8]) -> Vec<u8> {
        let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        zstd.include_checksum(true).unwrap();
        zstd.write_all(plain).unwrap();
        zstd.finish().unwrap()
    }

    fn skippable(zeros: &[u8]) -> Vec<u8> {
        [SKIPPABLE.as_slice(), &u32::try_from(zeros.len()).unwrap().to_le_bytes(), zeros].concat()
    }

    #[test]
    fn padded_streams_have_padme_lengths_of_at_least_64_kib() {
        let (identities, recipients) = keys();
        for len in [0, 1, 1000, 65_400, 65_500, 65_536, 70_000, 300_000] {
            let sealed = seal(&noise(len), &recipients, 3).unwrap();
            let stream = inside(&sealed, &identities).len() as u64;
            assert!(stream >= LEAST && padme(stream) == stream, "{len} gives {stream}");
            assert_eq!(sealed.digest, sha256(&sealed.bytes));
            assert_eq!(read_all(&sealed.bytes, &identities, len).unwrap(), noise(len));
        }
    }

    #[test]
    fn any_of_the_recipients_opens_it_and_nobody_else() {
        let ((a, _), (b, _), (c, _)) = (keys(), keys(), keys());
        let both = Recipients::new([a.recipients(), b.recipients()].concat()).unwrap();
        let sealed = seal(b"text", &both, 3).unwrap();
        assert_eq!(read_all(&sealed.bytes, &a, 4).unwrap(), b"text");
        assert_eq!(read_all(&sealed.bytes, &b, 4).unwrap(), b"text");
        assert_eq!(read_all(&sealed.bytes, &c, 4).unwrap_err(), CryptoError::NoMatchingKey);
    }

    #[test]
    fn one_byte_over_the_limit_is_refused() {
        let (identities, recipients) = keys();
        let sealed = seal(&vec![b'x'; 1_000_000], &recipients, 3).unwrap();
        assert!(read_all(&sealed.bytes, &identities, 1_000_000).is_ok());
        let error = read_all(&sealed.bytes, &identities, 999_999).unwrap_err();
        assert_eq!(error, CryptoError::TooLarge { limit: 999_999 });
    }

    #[test]
    fn whatever_stands_behind_the_data_is_refused_unless_it_is_padding() {
        let (identities, recipients) = keys();
        let frame = frame(b"text");
        let with = |tail: &[u8]| read_all(&encrypted(&[&frame, tail].concat(), &recipients), &identities, 100);
        assert_eq!(with(b"").unwrap(), b"text");
        assert_eq!(with(&skippable(&[0; 9])).unwrap(), b"text");
        assert_eq!(with(&skippable(&[])).unwrap(), b"text");
        assert!(with(&frame).is_err(), "a second frame");
        assert!(with(&skippable(&[0, 1])).is_err(), "padding that says something");
        assert!(with(&[skippable(&[0; 9]), skippable(&[0; 9])].concat()).is_err(), "two paddings");
        assert!(with(&[skippable(&[0; 9]), vec![0]].concat()).is_err(), "more than the padding");
        assert!(with(&skippable(&[0; 9])[..16]).is_err(), "less than the padding");
        assert!(with(&[0]).is_err(), "a stray byte");
        assert!(with(&SKIPPABLE).is_err(), "half a header");
    }

    #[test]
    fn a_window_beyond_any_object_is_refused() {
        let (identities, recipients) = keys();
        let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        zstd.window_log(27).unwrap();
        zstd.write_all(b"text").unwrap();
        let sealed = encrypted(&zstd.finish().unwrap(), &recipients);
        assert!(read_all(&sealed, &identities, 100).is_err());
    }

    #[test]
    fn a_damaged_checksum_inside_is_found() {
        // Nobody without the key can produce this; a broken writer can.
        let (identities, recipients) = keys();
        let mut frame = frame(&noise(5000));
        *frame.last_mut().unwrap() ^= 1;
        assert!(read_all(&encrypted(&frame, &recipients), &identities, 5000).is_err());
    }

    #[test]
    fn every_cut_is_found() {
        let (identities, recipients) = keys();
        let bare = encrypted(&frame(&noise(70_000)), &recipients);
        // Long enough for two chunks of age; cut at every byte of the header and around every boundary.
        for sealed in [&bare[..], &seal(&noise(70_000), &recipients, 3).unwrap().bytes] {
            let len = sealed.len();
            let near_bounds =
                (0..500).chain(65_000..66_500).chain(len.saturating_sub(9_000)..len).filter(|cut| *cut < len);
            for cut in near_bounds.step_by(7).chain(len - 40..len) {
                let cut_off = sealed.get(..cut).unwrap();
                assert!(read_all(cut_off, &identities, 100_000).is_err(), "cut at {cut} of {len}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_sealed_opens_again(plain in proptest::collection::vec(any::<u8>(), 0..4000), level in 1i32..=5) {
            let (identities, recipients) = keys();
            let sealed = seal(&plain, &recipients, level).unwrap();
            prop_assert_eq!(read_all(&sealed.bytes, &identities, plain.len()).unwrap(), plain);
        }

        #[test]
        fn every_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0u32..8) {
            let (identities, recipients) = keys();
            let sealed = seal(&noise(2000), &recipients, 3).unwrap();
            let mut bytes = sealed.bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(read_all(&bytes, &identities, 2000).is_err(), "bit {} of byte {}", bit, at);
        }
    }
}
