//! Decides whether a caller may perform a request, by the provider's action names.

use super::data::DEFAULT_GROUP;
use super::input::InputBody;
use super::request::{ApiRequest, Verb};
use super::{InstanceState, Refusal};
use crate::provider::embedded::access::{Grant, GroupScope, scope_of};

/// Target of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About<'a> {
    /// The whole instance.
    Instance,
    /// A list that is limited to what the caller may see.
    Rows,
    /// The group of a new secret.
    NewSecret,
    /// A secret, by id; its group decides.
    Secret(&'a str),
    /// A group by id.
    Group(&'a str),
    /// A group by name.
    GroupNamed(&'a str),
}

/// Returns the action for a method and a path, and its target; `None` if there is no such operation.
fn action<'a>(verb: Verb, segments: &[&'a str]) -> Option<(&'static str, About<'a>)> {
    use Verb::{Delete, Get, Patch, Post, Put};
    let of = |action: &'static str, id: &'a str| (action, About::Secret(id));
    Some(match (verb, segments) {
        (Post, ["secret_groups"]) => ("secret-group.create", About::Instance),
        (Get, ["secret_groups"]) => ("secret-groups.list", About::Rows),
        (Get, ["secret_groups", id]) => ("secret-group.read", About::Group(id)),
        (Patch, ["secret_groups", id]) => ("secret-group.update", About::Group(id)),
        (Delete, ["secret_groups", id]) => ("secret-group.delete", About::Group(id)),
        (Get, ["secret_groups", name, "secret_types", _, "secrets", _]) => ("secret.read", About::GroupNamed(name)),
        (Post, ["secrets"]) => ("secret.create", About::NewSecret),
        (Get, ["secrets"]) => ("secrets.list", About::Rows),
        (Get, ["secrets", id]) => of("secret.read", id),
        (Delete, ["secrets", id]) => of("secret.delete", id),
        (Get, ["secrets", id, "metadata"]) => of("secret-metadata.read", id),
        (Patch, ["secrets", id, "metadata"]) => of("secret-metadata.update", id),
        (Post, ["secrets", id, "actions"]) => of("secret-action.create", id),
        (Get, ["secrets", id, "locks"]) => of("secret-locks.list", id),
        (Post, ["secrets", id, "locks_bulk"]) => of("secret-locks.create", id),
        (Delete, ["secrets", id, "locks_bulk"]) => of("secret-locks.delete", id),
        (Get, ["secrets", id, "tasks"]) => of("secret-tasks.list", id),
        (Get, ["secrets", id, "tasks", _]) => of("secret-task.read", id),
        (Put, ["secrets", id, "tasks", _]) => of("secret-task.update", id),
        (Delete, ["secrets", id, "tasks", _]) => of("secret-task.delete", id),
        (Post, ["secrets", id, "versions"]) => of("secret-version.create", id),
        (Get, ["secrets", id, "versions"]) => of("secret-versions.list", id),
        (Get, ["secrets", id, "versions", _]) => of("secret-version.read", id),
        (Get, ["secrets", id, "versions", _, "metadata"]) => of("secret-version-metadata.read", id),
        (Patch, ["secrets", id, "versions", _, "metadata"]) => of("secret-version-metadata.update", id),
        (Post, ["secrets", id, "versions", _, "actions"]) => of("secret-version-action.create", id),
        (Delete, ["secrets", id, "versions", _, "secret_data"]) => of("secret-version-data.delete", id),
        (Get, ["secrets", id, "versions", _, "locks"]) => of("secret-version-locks.list", id),
        (Post, ["secrets", id, "versions", _, "locks_bulk"]) => of("secret-version-locks.create", id),
        (Delete, ["secrets", id, "versions", _, "locks_bulk"]) => of("secret-version-locks.delete", id),
        (Get, ["secrets_locks"]) => ("secrets-locks.list", About::Rows),
        (Post, ["configurations"]) => ("configuration.create", About::Instance),
        (Get, ["configurations"]) => ("configurations.list", About::Instance),
        (Get, ["configurations", _]) => ("configuration.read", About::Instance),
        (Patch, ["configurations", _]) => ("configuration.update", About::Instance),
        (Delete, ["configurations", _]) => ("configuration.delete", About::Instance),
        (Post, ["configurations", _, "actions"]) => ("configuration-action.create", About::Instance),
        (Post, ["notifications", "registration"]) => ("notifications-registration.create", About::Instance),
        (Get, ["notifications", "registration"]) => ("notifications-registration.read", About::Instance),
        (Delete, ["notifications", "registration"]) => ("notifications-registration.delete", About::Instance),
        (Get, ["notifications", "registration", "test"]) => ("notifications-registration.test", About::Instance),
        _ => return None,
    })
}

