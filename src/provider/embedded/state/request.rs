//! Maps a method and a path to an operation.

use super::query::Query;
use super::{Answer, InstanceState, Refusal};
use crate::model::Timestamp;
use crate::provider::embedded::access::{Grant, GroupScope};

/// HTTP methods of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET
    Get,
    /// POST
    Post,
    /// PATCH
    Patch,
    /// PUT
    Put,
    /// DELETE
    Delete,
}

impl Verb {
    /// Parses an HTTP method.
    #[must_use]
    pub fn parse(method: &str) -> Option<Self> {
        match method {
            "GET" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "PATCH" => Some(Self::Patch),
            "PUT" => Some(Self::Put),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }
}

/// Class of a request, by which Keyhaven counts requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A page of an instance-wide list (secrets, locks, groups, configurations), and the registration.
    Listing,
    /// A read of one item, its versions or its locks.
    Reading,
    /// A change.
    Writing,
    /// A token exchange.
    Token,
}

/// One API request, without transport and token.
#[derive(Debug)]
pub(crate) struct ApiRequest<'a> {
    pub(crate) verb: Verb,
    /// Path without the query.
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    /// Value of `X-Sm-Accept-Configuration-Type`.
    pub(crate) config_type: Option<&'a str>,
    pub(crate) body: &'a str,
    /// Grants of the caller; `None` for a caller in this process, which may do everything.
    pub(crate) grants: Option<&'a [Grant]>,
}

const PREFIX: &str = "/api/v2/";

/// Returns the class of a request.
pub(crate) fn class_of(verb: Verb, path: &str) -> Class {
    let segments: Vec<&str> = path.strip_prefix(PREFIX).unwrap_or(path).split('/').collect();
    match (verb, segments.as_slice()) {
        (Verb::Get, ["secrets" | "secrets_locks" | "secret_groups" | "configurations"]) => Class::Listing,
        (Verb::Get, ["notifications", "registration"]) => Class::Listing,
        (Verb::Get, _) => Class::Reading,
        (_, ["identity", ..]) => Class::Token,
        _ => Class::Writing,
    }
}

impl InstanceState {
    /// Performs one request at one point in time, atomically.
    pub(crate) fn perform(&mut self, now: Timestamp, request: &ApiRequest<'_>) -> Result<Answer, Refusal> {
        let Some(path) = request.path.strip_prefix(PREFIX) else {
            return Err(Refusal::endpoint(request.path));
        };
        let segments: Vec<&str> = path.split('/').collect();
        let scope = match request.grants {
            None => GroupScope::Whole,
            Some(grants) => self.authorize(grants, request, &segments)?,
        };
        let ApiRequest { verb, query, config_type, body, .. } = request;
        match (verb, segments.as_slice()) {
            (Verb::Get, ["secret_groups"]) => Ok(self.list_groups(&scope)),
            (_, ["secret_groups", ..]) => self.groups_request(now, *verb, &segments, body),
            (Verb::Get, ["secrets"]) => self.list_secrets(query, &scope),
            (_, ["secrets", ..]) => self.secrets_request(now, request, &segments),
            (Verb::Get, ["secrets_locks"]) => self.list_secrets_locks(query, &scope),
            (_, ["configurations", ..]) => self.configurations_request(now, request, &segments, *config_type),
            (_, ["notifications", "registration", ..]) => self.registration_request(*verb, &segments, body),
            _ => Err(Refusal::missing("The endpoint")),
        }
    }

    fn groups_request(&mut self, now: Timestamp, verb: Verb, segments: &[&str], body: &str) -> Result<Answer, Refusal> {
        match (verb, segments) {
            (Verb::Post, [_]) => self.create_group(now, body),
            (Verb::Get, [_, id]) => self.get_group(id),
            (Verb::Patch, [_, id]) => self.patch_group(now, id, body),
            (Verb::Delete, [_, id]) => self.delete_group(id),
            (Verb::Get, [_, group, "secret_types", secret_type, "secrets", name]) => {
                self.get_secret_by_name(now, group, secret_type, name)
            }
            (_, [_] | [_, _]) => Err(Refusal::method()),
            _ => Err(Refusal::missing("The endpoint")),
        }
    }

