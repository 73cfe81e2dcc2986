//! Settings with ids of other items, and dependencies between items.

use super::{authority, template};
use crate::model::ItemKind;
use crate::model::json::{JsonObject, as_str, raw};
use crate::provider::reference::reference;
use crate::provider::{ConvertError, ItemDependency, ReferenceNames, RestoreItem};

const LETS_ENCRYPT: &str = "public_cert_configuration_ca_lets_encrypt";
const DNS: [&str; 2] =
    ["public_cert_configuration_dns_cloud_internet_services", "public_cert_configuration_dns_classic_infrastructure"];
/// Used in place of a DNS configuration if challenges are answered manually.
const MANUAL: &str = "manual";

/// Prefix of the reference of an IAM credentials secret.
const IAM_SECRET: &str = "@secret:iam_credentials/";

/// Conversion of an id; `None` leaves it unchanged.
type Turn<'a> = &'a mut dyn FnMut(&str) -> Option<String>;

/// Converts every id in the settings of an item.
fn turn(view: &mut RestoreItem, turn: Turn<'_>) {
    match view.item_type.as_str() {
        template::TEMPLATE => {
            if let Some(list) = view.settings.str("allowed_secret_groups") {
                let ids = list.split(',').map(str::trim).filter(|id| !id.is_empty());
                let mut turned: Vec<String> = ids.map(|id| turn(id).unwrap_or_else(|| id.to_owned())).collect();
                turned.sort_unstable();
                view.settings.set("allowed_secret_groups", raw(turned.join(",").as_str()));
            }
        }
        template::CUSTOM => member(&mut view.settings, "api_key_ref", turn),
        "custom_credentials" => {
            let Some(mut parameters) = view.settings.object("parameters") else { return };
            let names: Vec<String> = parameters.iter().map(|(name, _)| name.to_owned()).collect();
            for name in names {
                member(&mut parameters, &name, turn);
            }
            view.settings.set("parameters", parameters.to_raw());
        }
        item_type if authority::is(item_type) => {
            let Some(mut key) = view.settings.object("crypto_key") else { return };
            let Some(mut provider) = key.object("provider") else { return };
            member(&mut provider, "pin_iam_credentials_secret_id", turn);
            key.set("provider", provider.to_raw());
            view.settings.set("crypto_key", key.to_raw());
        }
        _ => {}
    }
}

fn member(object: &mut JsonObject, name: &str, turn: Turn<'_>) {
    if let Some(turned) = object.get(name).and_then(as_str).and_then(|id| turn(&id)) {
        object.set(name, raw(turned.as_str()));
    }
}

/// Replaces ids by references, and normalises durations.
pub(super) fn name(view: &mut RestoreItem, names: &ReferenceNames) {
    turn(view, &mut |id| names.reference(id));
    if authority::is(&view.item_type) || view.item_type == template::TEMPLATE {
        authority::one_spelling(&mut view.settings);
    }
}

/// Replaces references by the ids of an instance.
pub(super) fn resolve(view: &RestoreItem, names: &ReferenceNames) -> Result<RestoreItem, ConvertError> {
    let mut resolved = view.clone();
    let mut missing = Vec::new();
    turn(&mut resolved, &mut |text| {
        let id = names.id(text);
        if id.is_none() && !is_plain(view, text) && names.reference(text).is_none() {
            missing.push(in_words(text));
        }
        id
    });
    match missing.first() {
        None => Ok(resolved),
        Some(what) => Err(ConvertError {
            what: view.key.to_string(),
            why: format!("{what}, which it refers to, is not in the standby"),
        }),
    }
}

/// Returns true if the text is not a reference: a parameter may be any text.
fn is_plain(view: &RestoreItem, text: &str) -> bool {
    view.item_type == "custom_credentials" && !text.starts_with("@secret:")
}

/// Describes a reference for people.
fn in_words(reference: &str) -> String {
    match reference.strip_prefix('@').and_then(|rest| rest.split_once(':')) {
        Some(("group", name)) => format!("the group {name}"),
        Some(("secret", rest)) => match rest.split_once('/') {
            Some((item_type, name)) => format!("the secret {name} ({item_type})"),
            None => format!("the secret {rest}"),
        },
        _ => format!("the item with the id {reference}, which the snapshot does not have"),
    }
}

fn configurations(types: &[&str], what: &str, name: &str) -> ItemDependency {
    let any_of = types.iter().map(|item_type| reference(ItemKind::Configuration, item_type, None, name)).collect();
    ItemDependency { what: format!("the {what} {name}"), any_of }
}

