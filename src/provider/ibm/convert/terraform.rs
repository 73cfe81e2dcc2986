//! Items as resources of the provider's Terraform plug-in.
//!
//! Resource types and import ids follow its documentation (`ibm_sm_*`): `REGION/INSTANCE/ID` for secrets and groups,
//! `REGION/INSTANCE/NAME` for configurations, `REGION/INSTANCE` for the registration.

use super::view;
use crate::model::{ItemKey, ItemKind};
use crate::provider::TerraformResource;

/// Resource types by the provider's type of a secret or a configuration.
const RESOURCES: &[(&str, &str)] = &[
    ("arbitrary", "ibm_sm_arbitrary_secret"),
    ("kv", "ibm_sm_kv_secret"),
    ("username_password", "ibm_sm_username_password_secret"),
    ("imported_cert", "ibm_sm_imported_certificate"),
    ("public_cert", "ibm_sm_public_certificate"),
    ("private_cert", "ibm_sm_private_certificate"),
    ("iam_credentials", "ibm_sm_iam_credentials_secret"),
    ("service_credentials", "ibm_sm_service_credentials_secret"),
    ("custom_credentials", "ibm_sm_custom_credentials_secret"),
    ("iam_credentials_configuration", "ibm_sm_iam_credentials_configuration"),
    ("custom_credentials_configuration", "ibm_sm_custom_credentials_configuration"),
    ("public_cert_configuration_ca_lets_encrypt", "ibm_sm_public_certificate_configuration_ca_lets_encrypt"),
    ("public_cert_configuration_dns_cloud_internet_services", "ibm_sm_public_certificate_configuration_dns_cis"),
    (
        "public_cert_configuration_dns_classic_infrastructure",
        "ibm_sm_public_certificate_configuration_dns_classic_infrastructure",
    ),
    ("private_cert_configuration_root_ca", "ibm_sm_private_certificate_configuration_root_ca"),
    ("private_cert_configuration_intermediate_ca", "ibm_sm_private_certificate_configuration_intermediate_ca"),
    ("private_cert_configuration_template", "ibm_sm_private_certificate_configuration_template"),
];

/// Returns the item as a resource; `id` is its id in the instance with this CRN.
pub(in crate::provider::ibm) fn resource(
    crn: &str,
    key: &ItemKey,
    item_type: &str,
    id: &str,
) -> Option<TerraformResource> {
    let resource = match key.kind() {
        ItemKind::Group => "ibm_sm_secret_group",
        ItemKind::Registration => "ibm_sm_en_registration",
        ItemKind::Secret | ItemKind::Configuration => RESOURCES.iter().find(|(name, _)| *name == item_type)?.1,
        ItemKind::Other => return None,
    };
    let region = crn.split(':').nth(5).filter(|region| !region.is_empty())?;
    let place = format!("{region}/{}", view::instance_id(crn)?);
    let id = match key.kind() {
        ItemKind::Registration => place,
        // The id in the standby, in the form of item keys: `TYPE/NAME`.
        ItemKind::Configuration => format!("{place}/{}", id.split_once('/')?.1),
        ItemKind::Secret | ItemKind::Group | ItemKind::Other => format!("{place}/{id}"),
    };
    Some(TerraformResource { resource, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRN: &str = "crn:v1:bluemix:public:secrets-manager:eu-gb:a/1:6ebc4224-e983-496a-8a54-f40a0bfa9175::";
    const PLACE: &str = "eu-gb/6ebc4224-e983-496a-8a54-f40a0bfa9175";

    fn of(key: &str, item_type: &str, id: &str) -> (&'static str, String) {
        let found = resource(CRN, &key.parse().unwrap(), item_type, id).unwrap();
        (found.resource, found.id)
    }

    #[test]
    fn ids_have_the_form_that_import_takes() {
        assert_eq!(of("secret/old", "private_cert", "new").1, format!("{PLACE}/new"));
        assert_eq!(of("group/old", "group", "new"), ("ibm_sm_secret_group", format!("{PLACE}/new")));
        let template = "private_cert_configuration_template";
        let (resource, id) = of(&format!("configuration/{template}/t"), template, &format!("{template}/t"));
        assert_eq!((resource, id), ("ibm_sm_private_certificate_configuration_template", format!("{PLACE}/t")));
        assert_eq!(of("registration", "registration", "x"), ("ibm_sm_en_registration", PLACE.into()));
    }

    #[test]
    fn what_has_no_resource_gets_none() {
        let none = |crn, item_type| resource(crn, &"secret/1".parse().unwrap(), item_type, "n").is_none();
        assert!(none(CRN, "a_type_of_tomorrow"));
        assert!(none("crn:v1:bluemix:public:secrets-manager::a/1:i::", "kv"), "no region");
    }

    #[test]
    fn no_two_types_share_a_resource() {
        for (name, resource) in RESOURCES {
            assert_eq!(RESOURCES.iter().filter(|(n, r)| n == name || r == resource).count(), 1, "{name} {resource}");
        }
        assert_eq!(RESOURCES.len(), 9 + 8, "nine types of secrets, eight of configurations");
    }
}
