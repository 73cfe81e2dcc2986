//! Random bytes from the operating system.

use zeroize::Zeroizing;

use super::CryptoError;

/// Returns `N` random bytes.
///
/// # Errors
/// [`CryptoError::Failed`] if the operating system returns none.
pub fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, CryptoError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| CryptoError::Failed { what: "draw random bytes", problem: error.to_string() })?;
    Ok(bytes)
}
