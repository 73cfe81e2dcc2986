//! Changes of the trust policy: described, proposed, signed, published. All commands that change it go through here.
//!
//! | module | what |
//! |---|---|
//! | `change` | one change, applied to a policy |
//! | `merge` | the next version, also one that ends a fork |
//! | `words` | what differs between two versions, in words |
//! | `proposal` | the file that custodians sign on machines that never see the bucket |
//! | `ended` | what entries of an ended key count |
//! | `session` | a custodian at work on a repository |
//! | `screen` | what people read of a change |

pub(super) mod change;
pub(super) mod ended;
#[cfg(test)]
pub(super) mod kit;
mod merge;
pub(super) mod proposal;
pub(super) mod screen;
pub(super) mod session;
pub(super) mod words;
