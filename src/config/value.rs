//! The types that a configuration value can have.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

/// Days of the longest period: ten years.
const LONGEST_DAYS: u64 = 10 * 365;

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text that is not empty.
    Text,
    /// An `http://` or `https://` URL without credentials in it.
    Url,
    /// A path; a relative one in the file starts at the file's folder.
    Path,
    /// A path, or a `file://` or `s3://` URL.
    Location,
    /// `true` or `false`.
    Flag,
    /// A number above 0 and up to 1,000.
    Rate,
    /// A whole number from 1 to 19.
    Level,
    /// A whole number from 0 to 100,000.
    Count,
    /// A number with a unit: `90s`, `15m`, `12h`, `7d`.
    Period,
    /// A number from 0 to 1, or a percentage as text: `"20%"`.
    Share,
    /// A list of texts.
    Texts,
    /// Pins of the trust policy: a list of texts, or one text.
    Pins,
    /// The one word `accepted`.
    Accepted,
    /// One of a few words.
    OneOf {
        /// The words.
        words: &'static [&'static str],
        /// All of them, for messages.
        expected: &'static str,
    },
}

/// A value that has the type of its key.
#[derive(Debug, Clone, PartialEq)]
pub enum SettingValue {
    /// Text, URL, location.
    Text(String),
    /// A path, made absolute or relative to the working folder.
    Path(PathBuf),
    /// True or false.
    Flag(bool),
    /// A rate, or a share between 0 and 1.
    Number(f64),
    /// A whole number.
    Whole(i32),
    /// A period.
    Period(Duration),
    /// Texts.
    Texts(Vec<String>),
}

impl ValueKind {
    /// What the type is called in messages.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Url => "an http:// or https:// URL without credentials",
            Self::Path => "a path",
            Self::Location => "a path, a file:// URL or an s3://BUCKET/PREFIX URL without credentials",
            Self::Flag => "true or false",
            Self::Rate => "a number above 0 and up to 1000",
            Self::Level => "a whole number from 1 to 19",
            Self::Count => "a whole number from 0 to 100000",
            Self::Period => "a time with a unit, such as \"90s\", \"15m\", \"12h\" or \"7d\"",
            Self::Share => "a number from 0 to 1 or a percentage such as \"20%\"",
            Self::Texts => "a list of texts",
            Self::Pins => "a list of pins (a reference, or a reference and its bytes), or one of them",
            Self::Accepted => "\"accepted\", or left out",
            Self::OneOf { expected, .. } => expected,
        }
    }

    /// Reads a TOML value. Paths are taken relative to `base`.
    ///
    /// # Errors
    /// What was found instead, in words that never repeat a long value.
    pub fn read_toml(self, value: &DeValue<'_>, base: &Path) -> Result<SettingValue, String> {
        let found = || describe(value);
        match (self, value) {
            (Self::Flag, DeValue::Boolean(flag)) => Ok(SettingValue::Flag(*flag)),
            (Self::Rate | Self::Share | Self::Level | Self::Count, DeValue::Integer(number)) => {
                let text = number.to_string();
                self.read_text(&text, base).map_err(|_| text)
            }
            (Self::Rate | Self::Share, DeValue::Float(number)) => {
                let text = number.as_str().to_owned();
                self.read_text(&text, base).map_err(|_| text)
            }
            (Self::Texts | Self::Pins, DeValue::Array(elements)) => {
                let mut texts = Vec::with_capacity(elements.len());
                for element in elements {
                    match element.get_ref() {
                        DeValue::String(text) => texts.push(text.to_string()),
                        other => return Err(format!("a list with {}", describe(other))),
                    }
                }
                Ok(SettingValue::Texts(texts))
            }
            (Self::Flag | Self::Rate | Self::Level | Self::Count | Self::Texts, _) => Err(found()),
            (_, DeValue::String(text)) => self.read_text(text, base),
            _ => Err(found()),
        }
    }

    /// Reads the text of an environment variable or a flag; a list is separated by commas.
    ///
    /// # Errors
    /// What was found instead.
    pub fn read_text(self, text: &str, base: &Path) -> Result<SettingValue, String> {
        let wrong = || quoted(text);
        if text.is_empty() {
            return Err("empty".to_owned());
        }
        match self {
            Self::Text => Ok(SettingValue::Text(text.to_owned())),
            Self::Url => http_url(text).then(|| SettingValue::Text(text.to_owned())).ok_or_else(wrong),
            Self::Path => Ok(SettingValue::Path(joined(base, text))),
            Self::Location => location(text, base).map(SettingValue::Text).ok_or_else(wrong),
            Self::Flag => match text {
                "true" => Ok(SettingValue::Flag(true)),
                "false" => Ok(SettingValue::Flag(false)),
                _ => Err(wrong()),
            },
            Self::Rate => number(text, |n| n > 0.0 && n <= 1000.0).map(SettingValue::Number).ok_or_else(wrong),
            Self::Level => whole(text, 1, 19).ok_or_else(wrong),
            Self::Count => whole(text, 0, 100_000).ok_or_else(wrong),
            Self::Period => period(text).map(SettingValue::Period),
            Self::Share => share(text).map(SettingValue::Number).ok_or_else(wrong),
            Self::Texts | Self::Pins => {
                Ok(SettingValue::Texts(text.split(',').map(|part| part.trim().to_owned()).collect()))
            }
            Self::Accepted => (text == "accepted").then_some(SettingValue::Flag(true)).ok_or_else(wrong),
            Self::OneOf { words, .. } => {
                words.contains(&text).then(|| SettingValue::Text(text.to_owned())).ok_or_else(wrong)
            }
        }
    }
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Path(path) => path.display().fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Period(period) => f.write_str(&period_text(*period)),
            Self::Texts(texts) => f.write_str(&texts.join(", ")),
        }
    }
}

