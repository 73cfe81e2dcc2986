//! Error messages of the provider.

use crate::model::json::{JsonObject, as_array};

/// Maximum number of characters of a provider's message.
const LONGEST: usize = 300;

/// A refusal with the provider's message.
#[derive(Debug, thiserror::Error)]
#[error("it answers {status}: {message}")]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The message and its code; bounded, on one line.
    pub(super) message: String,
}

/// Extracts the message from an error body: the first of `errors`, otherwise `errorMessage` (the identity service),
/// `error`, or `message`.
pub(super) fn message(body: &str) -> String {
    let told = JsonObject::parse(body).ok().and_then(|object| {
        let first =
            object.get("errors").and_then(as_array).and_then(|list| JsonObject::parse(list.first()?.get()).ok());
        let of = |object: &JsonObject, text: &str, code: &str| {
            let text = object.str(text)?;
            Some(object.str(code).map_or_else(|| text.clone(), |code| format!("{text} ({code})")))
        };
        first
            .and_then(|first| of(&first, "message", "code"))
            .or_else(|| of(&object, "errorMessage", "errorCode"))
            .or_else(|| of(&object, "error", "code"))
            .or_else(|| of(&object, "message", "code"))
    });
    let line: String = told
        .unwrap_or_else(|| "without a message".to_owned())
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_form_is_understood() {
        let body = r#"{"errors":[{"code":"secrets-manager.Error02009","message":"no"}],"status_code":400,"trace":"t"}"#;
        assert_eq!(message(body), "no (secrets-manager.Error02009)");
        assert_eq!(message(r#"{"errorCode":"BXNIM0415E","errorMessage":"key"}"#), "key (BXNIM0415E)");
        assert_eq!(message(r#"{"error":"e"}"#), "e");
        assert_eq!(message(r#"{"message":"m\nn"}"#), "m n");
        assert_eq!(message("<html>"), "without a message");
        assert_eq!(message(&format!(r#"{{"message":"{}"}}"#, "x".repeat(5_000))).len(), LONGEST);
    }
}
