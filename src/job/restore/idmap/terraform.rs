//! The id map as `import` blocks of Terraform (1.5 and later).

use std::collections::BTreeSet;

use super::IdMap;

impl IdMap {
    /// Returns the map as `import` blocks. Resource names are derived from group and name, and numbered if they
    /// collide.
    #[must_use]
    pub fn to_terraform(&self) -> String {
        let mut out = String::new();
        let mut taken = BTreeSet::<(String, String)>::new();
        for item in &self.items {
            let Some((resource, id)) = &item.terraform else { continue };
            let name = free(&mut taken, resource, &identifier(item.group.as_deref(), &item.name));
            out.push_str(&format!("import {{\n  to = {resource}.{name}\n  id = {}\n}}\n\n", quoted(id)));
        }
        out
    }
}

/// Returns the name, or its first numbered form that no other resource of this type has.
fn free(taken: &mut BTreeSet<(String, String)>, resource: &str, name: &str) -> String {
    let numbered = (2_u32..).map(|number| format!("{name}_{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| taken.insert((resource.to_owned(), name.clone()))).unwrap_or_default()
}

/// Returns a Terraform identifier: letters, digits and underscores, not starting with a digit.
fn identifier(group: Option<&str>, name: &str) -> String {
    let joined = group.map_or_else(|| name.to_owned(), |group| format!("{group}_{name}"));
    let mut out: String = joined.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !out.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        out.insert(0, '_');
    }
    out
}

/// Returns a quoted HCL template that evaluates to exactly this text.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Without this, `${` and `%{` would begin a template.
            '$' | '%' if chars.peek() == Some(&'{') => out.extend([c, c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::restore::idmap::tests::map;

    #[test]
    fn names_are_identifiers_and_unique_also_against_numbered_ones() {
        let blocks = map().to_terraform();
        let names: Vec<&str> = blocks.lines().filter_map(|line| line.trim().strip_prefix("to = ")).collect();
        let kv = |name: &str| format!("sm_kv_secret.{name}");
        assert_eq!(names, [kv("_1st_a_b"), kv("_1st_a_b_2"), kv("_1st_a_b_2_2"), kv("_x__y_")]);
    }

    #[test]
    fn no_text_ends_its_quotes_or_begins_a_template() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quoted("${x} %{if} $ %"), r#""$${x} %%{if} $ %""#);
        assert_eq!(quoted("a\nb\u{7}"), "\"a\\nb\\u0007\"");
    }
}
