//! Bounds on everything that comes from outside. Those of the format are part of format 1 (`docs/format.md`, *Limits*).

/// Bytes of one mebibyte.
pub const MIB: usize = 1024 * 1024;

/// Plain bytes of a pack that a writer puts together at most.
pub const PACK_PLAIN_WRITE: usize = 32 * MIB;
/// Plain bytes of a pack or a catalogue part that every reader accepts.
pub const PLAIN_READ: usize = 64 * MIB;
/// Sealed bytes of a pack or part that are fetched at most: incompressible data plus age's and the padding's share.
pub const SEALED_READ: usize = 80 * MIB;
/// Bytes of an entry.
pub const ENTRY: usize = MIB;
/// Bytes of a version of the trust policy.
pub const POLICY: usize = 512 * 1024;
/// Bytes of a pack list.
pub const LIST: usize = 4 * MIB;
/// Heads that an entry may name as parents.
pub const HEADS: usize = 1_000;
/// Packs of a snapshot that a writer makes at most.
pub const PACKS_PER_SNAPSHOT: usize = 256;
/// Packs on a list, and packs that one catalogue part points into, that every reader accepts.
pub const PACKS_READ: usize = 4_096;
/// Bytes of one answer of the provider: a page of 1,000 secrets with 20 KB of metadata each.
pub const ANSWER: usize = 32 * MIB;
/// Pages of one list.
pub const PAGES: usize = 10_000;
