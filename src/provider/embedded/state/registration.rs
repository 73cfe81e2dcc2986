//! Registration with the notification service.

use super::data::Registration;
use super::input::InputBody;
use super::refusal::Refusal;
use super::{Answer, InstanceState};

impl InstanceState {
    pub(crate) fn register(&mut self, text: &str) -> Result<Answer, Refusal> {
        const CRN: &str = "event_notifications_instance_crn";
        const NAME: &str = "event_notifications_source_name";
        const DESCRIPTION: &str = "event_notifications_source_description";
        let body = InputBody::parse(text)?;
        body.only(&[CRN, NAME, DESCRIPTION])?;
        let registration = Registration {
            instance_crn: body.required_string(CRN)?,
            source_name: body.required_string(NAME)?,
            source_description: body.string(DESCRIPTION)?,
        };
        let between = |text: &str, min: usize, max: usize| (min..=max).contains(&text.chars().count());
        if !between(&registration.instance_crn, 9, 512)
            || !between(&registration.source_name, 2, 256)
            || !between(registration.source_description.as_deref().unwrap_or_default(), 0, 1024)
        {
            return Err(Refusal::invalid("A field of the registration is too short or too long."));
        }
        if self.items.registration.is_some() {
            return Err(Refusal::conflict(409, "The instance is already registered."));
        }
        let answer = Answer::created(self.renderer.registration(&registration));
        self.put_registration(Some(registration));
        Ok(answer)
    }

    pub(crate) fn get_registration(&self) -> Result<Answer, Refusal> {
        let registration = self.items.registration.as_ref().ok_or_else(|| Refusal::missing("The registration"))?;
        Ok(Answer::ok(self.renderer.registration(registration)))
    }

    pub(crate) fn delete_registration(&mut self) -> Result<Answer, Refusal> {
        self.get_registration()?;
        self.put_registration(None);
        Ok(Answer::no_content())
    }

    pub(crate) fn test_registration(&self) -> Result<Answer, Refusal> {
        self.get_registration()?;
        Ok(Answer { status: self.switches.registration_test_status, body: None })
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::Machine;

    #[test]
    fn only_the_crn_comes_back_and_there_is_one() {
        let mut machine = Machine::new();
        let path = "notifications/registration";
        assert_eq!(machine.get(path).0, 404);
        assert_eq!(machine.get("notifications/registration/test").0, 404);
        let body = r#"{"event_notifications_instance_crn":"crn:v1:en:1","event_notifications_source_name":"src"}"#;
        assert_eq!(machine.post(path, r#"{"event_notifications_instance_crn":"crn:v1:en:1"}"#).0, 400);
        assert_eq!(machine.post(path, body).1, r#"{"event_notifications_instance_crn":"crn:v1:en:1"}"#);
        assert_eq!(machine.post(path, body).0, 409);
        assert_eq!(machine.get(path).str("event_notifications_instance_crn"), "crn:v1:en:1");
        assert_eq!(machine.get("notifications/registration/test").0, 204);
        assert_eq!(machine.delete(path).0, 204);
        assert_eq!(machine.get(path).0, 404);
    }
}
