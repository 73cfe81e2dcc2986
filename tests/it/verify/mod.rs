//! Checks of a repository.

mod every_byte;
mod every_object;
mod levels;
