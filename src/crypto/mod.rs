//! Digests, signatures, recipients, sealing. Synchronous and pure: bytes in, bytes out.
//!
//! The only module that names `age` and `zstd`. [`crate::format`] defines the meaning of the bytes.

pub mod buffer;
pub mod certificate;
pub mod compress;
pub mod digest;
pub mod dsse;
pub mod error;
pub mod identity;
pub mod key_info;
pub mod mac;
pub mod open;
pub mod pad;
pub mod random;
pub mod recipient;
pub mod seal;
pub mod sign;
pub mod stanzas;

pub use error::CryptoError;
pub use identity::{Identities, PolicyHint};
pub use key_info::KeyInfo;
pub use recipient::{Recipient, Recipients};
pub use seal::Sealed;
pub use sign::{PublicKey, SigningKey};
pub use stanzas::header_stanzas;
