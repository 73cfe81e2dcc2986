//! The keys that the configuration names.

use super::failure::Failure;
use super::key_file;
use crate::config::Settings;
use crate::crypto::{Identities, SigningKey};
use crate::model::FailureKind;

/// The key that signs this host's entries.
pub(super) fn signing_key(settings: &Settings) -> Result<SigningKey, Failure> {
    let place = settings.keys().signing_key.as_ref().ok_or_else(|| missing_key("signing key", "keys.signing_key"))?;
    Ok(SigningKey::from_pem(&key_file::resolve(place, "signing key")?)?)
}

/// The identity that opens catalogues.
pub(super) fn catalogue_key(settings: &Settings) -> Result<Identities, Failure> {
    let place =
        settings.keys().catalogue_key.as_ref().ok_or_else(|| missing_key("catalogue key", "keys.catalogue_key"))?;
    Ok(Identities::parse(&key_file::resolve(place, "catalogue key")?)?)
}

fn missing_key(what: &str, key: &str) -> Failure {
    Failure::new(FailureKind::Key, format!("this needs the {what}, and none is named"))
        .hinted(format!("set {key} in the configuration; `keyhaven init` made it"))
}
