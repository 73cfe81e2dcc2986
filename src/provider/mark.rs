//! Marks that a restore writes to the standby, so that the next restore recognises its items.
//!
//! A mark is a member called `keyhaven` in user-defined metadata. On a secret:
//!
//! ```json
//! {"source":"<id in the source>","version":"<id of the newest version restored>","versions":2,
//!  "details":"<16 hexadecimal digits>","snapshot":"<digest of the ledger entry>","held":{"rotation":{…}}}
//! ```
//!
//! `versions` is the number of versions in the standby after the restore: another number means that a version is
//! missing or that the secret was rotated. `details` is the start of a digest over the restored version metadata and
//! locks, which no list shows. `held` is what was deliberately held back; absent if nothing was. `snapshot` records the
//! origin and is not compared.
//!
//! On a version: `{"source_version":"<id in the source>"}`, with only that member.
//!
//! No mark is written if the user's own metadata has a member of that name, or has no room for a mark.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::Digest;
use crate::model::json::JsonObject;

/// The name of the member that holds a mark.
pub const MARK: &str = "keyhaven";

/// The member of a version's mark.
const SOURCE_VERSION: &str = "source_version";

/// The mark of a restored secret; the module describes its form.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreMark {
    /// The id of the secret in the source.
    pub source: String,
    /// The id, in the source, of the newest restored version.
    pub version: String,
    /// Number of versions that the secret has in the standby after the restore.
    pub versions: u64,
    /// 16 hexadecimal digits of a digest over the restored version metadata and locks.
    pub details: String,
    /// The ledger entry of the snapshot.
    pub snapshot: Digest,
    /// The policy that the restore held back, as in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<RawValue>>,
}

impl RestoreMark {
    /// Parses a mark; `None` if the value is not one.
    #[must_use]
    pub fn parse(value: &RawValue) -> Option<Self> {
        serde_json::from_str(value.get()).ok()
    }

    /// Returns true if both describe the same restored state; the snapshot is not compared.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let held = |mark: &Self| mark.held.as_ref().map(|held| held.get().to_owned());
        (&self.source, &self.version, self.versions, &self.details, held(self))
            == (&other.source, &other.version, other.versions, &other.details, held(other))
    }
}

impl PartialEq for RestoreMark {
    fn eq(&self, other: &Self) -> bool {
        self.same(other) && self.snapshot == other.snapshot
    }
}

/// Removes the mark of a version from its metadata; returns the version's id in the source.
///
/// Keeps a member called [`MARK`] that is not our mark.
pub fn take_version_mark(metadata: &mut JsonObject) -> Option<String> {
    let mark = metadata.object(MARK).filter(|mark| mark.len() == 1)?;
    let source = mark.str(SOURCE_VERSION)?;
    metadata.remove(MARK);
    Some(source)
}

/// Sets the mark of a version in its metadata.
pub fn set_version_mark(metadata: &mut JsonObject, source: &str) {
    let mark: JsonObject = [(SOURCE_VERSION.to_owned(), crate::model::json::raw(source))].into_iter().collect();
    metadata.set(MARK, mark.to_raw());
}

/// Removes the mark of a secret from its metadata. Keeps a member of that name that is not our mark.
pub fn take_mark(metadata: &mut JsonObject) -> Option<RestoreMark> {
    let mark = RestoreMark::parse(metadata.get(MARK)?)?;
    metadata.remove(MARK);
    Some(mark)
}

/// Sets the mark of a secret in its metadata.
pub fn set_mark(metadata: &mut JsonObject, mark: &RestoreMark) {
    metadata.set(MARK, crate::model::json::raw(mark));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_and_go_and_leave_the_rest_alone() {
        let text = r#"{"n":12345678901234567890,"x":1e400}"#;
        let mut metadata = JsonObject::parse(text).unwrap();
        let mark = RestoreMark {
            source: "s".into(),
            version: "v".into(),
            versions: 2,
            details: "0".repeat(16),
            snapshot: Digest::from_bytes([7; 32]),
            held: Some(RawValue::from_string(r#"{"rotation":{"interval":1.0}}"#.into()).unwrap()),
        };
        set_mark(&mut metadata, &mark);
        assert!(metadata.to_raw().get().contains(r#""held":{"rotation":{"interval":1.0}}"#));
        assert_eq!(take_mark(&mut metadata).unwrap(), mark);
        assert_eq!(metadata.to_raw().get(), text);
    }

    #[test]
    fn what_only_has_our_name_is_not_taken_for_ours() {
        for text in [
            r#"{"keyhaven":"a team of that name"}"#,
            r#"{"keyhaven":{"version":"x"}}"#,
            r#"{"keyhaven":{"source_version":"x","more":1}}"#,
        ] {
            let mut metadata = JsonObject::parse(text).unwrap();
            assert!(take_mark(&mut metadata).is_none());
            assert!(take_version_mark(&mut metadata).is_none());
            assert_eq!(metadata.to_raw().get(), text);
        }
    }
}
