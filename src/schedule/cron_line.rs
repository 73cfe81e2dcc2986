//! The text of a cron line.

use std::fmt;
use std::str::FromStr;

use super::ScheduleError;
use super::field::{CronField, DAY, HOUR, MINUTE, MONTH, SECOND, Values, WEEKDAY};
use crate::model::nearest::nearest;

/// Characters of a line.
const LONGEST: usize = 256;
/// Names of the fields in messages.
const FIVE: &str = "minute, hour, day of month, month, day of week";

/// Words for lines, as crontab(5) has them.
const WORDS: &[(&str, &str)] = &[
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A parsed cron line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CronLine {
    seconds: Values,
    minutes: Values,
    hours: Values,
    days: Values,
    months: Values,
    weekdays: Values,
}

impl CronLine {
    /// Returns true if it runs in every hour of a day, so that it is no job of a fixed time.
    pub(super) fn names_every_hour(&self) -> bool {
        HOUR.is_all(self.hours)
    }
}

impl FromStr for CronLine {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        if text.chars().count() > LONGEST {
            return Err(ScheduleError::line(format!("is longer than {LONGEST} characters")));
        }
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(ScheduleError::line(
                "holds a line break or another control character; one line is one schedule",
            ));
        }
        let text = text.trim();
        if text.starts_with('@') {
            return word(text)?.parse();
        }
        let fields: Vec<&str> = text.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
        if let Some(setting) = fields.first().filter(|first| first.contains('=')) {
            let problem = format!("`{setting}` does not belong here; the time zone is a setting of its own");
            return Err(ScheduleError::line(problem));
        }
        let (seconds, minute, hour, day, month, weekday) = match fields.as_slice() {
            [minute, hour, day, month, weekday] => (Values::one(0), *minute, *hour, *day, *month, *weekday),
            [second, minute, hour, day, month, weekday] => {
                (SECOND.read(second)?, *minute, *hour, *day, *month, *weekday)
            }
            other => return Err(ScheduleError::line(miscounted(other))),
        };
        let line = Self {
            seconds,
            minutes: MINUTE.read(minute)?,
            hours: HOUR.read(hour)?,
            days: DAY.read(day)?,
            months: MONTH.read(month)?,
            weekdays: WEEKDAY.read(weekday)?,
        };
        if !DAY.is_all(line.days) && !WEEKDAY.is_all(line.weekdays) {
            return Err(ScheduleError::BothDays { day: day.to_owned(), weekday: weekday.to_owned() });
        }
        let occurs = |month: u8| line.days.iter().any(|day| day <= longest_month(month));
        if !line.months.iter().any(occurs) {
            return Err(ScheduleError::Never { day: day.to_owned(), month: month.to_owned() });
        }
        Ok(line)
    }
}

impl fmt::Display for CronLine {
    /// As the crate `cron` takes it: seconds first, weekdays from Sunday, 1, and nothing but numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |field: &CronField, values: Values, shift: u8| {
            if field.is_all(values) {
                return "*".to_owned();
            }
            values.iter().map(|value| (value + shift).to_string()).collect::<Vec<_>>().join(",")
        };
        write!(
            f,
            "{} {} {} {} {} {}",
            field(&SECOND, self.seconds, 0),
            field(&MINUTE, self.minutes, 0),
            field(&HOUR, self.hours, 0),
            field(&DAY, self.days, 0),
            field(&MONTH, self.months, 0),
            field(&WEEKDAY, self.weekdays, 1),
        )
    }
}

/// The most days that a month ever has.
const fn longest_month(month: u8) -> u8 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn word(text: &str) -> Result<&'static str, ScheduleError> {
    let wanted = text.to_lowercase();
    if let Some((_, line)) = WORDS.iter().find(|(word, _)| *word == wanted) {
        return Ok(line);
    }
    let problem = match wanted.split(' ').next().unwrap_or_default() {
        "@reboot" => {
            "`@reboot` names no time; what was missed while the host was down is caught up by itself".to_owned()
        }
        "@every" => format!("`{text}`: `@every` is of another dialect; write a line, like `*/15 * * * *`"),
        _ => format!("`{text}` is no word for a schedule; {}", nearest_word(&wanted)),
    };
    Err(ScheduleError::line(problem))
}

fn nearest_word(wanted: &str) -> String {
    match nearest(wanted, WORDS.iter().map(|(word, _)| *word)) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("there are {}", WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")),
    }
}