    fn secrets_request(
        &mut self,
        now: Timestamp,
        request: &ApiRequest<'_>,
        segments: &[&str],
    ) -> Result<Answer, Refusal> {
        let ApiRequest { verb, query, body, .. } = request;
        match (verb, segments) {
            (Verb::Post, [_]) => self.create_secret(now, body),
            (Verb::Get, [_, id]) => self.get_secret(now, id),
            (Verb::Delete, [_, id]) => self.delete_secret(now, id, query),
            (Verb::Post, [_, id, "actions"]) => self.secret_action(now, id, body),
            (Verb::Post, [_, id, "versions", version, "actions"]) => self.version_action(now, id, version, body),
            (Verb::Get, [_, id, "metadata"]) => self.get_metadata(id),
            (Verb::Patch, [_, id, "metadata"]) => self.patch_metadata(now, id, body),
            (Verb::Get, [_, id, "locks"]) => self.list_locks(id, None, query),
            (Verb::Post, [_, id, "locks_bulk"]) => self.lock(now, id, "current", query, body),
            (Verb::Delete, [_, id, "locks_bulk"]) => self.unlock(now, id, None, query),
            (Verb::Get, [_, id, "tasks"]) => self.list_tasks(id),
            (Verb::Get, [_, id, "tasks", task]) => self.get_task(id, task),
            (Verb::Put, [_, id, "tasks", task]) => self.put_task(now, id, task, body),
            (Verb::Delete, [_, id, "tasks", task]) => self.delete_task(now, id, task),
            (Verb::Post, [_, id, "versions"]) => self.create_version(now, id, body),
            (Verb::Get, [_, id, "versions"]) => self.list_versions(id),
            (Verb::Get, [_, id, "versions", version]) => self.get_version(now, id, version),
            (Verb::Get, [_, id, "versions", version, "metadata"]) => self.get_version_metadata(id, version),
            (Verb::Patch, [_, id, "versions", version, "metadata"]) => {
                self.patch_version_metadata(now, id, version, body)
            }
            (Verb::Delete, [_, id, "versions", version, "secret_data"]) => self.delete_version_data(now, id, version),
            (Verb::Get, [_, id, "versions", version, "locks"]) => self.list_locks(id, Some(version), query),
            (Verb::Post, [_, id, "versions", version, "locks_bulk"]) => self.lock(now, id, version, query, body),
            (Verb::Delete, [_, id, "versions", version, "locks_bulk"]) => self.unlock(now, id, Some(version), query),
            (_, [_] | [_, _] | [_, _, "metadata" | "locks" | "locks_bulk" | "versions" | "tasks"]) => {
                Err(Refusal::method())
            }
            _ => Err(Refusal::missing("The endpoint")),
        }
    }

    fn configurations_request(
        &mut self,
        now: Timestamp,
        request: &ApiRequest<'_>,
        segments: &[&str],
        config_type: Option<&str>,
    ) -> Result<Answer, Refusal> {
        match (request.verb, segments) {
            (Verb::Post, [_]) => self.create_configuration(now, request.body),
            (Verb::Get, [_]) => self.list_configurations(&request.query),
            (Verb::Get, [_, name]) => self.get_configuration(name, config_type),
            (Verb::Patch, [_, name]) => self.patch_configuration(now, name, config_type, request.body),
            (Verb::Post, [_, name, "actions"]) => self.configuration_action(now, name, config_type, request.body),
            (Verb::Delete, [_, name]) => self.delete_configuration(now, name, config_type),
            (_, [_] | [_, _]) => Err(Refusal::method()),
            _ => Err(Refusal::missing("The endpoint")),
        }
    }

    fn registration_request(&mut self, verb: Verb, segments: &[&str], body: &str) -> Result<Answer, Refusal> {
        match (verb, segments) {
            (Verb::Post, [_, _]) => self.register(body),
            (Verb::Get, [_, _]) => self.get_registration(),
            (Verb::Delete, [_, _]) => self.delete_registration(),
            (Verb::Get, [_, _, "test"]) => self.test_registration(),
            _ => Err(Refusal::method()),
        }
    }
}
