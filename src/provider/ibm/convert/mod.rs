//! Conversion of items of IBM Cloud Secrets Manager for a standby: creation order, treatments, request bodies.
//!
//! Types, fields and limits are those of the v2 API. The order follows from the references. A version is created with
//! its metadata, the older one first, because every further version displaces one.

use self::body::same_fields;
use self::members::fields;
use super::classify;
use crate::model::json::JsonObject;
use crate::model::{Item, ItemKey, ItemKind, Payload, Restorability, Timestamp, Treatment};
use crate::provider::assess::{Assessment, Expiry};
use crate::provider::{
    Conversion, ConvertError, ItemConverter, ItemDependency, PayloadMatch, Phase, ReferenceNames, RestoreItem, Route,
};

pub(super) mod authority;
pub(super) mod request;
pub(super) mod terraform;
pub(super) mod view;

mod body;
mod issue;
mod members;
pub mod recast;
mod references;
mod rotation;
mod supply;
mod template;

/// Maximum number of secret groups in an instance, including the default one.
pub(super) const MOST_GROUPS: usize = 200;
/// The id of the built-in group of every instance.
pub const DEFAULT_GROUP: &str = "default";

/// Converts items for IBM Cloud Secrets Manager.
#[derive(Debug, Clone, Copy, Default)]
pub struct IbmConverter;

/// Returns how an item gets into the standby under a treatment.
fn route(item: &Item, treatment: Treatment) -> Route {
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
        ItemKind::Configuration if item.item_type == "iam_credentials_configuration" => Route::Create(Phase::IamEngine),
        ItemKind::Configuration => Route::Create(Phase::AuthoritiesAndDns),
        ItemKind::Secret if view::referred(item) => Route::Create(Phase::ReferredSecrets),
        ItemKind::Secret => Route::Create(Phase::Secrets),
    }
}

impl ItemConverter for IbmConverter {
    fn describe(&self, item: &Item) -> RestoreItem {
        view::view(item)
    }

    fn assess(&self, item: &Item, now: Option<Timestamp>) -> Assessment {
        classify::assess(item, now)
    }

    fn expiry(&self, item: &Item) -> Option<Expiry> {
        classify::expiry(item)
    }

    fn next_rotation(&self, item: &Item, policy: &JsonObject) -> Option<Timestamp> {
        rotation::next(item, policy)
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

    fn supply(&self, item: &mut Item, treatment: Treatment, members: &JsonObject) -> Vec<String> {
        supply::supply(item, recast::becomes(&item.item_type.clone(), treatment), members)
    }

    fn convert(&self, item: &Item, treatment: Treatment) -> Conversion {
        let mut view = view::view(item);
        match treatment {
            Treatment::Reissue => issue::recast(&mut view),
            Treatment::Convert | Treatment::AsArbitrary => recast::recast(&mut view, treatment),
            Treatment::Recreate | Treatment::External => authority::recast(&mut view, treatment),
            _ => {}
        }
        Conversion { item: view, route: route(item, treatment), note: recast::note(item, treatment) }
    }

    fn convert_payload(&self, item: &Item, treatment: Treatment, payload: Payload) -> Result<Payload, ConvertError> {
        recast::payload(item, treatment, payload)
    }

    fn compare_payloads(&self, item_type: &str, one: &Payload, other: &Payload) -> PayloadMatch {
        let Some(fields) = fields(item_type) else { return PayloadMatch { whole: false, fixed: false } };
        let once = |name: &&&str| !fields.version.contains(*name);
        let fixed: Vec<&str> = fields.create.iter().filter(once).copied().collect();
        PayloadMatch { whole: same_fields(one, other, fields.create), fixed: same_fields(one, other, &fixed) }
    }

    fn name_references(&self, item: &mut RestoreItem, names: &ReferenceNames) {
        references::name(item, names);
    }

    fn resolve_references(&self, item: &RestoreItem, names: &ReferenceNames) -> Result<RestoreItem, ConvertError> {
        references::resolve(item, names)
    }

    fn needs(&self, item: &RestoreItem) -> Vec<ItemDependency> {
        references::needs(item)
    }

    fn issuers(&self, item: &RestoreItem) -> Vec<ItemKey> {
        item.settings.str("issuer").map(|name| authority::keys(&name)).unwrap_or_default()
    }
}
