//! Whether a job can do what it is there for: its arguments, and what they need of the rest of the configuration.

use std::path::PathBuf;

use super::row::Rows;
use crate::cli::jobs::{self, RetentionDoubt};
use crate::cli::key_file;
use crate::config::{JobConfig, Settings};
use crate::crypto::Identities;
use crate::model::FailureKind;

/// Adds a row for each thing that would make the job fail, or do nothing, whenever it runs.
pub(super) fn rows(rows: &mut Rows, program: &clap::Command, settings: &Settings, job: &JobConfig) {
    let what = "job";
    let name = &job.name;
    if let Err(failure) = jobs::check_args(program, std::slice::from_ref(job)) {
        return rows.failed(what, &failure, "correct its args");
    }
    let args = format!("jobs.{name}.args");
    let kind = job.kind.as_str();
    let payload = kind == "verify" && value(job, "--level") == Some("payload");
    let identity = settings.keys().recovery_identity_file.is_some() || value(job, "--identity").is_some();
    if (payload || kind == "sync") && !identity {
        rows.bad(
            what,
            FailureKind::Key,
            format!("{name} ({kind}) opens payloads, and no recovery identity is named"),
            format!(
                "set keys.recovery_identity_file, on a host that backs nothing up; or let `{name}` do without payloads"
            ),
        );
    }
    if (payload || kind == "sync") && asks(settings, job) {
        rows.bad(
            what,
            FailureKind::Key,
            format!("{name} ({kind}) would ask for the passphrase of the recovery identity, and nobody is there"),
            format!("put \"--passphrase-file\" and a file into {args}, or name an identity without a passphrase"),
        );
    }
    if kind == "verify"
        && value(job, "--slice").is_some_and(|slice| slice.starts_with("next/"))
        && !has(job, "--record")
    {
        let found = format!("{name} (verify) is to open the next slice, and records none: it refuses to run");
        rows.bad(what, FailureKind::Usage, found, format!("put \"--record\" into {args}"));
    }
    if matches!(kind, "sync" | "drift") && !settings.is_set("standby.url") {
        let found = format!("{name} ({kind}) is about a standby, and none is configured");
        rows.bad(what, FailureKind::Usage, found, format!("set standby.url and its API key, or take jobs.{name} out"));
    }
    if kind == "sync" && !has(job, "--apply") && (!settings.sync().apply || has(job, "--dry-run")) {
        looks(rows, job);
    }
    retention(rows, program, settings, job);
}

/// Properties of a retention job that its author may not expect.
fn retention(rows: &mut Rows, program: &clap::Command, settings: &Settings, job: &JobConfig) {
    let (what, name, kind) = ("job", &job.name, &job.kind);
    // Rules that cannot be read are refused with the configuration, before anything is asked here.
    for doubt in jobs::doubts(program, job, settings).unwrap_or_default() {
        match doubt {
            RetentionDoubt::NoRule => rows.bad(
                what,
                FailureKind::Usage,
                format!("{name} ({kind}): {}", doubt.text()),
                format!("set one of retention.keep_…, and let no `--keep-… 0` in jobs.{name}.args switch it off"),
            ),
            RetentionDoubt::OnlyByNumber => rows.warning(
                what,
                format!("{name} ({kind}): {}", doubt.text()),
                "set a rule by time in [retention], such as keep_daily = 35",
            ),
            RetentionDoubt::OnlyLooks => looks(rows, job),
        }
    }
}

fn looks(rows: &mut Rows, job: &JobConfig) {
    let found = format!("{} ({}) only says what it would do: it lacks --apply", job.name, job.kind);
    let mend = format!("put \"--apply\" into jobs.{}.args, once its dry run says what you want", job.name);
    rows.warning("job", found, mend);
}

/// Whether a flag is among the arguments, with or without a value.
pub(super) fn has(job: &JobConfig, flag: &str) -> bool {
    job.args.iter().any(|arg| arg.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
}

/// The value of a flag among the arguments, as `--flag value` or `--flag=value`.
fn value<'j>(job: &'j JobConfig, flag: &str) -> Option<&'j str> {
    let after = job.args.iter().skip_while(|arg| *arg != flag).nth(1).map(String::as_str);
    after.or_else(|| job.args.iter().find_map(|arg| arg.strip_prefix(flag)?.strip_prefix('=')))
}

/// Returns true if its recovery identity needs a passphrase, which only a person at a terminal can give.
fn asks(settings: &Settings, job: &JobConfig) -> bool {
    let file = value(job, "--identity")
        .map(PathBuf::from)
        .or_else(|| settings.keys().recovery_identity_file.clone().map(|file| file.0));
    let sealed = |file: PathBuf| key_file::read_unless(&file, "recovery identity", Identities::is_encrypted);
    let text = file.and_then(|file| sealed(file).ok());
    text.is_some_and(|text| Identities::is_encrypted(&text)) && !has(job, "--passphrase-file")
}
