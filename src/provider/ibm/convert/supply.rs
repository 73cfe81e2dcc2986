//! Members that the operator supplies, because no answer shows them or because they differ in the standby's region.

use super::members::create_only;
use super::{authority, issue, template};
use crate::model::Item;
use crate::model::json::JsonObject;
use crate::provider::ibm::docs::SUPPLIED;

/// Place of a supplied member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberPlace {
    /// In the settings, which answers show and which are compared.
    Setting,
    /// In the inputs, which only a create request takes.
    Input,
}

/// Members of all secrets that a client can set.
const OF_SECRETS: [&str; 3] = ["description", "labels", "custom_metadata"];

/// Returns the place of a member of that type; `None` if the type has no such member.
pub(super) fn place(item_type: &str, name: &str) -> Option<MemberPlace> {
    if create_only(item_type).contains(&name) && !setting(item_type, name) {
        return Some(MemberPlace::Input);
    }
    if let Some(place) = issue::place(item_type, name) {
        return Some(place);
    }
    let secret = !item_type.contains("_configuration") && !matches!(item_type, "group" | "registration");
    let known = setting(item_type, name) || (secret && OF_SECRETS.contains(&name));
    known.then_some(MemberPlace::Setting)
}

fn setting(item_type: &str, name: &str) -> bool {
    let names: &[&str] = match item_type {
        "group" => &["description"],
        "registration" => &["event_notifications_instance_crn"],
        "arbitrary" => &["expiration_date"],
        "username_password" => &["expiration_date", "password_generation_policy"],
        "iam_credentials_configuration" => &["disabled"],
        "public_cert_configuration_ca_lets_encrypt" => &["lets_encrypt_environment", "lets_encrypt_preferred_chain"],
        "public_cert_configuration_dns_cloud_internet_services" => &["cloud_internet_services_crn"],
        item_type if authority::is(item_type) => return authority::is_setting(name),
        item_type if template::is(item_type) => return template::is_setting(item_type, name),
        _ => &[],
    };
    names.contains(&name)
}

/// Merges members into those supplied at capture time; new values take precedence. Returns the names that the type has.
pub(super) fn supply(item: &mut Item, becomes: Option<&str>, members: &JsonObject) -> Vec<String> {
    let mut supplied = item.doc(SUPPLIED).unwrap_or_default();
    let mut taken = Vec::new();
    for (name, value) in members.iter() {
        let types = [Some(item.item_type.as_str()), becomes];
        if types.into_iter().flatten().any(|item_type| place(item_type, name).is_some()) {
            supplied.set(name, value.to_owned());
            taken.push(name.to_owned());
        }
    }
    if !taken.is_empty() {
        item.docs.insert(SUPPLIED.to_owned(), supplied.to_raw());
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_belongs_where_its_type_has_it_and_nowhere_else() {
        assert_eq!(place(template::TEMPLATE, "allow_wildcard_certificates"), Some(MemberPlace::Input));
        assert_eq!(place(template::TEMPLATE, "max_ttl"), Some(MemberPlace::Setting));
        assert_eq!(place(template::TEMPLATE, "allow_ip_sans"), Some(MemberPlace::Setting));
        assert_eq!(place(authority::ROOT, "serial_number"), Some(MemberPlace::Input));
        assert_eq!(place("private_cert", "csr"), Some(MemberPlace::Input));
        assert_eq!(place("iam_credentials", "access_groups"), Some(MemberPlace::Setting));
        assert_eq!(place("kv", "labels"), Some(MemberPlace::Setting));
        for (item_type, name) in [("kv", "ttl"), ("group", "labels"), (template::TEMPLATE, "allow_wildcards")] {
            assert_eq!(place(item_type, name), None, "{item_type} {name}");
        }
    }
}
