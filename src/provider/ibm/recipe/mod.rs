//! What is IBM's about bringing items back: the order of creation, the places of our marks, the bodies of requests.
//!
//! Types, fields and limits are those of the v2 API. The order follows from what refers to what; a version is created
//! with its metadata, the older one first, because every further version pushes one out.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use self::body::{pick, same_fields};
use super::classify::class;
use super::inventory::ROW;
use crate::model::json::{JsonObject, raw};
use crate::model::{Item, ItemKey, ItemKind, Payload, Restorability, Slot, Timestamp, Treatment};
use crate::provider::standby::mark::{MARK, RestoreMark, set_mark, set_version_mark};
use crate::provider::standby::normal::{merge_patch, normal};
use crate::provider::standby::recipe::{
    NewSecret, NewVersion, Phase, Recipe, RecipeError, RegistrationNames, Route, TerraformResource,
};
use crate::provider::standby::{ItemDependency, LockView, ReferenceNames, RequestBody, VersionView, View};

pub(super) mod authority;
pub(super) mod view;

mod body;
mod issue;
pub mod recast;
mod references;
mod rotation;
mod supply;
mod template;
mod terraform;

/// Bytes of metadata that we let a mark fill up to. The provider's limit is 10 KB for each of `custom_metadata` and
/// `version_custom_metadata`; whether a KB is 1,000 or 1,024 bytes is not documented, so the smaller one counts.
pub const METADATA_ROOM: usize = 10_000;

/// Secret groups that an instance takes, the default one included.
const MOST_GROUPS: usize = 200;
/// The id of the group that every instance has.
pub const DEFAULT_GROUP: &str = "default";

/// The recipe for IBM Cloud Secrets Manager.
#[derive(Debug, Clone, Copy, Default)]
pub struct IbmRecipe;

/// The payload fields of a type that can be set again: in the create request, in one that adds a version, and which of
/// them are required.
struct Fields {
    create: &'static [&'static str],
    version: &'static [&'static str],
    required: &'static [&'static str],
}

fn fields(item_type: &str) -> Option<Fields> {
    let (create, version, required): (&[_], &[_], &[_]) = match item_type {
        "arbitrary" => (&["payload"], &["payload"], &["payload"]),
        "kv" => (&["data"], &["data"], &["data"]),
        "username_password" => (&["username", "password"], &["password"], &["password"]),
        "imported_cert" => (
            &["certificate", "intermediate", "private_key"],
            &["certificate", "intermediate", "private_key"],
            &["certificate"],
        ),
        "iam_credentials_configuration" => (&["api_key"], &[], &["api_key"]),
        "public_cert_configuration_ca_lets_encrypt" => {
            (&["lets_encrypt_private_key"], &[], &["lets_encrypt_private_key"])
        }
        // Without a key the provider uses a service authorization, which must exist for the standby too.
        "public_cert_configuration_dns_cloud_internet_services" => (&["cloud_internet_services_apikey"], &[], &[]),
        "public_cert_configuration_dns_classic_infrastructure" => (
            &["classic_infrastructure_username", "classic_infrastructure_password"],
            &[],
            &["classic_infrastructure_username", "classic_infrastructure_password"],
        ),
        // No payload of these is ever sent: the standby makes its own.
        authority::ROOT
        | authority::INTERMEDIATE
        | template::TEMPLATE
        | template::CUSTOM
        | "private_cert"
        | "public_cert"
        | "iam_credentials"
        | "service_credentials"
        | "custom_credentials" => (&[], &[], &[]),
        _ => return None,
    };
    Some(Fields { create, version, required })
}

fn unknown(view: &View) -> RecipeError {
    RecipeError { what: view.key.to_string(), why: format!("nothing is known of the type {}", view.item_type) }
}

/// The secret's own metadata with the mark in it.
fn marked(view: &View, mark: Option<&RestoreMark>) -> JsonObject {
    let mut metadata = view.settings.object("custom_metadata").unwrap_or_default();
    if let Some(mark) = mark {
        set_mark(&mut metadata, mark);
    }
    metadata
}

fn marked_version(version: &VersionView, mark: Option<&str>) -> JsonObject {
    let mut metadata = version.metadata.clone();
    if let Some(source) = mark {
        set_version_mark(&mut metadata, source);
    }
    metadata
}

fn configuration(view: &View, value: &Payload, create: bool) -> Result<RequestBody, RecipeError> {
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
            return Err(RecipeError { what: view.key.to_string(), why });
        }
    } else {
        let fixed = unpatchable(&view.item_type);
        add(&mut metadata, given.filter(|(name, _)| !fixed.contains(name) && !view.fixed.contains(name)));
    }
    Ok(RequestBody { metadata, payload: Some(pick(&view.key, value, fields.create, fields.required)?) })
}

