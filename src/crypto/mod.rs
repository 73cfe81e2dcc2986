//! Digests, signatures, recipients, sealing. Sync and pure: bytes in, bytes out.

pub mod digest;
