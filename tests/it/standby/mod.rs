//! Life with a standby: prepared, kept in step, compared, activated.

mod activate;
mod drift;
mod prepare;
mod sync;
