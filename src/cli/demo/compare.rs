//! Two instances, item by item and payload by payload, from inside: past every API, client and pack.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::json::{self, JsonObject};
use crate::provider::embedded::{Items, Lock, Secret, SecretState, SecretVersion};

/// The member of metadata in which a restore leaves its mark.
const MARK: &str = crate::provider::mark::MARK;

/// Types that come back as imported certificates.
const CERTIFICATES: [&str; 2] = ["public_cert", "private_cert"];
/// Types whose payload the standby makes itself, where it makes them.
const ISSUED: [&str; 5] =
    ["public_cert", "private_cert", "iam_credentials", "service_credentials", "custom_credentials"];

/// Configurations that may need what a restore does not bring.
const MAY_STAY_AWAY: [&str; 2] = ["private_cert_configuration_", "custom_credentials_configuration"];

/// Amount compared, and the differences. Differences contain names, never values.
#[derive(Debug, Default, Serialize)]
pub(super) struct DemoComparison {
    pub(super) groups: u64,
    pub(super) configurations: u64,
    pub(super) secrets: u64,
    /// Versions whose payload was compared byte for byte.
    pub(super) payloads: u64,
    pub(super) locks: u64,
    /// Certificates that came back as imported ones, their parts compared byte for byte.
    pub(super) converted: u64,
    /// Items that the standby issued anew: authorities with new keys, templates, pending certificates.
    pub(super) anew: u64,
    /// Missing items, as the restore reported.
    pub(super) named: u64,
    pub(super) differences: Vec<String>,
}

impl DemoComparison {
    fn check(&mut self, same: bool, what: impl FnOnce() -> String) {
        if !same {
            self.differences.push(what());
        }
    }
}

/// Compares what the source held with what the standby holds, our marks and held-back rotation aside. `told` are the
/// keys of the items of which the restore said that they do not come back, or wait.
pub(super) fn compare(source: &Items, standby: &Items, told: &BTreeSet<String>) -> DemoComparison {
    let mut found = DemoComparison::default();
    groups(&mut found, source, standby);
    configurations(&mut found, source, standby, told);
    let there: BTreeMap<_, _> = standby.secrets.values().map(|secret| (name_of(standby, secret), secret)).collect();
    let mut seen = 0;
    for secret in source.secrets.values() {
        found.secrets += 1;
        let name = name_of(source, secret);
        let [group, secret_type, own] = &name;
        let imported = [group.clone(), "imported_cert".to_owned(), own.clone()];
        let twin = || there.get(&imported).filter(|_| CERTIFICATES.contains(&secret_type.as_str()));
        seen += 1;
        match there.get(&name) {
            Some(_) if secret.life == SecretState::PreActivation => found.anew += 1,
            Some(_) if ISSUED.contains(&secret_type.as_str()) => found.anew += 1,
            Some(other) => secrets(&mut found, &name.join("/"), secret, other),
            None => match twin() {
                Some(other) => converted(&mut found, &name.join("/"), secret, other),
                None if may_stay_away(secret) && told.contains(&format!("secret/{}", secret.id)) => {
                    seen -= 1;
                    found.named += 1;
                }
                None => found.differences.push(format!("{} is missing", name.join("/"))),
            },
        }
    }
    let extra = there.len().saturating_sub(seen);
    found.check(extra == 0, || format!("{extra} secrets that the source never held"));
    let crn = |items: &Items| items.registration.as_ref().map(|registration| registration.instance_crn.clone());
    found.check(crn(source) == crn(standby), || "the notification registration".to_owned());
    found
}

/// Returns true if a restore may say of a secret that it does not come: whatever it says, a plain value that lives has
/// to.
fn may_stay_away(secret: &Secret) -> bool {
    secret.life != SecretState::Active || ISSUED.contains(&secret.secret_type.as_str())
}

fn groups(found: &mut DemoComparison, source: &Items, standby: &Items) {
    let described = |items: &Items| -> BTreeMap<String, String> {
        items.groups.values().map(|group| (group.name.clone(), group.description.clone())).collect()
    };
    let (here, there) = (described(source), described(standby));
    found.groups = here.len() as u64;
    for (name, description) in &here {
        found.check(there.get(name) == Some(description), || format!("group {name}"));
    }
}

