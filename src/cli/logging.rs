//! The log: to standard error, as text for people or one JSON object a line.
//!
//! Other crates stay at `warn` at least whatever is asked: at finer levels an HTTP stack may log headers, and headers
//! hold tokens. Where lines are JSON, everything else that goes to standard error (notes, warnings, the error at the
//! end) is a line of the same shape.

use std::fmt;
use std::io::{IsTerminal, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::args::Globals;
use super::clock::SystemClock;
use super::escape::{self, SafeError};
use super::invocation::Invocation;
use super::{env, scheduled};
use crate::config::sections::LogFormat;
use crate::model::Clock as _;

/// The command that runs for ever; what it does is worth a line at `info`.
const DAEMON: &str = "run";

/// Format of log lines.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON object a line, each with these members.
    Json(Map<String, Value>),
}

/// Starts the log, in the format that the arguments or else the configuration asks for; gives back how its lines are
/// written.
pub(super) fn start(globals: &Globals, configured: Option<LogFormat>, invocation: &Invocation) -> Format {
    let json = match globals.log_format.or(configured) {
        Some(format) => format == LogFormat::Json,
        None => invocation.path == DAEMON && !std::io::stderr().is_terminal(),
    };
    let default = if invocation.path == DAEMON { "info" } else { "warn" };
    let directives = match globals.log_level() {
        Some(level) => format!("warn,keyhaven={level}"),
        None => {
            env::variable("RUST_LOG").map_or_else(|| format!("warn,keyhaven={default}"), |text| fenced(&text, default))
        }
    };
    let filter = EnvFilter::new(directives);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    if json {
        let context = context(invocation);
        builder.with_writer(std::io::stderr).event_format(Json(context.clone())).init();
        return Format::Json(context);
    }
    let styles = std::io::stderr().is_terminal() && env::colour_wanted();
    builder.with_ansi(styles).with_writer(move || SafeError { styles }).init();
    Format::Text
}

/// Members of every log line: the command and the job.
fn context(invocation: &Invocation) -> Map<String, Value> {
    let mut context = Map::new();
    context.insert("command".to_owned(), invocation.path.as_str().into());
    if let Ok(Some(due)) = scheduled::due() {
        context.insert("job".to_owned(), due.job.into());
        context.insert("due".to_owned(), due.at.to_string().into());
    }
    context
}

/// The directives of `RUST_LOG` with a fence around other crates: a bare level is ours alone, and nobody else's goes
/// below `warn`.
fn fenced(text: &str, default: &str) -> String {
    let mut ours = default.to_owned();
    let mut directives = vec!["warn".to_owned()];
    for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        // Filters by span have commas and brackets of their own, and we have no spans.
        if directive.contains(['[', ']', '{', '}']) {
            continue;
        }
        match directive.split_once('=') {
            None if level(directive).is_some() => directive.clone_into(&mut ours),
            None => {}
            Some((target, word))
                if (target == "keyhaven" || target.starts_with("keyhaven::")) && level(word).is_some() =>
            {
                directives.push(format!("{target}={word}"));
            }
            Some((target, word)) => {
                if let Some(asked) = level(word) {
                    directives.push(format!("{target}={}", asked.min("warn")));
                }
            }
        }
    }
    // Before the more specific ones; a later `keyhaven=…` of the same name wins over it.
    directives.insert(1, format!("keyhaven={ours}"));
    directives.iter().map(|directive| directive.to_lowercase()).collect::<Vec<_>>().join(",")
}

/// A level, ordered by how much it lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LogLevel(usize);

impl LogLevel {
    const WORDS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

    /// This level, or the other where that lets less through.
    fn min(self, most: &str) -> &'static str {
        let most = level(most).unwrap_or(self);
        Self::WORDS.get(Ord::min(self, most).0).copied().unwrap_or("warn")
    }
}

fn level(word: &str) -> Option<LogLevel> {
    LogLevel::WORDS.iter().position(|known| known.eq_ignore_ascii_case(word)).map(LogLevel)
}

/// Writes a line of JSON past the level, for what is printed in any case.
pub(super) fn line(context: &Map<String, Value>, level: &str, message: &str, more: Map<String, Value>) {
    let text = render(context, level, message, more);
    // Standard error that takes no more is no reason to fail.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

fn render(context: &Map<String, Value>, level: &str, message: &str, more: Map<String, Value>) -> String {
    let mut line = Map::new();
    line.insert("time".to_owned(), SystemClock.now().to_string().into());
    line.insert("level".to_owned(), level.into());
    line.insert("message".to_owned(), message.into());
    line.extend(context.clone());
    line.extend(more);
    escape::json(&Value::Object(line).to_string())
}

/// Events as JSON, flat.
#[derive(Debug)]
struct Json(Map<String, Value>);

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        writeln!(writer, "{}", render(&self.0, level, &fields.message, fields.rest))
    }
}

#[derive(Debug, Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.rest.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_crates_never_go_below_warn() {
        assert_eq!(fenced("trace", "warn"), "warn,keyhaven=trace");
        assert_eq!(
            fenced("hyper=trace,reqwest=error,h2=off", "warn"),
            "warn,keyhaven=warn,hyper=warn,reqwest=error,h2=off"
        );
        assert_eq!(fenced("keyhaven::job=debug, INFO", "warn"), "warn,keyhaven=info,keyhaven::job=debug");
        assert_eq!(fenced("keyhavenx=trace", "info"), "warn,keyhaven=info,keyhavenx=warn");
        assert_eq!(fenced("hyper[span]=trace,nonsense,x=loud,=trace", "warn"), "warn,keyhaven=warn,=warn");
    }

    #[test]
    fn a_line_is_one_object_whatever_is_in_it() {
        let context = Map::from_iter([("command".to_owned(), Value::from("backup"))]);
        let more = Map::from_iter([("job".to_owned(), Value::from("a\nb"))]);
        let line = render(&context, "warn", "one\ntwo \u{1b}[0m", more);
        assert!(!line.contains('\n') && !line.contains('\u{1b}'));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["message"], &value["command"], &value["job"]),
            (&"one\ntwo \u{1b}[0m".into(), &"backup".into(), &"a\nb".into())
        );
    }
}
