//! Converts IBM's answers to [`RestoreItem`].

use serde_json::value::RawValue;

use super::members::{METADATA_ROOM, unpatchable};
use super::supply::{MemberPlace, place};
use super::{authority, issue, template};
use crate::model::json::{JsonObject, as_str, raw};
use crate::model::{Item, ItemKind, Timestamp};
use crate::provider::ibm::docs::{DERIVED, LOCKS, SUPPLIED, VALUE, VERSIONS};
use crate::provider::ibm::docs::{LOCKS_ROW, ROW};
use crate::provider::mark::{take_mark, take_version_mark};
use crate::provider::{RestoreItem, RestoreLock, RestoreVersion};

/// Converts an item.
pub(in crate::provider::ibm) fn view(item: &Item) -> RestoreItem {
    let row = item.doc(ROW).unwrap_or_default();
    // The row may be newer than the list that the item came from.
    let name = row.str("name").unwrap_or_else(|| item.name.clone());
    let mut view = RestoreItem {
        group: item.group.clone(),
        labels: row.array("labels").unwrap_or_default().iter().filter_map(|label| as_str(label)).collect(),
        unpatchable: unpatchable(&item.item_type),
        // It is not documented whether a new version keeps it.
        cleared_by_versions: &["expiration_date"],
        versions_total: row.u64("versions_total"),
        ..RestoreItem::new(item.key.clone(), &name, &item.item_type, METADATA_ROOM)
    };
    match item.key.kind() {
        ItemKind::Group => {
            view.settings.set("name", raw(view.name.as_str()));
            view.settings.set("description", given(&row, "description").unwrap_or_else(|| raw("")));
        }
        ItemKind::Registration => keep(&mut view.settings, &row, &["event_notifications_instance_crn"]),
        ItemKind::Configuration => configuration(item, &row, &mut view),
        ItemKind::Secret => secret(item, &row, &mut view),
        ItemKind::Other => {}
    }
    inputs(item, &mut view);
    view.lost = template::lost(&view);
    view
}

/// Adds members that no answer shows: derived from a certificate at capture time, or supplied by the operator, whose
/// values take precedence.
fn inputs(item: &Item, view: &mut RestoreItem) {
    for (name, value) in item.doc(DERIVED).unwrap_or_default().iter() {
        if view.settings.get(name).is_none() {
            view.inputs.set(name, value.to_owned());
        }
    }
    for (name, value) in item.doc(SUPPLIED).unwrap_or_default().iter() {
        let shown = view.settings.get(name).is_some() || place(&item.item_type, name) == Some(MemberPlace::Setting);
        let place = if shown { &mut view.settings } else { &mut view.inputs };
        place.set(name, value.to_owned());
    }
}

/// Returns the CRN of the instance from a secret's row or from the answer to its creation.
pub(in crate::provider::ibm) fn instance(row: &JsonObject) -> Option<String> {
    row.str("crn")?.split_once(":secret:").map(|(instance, _)| format!("{instance}::"))
}

/// Returns the instance id in a CRN, in lower case.
pub(in crate::provider::ibm) fn instance_id(crn: &str) -> Option<String> {
    let id = crn.split(':').nth(7)?;
    (!id.is_empty()).then(|| id.to_ascii_lowercase())
}

/// Returns true if the row lists configurations that use this secret.
pub(super) fn referred(item: &Item) -> bool {
    let row = item.doc(ROW).unwrap_or_default();
    row.array("referenced_by").is_some_and(|list| !list.is_empty())
}

/// Reads the non-secret settings of a configuration. Its value shows all of them, its list row not always.
fn configuration(item: &Item, row: &JsonObject, view: &mut RestoreItem) {
    let names: &[&str] = match item.item_type.as_str() {
        item_type if authority::is(item_type) => {
            authority::view(item, view);
            &[]
        }
        item_type if template::is(item_type) => {
            template::view(item, view);
            &[]
        }
        "iam_credentials_configuration" => &["disabled"],
        "public_cert_configuration_ca_lets_encrypt" => &["lets_encrypt_environment", "lets_encrypt_preferred_chain"],
        "public_cert_configuration_dns_cloud_internet_services" => &["cloud_internet_services_crn"],
        _ => &[],
    };
    keep(&mut view.settings, row, names);
    if let Some(value) = item.doc(VALUE) {
        keep(&mut view.settings, &value, names);
    }
}

fn secret(item: &Item, row: &JsonObject, view: &mut RestoreItem) {
    let mut metadata = row.object("custom_metadata").unwrap_or_default();
    view.mark = take_mark(&mut metadata);
    let settings = &mut view.settings;
    settings.set("name", raw(view.name.as_str()));
    // The provider distinguishes absent from empty; `null` means absent.
    settings.set("description", given(row, "description").unwrap_or_else(|| RawValue::NULL.to_owned()));
    settings.set("labels", given(row, "labels").unwrap_or_else(|| raw::<[u8]>(&[])));
    settings.set("custom_metadata", metadata.to_raw());
    view.expires = time(row, "expiration_date");
    if matches!(item.item_type.as_str(), "arbitrary" | "username_password") {
        // Normalise the time, so that `12:00:00Z` and `12:00:00.000Z` are equal.
        settings.set("expiration_date", view.expires.map_or_else(|| RawValue::NULL.to_owned(), |time| raw(&time)));
    }
    keep(settings, row, &["password_generation_policy"]);
    issue::view(item, row, view);
    view.rotation = row.object("rotation").filter(|rotation| rotation.bool("auto_rotate") == Some(true));
    view.versions =
        item.docs.get(VERSIONS).and_then(|doc| crate::model::json::as_array(doc)).map(|list| versions(&list));
    view.locks = item.docs.get(LOCKS).and_then(|doc| crate::model::json::as_array(doc)).map(|list| locks(&list));
    for version in item.doc(LOCKS_ROW).and_then(|row| row.array("versions")).unwrap_or_default() {
        let Some((id, version)) = JsonObject::parse(version.get()).ok().and_then(|v| Some((v.str("version_id")?, v)))
        else {
            continue;
        };
        for name in version.array("locks").unwrap_or_default().iter().filter_map(|name| as_str(name)) {
            view.lock_names.push((id.clone(), name));
        }
        let place = if version.str("version_alias").as_deref() == Some("current") { 0 } else { view.newest.len() };
        view.newest.insert(place, id);
    }
}

