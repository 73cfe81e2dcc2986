//! Literal rewrites inside JSON texts. Pure.
//!
//! Only string values are rewritten, never member names or numbers. Everything else keeps its exact bytes.

use zeroize::Zeroizing;

use crate::model::{Payload, Transform};

/// An output buffer that never reallocates, so that no copy of a secret stays in memory.
struct Output(Zeroizing<String>);

/// Rewrites every string in a JSON value and returns the number of places; `None` if there is none.
///
/// The value may be secret: every intermediate text is wiped.
#[must_use]
pub fn rewrite_json(json: &str, transform: &Transform) -> Option<(Zeroizing<String>, u64)> {
    let mut places = 0_u64;
    each_text(json, |text| places += count(&text.decoded, &transform.from));
    if places == 0 {
        return None;
    }
    // An escaped character takes at most six bytes in JSON.
    let growth = transform.to.len().saturating_mul(6).saturating_mul(usize::try_from(places).unwrap_or(usize::MAX));
    let mut output = Output(Zeroizing::new(String::with_capacity(json.len().saturating_mul(2).saturating_add(growth))));
    let mut copied = 0;
    each_text(json, |text| {
        if count(&text.decoded, &transform.from) > 0 {
            output.copy(json, copied, text.begin);
            output.replaced(&text.decoded, transform);
            copied = text.end;
        }
    });
    output.copy(json, copied, json.len());
    Some((output.0, places))
}

/// Applies rewrites to a payload in order; returns the number of places that each changed.
#[must_use]
pub fn rewrite_payload<'t>(
    payload: Payload,
    transforms: impl IntoIterator<Item = &'t Transform>,
) -> (Payload, Vec<u64>) {
    let mut payload = payload;
    let mut counts = Vec::new();
    for transform in transforms {
        match rewrite_json(payload.expose(), transform) {
            Some((text, places)) => {
                payload = Payload::new(text);
                counts.push(places);
            }
            None => counts.push(0),
        }
    }
    (payload, counts)
}

/// Rewrites a plain text and returns the number of places; `None` if there is none.
#[must_use]
pub fn rewrite_text(text: &str, transform: &Transform) -> Option<(String, u64)> {
    let places = count(text, &transform.from);
    (places > 0).then(|| (text.replace(&transform.from, &transform.to), places))
}

fn count(text: &str, from: &str) -> u64 {
    text.matches(from).count() as u64
}

/// A string in a JSON value, with its byte range including quotes.
struct Text {
    begin: usize,
    end: usize,
    decoded: Zeroizing<String>,
}

/// Calls `visit` for every string that is not a member name.
fn each_text(json: &str, mut visit: impl FnMut(Text)) {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'"' {
            at += 1;
            continue;
        }
        let begin = at;
        at += 1;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'\\' => at += 2,
                b'"' => break,
                _ => at += 1,
            }
        }
        let end = (at + 1).min(bytes.len());
        at = end;
        let after = bytes.get(end..).unwrap_or_default().iter().find(|byte| !byte.is_ascii_whitespace());
        let decoded = json.get(begin..end).and_then(|text| serde_json::from_str::<String>(text).ok());
        if let (false, Some(decoded)) = (after == Some(&b':'), decoded) {
            visit(Text { begin, end, decoded: Zeroizing::new(decoded) });
        }
    }
}

impl Output {
    fn copy(&mut self, from: &str, begin: usize, end: usize) {
        self.0.push_str(from.get(begin..end).unwrap_or_default());
    }

    /// Writes a JSON string with the rewrite applied.
    fn replaced(&mut self, text: &str, transform: &Transform) {
        self.0.push('"');
        for (place, part) in text.split(&transform.from).enumerate() {
            if place > 0 {
                self.escaped(&transform.to);
            }
            self.escaped(part);
        }
        self.0.push('"');
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                c if c.is_control() && c.is_ascii() && c != '\u{7f}' => {
                    self.0.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => self.0.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RewriteField;

    fn rule(from: &str, to: &str) -> Transform {
        Transform { select: vec!["*".parse().unwrap()], field: RewriteField::Payload, from: from.into(), to: to.into() }
    }

    fn rewritten(json: &str, from: &str, to: &str) -> Option<(String, u64)> {
        rewrite_json(json, &rule(from, to)).map(|(text, places)| (text.to_string(), places))
    }

    #[test]
    fn only_texts_change_and_everything_else_keeps_its_bytes() {
        let json = r#"{ "host.de":"a.host.de,b.host.de", "n":1e400,"k":1,"k":2, "deep":[{"x":"host.de\/"}], "same":"\u0041" }"#;
        let (text, places) = rewritten(json, "host.de", "host.gb").unwrap();
        assert_eq!(places, 3);
        assert_eq!(
            text,
            r#"{ "host.de":"a.host.gb,b.host.gb", "n":1e400,"k":1,"k":2, "deep":[{"x":"host.gb/"}], "same":"\u0041" }"#
        );
        assert_eq!(rewritten(json, "elsewhere", "x"), None);
        assert_eq!(rewritten(r#"{"n":12345}"#, "234", "9"), None, "no digit of a number");
    }

    #[test]
    fn what_is_escaped_is_found_and_what_is_put_in_is_escaped() {
        let cases = [
            (r#"["caf\u00e9"]"#, "é", "e", r#"["cafe"]"#),
            (r#"["a\"b"]"#, "a\"b", "c", r#"["c"]"#),
            (r#"["x"]"#, "x", "\"\\\n\u{1}", "[\"\\\"\\\\\\n\\u0001\"]"),
            (r#""plain""#, "plain", "", r#""""#),
            (r#"["a\\"]"#, "\\", "/", r#"["a/"]"#),
        ];
        for (json, from, to, becomes) in cases {
            assert_eq!(rewritten(json, from, to).unwrap().0, becomes, "{json}");
            serde_json::from_str::<serde_json::Value>(becomes).unwrap();
        }
    }

    #[test]
    fn rewrites_follow_one_another_and_each_is_counted() {
        let payload = Payload::new(Zeroizing::new(r#"{"payload":"a a b"}"#.to_owned()));
        let (payload, counts) = rewrite_payload(payload, &[rule("a", "b"), rule("b", "c"), rule("a", "x")]);
        assert_eq!((payload.expose(), counts.as_slice()), (r#"{"payload":"c c c"}"#, &[2, 3, 0][..]));
    }
}
