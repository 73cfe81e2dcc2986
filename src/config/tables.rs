//! The tables that shape a restore: `[policies]`, `[[rules]]`, `[[overrides]]` and `[[transforms]]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Map;

use super::de::read;
use super::entry::{TableEntry, entries};
use super::error::ConfigError;
use super::node::{Node, NodeValue};
use super::origin::{SettingOrigin, ShownEntry};
use super::value::{TextValue, ValueError, text_value};
use crate::model::nearest::did_you_mean;
use crate::model::{Override, Policies, RewriteField, Rule, Selector, Transform, Treatment};

/// The tables' names.
const POLICIES: &str = "policies";
const RULES: &str = "rules";
const OVERRIDES: &str = "overrides";
const TRANSFORMS: &str = "transforms";

/// Prefixes of selectors, each with a colon.
const PREFIXES: [&str; 4] = ["name", "group", "type", "label"];
/// Characters of a text of a rewrite.
const LONGEST_TEXT: usize = 4_096;

/// Tables with the position of each entry. Only a file can contain them.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    policies: Policies,
    /// The origin of each policy.
    types: BTreeMap<String, SettingOrigin>,
    /// The origins of the rules, overrides and transforms, in their order.
    rules: Vec<SettingOrigin>,
    overrides: Vec<SettingOrigin>,
    transforms: Vec<SettingOrigin>,
}

