//! The arguments that every command takes, and how flags take values.

use std::path::PathBuf;

use crate::config::sections::LogFormat;
use crate::config::value::{Period, TextValue, Whole, parse_flag};

/// Arguments that every command takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Globals {
    /// The configuration file [default: $KEYHAVEN_CONFIG, ./keyhaven.toml, $XDG_CONFIG_HOME/keyhaven/keyhaven.toml,
    /// /etc/keyhaven/keyhaven.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The instance of the configuration, where it has several
    #[arg(long, global = true, value_name = "NAME", env = "KEYHAVEN_INSTANCE")]
    pub(super) instance: Option<String>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// No progress and no notes
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Log what is done; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// How much to log to standard error
    #[arg(long, global = true, value_name = "LEVEL", env = "KEYHAVEN_LOG_LEVEL",
          value_parser = ["off", "error", "warn", "info", "debug", "trace"])]
    pub(super) log_level: Option<String>,
    /// How to write log lines [default: json for `run` off a terminal, else text]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = parse_flag::<LogFormat>)]
    pub(super) log_format: Option<LogFormat>,
    /// The repository: a folder or s3://BUCKET/PREFIX
    #[arg(long, global = true, value_name = "URL")]
    pub(super) repository: Option<String>,
    /// The repository id that must be found there
    #[arg(long, global = true, value_name = "ID")]
    pub(super) repository_id: Option<String>,
    /// The version of the trust policy to rely on, for this command only, in place of all other pins: its reference
    /// (000002-<digest>), or a file with the version
    #[arg(long, global = true, value_name = "REF|FILE")]
    pub(super) policy: Option<String>,
    /// The URL of the instance that is backed up
    #[arg(long, global = true, value_name = "URL")]
    pub(super) source_url: Option<String>,
    /// The URL of the instance that is restored into
    #[arg(long, global = true, value_name = "URL")]
    pub(super) standby_url: Option<String>,
    /// The folder for a writer's memory
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) state_dir: Option<String>,
}

impl Globals {
    /// The level of our own log, where the arguments say one.
    pub(super) fn log_level(&self) -> Option<&str> {
        match (&self.log_level, self.verbose) {
            (Some(level), _) => Some(level),
            (None, 0) => None,
            (None, 1) => Some("info"),
            (None, _) => Some("debug"),
        }
    }

    /// The instance that is asked for. A variable that is set to nothing asks for none.
    pub(super) fn instance(&self) -> Option<&str> {
        self.instance.as_deref().filter(|name| !name.is_empty())
    }

    /// The flags that set a key of the configuration: key, flag, value.
    pub(super) fn settings(&self) -> Vec<(&'static str, &'static str, &str)> {
        [
            ("repository.url", "--repository", &self.repository),
            ("repository.id", "--repository-id", &self.repository_id),
            ("repository.policy", "--policy", &self.policy),
            ("source.url", "--source-url", &self.source_url),
            ("standby.url", "--standby-url", &self.standby_url),
            ("state_dir", "--state-dir", &self.state_dir),
        ]
        .into_iter()
        .filter_map(|(key, flag, value)| Some((key, flag, value.as_deref()?)))
        .collect()
    }
}

/// A tag, as a flag takes it.
pub(super) fn tag(text: &str) -> Result<String, crate::model::tag::TagError> {
    crate::model::tag::check_tag(text).map(|()| text.to_owned())
}

/// A count, as a flag takes it in place of a key of the configuration. The caller parses it as that key.
pub(super) fn count(text: &str) -> Result<String, String> {
    as_written::<Whole<0, 100_000>>(text)
}

/// A period of time, likewise.
pub(super) fn period(text: &str) -> Result<String, String> {
    as_written::<Period>(text)
}

/// An IANA time zone, likewise.
pub(super) fn zone(text: &str) -> Result<String, crate::schedule::ScheduleError> {
    crate::schedule::Zone::new(text).map(|_| text.to_owned())
}

fn as_written<T: TextValue>(text: &str) -> Result<String, String> {
    parse_flag::<T>(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_that_sets_a_key_names_one() {
        let text = Some("x".to_owned());
        let globals = Globals {
            repository: text.clone(),
            repository_id: text.clone(),
            policy: text.clone(),
            source_url: text.clone(),
            standby_url: text.clone(),
            state_dir: text,
            ..Globals::default()
        };
        let flags = globals.settings();
        assert_eq!(flags.len(), 6);
        for (key, flag, _) in flags {
            assert!(crate::config::keys::find(key).is_some(), "{flag}");
        }
    }
}
