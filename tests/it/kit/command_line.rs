//! Command lines that stand in other files, held against the program's own parser.

use super::program::Machine;

/// Says that the program takes a command line, flags and values and all: it gets as far as looking for its configuration,
/// which is not there. `place` is what a failure names.
pub(crate) fn takes(machine: &Machine, place: &str, words: &[&str]) {
    const NOWHERE: &str = "/nonexistent/keyhaven.toml";
    let run = machine.run(&[&["--config", NOWHERE], words].concat());
    assert!(run.code == 2 && run.err.contains(NOWHERE), "{place}: `keyhaven {}`: {run:#?}", words.join(" "));
}

/// The arguments of the command line in a text, from the word `keyhaven` to the end or to what a shell takes for itself;
/// nothing when the text has none.
pub(crate) fn arguments(text: &str) -> Option<Vec<&str>> {
    let mut words = text.split_whitespace();
    words.find(|word| *word == "keyhaven" || word.ends_with("/keyhaven"))?;
    Some(
        words.take_while(|word| !word.starts_with(['>', '|', '#', ';', '&', ')']) && !word.starts_with("2>")).collect(),
    )
}

#[test]
fn a_command_line_is_found_and_a_wrong_one_is_not_taken() {
    let found = arguments("5 * * * * flock -n x /usr/bin/keyhaven verify --level ledger >/dev/null");
    assert_eq!(found.unwrap(), ["verify", "--level", "ledger"]);
    assert_eq!(arguments("echo nothing"), None);
    let machine = Machine::new();
    takes(&machine, "here", &["verify", "--level", "ledger"]);
    for wrong in [&["verify", "--levle", "ledger"][..], &["verify", "--level", "deep"], &["verfy"]] {
        let refused = std::panic::catch_unwind(|| takes(&machine, "here", wrong));
        assert!(refused.is_err(), "{wrong:?}");
    }
}
