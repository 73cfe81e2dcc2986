//! When a job is due: cron lines, zones, daylight saving. Pure: time goes in and comes out, no clock is read here.
//!
//! The only place that names `cron` and `chrono_tz`.