fn configurations(found: &mut DemoComparison, source: &Items, standby: &Items, told: &BTreeSet<String>) {
    for (key, here) in &source.configurations {
        found.configurations += 1;
        let there = standby.configurations.contains_key(key);
        if there && key.starts_with("private_cert_configuration_") {
            found.anew += 1;
            continue;
        }
        if !there
            && MAY_STAY_AWAY.iter().any(|prefix| key.starts_with(prefix))
            && told.contains(&format!("configuration/{key}"))
        {
            found.named += 1;
            continue;
        }
        let same = standby.configurations.get(key).is_some_and(|there| {
            let value = |configuration: &crate::provider::embedded::Configuration| {
                configuration.value.as_ref().map(|value| canonical_text(value.expose()))
            };
            same_object(&here.fields, &there.fields) && value(here) == value(there)
        });
        found.check(same, || format!("configuration {key}"));
    }
}

/// Group, type and name: what stays when ids change.
fn name_of(items: &Items, secret: &Secret) -> [String; 3] {
    let group = items.groups.get(secret.group.as_str()).map_or("default", |group| &group.name);
    [group.to_owned(), secret.secret_type.clone(), secret.name.clone()]
}

fn secrets(found: &mut DemoComparison, name: &str, here: &Secret, there: &Secret) {
    found.check(here.description.as_deref().unwrap_or("") == there.description.as_deref().unwrap_or(""), || {
        format!("{name}: description")
    });
    found.check(here.labels == there.labels, || format!("{name}: labels"));
    found.check(same_metadata(here.custom_metadata.as_deref(), there.custom_metadata.as_deref()), || {
        format!("{name}: custom metadata")
    });
    found.check(here.expiration_date == there.expiration_date, || format!("{name}: expiry"));
    for (alias, here, there) in
        [("current", here.current(), there.current()), ("previous", here.previous(), there.previous())]
    {
        match (here, there) {
            (Some(here), Some(there)) => versions(found, &format!("{name}, {alias}"), here, there),
            (None, None) => {}
            _ => found.differences.push(format!("{name}: only one side has a {alias} version")),
        }
    }
}

fn versions(found: &mut DemoComparison, name: &str, here: &SecretVersion, there: &SecretVersion) {
    // The request that a certificate was made from is the source's own: no create takes it.
    let text = |version: &SecretVersion| {
        let payload = version.payload.as_ref()?.expose();
        let mut members = JsonObject::parse(payload).ok()?;
        Some(members.remove("csr").map_or_else(|| payload.to_owned(), |_| members.to_raw().get().to_owned()))
    };
    found.payloads += u64::from(here.payload.is_some());
    found.check(text(here) == text(there), || format!("{name}: payload"));
    found.check(same_metadata(here.custom_metadata.as_deref(), there.custom_metadata.as_deref()), || {
        format!("{name}: version metadata")
    });
    let locks = |version: &SecretVersion| -> BTreeMap<String, (Option<String>, Option<String>)> {
        version.locks.iter().map(|lock| (lock.name.clone(), lock_text(lock))).collect()
    };
    let (here, there) = (locks(here), locks(there));
    found.locks += here.len() as u64;
    found.check(here == there, || format!("{name}: locks"));
}

/// A certificate that came back as an imported one: the certificate and its key are the same bytes.
fn converted(found: &mut DemoComparison, name: &str, here: &Secret, there: &Secret) {
    let part = |version: Option<&std::sync::Arc<SecretVersion>>, member: &str| {
        let payload = version?.payload.as_ref()?;
        JsonObject::parse(payload.expose()).ok()?.get(member).map(|value| value.get().to_owned())
    };
    found.converted += 1;
    found.check(here.labels == there.labels, || format!("{name}: labels"));
    found.check(same_metadata(here.custom_metadata.as_deref(), there.custom_metadata.as_deref()), || {
        format!("{name}: custom metadata")
    });
    for (alias, here, there) in
        [("current", here.current(), there.current()), ("previous", here.previous(), there.previous())]
    {
        found.payloads += u64::from(here.is_some_and(|version| version.payload.is_some()));
        for member in ["certificate", "private_key"] {
            found.check(part(here, member) == part(there, member), || format!("{name}, {alias}: {member}"));
        }
    }
}

fn lock_text(lock: &Lock) -> (Option<String>, Option<String>) {
    (lock.description.clone().filter(|text| !text.is_empty()), lock.attributes.as_deref().map(canonical))
}

/// Metadata with our mark taken out; none and an empty object are the same.
fn same_metadata(here: Option<&RawValue>, there: Option<&RawValue>) -> bool {
    let stripped = |value: Option<&RawValue>| {
        let mut object = value.and_then(|value| JsonObject::parse(value.get()).ok()).unwrap_or_default();
        drop(object.remove(MARK));
        canonical(&object.to_raw())
    };
    stripped(here) == stripped(there)
}

fn same_object(here: &JsonObject, there: &JsonObject) -> bool {
    canonical(&here.to_raw()) == canonical(&there.to_raw())
}

