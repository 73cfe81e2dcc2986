//! Writes answers as text, so that values kept as text are returned unchanged.

use chrono::SecondsFormat;
use zeroize::Zeroizing;

use super::super::options::Precision;
use crate::model::Timestamp;

/// A JSON object, written member by member. Wiped on drop.
pub(crate) struct ObjectText(Zeroizing<String>);

impl ObjectText {
    pub(crate) fn new() -> Self {
        let mut text = Zeroizing::new(String::with_capacity(1024));
        text.push('{');
        Self(text)
    }

    /// Adds a member whose value is JSON text.
    pub(crate) fn raw(&mut self, name: &str, value: &str) -> &mut Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_string(&mut self.0, name);
        self.0.push(':');
        self.0.push_str(value);
        self
    }

    pub(crate) fn str(&mut self, name: &str, value: &str) -> &mut Self {
        self.raw(name, "");
        push_string(&mut self.0, value);
        self
    }

    pub(crate) fn opt_str(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.str(name, value),
            None => self,
        }
    }

    pub(crate) fn opt_raw(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.raw(name, value),
            None => self,
        }
    }

    pub(crate) fn bool(&mut self, name: &str, value: bool) -> &mut Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    pub(crate) fn num(&mut self, name: &str, value: u64) -> &mut Self {
        self.raw(name, &value.to_string())
    }

    /// Adds every member of another object's text.
    pub(crate) fn members_of(&mut self, object: &str) -> &mut Self {
        let inner = object.trim();
        let inner = inner.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default().trim();
        if !inner.is_empty() {
            if self.0.len() > 1 {
                self.0.push(',');
            }
            self.0.push_str(inner);
        }
        self
    }

    pub(crate) fn finish(mut self) -> Zeroizing<String> {
        self.0.push('}');
        self.0
    }
}

/// Formats JSON texts as a JSON list.
pub(crate) fn list<T: AsRef<str>>(elements: impl IntoIterator<Item = T>) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::from("["));
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(element.as_ref());
    }
    out.push(']');
    out
}

/// Formats a JSON string.
pub(crate) fn string(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    push_string(&mut out, value);
    out
}

fn push_string(out: &mut String, value: &str) {
    out.push('"');
    // Fast path: most strings need no escaping, and lists contain many.
    if !value.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(value);
        out.push('"');
        return;
    }
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Formats a time from the instance's clock.
pub(crate) fn stamp(time: Timestamp, precision: Precision) -> String {
    let format = match precision {
        Precision::Millis => SecondsFormat::Millis,
        Precision::Seconds => SecondsFormat::Secs,
    };
    time.datetime().to_rfc3339_opts(format, true)
}

/// Formats a date given by a user, without a fraction if it has none.
pub(crate) fn date(time: Timestamp) -> String {
    stamp(time, if time.millis() % 1000 == 0 { Precision::Seconds } else { Precision::Millis })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_and_raw_values_are_not_touched() {
        let mut object = ObjectText::new();
        object.str("a", "line\n\"quoted\"\u{1}").raw("n", "1e400").members_of(r#"{"k":1,"k":2}"#).bool("b", false);
        assert_eq!(object.finish().as_str(), r#"{"a":"line\n\"quoted\"\u0001","n":1e400,"k":1,"k":2,"b":false}"#);
    }

    #[test]
    fn members_of_an_empty_object_add_nothing() {
        let mut object = ObjectText::new();
        object.members_of("{}").members_of("{ }").num("n", 1);
        assert_eq!(object.finish().as_str(), r#"{"n":1}"#);
    }
}
