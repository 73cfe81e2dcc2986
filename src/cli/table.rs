//! Tables in columns, cut to the width of the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::text::safe;

/// The narrowest that a column is cut to.
const NARROW: usize = 8;
/// Columns of blank between two columns.
const GAP: usize = 2;

/// A table: rows of text under headings.
#[derive(Debug, Default)]
pub(super) struct Table {
    headings: Vec<&'static str>,
    right: Vec<bool>,
    /// Columns that are never cut: a name or a key that lost its end is no use.
    whole: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings. One that starts with `>` makes its column flush right, one with `!` keeps it whole.
    pub(super) fn new(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.iter().map(|heading| heading.trim_start_matches(['>', '!'])).collect(),
            right: headings.iter().map(|heading| heading.starts_with('>')).collect(),
            whole: headings.iter().map(|heading| heading.starts_with('!')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; what could drive the terminal is escaped.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| safe(&cell)).into());
    }

    /// Returns true if there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, headings first; no line is wider than `width` as long as every column that may be cut can have eight
    /// characters.
    pub(super) fn lines(&self, width: usize) -> Vec<String> {
        let widths = self.widths(width);
        let headings: Vec<String> = self.headings.iter().map(ToString::to_string).collect();
        std::iter::once(&headings).chain(&self.rows).map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            if at > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            let cell = cut(cell, *width);
            let blank = " ".repeat(width.saturating_sub(cell.width()));
            if self.right.get(at).copied().unwrap_or_default() {
                line.push_str(&blank);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&blank);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// The natural widths, the widest column cut first until all fit.
    fn widths(&self, width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| heading.width()).collect();
        for row in &self.rows {
            for (column, cell) in widths.iter_mut().zip(row) {
                *column = (*column).max(cell.width());
            }
        }
        let room = width.saturating_sub(GAP * widths.len().saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            let may_cut = widths.iter_mut().zip(&self.whole).filter(|(_, whole)| !**whole).map(|(width, _)| width);
            let Some(widest) = may_cut.max().filter(|widest| **widest > NARROW) else { break };
            *widest -= 1;
        }
        widths
    }
}

/// The text, ending in `…` when it is wider than `width`.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["name", ">size"]);
        table.row(["a-very-long-name-of-a-secret".into(), "10".into()]);
        table.row(["日本語".into(), "9,999".into()]);
        table
    }

    #[test]
    fn columns_line_up_by_what_is_seen() {
        assert_eq!(
            table().lines(80),
            [
                "name                           size",
                "a-very-long-name-of-a-secret     10",
                "日本語                        9,999"
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_column() {
        for line in table().lines(20) {
            assert!(line.width() <= 20, "{line}");
        }
        assert_eq!(table().lines(20).get(1).map(String::as_str), Some("a-very-long-…     10"));
    }

    #[test]
    fn a_column_that_must_stay_whole_is_never_cut() {
        let mut table = Table::new(&["!name", "note"]);
        table.row(["a-very-long-name-of-a-key".into(), "a note that may be cut".into()]);
        assert_eq!(table.lines(37).get(1).map(String::as_str), Some("a-very-long-name-of-a-key  a note th…"));
        assert_eq!(table.lines(20).get(1).map(String::as_str), Some("a-very-long-name-of-a-key  a note …"));
    }
}