/// What only the create of a configuration takes and no answer shows.
fn create_only(item_type: &str) -> &'static [&'static str] {
    match item_type {
        // The durations are in no answer of a reader without the role for values.
        authority::ROOT => &["serial_number", "max_ttl", "crl_expiry", "ttl"],
        authority::INTERMEDIATE => &["serial_number", "max_ttl", "crl_expiry"],
        template::TEMPLATE => &["allow_wildcard_certificates", "max_ttl", "ttl", "not_before_duration"],
        _ => &[],
    }
}

/// Settings without which a configuration cannot be created.
fn required_settings(item_type: &str) -> &'static [&'static str] {
    match item_type {
        authority::ROOT => &["common_name", "max_ttl"],
        authority::INTERMEDIATE => &["common_name", "max_ttl", "signing_method"],
        template::TEMPLATE => &["certificate_authority"],
        template::CUSTOM => &["code_engine"],
        _ => &[],
    }
}

fn unpatchable(item_type: &str) -> &'static [&'static str] {
    match item_type {
        item_type if authority::is(item_type) => &authority::UNPATCHABLE,
        template::TEMPLATE => &template::UNPATCHABLE,
        template::CUSTOM => &template::CUSTOM_UNPATCHABLE,
        _ => &[],
    }
}

fn add<'a>(metadata: &mut JsonObject, members: impl Iterator<Item = (&'a str, &'a RawValue)>) {
    for (name, value) in members {
        metadata.set(name, value.to_owned());
    }
}

impl Recipe for IbmRecipe {
    fn view(&self, item: &Item) -> View {
        view::view(item)
    }

    fn class(&self, item: &Item) -> Restorability {
        let slots: Vec<Slot> = item.payloads.iter().map(|pointer| pointer.version.clone()).collect();
        class(item, &slots)
    }

