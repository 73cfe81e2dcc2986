//! Names of stored objects, relative to the repository's prefix (`docs/format.md`, *Layout*).

use super::{EntryRef, PolicyRef};
use crate::model::Digest;

/// Identifies the repository for people and tools. No decision depends on it.
pub const KEYHAVEN_JSON: &str = "keyhaven.json";
/// Instructions to recover everything without this program.
pub const RECOVER_MD: &str = "RECOVER.md";
/// The directory of all versions of the trust policy.
pub const TRUST: &str = "trust";
/// The directory of all entries.
pub const LEDGER: &str = "ledger";
/// The directory of all packs.
pub const PACKS: &str = "packs";
/// The directory of all catalogue parts.
pub const CATALOGUES: &str = "catalogues";
/// The directory of all pack lists.
pub const LISTS: &str = "lists";
/// The directory of signed statements that are not entries.
pub const EVIDENCE: &str = "evidence";
/// The directory of bundles of entries.
pub const BUNDLES: &str = "bundles";
/// The directory of journals of unfinished runs.
pub const JOURNALS: &str = "journals";

/// The highest sequence that a name can hold.
pub const SEQUENCE_LIMIT: u64 = 999_999_999_999;
/// Number of digits of a sequence in names and references.
pub(super) const SEQUENCE_DIGITS: usize = 12;
/// The highest number of a policy version that a name can hold.
pub const VERSION_LIMIT: u64 = 999_999;
/// Number of digits of a policy version number in names and references.
pub(super) const VERSION_DIGITS: usize = 6;
/// Number of entries in one directory.
pub const ENTRIES_PER_DIRECTORY: u64 = 1_000;

const SEALED: &str = ".jsonl.zst.age";

/// Returns the name of a pack.
#[must_use]
pub fn pack(digest: &Digest) -> String {
    format!("{PACKS}/{digest}{SEALED}")
}

/// Returns the name of a catalogue part.
#[must_use]
pub fn catalogue(digest: &Digest) -> String {
    format!("{CATALOGUES}/{digest}{SEALED}")
}

/// Returns the name of a pack list.
#[must_use]
pub fn list(digest: &Digest) -> String {
    format!("{LISTS}/{digest}.jsonl")
}

/// Returns the name of a signed statement that is not an entry.
#[must_use]
pub fn evidence(digest: &Digest) -> String {
    format!("{EVIDENCE}/{digest}.json")
}

/// Returns the name of an entry.
#[must_use]
pub fn entry(entry: &EntryRef) -> String {
    format!("{}/{entry}.json", entry_directory(entry.sequence))
}

/// Returns the directory of the entries around a sequence, without a trailing slash.
#[must_use]
pub fn entry_directory(sequence: u64) -> String {
    format!("{LEDGER}/{:09}", sequence / ENTRIES_PER_DIRECTORY)
}

/// Returns true if this is exactly the name of a directory of entries.
#[must_use]
pub fn is_entry_directory(name: &str) -> bool {
    let number = name.strip_prefix(LEDGER).and_then(|rest| rest.strip_prefix('/')).map(str::parse::<u64>);
    let Some(Ok(number)) = number else { return false };
    number <= SEQUENCE_LIMIT / ENTRIES_PER_DIRECTORY && entry_directory(number * ENTRIES_PER_DIRECTORY) == name
}

/// Returns the entry, if this is exactly the name of one.
#[must_use]
pub fn parse_entry(name: &str) -> Option<EntryRef> {
    let found = name.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()?;
    (entry(&found) == name).then_some(found)
}

/// Returns the name of a version of the trust policy.
#[must_use]
pub fn policy(policy: &PolicyRef) -> String {
    format!("{TRUST}/{policy}.json")
}

/// Returns the policy version, if this is exactly the name of one.
#[must_use]
pub fn parse_policy(name: &str) -> Option<PolicyRef> {
    name.strip_prefix(TRUST)?.strip_prefix('/')?.strip_suffix(".json")?.parse().ok()
}

/// Returns the digest of a pack, if this is exactly the name of one.
#[must_use]
pub fn parse_pack(name: &str) -> Option<Digest> {
    parse(name, PACKS, SEALED)
}

/// Returns the digest of a catalogue part, if this is exactly the name of one.
#[must_use]
pub fn parse_catalogue(name: &str) -> Option<Digest> {
    parse(name, CATALOGUES, SEALED)
}

/// Returns the digest of a pack list, if this is exactly the name of one.
#[must_use]
pub fn parse_list(name: &str) -> Option<Digest> {
    parse(name, LISTS, ".jsonl")
}

fn parse(name: &str, folder: &str, suffix: &str) -> Option<Digest> {
    name.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(suffix)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_those_of_the_specification() {
        let digest = DIGEST.parse().unwrap();
        let named = EntryRef { sequence: 42_017, digest };
        assert_eq!(entry(&named), format!("ledger/000000042/000000042017-{DIGEST}.json"));
        let version = PolicyRef { version: 2, digest };
        assert_eq!(policy(&version), format!("trust/000002-{DIGEST}.json"));
        assert_eq!(parse_policy(&policy(&version)), Some(version));
        assert_eq!(pack(&digest), format!("packs/{DIGEST}.jsonl.zst.age"));
        assert_eq!(parse_entry(&entry(&named)), Some(named));
        assert_eq!(parse_pack(&pack(&digest)), Some(digest));
        assert_eq!(parse_catalogue(&catalogue(&digest)), Some(digest));
        assert_eq!(parse_list(&list(&digest)), Some(digest));
    }

    #[test]
    fn one_entry_has_one_name() {
        for name in [
            format!("ledger/000000041/000000042017-{DIGEST}.json"),
            format!("ledger/000000042/42017-{DIGEST}.json"),
            format!("ledger/000000042/+00000042017-{DIGEST}.json"),
            format!("x/ledger/000000042/000000042017-{DIGEST}.json"),
            format!("ledger/000000042/000000042017-{}.json", DIGEST.to_uppercase()),
            format!("ledger/1000000000/1000000000000-{DIGEST}.json"),
            "ledger/000000042/readme.txt".to_owned(),
        ] {
            assert_eq!(parse_entry(&name), None, "{name}");
        }
        assert_eq!(parse_policy(&format!("trust/x/000002-{DIGEST}.json")), None);
        assert_eq!(parse_pack(&catalogue(&DIGEST.parse().unwrap())), None);
    }
}
