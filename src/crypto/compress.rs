//! Compression of blocks of text in memory.

/// Compresses a block at a fast level. The result is read back by this process and never stored.
///
/// # Errors
/// When the compressor cannot allocate memory.
pub fn pack(block: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = zstd::bulk::compress(block, 1)?;
    packed.shrink_to_fit();
    Ok(packed)
}

/// Decompresses a block that [`pack`] made from `len` bytes.
///
/// # Errors
/// When `packed` is not such a block, or contains more than `len` bytes.
#[expect(clippy::disallowed_methods, reason = "never more than `len` bytes come out")]
pub fn unpack(packed: &[u8], len: usize) -> std::io::Result<Vec<u8>> {
    zstd::bulk::decompress(packed, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_and_never_longer_than_it_was() {
        let text = br#"{"id":"1","name":"a"}"#.repeat(100);
        let packed = pack(&text).unwrap();
        assert!(packed.len() < text.len() / 4);
        assert_eq!(unpack(&packed, text.len()).unwrap(), text);
        assert!(unpack(&packed, text.len() - 1).is_err());
    }
}