    fn treatments(&self, item: &Item) -> &'static [Treatment] {
        match item.item_type.as_str() {
            item_type if authority::is(item_type) => authority::treatments(&view::view(item)),
            item_type if template::is(item_type) => &[Treatment::Exact, Treatment::Definition],
            _ => recast::treatments(item),
        }
    }

    fn type_treatments(&self, item_type: &str) -> &'static [Treatment] {
        let known = recast::TYPES.iter().find(|(name, _)| *name == item_type);
        known.map_or(&[Treatment::Exact], |(_, allowed)| allowed)
    }

    fn recast(&self, item: &Item, treatment: Treatment) -> View {
        let mut view = view::view(item);
        match treatment {
            Treatment::Reissue => issue::recast(&mut view),
            Treatment::Convert | Treatment::AsArbitrary => recast::recast(&mut view, treatment),
            Treatment::Recreate | Treatment::External => authority::recast(&mut view, treatment),
            _ => {}
        }
        view
    }

    fn recast_payload(&self, item: &Item, treatment: Treatment, payload: Payload) -> Result<Payload, RecipeError> {
        recast::payload(item, treatment, payload)
    }

    fn supply(&self, item: &mut Item, treatment: Treatment, members: &JsonObject) -> Vec<String> {
        supply::supply(item, recast::becomes(&item.item_type.clone(), treatment), members)
    }

    fn recast_note(&self, item: &Item, treatment: Treatment) -> Option<String> {
        recast::note(item, treatment)
    }

    fn refused_name(&self, kind: ItemKind, name: &str) -> Option<String> {
        recast::refused_name(kind, name)
    }

    fn most(&self, kind: ItemKind) -> Option<usize> {
        (kind == ItemKind::Group).then_some(MOST_GROUPS)
    }

    fn route(&self, item: &Item, treatment: Treatment) -> Route {
        let lost = |why: &str| Route::Lost(why.to_owned());
        match item.key.kind() {
            ItemKind::Group if item.key.id() == DEFAULT_GROUP => Route::BuiltIn,
            ItemKind::Group => Route::Create(Phase::Groups),
            ItemKind::Registration => Route::Create(Phase::Registration),
            ItemKind::Other => lost("its kind is not restored by this release"),
            _ if fields(&item.item_type).is_none() => {
                Route::Lost(format!("the type {} is not restored by this release", item.item_type))
            }
            _ if treatment == Treatment::Definition => Route::Lost(recast::definition(item)),
            ItemKind::Configuration if authority::is(&item.item_type) => authority::route(&view::view(item)),
            ItemKind::Configuration if template::is(&item.item_type) => Route::Create(Phase::Templates),
            ItemKind::Secret if treatment == Treatment::Reissue => issue::route(item, view::referred(item)),
            ItemKind::Secret if recast::is(item, treatment) && view::referred(item) => {
                Route::Create(Phase::ReferredSecrets)
            }
            ItemKind::Secret if recast::is(item, treatment) => Route::Create(Phase::Secrets),
            _ if item.class != Restorability::Exact => lost("it is not restorable as it was"),
            ItemKind::Configuration if item.item_type == "iam_credentials_configuration" => {
                Route::Create(Phase::IamEngine)
            }
            ItemKind::Configuration => Route::Create(Phase::AuthoritiesAndDns),
            ItemKind::Secret if view::referred(item) => Route::Create(Phase::ReferredSecrets),
            ItemKind::Secret => Route::Create(Phase::Secrets),
        }
    }

    fn name_references(&self, view: &mut View, names: &ReferenceNames) {
        references::name(view, names);
    }

    fn resolve_references(&self, view: &View, names: &ReferenceNames) -> Result<View, RecipeError> {
        references::resolve(view, names)
    }

    fn needs(&self, view: &View) -> Vec<ItemDependency> {
        references::needs(view)
    }

    fn lost_settings(&self, view: &View) -> Vec<String> {
        template::lost(view)
    }

    fn unpatchable(&self, item_type: &str) -> &'static [&'static str] {
        unpatchable(item_type)
    }

    fn issuers(&self, view: &View) -> Vec<ItemKey> {
        view.settings.str("issuer").map(|name| authority::keys(&name)).unwrap_or_default()
    }

    fn sign_authority(&self, view: &View) -> RequestBody {
        authority::sign_intermediate(view)
    }

    fn set_signed(&self, certificate: &str) -> RequestBody {
        authority::set_signed(certificate)
    }

    fn mark_fits(&self, view: &View, mark: &RestoreMark) -> bool {
        let own = view.settings.object("custom_metadata").is_some_and(|metadata| metadata.get(MARK).is_some());
        !own && marked(view, Some(mark)).to_raw().get().len() <= METADATA_ROOM
    }

    fn version_mark_fits(&self, version: &VersionView) -> bool {
        let own = version.metadata.get(MARK).is_some();
        !own && marked_version(version, Some(&version.id)).to_raw().get().len() <= METADATA_ROOM
    }

    /// Whether `expiration_date` goes over to a new version is not documented.
    fn version_moves_settings(&self, view: &View) -> bool {
        view.settings.get("expiration_date").is_some_and(|date| date.get() != "null")
    }

    fn same_payload(&self, item_type: &str, one: &Payload, other: &Payload) -> bool {
        fields(item_type).is_some_and(|fields| same_fields(one, other, fields.create))
    }

    fn same_fixed(&self, item_type: &str, one: &Payload, other: &Payload) -> bool {
        fields(item_type).is_some_and(|fields| {
            let once = |name: &&&str| !fields.version.contains(*name);
            let fixed: Vec<&str> = fields.create.iter().filter(once).copied().collect();
            same_fields(one, other, &fixed)
        })
    }

    fn group(&self, view: &View) -> RequestBody {
        RequestBody::new(view.settings.clone())
    }

    fn new_configuration(&self, view: &View, value: &Payload) -> Result<RequestBody, RecipeError> {
        configuration(view, value, true)
    }

    fn patch_configuration(&self, view: &View, value: &Payload) -> Result<RequestBody, RecipeError> {
        configuration(view, value, false)
    }

    fn new_secret(&self, secret: &NewSecret<'_>) -> Result<RequestBody, RecipeError> {
        let view = secret.view;
        let fields = fields(&view.item_type).ok_or_else(|| unknown(view))?;
        let mut body = JsonObject::default();
        body.set("secret_type", raw(view.item_type.as_str()));
        if let Some(group) = secret.group {
            body.set("secret_group_id", raw(group));
        }
        let settings = view.settings.iter();
        add(&mut body, settings.filter(|(name, value)| *name != "custom_metadata" && value.get() != "null"));
        set_unless_empty(&mut body, "custom_metadata", &marked(view, secret.mark));
        let mark = secret.mark_version.then_some(secret.version.id.as_str());
        set_unless_empty(&mut body, "version_custom_metadata", &marked_version(secret.version, mark));
        if issue::is(view) {
            issue::complete(&mut body, secret);
        }
        if view.item_type == "username_password" {
            let held = || raw(&BTreeMap::from([("auto_rotate", false)]));
            // Without the field the service may choose; an explicit "no" cannot be misread.
            let rotation = view.rotation.as_ref().filter(|_| secret.rotate).map_or_else(held, JsonObject::to_raw);
            body.set("rotation", rotation);
        }
        // A user name is fixed for life, so it is needed here and taken nowhere else.
        let required = match view.item_type.as_str() {
            "username_password" => fields.create,
            _ if issue::is(view) => &[],
            _ => fields.required,
        };
        let payload = pick(&view.key, secret.payload, fields.create, required)?;
        Ok(RequestBody { metadata: body, payload: Some(payload) })
    }

    fn new_version(&self, new: &NewVersion<'_>) -> Result<RequestBody, RecipeError> {
        let fields = fields(&new.view.item_type).ok_or_else(|| unknown(new.view))?;
        let mut metadata = JsonObject::default();
        // No `custom_metadata` here: it is the secret's own and would overwrite it.
        let mark = new.mark_version.then_some(new.version.id.as_str());
        set_unless_empty(&mut metadata, "version_custom_metadata", &marked_version(new.version, mark));
        Ok(RequestBody { metadata, payload: Some(pick(&new.view.key, new.payload, fields.version, fields.required)?) })
    }

    fn patch_secret(&self, want: &View, have: &View, mark: Option<&RestoreMark>) -> RequestBody {
        let differs =
            |name: &str, value: &RawValue| have.settings.get(name).is_none_or(|is| normal(is) != normal(value));
        let settings = want.settings.iter();
        let settings = settings.filter(|(name, _)| *name != "custom_metadata" && !want.fixed.contains(name));
        let mut patch = JsonObject::default();
        add(&mut patch, settings.filter(|(name, value)| differs(name, value)));
        let (wanted, there) = (marked(want, mark), marked(have, have.mark.as_ref()));
        if normal(&wanted.to_raw()) != normal(&there.to_raw()) {
            patch.set("custom_metadata", merge_patch(&there, &wanted).to_raw());
        }
        RequestBody::new(patch)
    }

    fn patch_version(&self, want: &VersionView, have: &VersionView, mark: bool) -> RequestBody {
        let wanted = marked_version(want, mark.then_some(want.id.as_str()));
        let there = marked_version(have, have.mark.as_deref());
        let mut patch = JsonObject::default();
        patch.set("version_custom_metadata", merge_patch(&there, &wanted).to_raw());
        RequestBody::new(patch)
    }

    fn locks(&self, locks: &[&LockView]) -> RequestBody {
        let list: Vec<&JsonObject> = locks.iter().map(|lock| &lock.settings).collect();
        let mut body = JsonObject::default();
        body.set("locks", raw(&list));
        RequestBody::new(body)
    }

    fn registration(&self, view: &View, names: &RegistrationNames) -> RequestBody {
        let mut body = view.settings.clone();
        body.set("event_notifications_source_name", raw(names.name.as_str()));
        body.set("event_notifications_source_description", raw(names.description.as_str()));
        RequestBody::new(body)
    }

    fn next_rotation(&self, item: &Item, policy: &JsonObject) -> Option<Timestamp> {
        rotation::next(item, policy)
    }

    fn release_rotation(&self, have: &View, turn_on: bool) -> RequestBody {
        let there = marked(have, have.mark.as_ref());
        let released = have.mark.clone().map(|mark| RestoreMark { held: None, ..mark });
        let held = have.mark.as_ref().and_then(|mark| JsonObject::parse(mark.held.as_ref()?.get()).ok());
        let mut patch = JsonObject::default();
        if let Some(policy) = held.as_ref().and_then(|held| held.get("rotation")).filter(|_| turn_on) {
            patch.set("rotation", policy.to_owned());
        }
        // One request for both: a killed run leaves a secret as it was or as it should be.
        patch.set("custom_metadata", merge_patch(&there, &marked(have, released.as_ref())).to_raw());
        RequestBody::new(patch)
    }

    fn instance(&self, item: &Item) -> Option<String> {
        view::instance(&item.doc(ROW)?)
    }

    fn instance_id(&self, crn: &str) -> Option<String> {
        let id = crn.split(':').nth(7)?;
        (!id.is_empty()).then(|| id.to_ascii_lowercase())
    }

    fn terraform(&self, crn: &str, key: &ItemKey, item_type: &str, id: &str) -> Option<TerraformResource> {
        terraform::resource(crn, key, item_type, id)
    }
}

fn set_unless_empty(body: &mut JsonObject, name: &str, metadata: &JsonObject) {
    if !metadata.is_empty() {
        body.set(name, metadata.to_raw());
    }
}
