//! Creates a repository: the only place that writes version 1 of the trust policy.

use bytes::Bytes;

use super::write::write_confirmed;
use super::{Repository, RepositoryError, Store, marker};
use crate::format::envelope::Holds;
use crate::format::{Envelope, Policy, PolicyRef, RepositoryId, names};
use crate::model::limits;

/// A newly created repository.
#[derive(Debug, Clone)]
pub struct NewRepository {
    /// Its id.
    pub id: RepositoryId,
    /// The envelope of version 1 of the policy, to be pinned.
    pub policy: Bytes,
}

impl Repository {
    /// Checks that a place has no ledger and no policy, in whatever state. A second version 1 would be a second
    /// repository.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] with the ids found; errors of the store.
    pub async fn check_free(store: &Store) -> Result<(), RepositoryError> {
        let (trust, ledger) = tokio::try_join!(store.list(names::TRUST), store.list(names::LEDGER))?;
        if trust.is_empty() && ledger.is_empty() {
            return Ok(());
        }
        let versions = trust.iter().filter_map(|object| names::parse_policy(&object.path));
        let ids = versions.filter(|found| found.version == 1).map(|found| RepositoryId(found.digest)).collect();
        Err(RepositoryError::Exists { place: store.place(), ids })
    }

    /// Creates a repository: writes `RECOVER.md`, then `keyhaven.json`, then version 1 of the trust policy, which is
    /// read back.
    ///
    /// Returns the id that every reader of the repository needs. Version 1 is unsigned, because its digest is the root
    /// of trust. If interrupted before it is written, there is no repository, and the same call works again.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] if there is a repository already, in whatever state;
    /// [`RepositoryError::NotPublished`] for a policy that could not have a successor; errors of the store.
    pub async fn init(store: Store, recover_md: Bytes, policy: &Policy) -> Result<NewRepository, RepositoryError> {
        Self::check_free(&store).await?;
        super::trust::check_alone(policy).map_err(|why| RepositoryError::NotPublished { why: why.to_string() })?;
        let failed = |source| RepositoryError::Write { what: "write version 1 of the trust policy".to_owned(), source };
        let envelope = Envelope::unsigned(policy.payload().map_err(failed)?);
        let bytes: Bytes = envelope.encode(Holds::Policy).map_err(failed)?.into();
        let version = PolicyRef { version: 1, digest: envelope.digest() };
        let id = RepositoryId(version.digest);
        let marker = marker::write(id, policy).map_err(failed)?;
        store.put(names::RECOVER_MD, recover_md).await?;
        store.put(names::KEYHAVEN_JSON, marker.into()).await?;
        write_confirmed(&store, &names::policy(&version), bytes.clone(), limits::POLICY).await?;
        Ok(NewRepository { id, policy: bytes })
    }
}
