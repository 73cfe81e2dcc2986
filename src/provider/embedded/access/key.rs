//! API keys and what was granted to them.

use std::collections::BTreeSet;

use secrecy::SecretString;

use super::role::ServiceRole;

/// A role on the whole instance or on some of its secret groups: what the provider calls a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: ServiceRole,
    /// Ids of the secret groups that it holds for; nothing means the whole instance.
    pub groups: Option<Vec<String>>,
}

impl Grant {
    /// A role on the whole instance.
    #[must_use]
    pub fn whole(role: ServiceRole) -> Self {
        Self { role, groups: None }
    }

    /// A role on these secret groups only, by id.
    #[must_use]
    pub fn on(role: ServiceRole, groups: &[&str]) -> Self {
        Self { role, groups: Some(groups.iter().map(|&group| group.to_owned()).collect()) }
    }
}

/// An API key of an embedded instance.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The key.
    pub key: SecretString,
    /// What it may do: the sum of these.
    pub grants: Vec<Grant>,
    /// Whether a context-based restriction refuses it: it gets tokens, and every call with one is answered with 401.
    pub outside_context: bool,
}

impl ApiKey {
    /// A key with one role on the whole instance.
    #[must_use]
    pub fn new(key: &str, role: ServiceRole) -> Self {
        Self::granted(key, vec![Grant::whole(role)])
    }

    /// A key with these grants.
    #[must_use]
    pub fn granted(key: &str, grants: Vec<Grant>) -> Self {
        Self { key: SecretString::from(key), grants, outside_context: false }
    }
}

/// The secret groups that a caller may do one thing in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum GroupScope {
    /// All of them, also those that do not exist yet, and what belongs to no group.
    #[default]
    Whole,
    /// These, by id; none of them when the set is empty.
    Groups(BTreeSet<String>),
}

impl GroupScope {
    /// Whether a group is in it.
    pub(crate) fn has(&self, group: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Groups(groups) => groups.contains(group),
        }
    }

    /// Whether nothing is.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Groups(groups) if groups.is_empty())
    }
}

/// Where these grants allow an action.
pub(crate) fn scope_of(grants: &[Grant], action: &str) -> GroupScope {
    let mut groups = BTreeSet::new();
    for grant in grants.iter().filter(|grant| grant.role.allows(action)) {
        match &grant.groups {
            None => return GroupScope::Whole,
            Some(some) => groups.extend(some.iter().cloned()),
        }
    }
    GroupScope::Groups(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_add_up_and_each_action_has_its_own_scope() {
        let grants = [Grant::on(ServiceRole::Writer, &["a"]), Grant::on(ServiceRole::SecretsReader, &["b"])];
        assert!(scope_of(&grants, "secret.read").has("a") && scope_of(&grants, "secret.read").has("b"));
        assert!(scope_of(&grants, "secret.create").has("a") && !scope_of(&grants, "secret.create").has("b"));
        assert!(scope_of(&grants, "configuration.read").is_empty());
        let more = [grants.to_vec(), vec![Grant::whole(ServiceRole::Reader)]].concat();
        assert_eq!(scope_of(&more, "secrets.list"), GroupScope::Whole);
        assert!(!scope_of(&more, "secret.read").has("default"));
    }
}
