//! `keyhaven doctor`.

mod backups;
mod bucket;
mod clock;
mod rows;
