//! The tables that shape a restore: `[policies]`, `[[rules]]`, `[[overrides]]` and `[[transforms]]`.

use serde_json::{Map, Value as Json};
use toml::Spanned;
use toml::de::DeValue;

use super::entry::{TableEntry, entries, nearest};
use super::error::ConfigError;
use super::layer::SettingOrigin;
use super::value::describe;
use crate::model::{Override, Policies, RewriteField, Rule, Selector, Transform, Treatment};

/// The tables' names.
const POLICIES: &str = "policies";
const RULES: &str = "rules";
const OVERRIDES: &str = "overrides";
const TRANSFORMS: &str = "transforms";

/// What a selector may begin with, each with a colon.
const PREFIXES: [&str; 4] = ["name", "group", "type", "label"];
/// Characters of a text of a rewrite.
const LONGEST_TEXT: usize = 4_096;

/// The tables with where each entry stands. Only a file can have them.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    policies: Policies,
    /// Where the policies, rules, overrides and transforms stand, in their order.
    types: Vec<SettingOrigin>,
    rules: Vec<SettingOrigin>,
    overrides: Vec<SettingOrigin>,
    transforms: Vec<SettingOrigin>,
}

/// One entry for people: what it is, what it says, where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownEntry {
    /// Such as `policies.public_cert` or `rules[1]`; entries count from 1.
    pub key: String,
    /// What it says.
    pub value: String,
    /// Where it stands.
    pub origin: SettingOrigin,
}

