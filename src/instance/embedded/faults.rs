//! Faults that tests order: what goes wrong, and with which request.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::Duration;

use super::instance::Instance;
use super::state::{Class, PageFault, Verb};

/// A request as a fault sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub verb: Verb,
    /// The path without its query.
    pub path: String,
    /// What it counts as.
    pub class: Class,
}

/// Which requests a fault is for. Token exchanges only when [`When::class`] says so.
#[derive(Debug, Clone, Default)]
pub struct When {
    verb: Option<Verb>,
    part: Option<String>,
    class: Option<Class>,
    /// First and last, counted from 1 among the requests that match the rest.
    from: Option<u64>,
    to: Option<u64>,
}

impl When {
    /// Every request but token exchanges.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Only requests with this method.
    #[must_use]
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Only requests whose path has this in it.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.part = Some(part.to_owned());
        self
    }

    /// Only requests of this class.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// Only the n-th of the requests that match the rest, counted from 1 since the fault was ordered.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.nths(n..=n)
    }

    /// Only those whose number is in the range.
    #[must_use]
    pub fn nths(mut self, range: impl RangeBounds<u64>) -> Self {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        self.from = match range.start_bound() {
            Included(first) => Some(*first),
            Excluded(before) => Some(before.saturating_add(1)),
            Unbounded => None,
        };
        self.to = match range.end_bound() {
            Included(last) => Some(*last),
            Excluded(after) => Some(after.saturating_sub(1)),
            Unbounded => None,
        };
        self
    }

    fn matches(&self, seen: &Seen) -> bool {
        self.verb.is_none_or(|verb| verb == seen.verb)
            && self.part.as_deref().is_none_or(|part| seen.path.contains(part))
            && self.class.map_or(seen.class != Class::Token, |class| class == seen.class)
    }

    fn counts(&self, number: u64) -> bool {
        self.from.is_none_or(|from| number >= from) && self.to.is_none_or(|to| number <= to)
    }
}

/// What a test runs in the middle of a request.
pub type Hook = Arc<dyn Fn(&Instance, &Seen) + Send + Sync>;

/// What goes wrong.
#[derive(Clone)]
pub enum Act {
    /// Answers with this status and does nothing.
    Status {
        /// The status.
        status: u16,
        /// The value of `Retry-After`, if it is sent.
        retry_after: Option<String>,
    },
    /// Drops the connection before anything is done.
    DropBefore,
    /// Does what was asked, then drops the connection instead of answering.
    DropAfter,
    /// Does what was asked and sends half of the answer's body, then drops the connection.
    CutBody,
    /// Does what was asked and answers 200 without a body.
    EmptyBody,
    /// Does what was asked and answers with something that is no JSON.
    InvalidJson,
    /// Does what was asked and answers with this body instead, status kept.
    Body(String),
    /// Spoils the page of a list.
    Page(PageFault),
    /// Makes every token that was given out so far invalid, then goes on.
    ExpireTokens,
    /// Waits, then goes on.
    Wait(Duration),
    /// Never answers; the connection stays open until somebody closes it.
    Hang,
    /// Runs this first, then goes on.
    Before(Hook),
    /// Goes on, then runs this before the answer is sent.
    After(Hook),
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status { .. } => "Status",
            Self::DropBefore => "DropBefore",
            Self::DropAfter => "DropAfter",
            Self::CutBody => "CutBody",
            Self::EmptyBody => "EmptyBody",
            Self::InvalidJson => "InvalidJson",
            Self::Body(_) => "Body",
            Self::Page(_) => "Page",
            Self::ExpireTokens => "ExpireTokens",
            Self::Wait(_) => "Wait",
            Self::Hang => "Hang",
            Self::Before(_) => "Before",
            Self::After(_) => "After",
        })
    }
}

/// The faults that are ordered and not yet over.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    ordered: Vec<Ordered>,
}

#[derive(Debug)]
struct Ordered {
    when: When,
    acts: Vec<Act>,
    seen: u64,
    /// Acts done so far, when they are a script.
    done: usize,
    script: bool,
}

impl Faults {
    /// `act` happens to every request that `when` is for.
    pub(crate) fn add(&mut self, when: When, act: Act) {
        self.ordered.push(Ordered { when, acts: vec![act], seen: 0, done: 0, script: false });
    }

    /// The acts happen one after the other, one to each request that `when` is for.
    pub(crate) fn script(&mut self, when: When, acts: Vec<Act>) {
        self.ordered.push(Ordered { when, acts, seen: 0, done: 0, script: true });
    }

    pub(crate) fn clear(&mut self) {
        self.ordered.clear();
    }

    /// What happens to this request, in the order in which it was ordered.
    pub(crate) fn take(&mut self, seen: &Seen) -> Vec<Act> {
        let mut acts = Vec::new();
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

    fn get(path: &str, class: Class) -> Seen {
        Seen { verb: Verb::Get, path: path.to_owned(), class }
    }

    #[test]
    fn numbers_count_only_what_matches() {
        let mut faults = Faults::default();
        faults.add(When::any().path("/versions").nth(2), Act::DropBefore);
        assert!(faults.take(&get("/api/v2/secrets", Class::Listing)).is_empty());
        assert!(faults.take(&get("/api/v2/secrets/1/versions", Class::Reading)).is_empty());
        assert_eq!(faults.take(&get("/api/v2/secrets/2/versions", Class::Reading)).len(), 1);
        assert!(faults.take(&get("/api/v2/secrets/3/versions", Class::Reading)).is_empty());
    }

    #[test]
    fn a_script_is_played_once_in_order() {
        let mut faults = Faults::default();
        let status = |status| Act::Status { status, retry_after: None };
        faults.script(When::any(), vec![status(429), status(503)]);
        let mut next = || format!("{:?}", faults.take(&get("/x", Class::Reading)));
        assert_eq!((next(), next(), next()), ("[Status]".into(), "[Status]".into(), "[]".into()));
    }

    #[test]
    fn tokens_are_left_alone_unless_named() {
        let mut faults = Faults::default();
        faults.add(When::any(), Act::Hang);
        assert!(faults.take(&get("/identity/token", Class::Token)).is_empty());
        faults.add(When::any().class(Class::Token), Act::DropBefore);
        assert_eq!(faults.take(&get("/identity/token", Class::Token)).len(), 1);
    }
}
