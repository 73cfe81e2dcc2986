//! External needs of an item: authorizations, other services, policies.

use crate::model::json::JsonObject;
use crate::model::{Item, ItemKind, Slot};
use crate::provider::assess::Prerequisite;
use crate::provider::ibm::docs::ROW;
use crate::provider::ibm::docs::VALUE;

/// Need of IAM credentials for the engine; a configuration with its own API key fulfils it.
const IAM_ENGINE: &str = "iam_engine";

/// Returns the needs of an item with these payloads.
pub(super) fn needs(item: &Item, payloads: &[Slot]) -> Vec<Prerequisite> {
    let row = item.doc(ROW).unwrap_or_default();
    let value = item.doc(VALUE).unwrap_or_default();
    let text = |name: &str| value.str(name).or_else(|| row.str(name));
    let need = |code, what, subject: Option<String>| Prerequisite {
        code,
        what,
        subject: subject.filter(|name| !name.is_empty()),
    };
    let has_key = payloads.iter().any(|slot| slot.as_str() == Slot::VALUE);
    match (item.key.kind(), item.item_type.as_str()) {
        (ItemKind::Group, _) if item.key.id() != "default" => vec![need(
            "group_policies",
            "access policies that name a secret group name it by an id that the standby does not have: make them for \
             the groups of the standby",
            None,
        )],
        (ItemKind::Registration, _) => vec![need(
            "event_notifications",
            "an authorization of the standby for the Event Notifications instance (role Event Source Manager)",
            text("event_notifications_instance_crn"),
        )],
        (_, "iam_credentials") => vec![need(
            IAM_ENGINE,
            "an authorization of the standby for the IAM Identity service and for access groups: the source has no API \
             key for its IAM engine",
            None,
        )],
        (_, "service_credentials") => vec![need(
            "source_service",
            "the service instance that the credentials are for, and an authorization of the standby for it (role Key \
             Manager)",
            row.object("source_service").and_then(|service| service.object("instance")?.str("crn")),
        )],
        (_, "custom_credentials_configuration") => vec![need(
            "code_engine",
            "a Code Engine job of the standby's own, in a region that still lives: one job serves one configuration",
            row.object("code_engine").as_ref().and_then(job),
        )],
        (_, "public_cert_configuration_dns_cloud_internet_services") => {
            let crn = text("cloud_internet_services_crn");
            let mut needs =
                vec![need("internet_services", "the Internet Services instance that holds the DNS zone", crn.clone())];
            if !has_key && item.docs.contains_key(VALUE) {
                let what =
                    "an authorization of the standby for the Internet Services instance: it has no API key for it";
                needs.push(need("internet_services_authorization", what, crn));
            }
            needs
        }
        (_, "public_cert_configuration_ca_lets_encrypt") => vec![need(
            "lets_encrypt",
            "room in the weekly limits of Let's Encrypt, if certificates are to be ordered anew",
            None,
        )],
        (ItemKind::Configuration, _) => {
            let provider = value.object("crypto_key").and_then(|key| key.object("provider"));
            let hsm = "the Hyper Protect Crypto Services instance with the key, and an IAM credential for its PIN";
            provider.map(|provider| need("crypto_services", hsm, provider.str("instance_crn"))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the need of other items that this item fulfils.
pub(super) fn fulfils(item: &Item) -> Option<&'static str> {
    (item.item_type == "iam_credentials_configuration").then_some(IAM_ENGINE)
}

fn job(code_engine: &JsonObject) -> Option<String> {
    let parts: Vec<String> =
        ["region", "project_id", "job_name"].iter().filter_map(|name| code_engine.str(name)).collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::restorability::tests::item;
    use super::*;

    #[test]
    fn needs_name_whom_they_are_about() {
        let row = r#"{"source_service":{"instance":{"crn":"crn:cos"}}}"#;
        let found = needs(&item("secret/s", "service_credentials", &[("row", row)]), &[]);
        assert_eq!((found[0].code, found[0].subject.as_deref()), ("source_service", Some("crn:cos")));
        let row = r#"{"code_engine":{"region":"eu-de","project_id":"p","job_name":"j"}}"#;
        let found = needs(&item("configuration/t/n", "custom_credentials_configuration", &[("row", row)]), &[]);
        assert_eq!(found[0].subject.as_deref(), Some("eu-de/p/j"));
        let value = r#"{"crypto_key":{"provider":{"instance_crn":"crn:hpcs"}}}"#;
        let docs = [("row", "{}"), ("value", value)];
        let found = needs(&item("configuration/t/n", "private_cert_configuration_root_ca", &docs), &[]);
        assert_eq!((found[0].code, found[0].subject.as_deref()), ("crypto_services", Some("crn:hpcs")));
    }

    #[test]
    fn a_dns_provider_without_a_key_goes_by_an_authorization() {
        let cis = "public_cert_configuration_dns_cloud_internet_services";
        let docs = [("row", "{}"), ("value", r#"{"cloud_internet_services_crn":"crn:cis"}"#)];
        let codes = |payloads: &[Slot]| {
            needs(&item("configuration/t/n", cis, &docs), payloads)
                .into_iter()
                .map(|need| need.code)
                .collect::<Vec<_>>()
        };
        assert_eq!(codes(&[]), ["internet_services", "internet_services_authorization"]);
        assert_eq!(codes(&[Slot::new(Slot::VALUE).unwrap()]), ["internet_services"]);
        let unread = needs(&item("configuration/t/n", cis, &[("row", "{}")]), &[]);
        assert_eq!(unread.len(), 1, "nobody knows whether it has a key");
    }

    #[test]
    fn the_group_that_every_instance_has_needs_nothing() {
        assert!(needs(&item("group/default", "group", &[("row", "{}")]), &[]).is_empty());
        assert_eq!(needs(&item("group/g", "group", &[("row", "{}")]), &[])[0].code, "group_policies");
    }
}
