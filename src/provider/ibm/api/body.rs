//! What is sent.

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::model::Payload;
use crate::model::json::{JsonObject, Members};

/// Texts shorter than this are not looked for in the provider's words: they would be found everywhere.
const SHORTEST_ECHO: usize = 4;

/// The body of a write: one JSON object. Wiped when the last request with it is over, printed as its member names.
#[derive(Clone)]
pub struct WireBody {
    bytes: Bytes,
    /// Names of the members, for people.
    names: Vec<String>,
    /// Where the payload's members begin; nothing when there are none.
    payload_from: Option<usize>,
}

impl WireBody {
    /// A body without a secret.
    #[must_use]
    pub fn new(metadata: &JsonObject) -> Self {
        Self::build(metadata, None)
    }

    /// A body of metadata and a payload: the payload's members follow the metadata, each value as its exact text.
    #[must_use]
    pub fn with_payload(metadata: &JsonObject, payload: &Payload) -> Self {
        Self::build(metadata, Some(payload))
    }

    fn build(metadata: &JsonObject, payload: Option<&Payload>) -> Self {
        let meta = Zeroizing::new(metadata.to_raw().get().to_owned());
        let mut names: Vec<String> = metadata.iter().map(|(name, _)| name.to_owned()).collect();
        let Some((payload, members)) =
            payload.and_then(|p| Some((p.expose().trim(), Members::parse(p.expose()).ok()?)))
        else {
            return Self { bytes: Bytes::from_owner(meta), names, payload_from: None };
        };
        let mut text = Zeroizing::new(String::with_capacity(meta.len() + payload.len() + 1));
        text.push_str(meta.strip_suffix('}').unwrap_or(&meta));
        if !metadata.is_empty() && !members.0.is_empty() {
            text.push(',');
        }
        let payload_from = Some(text.len());
        text.push_str(payload.strip_prefix('{').unwrap_or(payload));
        names.extend(members.0.into_iter().map(|(name, _)| name));
        Self { bytes: Bytes::from_owner(text), names, payload_from }
    }

    /// The bytes to send; every clone is the same buffer.
    pub(in crate::provider::ibm) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The provider's words, unless they repeat a text that was sent with a payload.
    pub(in crate::provider::ibm) fn redact(&self, message: String) -> String {
        let Some(from) = self.payload_from else { return message };
        let sent = self.bytes.get(from..).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        if values(sent).any(|value| value.len() >= SHORTEST_ECHO && message.contains(value)) {
            return "the provider's words are withheld, because they repeat what was sent".to_owned();
        }
        message
    }
}

/// The strings in a JSON text that are values and no member names, as they stand between their quotes.
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

impl fmt::Debug for WireBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &WireBody) -> String {
        String::from_utf8(body.bytes().to_vec()).unwrap()
    }

    #[test]
    fn payload_members_are_joined_digit_for_digit() {
        let metadata = JsonObject::parse(r#"{"name":"n"}"#).unwrap();
        let payload = Payload::new(Zeroizing::new(r#"{"data":{"x":1e400,"k":1,"k":2}}"#.to_owned()));
        let body = WireBody::with_payload(&metadata, &payload);
        assert_eq!(text(&body), r#"{"name":"n","data":{"x":1e400,"k":1,"k":2}}"#);
        assert_eq!(format!("{body:?}"), r#"["name", "data"]"#);
        let empty = JsonObject::default();
        assert_eq!(text(&WireBody::with_payload(&empty, &payload)), r#"{"data":{"x":1e400,"k":1,"k":2}}"#);
        assert_eq!(text(&WireBody::new(&empty)), "{}");
        let nothing = Payload::new(Zeroizing::new("{}".to_owned()));
        assert_eq!(text(&WireBody::with_payload(&metadata, &nothing)), r#"{"name":"n"}"#);
    }

    #[test]
    fn words_that_repeat_a_payload_are_withheld() {
        let payload = Payload::new(Zeroizing::new(r#"{"payload":"hunter2"}"#.to_owned()));
        let body = WireBody::with_payload(&JsonObject::default(), &payload);
        assert!(!body.redact("value hunter2 is bad".to_owned()).contains("hunter2"));
        assert_eq!(body.redact("the payload is bad".to_owned()), "the payload is bad", "a name is no secret");
        let found: Vec<_> = values(r#""a":"b\"c","d":["e",{"f" : "g"}],"h":1}"#).collect();
        assert_eq!(found, [r#"b\"c"#, "e", "g"]);
    }
}
