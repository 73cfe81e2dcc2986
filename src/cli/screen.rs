//! A report for people, apart from how it is printed: the commands say what is in it, the printer alone how it looks.

use super::failure::Failure;
use super::printer::{Printer, Style};
use super::table::Table;
use super::text::safe;
use crate::job::restore::plan::Remark;

/// Indentation of a line below a heading.
const INDENT: &str = "  ";

/// A part of a report.
#[derive(Debug)]
enum Block {
    Heading(Style, String),
    Facts(Vec<(&'static str, String)>),
    Table {
        table: Table,
        empty: &'static str,
    },
    /// A line of which only the beginning is in the style.
    Begun {
        style: Style,
        indent: &'static str,
        begin: String,
        rest: String,
    },
    Line(String),
}

/// A report in the order in which it is read. What could drive the terminal may be in every text: it is escaped when
/// the report is printed.
#[derive(Debug, Default)]
pub(super) struct Screen(Vec<Block>);

impl Screen {
    /// A report that begins with this heading.
    pub(super) fn new(style: Style, heading: impl Into<String>) -> Self {
        let mut screen = Self::default();
        screen.heading(style, heading);
        screen
    }

    /// Adds a line in a style.
    pub(super) fn heading(&mut self, style: Style, text: impl Into<String>) {
        self.0.push(Block::Heading(style, text.into()));
    }

    /// Adds `label  value` lines, the values in one column.
    pub(super) fn facts(&mut self, facts: impl IntoIterator<Item = (&'static str, String)>) {
        self.0.push(Block::Facts(facts.into_iter().collect()));
    }

    /// Adds a table. If it has no row, `empty` is printed in its place, or nothing if that is empty too.
    pub(super) fn table(&mut self, table: Table, empty: &'static str) {
        self.0.push(Block::Table { table, empty });
    }

    /// Adds an indented `label: text`, the label in a style.
    pub(super) fn labelled(&mut self, style: Style, label: &str, text: impl Into<String>) {
        let (begin, rest) = (format!("{label}:"), format!(" {}", text.into()));
        self.0.push(Block::Begun { style, indent: INDENT, begin, rest });
    }

    /// Adds a line that begins in a style.
    pub(super) fn begun(&mut self, style: Style, begin: &str, rest: impl Into<String>) {
        self.0.push(Block::Begun { style, indent: "", begin: begin.to_owned(), rest: rest.into() });
    }

    /// Adds a labelled line for each item that a job has something to say about: its name, its type, the reason.
    pub(super) fn remarks(&mut self, style: Style, label: &str, remarks: &[Remark]) {
        for one in remarks {
            let name = item_name(one.group.as_deref(), &one.name);
            self.labelled(style, label, format!("{name} ({}): {}", one.item_type, one.reason));
        }
    }

    /// Adds indented lines, one for each item: `limit` of them, and how many more there are.
    pub(super) fn list(&mut self, items: impl ExactSizeIterator<Item = String>, limit: usize) {
        let more = items.len().saturating_sub(limit);
        items.take(limit).for_each(|item| self.line(format!("{INDENT}{item}")));
        if more > 0 {
            self.line(format!("{INDENT}and {more} more (--all names them)"));
        }
    }

    /// Adds a line as it is.
    pub(super) fn line(&mut self, text: impl Into<String>) {
        self.0.push(Block::Line(text.into()));
    }
}

/// The name of an item, below its group if it has one.
pub(super) fn item_name(group: Option<&str>, name: &str) -> String {
    group.map_or_else(|| name.to_owned(), |group| format!("{group}/{name}"))
}

impl Printer {
    /// Prints a report.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub(super) fn screen(&self, screen: &Screen) -> Result<(), Failure> {
        screen.0.iter().try_for_each(|block| match block {
            Block::Heading(style, text) => self.line(self.paint(*style, &safe(text))),
            Block::Facts(facts) => self.facts(facts),
            Block::Table { table, empty: "" } if table.is_empty() => Ok(()),
            Block::Table { table, empty } => self.table(table, empty),
            Block::Begun { style, indent, begin, rest } => {
                self.line(format!("{indent}{}{}", self.paint(*style, &safe(begin)), safe(rest)))
            }
            Block::Line(text) => self.line(safe(text)),
        })
    }
}
