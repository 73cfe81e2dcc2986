//! The rules of the ledger.

mod cache;
mod entries;
mod rubbish;
mod snapshots;
mod trust;
