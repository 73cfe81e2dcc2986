//! Locks: creation, replacement and removal, with their modes.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::data::{Lock, Secret};
use super::input::InputBody;
use super::list::{LOCK_LISTS, ListPage};
use super::query::Query;
use super::refusal::Refusal;
use super::text::list;
use super::{Answer, InstanceState, rules};
use crate::model::Timestamp;

/// Effect of a new lock on the previous version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// No effect.
    Plain,
    /// Removes locks with the same names.
    RemovePrevious,
    /// Also deletes the payload if no lock remains.
    RemovePreviousAndDelete,
}

impl Mode {
    fn parse(text: Option<&str>) -> Result<Self, Refusal> {
        match text {
            None => Ok(Self::Plain),
            Some("remove_previous") => Ok(Self::RemovePrevious),
            Some("remove_previous_and_delete") => Ok(Self::RemovePreviousAndDelete),
            Some(_) => Err(Refusal::invalid("The parameter 'mode' is not a known lock mode.")),
        }
    }
}

impl InstanceState {
    /// Locks one version of a secret. Replaces existing locks with the same names.
    pub(crate) fn lock(
        &mut self,
        now: Timestamp,
        id: &str,
        version: &str,
        query: &Query,
        text: &str,
    ) -> Result<Answer, Refusal> {
        let mode = Mode::parse(query.get("mode"))?;
        let mut secret = (**self.secret(id)?).clone();
        if mode == Mode::RemovePreviousAndDelete && secret.secret_type == "custom_credentials" {
            return Err(Refusal::invalid("The lock mode is not supported for this secret type."));
        }
        let index = secret.position(version).ok_or_else(|| Refusal::missing("The secret version"))?;
        let locks = self.parse_locks(now, text)?;
        let target = secret.versions.get_mut(index).filter(|version| version.payload.is_some());
        let target = Arc::make_mut(target.ok_or_else(|| Refusal::invalid("The version has no payload to lock."))?);
        for lock in &locks {
            set(&mut target.locks, lock);
        }
        if index != 1 && mode != Mode::Plain {
            clear_previous(&mut secret, &locks, mode);
        }
        if secret.locks_total() > rules::LOCKS {
            return Err(Refusal::invalid("A secret can have at most 1000 locks."));
        }
        self.finish_locks(now, secret, 201)
    }

    fn parse_locks(&self, now: Timestamp, text: &str) -> Result<Vec<Lock>, Refusal> {
        let body = InputBody::parse(text)?;
        body.only(&["locks"])?;
        let given = body.array("locks")?.ok_or_else(|| Refusal::invalid("The field 'locks' is required."))?;
        if given.is_empty() || given.len() > rules::LOCKS {
            return Err(Refusal::invalid("The field 'locks' must have 1 to 1000 items."));
        }
        let mut locks = Vec::with_capacity(given.len());
        for lock in &given {
            match parse_lock(now, lock) {
                Ok(lock) => locks.push(lock),
                Err(refusal) if self.switches.bulk_locks_atomic => return Err(refusal),
                Err(_) => {}
            }
        }
        Ok(locks)
    }

    /// Removes the named locks, or all, from one version or from every version of the secret.
    pub(crate) fn unlock(
        &mut self,
        now: Timestamp,
        id: &str,
        version: Option<&str>,
        query: &Query,
    ) -> Result<Answer, Refusal> {
        let names = query.comma("name");
        if names.as_ref().is_some_and(|names| names.len() > rules::LOCKS) {
            return Err(Refusal::invalid("The parameter 'name' must have at most 1000 items."));
        }
        let mut secret = (**self.secret(id)?).clone();
        let only = match version {
            None => None,
            Some(version) => Some(secret.position(version).ok_or_else(|| Refusal::missing("The secret version"))?),
        };
        for (index, version) in secret.versions.iter_mut().enumerate() {
            if only.is_none_or(|only| only == index) && !version.locks.is_empty() {
                let goes = |lock: &Arc<Lock>| names.as_ref().is_none_or(|names| names.contains(&lock.name));
                Arc::make_mut(version).locks.retain(|lock| !goes(lock));
            }
        }
        self.finish_locks(now, secret, 200)
    }

    fn finish_locks(&mut self, now: Timestamp, mut secret: Secret, status: u16) -> Result<Answer, Refusal> {
        if self.switches.locks_move_updated_at {
            secret.updated_at = now;
        }
        let body = Some(self.renderer.locks_row(&secret));
        self.put_secret(secret);
        Ok(Answer { status, body })
    }