/// Converts the versions, oldest first. The answer has no documented order, so sort by alias, then by time.
fn versions(list: &[Box<RawValue>]) -> Vec<RestoreVersion> {
    let mut versions: Vec<(u8, Option<Timestamp>, RestoreVersion)> = Vec::with_capacity(list.len());
    for text in list {
        let Some(row) = JsonObject::parse(text.get()).ok() else { continue };
        let Some(id) = row.str("id") else { continue };
        let rank = match row.str("alias").as_deref() {
            Some("current") => 2,
            Some("previous") => 1,
            _ => 0,
        };
        let mut metadata = row.object("version_custom_metadata").unwrap_or_default();
        let mark = take_version_mark(&mut metadata);
        let payload = row.bool("payload_available").unwrap_or(rank > 0);
        let version = RestoreVersion { id, payload, metadata, mark, expires: time(&row, "expiration_date") };
        versions.push((rank, time(&row, "created_at"), version));
    }
    versions.sort_by_key(|(rank, time, _)| (*rank, *time));
    versions.into_iter().map(|(_, _, version)| version).collect()
}

fn locks(list: &[Box<RawValue>]) -> Vec<RestoreLock> {
    let mut locks = Vec::with_capacity(list.len());
    for text in list {
        let Some(row) = JsonObject::parse(text.get()).ok() else { continue };
        let (Some(version), Some(name)) = (row.str("secret_version_id"), row.str("name")) else { continue };
        let mut settings = JsonObject::default();
        settings.set("name", raw(name.as_str()));
        for name in ["description", "attributes"] {
            if let Some(value) = given(&row, name) {
                settings.set(name, value);
            }
        }
        locks.push(RestoreLock { version, name, settings });
    }
    locks
}

fn time(row: &JsonObject, name: &str) -> Option<Timestamp> {
    row.str(name)?.parse().ok()
}

/// Returns a member, unless it is absent or `null`.
fn given(row: &JsonObject, name: &str) -> Option<Box<RawValue>> {
    row.get(name).filter(|value| value.get() != "null").map(ToOwned::to_owned)
}

fn keep(settings: &mut JsonObject, row: &JsonObject, names: &[&str]) {
    for name in names {
        if let Some(value) = row.get(name) {
            settings.set(name, value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Docs, Restorability};

    fn item(docs: &[(&str, &str)]) -> Item {
        let docs: Docs = docs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), RawValue::from_string((*text).to_owned()).unwrap()))
            .collect();
        Item {
            key: "secret/s1".parse().unwrap(),
            name: "n".into(),
            item_type: "arbitrary".into(),
            group: Some("default".into()),
            class: Restorability::Exact.into(),
            revision: None,
            read_at: None,
            payloads: Vec::new(),
            docs,
        }
    }

    #[test]
    fn versions_are_put_oldest_first_whatever_order_they_came_in() {
        let newest_first = r#"[
            {"id":"c","alias":"current","created_at":"2026-01-03T00:00:00Z"},
            {"id":"b","alias":"previous","created_at":"2026-01-03T00:00:00Z"},
            {"id":"a","created_at":"2026-01-01T00:00:00Z","payload_available":false}]"#;
        let oldest_first = r#"[
            {"id":"a","created_at":"2026-01-01T00:00:00Z","payload_available":false},
            {"id":"b","alias":"previous","created_at":"2026-01-03T00:00:00Z"},
            {"id":"c","alias":"current","created_at":"2026-01-03T00:00:00Z"}]"#;
        for doc in [newest_first, oldest_first] {
            let versions = view(&item(&[("row", "{}"), ("versions", doc)])).versions.unwrap();
            let seen: Vec<_> = versions.iter().map(|version| (version.id.as_str(), version.payload)).collect();
            assert_eq!(seen, [("a", false), ("b", true), ("c", true)]);
        }
    }

    #[test]
    fn two_spellings_of_one_time_are_one_setting() {
        let at = |time: &str| {
            let row = format!(r#"{{"expiration_date":"{time}"}}"#);
            view(&item(&[("row", &row)])).settings.get("expiration_date").unwrap().get().to_owned()
        };
        assert_eq!(at("2030-01-01T00:00:00Z"), at("2030-01-01T01:00:00.000+01:00"));
    }

    #[test]
    fn the_marks_are_taken_out_of_what_is_compared() {
        let row = r#"{"custom_metadata":{"n":1.0,"keyhaven":{"source":"s","version":"v","versions":1,"details":"00",
            "snapshot":"0000000000000000000000000000000000000000000000000000000000000000"}}}"#;
        let view = view(&item(&[("row", row)]));
        assert_eq!(view.mark.unwrap().source, "s");
        assert_eq!(view.settings.get("custom_metadata").unwrap().get(), r#"{"n":1.0}"#);
    }
}