/// Returns what must exist before the item can be created.
pub(super) fn needs(view: &RestoreItem) -> Vec<ItemDependency> {
    const AUTHORITIES: [&str; 2] = [authority::ROOT, authority::INTERMEDIATE];
    let named = |member: &str| view.settings.str(member).filter(|name| !name.is_empty());
    let mut needs = Vec::new();
    let mut add = |types: &[&str], what: &str, member: &str| {
        needs.extend(named(member).map(|name| configurations(types, what, &name)));
    };
    match view.item_type.as_str() {
        template::TEMPLATE => add(&AUTHORITIES, "certificate authority", "certificate_authority"),
        authority::INTERMEDIATE => add(&AUTHORITIES, "certificate authority", "issuer"),
        "private_cert" => add(&[template::TEMPLATE], "certificate template", "certificate_template"),
        "custom_credentials" => add(&[template::CUSTOM], "engine", "configuration"),
        "public_cert" => {
            add(&[LETS_ENCRYPT], "certificate authority", "ca");
            if named("dns").is_some_and(|name| name != MANUAL) {
                add(&DNS, "DNS provider", "dns");
            }
        }
        _ => {}
    }
    let only_iam = view.item_type == template::CUSTOM || authority::is(&view.item_type);
    turn(&mut view.clone(), &mut |text| {
        if only_iam && text.starts_with("@secret:") && !text.starts_with(IAM_SECRET) {
            // A secret that keeps the old key as plain text cannot serve as a source of API keys.
            needs.push(ItemDependency { what: format!("{} as iam_credentials", in_words(text)), any_of: Vec::new() });
        } else if !is_plain(view, text) {
            needs.push(ItemDependency { what: in_words(text), any_of: vec![text.to_owned()] });
        }
        None
    });
    needs
}

#[cfg(test)]
mod tests {
    use super::super::authority::tests::configuration;
    use super::*;
    use crate::provider::ItemConverter;
    use crate::provider::ibm::convert::IbmConverter;

    fn names(ids: &[(&str, &str)]) -> ReferenceNames {
        let names = ReferenceNames::default();
        for (id, reference) in ids {
            names.add(id, (*reference).to_owned());
        }
        names
    }

    #[test]
    fn an_engine_needs_its_key_as_iam_credentials_and_not_as_text() {
        let needs_of = |reference: &str| {
            let mut view = IbmConverter.describe(&configuration(template::CUSTOM, r#"{"api_key_ref":"old"}"#));
            IbmConverter.name_references(&mut view, &names(&[("old", reference)]));
            IbmConverter.needs(&view)
        };
        let whole = needs_of("@secret:iam_credentials/prod/key");
        assert_eq!(whole[0].any_of, ["@secret:iam_credentials/prod/key"]);
        let text = needs_of("@secret:arbitrary/prod/key");
        assert!(
            text[0].any_of.is_empty() && text[0].what.contains("prod/key (arbitrary) as iam_credentials"),
            "{text:?}"
        );
    }

    #[test]
    fn groups_of_a_template_are_compared_by_name_and_sent_by_the_ids_of_the_standby() {
        let item = configuration(
            template::TEMPLATE,
            r#"{"certificate_authority":"root","allowed_secret_groups":"old-2, old-1,default"}"#,
        );
        let mut view = IbmConverter.describe(&item);
        let source = names(&[("old-1", "@group:one"), ("old-2", "@group:two"), ("default", "@group:default")]);
        IbmConverter.name_references(&mut view, &source);
        assert_eq!(view.settings.str("allowed_secret_groups").unwrap(), "@group:default,@group:one,@group:two");
        let standby = names(&[("new-1", "@group:one"), ("default", "@group:default")]);
        let error = IbmConverter.resolve_references(&view, &standby).unwrap_err();
        assert!(error.to_string().contains("the group two"), "{error}");
        standby.add("new-2", "@group:two".to_owned());
        let sent = IbmConverter.resolve_references(&view, &standby).unwrap();
        assert_eq!(sent.settings.str("allowed_secret_groups").unwrap(), "default,new-1,new-2");
    }

    #[test]
    fn the_pin_of_a_hardware_key_is_found_where_it_is_nested() {
        let value = r#"{"crypto_key":{"label":"l","provider":{"type":"hyper_protect_crypto_services",
            "pin_iam_credentials_secret_id":"old","private_keystore_id":"ks"}}}"#;
        let mut view = IbmConverter.describe(&configuration(authority::ROOT, value));
        IbmConverter.name_references(&mut view, &names(&[("old", "@secret:iam_credentials/default/pin")]));
        let sent =
            IbmConverter.resolve_references(&view, &names(&[("new", "@secret:iam_credentials/default/pin")])).unwrap();
        let provider = sent.settings.object("crypto_key").unwrap().object("provider").unwrap();
        assert_eq!(provider.str("pin_iam_credentials_secret_id").as_deref(), Some("new"));
        assert_eq!(provider.str("private_keystore_id").as_deref(), Some("ks"));
        assert_eq!(IbmConverter.needs(&view)[0].what, "the secret default/pin (iam_credentials)");
    }

    #[test]
    fn an_id_that_the_snapshot_does_not_know_is_sent_nowhere() {
        let view =
            IbmConverter.describe(&configuration(template::CUSTOM, r#"{"api_key_ref":"gone","task_timeout":"1h"}"#));
        assert!(IbmConverter.resolve_references(&view, &names(&[])).is_err());
        assert_eq!(IbmConverter.needs(&view).len(), 1);
        // An id from an override belongs to the standby itself.
        assert!(IbmConverter.resolve_references(&view, &names(&[("gone", "@secret:iam_credentials/g/k")])).is_ok());
    }

    #[test]
    fn needs_are_by_name_and_any_kind_of_authority_will_do() {
        let item = configuration(template::TEMPLATE, r#"{"certificate_authority":"root"}"#);
        let needs = IbmConverter.needs(&IbmConverter.describe(&item));
        let wanted = [authority::ROOT, authority::INTERMEDIATE].map(|kind| format!("@configuration:{kind}/root"));
        assert_eq!(needs[0].any_of, wanted);
    }
}
