//! The one page to print: everything that is needed besides the recovery key.

use crate::format::{RepositoryId, SourceName};
use crate::model::Digest;

/// What stands on it. Nothing of it is secret.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    pub(super) place: &'a str,
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    pub(super) id: RepositoryId,
    pub(super) source: &'a SourceName,
    pub(super) collector: Digest,
    pub(super) custodians: Vec<Digest>,
    pub(super) recovery: Vec<String>,
    pub(super) catalogue: Vec<String>,
    pub(super) made: String,
}

/// The page: plain text, at most 80 columns but for what cannot be broken.
pub(super) fn text(sheet: &Sheet<'_>) -> String {
    let id = sheet.id;
    let bucket = match (&sheet.endpoint, &sheet.region) {
        (Some(endpoint), region) => {
            format!("Endpoint        {endpoint}\nRegion          {}\n", region.as_deref().unwrap_or("-"))
        }
        _ => String::new(),
    };
    let listed = |items: &[String]| items.iter().map(|item| format!("  {item}\n")).collect::<String>();
    let custodians: Vec<String> = sheet.custodians.iter().map(ToString::to_string).collect();
    format!(
        "\
KEYHAVEN RECOVERY SHEET                                    {made}
===============================================================================
Print this page. Keep it where the recovery keys are. Nothing on it is secret.

Source          {crn}
Repository      {place}
{bucket}Repository id   {id}

The id pins the ledger: with it, read access to the repository and a recovery
key, everything else can be checked and restored on a new machine.

Collector's signing key (SHA-256 of its public key)
  {collector}
Custodians' keys
{custodians}Recovery recipients: one of their identities opens the packs
{recovery}Catalogue recipient of the collector: opens the inventory only
{catalogue}
TO RESTORE, with Keyhaven
  export KEYHAVEN_REPOSITORY_URL={place}
  export KEYHAVEN_REPOSITORY_ID={id}
  export KEYHAVEN_STANDBY_URL=https://STANDBY-ID.REGION.secrets-manager.appdomain.cloud
  export KEYHAVEN_STANDBY_API_KEY_FILE=FILE-WITH-ITS-API-KEY
  keyhaven verify --level payload --identity RECOVERY-IDENTITY
  keyhaven restore plan --identity RECOVERY-IDENTITY --out plan.json
  keyhaven restore apply plan.json --identity RECOVERY-IDENTITY
{for_buckets}
TO RESTORE, without Keyhaven
  RECOVER.md in the repository says how: age, zstd, jq, sha256sum, openssl.
  One pack:  age -d -i RECOVERY-IDENTITY packs/DIGEST.jsonl.zst.age | zstd -d
",
        made = sheet.made,
        crn = sheet.source.crn,
        place = sheet.place,
        collector = sheet.collector,
        custodians = listed(&custodians),
        recovery = listed(&sheet.recovery),
        catalogue = listed(&sheet.catalogue),
        for_buckets = if bucket.is_empty() {
            String::new()
        } else {
            "  For a bucket also: KEYHAVEN_REPOSITORY_ENDPOINT, _REGION, _ACCESS_KEY_ID and\n  \
             _SECRET_ACCESS_KEY.\n"
                .to_owned()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheet_fits_a_page_and_names_what_is_needed() {
        let digest = Digest::from_bytes([0xab; 32]);
        let source = SourceName { crn: "crn:v1:x".into(), region: "eu-de".into() };
        let sheet = Sheet {
            place: "s3://bucket/prefix",
            endpoint: Some("https://s3.example".into()),
            region: None,
            id: RepositoryId(digest),
            source: &source,
            collector: digest,
            custodians: vec![digest, digest],
            recovery: vec!["age1a".into(), "age1b".into()],
            catalogue: vec!["age1c".into()],
            made: "2026-11-22 14:00:00Z".into(),
        };
        let text = text(&sheet);
        assert!(text.lines().count() <= 60, "{} lines are more than a page", text.lines().count());
        for needed in [
            "s3://bucket/prefix",
            "https://s3.example",
            &digest.to_string(),
            "age1b",
            "RECOVER.md",
            "KEYHAVEN_STANDBY_API_KEY_FILE",
        ] {
            assert!(text.contains(needed), "{needed}");
        }
    }
}
