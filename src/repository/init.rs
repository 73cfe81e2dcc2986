//! Making a repository: the one place that writes version 1 of the trust policy.

use bytes::Bytes;

use super::write::write_confirmed;
use super::{Repository, RepositoryError, Store, marker};
use crate::format::envelope::Holds;
use crate::format::{Envelope, Policy, PolicyRef, RepositoryId, names};
use crate::model::limits;

/// A repository that was made.
#[derive(Debug, Clone)]
pub struct NewRepository {
    /// Its id.
    pub id: RepositoryId,
    /// The envelope of version 1 of the policy: what a pin keeps.
    pub policy: Bytes,
}

impl Repository {
    /// Refuses a place where a ledger or a policy is, whatever its state: a second version 1 would be a second
    /// repository.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] with the id of what is there; what the store answers.
    pub async fn check_free(store: &Store) -> Result<(), RepositoryError> {
        let (trust, ledger) = tokio::try_join!(store.list(names::TRUST), store.list(names::LEDGER))?;
        if trust.is_empty() && ledger.is_empty() {
            return Ok(());
        }
        let versions = trust.iter().filter_map(|object| names::parse_policy(&object.path));
        let ids = versions.filter(|found| found.version == 1).map(|found| RepositoryId(found.digest)).collect();
        Err(RepositoryError::Exists { place: store.place(), ids })
    }

    /// Creates a repository: `RECOVER.md`, then `keyhaven.json`, then version 1 of the trust policy, which is read
    /// back.
    ///
    /// Returns its id, which everything that reads it is given from now on. Version 1 is unsigned: its digest is all
    /// the trust that it needs. Interrupted before it was written, there is no repository and the same call works
    /// again.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] when one is there already, whatever its state; [`RepositoryError::NotPublished`] for
    /// a policy that could not have a successor; what the store answers.
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
