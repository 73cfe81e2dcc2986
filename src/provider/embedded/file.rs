//! Data file of a sandbox: the whole instance as JSON Lines, with every payload in clear, readable only by its owner.
//!
//! The first line identifies the format and the instance; each further line is one item. The file is replaced by
//! renaming a complete new file over it, so a crash leaves either the old or the new one.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::EmbeddedError;
use super::instance::EmbeddedInstance;
use super::options::Options;
use super::state::text::ObjectText;
use super::state::{Configuration, Group, Items, Registration, Secret};
use crate::files::{Durability, replace};
use crate::model::json::JsonObject;

const FORMAT: &str = "keyhaven-sandbox-1";

impl EmbeddedInstance {
    /// Writes everything to `path`, mode 0600, durably.
    ///
    /// # Errors
    /// If writing fails; the existing file is then unchanged.
    pub fn save(&self, path: &Path) -> Result<(), EmbeddedError> {
        let text = self.to_text();
        let failed = |what| move |source| EmbeddedError::File { what, path: path.to_owned(), source };
        replace(path, text.as_bytes(), 0o600, Durability::ContentAndName).map_err(failed("replace"))
    }

    /// Loads an instance from a file written by [`EmbeddedInstance::save`]. Region, account, instance id and API key
    /// come from the file; other options from `options`.
    ///
    /// # Errors
    /// If the file cannot be read or is not a sandbox data file.
    pub fn load(mut options: Options, path: &Path) -> Result<Self, EmbeddedError> {
        let mut text = Zeroizing::new(String::new());
        let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
        read.map_err(|source| EmbeddedError::File { what: "read", path: path.to_owned(), source })?;
        let damaged = |line: usize, problem| EmbeddedError::Data { path: path.to_owned(), line: line + 1, problem };
        let mut lines = text.lines().enumerate();
        let head = lines.next().and_then(|(_, line)| JsonObject::parse(line).ok());
        let head = head.ok_or_else(|| damaged(0, "is no JSON object"))?;
        identify(&mut options, &head).map_err(|problem| damaged(0, problem))?;
        let mut items = Items::default();
        let mut ended = false;
        for (number, line) in lines {
            ended = take_line(&mut items, line).map_err(|problem| damaged(number, problem))?;
        }
        if !ended {
            return Err(damaged(text.lines().count(), "is missing: the file is cut off"));
        }
        Ok(Self::with_items(options, &items))
    }

    fn to_text(&self) -> Zeroizing<String> {
        let options = self.options();
        let mut head = ObjectText::new();
        head.str("format", FORMAT).str("note", "made-up secrets, in clear; do not put real ones here");
        head.str("region", &options.region).str("account", &options.account);
        head.str("instance_id", &options.instance_id).str("api_key", options.api_key.expose_secret());
        let mut text = head.finish();
        let items = self.snapshot().items;
        let mut line = |kind: &str, item: Zeroizing<String>| {
            let mut object = ObjectText::new();
            object.raw(kind, &item);
            text.push('\n');
            text.push_str(&object.finish());
        };
        items.groups.values().for_each(|group| line("group", json(&**group)));
        items.configurations.values().for_each(|item| line("configuration", json(&**item)));
        items.registration.iter().for_each(|item| line("registration", json(&**item)));
        items.secrets.values().for_each(|secret| line("secret", json(&**secret)));
        line("end", Zeroizing::new("true".to_owned()));
        text.push('\n');
        text
    }
}

/// Plain data with string keys always serializes.
fn json<T: Serialize>(item: &T) -> Zeroizing<String> {
    Zeroizing::new(serde_json::to_string(item).unwrap_or_default())
}

fn identify(options: &mut Options, head: &JsonObject) -> Result<(), &'static str> {
    if head.str("format").as_deref() != Some(FORMAT) {
        return Err("has no sandbox format marker");
    }
    let member = |name| head.str(name).ok_or("lacks a member");
    options.region = member("region")?;
    options.account = member("account")?;
    options.instance_id = member("instance_id")?;
    options.api_key = SecretString::from(member("api_key")?);
    Ok(())
}

