//! `RECOVER.md` as it is printed, under `dash -eu` and `bash -eu`, with only the tools that it names
//! (`tests/python/recover_cases.py`).

use std::process::Command;

/// Those that cover most in the least time; all of them with `KEYHAVEN_TEST_LONG`.
const SHARE: [&str; 6] = [
    "everything_is_passed_over_for_its_reason",
    "all_payloads_byte_for_byte_in_both_shells",
    "a_later_version_revokes_the_collector",
    "damaged_and_missing_objects_are_named",
    "a_payload_of_another_item_does_not_fit",
    "no_secret_in_any_argument",
];

/// Whether the tools are there. The test setup has them; elsewhere the test says that it is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn has_tools() -> bool {
    let path = std::env::var_os("PATH").unwrap();
    let is_there = |tool: &str| std::env::split_paths(&path).any(|directory| directory.join(tool).is_file());
    let missing: Vec<&str> =
        ["age", "zstd", "jq", "openssl", "dash", "bash"].into_iter().filter(|tool| !is_there(tool)).collect();
    assert!(missing.is_empty() || std::env::var_os("KEYHAVEN_TEST_EVERYTHING").is_none(), "not installed: {missing:?}");
    let python = std::env::var_os("KEYHAVEN_TEST_PYTHON").is_some();
    if !missing.is_empty() || !python {
        eprintln!("SKIPPED: not installed: {missing:?}, or no KEYHAVEN_TEST_PYTHON");
    }
    missing.is_empty() && python
}

#[test]
fn the_instructions_work_as_they_are_printed() {
    if !has_tools() {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/recover_cases.py");
    let mut command = Command::new(std::env::var_os("KEYHAVEN_TEST_PYTHON").unwrap());
    command.arg(script).env("PYTHONDONTWRITEBYTECODE", "1");
    if std::env::var_os("KEYHAVEN_TEST_LONG").is_none() {
        command.args(SHARE);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.matches("ok ").count() >= SHARE.len(), "{said}");
}
