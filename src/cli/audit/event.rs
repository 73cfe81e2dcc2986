//! The shape of an event: that of IBM Cloud's activity tracking events, which follow CADF.

use serde::Serialize;

use crate::model::{Digest, ScheduledRun, Timestamp};

/// One event, one line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditEvent<'e> {
    #[serde(rename = "typeURI")]
    pub(super) type_uri: &'static str,
    pub(super) event_type: &'static str,
    pub(super) id: String,
    /// The same in the events of one command.
    pub(super) correlation_id: &'e str,
    pub(super) event_time: Timestamp,
    pub(super) action: &'e str,
    /// `pending` before a value is shown, else `success` or `failure`.
    pub(super) outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<AuditReason>,
    /// `normal`, `warning` or `critical`.
    pub(super) severity: &'static str,
    pub(super) message: String,
    /// True if it is about the content of secrets.
    pub(super) data_event: bool,
    pub(super) initiator: &'e Initiator,
    pub(super) target: &'e AuditTarget,
    pub(super) observer: Observer,
    pub(super) request_data: &'e AuditRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_data: Option<Response>,
}

/// Outcome of the action.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditReason {
    /// The exit code, as text like all codes there.
    pub(super) reason_code: String,
    /// Its meaning, in fixed words.
    pub(super) reason_type: &'static str,
    /// The error's own words, which may hold names: only where names are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason_for_failure: Option<String>,
}

/// Initiator of the action.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Initiator {
    /// `uid:NUMBER`.
    pub(super) id: String,
    pub(super) name: String,
    #[serde(rename = "typeURI")]
    pub(super) type_uri: &'static str,
    /// The user who called sudo, if sudo reports one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authn_name: Option<String>,
    pub(super) host: AuditHost,
    /// The key that signs for this host, by its fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) credential: Option<Credential>,
}

/// Where.
#[derive(Debug, Serialize)]
pub(super) struct AuditHost {
    pub(super) name: String,
    pub(super) agent: String,
}

/// A key.
#[derive(Debug, Serialize)]
pub(super) struct Credential {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) fingerprint: String,
}

/// Target of the action. Ids only; the name of a secret if names are allowed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditTarget {
    /// The item that was revealed, else the CRN of the instance, else the repository.
    pub(super) id: String,
    #[serde(rename = "typeURI")]
    pub(super) type_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// The version that was revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    /// The host of the instance, which names it where no CRN is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_crn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) standby_crn: Option<String>,
}

/// A host that was spoken to.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Address {
    pub(super) address: String,
}

/// Writer of the event.
#[derive(Debug, Serialize)]
pub(super) struct Observer {
    pub(super) name: &'static str,
    #[serde(rename = "typeURI")]
    pub(super) type_uri: &'static str,
}

/// The requested value.
#[derive(Debug, Serialize)]
pub(super) struct AuditRequest {
    pub(super) command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<ScheduledRun>,
}

/// Result: numbers and digests.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    pub(super) duration_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) snapshot: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requests: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problems: Option<u64>,
}
