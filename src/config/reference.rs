//! The commented file and the reference, generated from the declarations of the sections.

use std::collections::BTreeMap;

use super::sections::SECTIONS;

/// Columns that comments fill at most.
const WIDTH: usize = 100;

/// Writes the commented file. Keys in `values` (as TOML) are set, all others are comments with an example.
#[must_use]
pub fn commented(values: &BTreeMap<&str, String>) -> String {
    let mut text = String::from(
        "# Keyhaven configuration. The environment variable of a key (source.url: KEYHAVEN_SOURCE_URL) beats this file,\n\
         # and a flag beats both. `keyhaven config show` prints what holds.\n",
    );
    for section in SECTIONS {
        text.push('\n');
        if !section.name.is_empty() {
            comment(&mut text, section.about);
            text.push_str(&format!("[{}]\n", section.name));
        }
        for key in section.keys {
            comment(&mut text, key.about);
            let (_, name) = key.split();
            match values.get(key.path) {
                Some(value) => text.push_str(&format!("{name} = {value}\n")),
                None => text.push_str(&format!("#{name} = {}\n", key.example)),
            }
        }
    }
    text.push_str(TABLES);
    text
}

/// Writes the reference of all keys as Markdown: `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(INTRODUCTION);
    for section in SECTIONS {
        let title =
            if section.name.is_empty() { "Above the sections".to_owned() } else { format!("`[{}]`", section.name) };
        text.push_str(&format!("\n## {title}\n"));
        if !section.about.is_empty() {
            text.push_str(&format!("\n{}\n", wrapped(section.about, "")));
        }
        for key in section.keys {
            let default = match key.default {
                Some("[]") => "none".to_owned(),
                Some(default) => format!("`{default}`"),
                None => "not set".to_owned(),
            };
            let facts = format!("Type: {}. Default: {default}. Variable: `{}`.", (key.expected)(), key.variable());
            text.push_str(&format!("\n### `{}`\n\n{}\n\n", key.path, wrapped(key.about, "")));
            text.push_str(&format!("{}\n\n```toml\n{} = {}\n```\n", wrapped(&facts, ""), key.split().1, key.example));
        }
    }
    text.push_str(&format!("\n## Tables\n\n{}\n\n```toml{TABLES}```\n", wrapped(ABOUT_TABLES, "")));
    text
}

const INTRODUCTION: &str = "\
# Configuration reference

<!-- Written from the declarations in src/config/sections: `UPDATE_FIXTURES=1 cargo test --test it config_messages`. -->

Every key of `keyhaven.toml`, with its type, its default and its environment variable. `keyhaven config init` prints
the same as a commented file. A flag beats the environment variable, and that beats the file. `keyhaven config show`
prints what holds and where each value was set; `keyhaven config validate` checks it. An unknown key is an error, and
so is an unknown `KEYHAVEN_…` variable.

Relative paths in the file start at the directory of the file, those of variables and flags at the working directory.
A list in a variable is separated by commas.

No secret is in the file. A key for a secret names its place: `\"file:PATH\"` is a file that the world cannot read,
`\"env:NAME\"` an environment variable, `\"credential:NAME\"` a systemd credential (`$CREDENTIALS_DIRECTORY`).
";

const ABOUT_TABLES: &str = "These tables can only be in the file. Everything in this example is a comment, as in the file \
                            that `keyhaven config init` prints.";

/// The tables that shape a restore, the jobs and the instances, all as comments.
const TABLES: &str = r#"
# What a restore makes of items that do not come back by themselves, per type: `convert`, `reissue`,
# `definition`, `as_arbitrary`, `recreate` or `external`. `keyhaven coverage` shows what holds.
#[policies]
#public_cert = "convert"
#private_cert = "convert"
#iam_credentials = "definition"
#service_credentials = "definition"
#custom_credentials = "definition"
#private_cert_configuration_intermediate_ca = "recreate"

# The same for single items. The first rule that selects an item wins; `name` settles two items that would
# meet under one name, and is for one item only. Selectors are those of --only: a glob over names and labels,
# or name:GLOB, group:GLOB, type:GLOB, label:GLOB; one of the list is enough.
#[[rules]]
#select = ["group:payments"]
#treatment = "reissue"
#name = "new-name"

# Members that no answer of the provider returns, or that differ in the standby's region. No secrets.
#[[overrides]]
#select = ["type:private_cert_configuration_template"]
#set = { allow_wildcard_certificates = true }

# Literal rewrites on the way into the standby. `field` is payload, name, group, description, labels,
# custom_metadata, version_custom_metadata or settings. A plan shows how much each of them changes.
#[[transforms]]
#select = ["type:kv"]
#field = "payload"
#from = "eu-de.example.com"
#to = "eu-gb.example.com"

