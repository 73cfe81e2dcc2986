//! The jobs of a configuration as the commands that they are.

use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches as _};

use super::commands::{forget, sweep};
use super::failure::Failure;
use crate::config::{ConfigError, JobConfig, Settings};

/// Flags that the daemon gives to every job itself.
const OF_THE_DAEMON: &[&str] = &["--config", "--instance", "--json"];

/// Checks what can be told of the jobs of an instance before any of them runs.
///
/// # Errors
/// As [`check_args`], and kind 2 for a job that could only ever fail.
pub(super) fn check(program: &clap::Command, settings: &Settings) -> Result<(), Failure> {
    check_args(program, settings.jobs())?;
    let mine = settings.jobs().iter().filter(|job| job.is_for(settings.instance()));
    for job in mine {
        if doubts(program, job, settings)?.contains(&RetentionDoubt::NoRule) {
            let (place, what) = (job.origin.clone(), format!("`jobs.{}`", job.name));
            let problem = "forgets what no rule of retention keeps, and no rule is set".to_owned();
            return Err(Failure::from(ConfigError::Table { place, what, problem }).hinted(
                "say in [retention] what is kept, such as keep_daily = 30, and let no `--keep-… 0` of its args switch it \
                 off; `keyhaven forget` shows what that means",
            ));
        }
    }
    Ok(())
}

/// Checks that the arguments of every job are those of its command, as the command itself would read them.
///
/// # Errors
/// Kind 2 with the job, its place in the file, and what its command says of them.
pub(super) fn check_args(program: &clap::Command, jobs: &[JobConfig]) -> Result<(), Failure> {
    for job in jobs {
        if let Some(problem) = problem(program, job) {
            let what = format!("`jobs.{}.args`", job.name);
            let error = ConfigError::Table { place: job.origin.clone(), what, problem };
            return Err(Failure::from(error).hinted(format!("`keyhaven {} --help` lists its arguments", job.kind)));
        }
    }
    Ok(())
}

fn problem(program: &clap::Command, job: &JobConfig) -> Option<String> {
    let own = |arg: &&String| OF_THE_DAEMON.iter().any(|flag| *arg == flag || arg.starts_with(&format!("{flag}=")));
    if let Some(arg) = job.args.iter().find(own) {
        return Some(format!("`{arg}` is given to every job by the daemon; leave it out"));
    }
    match parse(program, job) {
        Ok(_) => None,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Some("asks for help or the version instead of doing anything".to_owned())
        }
        Err(error) => {
            // What is wrong is one paragraph, the usage another.
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            Some(first.split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
}

fn parse(program: &clap::Command, job: &JobConfig) -> Result<ArgMatches, clap::Error> {
    let line = ["keyhaven", &job.kind].into_iter().chain(job.args.iter().map(String::as_str)).chain(["--json"]);
    program.clone().try_get_matches_from(line)
}

/// A property of a retention job that its author may not expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetentionDoubt {
    /// It forgets by a policy, and there is no rule: every run fails.
    NoRule,
    /// It keeps by number alone.
    OnlyByNumber,
    /// It has no `--apply`: it says what it would do, each time, and nothing changes.
    OnlyLooks,
}

impl RetentionDoubt {
    /// Description of the problem.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::NoRule => "no rule of retention is set, so every run fails",
            Self::OnlyByNumber => forget::ONLY_BY_NUMBER,
            Self::OnlyLooks => "it only looks, because its args lack --apply: nothing is ever forgotten or deleted",
        }
    }
}

