//! Settings into working things: the one place where the library is put together.

use std::path::Path;
use std::sync::Arc;

use super::app::{self, App};
use super::clock::SystemClock;
use super::failure::Failure;
use super::{configured_keys, key_file, pins, scheduled};
use crate::config::sections::{Addressing, Checksum};
use crate::config::{self, Location, Settings};
use crate::crypto::{Identities, SigningKey};
use crate::format::RepositoryId;
use crate::job::status::Objectives;
use crate::model::FailureKind;
use crate::provider::ibm;
use crate::repository::store::{ChecksumHeader, S3Settings};
use crate::repository::{EntryWriter, Repository, RepositoryError, StateDirectory, Store, StoreError};

/// The largest CA file that is read.
const LARGEST_CA: u64 = 4 * 1024 * 1024;

/// The store that the settings name; nothing is asked of it yet.
pub(super) fn store(repository: &config::Repository) -> Result<Store, Failure> {
    match &repository.location {
        Location::Folder(folder) => Ok(Store::local(folder)),
        Location::Bucket { bucket, prefix } => {
            let endpoint = repository.endpoint.as_deref().unwrap_or_default();
            let region = repository.region.as_deref().unwrap_or("us-east-1");
            let (Some(id), Some(secret)) = (&repository.access_key_id, &repository.secret_access_key) else {
                return Err(Failure::new(
                    FailureKind::Key,
                    "the bucket needs an HMAC key, and its two halves are not named",
                )
                .hinted(
                    "set repository.access_key_id and repository.secret_access_key to \"file:PATH\", \"env:NAME\" or \"credential:NAME\"",
                ));
            };
            let id = secrecy::ExposeSecret::expose_secret(&key_file::resolve_line(id, "access key id")?).to_owned();
            let secret = key_file::resolve_line(secret, "secret access key")?;
            let mut settings = S3Settings::new(endpoint, region, bucket, &id, secret);
            settings.prefix.clone_from(prefix);
            settings.virtual_hosted = repository.addressing == Addressing::VirtualHost;
            settings.checksum = match repository.checksum {
                Checksum::Sha256 => ChecksumHeader::Sha256,
                Checksum::Md5 => ChecksumHeader::Md5,
                Checksum::None => ChecksumHeader::None,
            };
            settings.ca_pem = repository.ca_file.as_deref().map(read_ca).transpose()?;
            Ok(Store::s3(&settings)?)
        }
    }
}

/// Opens the repository that the settings name, else the one comment line in a recovery identity file, with the pins of
/// both and what this host remembers.
pub(super) async fn repository(settings: &Settings, recovery: Option<&Identities>) -> Result<Repository, Failure> {
    repository_with(settings, recovery, false).await
}

/// As [`repository`]; `other` allows an id that the recovery identity does not name.
pub(super) async fn repository_with(
    settings: &Settings,
    recovery: Option<&Identities>,
    other: bool,
) -> Result<Repository, Failure> {
    let repository = settings.repository()?;
    let store = store(&repository)?;
    let id = pins::repository_id(repository.id.as_deref(), recovery, other)?;
    let state = app::state_folder(settings).map(|folder| StateDirectory::new(&folder, &id.to_string()));
    // What was chosen for one command is neither measured by what this host remembers nor remembered.
    let (pins, state) = match settings.is_policy_chosen() {
        true => (vec![pins::chosen(settings, recovery, &id, state.as_ref()).await?], None),
        false => (pins::configured(settings, recovery, &id)?, state),
    };
    let cache = cache(settings, &repository.location, &id);
    let mut opened = Repository::open_pinned(store, id, pins).await.map_err(unopened)?;
    if let Some(folder) = cache {
        opened = opened.cached_in(&folder);
    }
    if settings.is_policy_chosen() {
        opened = opened.choosing_policy();
    }
    if let Some(state) = state {
        opened = opened.remembered_in(state);
    }
    Ok(opened)
}

/// Explains why a repository cannot be opened. A store that compares clocks refuses every request, whatever the
/// credentials.
fn unopened(error: RepositoryError) -> Failure {
    let skewed = matches!(error, RepositoryError::Store(StoreError::Clock { .. }));
    let failure = Failure::from(error);
    if skewed { failure.hinted("set this host's clock (`timedatectl set-ntp true`)") } else { failure }
}

