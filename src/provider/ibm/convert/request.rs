//! Request bodies.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::body::pick;
use super::members::{create_only, fields};
use super::{authority, issue, template};
use crate::model::Payload;
use crate::model::json::{JsonObject, raw};
use crate::provider::mark::RestoreMark;
use crate::provider::normal::{merge_patch, normal};
use crate::provider::{Action, Change, ConvertError, RequestBody, RestoreItem};

/// Builds the body of the request for a change.
pub(in crate::provider::ibm) fn body(change: &Change<'_>) -> Result<RequestBody, ConvertError> {
    let item = change.item;
    let payload = || change.part(change.payload, "a payload");
    match change.action {
        Action::CreateGroup | Action::UpdateGroup => Ok(RequestBody::new(item.settings.clone())),
        Action::CreateConfiguration => configuration(item, payload()?, true),
        Action::UpdateConfiguration => configuration(item, payload()?, false),
        Action::SignAuthority => Ok(authority::sign_intermediate(item)),
        Action::SetSigned { .. } => Ok(authority::set_signed(change.part(change.certificate, "a certificate")?)),
        Action::CreateSecret { mark, mark_version, .. } => new_secret(change, mark.as_ref(), *mark_version),
        Action::AddVersion { mark_version, .. } => new_version(change, *mark_version),
        Action::PatchMetadata { mark } => {
            Ok(patch_secret(item, change.part(change.have, "the item of the standby")?, mark.as_ref()))
        }
        Action::PatchVersionMetadata { mark_version, .. } => patch_version(change, *mark_version),
        Action::ReleaseRotation { turn_on } => {
            Ok(release_rotation(change.part(change.have, "the item of the standby")?, *turn_on))
        }
        Action::AddLocks { .. } => {
            let list: Vec<&JsonObject> = change.locks.iter().map(|lock| &lock.settings).collect();
            Ok(one_member("locks", raw(&list)))
        }
        Action::Register => registration(change),
        Action::RemoveLocks { .. } | Action::Delete { .. } => Ok(RequestBody::default()),
    }
}

fn one_member(name: &str, value: Box<RawValue>) -> RequestBody {
    RequestBody::new([(name.to_owned(), value)].into_iter().collect())
}

fn unknown(view: &RestoreItem) -> ConvertError {
    ConvertError { what: view.key.to_string(), why: format!("nothing is known of the type {}", view.item_type) }
}

fn configuration(view: &RestoreItem, value: &Payload, create: bool) -> Result<RequestBody, ConvertError> {
    let fields = fields(&view.item_type).ok_or_else(|| unknown(view))?;
    let mut metadata = JsonObject::default();
    let given = view.settings.iter().filter(|(_, setting)| setting.get() != "null");
    if create {
        metadata.set("config_type", raw(view.item_type.as_str()));
        metadata.set("name", raw(view.name.as_str()));
        add(&mut metadata, given);
        let inputs = view.inputs.iter().filter(|(name, _)| create_only(&view.item_type).contains(name));
        add(&mut metadata, inputs);
        let missing = required_settings(&view.item_type).iter().find(|name| metadata.get(name).is_none());
        if let Some(name) = missing {
            let why = format!(
                "the backup holds no {name} of it: the collector may not read its value, or name it in [[overrides]]"
            );
            return Err(ConvertError { what: view.key.to_string(), why });
        }
    } else {
        let fixed = |name: &&str| view.unpatchable.contains(name) || view.fixed.contains(name);
        add(&mut metadata, given.filter(|(name, _)| !fixed(name)));
    }
    Ok(RequestBody::with_payload(metadata, pick(&view.key, value, fields.create, fields.required)?))
}

/// Returns settings that the create request of a configuration requires.
fn required_settings(item_type: &str) -> &'static [&'static str] {
    match item_type {
        authority::ROOT => &["common_name", "max_ttl"],
        authority::INTERMEDIATE => &["common_name", "max_ttl", "signing_method"],
        template::TEMPLATE => &["certificate_authority"],
        template::CUSTOM => &["code_engine"],
        _ => &[],
    }
}

fn add<'a>(metadata: &mut JsonObject, members: impl Iterator<Item = (&'a str, &'a RawValue)>) {
    for (name, value) in members {
        metadata.set(name, value.to_owned());
    }
}

