//! Comment lines of a recovery identity file that name a repository and a version of its trust policy.

use std::path::Path;

use zeroize::Zeroizing;

use super::failure::Failure;
use super::identity::Opened;
use super::key_file;
use crate::crypto::Identities;
use crate::format::{PolicyRef, RepositoryId};
use crate::model::FailureKind;

/// Writes the lines into the file. Returns true if they were not there yet.
///
/// # Errors
/// Kind 2 when the file pins a newer version; when the new file would not open as the old one, or cannot be written.
pub(super) fn write(
    path: &Path,
    id: &RepositoryId,
    pin: Option<(PolicyRef, &str)>,
    opened: &Opened,
) -> Result<bool, Failure> {
    let before = Identities::parse(&opened.text)?;
    let Some(text) = pinned(&opened.text, &before, id, pin)? else { return Ok(false) };
    let bytes = match &opened.passphrase {
        Some(passphrase) => Identities::encrypt_file(&text, passphrase)?,
        None => text.as_bytes().to_vec(),
    };
    let bytes = Zeroizing::new(bytes);
    // The only copy of a key is replaced: first see that what replaces it opens as before.
    let after = match &opened.passphrase {
        Some(passphrase) => Identities::decrypt_file(&bytes, passphrase)?,
        None => Identities::parse(&text)?,
    };
    if after.recipients() != before.recipients() {
        return Err(Failure::new(
            FailureKind::Failed,
            "the new identity file would not open as the old one; left as it was",
        ));
    }
    key_file::replace(path, &bytes)?;
    Ok(true)
}

/// The text with the lines; `None` when it has them. Pins of earlier versions of this repository's policy are replaced.
fn pinned(
    text: &str,
    identities: &Identities,
    id: &RepositoryId,
    pin: Option<(PolicyRef, &str)>,
) -> Result<Option<Zeroizing<String>>, Failure> {
    let named = identities.repository_hints().contains(&id.0);
    let own = identities.policy_hints().iter().filter(|hint| hint.repository == Some(id.0));
    let kept: Vec<&str> = own.map(|hint| hint.pin.as_str()).collect();
    if named && pin.is_none_or(|(_, line)| kept == [line]) {
        return Ok(None);
    }
    if let Some((version, _)) = pin {
        let references = kept.iter().filter_map(|kept| kept.split_whitespace().next()?.parse::<PolicyRef>().ok());
        if let Some(newer) = references.filter(|kept| kept.version > version.version).max() {
            return Err(Failure::usage(format!(
                "the file pins {newer}, which is newer than {version}; left as it was"
            ))
            .hinted("the bucket may have been put back to an earlier state: `keyhaven verify`"));
        }
    }
    let repository_line = format!("# keyhaven repository: {id}\n");
    let pin_line = pin.map(|(_, line)| format!("# keyhaven policy: {line}\n")).unwrap_or_default();
    // The exact capacity at most: a text that grows leaves copies of itself behind.
    let mut after = Zeroizing::new(String::with_capacity(text.len() + repository_line.len() + pin_line.len() + 1));
    if !named {
        after.push_str(&repository_line);
        after.push_str(&pin_line);
    }
    let mut inside = false;
    let mut written = !named;
    for line in text.lines() {
        let comment = line.trim().strip_prefix('#').map(str::trim).unwrap_or_default();
        let is_pin = comment.starts_with("keyhaven policy:");
        if let Some(of) = comment.strip_prefix("keyhaven repository:") {
            inside = of.trim() == id.to_string();
        }
        if is_pin && inside && pin.is_some() {
            continue;
        }
        after.push_str(line);
        after.push('\n');
        if inside && !written {
            after.push_str(&pin_line);
            written = true;
        }
    }
    Ok(Some(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64) -> PolicyRef {
        PolicyRef { version: number, digest: crate::crypto::digest::sha256(b"x") }
    }

    #[test]
    fn lines_are_added_once_and_pins_replaced() {
        let (_, secret) = Identities::generate();
        let id = RepositoryId(crate::crypto::digest::sha256(b"policy"));
        let pinned = |text: &str, pin: Option<(PolicyRef, &str)>| {
            pinned(text, &Identities::parse(text).unwrap(), &id, pin).map(|text| text.map(|text| text.to_string()))
        };
        let first = pinned(&secret, None).unwrap().unwrap();
        assert!(first.starts_with(&format!("# keyhaven repository: {id}\n# recipient")), "{first}");
        assert_eq!(pinned(&first, None).unwrap(), None);
        let one = version(1).to_string();
        let second = pinned(&first, Some((version(1), &one))).unwrap().unwrap();
        assert!(
            second.starts_with(&format!("# keyhaven repository: {id}\n# keyhaven policy: {one}\n# recipient")),
            "{second}"
        );
        assert_eq!(pinned(&second, Some((version(1), &one))).unwrap(), None);
        let two = format!("{} AAAA", version(2));
        let third = pinned(&second, Some((version(2), &two))).unwrap().unwrap();
        assert!(third.contains(&two) && !third.contains(&one), "{third}");
        assert!(pinned(&third, Some((version(1), &one))).is_err(), "an earlier version");
        assert_eq!(pinned(&third, None).unwrap(), None);
    }
}
