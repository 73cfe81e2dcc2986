//! What each type can become on its way into a standby.

use crate::instance::ibm::inventory::ROW;
use crate::model::{Item, Restorability, Slot, Treatment};

use super::{authority, template};

/// Every type that a policy can speak of, with the treatments that it may have, the usual one first. What a single item
/// allows may be less.
pub const TYPES: &[(&str, &[Treatment])] = &[
    ("arbitrary", EXACT),
    ("kv", EXACT),
    ("username_password", EXACT),
    ("imported_cert", &[Treatment::Exact, Treatment::Reissue, Treatment::Definition]),
    ("public_cert", CERTIFICATE),
    ("private_cert", CERTIFICATE),
    ("iam_credentials", CREDENTIALS),
    ("service_credentials", CREDENTIALS),
    ("custom_credentials", CREDENTIALS),
    ("iam_credentials_configuration", EXACT),
    ("public_cert_configuration_ca_lets_encrypt", EXACT),
    ("public_cert_configuration_dns_cloud_internet_services", EXACT),
    ("public_cert_configuration_dns_classic_infrastructure", EXACT),
    (authority::ROOT, &[Treatment::Recreate, Treatment::Definition]),
    (authority::INTERMEDIATE, &[Treatment::Recreate, Treatment::External, Treatment::Definition]),
    (template::TEMPLATE, TEMPLATE),
    (template::CUSTOM, TEMPLATE),
    ("group", EXACT),
    ("registration", EXACT),
];

const EXACT: &[Treatment] = &[Treatment::Exact];
const TEMPLATE: &[Treatment] = &[Treatment::Exact, Treatment::Definition];
const CERTIFICATE: &[Treatment] = &[Treatment::Convert, Treatment::Reissue, Treatment::Definition];
/// Without a payload to take along.
const ISSUED: &[Treatment] = &[Treatment::Reissue, Treatment::Definition];
const CREDENTIALS: &[Treatment] = &[Treatment::Definition, Treatment::Reissue, Treatment::AsArbitrary];
/// Without a payload to keep.
const MINTED: &[Treatment] = &[Treatment::Definition, Treatment::Reissue];
/// Without a private key to take along; with a signing request that is supplied it can be signed again.
const KEYLESS: &[Treatment] = &[Treatment::Definition, Treatment::Reissue];

/// NIST SP 800-57 state of a secret that has no payload yet.
const PRE_ACTIVATION: u64 = 0;

/// The treatments that a secret of these types allows; everything else comes back as it was.
pub(super) fn treatments(item: &Item) -> &'static [Treatment] {
    let row = item.doc(ROW).unwrap_or_default();
    let pending = row.u64("state") == Some(PRE_ACTIVATION);
    let has_payload = item.payloads.iter().any(|pointer| pointer.version.as_str() != Slot::WITHHELD);
    match item.item_type.as_str() {
        "imported_cert" if pending => ISSUED,
        "public_cert" | "private_cert" => match item.class {
            Restorability::Converted if has_payload => CERTIFICATE,
            Restorability::DefinitionOnly => KEYLESS,
            _ => ISSUED,
        },
        "iam_credentials" if row.bool("reuse_api_key") != Some(true) => MINTED,
        "iam_credentials" | "service_credentials" | "custom_credentials" if has_payload => CREDENTIALS,
        "iam_credentials" | "service_credentials" | "custom_credentials" => MINTED,
        _ => EXACT,
    }
}
