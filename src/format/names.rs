//! Names of stored objects, relative to the repository's prefix (`docs/format.md`, *Layout*).

use super::FormatError;
use crate::model::Digest;

/// Says which repository this is, for people and tools; decides nothing.
pub const KEYHAVEN_JSON: &str = "keyhaven.json";
/// How to get everything back without this program.
pub const RECOVER_MD: &str = "RECOVER.md";
/// The folder of all entries.
pub const LEDGER: &str = "ledger";
/// The folder of all packs.
pub const PACKS: &str = "packs";
/// The folder of all catalogue parts.
pub const CATALOGUES: &str = "catalogues";
/// The folder of all pack lists.
pub const LISTS: &str = "lists";
/// The folder of signed statements that are not entries.
pub const EVIDENCE: &str = "evidence";

/// The highest sequence that a name can hold.
pub const SEQUENCE_LIMIT: u64 = 999_999_999;
/// Entries of one folder.
pub const ENTRIES_PER_FOLDER: u64 = 1_000;

const SEALED: &str = ".jsonl.zst.age";

/// The name of a pack.
#[must_use]
pub fn pack(digest: &Digest) -> String {
    format!("{PACKS}/{digest}{SEALED}")
}

/// The name of a catalogue part.
#[must_use]
pub fn catalogue(digest: &Digest) -> String {
    format!("{CATALOGUES}/{digest}{SEALED}")
}

/// The name of a pack list.
#[must_use]
pub fn list(digest: &Digest) -> String {
    format!("{LISTS}/{digest}.jsonl")
}

/// The name of a signed statement that is not an entry.
#[must_use]
pub fn evidence(digest: &Digest) -> String {
    format!("{EVIDENCE}/{digest}.json")
}

/// The name of an entry.
#[must_use]
pub fn entry(sequence: u64, digest: &Digest) -> String {
    format!("{}/{sequence:09}-{digest}.json", entry_folder(sequence))
}

/// The folder of the entries around a sequence, without a slash at its end.
#[must_use]
pub fn entry_folder(sequence: u64) -> String {
    format!("{LEDGER}/{:06}", sequence / ENTRIES_PER_FOLDER)
}

/// Sequence and digest of an entry, when this is exactly the name of one.
#[must_use]
pub fn parse_entry(name: &str) -> Option<(u64, Digest)> {
    let file = name.rsplit('/').next()?.strip_suffix(".json")?;
    let (sequence, digest) = file.split_once('-')?;
    let (sequence, digest) = (sequence.parse().ok()?, digest.parse().ok()?);
    (sequence <= SEQUENCE_LIMIT && entry(sequence, &digest) == name).then_some((sequence, digest))
}

/// The digest of a pack, when this is exactly the name of one.
#[must_use]
pub fn parse_pack(name: &str) -> Option<Digest> {
    parse(name, PACKS, SEALED)
}

/// The digest of a catalogue part, when this is exactly the name of one.
#[must_use]
pub fn parse_catalogue(name: &str) -> Option<Digest> {
    parse(name, CATALOGUES, SEALED)
}

/// The digest of a pack list, when this is exactly the name of one.
#[must_use]
pub fn parse_list(name: &str) -> Option<Digest> {
    parse(name, LISTS, ".jsonl")
}

fn parse(name: &str, folder: &str, suffix: &str) -> Option<Digest> {
    name.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(suffix)?.parse().ok()
}

/// Checks that a sequence fits into a name.
pub(super) fn check_sequence(sequence: u64) -> Result<(), FormatError> {
    if (1..=SEQUENCE_LIMIT).contains(&sequence) {
        Ok(())
    } else {
        Err(FormatError::malformed("entry", format!("sequence {sequence} is not between 1 and {SEQUENCE_LIMIT}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_those_of_the_specification() {
        let digest = DIGEST.parse().unwrap();
        assert_eq!(entry(42_017, &digest), format!("ledger/000042/000042017-{DIGEST}.json"));
        assert_eq!(pack(&digest), format!("packs/{DIGEST}.jsonl.zst.age"));
        assert_eq!(parse_entry(&entry(42_017, &digest)), Some((42_017, digest)));
        assert_eq!(parse_pack(&pack(&digest)), Some(digest));
        assert_eq!(parse_catalogue(&catalogue(&digest)), Some(digest));
        assert_eq!(parse_list(&list(&digest)), Some(digest));
    }

    #[test]
    fn one_entry_has_one_name() {
        for name in [
            format!("ledger/000041/000042017-{DIGEST}.json"),
            format!("ledger/000042/42017-{DIGEST}.json"),
            format!("ledger/000042/+00042017-{DIGEST}.json"),
            format!("x/ledger/000042/000042017-{DIGEST}.json"),
            format!("ledger/000042/000042017-{}.json", DIGEST.to_uppercase()),
            format!("ledger/1000000/1000000000-{DIGEST}.json"),
            "ledger/000042/readme.txt".to_owned(),
        ] {
            assert_eq!(parse_entry(&name), None, "{name}");
        }
        assert_eq!(parse_pack(&catalogue(&DIGEST.parse().unwrap())), None);
    }
}
