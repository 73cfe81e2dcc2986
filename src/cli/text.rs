//! Figures for people.

use unicode_width::UnicodeWidthStr as _;

pub(super) use super::escape::safe;
use crate::model::Timestamp;

/// A size with a binary unit: `117.7 MiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut size = count as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for next in units {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    format!("{size:.1} {unit}")
}

/// A time span in its two largest units: `350 ms`, `4.2 s`, `3 min 10 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn millis(millis: i64) -> String {
    let span = millis.unsigned_abs();
    let sign = if millis < 0 { "-" } else { "" };
    let seconds = span / 1000;
    let text = match seconds {
        0 => format!("{span} ms"),
        1..60 => format!("{seconds}.{} s", span % 1000 / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    };
    format!("{sign}{text}")
}

/// As [`millis`], from whole seconds.
pub(super) fn seconds(seconds: u64) -> String {
    let text = match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    };
    // `24 h` reads better than `24 h 0 min`.
    text.strip_suffix(" 0 min").or_else(|| text.strip_suffix(" 0 h")).map(str::to_owned).unwrap_or(text)
}

/// Text in lines of at most `width` columns, broken at blanks; a word that is longer than that stays whole, and so does
/// everything where there is hardly any room.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    if width < 20 || text.width() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// A moment to the second, UTC: `2026-11-22 14:03:00Z`.
pub(super) fn time(time: Timestamp) -> String {
    time.datetime().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A count with its noun: `1 secret`, `3 secrets`.
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        Some(stem) if !noun.ends_with("ey") => format!("{stem}ies"),
        _ => format!("{noun}s"),
    };
    format!("{} {}", thousands(number), if number == 1 { noun } else { &plural })
}

/// A number with commas between the thousands.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_say_them() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(123_417_395), "117.7 MiB");
        assert_eq!(millis(350), "350 ms");
        assert_eq!(millis(4_250), "4.2 s");
        assert_eq!(millis(190_000), "3 min 10 s");
        assert_eq!(millis(-7_500_000), "-2 h 5 min");
        assert_eq!(count(1, "secret"), "1 secret");
        assert_eq!(count(12_345, "entry"), "12,345 entries");
        assert_eq!(count(2, "key"), "2 keys");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }

    #[test]
    fn spans_and_lines_are_short() {
        assert_eq!(seconds(59), "59 s");
        assert_eq!(seconds(900), "15 min");
        assert_eq!(seconds(86_399), "23 h 59 min");
        assert_eq!(seconds(7_200), "2 h");
        assert_eq!(seconds(7 * 86_400), "7 d");
        assert_eq!(wrapped("one two three four five", 20), ["one two three four", "five"]);
        let long = "a-word-that-does-not-fit-into-a-line";
        assert_eq!(wrapped(&format!("see {long} there"), 20), ["see", long, "there"]);
        assert_eq!(wrapped("no room at all for this", 3), ["no room at all for this"]);
    }
}
