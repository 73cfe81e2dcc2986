//! The commented configuration file, made from the table of keys.

use std::collections::BTreeMap;

use super::keys::{KEYS, SECTIONS};

/// Columns that comments fill at most.
const WIDTH: usize = 100;

/// Writes the commented file. Keys in `values` (as TOML) are set, all others stand as comments with an example.
#[must_use]
pub fn commented(values: &BTreeMap<&str, String>) -> String {
    let mut text = String::from("# Keyhaven configuration. A key set here is beaten by its environment variable\n");
    text.push_str(
        "# (source.url: KEYHAVEN_SOURCE_URL), and that by a flag. `keyhaven config show` tells what holds.\n",
    );
    for (section, about) in SECTIONS {
        text.push('\n');
        if !section.is_empty() {
            comment(&mut text, about);
            text.push_str(&format!("[{section}]\n"));
        }
        for key in KEYS {
            let (of, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
            if of != *section {
                continue;
            }
            comment(&mut text, key.about);
            match values.get(key.path) {
                Some(value) => text.push_str(&format!("{name} = {value}\n")),
                None => text.push_str(&format!("#{name} = {}\n", key.example)),
            }
        }
    }
    text.push_str(TABLES);
    text
}

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

# Who is told when something goes wrong, and when it is well again. URLs and tokens come by reference (`_file`,
# `_env`, `_credential`). `on` is failure, partial, suspect, stale, recovery, success; what stays bad is told
# again after `repeat_every`. Names and error texts are told only with `names = true`.
# `keyhaven notify test` sends one to each. A ping (healthchecks) tells the start and the end of every run.
#[[notify]]
#kind = "ping"
#name = "nightly"
#url_file = "/etc/keyhaven/healthchecks-url"
#jobs = ["backup"]
#[[notify]]
#kind = "webhook"
#name = "chat"
#preset = "slack"
#url_file = "/etc/keyhaven/slack-url"
#on = ["failure", "recovery", "stale", "suspect"]
#repeat_every = "1d"
#[[notify]]
#kind = "mail"
#name = "operators"
#host = "smtp.example.com"
#tls = "starttls"
#user = "keyhaven"
#password_file = "/etc/keyhaven/smtp-password"
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

/// Texts as a TOML list.
#[must_use]
pub fn quote_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(", "))
}

fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        text.push_str(&line);
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Layer;

    #[test]
    fn the_file_as_it_comes_sets_nothing_and_is_valid() {
        let text = commented(&BTreeMap::new());
        assert!(Layer::file(&text, "keyhaven.toml", Path::new("/")).unwrap().values.is_empty(), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 120));
    }

    #[test]
    fn every_example_has_the_type_of_its_key() {
        for key in KEYS {
            let (section, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
            let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
            let text = format!("{header}{name} = {}\n", key.example);
            assert!(Layer::file(&text, "example", Path::new("/")).is_ok(), "{text}");
        }
    }

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
        assert_eq!(layer.notify.targets.len(), 3);
        let names: Vec<&str> = layer.jobs.iter().map(|job| job.name.as_str()).collect();
        assert_eq!((names, layer.instances().collect()), (vec!["backup", "weekly-check"], vec!["payments"]));
    }

    #[test]
    fn set_keys_are_read_back() {
        let values = BTreeMap::from([
            ("source.url", quote("https://a.example")),
            ("backup.tags", quote_list(&["one".into(), "two\"b".into()])),
        ]);
        let layer = Layer::file(&commented(&values), "x", Path::new("/")).unwrap();
        assert_eq!(layer.values.len(), 2);
        assert_eq!(layer.values["backup.tags"].0.to_string(), "one, two\"b");
    }
}
