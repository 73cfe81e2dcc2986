//! What was typed, as far as those need it who look at every command: the path of the command and which flags were
//! given.

use std::collections::BTreeSet;

use clap::ArgMatches;
use clap::parser::ValueSource;

/// A command as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invocation {
    /// The command and its subcommands, such as `restore apply`.
    pub(super) path: String,
    /// The flags and arguments of the last of them that were given on the command line, by their ids.
    given: BTreeSet<String>,
}

impl Invocation {
    /// Reads it from what clap made of the arguments.
    pub(super) fn of(matches: &ArgMatches) -> Self {
        let mut path = Vec::new();
        let mut last = matches;
        while let Some((name, matches)) = last.subcommand() {
            path.push(name);
            last = matches;
        }
        let given = last.ids().filter(|id| last.value_source(id.as_str()) == Some(ValueSource::CommandLine));
        Self { path: path.join(" "), given: given.map(|id| id.as_str().to_owned()).collect() }
    }

    /// Whether a flag or argument was given, by its id: its name with `_` for `-`.
    pub(super) fn has(&self, id: &str) -> bool {
        self.given.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::command_line::Arguments;

    fn invocation(words: &[&str]) -> Invocation {
        let words = std::iter::once(&"keyhaven").chain(words);
        Invocation::of(&Arguments::command().try_get_matches_from(words).unwrap())
    }

    #[test]
    fn subcommands_and_flags_are_seen_wherever_they_stand() {
        let apply = invocation(&["--json", "restore", "apply", "plan.json", "--confirm", "x"]);
        assert_eq!(apply.path, "restore apply");
        assert!(apply.has("confirm") && !apply.has("into_source"));
        let get = invocation(&["get", "--reveal", "db"]);
        assert!(get.path == "get" && get.has("reveal"));
        assert!(!invocation(&["get", "db"]).has("reveal"), "a default is not given");
    }
}
