//! Pins of the trust policy: which versions this host relies on, from wherever they are kept.

use std::path::Path;

use bytes::Bytes;
use data_encoding::BASE64;

use super::app::read_public;
use super::failure::Failure;
use crate::config::Settings;
use crate::crypto::Identities;
use crate::format::envelope::Holds;
use crate::format::{Envelope, Policy, PolicyRef, RepositoryId};
use crate::model::FailureKind;
use crate::repository::StateDirectory;
use crate::repository::trust::Pin;

/// Reads a pin: a reference, or a reference, a space and the bytes of that version in Base64.
///
/// # Errors
/// Kind 2 when it is neither, or the bytes are another version.
pub(super) fn read(text: &str) -> Result<Pin, Failure> {
    let wrong = |problem: &str| {
        Failure::usage(format!("`{}` does not pin a version of the trust policy: {problem}", short(text))).hinted(
            "a pin is `000002-<digest>`, or that, a space and the version in Base64; `keyhaven trust show` prints it",
        )
    };
    let mut words = text.split_whitespace();
    let policy: PolicyRef = words.next().unwrap_or_default().parse().map_err(|_| wrong("it is no reference"))?;
    let bytes = match (words.next(), words.next()) {
        (None, _) => None,
        (Some(text), None) => {
            let bytes = BASE64.decode(text.as_bytes()).map_err(|_| wrong("its second word is no Base64"))?;
            let found = Policy::decode(&bytes).map_err(|error| wrong(&error.to_string()))?.0;
            if found != policy {
                return Err(wrong("its bytes are another version"));
            }
            Some(Bytes::from(bytes))
        }
        (Some(_), Some(_)) => return Err(wrong("it has more than two words")),
    };
    Ok(Pin { policy, bytes })
}

/// A pin with its bytes, as `read` takes it.
pub(super) fn line(policy: &PolicyRef, bytes: &[u8]) -> String {
    format!("{policy} {}", BASE64.encode(bytes))
}

/// The bytes of a version with its signatures, as a pin carries them.
///
/// # Errors
/// When the format does not allow them.
pub(super) fn bytes(envelope: &Envelope) -> Result<Bytes, Failure> {
    Ok(envelope.encode(Holds::Policy)?.into())
}

/// The pins of the configuration and of the recovery identity for one repository.
///
/// # Errors
/// Kind 2 when one of them is no pin.
pub(super) fn configured(
    settings: &Settings,
    recovery: Option<&Identities>,
    id: &RepositoryId,
) -> Result<Vec<Pin>, Failure> {
    let mut pins = settings.policy_pins().iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    pins.extend(of_identity(recovery, id)?);
    Ok(pins)
}

/// The pins of a recovery identity, which may serve several repositories, for one of them.
fn of_identity(recovery: Option<&Identities>, id: &RepositoryId) -> Result<Vec<Pin>, Failure> {
    let hints = recovery.map(Identities::policy_hints).unwrap_or_default();
    let mut pins = Vec::new();
    for hint in hints.iter().filter(|hint| hint.repository.is_none_or(|repository| repository == id.0)) {
        let pin = read(&hint.pin).map_err(|failure| failure.of("the recovery identity file"))?;
        pins.extend(Some(pin).filter(|pin| hint.repository.is_some() || belongs(pin, id)));
    }
    Ok(pins)
}

/// Returns true if the bytes of a pin, if there are any, are of this repository.
fn belongs(pin: &Pin, id: &RepositoryId) -> bool {
    let policy = pin.bytes.as_ref().and_then(|bytes| Policy::decode(bytes).ok()).map(|(_, policy, _)| policy);
    policy.is_none_or(|policy| policy.repository.unwrap_or(RepositoryId(pin.policy.digest)) == *id)
}

/// The pin that `--policy` names: a pin, or a file with one or with the version itself. Bytes that it lacks are taken
/// from the recovery identity and from what this host remembers.
///
/// # Errors
/// Kind 2 when it is neither; when this host's memory cannot be read.
pub(super) async fn chosen(
    settings: &Settings,
    recovery: Option<&Identities>,
    id: &RepositoryId,
    state: Option<&StateDirectory>,
) -> Result<Pin, Failure> {
    let texts = settings.policy_pins();
    let [text] = texts else { return Err(Failure::usage("--policy takes one version")) };
    let mut pin = match text.split_whitespace().next().unwrap_or_default().parse::<PolicyRef>() {
        Ok(_) => read(text)?,
        Err(_) => of_file(Path::new(text))?,
    };
    if pin.bytes.is_none() {
        let same = |kept: &Pin| kept.policy == pin.policy;
        let kept = of_identity(recovery, id)?.into_iter().find(|kept| same(kept) && kept.bytes.is_some());
        pin.bytes = kept.and_then(|kept| kept.bytes);
    }
    if let (None, Some(state)) = (&pin.bytes, state) {
        pin.bytes = remembered(state, &pin.policy).await?;
    }
    Ok(pin)
}

/// A file with a version of the policy, or with a pin.
fn of_file(path: &Path) -> Result<Pin, Failure> {
    let text = read_public(path, "policy").map_err(|failure| {
        failure.hinted("--policy takes a reference, `000002-<digest>`, or a file with the version")
    })?;
    match Policy::decode(text.trim_end().as_bytes()) {
        Ok((policy, ..)) => Ok(Pin { policy, bytes: Some(text.trim_end().to_owned().into()) }),
        Err(_) => read(text.trim()).map_err(|failure| failure.of(&path.display().to_string())),
    }
}