/// Why so many fields are no line.
fn miscounted(fields: &[&str]) -> String {
    match fields {
        [] => return format!("is empty; write five fields ({FIVE}) or a word such as `@daily`"),
        [one] if WORDS.iter().any(|(word, _)| word.strip_prefix('@') == Some(&one.to_lowercase())) => {
            return format!("`{one}` lacks its sign; write `@{}`", one.to_lowercase());
        }
        [_, _, _, _, _, _, _] => {
            return format!("has 7 fields; there is no field for years, and seconds come first: second, {FIVE}");
        }
        _ => {}
    }
    let more = if fields.len() > 7 { "; user and command of a crontab do not belong here" } else { "" };
    format!("has {} fields; it needs five ({FIVE}), or six with seconds in front{more}", fields.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        text.parse::<CronLine>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    #[test]
    fn lines_become_what_the_crate_takes() {
        let cases = [
            ("30 2 * * *", "0 30 2 * * *"),
            ("*/15 * * * *", "0 0,15,30,45 * * * *"),
            ("0 3 * * 1-5", "0 0 3 * * 2,3,4,5,6"),
            ("0 3 * * mon-fri", "0 0 3 * * 2,3,4,5,6"),
            ("0 3 * * 7", "0 0 3 * * 1"),
            ("0 3 * * SAT,sun", "0 0 3 * * 1,7"),
            ("0 3 1 jan,JUL *", "0 0 3 1 1,7 *"),
            ("30 0 3 * * *", "30 0 3 * * *"),
            ("  0\t3 *  * * ", "0 0 3 * * *"),
            ("0 3 29 2 *", "0 0 3 29 2 *"),
            ("0 3 31 2,3 *", "0 0 3 31 2,3 *"),
            ("0 3 1-31 * FRI", "0 0 3 * * 6"),
            ("0 3 13 * 0-7", "0 0 3 13 * *"),
            ("@hourly", "0 0 * * * *"),
            ("@daily", "0 0 0 * * *"),
            ("@Midnight", "0 0 0 * * *"),
            ("@weekly", "0 0 0 * * 1"),
            ("@MONTHLY", "0 0 0 1 * *"),
            ("@yearly", "0 0 0 1 1 *"),
            ("@annually", "0 0 0 1 1 *"),
        ];
        for (text, line) in cases {
            assert_eq!(read(text), line, "{text}");
            assert!(cron::Schedule::from_str(&read(text)).is_ok(), "{text}");
        }
    }

    /// Everything that can be mistyped, with the whole message.
    #[test]
    fn every_slip_says_which_field_what_is_there_and_what_would_be_right() {
        let six = "it needs five (minute, hour, day of month, month, day of week), or six with seconds in front";
        let cases = [
            // Too few, too many.
            (
                "",
                "is empty; write five fields (minute, hour, day of month, month, day of week) or a word such as `@daily`",
            ),
            (
                " \t ",
                "is empty; write five fields (minute, hour, day of month, month, day of week) or a word such as `@daily`",
            ),
            ("15", &format!("has 1 fields; {six}")),
            ("*/5 * * *", &format!("has 4 fields; {six}")),
            (
                "0 0 3 * * * 2027",
                "has 7 fields; there is no field for years, and seconds come first: second, minute, hour, day of month, month, day of week",
            ),
            (
                "0 3 * * * root keyhaven backup",
                &format!("has 8 fields; {six}; user and command of a crontab do not belong here"),
            ),
            (
                "0 3 * * * backup",
                "day of week `backup`: `backup` is neither a number from 0 to 7 nor one of SUN, MON, TUE, WED, THU, FRI, SAT",
            ),
            (
                "CRON_TZ=Europe/Berlin 0 3 * * *",
                "`CRON_TZ=Europe/Berlin` does not belong here; the time zone is a setting of its own",
            ),
            ("TZ=UTC 0 3 * * * *", "`TZ=UTC` does not belong here; the time zone is a setting of its own"),
            ("0 3 * * *\n0 4 * * *", "holds a line break or another control character; one line is one schedule"),
            // Words.
            ("daily", "`daily` lacks its sign; write `@daily`"),
            ("@dayly", "`@dayly` is no word for a schedule; did you mean `@daily`?"),
            ("@nightly", "`@nightly` is no word for a schedule; "),
            (
                "@fortnightly",
                "`@fortnightly` is no word for a schedule; there are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually",
            ),
            ("@reboot", "`@reboot` names no time; what was missed while the host was down is caught up by itself"),
            ("@every 5m", "`@every 5m`: `@every` is of another dialect; write a line, like `*/15 * * * *`"),
            // Out of range.
            ("60 * * * *", "minute `60`: 60 is not from 0 to 59; a full one is 0"),
            ("75 * * * *", "minute `75`: 75 is not from 0 to 59"),
            ("0 24 * * *", "hour `24`: 24 is not from 0 to 23; midnight is 0"),
            ("0 0 0 * *", "day of month `0`: 0 is not from 1 to 31"),
            ("0 0 32 * *", "day of month `32`: 32 is not from 1 to 31"),
            ("0 0 1 0 *", "month `0`: 0 is not from 1 to 12"),
            ("0 0 1 13 *", "month `13`: 13 is not from 1 to 12"),
            ("0 0 * * 8", "day of week `8`: 8 is not from 0 to 7; 0 and 7 are Sunday, 1 is Monday"),
            ("60 0 0 * * *", "second `60`: 60 is not from 0 to 59; a full one is 0"),
            ("0-60 * * * *", "minute `0-60`: 60 is not from 0 to 59; a full one is 0"),
            ("99999999999999999999 * * * *", "minute `99999999999999999999`: 99999999999999999999 is not from 0 to 59"),
            // Not numbers.
            ("-5 * * * *", "minute `-5`: a range is two values with one `-` between them, like `8-18`"),
            ("+5 * * * *", "minute `+5`: `+5` is no whole number from 0 to 59"),
            ("1.5 * * * *", "minute `1.5`: `1.5` is no whole number from 0 to 59"),
            ("0x5 * * * *", "minute `0x5`: `0x5` is no whole number from 0 to 59"),
            ("٣ * * * *", "minute `٣`: `٣` is no whole number from 0 to 59"),
            ("\"0 3 * * *\"", "minute `\"0`: `\"0` is no whole number from 0 to 59"),
            ("2:30 * * * *", "minute `2:30`: `2:30` is no whole number from 0 to 59"),
            ("0 3pm * * *", "hour `3pm`: `3pm` is no whole number from 0 to 23"),
            ("0 3\u{a0}* * * *", "hour `3\u{a0}*`: `3\u{a0}*` is no whole number from 0 to 23"),
            // Names.
            ("0 0 * * MOO", "day of week `MOO`: there is no such name; did you mean `MON`?"),
            (
                "0 0 * * XYZ",
                "day of week `XYZ`: `XYZ` is neither a number from 0 to 7 nor one of SUN, MON, TUE, WED, THU, FRI, SAT",
            ),
            ("0 0 * * monday", "day of week `monday`: names have three letters; write `MON`"),
            ("0 0 1 january *", "month `january`: names have three letters; write `JAN`"),
            ("0 0 1 MON *", "month `MON`: `MON` is a day of week, and this is the month field"),
            ("0 0 * * JUL", "day of week `JUL`: `JUL` is a month, and this is the day of week field"),
            ("0 0 MON * *", "day of month `MON`: `MON` is a day of week, and this is the day of month field"),
            // Ranges.
            ("0 22-4 * * *", "hour `22-4`: a range cannot run over the end of its field; write `22-23,0-4`"),
            ("0 23-4 * * *", "hour `23-4`: a range cannot run over the end of its field; write `23,0-4`"),
            (
                "0 0 * * FRI-MON",
                "day of week `FRI-MON`: a range cannot run over the end of its field; write `FRI-SAT,SUN-MON`",
            ),
            ("0 0 * * 5-1", "day of week `5-1`: a range cannot run over the end of its field; write `5-6,0-1`"),
            ("0 0 1 NOV-JAN *", "month `NOV-JAN`: a range cannot run over the end of its field; write `NOV-DEC,JAN`"),
            ("0 8- * * *", "hour `8-`: a range is two values with one `-` between them, like `8-18`"),
            ("0 8-10-12 * * *", "hour `8-10-12`: a range is two values with one `-` between them, like `8-18`"),
            ("0 8–10 * * *", "hour `8–10`: `8–10` is no whole number from 0 to 23"),
            ("0 *-10 * * *", "hour `*-10`: a range is two values with one `-` between them, like `8-18`"),
            ("0 0 * * MON-", "day of week `MON-`: a range is two values with one `-` between them, like `MON-FRI`"),
            // Steps.
            ("*/0 * * * *", "minute `*/0`: a step is a whole number from 1 to 59 after one `/`, like `*/5`"),
            ("*/ * * * *", "minute `*/`: a step is a whole number from 1 to 59 after one `/`, like `*/5`"),
            ("*/x * * * *", "minute `*/x`: a step is a whole number from 1 to 59 after one `/`, like `*/5`"),
            ("*/-5 * * * *", "minute `*/-5`: a step is a whole number from 1 to 59 after one `/`, like `*/5`"),
            ("*/+5 * * * *", "minute `*/+5`: a step is a whole number from 1 to 59 after one `/`, like `*/5`"),
            ("*/5/2 * * * *", "minute `*/5/2`: a step is a whole number from 1 to 59 after one `/`, like `*/5`"),
            ("*/60 * * * *", "minute `*/60`: a step of 60 leaves only the first value; write `0` for it"),
            ("0 */24 * * *", "hour `*/24`: a step of 24 leaves only the first value; write `0` for it"),
            (
                "5/15 * * * *",
                "minute `5/15`: a step needs a range or `*` before it; write `5-59/15`, or `5` for one value",
            ),
            ("/15 * * * *", "minute `/15`: there is no value; write a number from 0 to 59, or `*`"),
            ("\\*/15 * * * *", "minute `\\*/15`: `\\*` is no whole number from 0 to 59"),
            // Lists.
            (",5 * * * *", "minute `,5`: a list has an empty place; write it like `1,15,30`"),
            ("5, * * * *", "minute `5,`: a list has an empty place; write it like `1,15,30`"),
            ("5,,10 * * * *", "minute `5,,10`: a list has an empty place; write it like `1,15,30`"),
            ("0, 30 * * * *", "second `0,`: a list has an empty place; write it like `1,15,30`"),
            ("5;10 * * * *", "minute `5;10`: `5;10` is no whole number from 0 to 59"),
            ("** * * * *", "minute `**`: `**` is no whole number from 0 to 59"),
            ("*5 * * * *", "minute `*5`: `*5` is no whole number from 0 to 59"),
            // Other dialects.
            ("0 0 ? * *", "day of month `?`: `?` is of another dialect; write `*`"),
            (
                "0 0 L * *",
                "day of month `L`: `L` is of another dialect and is not taken here; there are `*`, `,`, `-` and `/`",
            ),
            (
                "0 0 15W * *",
                "day of month `15W`: `W` is of another dialect and is not taken here; there are `*`, `,`, `-` and `/`",
            ),
            (
                "0 0 * * MON#2",
                "day of week `MON#2`: `#` is of another dialect and is not taken here; there are `*`, `,`, `-` and `/`",
            ),
            (
                "0 0 * * 5#2",
                "day of week `5#2`: `#` is of another dialect and is not taken here; there are `*`, `,`, `-` and `/`",
            ),
            (
                "H 3 * * *",
                "minute `H`: `H` is of another dialect and is not taken here; there are `*`, `,`, `-` and `/`",
            ),
            (
                "0~30 3 * * *",
                "minute `0~30`: `~` is of another dialect and is not taken here; there are `*`, `,`, `-` and `/`",
            ),
            // Right by itself, wrong together.
            (
                "0 3 13 * FRI",
                "day of month `13` and day of week `FRI` are both restricted: a crontab runs on a day that fits \
              either, other schedulers on one that fits both; leave one at `*`, or make two jobs of it",
            ),
            ("0 3 31 2 *", "never runs: day of month `31` does not occur in month `2`"),
            ("0 3 30,31 FEB *", "never runs: day of month `30,31` does not occur in month `FEB`"),
            ("0 3 31 4,6,9,11 *", "never runs: day of month `31` does not occur in month `4,6,9,11`"),
        ];
        for (text, words) in cases {
            let message = text.parse::<CronLine>().expect_err(text).to_string();
            assert!(message.starts_with(words), "{text:?}\n is: {message}\nnot: {words}");
        }
        let long = format!("{}0 3 * * *", "0,".repeat(200));
        assert_eq!(long.parse::<CronLine>().unwrap_err().to_string(), "is longer than 256 characters");
    }
}
