//! A state machine with a manual clock, driven by paths and bodies.

use super::super::access::Grant;
use super::super::options::{Options, Switches};
use super::request::{ApiRequest, Verb};
use super::{Ids, InstanceState, query};
use crate::model::Timestamp;
use crate::model::json::JsonObject;

pub(crate) const DAY: i64 = 86_400_000;

pub(crate) struct Machine {
    pub(crate) state: InstanceState,
    pub(crate) now: Timestamp,
    /// Grants of the caller; `None` means all permissions.
    pub(crate) grants: Option<Vec<Grant>>,
}

/// A status and a body.
pub(crate) struct Got(pub(crate) u16, pub(crate) String);

impl Got {
    pub(crate) fn object(&self) -> JsonObject {
        JsonObject::parse(&self.1).unwrap_or_else(|error| panic!("{error}: {}", self.1))
    }

    pub(crate) fn str(&self, name: &str) -> String {
        self.object().str(name).unwrap_or_else(|| panic!("no {name} in {}", self.1))
    }

    pub(crate) fn raw(&self, name: &str) -> String {
        self.object().get(name).unwrap_or_else(|| panic!("no {name} in {}", self.1)).get().to_owned()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.object().get(name).is_some()
    }

    /// Returns the elements of a member that is a list of objects.
    pub(crate) fn rows(&self, name: &str) -> Vec<JsonObject> {
        let rows = self.object().array(name).unwrap_or_else(|| panic!("no {name} in {}", self.1));
        rows.iter().map(|row| JsonObject::parse(row.get()).unwrap()).collect()
    }
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with(Switches::default())
    }

    pub(crate) fn with(switches: Switches) -> Self {
        // 2026-11-22T14:00:00.250Z
        let now = Timestamp::from_millis(1_795_356_000_250);
        let options = Options { switches, ..Options::default() };
        Self { state: InstanceState::new(&options, Ids::new(Some(1)), now), now, grants: None }
    }

    /// Creates a machine with different ids and keys.
    pub(crate) fn with_seed(seed: u64) -> Self {
        let mut machine = Self::new();
        machine.state.ids = Ids::new(Some(seed));
        machine
    }

    pub(crate) fn later(&mut self, millis: i64) {
        self.now = self.now.plus_millis(millis);
        self.state.sweep(self.now);
    }

    fn send(&mut self, verb: Verb, target: &str, config_type: Option<&str>, body: &str) -> Got {
        let (path, text) = target.split_once('?').unwrap_or((target, ""));
        let path = format!("/api/v2/{path}");
        let grants = self.grants.as_deref();
        let request = ApiRequest { verb, path: &path, query: query(text), config_type, body, grants };
        match self.state.perform(self.now, &request) {
            Ok(answer) => Got(answer.status, answer.body.map(|body| body.to_string()).unwrap_or_default()),
            Err(refusal) => Got(refusal.status, refusal.body("test")),
        }
    }

    pub(crate) fn get(&mut self, target: &str) -> Got {
        self.send(Verb::Get, target, None, "")
    }

    pub(crate) fn get_typed(&mut self, target: &str, config_type: &str) -> Got {
        self.send(Verb::Get, target, Some(config_type), "")
    }

    pub(crate) fn post(&mut self, target: &str, body: &str) -> Got {
        self.send(Verb::Post, target, None, body)
    }

    pub(crate) fn put(&mut self, target: &str, body: &str) -> Got {
        self.send(Verb::Put, target, None, body)
    }

    pub(crate) fn patch(&mut self, target: &str, body: &str) -> Got {
        self.send(Verb::Patch, target, None, body)
    }

    pub(crate) fn patch_typed(&mut self, target: &str, config_type: &str, body: &str) -> Got {
        self.send(Verb::Patch, target, Some(config_type), body)
    }

    pub(crate) fn delete(&mut self, target: &str) -> Got {
        self.send(Verb::Delete, target, None, "")
    }

    pub(crate) fn delete_typed(&mut self, target: &str, config_type: &str) -> Got {
        self.send(Verb::Delete, target, Some(config_type), "")
    }

    /// Creates a secret with these additional members and returns its id.
    pub(crate) fn create(&mut self, secret_type: &str, name: &str, members: &str) -> String {
        let body = format!(r#"{{"secret_type":"{secret_type}","name":"{name}",{members}}}"#);
        let got = self.post("secrets", &body);
        assert_eq!(got.0, 201, "{}", got.1);
        got.str("id")
    }

    pub(crate) fn arbitrary(&mut self, name: &str) -> String {
        self.create("arbitrary", name, r#""payload":"v1""#)
    }

    /// Creates a new version of an arbitrary secret and returns its id.
    pub(crate) fn rotate_to(&mut self, id: &str, payload: &str) -> String {
        let got = self.post(&format!("secrets/{id}/versions"), &format!(r#"{{"payload":"{payload}"}}"#));
        assert_eq!(got.0, 201, "{}", got.1);
        got.str("id")
    }

    pub(crate) fn locked(&mut self, id: &str, version: &str, name: &str) {
        let body = format!(r#"{{"locks":[{{"name":"{name}"}}]}}"#);
        let got = self.post(&format!("secrets/{id}/versions/{version}/locks_bulk"), &body);
        assert_eq!(got.0, 201, "{}", got.1);
    }
}
