//! The provider's rules as the jobs use them.

use super::needs::{fulfils, needs};
use super::restorability::judge;
use super::write_only::write_only;
use crate::instance::assess::{Assess, Assessment};
use crate::instance::source::REFUSED;
use crate::model::{Item, Slot, Timestamp};

/// What IBM Cloud Secrets Manager allows, item by item.
#[derive(Debug, Clone, Copy, Default)]
pub struct IbmRules;

impl Assess for IbmRules {
    fn assess(&self, item: &Item, now: Option<Timestamp>) -> Assessment {
        let payloads: Vec<Slot> = item.payloads.iter().map(|pointer| pointer.version.clone()).collect();
        let judgement = judge(item, &payloads, now);
        let not_read = ["payload_not_read", "certificate_not_read", "value_not_read"].contains(&judgement.code);
        Assessment {
            not_captured: not_read || item.docs.contains_key(REFUSED),
            judgement,
            write_only: write_only(item),
            needs: needs(item, &payloads),
            fulfils: fulfils(item),
        }
    }
}
