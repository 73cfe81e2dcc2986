//! The `keyhaven` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyhaven::cli::main()
}