/// Returns the cache for entries read from a bucket. A local directory needs none: reading it is as fast as reading a
/// copy.
fn cache(settings: &Settings, location: &Location, id: &RepositoryId) -> Option<StateDirectory> {
    match location {
        Location::Bucket { .. } => Some(StateDirectory::new(&app::state_folder(settings)?, &id.to_string())),
        Location::Folder(_) => None,
    }
}

/// A client of the source.
pub(super) fn source(settings: &Settings) -> Result<ibm::Client, Failure> {
    client(&settings.source()?, "API key of the source")
}

/// A client of the standby.
pub(super) fn standby(settings: &Settings) -> Result<ibm::Client, Failure> {
    client(&settings.standby()?, "API key of the standby")
}

/// A client of the source whose authorities sign those of the standby.
pub(super) fn signer(settings: &Settings) -> Result<ibm::Client, Failure> {
    client(&settings.signer()?, "API key of the source for signing")
}

fn client(instance: &config::InstanceSettings, what: &str) -> Result<ibm::Client, Failure> {
    let api_key = key_file::resolve_line(&instance.api_key, what)?;
    let mut client = ibm::ClientSettings::new(&instance.url, &instance.iam_url, api_key);
    client.ca_pem = instance.ca_file.as_deref().map(read_ca).transpose()?;
    client.requests_per_second = instance.requests_per_second;
    client.read_unknown_types.clone_from(&instance.read_types);
    Ok(ibm::Client::new(client)?)
}

/// The key that opens catalogues here: the recovery identity when there is one, else the catalogue key.
pub(super) fn reader(settings: &Settings, recovery: Option<Identities>) -> Result<Arc<Identities>, Failure> {
    match recovery {
        Some(identities) => Ok(Arc::new(identities)),
        None => Ok(Arc::new(configured_keys::catalogue_key(settings)?)),
    }
}

/// Returns the objectives of the backups.
pub(super) fn objectives(settings: &Settings) -> Objectives {
    let wanted = settings.objectives();
    let duration = |period: Option<config::value::Period>| period.map(|period| period.0);
    Objectives { rpo: duration(wanted.rpo), verified_within: duration(wanted.verified_within) }
}

/// Returns this host's writer: its signing key and its state directory.
pub(super) fn writer(app: &App, settings: &Settings, id: &RepositoryId) -> Result<EntryWriter, Failure> {
    writer_with(configured_keys::signing_key(settings)?, app, settings, id)
}

/// As [`writer`], with a key that is not this host's own.
pub(super) fn writer_with(
    key: SigningKey,
    app: &App,
    settings: &Settings,
    id: &RepositoryId,
) -> Result<EntryWriter, Failure> {
    let folder = app.state_folder(settings)?;
    key_file::create_folder(&folder)?;
    Ok(EntryWriter {
        key: Arc::new(key),
        state: StateDirectory::new(&folder, &id.to_string()),
        clock: Arc::new(SystemClock),
        due: scheduled::due()?,
    })
}

#[expect(clippy::disallowed_methods, reason = "a public file named in the configuration, at the edge")]
pub(super) fn read_ca(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::usage(format!("cannot read the CA file {}", path.display())).because(error);
    let about = std::fs::metadata(path).map_err(failed)?;
    if !about.is_file() || about.len() > LARGEST_CA {
        return Err(Failure::usage(format!("{} is no plain file, or larger than a CA file can be", path.display())));
    }
    std::fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_bucket_are_kept_in_the_state_folder_and_those_of_a_folder_are_not() {
        let here = Path::new("/srv");
        let flags = [("state_dir", "--state-dir", "state")];
        let settings = Settings::build([config::Layer::flags(flags, here).unwrap()]).unwrap();
        let id = RepositoryId(crate::crypto::digest::sha256(b"an entry"));
        let bucket = Location::Bucket { bucket: "backups".to_owned(), prefix: String::new() };
        let kept = cache(&settings, &bucket, &id).unwrap();
        assert_eq!(kept.path(), here.join("state").join(id.to_string()));
        assert!(cache(&settings, &Location::Folder("/mnt/backups".into()), &id).is_none());
    }
}
