//! Every key of the configuration, once.

use super::value::ValueKind;

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKey {
    /// Section and name, `section.name`; no section for the keys at the top.
    pub path: &'static str,
    /// Its type.
    pub kind: ValueKind,
    /// Its default, as it would be typed.
    pub default: Option<&'static str>,
    /// A value for the commented file, as TOML.
    pub example: &'static str,
    /// What it does, for the commented file. Wrapped there.
    pub about: &'static str,
}

/// The sections in the order of the commented file, each with what it is for.
pub const SECTIONS: &[(&str, &str)] = &[
    ("", ""),
    ("source", "The instance that is backed up."),
    ("standby", "The instance that a restore writes into. Only hosts that restore need it."),
    ("repository", "Where the backups go: a prefix in a bucket, or a folder."),
    ("keys", "Keys by reference: no key stands in this file."),
    ("backup", "How a backup runs."),
    ("retention", "Which snapshots `keyhaven forget` keeps. Without a rule it refuses to give up anything."),
    (
        "restore",
        "How a restore treats what the standby has already. Which items become what: see the tables at the end.",
    ),
    ("prepare", "How `keyhaven prepare-standby` gets signatures of the source."),
    ("sync", "How `keyhaven sync` keeps a standby in step. Only hosts that hold a recovery key run it."),
    (
        "objectives",
        "What is wanted of the backups: `keyhaven status` measures against it, and so do metrics and alerts.",
    ),
    (
        "hooks",
        "Programs that run around a job: a list of the program and its arguments, no shell. They get KEYHAVEN_JOB, \
         KEYHAVEN_ENDING and more in their environment, and none of our keys.",
    ),
    ("audit", "A trail of every command that touches secrets, as JSON Lines."),
    ("log", "The log on standard error."),
    ("daemon", "How `keyhaven run` runs the jobs of the tables [jobs.NAME]."),
    ("metrics", "What Prometheus is told. The daemon serves the same at daemon.listen."),
];

/// The provider's own address for tokens.
pub const IAM_URL: &str = "https://iam.cloud.ibm.com";

/// Keys of earlier versions, each with what took its place.
pub(super) const REMOVED: &[(&str, &str)] = &[("keys.recovery_recipients", SEALED_TO), ("keys.auditors", SEALED_TO)];
const SEALED_TO: &str = "whom backups are sealed to is in the trust policy: `keyhaven recipients list`";

const fn key(
    path: &'static str,
    kind: ValueKind,
    default: Option<&'static str>,
    example: &'static str,
    about: &'static str,
) -> ConfigKey {
    ConfigKey { path, kind, default, example, about }
}