    /// Lists the locks of a secret or of one of its versions, with all details.
    pub(crate) fn list_locks(&self, id: &str, version: Option<&str>, query: &Query) -> Result<Answer, Refusal> {
        let page = ListPage::parse(query, &LOCK_LISTS)?;
        let secret = self.secret(id)?;
        let only = match version {
            None => None,
            Some(version) => Some(secret.position(version).ok_or_else(|| Refusal::missing("The secret version"))?),
        };
        let search = query.search()?;
        let versions = secret.versions.iter().enumerate().filter(|(index, _)| only.is_none_or(|only| only == *index));
        let mut locks: Vec<_> = versions
            .flat_map(|(index, version)| version.locks.iter().map(move |lock| (index, version, lock)))
            .filter(|(_, _, lock)| search.as_ref().is_none_or(|text| lock.name.to_lowercase().contains(text)))
            .collect();
        query.sort(&mut locks, &["created_at", "updated_at", "name"], |(index, _, lock), field| match field {
            // NUL sorts before any further character of a name.
            "created_at" => (lock.created_at.millis(), format!("{}\0{index}", lock.name)),
            "updated_at" => (lock.updated_at.millis(), format!("{}\0{index}", lock.name)),
            _ => (0, format!("{}\0{index}", lock.name)),
        })?;
        let rows = page.cut(&locks, |(index, version, lock)| self.renderer.lock(secret, version, *index, lock));
        Ok(Answer::ok(page.envelope(self.host(), "locks", &list(rows), locks.len(), query)))
    }
}

fn parse_lock(now: Timestamp, text: &RawValue) -> Result<Lock, Refusal> {
    let body = InputBody::parse(text.get())?;
    body.only(&["name", "description", "attributes"])?;
    let name = body.required_string("name")?;
    rules::lock_name(&name)?;
    let description = body.string("description")?;
    description.as_deref().map_or(Ok(()), rules::description)?;
    Ok(Lock { name, description, attributes: body.object("attributes")?, created_at: now, updated_at: now })
}

/// Inserts a lock in name order, or replaces the one with the same name.
fn set(locks: &mut Vec<Arc<Lock>>, lock: &Lock) {
    match locks.binary_search_by(|found| found.name.cmp(&lock.name)) {
        Ok(index) => {
            if let Some(found) = locks.get_mut(index) {
                *found = Arc::new(Lock { created_at: found.created_at, ..lock.clone() });
            }
        }
        Err(index) => locks.insert(index, Arc::new(lock.clone())),
    }
}

