//! Secret groups.

use super::data::{DEFAULT_GROUP, Group};
use super::input::{InputBody, Patched};
use super::refusal::Refusal;
use super::text::{ObjectText, list};
use super::{Answer, InstanceState, rules};
use crate::model::Timestamp;
use crate::provider::embedded::access::GroupScope;

impl InstanceState {
    pub(crate) fn create_group(&mut self, now: Timestamp, text: &str) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        body.only(&["name", "description"])?;
        let name = body.required_string("name")?;
        rules::group_name(&name)?;
        let description = body.string("description")?.unwrap_or_default();
        rules::description(&description)?;
        self.check_group_name_free(&name, "")?;
        if self.items.groups.len() >= rules::GROUPS {
            return Err(Refusal::invalid("The instance has reached the maximum of 200 secret groups."));
        }
        let group = Group { id: self.ids.uuid(), name, description, created_at: now, updated_at: now };
        let answer = Answer::created(self.renderer.group(&group));
        self.put_group(group);
        Ok(answer)
    }

    fn check_group_name_free(&self, name: &str, own: &str) -> Result<(), Refusal> {
        if self.items.groups.values().any(|group| group.name == name && group.id != own) {
            let message = "A secret group with the same name already exists.";
            return Err(Refusal::conflict(self.switches.name_conflict_status, message));
        }
        Ok(())
    }

    pub(crate) fn list_groups(&self, scope: &GroupScope) -> Answer {
        let seen: Vec<_> = self.items.groups.values().filter(|group| scope.has(&group.id)).collect();
        let rows = seen.iter().map(|group| self.renderer.group(group).to_string());
        let mut body = ObjectText::new();
        body.raw("secret_groups", &list(rows)).num("total_count", seen.len() as u64);
        Answer::ok(body.finish())
    }

    fn group(&self, id: &str) -> Result<&Group, Refusal> {
        self.items.groups.get(id).map(|group| &**group).ok_or_else(|| Refusal::missing("The secret group"))
    }

    pub(crate) fn get_group(&self, id: &str) -> Result<Answer, Refusal> {
        Ok(Answer::ok(self.renderer.group(self.group(id)?)))
    }

    pub(crate) fn patch_group(&mut self, now: Timestamp, id: &str, text: &str) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        body.only(&["name", "description"])?;
        let mut group = self.group(id)?.clone();
        if id == DEFAULT_GROUP && !self.switches.default_group_patchable {
            return Err(Refusal::invalid("The default secret group cannot be changed."));
        }
        match body.patched_string("name")? {
            Patched::Absent => {}
            Patched::Clear => return Err(Refusal::invalid("The field 'name' cannot be cleared.")),
            Patched::Set(name) => {
                rules::group_name(&name)?;
                self.check_group_name_free(&name, id)?;
                group.name = name;
            }
        }
        let mut description = Some(std::mem::take(&mut group.description));
        body.patched_string("description")?.apply(&mut description);
        group.description = description.unwrap_or_default();
        rules::description(&group.description)?;
        group.updated_at = now;
        let answer = Answer::ok(self.renderer.group(&group));
        self.put_group(group);
        Ok(answer)
    }

    pub(crate) fn delete_group(&mut self, id: &str) -> Result<Answer, Refusal> {
        self.group(id)?;
        if id == DEFAULT_GROUP {
            return Err(Refusal::invalid("The default secret group cannot be deleted."));
        }
        if self.items.secrets.values().any(|secret| secret.group == id) {
            return Err(Refusal::invalid("The secret group is not empty."));
        }
        self.drop_group(id);
        Ok(Answer::no_content())
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::Machine;
    use crate::provider::embedded::options::Switches;

    #[test]
    fn a_group_lives_and_goes_only_when_empty() {
        let mut machine = Machine::new();
        let created = machine.post("secret_groups", r#"{"name":"payments","description":"cards"}"#);
        let id = created.str("id");
        assert_eq!(machine.post("secret_groups", r#"{"name":"payments"}"#).0, 400);
        let patched = machine.patch(&format!("secret_groups/{id}"), r#"{"description":null}"#);
        assert_eq!((patched.str("name"), patched.str("description")), ("payments".into(), String::new()));
        let secret = machine.create("kv", "ab", &format!(r#""data":{{"a":1}},"secret_group_id":"{id}""#));
        assert_eq!(machine.delete(&format!("secret_groups/{id}")).0, 400);
        machine.delete(&format!("secrets/{secret}"));
        assert_eq!(machine.delete(&format!("secret_groups/{id}")).0, 204);
        assert_eq!(machine.get(&format!("secret_groups/{id}")).0, 404);
        assert_eq!(machine.delete("secret_groups/default").0, 400);
    }

    #[test]
    fn two_hundred_groups_are_the_most() {
        let mut machine = Machine::new();
        for index in 1..200 {
            assert_eq!(machine.post("secret_groups", &format!(r#"{{"name":"group-{index}"}}"#)).0, 201);
        }
        assert_eq!(machine.post("secret_groups", r#"{"name":"one-more"}"#).0, 400);
        assert_eq!(machine.get("secret_groups").raw("total_count"), "200");
    }

    #[test]
    fn the_default_group_is_patched_only_when_switched() {
        for (patchable, status) in [(true, 200), (false, 400)] {
            let mut machine = Machine::with(Switches { default_group_patchable: patchable, ..Switches::default() });
            assert_eq!(machine.patch("secret_groups/default", r#"{"description":"new"}"#).0, status);
        }
    }
}
