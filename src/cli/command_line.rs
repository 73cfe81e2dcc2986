//! The command line: global arguments and the command.

use clap::Parser;

use super::args::Globals;
use super::commands::Command;

/// Backup and disaster recovery for secrets-manager instances.
///
/// Keyhaven takes consistent, encrypted, signed snapshots of a secrets-manager instance into a bucket or a folder, and
/// brings them back into a standby in another region.
#[derive(Debug, Parser)]
#[command(name = "keyhaven", version, propagate_version = true, max_term_width = 110, after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) globals: Globals,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Exit codes:
  0 done   1 failed   2 usage or configuration   3 partial or suspect   10 no repository there
  12 a key is missing or does not fit   13 integrity or signature failure   14 stale
  15 a plan is not empty, or a difference was found   16 the target has moved or conflicts
  17 the instance cannot be reached or refused us   130 interrupted

Examples:
  keyhaven keys new --out recovery            on another machine: the recovery kit
  keyhaven init --recovery recovery/public.txt
  keyhaven backup
  keyhaven verify --level objects
  keyhaven restore plan --out plan.json
  keyhaven restore apply plan.json";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
