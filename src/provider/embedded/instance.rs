//! Handle of an instance, as used by the server, the tests and the demo.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::access::{ApiKey, Caller, Keyring};
use super::clock::InstanceClock;
use super::counters::Counters;
use super::faults::{Act, FaultPlayer, Faults, SeenRequest, When};
use super::history::{History, PastInstance};
use super::options::{Options, Switches};
use super::state::{Answer, ApiRequest, ForbiddenAct, Ids, InstanceState, Items, Planted, Refusal, Verb};
use super::tokens::Tokens;
use crate::model::{Clock, Timestamp};

/// An embedded instance. Clones share it.
#[derive(Clone)]
pub struct EmbeddedInstance(Arc<SharedInstance>);

struct SharedInstance {
    options: Options,
    inner: Mutex<InstanceInner>,
    changed: Notify,
}

struct InstanceInner {
    state: InstanceState,
    history: Option<History>,
    tokens: Tokens,
    keys: Keyring,
    faults: Faults,
    counters: Counters,
}

/// Response to a caller in the same process.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Response body; empty if there is none.
    pub body: Zeroizing<String>,
}

impl EmbeddedInstance {
    /// Creates an empty instance that contains only the default group.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let now = options.clock.now();
        let state = InstanceState::new(&options, Ids::new(options.ids), now);
        Self::with_state(options, state)
    }

    /// Creates an instance with these items.
    #[must_use]
    pub fn with_items(options: Options, items: &Items) -> Self {
        let now = options.clock.now();
        let mut state = InstanceState::new(&options, Ids::beside(options.ids, items), now);
        state.replace(items);
        Self::with_state(options, state)
    }

    fn with_state(options: Options, mut state: InstanceState) -> Self {
        state.changes.clear();
        let now = options.clock.now();
        let history = options.history.then(|| History::new(now, state.items.clone(), state.renderer.clone()));
        let inner = InstanceInner {
            history,
            // Tokens are valid only within one run.
            tokens: Tokens::new(Uuid::new_v4().to_string()),
            keys: Keyring::new(options.api_key.clone(), options.keys.clone()),
            faults: Faults::default(),
            counters: Counters::default(),
            state,
        };
        Self(Arc::new(SharedInstance { options, inner: Mutex::new(inner), changed: Notify::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, InstanceInner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the options that it was created with. Its switches may have changed since.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Returns its CRN.
    #[must_use]
    pub fn crn(&self) -> String {
        self.0.options.crn()
    }

    /// Returns its clock.
    #[must_use]
    pub fn clock(&self) -> &InstanceClock {
        &self.0.options.clock
    }

    /// Returns its current switches.
    #[must_use]
    pub fn switches(&self) -> Switches {
        self.lock().state.switches
    }

    /// Changes its switches from now on.
    pub fn set_switches(&self, switches: Switches) {
        self.lock().state.set_switches(switches);
    }

    /// Performs a request without transport, token, faults and counters: for writers in the same process.
    ///
    /// `target` is a path with its query, `/api/v2/secrets?limit=10`; `body` is empty if there is none.
    pub fn call(&self, verb: Verb, target: &str, body: &str) -> Reply {
        self.call_typed(verb, target, None, body)
    }

    /// Does the same with a configuration type, for names that several types share.
    pub fn call_typed(&self, verb: Verb, target: &str, config_type: Option<&str>, body: &str) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = super::state::query(query);
        match self.perform(&ApiRequest { verb, path, query, config_type, body, grants: None }) {
            Ok(answer) => Reply { status: answer.status, body: answer.body.unwrap_or_default() },
            Err(refusal) => Reply { status: refusal.status, body: Zeroizing::new(refusal.body("in-process")) },
        }
    }

    pub(crate) fn perform(&self, request: &ApiRequest<'_>) -> Result<Answer, Refusal> {
        self.change(|state, now| state.perform(now, request))
    }

    /// Runs a function on the state at one point in time, after applying time-based changes, and logs all changes.
    pub(crate) fn change<T>(&self, run: impl FnOnce(&mut InstanceState, Timestamp) -> T) -> T {
        let mut inner = self.lock();
        // Read the clock under the lock, so that times in the log never decrease.
        let now = self.clock().now();
        inner.state.sweep(now);
        let result = run(&mut inner.state, now);
        let changes = std::mem::take(&mut inner.state.changes);
        if !changes.is_empty() {
            self.0.changed.notify_one();
        }
        if let Some(history) = &mut inner.history {
            changes.into_iter().for_each(|change| history.push(now, change));
        }
        result
    }

    /// Waits until something has changed since the previous call.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Adds a secret without the API's checks and returns its id.
    pub fn plant(&self, planted: &Planted) -> String {
        self.change(|state, now| state.plant(now, planted))
    }

    /// Returns all payload reads since the start that a backup must not make.
    #[must_use]
    pub fn forbidden_acts(&self) -> Vec<ForbiddenAct> {
        self.lock().state.forbidden.clone()
    }

    /// Returns its current content.
    #[must_use]
    pub fn snapshot(&self) -> PastInstance {
        let inner = self.lock();
        PastInstance { items: inner.state.items.clone(), renderer: inner.state.renderer.clone() }
    }

    /// Returns the log so far; `None` if [`Options::history`] is off.
    #[must_use]
    pub fn history(&self) -> Option<History> {
        self.lock().history.clone()
    }

    /// Returns the number of logged states; `None` if [`Options::history`] is off.
    #[must_use]
    pub fn states(&self) -> Option<usize> {
        self.lock().history.as_ref().map(History::states)
    }

    /// Returns the counts of requests through servers so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.lock().counters.clone()
    }

    /// Resets the counters to zero.
    pub fn reset_counters(&self) {
        self.lock().counters = Counters::default();
    }

    /// Applies `act` to every request that `when` selects, from now on.
    pub fn fault(&self, when: When, act: Act) {
        self.lock().faults.add(when, act);
    }

    /// Applies the acts in order, one for each request that `when` selects.
    pub fn fault_script(&self, when: When, acts: Vec<Act>) {
        self.lock().faults.script(when, acts);
    }

    /// Plays a fault script. `player` creates it from the instance's content.
    pub(crate) fn play_with(&self, player: impl FnOnce(&Items) -> Box<dyn FaultPlayer>) {
        let mut inner = self.lock();
        let player = player(&inner.state.items);
        inner.faults.play(player);
    }

    /// Returns how often each rule of the script has applied, in rule order; empty without a script.
    #[must_use]
    pub fn played(&self) -> Vec<u64> {
        self.lock().faults.played()
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Invalidates all tokens issued so far.
    pub fn expire_tokens(&self) {
        self.lock().tokens.expire_all();
    }

    /// Counts a request and returns its faults.
    pub(crate) fn arrive(&self, seen: &SeenRequest) -> Vec<Act> {
        let now = self.clock().now();
        let mut inner = self.lock();
        inner.counters.count(seen.class);
        inner.faults.take(seen, now)
    }

    /// Adds an API key, or changes the grants of an existing one. Its tokens follow at once.
    pub fn set_key(&self, key: ApiKey) {
        self.lock().keys.set(key);
    }

    /// Returns the caller behind a token; `None` if the token is invalid.
    pub(crate) fn caller(&self, token: &str) -> Option<Caller> {
        let inner = self.lock();
        inner.keys.caller(inner.tokens.key(self.clock().now(), token)?)
    }

    /// Issues a token for a known API key, and returns the time of issue.
    pub(crate) fn exchange(&self, api_key: &str) -> Option<(String, Timestamp)> {
        let now = self.clock().now();
        let subject = format!("iam-ServiceId-{}", self.0.options.instance_id);
        let mut inner = self.lock();
        let number = inner.keys.number(api_key)?;
        Some((inner.tokens.give(now, self.0.options.token_seconds, &subject, number), now))
    }
}

impl fmt::Debug for EmbeddedInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instance").field(&self.crn()).finish()
    }
}
