//! `RECOVER.md` as it is printed, under `dash -eu` and `bash -eu`, with only the tools that it names
//! (`tests/python/recover_cases.py`).

use crate::kit::environment::{is_long, python};

/// Those that cover most in the least time; all of them with `KEYHAVEN_TEST_LONG`.
const SHARE: [&str; 6] = [
    "everything_is_passed_over_for_its_reason",
    "all_payloads_byte_for_byte_in_both_shells",
    "a_later_version_revokes_the_collector",
    "damaged_and_missing_objects_are_named",
    "a_payload_of_another_item_does_not_fit",
    "no_secret_in_any_argument",
];

#[test]
#[ignore = "needs Python, age, zstd, jq, openssl and dash: tests/run"]
fn the_instructions_work_as_they_are_printed() {
    let mut command = python("recover_cases.py");
    if !is_long() {
        command.args(SHARE);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.matches("ok ").count() >= SHARE.len(), "{said}");
}
