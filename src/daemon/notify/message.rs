//! Messages to targets: the fields of a template.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::event::Freshness;
use crate::config::notify::Occasion;
use crate::crypto::digest;
use crate::daemon::{JobRun, RunOutcome};
use crate::model::{FailureKind, Timestamp};

/// Maximum length of an error text, in characters.
const WHY: usize = 500;

/// Subject of a notification.
#[derive(Debug, Clone)]
pub(super) struct NotificationSubject {
    job: String,
    kind: String,
    instance: String,
    why: Option<String>,
    fields: BTreeMap<&'static str, String>,
}

impl NotificationSubject {
    pub(super) fn of_run(run: &JobRun, id: Uuid) -> Self {
        let millis = u64::try_from(run.ended.millis_since(run.started)).unwrap_or(0);
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let exit = exit(run);
        let fields = BTreeMap::from([
            ("ending", run.ending.word().to_owned()),
            ("exit", exit.map(|exit| exit.to_string()).unwrap_or_default()),
            ("hint", hint(&run.ending).to_owned()),
            ("snapshot", run.facts.snapshot.map(|digest| digest.to_string()).unwrap_or_default()),
            ("sequence", number(run.facts.sequence)),
            ("problems", number(run.facts.problems)),
            ("requests", number(run.facts.requests)),
            ("started", run.started.to_string()),
            ("ended", run.ended.to_string()),
            ("duration", span(millis)),
            ("seconds", (millis / 1000).to_string()),
            ("attempt", run.attempt.to_string()),
            ("run", id.to_string()),
        ]);
        let (job, kind, instance) = (run.job.clone(), run.kind.clone(), run.instance.clone());
        Self { job, kind, instance, why: run.why.clone(), fields }
    }

    pub(super) fn of_configuration(why: Option<&str>, at: Timestamp) -> Self {
        let hint = "the daemon keeps the previous configuration; run `keyhaven config validate` to see the errors";
        let fields = BTreeMap::from([
            ("ending", if why.is_some() { "failed" } else { "succeeded" }.to_owned()),
            ("exit", if why.is_some() { FailureKind::Usage.exit_code() } else { 0 }.to_string()),
            ("hint", if why.is_some() { hint } else { "" }.to_owned()),
            ("ended", at.to_string()),
        ]);
        let (job, why) = ("new configuration".to_owned(), why.map(str::to_owned));
        Self { kind: job.clone(), job, instance: String::new(), why, fields }
    }

    pub(super) fn of_freshness(freshness: &Freshness) -> Self {
        let stale = !freshness.stale.is_empty();
        let hint = "run `keyhaven status` to see what is overdue; the reason is in the log of the last run";
        let fields = BTreeMap::from([
            ("ending", if stale { "stale" } else { "succeeded" }.to_owned()),
            ("exit", if stale { FailureKind::Stale.exit_code() } else { 0 }.to_string()),
            ("hint", if stale { hint } else { "" }.to_owned()),
            ("ended", freshness.at.to_string()),
        ]);
        let why = stale.then(|| freshness.stale.join("; "));
        Self { job: String::new(), kind: String::new(), instance: freshness.instance.clone(), why, fields }
    }
}

/// Returns the exit code of a run; `None` if it exceeded its deadline.
pub(super) fn exit(run: &JobRun) -> Option<u8> {
    match run.ending {
        RunOutcome::Succeeded => Some(0),
        RunOutcome::Partial | RunOutcome::Suspect => Some(FailureKind::Partial.exit_code()),
        RunOutcome::Failed { exit } => Some(exit),
        RunOutcome::TimedOut => None,
        RunOutcome::Interrupted => Some(FailureKind::Interrupted.exit_code()),
    }
}

/// Message for one target.
#[derive(Debug, Clone)]
pub(super) struct Message {
    fields: BTreeMap<&'static str, String>,
}

impl Message {
    /// Creates the message for a target, with names if `names` is true.
    pub(super) fn new(
        names: bool,
        occasion: Occasion,
        subject: &NotificationSubject,
        repository: &str,
        host: &str,
        now: Timestamp,
        since: Option<Timestamp>,
    ) -> Self {
        let named = |text: &str| if names { one_line(text) } else { String::new() };
        let job = if names { one_line(&subject.job) } else { subject.kind.clone() };
        let mut fields = subject.fields.clone();
        let key = format!("{repository}\n{}\n{}", subject.instance, subject.job);
        fields.extend([
            ("key", opaque(&key)),
            ("job", job),
            ("kind", subject.kind.clone()),
            ("instance", named(&subject.instance)),
            ("host", named(host)),
            ("why", named(subject.why.as_deref().unwrap_or_default())),
            ("since", since.map(|since| since.to_string()).unwrap_or_default()),
            ("time", now.to_string()),
        ]);
        let mut message = Self { fields };
        message.dress(occasion.as_str(), headline(occasion));
        message
    }

