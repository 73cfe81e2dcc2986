//! Text from elsewhere, fit for a terminal. What can be there at all (a name, a reason, an answer of a server) may hold
//! characters that move the cursor, change colours, or turn around what is read.

use std::io::{self, Write};

/// Styles as they are painted here and by the log: nothing but these may begin with an escape character.
const STYLES: [&str; 11] = ["0m", "1m", "2m", "3m", "31m", "32m", "33m", "34m", "35m", "36m", "90m"];

/// Whether a character could drive the terminal: control characters, C1 included, and what changes the direction or
/// takes no room.
fn drives(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// One line: everything that could drive the terminal is shown as `\u{…}`.
pub(super) fn safe(text: &str) -> String {
    escaped(text, |_| 0)
}

/// Lines stay lines; everything else that could drive the terminal is escaped.
pub(super) fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

/// Escapes the output of a command, except line ends, tabs and, if `styles`, our styles.
pub(super) fn shown(text: &str, styles: bool) -> String {
    escaped(text, |rest| match rest.as_bytes().first() {
        Some(b'\n' | b'\t') => 1,
        Some(b'\x1b') if styles => {
            let style =
                rest.strip_prefix("\u{1b}[").and_then(|rest| STYLES.iter().find(|code| rest.starts_with(**code)));
            style.map_or(0, |code| code.len() + 2)
        }
        _ => 0,
    })
}

/// JSON that means the same and drives no terminal: outside strings there is nothing to escape but line ends, which
/// stay.
pub(super) fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !drives(c) {
            safe.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    safe
}

/// The text, escaped but for what `keep` says stays: so many bytes at the beginning of the rest.
fn escaped(text: &str, keep: impl Fn(&str) -> usize) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let kept = if drives(c) { keep(rest) } else { c.len_utf8() };
        let (first, after) = rest.split_at(if kept == 0 { c.len_utf8() } else { kept });
        if kept == 0 {
            safe.extend(c.escape_unicode());
        } else {
            safe.push_str(first);
        }
        rest = after;
    }
    safe
}

/// Standard error for the log in words: a line of it may hold what a server or a bucket says.
#[derive(Debug)]
pub(super) struct SafeError {
    /// True if styles are shown.
    pub(super) styles: bool,
}

impl Write for SafeError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The log hands over whole lines.
        let text = String::from_utf8_lossy(bytes);
        io::stderr().lock().write_all(shown(&text, self.styles).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(safe("a\u{1b}[31mb\n\u{202e}"), "a\\u{1b}[31mb\\u{a}\\u{202e}");
        assert_eq!(safe("\u{9b}2J \u{61c}\u{feff}"), "\\u{9b}2J \\u{61c}\\u{feff}");
        assert_eq!(safe("ä 水 🔑"), "ä 水 🔑");
        assert_eq!(safe_lines("one\r\ntwo\u{7}"), "one\ntwo\\u{7}");
    }

    #[test]
    fn what_is_printed_keeps_its_lines_and_its_styles_and_nothing_else() {
        let text = "\u{1b}[1mname\u{1b}[0m\tx\n\u{1b}[2J\u{1b}[38;5;1m\u{9b}\r";
        assert_eq!(shown(text, true), "\u{1b}[1mname\u{1b}[0m\tx\n\\u{1b}[2J\\u{1b}[38;5;1m\\u{9b}\\u{d}");
        assert_eq!(shown("\u{1b}[1mname", false), "\\u{1b}[1mname");
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let value = serde_json::json!({ "a": "\u{9b}2J\u{202e}\u{e0001}ä🔑", "b": ["x\ny"] });
        let text = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| c != '\n' && drives(c)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
