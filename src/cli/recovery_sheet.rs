//! The one page to print: everything that is needed besides the recovery key.

use data_encoding::BASE64;

use super::failure::Failure;
use super::{pins, text};
use crate::config::{Location, Settings};
use crate::format::{Envelope, Policy, PolicyRef, RepositoryId, SigningRole};
use crate::model::Timestamp;
use crate::repository::ledger::Ledger;

/// The page. Lines that begin with `{{S3}}`, `{{DIR}}` or `{{IAM}}` are for some repositories only, those with
/// `{{EACH_…}}` are repeated.
const TEMPLATE: &str = include_str!("recovery_sheet.txt");

/// Contents of the sheet. Nothing in it is secret.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    pub(super) settings: &'a Settings,
    pub(super) id: RepositoryId,
    pub(super) version: PolicyRef,
    pub(super) policy: &'a Policy,
    pub(super) envelope: &'a Envelope,
    pub(super) made: String,
}

/// The page for the version that a ledger is read by.
///
/// # Errors
/// As [`text`], and when no version is in force.
pub(super) fn of(settings: &Settings, ledger: &Ledger, now: Timestamp) -> Result<(PolicyRef, String), Failure> {
    let trust = ledger.trust();
    let none = || Failure::usage("no version of the trust policy is in force");
    let (version, policy) = trust.writes_under().ok_or_else(none)?;
    let envelope = trust.good_envelope(&version).ok_or_else(none)?;
    let sheet = Sheet { settings, id: trust.id(), version, policy, envelope: &envelope, made: text::time(now) };
    Ok((version, text(&sheet)?))
}

/// The page: plain text, at most 80 columns but for what cannot be broken.
///
/// # Errors
/// When the policy cannot be written, or the settings name no repository.
pub(super) fn text(sheet: &Sheet<'_>) -> Result<String, Failure> {
    let repository = sheet.settings.repository()?;
    let (is_bucket, place) = match &repository.location {
        Location::Folder(folder) => {
            (false, std::path::absolute(folder).unwrap_or_else(|_| folder.clone()).display().to_string())
        }
        Location::Bucket { bucket, prefix } if prefix.is_empty() => (true, format!("s3://{bucket}")),
        Location::Bucket { bucket, prefix } => (true, format!("s3://{bucket}/{prefix}")),
    };
    let policy = sheet.policy;
    let iam = Some(sheet.settings.iam_url().0.as_str()).filter(|url| *url != crate::config::keys::IAM_URL);
    let values = [
        ("MADE", sheet.made.clone()),
        ("SOURCE", comment(&policy.source.instance)),
        ("ENDPOINT", quoted(repository.endpoint.as_deref().unwrap_or_default())),
        ("REGION", quoted(repository.region.as_deref().unwrap_or("us-east-1"))),
        ("PLACE", quoted(&place)),
        ("REPOSITORY_ID", sheet.id.to_string()),
        ("PIN", sheet.version.to_string()),
        ("PIN_TIME", text::time(policy.time)),
        ("RECOVER_MD_SHA256", policy.settings.recover_md.to_string()),
        ("THRESHOLD", policy.threshold.to_string()),
        ("IAM_URL", quoted(iam.unwrap_or_default())),
        ("PIN_BYTES", BASE64.encode(&pins::bytes(sheet.envelope)?)),
    ];
    let mut page = String::new();
    for line in TEMPLATE.lines() {
        for line in lines(line, policy, is_bucket, iam.is_some()) {
            page.push_str(&filled(&line, &values));
            page.push('\n');
        }
    }
    Ok(page)
}

