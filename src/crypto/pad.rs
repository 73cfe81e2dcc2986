//! PADMÉ: padded lengths that reveal little about the content (`docs/format.md`, *Padding*).

/// Minimum length of a padded stream, in bytes; itself a PADMÉ length.
pub const LEAST: u64 = 64 * 1024;

/// Length of a skippable frame's own header, in bytes: the frame cannot be shorter.
pub const FRAME_HEADER: u64 = 8;

/// Returns the PADMÉ length of `len`: at least `len`, at most 12 % more, with the lower bits of the length cleared.
///
/// From *Reducing Metadata Leakage from Encrypted Files and Communication with PURBs* (2019): with E the exponent of
/// `len` and S the number of bits of E, the last E − S bits are rounded up to zero.
#[must_use]
pub fn padme(len: u64) -> u64 {
    if len < 2 {
        return len;
    }
    let exponent = len.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1u64 << (exponent - kept.min(exponent))) - 1;
    len.saturating_add(mask) & !mask
}

/// Returns the number of zeros in the skippable frame after a zstd frame of `len` bytes.
///
/// The frame is always present, even if `len` is already a PADMÉ length. So every gap fits the frame's eight bytes of
/// header, and the whole stream is always max([`LEAST`], PADMÉ(`len` + 8)) bytes long.
#[must_use]
pub fn zeros_behind(len: u64) -> u64 {
    let with_header = len.saturating_add(FRAME_HEADER);
    padme(with_header).max(LEAST).saturating_sub(with_header)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_lengths() {
        for (len, padded) in
            [(0, 0), (1, 1), (9, 10), (100, 104), (1000, 1024), (65_536, 65_536), (1_000_001, 1_015_808)]
        {
            assert_eq!(padme(len), padded, "{len}");
        }
    }

    #[test]
    fn a_stream_just_under_a_bound_goes_to_the_next_one() {
        // 65,535 bytes leave a gap of one byte to 65,536, too little for a frame: it takes the next PADMÉ length.
        assert_eq!(65_535 + FRAME_HEADER + zeros_behind(65_535), padme(65_543));
        assert_eq!(65_528 + FRAME_HEADER + zeros_behind(65_528), 65_536);
        assert_eq!(zeros_behind(0), LEAST - FRAME_HEADER);
    }

    proptest! {
        #[test]
        fn padded_lengths_are_stable_bounded_and_never_short(len in 2u64..1 << 40) {
            let padded = padme(len);
            prop_assert!(padded >= len);
            prop_assert_eq!(padme(padded), padded);
            prop_assert!((padded - len) * 100 <= len * 12);
            let whole = len + FRAME_HEADER + zeros_behind(len);
            prop_assert!(whole >= LEAST);
            prop_assert_eq!(padme(whole), whole);
        }
    }
}
