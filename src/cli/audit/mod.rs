//! The audit trail: who did what to secrets, when, and with what outcome, as JSON Lines.
//!
//! Opened before a command begins: where a trail is configured and cannot be written, a command that would leave an
//! event does not begin. A value is shown only after the event that says so has been written.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::clock::SystemClock;
use super::failure::Failure;
use super::invocation::Invocation;
use super::outcome::CommandOutcome;
use super::printer::Printer;
use super::{configured_keys, env, outcome, scheduled};
use crate::config::Settings;
use crate::daemon::audit_line::{AUDIT_EVENT, TO_STDOUT};
use crate::model::{Clock as _, FailureKind, ItemKey, Timestamp};

mod actions;
mod event;
mod sink;

use actions::{Action, SecretEffect};
use event::{
    Address, AuditEvent, AuditHost, AuditReason, AuditRequest, AuditTarget, Credential, Initiator, Observer, Response,
};
use sink::Sink;

/// The largest `/etc/passwd` that is looked into, in bytes.
const LARGEST_PASSWD: u64 = 4 * 1024 * 1024;

/// The trail of one command.
#[derive(Debug)]
pub(super) struct AuditTrail {
    action: &'static Action,
    names: bool,
    correlation: String,
    started: Timestamp,
    initiator: Initiator,
    request: AuditRequest,
    state: Mutex<AuditState>,
}

/// State that changes while the command runs.
#[derive(Debug)]
struct AuditState {
    sink: Sink,
    target: AuditTarget,
}

/// Opens the trail for a command that leaves an event, if one is configured.
///
/// # Errors
/// When it cannot be written: the command must not begin then.
pub(super) fn begin(settings: &Settings, invocation: &Invocation) -> Result<Option<AuditTrail>, Failure> {
    let Some(action) = actions::find(invocation) else { return Ok(None) };
    let Some(to) = &settings.audit().to else { return Ok(None) };
    let sink = open(to)?;
    let trail = AuditTrail {
        action,
        names: settings.audit().names,
        correlation: Uuid::new_v4().to_string(),
        started: SystemClock.now(),
        initiator: initiator(settings),
        request: AuditRequest { command: invocation.path.clone(), due: scheduled::due()? },
        state: Mutex::new(AuditState { sink, target: target(settings, action) }),
    };
    if action.is_announced() {
        let mut state = trail.state.lock().unwrap_or_else(PoisonError::into_inner);
        trail.write(&mut state, "pending", None, None).map_err(|error| {
            Failure::new(FailureKind::Failed, "the audit trail cannot be written, so nothing was done").because(error)
        })?;
    }
    Ok(Some(trail))
}

fn open(to: &str) -> Result<Sink, Failure> {
    let refused = |text: String| Failure::new(FailureKind::Failed, text);
    match to {
        "stderr" => Ok(Sink::Err("")),
        // The result goes to standard output, for the daemon as well: it hands these lines on.
        "stdout" if scheduled::by_daemon() => Ok(Sink::Err(TO_STDOUT)),
        "stdout" => Err(Failure::usage("the audit trail cannot go to standard output: that is where the result goes")
            .hinted("`audit.to = \"stdout\"` is for `keyhaven run`; set KEYHAVEN_AUDIT_TO to a file, or to stderr")),
        path => Sink::file(Path::new(path)).map_err(|error| {
            refused(format!("the audit trail {path} cannot be written, so nothing was done")).because(error).hinted(
                "make the file writable for the user that runs keyhaven; without a trail only commands run that neither \
                 open nor change anything",
            )
        }),
    }
}

/// Passes an event of a daemon's job on unchanged, outside of the log. The platform reports a stream that cannot be
/// written.
pub(super) fn hand_on(event: &str, to_stdout: bool) {
    let line = format!("{event}\n");
    let written = match to_stdout {
        true => std::io::stdout().lock().write_all(line.as_bytes()),
        false => std::io::stderr().lock().write_all(line.as_bytes()),
    };
    if let Err(error) = written {
        tracing::error!(%error, "an event of the audit trail was lost");
    }
}