/// The lines that a line of the template becomes.
fn lines(line: &str, policy: &Policy, is_bucket: bool, has_iam: bool) -> Vec<String> {
    let each = |pairs: Vec<(&str, &str)>, rest: &str, name: &str| {
        let one = |(key, label): (&str, &str)| {
            rest.replace(name, key).replace("{{NAME}}", &comment(label)).trim_end().to_owned()
        };
        pairs.into_iter().map(one).collect::<Vec<_>>()
    };
    for (mark, kept) in [("{{S3}}", is_bucket), ("{{DIR}}", !is_bucket), ("{{IAM}}", has_iam)] {
        if let Some(rest) = line.strip_prefix(mark) {
            return if kept { vec![rest.to_owned()] } else { Vec::new() };
        }
    }
    if let Some(rest) = line.strip_prefix("{{EACH_COLLECTOR}}") {
        let active = policy.keys.iter().filter(|key| key.has(SigningRole::Collector) && key.until.is_none());
        return each(active.map(|key| (key.public_key.as_str(), key.name.as_str())).collect(), rest, "{{PUBLIC_KEY}}");
    }
    if let Some(rest) = line.strip_prefix("{{EACH_CUSTODIAN}}") {
        let custodians = policy.custodians.iter().map(|one| (one.public_key.as_str(), one.name.as_str()));
        return each(custodians.collect(), rest, "{{PUBLIC_KEY}}");
    }
    if let Some(rest) = line.strip_prefix("{{EACH_RECIPIENT}}") {
        let recipients = policy.recovery_recipients.iter().map(|one| (one.recipient.as_str(), one.name.as_str()));
        return each(recipients.collect(), rest, "{{RECIPIENT}}");
    }
    vec![line.to_owned()]
}

/// A line with its values: each `{{NAME}}` is replaced once, and what was put in is not looked at again.
fn filled(line: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        match after
            .split_once("}}")
            .and_then(|(name, after)| values.iter().find(|(known, _)| *known == name).map(|(_, value)| (value, after)))
        {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A text that stays in its comment.
fn comment(text: &str) -> String {
    text.replace(|c: char| c.is_control() || c == '{', "?")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::trust::kit;
    use crate::config::Layer;

    fn page(flags: &[(&str, &str, &str)]) -> String {
        let settings = Settings::build([Layer::flags(flags.iter().copied(), Path::new("/")).unwrap()]).unwrap();
        let (version, envelope) = kit::first();
        let policy = kit::first_policy();
        let sheet = Sheet {
            settings: &settings,
            id: RepositoryId(version.digest),
            version,
            policy: &policy,
            envelope: &envelope,
            made: "2026-11-22 14:00:00Z".to_owned(),
        };
        text(&sheet).unwrap()
    }

    const BUCKET: [(&str, &str, &str); 2] =
        [("repository.url", "", "s3://bucket/prefix"), ("repository.endpoint", "", "https://s3.example")];

    #[test]
    fn the_sheet_fits_a_page_and_names_what_is_needed() {
        let text = page(&BUCKET);
        assert!(text.lines().count() <= 70, "{} lines are more than a page", text.lines().count());
        assert!(!text.contains("{{"), "{text}");
        let (version, envelope) = kit::first();
        for needed in [
            "PLACE=s3://bucket/prefix",
            "ENDPOINT=https://s3.example",
            &version.to_string(),
            &BASE64.encode(&pins::bytes(&envelope).unwrap()),
            "age1a",
            "custodian 3",
            "RECOVER.md",
        ] {
            assert!(text.contains(needed), "{needed}");
        }
        assert!(!text.contains("IAM_URL"), "the provider's own needs no line");
    }

    #[test]
    fn a_directory_has_no_line_of_a_bucket_and_an_odd_name_stays_a_word() {
        let text = page(&[("repository.url", "", "/srv/it's here"), ("source.iam_url", "", "https://iam.example")]);
        assert!(text.contains(r"PLACE='/srv/it'\''s here'") && !text.contains("AWS_"), "{text}");
        assert!(text.contains("KEYHAVEN_STANDBY_IAM_URL=https://iam.example"));
        assert_eq!(filled("{{A}} {{B}} {{C", &[("A", "{{B}}".to_owned()), ("B", "b".to_owned())]), "{{B}} b {{C");
        assert_eq!(comment("a\n{{PIN}}"), "a???PIN}}");
    }
}
