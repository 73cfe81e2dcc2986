//! Errors in cron lines and zones.

/// A cron line or a zone that cannot be used. The message is for the person who typed it: which field, what is there,
/// what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The line as a whole is none.
    #[error("{problem}")]
    Line {
        /// Description of the problem and its fix.
        problem: String,
    },
    /// One field of it is wrong.
    #[error("{field} `{found}`: {problem}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// The text in the field, or the part of it that is wrong.
        found: String,
        /// Description of the problem and its fix.
        problem: String,
    },
    /// Day of month and day of week are both restricted.
    #[error(
        "day of month `{day}` and day of week `{weekday}` are both restricted: a crontab runs on a day that fits either, \
         other schedulers on one that fits both; leave one at `*`, or make two jobs of it"
    )]
    BothDays {
        /// The third field.
        day: String,
        /// The last field.
        weekday: String,
    },
    /// No day of any year fits.
    #[error("never runs: day of month `{day}` does not occur in month `{month}`")]
    Never {
        /// The day-of-month field.
        day: String,
        /// The month field.
        month: String,
    },
    /// The zone is not in the time zone database.
    #[error("unknown time zone `{found}`{}", hint(nearest))]
    Zone {
        /// The requested value.
        found: String,
        /// The names that look most like it, the likeliest first; may be empty.
        nearest: Vec<&'static str>,
    },
}

impl ScheduleError {
    pub(super) fn line(problem: impl Into<String>) -> Self {
        Self::Line { problem: problem.into() }
    }
}

fn hint(nearest: &[&str]) -> String {
    if nearest.is_empty() {
        return "; a zone is named as in the IANA database, such as `UTC` or `Europe/Berlin`".to_owned();
    }
    let names: Vec<String> = nearest.iter().map(|name| format!("`{name}`")).collect();
    format!("; did you mean {}?", names.join(" or "))
}