/// A period in the largest unit that gives a whole number.
#[must_use]
pub fn period_text(period: Duration) -> String {
    let seconds = period.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds > 0 && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

/// Reads `90s`, `15m`, `12h`, `7d`; at least a second, at most ten years.
fn period(text: &str) -> Result<Duration, String> {
    match seconds(text) {
        Some(0) => Err(format!("{}; the shortest is \"1s\", which is as good as none", quoted(text))),
        Some(seconds) if seconds <= LONGEST_DAYS * 86_400 => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(format!("{}; the longest is \"{LONGEST_DAYS}d\"", quoted(text))),
        None => Err(quoted(text)),
    }
}

fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let length = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?.trim_end();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(length)
}

fn share(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => number(percent.trim_end(), |n| (0.0..=100.0).contains(&n)).map(|n| n / 100.0),
        None => number(text, |n| (0.0..=1.0).contains(&n)),
    }
}

fn number(text: &str, fits: impl Fn(f64) -> bool) -> Option<f64> {
    text.parse::<f64>().ok().filter(|n| n.is_finite() && fits(*n))
}

fn whole(text: &str, least: i32, most: i32) -> Option<SettingValue> {
    text.parse::<i32>().ok().filter(|n| (least..=most).contains(n)).map(SettingValue::Whole)
}

fn http_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host().is_some() && plain(&url) && url.query().is_none()
    })
}

/// A folder as a path, or a bucket URL as it stands.
/// A path from its base, without `.` and doubled slashes; `..` stays, since what is before it may be a link.
fn joined(base: &Path, text: &str) -> PathBuf {
    base.join(text).components().collect()
}

fn location(text: &str, base: &Path) -> Option<String> {
    if !text.contains("://") {
        return Some(joined(base, text).to_str()?.to_owned());
    }
    let url = url::Url::parse(text).ok()?;
    match url.scheme() {
        "file" => url.to_file_path().ok()?.to_str().map(str::to_owned),
        "s3" => (url.host_str().is_some_and(|bucket| !bucket.is_empty()) && plain(&url) && url.query().is_none())
            .then(|| text.to_owned()),
        _ => None,
    }
}

/// Whether a URL holds no user and no password.
fn plain(url: &url::Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// What a value is, without showing one that may be a secret in the wrong place.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A short text in quotes; a long one, or a URL with credentials, only as what it is.
fn quoted(text: &str) -> String {
    if text.contains('@') || text.len() > 60 || text.chars().any(char::is_control) {
        return format!("a text of {} characters", text.chars().count());
    }
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: ValueKind, text: &str) -> Result<SettingValue, String> {
        kind.read_text(text, Path::new("/etc/keyhaven"))
    }

    #[test]
    fn periods_need_a_unit_and_print_back() {
        assert_eq!(read(ValueKind::Period, "7d"), Ok(SettingValue::Period(Duration::from_secs(604_800))));
        assert_eq!(read(ValueKind::Period, "90s").unwrap().to_string(), "90s");
        assert_eq!(read(ValueKind::Period, "48h").unwrap().to_string(), "2d");
        for wrong in ["7", "d", "-1d", "1.5h", "0s", "7 days", "99999999999999999999d", "1w", "9d9d"] {
            assert!(read(ValueKind::Period, wrong).is_err(), "{wrong}");
        }
        for none in ["0s", "0m", "00h", "0d"] {
            let said = read(ValueKind::Period, none).unwrap_err();
            assert_eq!(said, format!("\"{none}\"; the shortest is \"1s\", which is as good as none"));
        }
        assert_eq!(read(ValueKind::Period, "3651d").unwrap_err(), "\"3651d\"; the longest is \"3650d\"");
        assert_eq!(read(ValueKind::Period, "1s"), Ok(SettingValue::Period(Duration::from_secs(1))));
        assert_eq!(read(ValueKind::Period, "3650d").unwrap().to_string(), "3650d");
    }

    #[test]
    fn a_share_is_a_fraction_or_a_percentage() {
        assert_eq!(read(ValueKind::Share, "20%"), Ok(SettingValue::Number(0.2)));
        assert_eq!(read(ValueKind::Share, "0.2"), Ok(SettingValue::Number(0.2)));
        for wrong in ["20", "101%", "-1%", "NaN", "inf", "%"] {
            assert!(read(ValueKind::Share, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn locations_are_folders_or_buckets() {
        assert_eq!(read(ValueKind::Location, "repo"), Ok(SettingValue::Text("/etc/keyhaven/repo".into())));
        assert_eq!(read(ValueKind::Location, "./a//repo/"), Ok(SettingValue::Text("/etc/keyhaven/a/repo".into())));
        assert_eq!(
            read(ValueKind::Location, "../repo"),
            Ok(SettingValue::Text("/etc/keyhaven/../repo".into())),
            "may be a link"
        );
        assert_eq!(read(ValueKind::Location, "/srv/repo"), Ok(SettingValue::Text("/srv/repo".into())));
        assert_eq!(read(ValueKind::Location, "file:///srv/repo"), Ok(SettingValue::Text("/srv/repo".into())));
        assert_eq!(read(ValueKind::Location, "s3://b/p"), Ok(SettingValue::Text("s3://b/p".into())));
        for wrong in ["s3://", "https://x/y", "s3://key:secret@bucket/p", "s3://b/p?x=1"] {
            assert!(read(ValueKind::Location, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_url_with_a_password_is_refused_and_not_repeated() {
        let refused = read(ValueKind::Url, "https://user:hunter2@sm.example").unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
        assert!(read(ValueKind::Url, "sm.example").is_err());
        assert!(read(ValueKind::Url, "ftp://sm.example").is_err());
    }
}