    /// Creates a test message, which reports nothing.
    pub(super) fn test(names: bool, repository: &str, host: &str, now: Timestamp) -> Self {
        let host = if names { one_line(host) } else { String::new() };
        let key = format!("{repository}\ntest");
        let mut message = Self {
            fields: BTreeMap::from([
                ("key", opaque(&key)),
                ("host", host),
                ("ending", "succeeded".to_owned()),
                ("time", now.to_string()),
                ("hint", "no action needed: sent by `keyhaven notify test` or `keyhaven doctor`".to_owned()),
            ]),
        };
        message.dress("test", "a test of this notification");
        message
    }

    /// Returns a field; empty if it is not set.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Returns all fields as a JSON object, numbers as numbers.
    pub(super) fn json(&self) -> serde_json::Value {
        const NUMBERS: &[&str] = &["exit", "sequence", "problems", "requests", "seconds", "attempt"];
        const FOR_ONE_SERVICE: &[&str] = &["priority", "tags", "action"];
        let member = |(name, text): (&&'static str, &String)| {
            let value = match text.parse::<u64>() {
                _ if text.is_empty() => serde_json::Value::Null,
                Ok(number) if NUMBERS.contains(name) => number.into(),
                _ => text.as_str().into(),
            };
            ((*name).to_owned(), value)
        };
        self.fields.iter().filter(|(name, _)| !FOR_ONE_SERVICE.contains(name)).map(member).collect()
    }

    /// Adds the title, the text and the fields that services sort by.
    fn dress(&mut self, event: &'static str, headline: &str) {
        let (severity, priority, tags) = match event {
            "stale" => ("critical", "5", "rotating_light"),
            "failure" | "suspect" => ("error", "5", "rotating_light"),
            "partial" => ("warning", "4", "warning"),
            _ => ("info", "2", "white_check_mark"),
        };
        let action = if severity == "info" { "resolve" } else { "trigger" };
        let who = [self.field("host"), self.field("instance")].into_iter().filter(|text| !text.is_empty());
        let who = who.collect::<Vec<_>>().join(", ");
        let who = if who.is_empty() { String::new() } else { format!(" ({who})") };
        let job = match self.field("job") {
            "" => String::new(),
            job => format!("{job}: "),
        };
        let title = format!("Keyhaven{who}: {job}{headline}");
        let mut text = String::new();
        for (label, name) in [
            ("error", "why"),
            ("exit code", "exit"),
            ("next", "hint"),
            ("snapshot", "sequence"),
            ("problems", "problems"),
            ("bad since", "since"),
            ("started", "started"),
            ("took", "duration"),
            ("told", "time"),
            ("run", "run"),
        ] {
            let value = self.field(name);
            let quiet = name == "exit" && value == "0" || name == "started" && self.field("ended").is_empty();
            if !value.is_empty() && !quiet {
                text.push_str(&format!("{label}: {value}\n"));
            }
        }
        self.fields.extend([
            ("event", event.to_owned()),
            ("severity", severity.to_owned()),
            ("priority", priority.to_owned()),
            ("tags", tags.to_owned()),
            ("action", action.to_owned()),
            ("title", title),
            ("text", text.trim_end().to_owned()),
        ]);
    }
}

/// Returns an opaque key for a text: a digest that does not reveal it.
fn opaque(text: &str) -> String {
    let digest = digest::sha256(text.as_bytes()).to_string();
    format!("keyhaven-{}", digest.chars().take(32).collect::<String>())
}

fn headline(occasion: Occasion) -> &'static str {
    match occasion {
        Occasion::Failure => "failed",
        Occasion::Partial => "done, but not complete",
        Occasion::Suspect => "the snapshot is suspect",
        Occasion::Stale => "the backup is older than its objective allows",
        Occasion::Recovery => "well again",
        Occasion::Success => "done",
    }
}

/// Returns the next step for an outcome, without names, so that every target may have it.
fn hint(ending: &RunOutcome) -> &'static str {
    match ending {
        RunOutcome::Succeeded | RunOutcome::Interrupted => "",
        RunOutcome::Partial => "the log of the run and `keyhaven show` name what is missing",
        RunOutcome::Suspect => {
            "compare with `keyhaven diff`; a custodian runs `keyhaven snapshots accept` when it is right"
        }
        RunOutcome::TimedOut => "see the run's log for its progress; consider a longer `deadline` for the job",
        RunOutcome::Failed { exit: 2 } => "`keyhaven config validate` names what is wrong",
        RunOutcome::Failed { exit: 10 } => "no repository at the configured location; run `keyhaven doctor`",
        RunOutcome::Failed { exit: 12 } => "a key is missing or wrong; run `keyhaven doctor`",
        RunOutcome::Failed { exit: 13 } => {
            "`keyhaven verify` names every damaged object; keep the bucket as it is until then"
        }
        RunOutcome::Failed { exit: 14 } => "`keyhaven status` says what is missing since when",
        RunOutcome::Failed { exit: 15 } => "`keyhaven drift` lists the differences",
        RunOutcome::Failed { exit: 16 } => "the target has changed or conflicts; see the run's log",
        RunOutcome::Failed { exit: 17 } => "the instance is unreachable or denied access; run `keyhaven doctor`",
        RunOutcome::Failed { .. } => "the log of the run says why; `keyhaven doctor` checks everything it needs",
    }
}

/// Returns a text on one line, shortened to the maximum length.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WHY).collect()
}

/// Formats a duration in its two largest units.
fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}
