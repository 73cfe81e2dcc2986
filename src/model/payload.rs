//! The secret part of an item.

use std::fmt;

use zeroize::Zeroizing;

/// The payload fields of one version (or of a configuration) as one JSON object, each value exactly as received.
///
/// Wiped when dropped, printed as `[redacted]`, never serialized. It leaves this type only through [`Payload::expose`],
/// so that a search for that word finds every place that sees a secret.
pub struct Payload(Zeroizing<String>);

impl Payload {
    /// Takes ownership of the text of a JSON object.
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// Returns the secret, as the text of a JSON object.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Clone for Payload {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let payload = Payload::new(Zeroizing::new(r#"{"payload":"hunter2"}"#.to_owned()));
        assert_eq!(format!("{payload:?}"), "[redacted]");
    }
}