/// The bytes of a version, where this host kept them.
async fn remembered(state: &StateDirectory, wanted: &PolicyRef) -> Result<Option<Bytes>, Failure> {
    let known = state.policy().await.map_err(Failure::from)?;
    let kept = known.iter().flat_map(|known| &known.envelopes).filter_map(|text| BASE64.decode(text.as_bytes()).ok());
    let mut fitting = kept.filter(|bytes| Policy::decode(bytes).is_ok_and(|(found, ..)| found == *wanted));
    Ok(fitting.next().map(Bytes::from))
}

/// The repository that is meant: by the settings, else by the one comment line of the recovery identity.
///
/// # Errors
/// Kind 2 when none is named, or the settings name another than the identity does and `other` does not allow that.
pub(super) fn repository_id(
    configured: Option<&str>,
    recovery: Option<&Identities>,
    other: bool,
) -> Result<RepositoryId, Failure> {
    let configured = configured.map(str::parse::<RepositoryId>).transpose();
    let configured = configured.map_err(|error| Failure::from_error(FailureKind::Usage, error))?;
    let hints = recovery.map(Identities::repository_hints).unwrap_or_default();
    match (configured, hints) {
        (Some(id), []) => Ok(id),
        (Some(id), hints) if other || hints.contains(&id.0) => Ok(id),
        (Some(id), hints) => {
            let named: Vec<String> = hints.iter().map(ToString::to_string).collect();
            Err(Failure::usage(format!(
                "the repository id {id} is not the one that the recovery identity names: {}",
                named.join(", ")
            ))
            .hinted(
                "find out which is right: someone may have changed the id; --other-repository reads it all the same",
            ))
        }
        (None, [only]) => Ok(RepositoryId(*only)),
        (None, []) => Err(Failure::from(Settings::missing("repository.id")).hinted(
            "`init` printed the id; it is on the recovery sheet, and may be in the recovery identity file as a line \
             `# keyhaven repository: <id>`",
        )),
        (None, _) => {
            Err(Failure::usage("the recovery identity names several repositories")
                .hinted("choose one: --repository-id ID"))
        }
    }
}

/// A text that may be long, for a message.
fn short(text: &str) -> String {
    match text.char_indices().nth(24) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::kit;

    #[test]
    fn a_pin_is_a_reference_with_or_without_its_bytes() {
        let (policy, envelope) = kit::first();
        let bytes = bytes(&envelope).unwrap();
        assert_eq!(read(&policy.to_string()).unwrap(), Pin { policy, bytes: None });
        assert_eq!(read(&line(&policy, &bytes)).unwrap(), Pin { policy, bytes: Some(bytes.clone()) });
        let other = PolicyRef { version: 2, digest: policy.digest };
        for wrong in ["", "000002", &line(&other, &bytes), &format!("{policy} AAA"), &format!("{policy} AAAA x")] {
            assert_eq!(read(wrong).unwrap_err().kind(), FailureKind::Usage, "{wrong}");
        }
    }

    #[test]
    fn an_id_that_the_identity_does_not_name_is_refused_unless_asked_for() {
        let (_, secret) = Identities::generate();
        let (one, two) = ("a".repeat(64), "b".repeat(64));
        let pinned = Identities::parse(&format!("# keyhaven repository: {one}\n{}", *secret)).unwrap();
        let bare = Identities::parse(&secret).unwrap();
        let id = |configured: Option<&str>, identity, other| {
            repository_id(configured, identity, other).map(|id| id.to_string())
        };
        assert_eq!(id(None, Some(&pinned), false).unwrap(), one);
        assert_eq!(id(Some(&one), Some(&pinned), false).unwrap(), one);
        assert_eq!(id(Some(&two), Some(&bare), false).unwrap(), two);
        assert_eq!(id(Some(&two), Some(&pinned), true).unwrap(), two);
        let refused = id(Some(&two), Some(&pinned), false).unwrap_err();
        let text = refused.chain().join(" ");
        assert!(refused.kind() == FailureKind::Usage && text.contains(&one) && text.contains(&two), "{text}");
        assert!(id(None, Some(&bare), false).is_err());
    }

    #[test]
    fn pins_of_an_identity_are_those_of_its_repository() {
        let (policy, envelope) = kit::first();
        let id = RepositoryId(policy.digest);
        let pin = line(&policy, &bytes(&envelope).unwrap());
        let (_, secret) = Identities::generate();
        let identity = |comments: &str| Identities::parse(&format!("{comments}{}", *secret)).unwrap();
        let of = |comments: &str| of_identity(Some(&identity(comments)), &id).unwrap().len();
        let other = "c".repeat(64);
        assert_eq!(of(&format!("# keyhaven policy: {pin}\n")), 1);
        assert_eq!(of(&format!("# keyhaven repository: {id}\n# keyhaven policy: {policy}\n")), 1);
        assert_eq!(of(&format!("# keyhaven repository: {other}\n# keyhaven policy: {policy}\n")), 0);
    }
}