impl Tables {
    /// What they say, for a plan or a capture.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Takes a member of the file if it is one of the tables; says whether it was.
    pub(super) fn take(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        place: &dyn Fn(usize) -> SettingOrigin,
    ) -> Result<bool, ConfigError> {
        match name {
            POLICIES => self.types(value, place)?,
            RULES => {
                for entry in entries(RULES, value, place)? {
                    self.rules.push(place(entry.at));
                    self.policies.rules.push(entry.rule()?);
                }
            }
            OVERRIDES => {
                for entry in entries(OVERRIDES, value, place)? {
                    self.overrides.push(place(entry.at));
                    self.policies.overrides.push(entry.given()?);
                }
            }
            TRANSFORMS => {
                for entry in entries(TRANSFORMS, value, place)? {
                    self.transforms.push(place(entry.at));
                    self.policies.transforms.push(entry.transform()?);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
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
        for ((item_type, treatment), origin) in self.policies.types.iter().zip(&self.types) {
            let what = || format!("`{POLICIES}.{item_type}`");
            let Some((_, allowed)) = known.iter().find(|(name, _)| name == item_type) else {
                let problem = format!("no such type{}", nearest(item_type, known.iter().map(|(name, _)| *name)));
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
                        nearest(name, known.iter().map(|(name, _)| *name))
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
        for ((item_type, treatment), origin) in types.iter().zip(&self.types) {
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

    fn types(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        place: &dyn Fn(usize) -> SettingOrigin,
    ) -> Result<(), ConfigError> {
        let DeValue::Table(members) = value.get_ref() else {
            return Err(ConfigError::Section { place: place(value.span().start), section: POLICIES.to_owned() });
        };
        let mut read = Vec::new();
        for (name, value) in members {
            let origin = place(name.span().start);
            let what = format!("`{POLICIES}.{}`", name.get_ref());
            let treatment = treatment(value.get_ref(), &what, &origin)?;
            read.push((name.get_ref().to_string(), treatment, origin));
        }
        // In the order of the map that keeps them.
        read.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, treatment, origin) in read {
            self.policies.types.insert(name, treatment);
            self.types.push(origin);
        }
        Ok(())
    }
}

impl TableEntry<'_, '_> {
    fn rule(&self) -> Result<Rule, ConfigError> {
        self.only(&["select", "treatment", "name"])?;
        let treatment = match self.member("treatment") {
            Some((value, origin)) => Some(treatment(value, &self.path("treatment"), &origin)?),
            None => None,
        };
        let name = self.text("name")?;
        if treatment.is_none() && name.is_none() {
            return Err(self.error("it says neither a `treatment` nor a `name`"));
        }
        Ok(Rule { select: self.select()?, treatment, name })
    }

    fn given(&self) -> Result<Override, ConfigError> {
        self.only(&["select", "set"])?;
        let Some((value, origin)) = self.member("set") else { return Err(self.error("it has no `set`")) };
        let DeValue::Table(members) = value else {
            let problem = format!("must be a table such as {{ ttl = \"30d\" }}, not {}", describe(value));
            return Err(ConfigError::Table { place: origin, what: self.path("set"), problem });
        };
        let mut set = Map::new();
        for (name, value) in members {
            let (name, origin) = (name.get_ref().to_string(), (self.place)(name.span().start));
            let path = self.path(&format!("set.{name}"));
            if is_secret(&name) || has_secret(value.get_ref()) {
                let problem = "is secret by its name or a name in it, and no secret stands in this file".to_owned();
                return Err(ConfigError::Table { place: origin, what: path, problem });
            }
            if ["name", "secret_type", "config_type", "secret_group_id"].contains(&name.as_str()) {
                let problem = "says which item it is; a rule's `name` or a transform of the group renames".to_owned();
                return Err(ConfigError::Table { place: origin, what: path, problem });
            }
            let Some(value) = json(value.get_ref()) else {
                let problem = "is a number that JSON cannot hold".to_owned();
                return Err(ConfigError::Table { place: origin, what: path, problem });
            };
            set.insert(name, value);
        }
        if set.is_empty() {
            return Err(self.error("its `set` is empty"));
        }
        Ok(Override { select: self.select()?, set })
    }

    fn transform(&self) -> Result<Transform, ConfigError> {
        self.only(&["select", "field", "from", "to"])?;
        let needed = |name: &str| self.text(name)?.ok_or_else(|| self.error(&format!("it has no `{name}`")));
        let word = needed("field")?;
        let field: RewriteField = word.parse().map_err(|error: crate::model::policies::FieldError| {
            let near = nearest(&word, RewriteField::ALL.iter().map(|field| field.as_str()));
            self.at("field", format!("{error}{near}"))
        })?;
        let (from, to) = (needed("from")?, needed("to")?);
        if from.is_empty() {
            return Err(self.at("from", "an empty text stands everywhere; name what is replaced".to_owned()));
        }
        if from == to {
            return Err(self.at("to", "is the same as `from`".to_owned()));
        }
        for (name, text) in [("from", &from), ("to", &to)] {
            if text.chars().count() > LONGEST_TEXT {
                return Err(self.at(name, format!("is longer than {LONGEST_TEXT} characters")));
            }
        }
        Ok(Transform { select: self.select()?, field, from, to })
    }

    fn select(&self) -> Result<Vec<Selector>, ConfigError> {
        let Some((value, origin)) = self.member("select") else { return Err(self.error("it has no `select`")) };
        let wrong = |problem: String| ConfigError::Table { place: origin.clone(), what: self.path("select"), problem };
        let DeValue::Array(list) = value else {
            return Err(wrong(format!("must be a list of selectors, not {}", describe(value))));
        };
        if list.is_empty() {
            return Err(wrong("is empty and would select nothing; `*` selects everything".to_owned()));
        }
        let selector = |element: &Spanned<DeValue<'_>>| {
            let DeValue::String(text) = element.get_ref() else {
                return Err(wrong(format!("must be a list of texts, not of {}", describe(element.get_ref()))));
            };
            if let Some((prefix, _)) = text.split_once(':')
                && !PREFIXES.contains(&prefix)
            {
                return Err(wrong(format!(
                    "`{prefix}:` selects by nothing that there is{}; there are name:, group:, type: and label:",
                    nearest(prefix, PREFIXES.into_iter())
                )));
            }
            text.parse().map_err(|error: crate::model::selector::SelectorError| wrong(error.to_string()))
        };
        list.iter().map(selector).collect()
    }
}

fn treatment(value: &DeValue<'_>, what: &str, origin: &SettingOrigin) -> Result<Treatment, ConfigError> {
    let wrong = |problem: String| ConfigError::Table { place: origin.clone(), what: what.to_owned(), problem };
    let DeValue::String(word) = value else {
        return Err(wrong(format!("must be a treatment such as \"reissue\", not {}", describe(value))));
    };
    word.parse().map_err(|error: crate::model::treatment::TreatmentError| {
        wrong(format!("{error}{}", nearest(word, Treatment::ALL.iter().map(|treatment| treatment.as_str()))))
    })
}

fn words(select: &[Selector]) -> String {
    select.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether a member holds a secret in every type that has it, in whatever spelling: what an override gives is stored in
/// the catalogue, which auditors open, and in plans.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace(['-', ' '], "_");
    ["payload", "data", "credentials", "credentials_content", "pin", "classic_infrastructure_username"]
        .contains(&name.as_str())
        || ["private_key", "privatekey", "password", "passphrase", "api_key", "apikey", "token"]
            .iter()
            .any(|end| name.ends_with(end))
        || ["secret", "client_secret", "secret_key", "secret_access_key"].contains(&name.as_str())
}

/// Whether a member with such a name stands anywhere in a value.
fn has_secret(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Array(list) => list.iter().any(|one| has_secret(one.get_ref())),
        DeValue::Table(table) => {
            table.iter().any(|(name, value)| is_secret(name.get_ref()) || has_secret(value.get_ref()))
        }
        _ => false,
    }
}

/// A value of TOML as JSON; a date becomes its text. Nothing when JSON has no such number.
fn json(value: &DeValue<'_>) -> Option<Json> {
    Some(match value {
        DeValue::String(text) => Json::String(text.to_string()),
        DeValue::Boolean(flag) => Json::Bool(*flag),
        DeValue::Integer(number) => Json::from(i64::from_str_radix(number.as_str(), number.radix()).ok()?),
        DeValue::Float(number) => Json::from(number.as_str().parse::<f64>().ok().filter(|n| n.is_finite())?),
        DeValue::Datetime(date) => Json::String(date.to_string()),
        DeValue::Array(list) => Json::Array(list.iter().map(|one| json(one.get_ref())).collect::<Option<_>>()?),
        DeValue::Table(table) => {
            let member = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let name: &std::borrow::Cow<'_, str> = name.get_ref();
                Some((name.to_string(), json(value.get_ref())?))
            };
            Json::Object(table.iter().map(member).collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Layer, Settings};

    const KNOWN: &[(&str, &[Treatment])] =
        &[("kv", &[Treatment::Exact]), ("public_cert", &[Treatment::Convert, Treatment::Reissue])];

    fn read(text: &str) -> Result<Tables, ConfigError> {
        let layer = Layer::file(text, "keyhaven.toml", Path::new("/"))?;
        Ok(Settings::build([layer])?.tables().clone())
    }

    fn fails(text: &str) -> String {
        read(text).and_then(|tables| tables.check_types(KNOWN)).unwrap_err().to_string()
    }

    #[test]
    fn the_tables_are_read_in_their_order() {
        let tables = read(
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
    fn every_slip_names_its_line_and_the_nearest_right_word() {
        let rule = |members: &str| format!("[[rules]]\nselect = [\"x\"]\n{members}\n");
        let transform = |members: &str| format!("[[transforms]]\nselect = [\"x\"]\n{members}\n");
        let cases = [
            (
                "[policies]\npublic_crt = \"reissue\"\n".to_owned(),
                "line 2: `policies.public_crt`: no such type; did you mean `public_cert`?",
            ),
            (
                "[policies]\nkv = \"reissue\"\n".to_owned(),
                "`policies.kv`: this type cannot be `reissue`; it allows exact",
            ),
            ("[policies]\nkv = \"exat\"\n".to_owned(), "did you mean `exact`?"),
            ("[policies]\nkv = true\n".to_owned(), "must be a treatment"),
            ("policies = 3\n".to_owned(), "`policies` is a section"),
            (rule("treatmnt = \"convert\""), "line 3: unknown key `rules.treatmnt`; did you mean `rules.treatment`?"),
            (rule("treatment = \"converted\""), "line 3: `rules.treatment`: `converted` is no treatment"),
            (rule(""), "line 1: `[[rules]]`: it says neither"),
            (rule("name = 3"), "line 3: `rules.name`: must be text, not 3"),
            (
                "[[rules]]\nselect = [\"grup:x\"]\nname = \"n\"\n".to_owned(),
                "line 2: `rules.select`: `grup:` selects by nothing that there is; did you mean `group`?",
            ),
            ("[[rules]]\nselect = []\nname = \"n\"\n".to_owned(), "is empty"),
            ("[[rules]]\nselect = \"x\"\nname = \"n\"\n".to_owned(), "must be a list"),
            (
                "[[rules]]\nselect = [\"type:public_crt\"]\nname = \"n\"\n".to_owned(),
                "selects no type that there is; did you mean `public_cert`?",
            ),
            ("[rules]\nselect = []\n".to_owned(), "write each entry as `[[rules]]`"),
            (transform("field = \"label\"\nfrom = \"a\"\nto = \"b\""), "did you mean `labels`?"),
            (transform("field = \"name\"\nfrom = \"\"\nto = \"b\""), "line 4: `transforms.from`: an empty text"),
            (transform("field = \"name\"\nfrom = \"a\"\nto = \"a\""), "the same as `from`"),
            (transform("field = \"name\"\nfrom = \"a\""), "it has no `to`"),
            ("[[overrides]]\nselect = [\"x\"]\nset = 3\n".to_owned(), "must be a table"),
            ("[[overrides]]\nselect = [\"x\"]\n".to_owned(), "it has no `set`"),
            ("[[overrides]]\nselect = [\"x\"]\nset = { name = \"y\" }\n".to_owned(), "says which item it is"),
        ];
        for (text, words) in cases {
            let message = fails(&text);
            assert!(message.contains(words), "{text}: {message}");
        }
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
        assert!(read("[[overrides]]\nselect = [\"x\"]\nset = { custom_metadata = { password_policy = 1 } }\n").is_ok());
        assert!(read("[[overrides]]\nselect = [\"x\"]\nset = { private_key_format = \"der\" }\n").is_ok());
    }
}