impl AuditTrail {
    /// Records that a value is about to be shown. The value may be shown only after this was written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn revealing(&self, key: &ItemKey, version: &str, name: &str) -> Result<(), Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.target.id = key.to_string();
        state.target.version = Some(version.to_owned());
        state.target.name = self.names.then(|| name.to_owned());
        self.write(&mut state, "pending", None, None).map_err(|error| {
            Failure::new(FailureKind::Failed, "the audit trail cannot be written, so the value is not shown")
                .because(error)
        })
    }

    /// Records how the command ended.
    pub(super) fn end(&self, printer: &Printer, result: &Result<CommandOutcome, Failure>) {
        let kind = outcome::kind(result);
        let words = result.as_ref().err().filter(|_| self.names).map(|failure| failure.chain().join(": "));
        let reason = AuditReason {
            reason_code: kind.map_or(0, FailureKind::exit_code).to_string(),
            reason_type: meaning(kind),
            reason_for_failure: words,
        };
        let facts = outcome::facts(result);
        let response = Response {
            duration_ms: SystemClock.now().millis_since(self.started),
            sequence: facts.sequence,
            snapshot: facts.snapshot,
            requests: facts.requests,
            problems: facts.problems,
        };
        // Differences that were found, and a plan that is not empty, are results.
        let outcome = match (result, kind) {
            (Ok(_), None | Some(FailureKind::Different)) => "success",
            _ => "failure",
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.write(&mut state, outcome, Some(reason), Some(response)) {
            printer.warning(&format!("the end of this command is missing in the audit trail: {error}"));
        }
    }

    fn write(
        &self,
        state: &mut AuditState,
        outcome: &'static str,
        reason: Option<AuditReason>,
        response: Option<Response>,
    ) -> std::io::Result<()> {
        let action = format!("keyhaven.{}", self.action.name);
        let (object, verb) = self.action.name.split_once('.').unwrap_or(("", self.action.name));
        let severity = match (self.action.effect, outcome) {
            (SecretEffect::Reveals, _) => "critical",
            (_, "failure") => "warning",
            _ => "normal",
        };
        let event = AuditEvent {
            type_uri: AUDIT_EVENT,
            event_type: "activity",
            id: Uuid::new_v4().to_string(),
            correlation_id: &self.correlation,
            event_time: SystemClock.now(),
            action: &action,
            outcome,
            reason,
            severity,
            message: format!("Keyhaven: {verb} {object} {outcome}"),
            data_event: self.action.effect == SecretEffect::Reveals,
            initiator: &self.initiator,
            target: &state.target,
            observer: Observer { name: "keyhaven", type_uri: "service/security/keyhaven" },
            request_data: &self.request,
            response_data: response,
        };
        let line = serde_json::to_string(&event)?;
        state.sink.line(&line)
    }
}

fn initiator(settings: &Settings) -> Initiator {
    let uid = rustix::process::getuid().as_raw();
    let fingerprint = settings.keys().signing_key.as_ref().and_then(|_| configured_keys::signing_key(settings).ok());
    let fingerprint = fingerprint.map(|key| key.public().fingerprint().to_string());
    Initiator {
        id: format!("uid:{uid}"),
        name: user_name(uid).unwrap_or_else(|| uid.to_string()),
        type_uri: "service/security/account/user",
        authn_name: env::variable("SUDO_USER"),
        host: AuditHost { name: env::host(), agent: format!("keyhaven/{}", env!("CARGO_PKG_VERSION")) },
        credential: fingerprint.map(|fingerprint| Credential { kind: "signing-key", fingerprint }),
    }
}

/// The name of a user as the machine's own list has it.
#[expect(clippy::disallowed_methods, reason = "a file of the system, at the edge")]
fn user_name(uid: u32) -> Option<String> {
    let path = Path::new("/etc/passwd");
    if std::fs::metadata(path).ok()?.len() > LARGEST_PASSWD {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

fn target(settings: &Settings, action: &Action) -> AuditTarget {
    let source_crn = settings.source_crn();
    let standby_crn = settings.standby_crn();
    let repository_id = settings.repository_id();
    let object = action.name.split('.').next().unwrap_or_default();
    let into_standby = ["restore", "standby", "activation"].contains(&object);
    let instance = if into_standby { &standby_crn } else { &source_crn };
    let url = if into_standby { settings.standby().map(|one| one.url) } else { settings.source().map(|one| one.url) };
    let host = url.ok().and_then(|url| Some(url::Url::parse(&url).ok()?.host_str()?.to_owned()));
    let repository = repository_id.as_ref().map(|id| format!("repository:{id}"));
    AuditTarget {
        id: instance.clone().or(repository).unwrap_or_else(|| "unknown".to_owned()),
        type_uri: format!("keyhaven/{object}"),
        name: None,
        version: None,
        host: host.map(|address| Address { address }),
        repository_id,
        source_crn,
        standby_crn,
    }
}

/// The meaning of an exit code, in words that are always the same.
fn meaning(kind: Option<FailureKind>) -> &'static str {
    match kind {
        None => "done",
        Some(FailureKind::Failed) => "failed",
        Some(FailureKind::Usage) => "usage or configuration",
        Some(FailureKind::Partial) => "partial or suspect",
        Some(FailureKind::NoRepository) => "no repository there",
        Some(FailureKind::Key) => "a key is missing or does not fit",
        Some(FailureKind::Integrity) => "integrity or signature failure",
        Some(FailureKind::Stale) => "stale",
        Some(FailureKind::Different) => "a plan is not empty, or a difference was found",
        Some(FailureKind::Moved) => "the target has moved or conflicts",
        Some(FailureKind::Instance) => "the instance cannot be reached or refused us",
        Some(FailureKind::Interrupted) => "interrupted",
    }
}
