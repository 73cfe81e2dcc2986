//! Decides whether the target may be written to. Pure.
//!
//! Restoring into the source by accident would rotate every live secret to the backed-up value. The source is
//! recognised by its instance id in any form of URL, by its full name in any row, and by any id that it shares with the
//! snapshot. An emptied source looks like an empty standby. Therefore the operator must confirm the id of a target that
//! shows none of these, and the first create response with a full name is checked before anything else is sent.

use crate::model::{FailureKind, ItemKey};
use crate::provider::{Address, InstanceInventory};

/// Facts about the target.
#[derive(Debug, Clone, Copy)]
pub struct TargetFacts<'a> {
    /// Its address.
    pub address: &'a Address,
    /// Full name, if its rows show it.
    pub full_name: Option<&'a str>,
    /// An item that it shares with the snapshot, if any. The group that every instance has does not count.
    pub shared: Option<&'a ItemKey>,
}

/// The operator's statements about the target.
#[derive(Debug, Clone, Default)]
pub struct Consent {
    /// The instance id that the target must have (`--confirm`).
    pub confirm: Option<String>,
    /// Id of the source, to allow restoring into it (`--into-source`).
    pub into_source: Option<String>,
}

/// Decision about the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The target is verified.
    Known,
    /// The target shows no identity yet. It must turn out to have this instance id. `None` if no id was given; then the
    /// target may only be read.
    Unproven(Option<String>),
}

/// Reason why the target must not be written to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The target is the backed-up instance.
    #[error(
        "the target is the source itself: {how}; nothing was changed. Give the URL of another instance, or name the \
         source by its id with --into-source {source_id}"
    )]
    IsSource {
        /// Evidence by which it was recognised.
        how: String,
        /// Instance id of the source.
        source_id: String,
    },
    /// The target is not the named instance.
    #[error("the target is instance {found} and not {named}; check the URL and the id given with --confirm")]
    Other {
        /// Instance id of the target.
        found: String,
        /// Instance id that was named.
        named: String,
    },
    /// The instance that is to sign is not the backed-up instance.
    #[error("{url} is not the plan's source {source_id}, so its signature would not be trusted; check source.url")]
    OtherSigner {
        /// Its URL.
        url: String,
        /// Instance id that it should have.
        source_id: String,
    },
    /// The target shows no identity, and no instance id was given.
    #[error(
        "the target {url} does not show which instance it is, and an emptied source would look the same; give the id of \
         the standby with --confirm INSTANCE-ID"
    )]
    Unconfirmed {
        /// Its URL.
        url: String,
    },
    /// No secret could be created in the target, so its identity was never shown.
    #[error(
        "no secret could be created in {url}, so it did not show which instance it is, and nothing else was written; see \
         what failed, then apply the same plan again"
    )]
    Unproven {
        /// Its URL.
        url: String,
    },
}

impl GuardError {
    /// Returns the kind of this failure.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Unconfirmed { .. } => FailureKind::Usage,
            Self::Unproven { .. } => FailureKind::Partial,
            Self::IsSource { .. } | Self::Other { .. } | Self::OtherSigner { .. } => FailureKind::Moved,
        }
    }
}

/// Decides whether the target may be written to; `source` is the full name of the instance that was backed up.
///
/// # Errors
/// If the target is the source without consent by id, or not the named instance.
pub fn decide(
    instance: &dyn InstanceInventory,
    source: &str,
    target: &TargetFacts<'_>,
    consent: &Consent,
) -> Result<Standing, GuardError> {
    let source_id = instance.instance_id(source).unwrap_or_else(|| source.to_ascii_lowercase());
    let found =
        target.full_name.and_then(|name| instance.instance_id(name)).or_else(|| target.address.instance.clone());
    let confirm = consent.confirm.as_ref().map(|id| id.to_ascii_lowercase());
    if let Some(how) = recognised(&source_id, source, target, found.as_deref(), confirm.as_deref()) {
        let by_name = consent.into_source.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(&source_id));
        return if by_name { Ok(Standing::Known) } else { Err(GuardError::IsSource { how, source_id }) };
    }
    match (found, confirm) {
        (Some(found), Some(named)) if found != named => Err(GuardError::Other { found, named }),
        (Some(_), _) => Ok(Standing::Known),
        (None, confirm) => Ok(Standing::Unproven(confirm)),
    }
}

/// Returns how the target was recognised as the source, if it was.
fn recognised(
    source_id: &str,
    source: &str,
    target: &TargetFacts<'_>,
    found: Option<&str>,
    confirm: Option<&str>,
) -> Option<String> {
    if found == Some(source_id) || target.full_name == Some(source) {
        return Some("its id is that of the source".to_owned());
    }
    if plain(&target.address.url).contains(source_id) {
        return Some("its URL holds the id of the source".to_owned());
    }
    if let Some(key) = target.shared {
        return Some(format!("it has {key}, which the snapshot has too"));
    }
    (confirm == Some(source_id)).then(|| "the id given with --confirm is that of the source".to_owned())
}

/// Returns a URL in lower case with all percent-encoded ASCII decoded, so that no spelling hides an id.
fn plain(url: &str) -> String {
    let bytes = url.as_bytes();
    let mut out = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = (byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let decoded =
            hex.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(char::from(decoded.unwrap_or(byte)).to_ascii_lowercase());
        at += if decoded.is_some() { 3 } else { 1 };
    }
    out
}

