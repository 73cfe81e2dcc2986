//! Texts with placeholders, such as the body of a webhook.

use crate::model::nearest::nearest;
/// Names that a template may use, each with its meaning. All values are text; a value that a run does not have is
/// empty.
pub const FIELDS: &[(&str, &str)] = &[
    ("event", "failure, partial, suspect, stale, recovery, success or test"),
    ("title", "one line for people"),
    ("text", "some lines for people"),
    ("severity", "critical, error, warning or info"),
    ("action", "trigger, or resolve for a recovery and a success"),
    ("key", "the same text for everything about one job of one repository: a digest, no name"),
    ("priority", "5 down to 2, as ntfy counts"),
    ("tags", "a word for an icon, as ntfy has them"),
    ("job", "the job; without `names` only its kind"),
    ("kind", "the command, such as backup"),
    ("instance", "the instance; empty without `names` and where there is only one"),
    ("host", "the host; empty without `names`"),
    ("ending", "succeeded, partial, suspect, failed, timed_out, interrupted or stale"),
    ("exit", "the exit code"),
    ("hint", "what to do next"),
    ("why", "the error; empty without `names`"),
    ("snapshot", "the digest of the snapshot"),
    ("sequence", "its number"),
    ("problems", "problems or differences found"),
    ("requests", "requests to the instance"),
    ("started", "when the run began (RFC 3339)"),
    ("ended", "when it ended"),
    ("time", "when this was sent"),
    ("since", "since when it has been bad, as far as this target was notified"),
    ("duration", "how long the run took, for people"),
    ("seconds", "the same in whole seconds"),
    ("attempt", "which attempt it was, from 1"),
    ("run", "the id of the run"),
    ("token", "the target's token, which a template should only send to whom it belongs"),
];

/// The largest template, in bytes.
pub const LARGEST: usize = 64 * 1024;

/// Escaping of inserted values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// As the inside of a JSON string.
    Json,
    /// Control characters but line breaks become blanks.
    Text,
    /// All control characters become blanks, and what is not ASCII a question mark: a header.
    Header,
}

/// A template that names only fields that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<TemplatePart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    Field(&'static str),
}

impl Template {
    /// Reads a template: text with `{{field}}` in it.
    ///
    /// # Errors
    /// In words, when a placeholder is not closed or names nothing that there is, or the template is too large.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LARGEST {
            return Err(format!("is larger than {LARGEST} bytes"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else {
                return Err("has a `{{` without its `}}`".to_owned());
            };
            let name = name.trim();
            let Some((field, _)) = FIELDS.iter().find(|(field, _)| *field == name) else {
                let near = nearest(name, FIELDS.iter().map(|(field, _)| *field));
                let near = near.map(|field| format!("; did you mean `{{{{{field}}}}}`?")).unwrap_or_default();
                // The text there may be a misplaced secret.
                return Err(format!("has a placeholder that there is not{near}"));
            };
            parts.push(TemplatePart::Text(before.to_owned()));
            parts.push(TemplatePart::Field(field));
            rest = after;
        }
        parts.push(TemplatePart::Text(rest.to_owned()));
        Ok(Self { parts })
    }

    /// The text with its placeholders filled in.
    pub fn render<'v>(&self, escape: Escape, value: impl Fn(&str) -> std::borrow::Cow<'v, str>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(words) => text.push_str(words),
                TemplatePart::Field(field) => text.push_str(&escaped(escape, &value(field))),
            }
        }
        text
    }

    /// Returns true if it names a field.
    #[must_use]
    pub fn names(&self, field: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, TemplatePart::Field(name) if *name == field))
    }
}

/// A text made harmless for where it goes.
fn escaped(escape: Escape, text: &str) -> String {
    match escape {
        Escape::Json => {
            let quoted = serde_json::Value::String(text.to_owned()).to_string();
            quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
        }
        Escape::Text => text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect(),
        Escape::Header => text
            .chars()
            .map(|c| match c {
                c if c.is_control() => ' ',
                c if c.is_ascii() => c,
                _ => '?',
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, escape: Escape, value: &str) -> String {
        Template::parse(template).unwrap().render(escape, |_| value.to_owned().into())
    }

    #[test]
    fn what_is_filled_in_cannot_break_out() {
        let hostile = "a\"},{\"x\":\"\\\u{1}\n{{token}}";
        let json = render(r#"{"text":"{{why}}"}"#, Escape::Json, hostile);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["text"], hostile, "one member, the text as it was; a placeholder in it is text");
        assert_eq!(render("{{why}}!", Escape::Header, "a\r\nX-Evil: 1\u{e9}"), "a  X-Evil: 1?!");
        assert_eq!(render("{{ why }}", Escape::Text, "a\nb\u{1b}[0m"), "a\nb [0m");
    }

    #[test]
    fn a_slip_is_named_and_what_stands_there_is_not_repeated() {
        assert!(Template::parse("{{endng}}").unwrap_err().contains("did you mean `{{ending}}`?"));
        assert!(Template::parse("{{job}").unwrap_err().contains("without its"));
        assert!(!Template::parse("{{hunter2}}").unwrap_err().contains("hunter2"));
        assert!(Template::parse(&"x".repeat(LARGEST + 1)).is_err());
        assert!(Template::parse("{ not a placeholder } {{job}}").unwrap().names("job"));
    }
}
