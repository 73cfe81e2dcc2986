//! The provider's assessment of items, for the jobs.

use super::needs::{fulfils, needs};
use super::restorability::{DESTROYED, PRE_ACTIVATION, judge};
use super::write_only::write_only;
use crate::model::{Item, Slot, Timestamp};
use crate::provider::REFUSED;
use crate::provider::assess::Assessment;
use crate::provider::ibm::docs::ROW;

/// Assesses an item of a snapshot. With a time `now`, what has expired by then counts as lost.
pub(in crate::provider::ibm) fn assess(item: &Item, now: Option<Timestamp>) -> Assessment {
    let payloads: Vec<Slot> = item.payloads.iter().map(|pointer| pointer.version.clone()).collect();
    let judgement = judge(item, &payloads, now);
    let not_read = match judgement.code {
        "payload_not_read" | "certificate_not_read" | "value_not_read" => true,
        // The standby issues new ones either way, but without the old value `as_arbitrary` is impossible.
        "minted" => has_value(item) && payloads.iter().all(|slot| slot.as_str() == Slot::WITHHELD),
        _ => false,
    };
    Assessment {
        not_captured: not_read || item.docs.contains_key(REFUSED),
        judgement,
        write_only: write_only(item),
        needs: needs(item, &payloads),
        fulfils: fulfils(item),
    }
}

/// Returns true if the source holds a value of a secret: it has received one, and the service has not destroyed it.
fn has_value(item: &Item) -> bool {
    let row = item.doc(ROW).unwrap_or_default();
    !matches!(row.u64("state"), Some(PRE_ACTIVATION | DESTROYED)) && row.u64("versions_total") != Some(0)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::model::{Docs, Pointer, Restorability};

    #[test]
    fn credentials_without_their_value_are_not_captured_unless_there_is_none() {
        let not_captured = |item_type: &str, row: &str, slots: &[&str]| {
            let row = RawValue::from_string(row.to_owned()).unwrap();
            let pointer =
                |slot: &&str| Pointer { version: Slot::new(slot).unwrap(), pack: crate::crypto::digest::sha256(b"p") };
            let item = Item {
                key: "secret/s".parse().unwrap(),
                name: "n".into(),
                item_type: item_type.into(),
                group: None,
                class: Restorability::Reissued.into(),
                revision: None,
                read_at: None,
                payloads: slots.iter().map(pointer).collect(),
                docs: Docs::from([("row".to_owned(), row)]),
            };
            assess(&item, None).not_captured
        };
        for item_type in ["service_credentials", "custom_credentials"] {
            assert!(not_captured(item_type, r#"{"state":1}"#, &[]), "{item_type}");
            assert!(not_captured(item_type, r#"{"state":1}"#, &["withheld"]), "{item_type}");
            assert!(!not_captured(item_type, r#"{"state":1}"#, &["v1"]), "{item_type}");
            assert!(!not_captured(item_type, r#"{"state":5}"#, &[]), "{item_type}: the service has destroyed it");
            assert!(!not_captured(item_type, r#"{"state":1,"versions_total":0}"#, &[]), "{item_type}: there is none");
        }
        assert!(not_captured("iam_credentials", r#"{"state":1,"reuse_api_key":true}"#, &[]));
        assert!(!not_captured("iam_credentials", r#"{"state":1,"reuse_api_key":false}"#, &[]), "never to be read");
    }
}
