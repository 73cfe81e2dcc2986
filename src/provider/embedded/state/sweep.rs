//! Time-based changes of secrets: expiry and rotation.

use std::sync::Arc;

use super::InstanceState;
use super::data::Secret;
use super::kinds::iam_credentials;
use super::secret_kind::SecretKind;
use super::tasks::TaskTrigger;
use crate::model::Timestamp;

impl InstanceState {
    /// Destroys expired secrets and rotates due ones. Called before every request.
    ///
    /// A lock postpones expiry, except for certificates. A lock on the previous version postpones rotation.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        self.expire_authorities(now);
        for id in self.index.due(now.millis()) {
            let Some(secret) = self.items.secrets.get(&id) else { continue };
            let (expires, rotates, wakes) = (secret.expiration_date, secret.next_rotation_date, secret.wake_at);
            let is_due = |date: Option<Timestamp>| date.is_some_and(|date| date <= now);
            let kind = SecretKind::of(&secret.secret_type);
            let held = secret.locks_total() > 0 && !kind.is_some_and(SecretKind::ends_when_locked);
            // A payload that the instance renews continues in the new version, if the rotation was due by the end.
            let renews = kind.is_some_and(SecretKind::renews) && rotates <= expires.or(rotates);
            if is_due(rotates) && (renews || !is_due(expires)) && self.rotate(now, &id).is_ok() {
                continue;
            }
            if is_due(wakes) {
                self.wake_all(now, &id);
            }
            // A refused rotation is retried at the next sweep.
            let expires = self.items.secrets.get(&id).and_then(|secret| secret.expiration_date);
            if is_due(expires) && !held {
                self.end(now, &id);
            }
        }
        self.end_previous(now);
        self.sweep_tasks(now);
        self.retry_ends(now);
    }

    /// Processes the due steps of a public certificate, each at its own time. One that was renewed in time does not
    /// expire, however long the instance received no requests.
    fn wake_all(&mut self, now: Timestamp, id: &str) {
        let due = |secret: &Arc<Secret>| {
            let in_time = |at: &Timestamp| *at <= now && secret.expiration_date.is_none_or(|end| *at <= end);
            secret.wake_at.filter(in_time)
        };
        while let Some(at) = self.items.secrets.get(id).and_then(due) {
            if !self.wake_public(at, id) {
                break;
            }
        }
    }

    /// Destroys a secret, or only its key if the next read creates another one.
    fn end(&mut self, now: Timestamp, id: &str) {
        let Ok(secret) = self.secret(id) else { return };
        let dynamic = secret.secret_type == "iam_credentials" && !iam_credentials::reuses_api_key(&secret.fields);
        if !dynamic || self.switches.dynamic_credentials_end {
            return self.destroy(now, id);
        }
        let mut secret = (**secret).clone();
        iam_credentials::drop_api_key(&mut secret);
        secret.updated_at = now;
        self.put_secret(secret);
    }

    /// Ends expired previous versions of credentials; the current version ends later.
    fn end_previous(&mut self, now: Timestamp) {
        for id in self.index.previous_due(now.millis()) {
            let Some(secret) = self.items.secrets.get(&id) else { continue };
            let mut secret = (**secret).clone();
            if secret.locks_total() > 0 {
                continue;
            }
            let Some(previous) = secret.versions.get_mut(1) else { continue };
            Arc::make_mut(previous).payload = None;
            let ended = previous.id.clone();
            if secret.secret_type == "custom_credentials" {
                self.enqueue_end(now, &mut secret, TaskTrigger::SecretVersionExpiration, &ended);
            }
            secret.updated_at = now;
            self.put_secret(secret);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::{DAY, Machine};
    use crate::provider::embedded::options::Switches;

    const SOON: &str = r#""payload":"v1","expiration_date":"2026-11-23T00:00:00Z""#;

    #[test]
    fn an_expired_secret_is_destroyed_and_a_lock_postpones_it() {
        let mut machine = Machine::new();
        let free = machine.create("arbitrary", "free", SOON);
        let held = machine.create("arbitrary", "held", SOON);
        machine.rotate_to(&free, "v2");
        machine.locked(&held, "current", "held");
        machine.later(DAY);
        let got = machine.get(&format!("secrets/{free}"));
        assert_eq!((got.raw("state"), got.str("state_description")), ("5".into(), "destroyed".into()));
        assert!(!got.has("payload"));
        let versions = machine.get(&format!("secrets/{free}/versions")).rows("versions");
        assert!(versions.iter().all(|row| row.bool("payload_available") == Some(false)));
        assert_eq!(machine.post(&format!("secrets/{free}/versions"), r#"{"payload":"v3"}"#).0, 400);
        assert_eq!(machine.get(&format!("secrets/{held}")).str("payload"), "v1");
        machine.delete(&format!("secrets/{held}/locks_bulk"));
        machine.later(1);
        assert_eq!(machine.get(&format!("secrets/{held}/metadata")).raw("state"), "5");
    }

    #[test]
    fn a_cleared_expiry_is_forgotten() {
        let mut machine = Machine::new();
        let members = r#""username":"svc","password":"123456","expiration_date":"2026-11-23T00:00:00Z""#;
        let id = machine.create("username_password", "user", members);
        machine.patch(&format!("secrets/{id}/metadata"), r#"{"expiration_date":null}"#);
        machine.later(2 * DAY);
        let got = machine.get(&format!("secrets/{id}/metadata"));
        assert_eq!((got.raw("state"), got.raw("versions_total")), ("1".into(), "1".into()));
    }

    #[test]
    fn a_past_expiry_is_destroyed_at_once_where_it_is_not_refused() {
        let mut machine = Machine::with(Switches { past_expiration_refused: false, ..Switches::default() });
        let id = machine.create("arbitrary", "late", r#""payload":"v1","expiration_date":"2020-01-01T00:00:00Z""#);
        machine.later(1);
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("state"), "5");
    }

    #[test]
    fn a_due_rotation_makes_a_version_unless_the_previous_one_is_locked() {
        let mut machine = Machine::new();
        let members =
            r#""username":"svc","password":"123456","rotation":{"auto_rotate":true,"interval":1,"unit":"day"}"#;
        let id = machine.create("username_password", "user", members);
        machine.later(DAY);
        let current = machine.get(&format!("secrets/{id}/versions/current"));
        assert_eq!((current.raw("auto_rotated"), current.str("password").len()), ("true".into(), 32));
        assert_eq!(machine.get(&format!("secrets/{id}/versions/previous")).str("password"), "123456");
        machine.locked(&id, "previous", "held");
        machine.later(DAY);
        assert_eq!(machine.get(&format!("secrets/{id}/versions")).raw("total_count"), "2");
        machine.delete(&format!("secrets/{id}/locks_bulk"));
        machine.later(1);
        assert_eq!(machine.get(&format!("secrets/{id}/versions")).raw("total_count"), "3");
    }

    #[test]
    fn a_version_by_the_instance_takes_the_expiry_as_switched() {
        for carries in [true, false] {
            let mut machine = Machine::with(Switches { expiration_carries: carries, ..Switches::default() });
            let rotation = r#""rotation":{"auto_rotate":true,"interval":1,"unit":"day"}"#;
            let members = format!(r#""username":"svc","expiration_date":"2027-01-01T00:00:00Z",{rotation}"#);
            let id = machine.create("username_password", "user", &members);
            machine.later(DAY);
            let got = machine.get(&format!("secrets/{id}/metadata"));
            assert_eq!((got.raw("versions_total"), got.has("expiration_date")), ("2".into(), carries));
        }
    }

    #[test]
    fn nothing_rotates_where_rotation_is_off() {
        let mut machine = Machine::with(Switches { auto_rotates: false, ..Switches::default() });
        let members =
            r#""username":"svc","password":"123456","rotation":{"auto_rotate":true,"interval":1,"unit":"day"}"#;
        let id = machine.create("username_password", "user", members);
        machine.later(10 * DAY);
        assert_eq!(machine.get(&format!("secrets/{id}/versions")).raw("total_count"), "1");
    }

    #[test]
    fn a_certificate_whose_rotation_was_due_before_its_end_is_renewed() {
        let mut machine = Machine::new();
        crate::provider::embedded::state::pki::kit::chain(&mut machine);
        let rotation = r#""rotation":{"auto_rotate":true,"interval":5,"unit":"day"}"#;
        let members = format!(r#""certificate_template":"web","common_name":"a.example.com","ttl":"10d",{rotation}"#);
        let id = machine.create("private_cert", "web", &members);
        // No request arrived until both had ended.
        machine.later(11 * DAY);
        let got = machine.get(&format!("secrets/{id}/metadata"));
        assert_eq!((got.raw("state"), got.raw("versions_total")), ("1".into(), "2".into()));
    }

    #[test]
    fn a_lock_does_not_postpone_the_end_of_a_certificate() {
        let mut machine = Machine::new();
        crate::provider::embedded::state::pki::kit::chain(&mut machine);
        let members = r#""certificate_template":"web","common_name":"a.example.com","ttl":"10d""#;
        let certificate = machine.create("private_cert", "web", members);
        let plain = machine.create("arbitrary", "held", r#""payload":"v1","expiration_date":"2026-11-30T00:00:00Z""#);
        for id in [&certificate, &plain] {
            machine.locked(id, "current", "held");
        }
        machine.later(11 * DAY);
        let mut state = |id: &str| machine.get(&format!("secrets/{id}/metadata")).raw("state");
        assert_eq!((state(&certificate), state(&plain)), ("5".into(), "1".into()));
    }
}