fn clear_previous(secret: &mut Secret, locks: &[Lock], mode: Mode) {
    let Some(previous) = secret.versions.get_mut(1) else { return };
    let previous = Arc::make_mut(previous);
    previous.locks.retain(|found| !locks.iter().any(|lock| lock.name == found.name));
    if mode == Mode::RemovePreviousAndDelete && previous.locks.is_empty() {
        previous.payload = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::Machine;
    use crate::provider::embedded::options::Switches;

    fn names(machine: &mut Machine, id: &str, version: &str) -> Vec<String> {
        let got = machine.get(&format!("secrets/{id}/versions/{version}/locks"));
        got.rows("locks").iter().map(|lock| lock.str("name").unwrap()).collect()
    }

    #[test]
    fn a_locked_secret_cannot_be_deleted() {
        let mut machine = Machine::new();
        let id = machine.arbitrary("token");
        machine.locked(&id, "current", "held");
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("locks_total"), "1");
        assert_eq!(machine.delete(&format!("secrets/{id}")).0, 412);
        assert_eq!(machine.delete(&format!("secrets/{id}/locks_bulk?name=other")).0, 200);
        assert_eq!(machine.delete(&format!("secrets/{id}")).0, 412);
        assert_eq!(machine.delete(&format!("secrets/{id}/locks_bulk?name=other,held")).0, 200);
        assert_eq!(machine.delete(&format!("secrets/{id}")).0, 204);
    }

    #[test]
    fn a_lock_of_the_same_name_is_replaced() {
        let mut machine = Machine::new();
        let id = machine.arbitrary("token");
        let path = format!("secrets/{id}/locks_bulk");
        machine.post(&path, r#"{"locks":[{"name":"held","description":"old","attributes":{"a":1}}]}"#);
        machine.later(9);
        machine.post(&path, r#"{"locks":[{"name":"held","attributes":{"a":1e400}}]}"#);
        let locks = machine.get(&format!("secrets/{id}/locks")).rows("locks");
        assert_eq!(locks.len(), 1);
        assert_eq!(locks[0].get("attributes").unwrap().get(), r#"{"a":1e400}"#);
        assert!(locks[0].get("description").is_none());
        assert_eq!(locks[0].str("created_at").as_deref(), Some("2026-11-22T14:00:00.250Z"));
        assert_eq!(locks[0].str("updated_at").as_deref(), Some("2026-11-22T14:00:00.259Z"));
    }

    #[test]
    fn modes_clear_the_previous_version() {
        for (mode, left, payload) in [
            ("", vec!["kept", "held"], true),
            ("?mode=remove_previous", vec!["kept"], true),
            ("?mode=remove_previous_and_delete", vec!["kept"], true),
        ] {
            let mut machine = Machine::new();
            let id = machine.arbitrary("token");
            machine.locked(&id, "current", "held");
            machine.locked(&id, "current", "kept");
            machine.rotate_to(&id, "v2");
            let body = r#"{"locks":[{"name":"held"}]}"#;
            assert_eq!(machine.post(&format!("secrets/{id}/locks_bulk{mode}"), body).0, 201);
            let mut left: Vec<_> = left.into_iter().map(str::to_owned).collect();
            left.sort();
            assert_eq!(names(&mut machine, &id, "previous"), left, "{mode}");
            assert_eq!(machine.get(&format!("secrets/{id}/versions/previous")).has("payload"), payload);
        }
    }

    #[test]
    fn remove_previous_and_delete_takes_the_payload_of_an_unlocked_previous_version() {
        let mut machine = Machine::new();
        let id = machine.arbitrary("token");
        machine.locked(&id, "current", "held");
        machine.rotate_to(&id, "v2");
        let body = r#"{"locks":[{"name":"held"}]}"#;
        let got = machine.post(&format!("secrets/{id}/locks_bulk?mode=remove_previous_and_delete"), body);
        assert!(got.1.contains(r#""version_alias":"previous","locks":[],"payload_available":false"#), "{}", got.1);
        assert!(!machine.get(&format!("secrets/{id}/versions/previous")).has("payload"));
        assert_eq!(machine.post(&format!("secrets/{id}/versions/previous/locks_bulk"), body).0, 400);
        assert_eq!(machine.post(&format!("secrets/{id}/locks_bulk?mode=other"), body).0, 400);
    }

    #[test]
    fn one_bad_lock_spoils_the_request_unless_switched() {
        for (atomic, status, count) in [(true, 400, "0"), (false, 201, "1")] {
            let mut machine = Machine::with(Switches { bulk_locks_atomic: atomic, ..Switches::default() });
            let id = machine.arbitrary("token");
            let body = r#"{"locks":[{"name":"good"},{"name":"1bad"}]}"#;
            assert_eq!(machine.post(&format!("secrets/{id}/locks_bulk"), body).0, status);
            assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("locks_total"), count);
        }
    }

    #[test]
    fn a_secret_takes_a_thousand_locks_in_pages_of_a_hundred() {
        let mut machine = Machine::new();
        let id = machine.arbitrary("token");
        let locks: Vec<_> = (0..1000).map(|index| format!(r#"{{"name":"l{index:04}"}}"#)).collect();
        let body = format!(r#"{{"locks":[{}]}}"#, locks.join(","));
        assert_eq!(machine.post(&format!("secrets/{id}/locks_bulk"), &body).0, 201);
        assert_eq!(machine.post(&format!("secrets/{id}/locks_bulk"), r#"{"locks":[{"name":"more"}]}"#).0, 400);
        let page = machine.get(&format!("secrets/{id}/locks?limit=100&offset=900&sort=name"));
        assert_eq!((page.rows("locks").len(), page.raw("total_count")), (100, "1000".into()));
        assert_eq!(page.rows("locks")[0].str("name").as_deref(), Some("l0900"));
        assert!(!page.has("next"));
        assert_eq!(machine.get(&format!("secrets/{id}/locks")).rows("locks").len(), 25);
        assert_eq!(machine.get(&format!("secrets/{id}/locks?limit=101")).0, 400);
        assert_eq!(machine.get(&format!("secrets/{id}/locks?search=L0999")).raw("total_count"), "1");
    }

    #[test]
    fn locking_moves_updated_at_only_when_switched() {
        for moves in [false, true] {
            let mut machine = Machine::with(Switches { locks_move_updated_at: moves, ..Switches::default() });
            let id = machine.arbitrary("token");
            let before = machine.get(&format!("secrets/{id}/metadata")).str("updated_at");
            machine.later(3);
            machine.locked(&id, "current", "held");
            assert_eq!(machine.get(&format!("secrets/{id}/metadata")).str("updated_at") != before, moves);
        }
    }
}