impl InstanceState {
    /// Returns the groups that a caller with these grants sees in lists, or why the request is refused.
    ///
    /// Absence is not confidential: a missing id is left to the operation, which answers 404.
    pub(super) fn authorize(
        &self,
        grants: &[Grant],
        request: &ApiRequest<'_>,
        segments: &[&str],
    ) -> Result<GroupScope, Refusal> {
        let Some((action, about)) = action(request.verb, segments) else { return Ok(GroupScope::Whole) };
        let scope = scope_of(grants, action);
        let any = !scope.is_empty();
        let allowed = match about {
            About::Instance => scope == GroupScope::Whole,
            About::Rows => any,
            About::NewSecret => scope.has(&new_group(request.body)),
            About::Group(id) => {
                if self.items.groups.contains_key(id) {
                    scope.has(id)
                } else {
                    any
                }
            }
            About::GroupNamed(name) => self.group_named(name).map_or(any, |id| scope.has(id)),
            About::Secret(id) => self.items.secrets.get(id).map_or(any, |secret| scope.has(&secret.group)),
        };
        if !allowed {
            let hidden = !self.sees(grants, about);
            return Err(if hidden { Refusal::hidden(self.switches.hidden_status) } else { Refusal::forbidden() });
        }
        if action == "secret-groups.list" && self.switches.hidden_groups_listed {
            return Ok(GroupScope::Whole);
        }
        Ok(scope)
    }

    /// True if a caller sees at least the metadata of the target, or if the target does not exist.
    fn sees(&self, grants: &[Grant], about: About<'_>) -> bool {
        match about {
            About::Instance | About::Rows | About::NewSecret => true,
            About::Group(id) => !self.items.groups.contains_key(id) || scope_of(grants, "secret-group.read").has(id),
            About::GroupNamed(name) => self.group_named(name).is_none_or(|id| scope_of(grants, "secrets.list").has(id)),
            About::Secret(id) => {
                let secret = self.items.secrets.get(id);
                secret.is_none_or(|secret| scope_of(grants, "secrets.list").has(&secret.group))
            }
        }
    }

    fn group_named(&self, name: &str) -> Option<&str> {
        self.items.groups.values().find(|group| group.name == name).map(|group| group.id.as_str())
    }
}

