//! Every command line that the documentation, the alerts, the help and the messages name, held against the parser.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::command_line::Arguments;

/// In a sentence about a command, arguments may be omitted.
const LEFT_OUT: &[ErrorKind] = &[
    ErrorKind::MissingRequiredArgument,
    ErrorKind::MissingSubcommand,
    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ErrorKind::DisplayHelp,
    ErrorKind::DisplayVersion,
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[expect(clippy::disallowed_methods, reason = "files of this checkout")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The files below a folder with this ending, in any depth.
#[expect(clippy::disallowed_methods, reason = "files of this checkout")]
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path, ending),
            false => {
                if path.extension().is_some_and(|end| end == ending) {
                    vec![path]
                } else {
                    Vec::new()
                }
            }
        })
        .collect()
}

/// The words of a line as a shell would have them, up to a comment, a redirection, the next command, an explanation
/// that stands three columns away.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut spaces = 0;
    for c in line.trim().chars() {
        let last = words.last_mut().unwrap();
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#' | '>' | '|' | '&' | ';') if last.is_empty() => break,
            (None, c) if c.is_whitespace() => {
                spaces += 1;
                if spaces == 3 {
                    break;
                }
                if !last.is_empty() {
                    words.push(String::new());
                }
                continue;
            }
            _ => last.push(c),
        }
        spaces = 0;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A text whose lines go on where a backslash says so.
fn joined(text: &str) -> String {
    let (first, more) = text.split_once("\\\n").unwrap_or((text, ""));
    if more.is_empty() { first.to_owned() } else { format!("{} {}", first.trim_end(), joined(more.trim_start())) }
}

/// The command lines of the blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let inside = page.split("```").skip(1).step_by(2);
    let lines = inside.flat_map(|block| joined(block).lines().map(str::to_owned).collect::<Vec<_>>());
    let lines = lines.map(|line| line.trim_start().trim_start_matches("sudo ").to_owned());
    lines.filter(|line| line.starts_with("keyhaven ")).collect()
}

/// The command lines that sentences name between backticks.
fn sentences(text: &str) -> Vec<String> {
    let named = text.split("`keyhaven ").skip(1).filter_map(|rest| rest.split_once('`')).map(|(named, _)| named);
    // A quotation mark or an empty line between: a backtick that belongs to nothing.
    let whole = named.filter(|named| !named.contains("\n\n") && named.len() < 200);
    whole.map(|named| format!("keyhaven {}", named.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

/// The same with something in the place of what is left open: `--reason …`, `--pin-head 3fa9…`, `--undo {sequence}`.
fn filled_in(words: Vec<String>) -> Vec<String> {
    let mut filled: Vec<String> = Vec::new();
    for word in words.into_iter().filter(|word| !word.starts_with('[')) {
        let flag = filled.last().filter(|last| last.starts_with("--")).map(String::as_str);
        let value = match flag {
            Some("--level") => "objects".to_owned(),
            _ => "0".repeat(64),
        };
        match (flag, word.as_str()) {
            (None, "…") => break,
            (None, open) if open.contains('{') => {}
            (_, open) if open.contains('{') || open.ends_with('…') => filled.push(value),
            _ => filled.push(word),
        }
    }
    filled
}

/// Returns the parser's error for a line, if any.
fn wrong(line: &str, may_leave_out: bool) -> Option<String> {
    let words = filled_in(words(line));
    let error = Arguments::command().try_get_matches_from(words).err()?;
    let fine = may_leave_out && LEFT_OUT.contains(&error.kind());
    let said = error.to_string();
    (!fine).then(|| format!("`{line}`: {}", said.lines().next().unwrap_or_default()))
}

fn check(place: &str, lines: &[String], may_leave_out: bool, at_least: usize) {
    assert!(lines.len() >= at_least, "{place}: {lines:#?}");
    let wrong: Vec<String> = lines.iter().filter_map(|line| wrong(line, may_leave_out)).collect();
    assert!(wrong.is_empty(), "{place}:\n{}", wrong.join("\n"));
}

#[test]
#[cfg_attr(not(feature = "sandbox"), ignore = "the documentation is that of a build with the default features")]
fn the_commands_of_every_page_are_taken() {
    let mut pages = files(&root().join("docs"), "md");
    pages.extend(["README.md", "schedules/README.md"].map(|page| root().join(page)));
    assert!(pages.len() >= 15, "{pages:?}");
    let mut all = 0;
    for page in pages {
        let (place, text) = (page.display().to_string(), read(&page));
        let outside: Vec<&str> = text.split("```").step_by(2).collect();
        let (block, inline) = (blocks(&text), sentences(&outside.join("\n")));
        check(&place, &block, false, 0);
        check(&place, &inline, true, 0);
        all += block.len() + inline.len();
    }
    assert!(all >= 90, "only {all} are found");
}

#[test]
fn the_commands_of_the_alerts_are_taken() {
    for page in files(&root().join("schedules/prometheus"), "yml") {
        // A text of the alerts goes over several lines, a comment too.
        let text = read(&page).lines().map(|line| line.trim().trim_start_matches("# ")).collect::<Vec<_>>().join("\n");
        check(&page.display().to_string(), &sentences(&text), true, 0);
    }
    let rules = read(&root().join("schedules/prometheus/keyhaven.rules.yml"));
    assert!(sentences(&rules).len() >= 10, "{rules}");
}

#[test]
#[cfg_attr(not(feature = "sandbox"), ignore = "the documentation is that of a build with the default features")]
fn the_commands_of_messages_and_hints_are_taken() {
    let mut all = 0;
    for file in files(&root().join("src"), "rs") {
        if file.ends_with("documented.rs") {
            continue;
        }
        let text = read(&file);
        let text: Vec<&str> = text.lines().map(|line| line.trim().trim_end_matches('\\')).collect();
        let text = text.join("\n").replace("\n/// ", "\n").replace("\n//! ", "\n");
        let lines: Vec<String> =
            sentences(&text).into_iter().filter(|line| !line.contains('"') && !line.contains("ARGUMENTS")).collect();
        check(&file.display().to_string(), &lines, true, 0);
        all += lines.len();
    }
    assert!(all >= 40, "only {all} are found");
}

#[test]
fn the_examples_of_help_are_taken() {
    fn of(command: &clap::Command, examples: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let help = joined(&help);
        let lines =
            help.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with("keyhaven "));
        examples.extend(lines.map(str::to_owned));
        command.get_subcommands().for_each(|command| of(command, examples));
    }
    let mut examples = Vec::new();
    of(&Arguments::command(), &mut examples);
    check("help", &examples, false, 60);
}

#[test]
fn a_wrong_line_is_not_taken() {
    for line in
        ["keyhaven verfy", "keyhaven verify --levle objects", "keyhaven verify --level deep", "keyhaven keys pin"]
    {
        assert!(wrong(line, false).is_some(), "{line}");
    }
    assert_eq!(wrong("keyhaven keys pin", true), None);
    assert_eq!(
        words("keyhaven forget --reason 'a b' --apply   # why"),
        ["keyhaven", "forget", "--reason", "a b", "--apply"]
    );
    assert_eq!(words("keyhaven man | man -l -"), ["keyhaven", "man"]);
}
