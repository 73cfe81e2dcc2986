//! Age identities, from the files that hold them.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::{key_file, prompt, services};
use crate::config::Settings;
use crate::crypto::{CryptoError, Identities, SigningKey};
use crate::model::FailureKind;
use crate::repository::Repository;

/// Arguments of every command that opens packs.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct RecoveryArguments {
    /// The recovery identity (an age identity file, protected by a passphrase or not); once for each, where older
    /// snapshots are sealed to others [default: keys.recovery_identity_file]
    #[arg(short, long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// A file with the passphrase of the identity, instead of asking
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// Read a repository that the recovery identity does not name
    #[arg(long)]
    other_repository: bool,
}

impl RecoveryArguments {
    /// Opens the repository that the settings or `recovery` name.
    ///
    /// # Errors
    /// As [`services::repository_with`].
    pub(super) async fn open(&self, settings: &Settings, recovery: Option<&Identities>) -> Result<Repository, Failure> {
        services::repository_with(settings, recovery, self.other_repository).await
    }

    /// The identities of the file that is named here or in the configuration; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or opened.
    pub(super) async fn load(&self, settings: &Settings) -> Result<Option<Identities>, Failure> {
        let mut paths = self.identity.clone();
        if paths.is_empty() {
            paths.extend(settings.keys().recovery_identity_file.as_ref().map(|file| file.0.clone()));
        }
        let passphrase_file = self.passphrase_file.clone();
        let loading = tokio::task::spawn_blocking(move || load(&paths, passphrase_file.as_deref()));
        match loading.await {
            Ok(identities) => identities,
            Err(error) => Err(Failure::new(FailureKind::Failed, "cannot read the identity file").because(error)),
        }
    }

    /// As [`RecoveryArguments::load`], for a command that cannot do without.
    ///
    /// # Errors
    /// Kind 12 when none is named, and all of [`RecoveryArguments::load`].
    pub(super) async fn needed(&self, settings: &Settings) -> Result<Identities, Failure> {
        self.load(settings).await?.ok_or_else(|| {
            Failure::new(FailureKind::Key, "packs open only with a recovery identity, and none is named")
                .hinted("give it: --identity FILE, or keys.recovery_identity_file in the configuration")
        })
    }
}

/// A file that may be protected, opened.
pub(super) struct Opened {
    /// Its text.
    pub(super) text: Zeroizing<String>,
    /// The passphrase that it is protected with; `None` when it is not.
    pub(super) passphrase: Option<SecretString>,
}

/// Reads identity files; asks for the passphrase of each that has one. `None` without a file. Blocks.
fn load(paths: &[PathBuf], passphrase_file: Option<&Path>) -> Result<Option<Identities>, Failure> {
    let mut all: Option<Identities> = None;
    for path in paths {
        let found = Identities::parse(&open(path, passphrase_file)?.text).map_err(|error| named(error, path))?;
        all = Some(match all {
            Some(all) => all.with(found),
            None => found,
        });
    }
    Ok(all)
}

fn named(error: CryptoError, path: &Path) -> Failure {
    Failure::from(error).hinted(format!("the file is {}", path.display()))
}

/// Reads a file with a secret in it, protected with age or not; asks for its passphrase when it has one. Blocks.
///
/// # Errors
/// When it cannot be read or opened, or others can read it.
pub(super) fn open(path: &Path, passphrase_file: Option<&Path>) -> Result<Opened, Failure> {
    let what = "key file";
    let bytes = key_file::read_unless(path, what, Identities::is_encrypted)?;
    if Identities::is_encrypted(&bytes) {
        let passphrase = match passphrase_file {
            Some(file) => passphrase_from(file)?,
            None => prompt::passphrase(&format!("Passphrase of {}", path.display()))?,
        };
        let text = Identities::decrypt_text(&bytes, &passphrase).map_err(|error| named(error, path))?;
        return Ok(Opened { text, passphrase: Some(passphrase) });
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::new(FailureKind::Key, format!("the {what} {} is no text", path.display())))?;
    Ok(Opened { text: Zeroizing::new(text.to_owned()), passphrase: None })
}

/// The first line of a file, as a passphrase.
///
/// # Errors
/// As [`key_file::read_text`], and kind 2 when the line is empty.
pub(super) fn passphrase_from(file: &Path) -> Result<SecretString, Failure> {
    let text: Zeroizing<String> = key_file::read_text(file, "passphrase file")?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(SecretString::from(line)),
        _ => Err(Failure::usage(format!("the first line of {} is empty: no passphrase", file.display()))),
    }
}

/// Reads a signing key that is not this host's own: PEM, or PEM protected by a passphrase with age.
///
/// # Errors
/// When the file cannot be read or opened, or holds no Ed25519 key.
pub(super) async fn signing_key(path: PathBuf, passphrase_file: Option<PathBuf>) -> Result<SigningKey, Failure> {
    let reading = tokio::task::spawn_blocking(move || {
        let opened = open(&path, passphrase_file.as_deref())?;
        SigningKey::from_pem(&opened.text).map_err(|error| named(error, &path))
    });
    match reading.await {
        Ok(key) => key,
        Err(error) => Err(Failure::new(FailureKind::Failed, "cannot read the signing key").because(error)),
    }
}