impl Tables {
    /// Returns their policies, for a plan or a capture.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Takes the tables out of a tree.
    pub(super) fn take(root: &mut Node) -> Result<Self, ConfigError> {
        let mut tables = Self::default();
        if let Some(node) = root.take(POLICIES) {
            let types: BTreeMap<String, TreatmentWord> = read(&node, POLICIES, true)?;
            tables.policies.types = types.into_iter().map(|(name, word)| (name, word.0)).collect();
            tables.types = node.members().iter().map(|(name, node)| (name.clone(), node.origin.clone())).collect();
        }
        let mut each = |table, take: &mut dyn FnMut(&TableEntry<'_>) -> Result<(), ConfigError>| match root.take(table)
        {
            Some(node) => entries(table, &node)?.iter().try_for_each(take),
            None => Ok(()),
        };
        each(RULES, &mut |entry| {
            tables.rules.push(entry.node.origin.clone());
            tables.policies.rules.push(rule(entry)?);
            Ok(())
        })?;
        each(OVERRIDES, &mut |entry| {
            tables.overrides.push(entry.node.origin.clone());
            tables.policies.overrides.push(given(entry)?);
            Ok(())
        })?;
        each(TRANSFORMS, &mut |entry| {
            tables.transforms.push(entry.node.origin.clone());
            tables.policies.transforms.push(transform(entry)?);
            Ok(())
        })?;
        Ok(tables)
    }

    /// Puts the entries of a later layer behind these.
    pub(super) fn extend(&mut self, later: Self) {
        self.policies.types.extend(later.policies.types);
        self.policies.rules.extend(later.policies.rules);
        self.policies.overrides.extend(later.policies.overrides);
        self.policies.transforms.extend(later.policies.transforms);
        self.types.extend(later.types);
        self.rules.extend(later.rules);
        self.overrides.extend(later.overrides);
        self.transforms.extend(later.transforms);
    }

    /// Checks every type that is named against those that a provider has, and every treatment of a type against those
    /// that it may have.
    ///
    /// # Errors
    /// When a type does not exist, or cannot have its treatment.
    pub fn check_types(&self, known: &[(&str, &[Treatment])]) -> Result<(), ConfigError> {
        for ((item_type, treatment), origin) in self.policies.types.iter().zip(self.types.values()) {
            let what = || format!("`{POLICIES}.{item_type}`");
            let Some((_, allowed)) = known.iter().find(|(name, _)| name == item_type) else {
                let problem = format!("no such type{}", did_you_mean(item_type, known.iter().map(|(name, _)| *name)));
                return Err(ConfigError::Table { place: origin.clone(), what: what(), problem });
            };
            if !allowed.contains(treatment) {
                let words: Vec<&str> = allowed.iter().map(|treatment| treatment.as_str()).collect();
                let problem = format!("this type cannot be `{treatment}`; it allows {}", words.join(", "));
                return Err(ConfigError::Table { place: origin.clone(), what: what(), problem });
            }
        }
        for (table, selects, origin) in self.selections() {
            for name in selects.iter().filter_map(Selector::of_type) {
                let found = |(known, _): &(&str, _)| crate::model::selector::glob(name.as_bytes(), known.as_bytes());
                if !known.iter().any(found) {
                    let problem = format!(
                        "`type:{name}` selects no type that there is{}",
                        did_you_mean(name, known.iter().map(|(name, _)| *name))
                    );
                    return Err(ConfigError::Table {
                        place: origin.clone(),
                        what: format!("`{table}.select`"),
                        problem,
                    });
                }
            }
        }
        Ok(())
    }

    /// Every entry, for people. No entry holds a payload.
    #[must_use]
    pub fn shown(&self) -> Vec<ShownEntry> {
        let Policies { types, rules, overrides, transforms } = &self.policies;
        let mut shown = Vec::new();
        for ((item_type, treatment), origin) in types.iter().zip(self.types.values()) {
            let (key, value) = (format!("{POLICIES}.{item_type}"), treatment.to_string());
            shown.push(ShownEntry { key, value, origin: origin.clone() });
        }
        let mut add = |table: &str, place: usize, value: String, origin: &SettingOrigin| {
            shown.push(ShownEntry { key: format!("{table}[{}]", place + 1), value, origin: origin.clone() });
        };
        for (place, (rule, origin)) in rules.iter().zip(&self.rules).enumerate() {
            let treatment = rule.treatment.map(|treatment| format!("; treatment {treatment}")).unwrap_or_default();
            let name = rule.name.as_ref().map(|name| format!("; name {name}")).unwrap_or_default();
            add(RULES, place, format!("{}{treatment}{name}", words(&rule.select)), origin);
        }
        for (place, (one, origin)) in overrides.iter().zip(&self.overrides).enumerate() {
            let names: Vec<&str> = one.set.keys().map(String::as_str).collect();
            add(OVERRIDES, place, format!("{}; set {}", words(&one.select), names.join(", ")), origin);
        }
        for (place, (one, origin)) in transforms.iter().zip(&self.transforms).enumerate() {
            let Transform { select, field, from, to } = one;
            add(TRANSFORMS, place, format!("{}; in {field}: \"{from}\" becomes \"{to}\"", words(select)), origin);
        }
        shown
    }

    fn selections(&self) -> impl Iterator<Item = (&'static str, &[Selector], &SettingOrigin)> {
        let Policies { rules, overrides, transforms, .. } = &self.policies;
        let rules = rules.iter().zip(&self.rules).map(|(one, at)| (RULES, one.select.as_slice(), at));
        let overrides = overrides.iter().zip(&self.overrides).map(|(one, at)| (OVERRIDES, one.select.as_slice(), at));
        let transforms =
            transforms.iter().zip(&self.transforms).map(|(one, at)| (TRANSFORMS, one.select.as_slice(), at));
        rules.chain(overrides).chain(transforms)
    }
}

/// A treatment as it is written.
#[derive(Debug)]
struct TreatmentWord(Treatment);

impl TextValue for TreatmentWord {
    fn parse(text: &str, _: &Path) -> Result<Self, ValueError> {
        from_word(text, Treatment::ALL.iter().map(|one| one.as_str())).map(Self)
    }
}

/// A field of a rewrite as it is written.
struct FieldWord(RewriteField);

impl TextValue for FieldWord {
    fn parse(text: &str, _: &Path) -> Result<Self, ValueError> {
        from_word(text, RewriteField::ALL.iter().map(|one| one.as_str())).map(Self)
    }
}

fn from_word<T: FromStr<Err: ToString>>(
    text: &str,
    known: impl Iterator<Item = &'static str>,
) -> Result<T, ValueError> {
    text.parse().map_err(|error: T::Err| ValueError::Problem(error.to_string() + &did_you_mean(text, known)))
}

/// A selector as it is written.
struct SelectorText(Selector);

impl TextValue for SelectorText {
    fn parse(text: &str, _: &Path) -> Result<Self, ValueError> {
        if let Some((prefix, _)) = text.split_once(':')
            && !PREFIXES.contains(&prefix)
        {
            return Err(ValueError::Problem(format!(
                "`{prefix}:` selects by nothing that there is{}; there are name:, group:, type: and label:",
                did_you_mean(prefix, PREFIXES.into_iter())
            )));
        }
        text.parse()
            .map(Self)
            .map_err(|error: crate::model::selector::SelectorError| ValueError::Problem(error.to_string()))
    }
}

text_value! { read
    TreatmentWord: "a treatment such as \"reissue\"";
    FieldWord: "a field of a transform";
    SelectorText: "a selector such as \"group:NAME\"";
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleMembers {
    select: Vec<SelectorText>,
    treatment: Option<TreatmentWord>,
    name: Option<String>,
}

fn rule(entry: &TableEntry<'_>) -> Result<Rule, ConfigError> {
    let RuleMembers { select, treatment, name } = entry.read()?;
    if treatment.is_none() && name.is_none() {
        return Err(entry.error("it says neither a `treatment` nor a `name`"));
    }
    Ok(Rule { select: selectors(entry, select)?, treatment: treatment.map(|word| word.0), name })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverrideMembers {
    select: Vec<SelectorText>,
    #[serde(rename = "set")]
    _set: serde::de::IgnoredAny,
}

fn given(entry: &TableEntry<'_>) -> Result<Override, ConfigError> {
    let OverrideMembers { select, .. } = entry.read()?;
    let wrong = |member: &str, problem: &str| Err(entry.at(member, problem));
    let given = entry.node.find("set");
    if let Some(node) = given.filter(|node| !matches!(node.value, NodeValue::Table(_))) {
        return wrong("set", &format!("must be a table such as {{ ttl = \"30d\" }}, not {}", node.describe()));
    }
    let mut set = Map::new();
    for (name, node) in given.map(Node::members).unwrap_or_default() {
        let member = format!("set.{name}");
        if is_secret(name) || has_secret(node) {
            return wrong(&member, "is secret by its name or a name in it, and no secret stands in this file");
        }
        if ["name", "secret_type", "config_type", "secret_group_id"].contains(&name.as_str()) {
            return wrong(&member, "says which item it is; a rule's `name` or a transform of the group renames");
        }
        let Some(value) = node.json() else { return wrong(&member, "is a number that JSON cannot hold") };
        set.insert(name.clone(), value);
    }
    if set.is_empty() {
        return Err(entry.error("its `set` is empty"));
    }
    Ok(Override { select: selectors(entry, select)?, set })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransformMembers {
    select: Vec<SelectorText>,
    field: FieldWord,
    from: String,
    to: String,
}

fn transform(entry: &TableEntry<'_>) -> Result<Transform, ConfigError> {
    let TransformMembers { select, field, from, to } = entry.read()?;
    if from.is_empty() {
        return Err(entry.at("from", "an empty text stands everywhere; name what is replaced"));
    }
    if from == to {
        return Err(entry.at("to", "is the same as `from`"));
    }
    for (name, text) in [("from", &from), ("to", &to)] {
        if text.chars().count() > LONGEST_TEXT {
            return Err(entry.at(name, format!("is longer than {LONGEST_TEXT} characters")));
        }
    }
    Ok(Transform { select: selectors(entry, select)?, field: field.0, from, to })
}

fn selectors(entry: &TableEntry<'_>, select: Vec<SelectorText>) -> Result<Vec<Selector>, ConfigError> {
    if select.is_empty() {
        return Err(entry.at("select", "is empty and would select nothing; `*` selects everything"));
    }
    Ok(select.into_iter().map(|text| text.0).collect())
}

fn words(select: &[Selector]) -> String {
    select.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Returns true if a member holds a secret in every type that has it, in whatever spelling: what an override gives is
/// stored in the catalogue, which auditors open, and in plans.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace(['-', ' '], "_");
    ["payload", "data", "credentials", "credentials_content", "pin", "classic_infrastructure_username"]
        .contains(&name.as_str())
        || ["private_key", "privatekey", "password", "passphrase", "api_key", "apikey", "token"]
            .iter()
            .any(|end| name.ends_with(end))
        || ["secret", "client_secret", "secret_key", "secret_access_key"].contains(&name.as_str())
}

/// Returns true if a member with such a name is anywhere in a value.
fn has_secret(node: &Node) -> bool {
    match &node.value {
        NodeValue::List(list) => list.iter().any(has_secret),
        NodeValue::Table(members) => members.iter().any(|(name, node)| is_secret(name) || has_secret(node)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layer, Settings};

    const KNOWN: &[(&str, &[Treatment])] =
        &[("kv", &[Treatment::Exact]), ("public_cert", &[Treatment::Convert, Treatment::Reissue])];

    fn tables(text: &str) -> Result<Tables, ConfigError> {
        let layer = Layer::file(text, "keyhaven.toml", Path::new("/"))?;
        Ok(Settings::build([layer])?.tables().clone())
    }

    fn fails(text: &str) -> String {
        tables(text).unwrap_err().to_string()
    }

    #[test]
    fn the_tables_are_read_in_their_order() {
        let tables = tables(
            "[policies]\npublic_cert = \"reissue\"\n[[rules]]\nselect = [\"group:a\", \"b\"]\ntreatment = \"convert\"\n\
             name = \"n\"\n[[overrides]]\nselect = [\"type:kv\"]\nset = { a = true, n = 0x10, f = 1.5, l = [1, \"x\"], \
             d = 2030-01-01 }\n[[transforms]]\nselect = [\"*\"]\nfield = \"payload\"\nfrom = \"x\"\nto = \"\"\n",
        )
        .unwrap();
        assert!(tables.check_types(KNOWN).is_ok());
        let policies = tables.policies();
        assert_eq!(policies.types["public_cert"], Treatment::Reissue);
        assert_eq!(policies.rules[0].name.as_deref(), Some("n"));
        let set = policies.overrides[0].members().to_raw();
        assert_eq!(set.get(), r#"{"a":true,"d":"2030-01-01","f":1.5,"l":[1,"x"],"n":16}"#);
        let shown: Vec<String> =
            tables.shown().iter().map(|one| format!("{} {} {}", one.key, one.value, one.origin)).collect();
        assert_eq!(
            shown,
            [
                "policies.public_cert reissue keyhaven.toml, line 2",
                "rules[1] group:a, b; treatment convert; name n keyhaven.toml, line 3",
                "overrides[1] type:kv; set a, d, f, l, n keyhaven.toml, line 7",
                "transforms[1] *; in payload: \"x\" becomes \"\" keyhaven.toml, line 10",
            ]
        );
    }

    #[test]
    fn no_secret_stands_in_an_override() {
        for name in ["payload", "private_key", "lets_encrypt_private_key", "api_key"] {
            let message = fails(&format!("[[overrides]]\nselect = [\"x\"]\nset = {{ {name} = \"hunter2\" }}\n"));
            assert!(message.contains("is secret by its name") && !message.contains("hunter2"), "{message}");
        }
        for set in [
            r#"API-Key = "hunter2""#,
            r#"classic_infrastructure_username = "hunter2""#,
            r#"custom_metadata = { password = "hunter2" }"#,
            r#"custom_metadata = { list = [{ deep = { client_secret = "hunter2" } }] }"#,
        ] {
            let message = fails(&format!("[[overrides]]\nselect = [\"x\"]\nset = {{ {set} }}\n"));
            assert!(message.contains("a name in it") && !message.contains("hunter2"), "{message}");
        }
        assert!(
            tables("[[overrides]]\nselect = [\"x\"]\nset = { custom_metadata = { password_policy = 1 } }\n").is_ok()
        );
        assert!(tables("[[overrides]]\nselect = [\"x\"]\nset = { private_key_format = \"der\" }\n").is_ok());
    }
}
