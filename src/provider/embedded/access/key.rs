//! API keys and their grants.

use std::collections::BTreeSet;

use secrecy::SecretString;

use super::role::ServiceRole;

/// A role on the whole instance or on some of its secret groups; the provider calls this a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: ServiceRole,
    /// Ids of the secret groups; `None` means the whole instance.
    pub groups: Option<Vec<String>>,
}

impl Grant {
    /// Creates a grant on the whole instance.
    #[must_use]
    pub fn whole(role: ServiceRole) -> Self {
        Self { role, groups: None }
    }

    /// Creates a grant on these secret groups only, by id.
    #[must_use]
    pub fn on(role: ServiceRole, groups: &[&str]) -> Self {
        Self { role, groups: Some(groups.iter().map(|&group| group.to_owned()).collect()) }
    }
}

/// API key of an embedded instance.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The key.
    pub key: SecretString,
    /// Its grants, which add up.
    pub grants: Vec<Grant>,
    /// True if a context-based restriction rejects it: it gets tokens, but every call with one is answered with 401.
    pub outside_context: bool,
}

impl ApiKey {
    /// Creates a key with one role on the whole instance.
    #[must_use]
    pub fn new(key: &str, role: ServiceRole) -> Self {
        Self::granted(key, vec![Grant::whole(role)])
    }

    /// Creates a key with these grants.
    #[must_use]
    pub fn granted(key: &str, grants: Vec<Grant>) -> Self {
        Self { key: SecretString::from(key), grants, outside_context: false }
    }
}

/// Secret groups in which a caller may perform one action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum GroupScope {
    /// All groups, also future ones, and everything outside groups.
    #[default]
    Whole,
    /// These groups, by id; an empty set means none.
    Groups(BTreeSet<String>),
}

impl GroupScope {
    /// True if the scope includes a group.
    pub(crate) fn has(&self, group: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Groups(groups) => groups.contains(group),
        }
    }

    /// True if the scope includes no group.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Groups(groups) if groups.is_empty())
    }
}

/// Returns the scope in which these grants allow an action.
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
