//! Expiry of an item.

use super::restorability::DESTROYED;
use crate::model::json::JsonObject;
use crate::model::{Item, ItemKind, Timestamp};
use crate::provider::assess::Expiry;
use crate::provider::ibm::docs::ROW;
use crate::provider::ibm::docs::VALUE;

/// Returns the end of an item: `expiration_date` of a secret's row, or of a certificate authority's row or value.
///
/// `None` for a destroyed secret, and for IAM credentials whose API key is created with each read.
pub(in crate::provider::ibm) fn expiry(item: &Item) -> Option<Expiry> {
    let row = item.doc(ROW).unwrap_or_default();
    match item.key.kind() {
        ItemKind::Secret if row.u64("state") == Some(DESTROYED) => None,
        ItemKind::Secret if item.item_type == "iam_credentials" && row.bool("reuse_api_key") != Some(true) => None,
        ItemKind::Secret => Some(Expiry { at: end(&row)?, renews: renews(&row) }),
        // A certificate of a certificate authority: only its owner renews it.
        ItemKind::Configuration => {
            let at = end(&row).or_else(|| end(&item.doc(VALUE)?))?;
            Some(Expiry { at, renews: false })
        }
        ItemKind::Group | ItemKind::Registration | ItemKind::Other => None,
    }
}

fn end(doc: &JsonObject) -> Option<Timestamp> {
    doc.str("expiration_date")?.parse().ok()
}

fn renews(row: &JsonObject) -> bool {
    row.object("rotation").and_then(|rotation| rotation.bool("auto_rotate")) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::super::restorability::tests::item;
    use super::*;

    fn of(key: &str, item_type: &str, docs: &[(&str, &str)]) -> Option<(String, bool)> {
        expiry(&item(key, item_type, docs)).map(|expiry| (expiry.at.to_string(), expiry.renews))
    }

    #[test]
    fn secrets_and_authorities_end_when_the_provider_says() {
        let end = Some(("2030-01-01T00:00:00.000Z".to_owned(), false));
        let row = r#"{"state":1,"expiration_date":"2030-01-01T00:00:00Z"}"#;
        assert_eq!(of("secret/s", "arbitrary", &[("row", row)]), end);
        assert_eq!(of("configuration/t/ca", "private_cert_configuration_root_ca", &[("row", row)]), end);
        let value = [("row", "{}"), ("value", row)];
        assert_eq!(of("configuration/t/ca", "private_cert_configuration_root_ca", &value), end);
        assert_eq!(of("secret/s", "arbitrary", &[("row", r#"{"state":1}"#)]), None);
        assert_eq!(of("secret/s", "arbitrary", &[("row", r#"{"expiration_date":"soon"}"#)]), None);
    }

    #[test]
    fn what_is_gone_or_made_with_each_read_has_no_end_and_what_renews_itself_says_so() {
        let destroyed = r#"{"state":5,"expiration_date":"2030-01-01T00:00:00Z"}"#;
        assert_eq!(of("secret/s", "private_cert", &[("row", destroyed)]), None);
        let minted = r#"{"reuse_api_key":false,"expiration_date":"2030-01-01T00:00:00Z"}"#;
        assert_eq!(of("secret/s", "iam_credentials", &[("row", minted)]), None);
        let renewing = r#"{"rotation":{"auto_rotate":true},"expiration_date":"2030-01-01T00:00:00Z"}"#;
        assert_eq!(of("secret/s", "public_cert", &[("row", renewing)]).map(|(_, renews)| renews), Some(true));
    }
}
