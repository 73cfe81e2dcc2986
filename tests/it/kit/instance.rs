//! Requests to an embedded instance past HTTP, and clients that neither wait for a pace nor retry for long.

use std::time::Duration;

use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{EmbeddedInstance, Verb};
use keyhaven::provider::ibm::{ClientSettings, RetrySettings};
use secrecy::SecretString;

/// One request below `/api/v2`; it must succeed.
pub(crate) fn call(instance: &EmbeddedInstance, verb: Verb, path: &str, body: &str) -> JsonObject {
    let reply = instance.call(verb, &format!("/api/v2/{path}"), body);
    assert!((200..300).contains(&reply.status), "{verb:?} {path}: {} {}", reply.status, *reply.body);
    if reply.body.is_empty() { JsonObject::default() } else { JsonObject::parse(&reply.body).unwrap() }
}

/// Writes something at a whole path; the `id` of what was made, if it has one.
pub(crate) fn write(instance: &EmbeddedInstance, verb: Verb, path: &str, body: &str) -> Option<String> {
    call(instance, verb, path.trim_start_matches("/api/v2/"), body).str("id")
}

pub(crate) fn quick_client(url: &str, iam_url: &str, key: SecretString, attempts: u32) -> ClientSettings {
    let (first, longest, within) = (Duration::from_millis(1), Duration::from_millis(2), Duration::from_secs(60));
    ClientSettings {
        requests_per_second: 10_000.0,
        retry: RetrySettings { attempts, first, longest, within },
        ..ClientSettings::new(url, iam_url, key)
    }
}
