//! Selection of the requests that a fault applies to.

use std::ops::RangeBounds;

use crate::provider::embedded::state::{Class, Verb};

/// A request, as fault conditions see it.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// HTTP method.
    pub verb: Verb,
    /// Path without the query.
    pub path: String,
    /// Request class.
    pub class: Class,
}

/// Requests that a fault applies to. Includes token exchanges only for [`When::all`] or their class.
#[derive(Debug, Clone, Default)]
pub struct When {
    verb: Option<Verb>,
    part: Option<String>,
    class: Option<Class>,
    /// True if token exchanges match when no class is set.
    tokens: bool,
    /// First and last number, counted from 1 among the requests that match the other conditions.
    from: Option<u64>,
    to: Option<u64>,
}

impl When {
    /// Selects every request except token exchanges.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Selects every request, including token exchanges.
    #[must_use]
    pub fn all() -> Self {
        Self { tokens: true, ..Self::default() }
    }

    /// Limits the selection to a method.
    #[must_use]
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Limits the selection to paths that contain this text.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.part = Some(part.to_owned());
        self
    }

    /// Limits the selection to a class.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// Selects only the n-th request that matches the other conditions, counted from 1 since the fault was added.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.nths(n..=n)
    }

    /// Selects only requests with a number in the range.
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

    /// True if the request matches, ignoring its number.
    pub(super) fn matches(&self, seen: &SeenRequest) -> bool {
        self.verb.is_none_or(|verb| verb == seen.verb)
            && self.part.as_deref().is_none_or(|part| seen.path.contains(part))
            && self.class.map_or(self.tokens || seen.class != Class::Token, |class| class == seen.class)
    }

    /// True if the number is in the range.
    pub(super) fn counts(&self, number: u64) -> bool {
        self.from.is_none_or(|from| number >= from) && self.to.is_none_or(|to| number <= to)
    }
}