/// What is doubtful about a job, with the settings of the instance that it is for. Nothing where its arguments are
/// wrong: [`check_args`] says that.
///
/// # Errors
/// When the rules in the configuration cannot be read.
pub(super) fn doubts(
    program: &clap::Command,
    job: &JobConfig,
    settings: &Settings,
) -> Result<Vec<RetentionDoubt>, ConfigError> {
    let mut found = Vec::new();
    let Ok(matches) = parse(program, job) else { return Ok(found) };
    let applies = match matches.subcommand() {
        Some(("forget", matches)) => forget::Arguments::from_arg_matches(matches).map(|arguments| {
            if let Some(policy) = arguments.kinds_of_rules(settings.retention()) {
                found.extend(policy.is_empty().then_some(RetentionDoubt::NoRule));
                found.extend(policy.only_by_number().then_some(RetentionDoubt::OnlyByNumber));
            }
            arguments.applies()
        }),
        Some(("sweep", matches)) => sweep::Arguments::from_arg_matches(matches).map(|arguments| arguments.applies()),
        _ => Ok(true),
    };
    found.extend((!applies.unwrap_or(true)).then_some(RetentionDoubt::OnlyLooks));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::command_line::Arguments;
    use crate::config::Layer;

    fn check(kind: &str, args: &str) -> Result<(), String> {
        let text = format!("[jobs.{kind}]\ncron = \"@daily\"\nargs = {args}\n");
        let layer = Layer::file(&text, "keyhaven.toml", Path::new("/")).unwrap();
        check_args(&Arguments::command(), Settings::build([layer]).unwrap().jobs())
            .map_err(|failure| failure.chain().join(": "))
    }

    #[test]
    fn arguments_are_those_of_the_command() {
        assert_eq!(check("backup", "[\"--full\"]"), Ok(()));
        assert_eq!(check("verify", "[\"--level\", \"payload\", \"--record\"]"), Ok(()));
        let unknown = check("backup", "[\"--ful\"]").unwrap_err();
        assert!(
            unknown.starts_with("keyhaven.toml, line 1: `jobs.backup.args`: unexpected argument '--ful'"),
            "{unknown}"
        );
        assert!(check("verify", "[\"--level\", \"deep\"]").unwrap_err().contains("invalid value 'deep'"));
        assert!(
            check("verify", "[\"--level payload\"]").unwrap_err().contains("unexpected argument"),
            "two words in one"
        );
        for flag in ["--json", "--config=x", "--instance"] {
            assert!(check("backup", &format!("[\"{flag}\"]")).unwrap_err().contains("by the daemon"), "{flag}");
        }
        // What only the command itself could read would fail at its first run.
        for (args, why) in [
            ("[\"--keep-last=many\"]", "expected a whole number from 0 to 100000"),
            ("[\"--keep-within\", \"7\"]", "expected a time with a unit"),
            ("[\"--keep-last=1\", \"--keep-suspect=0s\"]", "expected a time with a unit"),
            ("[\"--keep-last=1\", \"--zone=Europe/Berlim\"]", "Europe/Berlin"),
        ] {
            let said = check("forget", args).unwrap_err();
            assert!(said.contains(why), "{args}: {said}");
        }
        for flag in ["--help", "-h", "--version"] {
            assert!(check("backup", &format!("[\"{flag}\"]")).unwrap_err().contains("instead of doing"), "{flag}");
        }
    }

    #[test]
    fn a_job_that_forgets_has_rules() {
        let checked = |more: &str| {
            let text = format!("[jobs.forget]\ncron = \"@daily\"\n{more}");
            let layer = Layer::file(&text, "keyhaven.toml", Path::new("/")).unwrap();
            super::check(&Arguments::command(), &Settings::build([layer]).unwrap())
                .map_err(|failure| failure.chain().join(": "))
        };
        for none in ["", "args = [\"--apply\"]\n", "[retention]\nkeep_suspect = \"3d\"\n"] {
            assert!(checked(none).unwrap_err().contains("`jobs.forget`: forgets"), "{none}");
        }
        let off = "args = [\"--keep-daily=0\", \"--apply\"]\n[retention]\nkeep_daily = 7\n";
        assert!(checked(off).unwrap_err().contains("`jobs.forget`: forgets"), "its args switch the only rule off");
        for some in ["args = [\"--keep-last\", \"3\"]\n", "[retention]\nkeep_within = \"3d\"\n"] {
            assert_eq!(checked(some), Ok(()), "{some}");
        }
    }

    #[test]
    fn jobs_that_cannot_keep_or_only_look_are_doubtful() {
        let doubts = |kind: &str, args: &str, retention: &str| {
            let text = format!("[retention]\n{retention}\n[jobs.{kind}]\ncron = \"@daily\"\nargs = {args}\n");
            let layer = Layer::file(&text, "keyhaven.toml", Path::new("/")).unwrap();
            let settings = Settings::build([layer]).unwrap();
            doubts(&Arguments::command(), &settings.jobs()[0], &settings).unwrap()
        };
        use RetentionDoubt::{NoRule, OnlyByNumber, OnlyLooks};
        let apply = "[\"--apply\"]";
        assert_eq!(doubts("forget", apply, ""), [NoRule]);
        assert_eq!(doubts("forget", apply, "keep_last = 0\nkeep_suspect = \"9d\""), [NoRule]);
        assert_eq!(doubts("forget", apply, "keep_last = 5"), [OnlyByNumber]);
        assert_eq!(doubts("forget", apply, "keep_last = 5\nkeep_tags = [\"a\"]"), [OnlyByNumber]);
        assert_eq!(doubts("forget", apply, "keep_last = 5\nkeep_daily = 7"), []);
        assert_eq!(doubts("forget", "[]", "keep_within = \"7d\""), [OnlyLooks]);
        // What the job is given takes the place of the file's.
        assert_eq!(doubts("forget", "[\"--apply\", \"--keep-weekly\", \"4\"]", ""), []);
        assert_eq!(doubts("forget", "[\"--apply\", \"--keep-daily=0\"]", "keep_daily = 7"), [NoRule]);
        assert_eq!(doubts("forget", "[\"--snapshot\", \"4\", \"--reason\", \"x\", \"--apply\"]", ""), []);
        assert_eq!((doubts("sweep", "[]", ""), doubts("sweep", apply, "")), (vec![OnlyLooks], vec![]));
        assert_eq!(doubts("backup", "[]", ""), []);
    }

    #[test]
    fn every_kind_of_job_is_a_command() {
        for kind in crate::daemon::kinds::KINDS {
            let error = Arguments::try_parse_from(["keyhaven", kind.name]).err().map(|error| error.kind());
            assert_ne!(error, Some(ErrorKind::InvalidSubcommand), "{} is no command", kind.name);
        }
    }
}
