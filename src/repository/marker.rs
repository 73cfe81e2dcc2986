//! `keyhaven.json`: identifies the repository for people and tools. No decision depends on it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ledger::Ledger;
use super::{Repository, Store, StoreError};
use crate::format::version::FormatVersion;
use crate::format::{FormatError, Policy, PolicyRef, RepositoryId, SourceName, canonical, names};
use crate::model::{Timestamp, limits};

/// Content of the file, all from version 1 of the policy.
#[derive(Serialize)]
struct Marker<'a> {
    created: Timestamp,
    format: FormatVersion,
    kind: &'static str,
    repository: RepositoryId,
    source: &'a SourceName,
}

/// The only member that readers use.
#[derive(Deserialize)]
struct Named {
    repository: String,
}

/// Returns the content of the file, as `init` writes it.
///
/// # Errors
/// When the policy contains a value that canonical JSON cannot hold.
pub(super) fn write(id: RepositoryId, first: &Policy) -> Result<Vec<u8>, FormatError> {
    let marker =
        Marker { created: first.time, format: first.format, kind: "repository", repository: id, source: &first.source };
    let mut bytes = canonical::encode(names::KEYHAVEN_JSON, &marker)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads the file. Returns its bytes if it names the repository, otherwise a warning. Its problems never stop a
/// command.
pub(super) async fn read(store: &Store, id: &RepositoryId) -> Result<Bytes, String> {
    let odd = |what: &str| format!("{} {what}; the trust policy decides, not this file", names::KEYHAVEN_JSON);
    match store.get(names::KEYHAVEN_JSON, limits::ENTRY).await {
        Ok(bytes) => match serde_json::from_slice::<Named>(&bytes) {
            Ok(named) if named.repository == id.to_string() => Ok(bytes),
            Ok(_) => Err(odd("names another repository id")),
            Err(_) => Err(odd("is damaged")),
        },
        Err(StoreError::NotFound { .. }) => Err(odd("is missing")),
        Err(StoreError::TooLarge { .. }) => Err(odd("is damaged")),
        Err(error) => Err(odd(&format!("cannot be read ({error})"))),
    }
}

/// Returns true if it has the members that `init` wrote. It may also have members of a later minor version.
fn is_as_written(found: &[u8], expected: &[u8]) -> bool {
    let members = |bytes: &[u8]| {
        let line = bytes.strip_suffix(b"\n")?;
        canonical::check(names::KEYHAVEN_JSON, line).ok()?;
        serde_json::from_slice::<Map<String, Value>>(line).ok()
    };
    match (members(found), members(expected)) {
        (Some(found), Some(expected)) => expected.iter().all(|(name, value)| found.get(name) == Some(value)),
        _ => false,
    }
}

impl Repository {
    /// Returns a warning about `keyhaven.json` that requires the policy, for a check that reads everything. Other
    /// warnings are in [`Repository::warnings`].
    #[must_use]
    pub fn changed_marker(&self, ledger: &Ledger) -> Option<String> {
        let found = self.inner.marker.as_ref()?;
        let first = ledger.trust().get(&PolicyRef { version: 1, digest: self.id().0 })?;
        let expected = write(*self.id(), first).ok()?;
        (!is_as_written(found, &expected)).then(|| {
            format!(
                "{} was changed after `init` wrote it; the trust policy decides, not this file",
                names::KEYHAVEN_JSON
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_as_written;

    #[test]
    fn it_is_as_written_or_has_members_more() {
        let written = b"{\"kind\":\"repository\",\"source\":{\"instance\":\"i\"}}\n";
        for same in [&written[..], b"{\"kind\":\"repository\",\"source\":{\"instance\":\"i\"},\"zone\":\"later\"}\n"] {
            assert!(is_as_written(same, written));
        }
        for other in [
            &b"{\"kind\":\"repository\",\"source\":{\"instance\":\"j\"}}\n"[..],
            b"{\"source\":{\"instance\":\"i\"}}\n",
            b"{\"kind\":\"repository\",\"source\":{\"instance\":\"i\"}} \n",
            b"{\"kind\":\"repository\",\"source\":{\"instance\":\"i\"}}",
            b"",
        ] {
            assert!(!is_as_written(other, written), "{}", String::from_utf8_lossy(other));
        }
    }
}