fn new_secret(
    change: &Change<'_>,
    mark: Option<&RestoreMark>,
    mark_version: bool,
) -> Result<RequestBody, ConvertError> {
    let (view, version) = (change.item, change.part(change.version, "a version")?);
    let fields = fields(&view.item_type).ok_or_else(|| unknown(view))?;
    let mut body = JsonObject::default();
    body.set("secret_type", raw(view.item_type.as_str()));
    if let Some(group) = change.group {
        body.set("secret_group_id", raw(group));
    }
    let settings = view.settings.iter();
    add(&mut body, settings.filter(|(name, value)| *name != "custom_metadata" && value.get() != "null"));
    set_unless_empty(&mut body, "custom_metadata", &view.marked(mark));
    let mark = mark_version.then_some(version.id.as_str());
    set_unless_empty(&mut body, "version_custom_metadata", &version.marked(mark));
    if issue::is(view) {
        issue::complete(&mut body, view, change.rotate);
    }
    if view.item_type == "username_password" {
        let held = || raw(&BTreeMap::from([("auto_rotate", false)]));
        // Without the field the service may choose a value, so always send an explicit one.
        let rotation = view.rotation.as_ref().filter(|_| change.rotate).map_or_else(held, JsonObject::to_raw);
        body.set("rotation", rotation);
    }
    // A user name is fixed at creation, so it is required here and accepted nowhere else.
    let required = match view.item_type.as_str() {
        "username_password" => fields.create,
        _ if issue::is(view) => &[],
        _ => fields.required,
    };
    let payload = change.part(change.payload, "a payload")?;
    let payload = pick(&view.key, payload, fields.create, required)?;
    Ok(RequestBody::with_payload(body, payload))
}

fn new_version(change: &Change<'_>, mark_version: bool) -> Result<RequestBody, ConvertError> {
    let (view, version) = (change.item, change.part(change.version, "a version")?);
    let fields = fields(&view.item_type).ok_or_else(|| unknown(view))?;
    let mut metadata = JsonObject::default();
    // No `custom_metadata` here: it would overwrite that of the secret.
    let mark = mark_version.then_some(version.id.as_str());
    set_unless_empty(&mut metadata, "version_custom_metadata", &version.marked(mark));
    let payload = change.part(change.payload, "a payload")?;
    Ok(RequestBody::with_payload(metadata, pick(&view.key, payload, fields.version, fields.required)?))
}

/// Builds the patch from `have` to the settings of `want` with the mark. Never changes the rotation policy, because
/// that may trigger a rotation.
fn patch_secret(want: &RestoreItem, have: &RestoreItem, mark: Option<&RestoreMark>) -> RequestBody {
    let differs = |name: &str, value: &RawValue| have.settings.get(name).is_none_or(|is| normal(is) != normal(value));
    let settings = want.settings.iter();
    let settings = settings.filter(|(name, _)| *name != "custom_metadata" && !want.fixed.contains(name));
    let mut patch = JsonObject::default();
    add(&mut patch, settings.filter(|(name, value)| differs(name, value)));
    let (wanted, there) = (want.marked(mark), have.marked(have.mark.as_ref()));
    if normal(&wanted.to_raw()) != normal(&there.to_raw()) {
        patch.set("custom_metadata", merge_patch(&there, &wanted).to_raw());
    }
    RequestBody::new(patch)
}

fn patch_version(change: &Change<'_>, mark: bool) -> Result<RequestBody, ConvertError> {
    let want = change.part(change.version, "a version")?;
    let have = change.part(change.have_version, "the version of the standby")?;
    let wanted = want.marked(mark.then_some(want.id.as_str()));
    let there = have.marked(have.mark.as_deref());
    Ok(one_member("version_custom_metadata", merge_patch(&there, &wanted).to_raw()))
}

fn registration(change: &Change<'_>) -> Result<RequestBody, ConvertError> {
    let names = change.part(change.names, "the names of the instance")?;
    let mut body = change.item.settings.clone();
    body.set("event_notifications_source_name", raw(names.name.as_str()));
    body.set("event_notifications_source_description", raw(names.description.as_str()));
    Ok(RequestBody::new(body))
}

/// Removes the held-back policy from the mark of `have`, and enables it if `turn_on`.
fn release_rotation(have: &RestoreItem, turn_on: bool) -> RequestBody {
    let there = have.marked(have.mark.as_ref());
    let released = have.mark.clone().map(|mark| RestoreMark { held: None, ..mark });
    let held = have.mark.as_ref().and_then(|mark| JsonObject::parse(mark.held.as_ref()?.get()).ok());
    let mut patch = JsonObject::default();
    if let Some(policy) = held.as_ref().and_then(|held| held.get("rotation")).filter(|_| turn_on) {
        patch.set("rotation", policy.to_owned());
    }
    // One request for both, so that a killed run leaves either the old or the new state.
    patch.set("custom_metadata", merge_patch(&there, &have.marked(released.as_ref())).to_raw());
    RequestBody::new(patch)
}

fn set_unless_empty(body: &mut JsonObject, name: &str, metadata: &JsonObject) {
    if !metadata.is_empty() {
        body.set(name, metadata.to_raw());
    }
}