/// Checks the full name in the response to a create against the expected target.
///
/// # Errors
/// If the target is the source, or not the named instance.
pub fn check_answer(
    instance: &dyn InstanceInventory,
    source: &str,
    answer: &str,
    named: Option<&str>,
    consent: &Consent,
) -> Result<(), GuardError> {
    let address = Address { url: String::new(), instance: None };
    let target = TargetFacts { address: &address, full_name: Some(answer), shared: None };
    let named = Consent { confirm: named.map(Into::into).or(consent.confirm.clone()), ..consent.clone() };
    decide(instance, source, &target, &named).map(|_| ())
}

/// Checks, as far as its address shows, that the signing instance is the source of the plan: an authority of another
/// instance may have the same name.
///
/// # Errors
/// If its address shows another instance.
pub fn check_signer(instance: &dyn InstanceInventory, source: &str, signer: &Address) -> Result<(), GuardError> {
    match (instance.instance_id(source), &signer.instance) {
        (Some(source_id), Some(shown)) if source_id != *shown => {
            Err(GuardError::OtherSigner { url: signer.url.clone(), source_id })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::fake::FakeInstance;

    const SOURCE: &str = "fake:eu-de:6ebc4224-e983-496a-8a54-f40a0bfa9175";
    const SOURCE_ID: &str = "6ebc4224-e983-496a-8a54-f40a0bfa9175";
    const OTHER: &str = "fake:eu-gb:11111111-e983-496a-8a54-f40a0bfa9175";
    const OTHER_ID: &str = "11111111-e983-496a-8a54-f40a0bfa9175";

    fn ask(url: &str, full_name: Option<&str>, shared: bool, consent: &Consent) -> Result<Standing, GuardError> {
        let shared_key = "secret/1".parse().unwrap();
        let host = url.split("//").nth(1).unwrap_or_default();
        let label = host.split('.').next().unwrap_or_default();
        let address = Address { url: url.into(), instance: (label.len() == 36).then(|| label.to_ascii_lowercase()) };
        decide(
            &FakeInstance::new("any"),
            SOURCE,
            &TargetFacts { address: &address, full_name, shared: shared.then_some(&shared_key) },
            consent,
        )
    }

    #[test]
    fn only_the_source_signs_for_the_source() {
        let signer = |instance: Option<&str>| Address { url: "https://x".into(), instance: instance.map(Into::into) };
        assert_eq!(check_signer(&FakeInstance::new("any"), SOURCE, &signer(Some(SOURCE_ID))), Ok(()));
        assert_eq!(check_signer(&FakeInstance::new("any"), SOURCE, &signer(None)), Ok(()));
        let other = check_signer(&FakeInstance::new("any"), SOURCE, &signer(Some(OTHER_ID))).unwrap_err();
        assert!(other.kind() == FailureKind::Moved && other.to_string().contains(SOURCE_ID), "{other}");
    }

    fn confirm(id: &str) -> Consent {
        Consent { confirm: Some(id.into()), into_source: None }
    }

    #[test]
    fn the_source_is_recognised_in_every_way() {
        let urls = [
            format!("https://{SOURCE_ID}.eu-de.fake.example"),
            format!("https://{}.private.eu-de.fake.example", SOURCE_ID.to_uppercase()),
            format!("https://proxy.example/sm/{SOURCE_ID}/"),
            format!("https://proxy.example/?to=%36{}", &SOURCE_ID[1..]),
        ];
        for url in urls {
            let answer = ask(&url, None, false, &Consent::default());
            assert!(matches!(answer, Err(GuardError::IsSource { .. })), "{url}: {answer:?}");
        }
        let loopback = "http://127.0.0.1:1";
        assert!(matches!(ask(loopback, Some(SOURCE), false, &Consent::default()), Err(GuardError::IsSource { .. })));
        assert!(matches!(ask(loopback, None, true, &Consent::default()), Err(GuardError::IsSource { .. })));
        assert!(matches!(ask(loopback, None, true, &confirm(OTHER_ID)), Err(GuardError::IsSource { .. })));
        assert!(matches!(ask(loopback, None, false, &confirm(SOURCE_ID)), Err(GuardError::IsSource { .. })));
    }

    #[test]
    fn the_source_may_be_asked_for_by_name_only() {
        let consent = |id: &str| Consent { confirm: None, into_source: Some(id.into()) };
        assert_eq!(ask("http://127.0.0.1:1", Some(SOURCE), true, &consent(SOURCE_ID)), Ok(Standing::Known));
        assert!(ask("http://127.0.0.1:1", Some(SOURCE), true, &consent(OTHER_ID)).is_err());
    }

    #[test]
    fn another_instance_is_known_by_its_url_or_its_rows_else_it_has_to_be_named() {
        let url = format!("https://{OTHER_ID}.eu-gb.fake.example");
        assert_eq!(ask(&url, None, false, &Consent::default()), Ok(Standing::Known));
        assert_eq!(ask("http://127.0.0.1:1", Some(OTHER), false, &Consent::default()), Ok(Standing::Known));
        assert_eq!(ask("http://127.0.0.1:1", None, false, &Consent::default()), Ok(Standing::Unproven(None)));
        let named = Ok(Standing::Unproven(Some(OTHER_ID.into())));
        assert_eq!(ask("http://127.0.0.1:1", None, false, &confirm(OTHER_ID)), named);
        assert!(matches!(ask(&url, None, false, &confirm("22222222")), Err(GuardError::Other { .. })));
    }

    #[test]
    fn the_first_answer_tells() {
        let check = |answer, named| check_answer(&FakeInstance::new("any"), SOURCE, answer, named, &Consent::default());
        assert!(check(OTHER, Some(OTHER_ID)).is_ok());
        assert!(matches!(check(SOURCE, Some(OTHER_ID)), Err(GuardError::IsSource { .. })));
        assert!(matches!(check(OTHER, Some("22222222")), Err(GuardError::Other { .. })));
    }
}