/// Member order aside, every digit counts.
fn canonical(value: &RawValue) -> String {
    json::canonical(value).unwrap_or_else(|_| value.get().to_owned())
}

fn canonical_text(text: &str) -> String {
    JsonObject::parse(text).map_or_else(|_| text.to_owned(), |object| canonical(&object.to_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::embedded::{EmbeddedInstance, Options, Verb, seed};

    fn seeded() -> EmbeddedInstance {
        let instance = EmbeddedInstance::new(Options { ids: Some(5), ..Options::default() });
        seed(&instance, 5, 60).unwrap();
        instance
    }

    fn differences(change: impl FnOnce(&EmbeddedInstance, &Items)) -> Vec<String> {
        let (source, standby) = (seeded(), seeded());
        let items = standby.snapshot().items;
        change(&standby, &items);
        compare(&source.snapshot().items, &standby.snapshot().items, &BTreeSet::new()).differences
    }

    fn free(items: &Items, secret_type: &str) -> String {
        let fits = |secret: &&std::sync::Arc<Secret>| secret.secret_type == secret_type && secret.locks_total() == 0;
        items.secrets.values().find(fits).unwrap().id.clone()
    }

    #[test]
    fn equal_instances_do_not_differ_and_everything_was_compared() {
        let (source, standby) = (seeded(), seeded());
        let found = compare(&source.snapshot().items, &standby.snapshot().items, &BTreeSet::new());
        assert!(found.differences.is_empty(), "{:?}", found.differences);
        assert_eq!((found.secrets, found.configurations > 3, found.groups > 3), (60, true, true));
        assert!(found.payloads > 60 && found.locks > 0);
    }

    #[test]
    fn every_sort_of_difference_is_found_and_named() {
        let call = |instance: &EmbeddedInstance, verb, target: &str, body: &str| {
            let reply = instance.call(verb, target, body);
            assert!(reply.status < 300, "{}", *reply.body);
        };
        let version = differences(|standby, items| {
            let target = format!("/api/v2/secrets/{}/versions", free(items, "arbitrary"));
            call(standby, Verb::Post, &target, r#"{"payload":"another value"}"#);
        });
        assert!(version.iter().any(|what| what.ends_with("current: payload")), "{version:?}");
        assert!(!format!("{version:?}").contains("another value"));
        let metadata = differences(|standby, items| {
            let target = format!("/api/v2/secrets/{}/metadata", free(items, "kv"));
            call(standby, Verb::Patch, &target, r#"{"custom_metadata":{"n":1.0}}"#);
        });
        assert!(metadata.iter().any(|what| what.ends_with("custom metadata")), "{metadata:?}");
        let gone = differences(|standby, items| {
            call(standby, Verb::Delete, &format!("/api/v2/secrets/{}", free(items, "arbitrary")), "");
        });
        assert!(gone.len() == 1 && gone[0].ends_with("is missing"), "{gone:?}");
        let more = differences(|standby, _| {
            call(standby, Verb::Post, "/api/v2/secrets", r#"{"secret_type":"arbitrary","name":"more","payload":"x"}"#);
        });
        assert_eq!(more, ["1 secrets that the source never held"]);
        let lock = differences(|standby, items| {
            let target = format!("/api/v2/secrets/{}/locks_bulk", free(items, "arbitrary"));
            call(standby, Verb::Post, &target, r#"{"locks":[{"name":"held"}]}"#);
        });
        assert!(lock.len() == 1 && lock[0].ends_with("current: locks"), "{lock:?}");
        let registration =
            differences(|standby, _| call(standby, Verb::Delete, "/api/v2/notifications/registration", ""));
        assert_eq!(registration, ["the notification registration"]);
    }

    #[test]
    fn no_words_of_a_restore_excuse_a_plain_value_that_is_missing() {
        let (source, standby) = (seeded(), seeded());
        let items = source.snapshot().items;
        let id = free(&items, "arbitrary");
        assert!(standby.call(Verb::Delete, &format!("/api/v2/secrets/{id}"), "").status < 300);
        let told = BTreeSet::from([format!("secret/{id}")]);
        let found = compare(&items, &standby.snapshot().items, &told);
        assert!(found.named == 0 && found.differences.len() == 1, "{:?}", found.differences);
    }

    #[test]
    fn our_mark_is_no_difference_and_any_other_member_is() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let own = raw(r#"{"n":1e400}"#);
        assert!(same_metadata(Some(&own), Some(&raw(r#"{"keyhaven":{"v":"x"},"n":1e400}"#))));
        assert!(!same_metadata(Some(&own), Some(&raw(r#"{"keyhaven":{"v":"x"},"n":1e401}"#))));
        assert!(same_metadata(None, Some(&raw("{}"))));
    }
}
