//! The log: to standard error, ours at the level asked for, other crates' warnings only.
//!
//! Other crates stay at `warn` whatever is asked: at finer levels an HTTP stack may log headers, and headers hold tokens.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::args::Globals;

/// Starts the log.
pub(super) fn start(globals: &Globals) {
    let filter = EnvFilter::new(format!("warn,keyhaven={}", globals.log_level()));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if std::io::stderr().is_terminal() {
        builder.with_ansi(super::printer::colour_wanted()).init();
    } else {
        builder.with_ansi(false).init();
    }
}