/// Every key, in the order of the commented file.
pub const KEYS: &[ConfigKey] = &[
    key(
        "state_dir",
        ValueKind::Path,
        None,
        r#""/var/lib/keyhaven""#,
        "What this host remembers of each repository: heads, trust policy, entries on their way. No secrets. Default: \
         $STATE_DIRECTORY, else $XDG_STATE_HOME/keyhaven, else ~/.local/state/keyhaven.",
    ),
    key(
        "source.url",
        ValueKind::Url,
        None,
        r#""https://INSTANCE-ID.eu-de.secrets-manager.appdomain.cloud""#,
        "The service URL of the instance. Plain http is for loopback only.",
    ),
    key(
        "source.iam_url",
        ValueKind::Url,
        Some(IAM_URL),
        r#""https://iam.cloud.ibm.com""#,
        "Where an API key is exchanged for a token.",
    ),
    key(
        "source.crn",
        ValueKind::Text,
        None,
        r#""crn:v1:bluemix:public:secrets-manager:eu-de:a/ACCOUNT:INSTANCE-ID::""#,
        "The CRN of the instance. `init` writes it into the trust policy. Default: `init` asks the instance.",
    ),
    key(
        "source.api_key_file",
        ValueKind::Path,
        None,
        r#""/etc/keyhaven/source-api-key""#,
        "A file with the API key, not readable by the world. The identity needs the role SecretsReader on the instance \
         and, for the values of configurations, configurations.list and configuration.read in a custom role. Or name an \
         environment variable or a systemd credential instead.",
    ),
    key("source.api_key_env", ValueKind::Text, None, r#""KEYHAVEN_SOURCE_API_KEY""#, ""),
    key("source.api_key_credential", ValueKind::Text, None, r#""source-api-key""#, ""),
    key(
        "source.ca_file",
        ValueKind::Path,
        None,
        r#""/etc/keyhaven/ca.pem""#,
        "Trust only these CA certificates (PEM) instead of the system's.",
    ),
    key(
        "source.requests_per_second",
        ValueKind::Rate,
        Some("5"),
        "5",
        "The pace of all our requests together. The provider advises 20 for all clients of an instance, and the \
         applications are among them.",
    ),
    key(
        "source.read_types",
        ValueKind::Texts,
        None,
        "[]",
        "Secret types that Keyhaven does not know and whose payloads it shall read all the same. Only for types where \
         a read changes nothing in the source.",
    ),
    key(
        "standby.url",
        ValueKind::Url,
        None,
        r#""https://STANDBY-ID.eu-gb.secrets-manager.appdomain.cloud""#,
        "The service URL of the standby.",
    ),
    key(
        "standby.iam_url",
        ValueKind::Url,
        Some(IAM_URL),
        r#""https://iam.cloud.ibm.com""#,
        "Where an API key is exchanged for a token.",
    ),
    key(
        "standby.crn",
        ValueKind::Text,
        None,
        r#""crn:v1:bluemix:public:secrets-manager:eu-gb:a/ACCOUNT:STANDBY-ID::""#,
        "The CRN of the standby.",
    ),
    key(
        "standby.api_key_file",
        ValueKind::Path,
        None,
        r#""/etc/keyhaven/standby-api-key""#,
        "A file with the API key; the identity needs the role Manager on the standby and none on the source. Or name \
         an environment variable or a systemd credential instead.",
    ),
    key("standby.api_key_env", ValueKind::Text, None, r#""KEYHAVEN_STANDBY_API_KEY""#, ""),
    key("standby.api_key_credential", ValueKind::Text, None, r#""standby-api-key""#, ""),
    key(
        "standby.ca_file",
        ValueKind::Path,
        None,
        r#""/etc/keyhaven/ca.pem""#,
        "Trust only these CA certificates (PEM) instead of the system's.",
    ),
    key(
        "standby.requests_per_second",
        ValueKind::Rate,
        Some("20"),
        "20",
        "The pace of all our requests to the standby together.",
    ),
    key(
        "repository.url",
        ValueKind::Location,
        None,
        r#""s3://BUCKET/PREFIX""#,
        "A bucket and prefix, or a folder. One repository is one source instance.",
    ),
    key(
        "repository.id",
        ValueKind::Text,
        None,
        r#""64 hexadecimal digits""#,
        "The repository id that `init` printed. It pins everything that the repository says.",
    ),
    key(
        "repository.policy",
        ValueKind::Pins,
        None,
        r#"["000002-64 hexadecimal digits"]"#,
        "Versions of the trust policy that this host relies on, whatever the bucket shows: each its reference, or the \
         reference, a space and its bytes in Base64. `keyhaven trust publish` prints that line. The newest one is enough.",
    ),
    key(
        "repository.endpoint",
        ValueKind::Url,
        None,
        r#""https://s3.eu-gb.cloud-object-storage.appdomain.cloud""#,
        "The S3 endpoint. Choose a bucket outside the region of the source.",
    ),
    key("repository.region", ValueKind::Text, None, r#""eu-gb""#, "The bucket's region."),
    key(
        "repository.access_key_id_file",
        ValueKind::Path,
        None,
        r#""/etc/keyhaven/s3-access-key-id""#,
        "The HMAC key of the bucket, in two parts; each as a file, an environment variable or a systemd credential.",
    ),
    key("repository.access_key_id_env", ValueKind::Text, None, r#""KEYHAVEN_REPOSITORY_ACCESS_KEY_ID""#, ""),
    key("repository.access_key_id_credential", ValueKind::Text, None, r#""s3-access-key-id""#, ""),
    key("repository.secret_access_key_file", ValueKind::Path, None, r#""/etc/keyhaven/s3-secret-access-key""#, ""),
    key("repository.secret_access_key_env", ValueKind::Text, None, r#""KEYHAVEN_REPOSITORY_SECRET_ACCESS_KEY""#, ""),
    key("repository.secret_access_key_credential", ValueKind::Text, None, r#""s3-secret-access-key""#, ""),
    key(
        "repository.ca_file",
        ValueKind::Path,
        None,
        r#""/etc/keyhaven/ca.pem""#,
        "Trust also these CA certificates (PEM) when talking to the bucket.",
    ),
    key(
        "keys.signing_key_file",
        ValueKind::Path,
        None,
        r#""/etc/keyhaven/signing-key.pem""#,
        "The key that signs this host's entries (Ed25519, PKCS#8 PEM). `init` makes it.",
    ),
    key("keys.signing_key_env", ValueKind::Text, None, r#""KEYHAVEN_KEYS_SIGNING_KEY""#, ""),
    key("keys.signing_key_credential", ValueKind::Text, None, r#""signing-key""#, ""),
    key(
        "keys.catalogue_key_file",
        ValueKind::Path,
        None,
        r#""/etc/keyhaven/catalogue-key.txt""#,
        "The age identity that opens catalogues, never packs. `init` makes it.",
    ),
    key("keys.catalogue_key_env", ValueKind::Text, None, r#""KEYHAVEN_KEYS_CATALOGUE_KEY""#, ""),
    key("keys.catalogue_key_credential", ValueKind::Text, None, r#""catalogue-key""#, ""),
    key(
        "keys.recovery_identity_file",
        ValueKind::Path,
        None,
        r#""/media/recovery/identity.txt""#,
        "The age identity that opens packs. Only on a host that restores, never on one that backs up.",
    ),
    key(
        "keys.recovery_key_on_collector",
        ValueKind::Accepted,
        None,
        r#""accepted""#,
        "Lets a backup run although this host holds a recovery identity; every entry then says so.",
    ),
    key(
        "backup.full_every",
        ValueKind::Period,
        Some("7d"),
        r#""7d""#,
        "Every item is read again within this time, each at its own moment.",
    ),
    key(
        "backup.max_shrink",
        ValueKind::Share,
        Some("20%"),
        r#""20%""#,
        "A listing that lacks more than this share of the largest good snapshot of the last 7 days makes the snapshot \
         suspect.",
    ),
    key(
        "backup.allow_empty",
        ValueKind::Flag,
        Some("false"),
        "false",
        "Take a listing without any secret for the truth instead of for a failure.",
    ),
    key(
        "backup.allow_partial",
        ValueKind::Flag,
        Some("false"),
        "false",
        "Exit with 0 although the values of configurations are refused, because the identity lacks configuration.read. The \
         snapshot says all the same that it lacks them.",
    ),
    key("backup.compression_level", ValueKind::Level, Some("3"), "3", "zstd level of packs and catalogues, 1 to 19."),
    key(
        "backup.tags",
        ValueKind::Texts,
        None,
        r#"["production"]"#,
        "What every snapshot of this host is tagged with, at most 16; anybody with read access to the bucket can see it.",
    ),
    key("retention.keep_last", ValueKind::Count, None, "96", "Keep the last so many good snapshots."),
    key(
        "retention.keep_hourly",
        ValueKind::Count,
        None,
        "48",
        "Keep the last good snapshot of each of so many hours that have one; the same for days, weeks from Monday, months \
         and years. 0 is no rule.",
    ),
    key("retention.keep_daily", ValueKind::Count, None, "35", ""),
    key("retention.keep_weekly", ValueKind::Count, None, "13", ""),
    key("retention.keep_monthly", ValueKind::Count, None, "24", ""),
    key("retention.keep_yearly", ValueKind::Count, None, "7", ""),
    key(
        "retention.keep_within",
        ValueKind::Period,
        None,
        r#""7d""#,
        "Keep every good snapshot that is no older than this, measured from the newest good one. No flood of new \
         snapshots pushes these out.",
    ),
    key("retention.keep_tags", ValueKind::Texts, None, r#"["release"]"#, "Keep every snapshot with one of these tags."),
    key(
        "retention.keep_suspect",
        ValueKind::Period,
        Some("30d"),
        r#""30d""#,
        "Suspect snapshots stay at least so long, and as long as nothing newer is good and verified.",
    ),
    key(
        "retention.zone",
        ValueKind::Text,
        Some("UTC"),
        r#""Europe/Berlin""#,
        "The IANA time zone in which hours, days, weeks, months and years begin.",
    ),
    key(
        "restore.on_conflict",
        ValueKind::OneOf {
            words: &["fail", "skip", "new-version", "replace"],
            expected: "\"fail\", \"skip\", \"new-version\" or \"replace\"",
        },
        Some("fail"),
        r#""fail""#,
        "What to do about an item of the standby that holds something of its own: report it, leave it alone, put the \
         snapshot's content on top as a new version, or delete it and create it anew.",
    ),
    key(
        "prepare.source_api_key_file",
        ValueKind::Path,
        None,
        r#""/etc/keyhaven/source-manager-api-key""#,
        "A file with an API key of the source that has the role Manager: only that role may let an authority sign. \
         Without it the key of the section source is used. Keep it away from the host that backs up.",
    ),
    key("prepare.source_api_key_env", ValueKind::Text, None, r#""KEYHAVEN_PREPARE_SOURCE_API_KEY""#, ""),
    key("prepare.source_api_key_credential", ValueKind::Text, None, r#""source-manager-api-key""#, ""),
    key(
        "sync.apply",
        ValueKind::Flag,
        Some("false"),
        "false",
        "Change the standby. Without it `sync` only says what it would do, unless it is run with --apply.",
    ),
    key(
        "sync.delay",
        ValueKind::Period,
        Some("1h"),
        r#""1h""#,
        "Only snapshots that are at least this old are brought into the standby, so that a corruption of the source does \
         not travel at once. \"1s\" is as good as none.",
    ),
    key(
        "sync.delete",
        ValueKind::Flag,
        Some("false"),
        "false",
        "Delete from the standby what a restore made and the source has lost since. Nothing else is ever deleted.",
    ),
    key(
        "sync.max_change",
        ValueKind::Share,
        Some("20%"),
        r#""20%""#,
        "A run that would change or delete more than this share of the standby's items changes nothing and says so.",
    ),
    key(
        "objectives.rpo",
        ValueKind::Period,
        None,
        r#""1h""#,
        "The recovery point objective: how old the newest good snapshot may become before the backups are stale. Twice the \
         interval of the schedule leaves room for one run that failed.",
    ),
    key(
        "objectives.verified_within",
        ValueKind::Period,
        None,
        r#""7d""#,
        "How long ago the last recorded verification (level objects or deeper) may be before the backups are stale.",
    ),
    key(
        "hooks.run_before",
        ValueKind::Texts,
        None,
        r#"["/usr/local/bin/before-backup", "--quiet"]"#,
        "Before a run. When it fails, the run does not start and counts as failed.",
    ),
    key(
        "hooks.run_after",
        ValueKind::Texts,
        None,
        r#"["/usr/local/bin/after-backup"]"#,
        "After a run that did everything.",
    ),
    key("hooks.run_failed", ValueKind::Texts, None, r#"["/usr/local/bin/backup-failed"]"#, "After a run that did not."),
    key(
        "hooks.run_finally",
        ValueKind::Texts,
        None,
        r#"["/usr/local/bin/backup-over"]"#,
        "After every run, also after one that was interrupted.",
    ),
    key(
        "hooks.timeout",
        ValueKind::Period,
        Some("5m"),
        r#""5m""#,
        "How long a hook may take; then it is killed with everything that it started.",
    ),
    key(
        "audit.to",
        ValueKind::Text,
        None,
        r#""/var/log/keyhaven/audit.jsonl""#,
        "A file that lines are appended to, or \"stderr\", or, for the daemon, \"stdout\". While it cannot be written, commands that reveal or \
         change something refuse to start.",
    ),
    key(
        "audit.names",
        ValueKind::Flag,
        Some("false"),
        "false",
        "Name a revealed secret by its name, too, not by its id alone.",
    ),
    key(
        "log.format",
        ValueKind::OneOf { words: &["text", "json"], expected: "\"text\" or \"json\"" },
        None,
        r#""json""#,
        "How lines are written. Without it `keyhaven run` writes JSON where standard error is no terminal, and text \
         everywhere else.",
    ),
    key(
        "daemon.listen",
        ValueKind::Text,
        None,
        r#""127.0.0.1:9464""#,
        "Where /metrics, /healthz and /readyz are served. Without it they are not.",
    ),
    key(
        "daemon.takeover_after",
        ValueKind::Period,
        Some("60s"),
        r#""60s""#,
        "How long a daemon that did not run a job last waits for the one that did before it takes the run over; longer where \
         runs are seen to take longer.",
    ),
    key("daemon.max_running", ValueKind::Level, Some("4"), "4", "How many jobs run at once at most, 1 to 19."),
    key(
        "daemon.stop_within",
        ValueKind::Period,
        Some("15m"),
        r#""15m""#,
        "How long jobs may take to end when the daemon is asked to; then they are killed. They end at their next safe point; \
         less than the default may kill one whose entry is on its way to a slow store.",
    ),
    key(
        "daemon.lease_url",
        ValueKind::Location,
        None,
        r#""s3://LEASE-BUCKET/keyhaven""#,
        "Where daemons that share a repository agree on who runs a job: a bucket without versions and without locks, at the \
         repository's endpoint and with its credentials, or a folder that all of them see. Without it what the ledger shows \
         decides alone.",
    ),
    key(
        "daemon.lease_term",
        ValueKind::Period,
        Some("60s"),
        r#""60s""#,
        "How long after the last sign of a daemon its lease ends. It is renewed three times in that time while a job runs.",
    ),
    key(
        "metrics.textfile",
        ValueKind::Path,
        None,
        r#""/var/lib/prometheus/node-exporter/keyhaven.prom""#,
        "Where every command that is run by hand or by a timer leaves its metrics for node_exporter's textfile collector, \
         which reads only names that end in `.prom`. Several instances may share one file.",
    ),
    key(
        "metrics.names",
        ValueKind::Flag,
        Some("false"),
        "false",
        "Name certificates and secrets that expire soon in metrics, instead of only their type. Whoever reads the metrics \
         then learns these names.",
    ),
];

/// The secrets that a configuration names: each as `…_file`, `…_env` or `…_credential`.
pub const SECRETS: &[&str] = &[
    "source.api_key",
    "standby.api_key",
    "prepare.source_api_key",
    "repository.access_key_id",
    "repository.secret_access_key",
    "keys.signing_key",
    "keys.catalogue_key",
];

/// The key of that path.
#[must_use]
pub fn find(path: &str) -> Option<&'static ConfigKey> {
    KEYS.iter().find(|key| key.path == path)
}

/// The environment variable of a key or a secret: `source.url` is `KEYHAVEN_SOURCE_URL`.
#[must_use]
pub fn variable(path: &str) -> String {
    format!("KEYHAVEN_{}", path.replace('.', "_").to_uppercase())
}

/// The secret that a key refers to, if it is such a reference.
#[must_use]
pub fn secret_of(path: &str) -> Option<&'static str> {
    SECRETS.iter().copied().find(|secret| {
        path.strip_prefix(secret).is_some_and(|suffix| matches!(suffix, "_file" | "_env" | "_credential"))
    })
}

/// The known key that looks most like an unknown one, if any does.
#[must_use]
pub fn nearest(path: &str) -> Option<&'static str> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let whole = KEYS.iter().map(|key| (key.path, strsim::jaro_winkler(key.path, path)));
    // The right name in the wrong section is the commonest slip.
    let moved = KEYS.iter().filter(|key| key.path.rsplit('.').next() == Some(name)).map(|key| (key.path, 0.9));
    whole.chain(moved).filter(|(_, score)| *score > 0.8).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(path, _)| path)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_key_stands_once_in_a_known_section_with_a_default_of_its_type() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS.iter().skip(at + 1).all(|other| other.path != key.path), "{} twice", key.path);
            let section = key.path.rsplit_once('.').map_or("", |(section, _)| section);
            assert!(SECTIONS.iter().any(|(name, _)| *name == section), "{} has no section", key.path);
            if let Some(default) = key.default {
                assert!(key.kind.read_text(default, Path::new("")).is_ok(), "default of {}", key.path);
            }
        }
    }

    #[test]
    fn every_secret_can_be_given_in_three_ways() {
        for secret in SECRETS {
            for suffix in ["_file", "_env", "_credential"] {
                assert!(find(&format!("{secret}{suffix}")).is_some(), "{secret}{suffix}");
            }
        }
    }

    #[test]
    fn a_slip_finds_its_key() {
        assert_eq!(nearest("source.urll"), Some("source.url"));
        assert_eq!(nearest("repository.regoin"), Some("repository.region"));
        assert_eq!(nearest("source.compression_level"), Some("backup.compression_level"));
        assert_eq!(nearest("xyzzy"), None);
    }
}
