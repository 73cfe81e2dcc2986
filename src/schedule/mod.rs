//! When a job is due: cron lines, zones, daylight saving. Pure: time goes in and comes out, no clock is read here.
//!
//! The only place that names `cron` and `chrono_tz`. What holds, and why: `docs/scheduling.md`.
//!
//! The crate `cron` walks the calendar and nothing else. It numbers weekdays in another way than a crontab, takes no five
//! fields, and goes backwards in the hour that a clock repeats, so `line` reads the text, and `times` gives the crate
//! local times dressed as UTC and puts what comes back into the zone.

mod error;
mod field;
mod jitter;
mod line;
mod mark;
mod times;
mod zone;

pub use error::ScheduleError;
pub use jitter::jitter;
pub use mark::DstNote;
pub use times::{Schedule, missed};
pub use zone::Zone;
