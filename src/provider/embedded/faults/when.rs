//! Which requests a fault is for.

use std::ops::RangeBounds;

use crate::provider::embedded::state::{Class, Verb};

/// A request as a fault sees it.
#[derive(Debug, Clone)]
pub struct SeenRequest {
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
    /// Token exchanges too, when no class is named.
    tokens: bool,
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

    /// Every request, token exchanges too.
    #[must_use]
    pub fn all() -> Self {
        Self { tokens: true, ..Self::default() }
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

    /// Whether the request is one of them, its number aside.
    pub(super) fn matches(&self, seen: &SeenRequest) -> bool {
        self.verb.is_none_or(|verb| verb == seen.verb)
            && self.part.as_deref().is_none_or(|part| seen.path.contains(part))
            && self.class.map_or(self.tokens || seen.class != Class::Token, |class| class == seen.class)
    }

    /// Whether the request of this number is one of them.
    pub(super) fn counts(&self, number: u64) -> bool {
        self.from.is_none_or(|from| number >= from) && self.to.is_none_or(|to| number <= to)
    }
}
