//! The body of a snapshot entry.

use std::collections::BTreeMap;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use crate::model::{Digest, Timestamp};

/// Consistency claim of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "consistency", rename_all = "snake_case")]
pub enum Consistency {
    /// All listed items existed together at every moment between `from` and `to`.
    PointInTime,
    /// Each item is consistent on its own, at some moment between `from` and `to`.
    PerItem {
        /// Number of items that still changed in the last round.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved: Option<u64>,
        /// Reason why no common moment was found, as a word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}

impl Consistency {
    /// Returns the word used in entries and output.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::PointInTime => "point_in_time",
            Self::PerItem { .. } => "per_item",
        }
    }

    /// Returns the number of items that still changed; 0 for a point in time.
    #[must_use]
    pub fn moved(&self) -> u64 {
        match self {
            Self::PointInTime => 0,
            Self::PerItem { moved, .. } => moved.unwrap_or(0),
        }
    }
}

/// A part of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRef {
    /// Its name.
    pub digest: Digest,
    /// Its sealed size in bytes.
    pub size: u64,
    /// Number of items that it lists.
    pub items: u64,
}

/// Number of requests that a snapshot needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Requests for pages of lists.
    pub listing: u64,
    /// Requests that read items.
    pub reading: u64,
    /// Requests among all these that were sent again after a failure.
    pub retried: u64,
}

/// Numbers of items and payloads. `None`: not counted by the writer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemCounts {
    /// Items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Payloads that the catalogue points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payloads: Option<u64>,
    /// Items that the base did not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u64>,
    /// Items whose revision differs from that in the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<u64>,
    /// Items of the base that are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<u64>,
    /// Items whose restorability is worse than in the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_class: Option<u64>,
    /// Items that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<u64>,
    /// Items whose newest version is not in the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<u64>,
    /// Items considered gone without a request for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_asked: Option<u64>,
    /// Payloads that are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<u64>,
}

/// Counts of all items, per kind and per class. The maps are flat because all snapshots of a long ledger are in memory,
/// and a tree node allocates room for eleven counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotCounts {
    /// Of all items.
    pub all: ItemCounts,
    /// By kind of item.
    #[serde(with = "by_name")]
    pub kinds: LiteMap<String, ItemCounts>,
    /// By restorability.
    #[serde(with = "by_name")]
    pub classes: LiteMap<String, ItemCounts>,
}

/// A reason why a snapshot is suspect, or a remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The finding, as a word.
    pub code: String,
    /// Number of affected items.
    pub count: u64,
    /// Total number of items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// The share, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<u64>,
    /// A sentence that names no item or group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Finding {
    /// Returns the finding as a sentence for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.text.clone().unwrap_or_else(|| match self.of {
            Some(of) => format!("{}: {} of {of}", self.code, self.count),
            None => format!("{}: {}", self.code, self.count),
        })
    }
}

/// Properties of the bucket that holds a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketFacts {
    /// Its region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Its lock mode: `none`, `governance`, `compliance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
}

/// The body of a snapshot entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotEvent {
    /// Its consistency claim.
    #[serde(flatten)]
    pub consistency: Consistency,
    /// Start of the interval that the claim covers, by the provider's clock.
    pub from: Timestamp,
    /// End of that interval.
    pub to: Timestamp,
    /// The snapshot's time, from which the recovery point is measured.
    pub time: Timestamp,
    /// The recovery point achieved when the entry was written, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_point_millis: Option<u64>,
    /// Number of listing rounds; at least 1.
    pub rounds: u64,
    /// True if no earlier pack was reused.
    pub full: bool,
    /// The snapshot whose packs were reused; `None` for a full snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// Fingerprints of the keys whose packs may be among the reused ones: the key of the base, and the keys that the
    /// base reuses; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reuses: Vec<Digest>,
    /// The snapshot that it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Digest>,
    /// The digest of the recovery recipients ([`crate::format::Policy::recipients_digest`]).
    pub recipients: Digest,
    /// The parts of the catalogue, in key order.
    pub parts: Vec<PartRef>,
    /// The list of the packs that it needs.
    pub list: Digest,
    /// Number of packs that it needs.
    pub packs: u64,
    /// Their total sealed size, in bytes.
    pub sealed_bytes: u64,
    /// Numbers of items and payloads.
    pub counts: SnapshotCounts,
    /// True if an item or payload that the source shows is missing or stale.
    pub partial: bool,
    /// Reasons why it is suspect; empty if it is good.
    pub reasons: Vec<Finding>,
    /// Remarks that do not make it suspect.
    pub marks: Vec<Finding>,
    /// Number of the rule set that judged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<u64>,
    /// Floors in force, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floors: Option<BTreeMap<String, u64>>,
    /// Shares in force, in percent, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<BTreeMap<String, u64>>,
    /// Announcements that were applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Vec<Digest>>,
    /// Number of items that they covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excepted: Option<u64>,
    /// The bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BucketFacts>,
    /// The requests that it needed.
    pub requests: RequestCounts,
    /// Notes.
    pub notes: Vec<String>,
    /// The operator's tags; retention can select by them ([`crate::model::tag`]).
    pub tags: Vec<String>,
    /// Kinds of items that the collector was not allowed to list, so that the snapshot has none; sorted.
    pub hidden: Vec<String>,
    /// True if the collector held a recovery key, against the recommendation.
    pub recovery_key_on_collector: bool,
}

impl SnapshotEvent {
    /// Returns the number of items in its catalogue.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.items))
    }

    /// Returns true if it is good by its own judgement.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Returns the number of its items, by kind.
    #[must_use]
    pub fn items_by_kind(&self) -> BTreeMap<String, u64> {
        items_by(&self.counts.kinds)
    }

    /// Returns the number of its items, by restorability.
    #[must_use]
    pub fn items_by_class(&self) -> BTreeMap<String, u64> {
        items_by(&self.counts.classes)
    }
}

fn items_by(counts: &LiteMap<String, ItemCounts>) -> BTreeMap<String, u64> {
    counts.iter().map(|(name, counts)| (name.clone(), counts.items.unwrap_or(0))).collect()
}

/// Writes counts by name as a JSON object, also when there are none. Without this, an empty flat map is written as a
/// list, and a list is accepted as a map.
mod by_name {
    use std::collections::BTreeMap;

    use litemap::LiteMap;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::ItemCounts;

    pub(super) fn serialize<S: Serializer>(
        counts: &LiteMap<String, ItemCounts>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(counts.iter())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<LiteMap<String, ItemCounts>, D::Error> {
        let mut counts: Vec<(String, ItemCounts)> = BTreeMap::deserialize(deserializer)?.into_iter().collect();
        counts.shrink_to_fit();
        Ok(LiteMap::from_sorted_store_unchecked(counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_name_are_objects() {
        let read = |text: &str| serde_json::from_str::<SnapshotCounts>(text);
        let counts = read(r#"{"all":{},"classes":{"exact":{"items":1}},"kinds":{}}"#).unwrap();
        assert_eq!(counts.classes.get("exact").and_then(|of| of.items), Some(1));
        let none = serde_json::to_string(&SnapshotCounts::default()).unwrap();
        assert_eq!(none, r#"{"all":{},"kinds":{},"classes":{}}"#);
        assert_eq!(read(&none).unwrap(), SnapshotCounts::default());
        for list in ["[]", r#"[["exact",{"items":1}]]"#] {
            assert!(read(&format!(r#"{{"all":{{}},"classes":{list},"kinds":{{}}}}"#)).is_err(), "{list}");
        }
    }
}