# Notifications of failures and of recoveries. URLs and tokens are references: "file:PATH", "env:NAME" or
# "credential:NAME". `on` is failure, partial, suspect, stale, recovery, success; what stays bad is sent again
# after `repeat_every`. Names and error texts are sent only with `names = true`. `keyhaven notify test` sends
# one to each. A ping (healthchecks) reports the start and the end of every run.
#[[notify]]
#kind = "ping"
#name = "nightly"
#url = "file:/etc/keyhaven/healthchecks-url"
#jobs = ["backup"]
#[[notify]]
#kind = "webhook"
#name = "chat"
#preset = "slack"
#url = "file:/etc/keyhaven/slack-url"
#on = ["failure", "recovery", "stale", "suspect"]
#repeat_every = "1d"
#[[notify]]
#kind = "mail"
#name = "operators"
#host = "smtp.example.com"
#tls = "starttls"
#user = "keyhaven"
#password = "file:/etc/keyhaven/smtp-password"
#from = "keyhaven@example.com"
#to = ["operators@example.com"]
#names = true

# What `keyhaven run` does and when. A name of your own; `kind` is the command (default: the name), `args` go
# behind it. `cron` is a line of five fields (six with seconds in front) or @hourly, @daily, @weekly, @monthly,
# by the clocks of `zone` (default: UTC). `keyhaven schedule next` shows the coming runs.
#[jobs.backup]
#cron = "*/15 * * * *"

#[jobs.weekly-check]
#kind = "verify"
#args = ["--level", "objects", "--record"]
#cron = "30 4 * * SUN"
#zone = "Europe/Berlin"
#jitter = "10m"
#deadline = "2h"
#retries = 2
#retry_after = "1m"
#catch_up = true

# Several instances in one file: each sets over the rest of the file what is its own, a repository at least.
# Commands then take --instance NAME; a job runs for all of them, or for those that its `instances` names.
#[[instances]]
#name = "payments"
#source.url = "https://INSTANCE-ID.eu-de.secrets-manager.appdomain.cloud"
#repository.url = "s3://BUCKET/payments"
"#;

/// A text as a TOML string.
#[must_use]
pub fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Writes words as a comment.
fn comment(text: &mut String, words: &str) {
    if !words.is_empty() {
        text.push_str(&wrapped(words, "# "));
        text.push('\n');
    }
}

/// Words in lines that each begin with `start`.
fn wrapped(words: &str, start: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => line.push_str(&format!(" {word}")),
            _ => lines.push(format!("{start}{word}")),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Layer;

    #[test]
    fn the_file_as_it_comes_sets_nothing_and_is_valid() {
        let text = commented(&BTreeMap::new());
        assert!(
            Layer::file(&text, "keyhaven.toml", Path::new("/"))
                .unwrap()
                .sections
                .members()
                .iter()
                .all(|(_, node)| node.members().is_empty()),
            "{text}"
        );
        assert!(text.lines().all(|line| line.chars().count() <= 120));
    }

    #[test]
    fn every_example_has_the_type_of_its_key() {
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            let (section, name) = key.split();
            let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
            let text = format!("{header}{name} = {}\n", key.example);
            assert!(Layer::file(&text, "example", Path::new("/")).is_ok(), "{text}");
        }
    }

    #[cfg(feature = "mail")]
    #[test]
    fn the_tables_that_it_shows_are_right() {
        let text: String = TABLES
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .filter(|line| !line.starts_with(' '))
            .map(|line| format!("{line}\n"))
            .collect();
        let layer = Layer::file(&text, "example", Path::new("/")).unwrap();
        let policies = layer.tables.policies();
        assert_eq!((policies.types.len(), policies.rules.len(), policies.overrides.len()), (6, 1, 1));
        assert_eq!(policies.transforms.len(), 1);
        assert_eq!(layer.notify.len(), 3);
        let names: Vec<&str> = layer.jobs.iter().map(|job| job.name.as_str()).collect();
        assert_eq!((names, layer.instances().collect()), (vec!["backup", "weekly-check"], vec!["payments"]));
    }

    #[test]
    fn set_keys_are_read_back() {
        let values = BTreeMap::from([
            ("source.url", quote("https://a.example")),
            ("backup.tags", "[\"one\", \"two\"]".to_owned()),
        ]);
        let layer = Layer::file(&commented(&values), "x", Path::new("/")).unwrap();
        assert!(layer.sections.find("source.url").is_some() && layer.sections.find("backup.tags").is_some());
        assert!(layer.sections.find("source.crn").is_none());
    }
}
