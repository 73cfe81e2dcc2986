//! When a job is due: cron lines, zones, daylight saving. Pure: time goes in and comes out, no clock is read here.
//!
//! The only place that names `cron` and `chrono_tz`. What holds, and why: `docs/scheduling.md`.
//!
//! The crate `cron` walks the calendar and nothing else. It numbers weekdays in another way than a crontab, takes no
//! five fields, and goes backwards in the hour that a clock repeats, so `cron_line` reads the text, and `times` gives
//! the crate local times dressed as UTC and puts what comes back into the zone.

mod cron_line;
mod dst_note;
mod error;
mod field;
mod jitter;
mod times;
mod zone;

pub use dst_note::DstNote;
pub use error::ScheduleError;
pub use jitter::jitter;
pub use times::{Schedule, missed};
pub use zone::Zone;