/// Returns the group of a create body. An unreadable body is refused by the operation itself.
fn new_group(body: &str) -> String {
    let named = InputBody::parse(body).ok().and_then(|body| body.string("secret_group_id").ok().flatten());
    named.unwrap_or_else(|| DEFAULT_GROUP.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::harness::{Got, Machine};
    use super::*;
    use crate::provider::embedded::access::ServiceRole;
    use crate::provider::embedded::options::Switches;

    /// Creates two groups with one secret each; returns the ids of the second group and of both secrets.
    fn filled(switches: Switches) -> (Machine, String, String, String) {
        let mut machine = Machine::with(switches);
        let group = machine.post("secret_groups", r#"{"name":"payments"}"#).str("id");
        let open = machine.arbitrary("open");
        let paid = machine.create("arbitrary", "paid", &format!(r#""payload":"v","secret_group_id":"{group}""#));
        (machine, group, open, paid)
    }

    fn names(got: &Got, list: &str, member: &str) -> Vec<String> {
        assert_eq!(got.0, 200, "{}", got.1);
        got.rows(list).iter().map(|row| row.str(member).unwrap()).collect()
    }

    #[test]
    fn a_policy_on_a_group_shows_that_group_and_answers_with_the_switch_for_another() {
        for hidden_status in [403, 404] {
            let switches = Switches { hidden_status, ..Switches::default() };
            let (mut machine, group, open, paid) = filled(switches);
            machine.grants = Some(vec![Grant::on(ServiceRole::Writer, &[&group])]);
            let list = machine.get("secrets");
            assert_eq!((names(&list, "secrets", "name"), list.raw("total_count")), (vec!["paid".into()], "1".into()));
            assert_eq!(names(&machine.get("secrets_locks"), "secrets_locks", "secret_id"), std::slice::from_ref(&paid));
            assert!(machine.get("secrets?groups=default").rows("secrets").is_empty());
            assert_eq!(machine.get(&format!("secrets/{paid}")).0, 200);
            let by_name =
                |group: &str, name: &str| format!("secret_groups/{group}/secret_types/arbitrary/secrets/{name}");
            assert_eq!(machine.get(&by_name("payments", "paid")).0, 200);
            for path in [
                format!("secrets/{open}"),
                format!("secrets/{open}/metadata"),
                format!("secrets/{open}/versions"),
                "secret_groups/default".into(),
                by_name("default", "open"),
            ] {
                assert_eq!(machine.get(&path).0, hidden_status, "{path}");
            }
            assert_eq!(machine.get("secrets/none").0, 404);
            // A Writer may create secrets in its own group only, and cannot delete secrets.
            let body = |group: &str| {
                format!(r#"{{"secret_type":"arbitrary","name":"more","payload":"v","secret_group_id":"{group}"}}"#)
            };
            assert_eq!(machine.post("secrets", &body("default")).0, 403);
            assert_eq!(machine.post("secrets", &body(&group)).0, 201);
            assert_eq!(machine.delete(&format!("secrets/{paid}")).0, 403);
            assert_eq!(machine.get("configurations").0, 403);
        }
    }

    #[test]
    fn groups_that_are_not_granted_are_listed_only_when_switched() {
        for (listed, expected) in [(false, vec!["payments"]), (true, vec!["default", "payments"])] {
            let switches = Switches { hidden_groups_listed: listed, ..Switches::default() };
            let (mut machine, group, ..) = filled(switches);
            machine.grants = Some(vec![Grant::on(ServiceRole::Reader, &[&group])]);
            let got = machine.get("secret_groups");
            let mut found = names(&got, "secret_groups", "name");
            found.sort();
            assert_eq!(found, expected);
            assert_eq!(got.raw("total_count"), expected.len().to_string());
        }
    }

    #[test]
    fn each_role_does_what_it_is_for() {
        let (mut machine, _, open, _) = filled(Switches::default());
        let paths =
            ["secrets".to_owned(), format!("secrets/{open}"), "configurations".into(), "configurations/none".into()];
        let mut statuses = |roles: &[ServiceRole]| {
            machine.grants = Some(roles.iter().cloned().map(Grant::whole).collect());
            paths.each_ref().map(|path| machine.get(path).0)
        };
        assert_eq!(statuses(&[ServiceRole::Manager]), [200, 200, 200, 404]);
        assert_eq!(statuses(&[ServiceRole::Writer]), [200, 200, 200, 403]);
        assert_eq!(statuses(&[ServiceRole::SecretsReader]), [200, 200, 403, 403]);
        assert_eq!(statuses(&[ServiceRole::Reader]), [200, 403, 200, 403]);
        assert_eq!(statuses(&[ServiceRole::SecretTaskUpdater]), [403, 403, 403, 403]);
        let custom: ServiceRole = "configuration.read+configurations.list".parse().unwrap();
        assert_eq!(statuses(&[ServiceRole::SecretsReader, custom]), [200, 200, 200, 404]);
        assert_eq!(statuses(&[]), [403, 403, 403, 403]);
    }

    /// Checks that every operation has an action: without one it would be allowed to everyone.
    #[test]
    fn every_operation_of_the_providers_model_has_an_action() {
        let model = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/model.json"));
        let operations = crate::model::json::JsonObject::parse(model).unwrap().object("operations").unwrap();
        assert_eq!(operations.len(), 41);
        for (name, operation) in operations.iter() {
            let operation = crate::model::json::JsonObject::parse(operation.get()).unwrap();
            let (method, path) = (operation.str("method").unwrap(), operation.str("path").unwrap());
            let segments: Vec<&str> = path.strip_prefix("/api/v2/").unwrap().split('/').collect();
            assert!(action(Verb::parse(&method).unwrap(), &segments).is_some(), "{name}: {method} {path}");
        }
        assert_eq!(action(Verb::Put, &["secrets", "1"]), None);
    }
}
