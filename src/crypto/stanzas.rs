//! Counts the recipients of an age file without a key (`docs/format.md`, *Sealing*).

use super::CryptoError;

/// Maximum bytes of a header that are read: more than the recipients of a policy need.
pub const HEADER_LIMIT: usize = 1024 * 1024;

/// The first line of every age file.
const FIRST_LINE: &[u8] = b"age-encryption.org/v1";
/// Prefix of the last line, which has the header's MAC.
const LAST_LINE: &[u8] = b"---";
/// Prefix of the first line of a recipient's stanza.
const STANZAS: [&[u8]; 3] = [b"-> X25519 ", b"-> ssh-ed25519 ", b"-> ssh-rsa "];

/// Counts the recipient stanzas in the header of an age file: X25519, ssh-ed25519 and ssh-rsa.
///
/// Other stanzas (grease, passphrases) are not counted. The header must end within the first [`HEADER_LIMIT`] bytes;
/// the rest is not read, so the beginning of a file is enough. Nothing is decrypted, and the MAC of the header is not
/// checked: that would need an identity.
///
/// # Errors
/// [`CryptoError::Damaged`] if this is not an age header, or the header does not end.
pub fn header_stanzas(sealed: &[u8]) -> Result<usize, CryptoError> {
    let damaged = |problem: &str| CryptoError::Damaged { problem: problem.to_owned() };
    let head = sealed.get(..HEADER_LIMIT).unwrap_or(sealed);
    // Anything after the last line feed is an incomplete line.
    let end = head.iter().rposition(|byte| *byte == b'\n').ok_or_else(|| damaged("no readable age header"))?;
    let mut lines = head.get(..end).unwrap_or_default().split(|byte| *byte == b'\n');
    if lines.next() != Some(FIRST_LINE) {
        return Err(damaged("no readable age header"));
    }
    let mut count = 0;
    for line in lines {
        if line.starts_with(LAST_LINE) {
            return Ok(count);
        }
        if !line.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            return Err(damaged("no readable age header"));
        }
        if STANZAS.iter().any(|stanza| line.starts_with(stanza)) {
            count += 1;
        }
    }
    Err(damaged("its age header does not end"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::seal::seal;
    use crate::crypto::{Identities, Recipients};

    fn sealed(count: usize) -> Vec<u8> {
        let recipients = (0..count).flat_map(|_| Identities::generate().0.recipients()).collect();
        seal(b"text", &Recipients::new(recipients).unwrap(), 3).unwrap().bytes.to_vec()
    }

    #[test]
    fn every_recipient_of_a_real_file_is_counted_and_grease_is_not() {
        for count in [1, 2, 5] {
            // age adds a grease stanza at random: some of these files have one.
            for _ in 0..8 {
                assert_eq!(header_stanzas(&sealed(count)).unwrap(), count);
            }
        }
    }

    #[test]
    fn the_beginning_of_a_file_is_enough_once_the_header_is_whole() {
        let file = sealed(2);
        let mac = file.windows(4).position(|window| window == b"\n---").unwrap();
        let end = mac + 1 + file[mac + 1..].iter().position(|byte| *byte == b'\n').unwrap();
        assert_eq!(header_stanzas(&file[..=end]).unwrap(), 2);
        for short in [0, 5, 22, mac, end] {
            assert!(header_stanzas(&file[..short]).is_err(), "{short} bytes");
        }
    }

    #[test]
    fn only_the_three_kinds_of_recipients_are_counted() {
        let header = "age-encryption.org/v1\n-> X25519 abc\nAAAA\n-> ssh-ed25519 a b\nAAAA\n-> ssh-rsa a\nAAAA\n\
                      -> scrypt a 18\nAAAA\n-> x-grease b\nAAAA\n-> X25519x y\n\n-> X25519\n\n--- mac\n";
        let header = header.as_bytes();
        assert_eq!(header_stanzas(header).unwrap(), 3);
        let behind = [header, b"-> X25519 more\n--- x\n"].concat();
        assert_eq!(header_stanzas(&behind).unwrap(), 3, "what follows the header is not looked at");
    }

    #[test]
    fn what_is_no_header_or_has_no_end_is_refused() {
        for bytes in [&b""[..], b"\n", b"text\n--- x\n", b"age-encryption.org/v2\n--- x\n", b"age-encryption.org/v1\n"]
        {
            assert!(header_stanzas(bytes).is_err());
        }
        assert!(header_stanzas(b"age-encryption.org/v1\n-> X25519 \xff\n--- x\n").is_err());
        let endless = [b"age-encryption.org/v1\n".to_vec(), b"-> X25519 a\n\n".repeat(HEADER_LIMIT / 8)].concat();
        assert!(header_stanzas(&[endless, b"--- x\n".to_vec()].concat()).is_err());
    }
}