/// Adds the item of a line. Returns `true` for the end line.
fn take_line(items: &mut Items, line: &str) -> Result<bool, &'static str> {
    let object = JsonObject::parse(line).map_err(|_| "is no JSON object")?;
    let (kind, value) = object.iter().next().ok_or("is empty")?;
    match kind {
        "group" => {
            let group: Group = parse(value.get())?;
            items.groups.insert(group.id.as_str().into(), Arc::new(group));
        }
        "configuration" => {
            let item: Configuration = parse(value.get())?;
            items.configurations.insert(format!("{}/{}", item.config_type, item.name).into(), Arc::new(item));
        }
        "registration" => items.registration = Some(Arc::new(parse::<Registration>(value.get())?)),
        "secret" => {
            let secret: Secret = parse(value.get())?;
            items.secrets.insert(secret.id.as_str().into(), Arc::new(secret));
        }
        "end" => return Ok(true),
        _ => return Err("has an unknown kind"),
    }
    Ok(false)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, &'static str> {
    // Do not quote serde's message: it may contain a payload.
    serde_json::from_str(text).map_err(|_| "has an item that cannot be read")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at the file itself")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::seed::seed;
    use std::fs;

    use super::*;

    #[test]
    fn what_was_saved_comes_back_to_the_byte_under_another_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sandbox.jsonl");
        let source = EmbeddedInstance::new(Options {
            instance_id: "11111111-2222-4333-8444-555555555555".into(),
            ..Options::default()
        });
        seed(&source, 5, 80).unwrap();
        source.save(&path).unwrap();
        source.save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let loaded = EmbeddedInstance::load(Options::default(), &path).unwrap();
        assert_eq!(loaded.crn(), source.crn());
        assert_eq!(*loaded.to_text(), *source.to_text());
        assert_eq!(*loaded.to_text(), fs::read_to_string(&path).unwrap());
    }

    #[test]
    fn what_comes_after_a_restart_takes_no_id_of_what_was_there() {
        use super::super::state::Verb;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sandbox.jsonl");
        let options = || Options { ids: Some(4), ..Options::default() };
        let body = |name: &str| format!(r#"{{"secret_type":"arbitrary","name":"{name}","payload":"v"}}"#);
        let mut instance = EmbeddedInstance::new(options());
        // The same number of equal requests after every start draws the same random numbers.
        for round in 1..=3_usize {
            assert_eq!(instance.call(Verb::Post, "/api/v2/secrets", &body(&format!("name-{round}"))).status, 201);
            let items = instance.snapshot().items;
            let mut ids: Vec<_> = items.secrets.values().map(|secret| secret.id.clone()).collect();
            ids.extend(items.secrets.values().flat_map(|secret| &secret.versions).map(|version| version.id.clone()));
            ids.sort();
            ids.dedup();
            assert_eq!((items.secrets.len(), ids.len()), (round, 2 * round), "a secret is lost, or two share an id");
            instance.save(&path).unwrap();
            instance = EmbeddedInstance::load(options(), &path).unwrap();
        }
    }

    #[test]
    fn a_damaged_file_is_named_with_its_line_and_nothing_of_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sandbox.jsonl");
        let source = EmbeddedInstance::new(Options::default());
        seed(&source, 5, 3).unwrap();
        source.save(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let cut = lines[..lines.len() - 1].join("\n");
        let broken = text.replacen("\"secret\":{", "\"secret\":{\"id\":7,", 1);
        let foreign = "{\"kind\":\"something else\"}".to_owned();
        for (text, part) in
            [(cut, "cut off"), (broken, "cannot be read"), (foreign, "line 1"), (String::new(), "line 1")]
        {
            fs::write(&path, text).unwrap();
            let message = EmbeddedInstance::load(Options::default(), &path).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("sandbox.jsonl"), "{message}");
        }
        let missing = EmbeddedInstance::load(Options::default(), &folder.path().join("none")).unwrap_err();
        assert!(matches!(missing, EmbeddedError::File { what: "read", .. }));
    }
}
