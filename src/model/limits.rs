//! Bounds on all input from outside. Those of the format are part of format 1 (`docs/format.md`, *Limits*).

/// Bytes of one mebibyte.
pub const MIB: usize = 1024 * 1024;

/// Maximum plain bytes of a pack that a writer assembles.
pub const PACK_PLAIN_WRITE: usize = 32 * MIB;
/// Maximum plain bytes of a pack or a catalogue part that every reader accepts.
pub const PLAIN_READ: usize = 64 * MIB;
/// Maximum sealed bytes of a pack or part that are fetched: incompressible data plus the overhead of age and padding.
pub const SEALED_READ: usize = 80 * MIB;
/// Maximum bytes of an entry.
pub const ENTRY: usize = MIB;
/// Maximum bytes of a version of the trust policy.
pub const POLICY: usize = 512 * 1024;
/// Maximum bytes of a pack list.
pub const LIST: usize = 4 * MIB;
/// Maximum number of heads that an entry names as parents.
pub const HEADS: usize = 1_000;
/// Maximum number of packs in a snapshot that a writer makes.
pub const PACKS_PER_SNAPSHOT: usize = 256;
/// Maximum number of packs on a list, and of packs that one catalogue part points into, that every reader accepts.
pub const PACKS_READ: usize = 4_096;
/// Maximum bytes of one answer of the provider: a page of 1,000 secrets with 20 KB of metadata each.
pub const ANSWER: usize = 32 * MIB;
/// Maximum number of pages of one list.
pub const PAGES: usize = 10_000;
