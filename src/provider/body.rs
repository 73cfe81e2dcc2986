//! Request bodies.

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::model::Payload;
use crate::model::json::{JsonObject, Members};

/// Minimum length of a sent text that is searched for in the provider's message: shorter ones would match by chance.
const SHORTEST_ECHO: usize = 4;

/// The body of a write: one JSON object of metadata, followed by the members of a payload.
#[derive(Clone, Default)]
pub struct RequestBody {
    /// Members that are not secret.
    pub metadata: JsonObject,
    /// The payload fields that the request takes, each as exact text.
    pub payload: Option<Payload>,
}

impl RequestBody {
    /// Creates a body without a payload.
    #[must_use]
    pub fn new(metadata: JsonObject) -> Self {
        Self { metadata, payload: None }
    }

    /// Creates a body of metadata and a payload.
    #[must_use]
    pub fn with_payload(metadata: JsonObject, payload: Payload) -> Self {
        Self { metadata, payload: Some(payload) }
    }

    /// Returns the payload's text and its members.
    fn members(&self) -> Option<(&str, Members<'_>)> {
        let text = self.payload.as_ref()?.expose().trim();
        Some((text, Members::parse(text).ok()?))
    }

    /// Returns the bytes to send, wiped when the last clone is dropped. Each payload value is its exact text.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        let metadata = Zeroizing::new(self.metadata.to_raw().get().to_owned());
        let Some((payload, members)) = self.members() else { return Bytes::from_owner(metadata) };
        // Allocate for the whole text, so that it never grows and leaves a copy in memory.
        let mut text = Zeroizing::new(String::with_capacity(metadata.len() + payload.len() + 1));
        text.push_str(metadata.strip_suffix('}').unwrap_or(&metadata));
        if !self.metadata.is_empty() && !members.0.is_empty() {
            text.push(',');
        }
        text.push_str(payload.strip_prefix('{').unwrap_or(payload));
        Bytes::from_owner(text)
    }

    /// Returns the provider's message, unless it repeats a text of the payload.
    #[must_use]
    pub fn redact(&self, message: String) -> String {
        let Some((sent, _)) = self.members() else { return message };
        if values(sent).any(|value| value.len() >= SHORTEST_ECHO && message.contains(value)) {
            return "the provider's words are withheld, because they repeat what was sent".to_owned();
        }
        message
    }
}

/// Iterates over the strings in a JSON text that are values and not member names, as written between the quotes.
fn values(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let begin = rest.find('"')? + 1;
            let body = rest.get(begin..)?;
            let mut escaped = false;
            let end = body.bytes().position(|byte| {
                let closes = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                closes
            })?;
            rest = body.get(end + 1..)?;
            if !rest.trim_start().starts_with(':') {
                return body.get(..end);
            }
        }
    })
}

impl fmt::Debug for RequestBody {
    /// Shows the names of the members only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = self.members().map(|(_, members)| members.0).unwrap_or_default();
        let names = self.metadata.iter().map(|(name, _)| name.to_owned());
        f.debug_list().entries(names.chain(payload.into_iter().map(|(name, _)| name))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &RequestBody) -> String {
        String::from_utf8(body.bytes().to_vec()).unwrap()
    }

    #[test]
    fn payload_members_are_joined_digit_for_digit() {
        let metadata = JsonObject::parse(r#"{"name":"n"}"#).unwrap();
        let payload = Payload::new(Zeroizing::new(r#"{"data":{"x":1e400,"k":1,"k":2}}"#.to_owned()));
        let body = RequestBody::with_payload(metadata.clone(), payload.clone());
        assert_eq!(text(&body), r#"{"name":"n","data":{"x":1e400,"k":1,"k":2}}"#);
        assert_eq!(format!("{body:?}"), r#"["name", "data"]"#);
        let empty = JsonObject::default();
        assert_eq!(text(&RequestBody::with_payload(empty.clone(), payload)), r#"{"data":{"x":1e400,"k":1,"k":2}}"#);
        assert_eq!(text(&RequestBody::new(empty)), "{}");
        let nothing = Payload::new(Zeroizing::new("{}".to_owned()));
        assert_eq!(text(&RequestBody::with_payload(metadata, nothing)), r#"{"name":"n"}"#);
    }

    #[test]
    fn words_that_repeat_a_payload_are_withheld() {
        let payload = Payload::new(Zeroizing::new(r#"{"payload":"hunter2"}"#.to_owned()));
        let body = RequestBody::with_payload(JsonObject::default(), payload);
        assert!(!body.redact("value hunter2 is bad".to_owned()).contains("hunter2"));
        assert_eq!(body.redact("the payload is bad".to_owned()), "the payload is bad", "a name is no secret");
        let found: Vec<_> = values(r#""a":"b\"c","d":["e",{"f" : "g"}],"h":1}"#).collect();
        assert_eq!(found, [r#"b\"c"#, "e", "g"]);
    }
}
