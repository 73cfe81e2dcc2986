//! Everything that is printed: results on standard output, everything else on standard error.

use std::io::{IsTerminal, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use super::args::Globals;
use super::env;
use super::escape::{self, safe, safe_lines};
use super::failure::Failure;
use super::logging::{self, Format};
use super::table::Table;
use crate::job::{RunFacts, RunResult};
use crate::model::FailureKind;

/// Prints. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Printer {
    json: bool,
    quiet: bool,
    colour_out: bool,
    colour_err: bool,
    width: usize,
    /// Members of every log line, if the log is JSON.
    log: Option<Map<String, Value>>,
}

/// A result whose run is recorded, as JSON.
#[derive(Serialize)]
struct RecordedResult<'a, T> {
    #[serde(flatten)]
    result: &'a T,
    run: RunFacts,
}

/// A colour or weight.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    /// Headings.
    Bold,
    /// Good.
    Green,
    /// Look at it.
    Yellow,
    /// Bad.
    Red,
    /// Less important.
    Dim,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Red => "31",
            Self::Dim => "2",
        }
    }
}

impl Printer {
    /// A printer for these arguments, the terminal and the environment.
    pub(super) fn new(globals: &Globals) -> Self {
        let stdout = std::io::stdout();
        let columns = || env::variable("COLUMNS").and_then(|text| text.parse::<usize>().ok());
        let terminal = || rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
        let width = columns().or_else(terminal).filter(|width| *width >= 20).unwrap_or(usize::MAX);
        Self {
            json: globals.json,
            quiet: globals.quiet,
            colour_out: env::colour_wanted() && stdout.is_terminal(),
            colour_err: env::colour_wanted() && std::io::stderr().is_terminal(),
            width,
            log: None,
        }
    }

    /// Writes notes, warnings and failures as the log does.
    pub(super) fn log_as(&mut self, format: Format) {
        self.log = match format {
            Format::Text => None,
            Format::Json(context) => Some(context),
        };
    }

    /// Returns true if results are asked for as JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Number of columns; unlimited when unknown.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Prints a result as JSON, indented, when JSON is asked for; otherwise lets `text` print it for people.
    ///
    /// # Errors
    /// When standard output takes no more, or `text` fails.
    pub(super) fn result<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !self.json {
            return text(self);
        }
        let json = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new(FailureKind::Failed, "cannot write the result as JSON").because(error))?;
        self.raw(format!("{}\n", escape::json(&json)).as_bytes())
    }

    /// As [`Printer::result`], for a result whose run is recorded: JSON gets the member `run`, which the daemon reads.
    ///
    /// # Errors
    /// As [`Printer::result`].
    pub(super) fn run_result<T: Serialize + RunResult>(
        &self,
        result: &T,
        text: impl FnOnce(&Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.result(&RecordedResult { result, run: result.facts() }, text)
    }

    /// Prints a line of a result. Escapes everything that could control the terminal, except the styles of
    /// [`Printer::paint`], line ends and tabs.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub(super) fn line(&self, line: impl AsRef<str>) -> Result<(), Failure> {
        self.raw(format!("{}\n", escape::shown(line.as_ref(), self.colour_out)).as_bytes())
    }

    /// Prints bytes of a result as they are.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub(super) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            // The reader has seen enough (`| head`).
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::new(FailureKind::Failed, "cannot write to standard output").because(error)),
            Ok(()) => Ok(()),
        }
    }

    /// Prints a table; says so when it is empty.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub(super) fn table(&self, table: &Table, empty: &str) -> Result<(), Failure> {
        if table.is_empty() {
            return self.line(self.paint(Style::Dim, empty));
        }
        for (at, line) in table.lines(self.width).iter().enumerate() {
            if at == 0 { self.line(self.paint(Style::Bold, line))? } else { self.line(line)? }
        }
        Ok(())
    }

    /// Prints `label  value` lines, the values in one column.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub(super) fn facts(&self, facts: &[(&str, String)]) -> Result<(), Failure> {
        let width = facts.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        for (label, value) in facts {
            let label = self.paint(Style::Dim, &format!("{label:<width$}"));
            self.line(format!("  {label}  {}", safe(value)))?;
        }
        Ok(())
    }

    /// The text in a style, where standard output shows styles.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        paint(self.colour_out, style, text)
    }

    /// Prints a note on standard error, unless quiet.
    pub(super) fn note(&self, text: &str) {
        match &self.log {
            _ if self.quiet => {}
            Some(context) => logging::line(context, "info", text, Map::new()),
            None => err(&safe_lines(text)),
        }
    }

    /// Prints on standard error what must be read before an answer is given, even when quiet.
    pub(super) fn say(&self, text: &str) {
        err(&safe_lines(text));
    }

    /// Warns on standard error.
    pub(super) fn warning(&self, text: &str) {
        match &self.log {
            Some(context) => logging::line(context, "warn", text, Map::new()),
            None => err(&format!("{} {}", paint(self.colour_err, Style::Yellow, "warning:"), safe_lines(text))),
        }
    }

    /// Prints a failure: what, the causes once each, what to do next.
    pub(super) fn failure(&self, failure: &Failure) {
        let mut chain = failure.chain().into_iter();
        let first = chain.next().unwrap_or_default();
        if let Some(context) = &self.log {
            let mut more = Map::from_iter([("exit".to_owned(), failure.kind().exit_code().into())]);
            more.insert("causes".to_owned(), chain.collect::<Vec<_>>().into());
            more.extend(failure.hint().map(|hint| ("hint".to_owned(), hint.into())));
            return logging::line(context, "error", &first, more);
        }
        err(&format!("{} {}", paint(self.colour_err, Style::Red, "error:"), safe_lines(&first)));
        for cause in chain {
            err(&format!("  caused by: {}", safe_lines(&cause)));
        }
        if let Some(hint) = failure.hint() {
            err(&format!("{} {}", paint(self.colour_err, Style::Bold, "hint:"), safe_lines(hint)));
        }
    }
}

fn paint(colour: bool, style: Style, text: &str) -> String {
    if colour { format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()) } else { text.to_owned() }
}

/// Standard error that takes no more is no reason to fail.
fn err(line: &str) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}
