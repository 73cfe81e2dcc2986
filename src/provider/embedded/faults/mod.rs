//! Fault injection for tests and scripts: which faults, and for which requests.

mod act;
mod play;
mod script;
mod when;
mod writer;

pub use act::{Act, Hook};
pub use script::{FaultScript, ScriptError};
pub use when::{SeenRequest, When};

use crate::model::Timestamp;

/// Source of faults that follows a script.
pub(crate) trait FaultPlayer: std::fmt::Debug + Send {
    /// Returns the faults for a request, in order.
    fn take(&mut self, seen: &SeenRequest, now: Timestamp) -> Vec<Act>;

    /// Returns how often each rule has applied.
    fn played(&self) -> Vec<u64>;
}

/// Pending faults.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    ordered: Vec<Ordered>,
    /// Script in progress, if any.
    player: Option<Box<dyn FaultPlayer>>,
}

#[derive(Debug)]
struct Ordered {
    when: When,
    acts: Vec<Act>,
    seen: u64,
    /// Number of acts done so far, if they are a sequence.
    done: usize,
    script: bool,
}

impl Faults {
    /// Applies `act` to every request that `when` selects.
    pub(crate) fn add(&mut self, when: When, act: Act) {
        self.ordered.push(Ordered { when, acts: vec![act], seen: 0, done: 0, script: false });
    }

    /// Applies the acts one after the other, one for each request that `when` selects.
    pub(crate) fn script(&mut self, when: When, acts: Vec<Act>) {
        self.ordered.push(Ordered { when, acts, seen: 0, done: 0, script: true });
    }

    /// Starts a script with the next request, in place of the current one.
    pub(crate) fn play(&mut self, player: Box<dyn FaultPlayer>) {
        self.player = Some(player);
    }

    /// Returns how often each rule of the script has applied.
    pub(crate) fn played(&self) -> Vec<u64> {
        self.player.as_ref().map(|player| player.played()).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        self.ordered.clear();
        self.player = None;
    }

    /// Returns the faults for a request, in the order in which they were added.
    pub(crate) fn take(&mut self, seen: &SeenRequest, now: Timestamp) -> Vec<Act> {
        let mut acts = self.player.as_mut().map(|player| player.take(seen, now)).unwrap_or_default();
        for ordered in self.ordered.iter_mut().filter(|ordered| ordered.when.matches(seen)) {
            ordered.seen += 1;
            if !ordered.when.counts(ordered.seen) {
                continue;
            }
            let index = if ordered.script { ordered.done } else { 0 };
            if let Some(act) = ordered.acts.get(index) {
                acts.push(act.clone());
                ordered.done += 1;
            }
        }
        acts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::embedded::state::{Class, Verb};

    fn now() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    fn get(path: &str, class: Class) -> SeenRequest {
        SeenRequest { verb: Verb::Get, path: path.to_owned(), class }
    }

    #[test]
    fn numbers_count_only_what_matches() {
        let mut faults = Faults::default();
        faults.add(When::any().path("/versions").nth(2), Act::DropBefore);
        assert!(faults.take(&get("/api/v2/secrets", Class::Listing), now()).is_empty());
        assert!(faults.take(&get("/api/v2/secrets/1/versions", Class::Reading), now()).is_empty());
        assert_eq!(faults.take(&get("/api/v2/secrets/2/versions", Class::Reading), now()).len(), 1);
        assert!(faults.take(&get("/api/v2/secrets/3/versions", Class::Reading), now()).is_empty());
    }

    #[test]
    fn a_script_is_played_once_in_order() {
        let mut faults = Faults::default();
        let status = |status| Act::Status { status, retry_after: None };
        faults.script(When::any(), vec![status(429), status(503)]);
        let mut next = || format!("{:?}", faults.take(&get("/x", Class::Reading), now()));
        assert_eq!((next(), next(), next()), ("[Status]".into(), "[Status]".into(), "[]".into()));
    }

    #[test]
    fn tokens_are_left_alone_unless_named() {
        let mut faults = Faults::default();
        faults.add(When::any(), Act::Hang);
        assert!(faults.take(&get("/identity/token", Class::Token), now()).is_empty());
        faults.add(When::any().class(Class::Token), Act::DropBefore);
        assert_eq!(faults.take(&get("/identity/token", Class::Token), now()).len(), 1);
    }
}
