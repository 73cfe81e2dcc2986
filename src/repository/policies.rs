//! Reads and publishes the trust policy in the store.

use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ledger::{Ledger, Rubbish};
use super::open::SMALL_IN_FLIGHT;
use super::put_back::PutBack;
use super::store::{Listing, ObjectVersion};
use super::trust::{Pin, PolicyPool, Trust};
use super::write::write_confirmed;
use super::{KnownPolicy, Repository, RepositoryError, StoreError};
use crate::format::envelope::Holds;
use crate::format::{Envelope, FormatError, Policy, PolicyRef, names};
use crate::model::limits;

/// Maximum number of files of `trust/` that are read, besides version 1 and the pins: one may have half a MiB and name
/// thousands of others. Each key's first entry under a version carries it, too, so a flood of files cannot hide a used
/// version.
const READ: usize = 2_000;

/// Description of a pipe, a device, a directory or a link in place of a file.
pub(super) const NO_FILE: &str = "no plain file, never opened";

/// Content of `trust/`.
#[derive(Debug, Default)]
pub(super) struct StoredPolicies {
    pub(super) pool: PolicyPool,
    /// Content of older versions of its files.
    pub(super) older: PolicyPool,
    pub(super) rubbish: Rubbish,
}

impl StoredPolicies {
    pub(super) fn is_empty(&self) -> bool {
        self.pool.is_empty() && self.older.is_empty()
    }
}

impl Repository {
    /// Lists and reads `trust/`, including older versions of its files: their good signatures are valid, too.
    pub(super) async fn read_policies(&self) -> Result<StoredPolicies, RepositoryError> {
        let mut stored = StoredPolicies::default();
        let mut wanted = Vec::new();
        let Listing { current, older } = self.store().list_with_older(names::TRUST).await?;
        self.read_older_policies(older, &mut stored).await?;
        for object in current {
            match names::parse_policy(&object.path) {
                None => stored.rubbish.add(object.path, "no version of the trust policy has such a name".to_owned()),
                Some(_) if object.size > limits::POLICY as u64 => {
                    stored.rubbish.add(object.path, "larger than a trust policy can be".to_owned());
                }
                Some(version) if wanted.len() >= READ && !self.is_pin(&version) => {
                    stored.rubbish.add_unread(object.path);
                }
                Some(version) => wanted.push((version, object.size)),
            }
        }
        for odd in self.store().odd(names::TRUST).await? {
            stored.rubbish.add(odd.path, NO_FILE.to_owned());
        }
        let fetching = stream::iter(wanted).map(|(version, size)| async move {
            let fits = |bytes: &[u8]| bytes.len() as u64 == size;
            match self.store().get_fitting(&names::policy(&version), limits::POLICY, fits).await {
                Ok(bytes) => Ok(Some((version, Some(bytes)))),
                Err(StoreError::NotFound { .. }) => Ok(None),
                Err(StoreError::TooLarge { .. } | StoreError::Denied { .. }) => Ok(Some((version, None))),
                Err(error) => Err(RepositoryError::from(error)),
            }
        });
        let mut fetching = fetching.buffered(SMALL_IN_FLIGHT);
        while let Some(read) = fetching.try_next().await? {
            let Some((version, bytes)) = read else { continue };
            if let Err(why) = self.take(&mut stored.pool, version, bytes.as_deref()) {
                stored.rubbish.add(names::policy(&version), why);
            }
        }
        Ok(stored)
    }

    async fn read_older_policies(
        &self,
        older: Vec<ObjectVersion>,
        stored: &mut StoredPolicies,
    ) -> Result<(), RepositoryError> {
        let named = older.into_iter().filter_map(|version| Some((names::parse_policy(&version.object.path)?, version)));
        let small = named.filter(|(_, version)| version.object.size <= limits::POLICY as u64);
        let reading = stream::iter(small.take(READ)).map(|(policy, version)| async move {
            match self.store().get_version(&version, limits::POLICY).await {
                Ok(bytes) => Ok(Some((policy, bytes))),
                Err(error @ StoreError::Unreachable { .. }) => Err(RepositoryError::from(error)),
                // Deleted meanwhile, archived, or not readable: continue without it.
                Err(_) => Ok(None),
            }
        });
        let mut reading = reading.buffered(SMALL_IN_FLIGHT);
        while let Some(read) = reading.try_next().await? {
            if let Some((policy, bytes)) = read {
                drop(self.take(&mut stored.older, policy, Some(&bytes)));
            }
        }
        Ok(())
    }

    fn is_pin(&self, version: &PolicyRef) -> bool {
        *version == PolicyRef { version: 1, digest: self.id().0 }
            || self.inner.pins.iter().any(|pin| pin.policy == *version)
    }

    fn take(&self, pool: &mut PolicyPool, version: PolicyRef, bytes: Option<&[u8]>) -> Result<(), String> {
        let bytes = bytes.ok_or("it cannot be read")?;
        let (found, policy, envelope) = Policy::decode(bytes).map_err(|error| error.to_string())?;
        if found != version {
            return Err("its name is not its number and the digest of its payload".to_owned());
        }
        let first = PolicyRef { version: 1, digest: self.id().0 };
        if policy.repository.map_or(found != first, |repository| repository != *self.id()) {
            return Err("it belongs to another repository".to_owned());
        }
        pool.add_read(found, policy, envelope);
        Ok(())
    }

    /// Returns the pins of this host: the configured ones, and the version in force that it saw last, unless one was
    /// chosen.
    pub(super) async fn pins(&self) -> Result<(Vec<Pin>, PolicyPool), RepositoryError> {
        let mut pins = self.inner.pins.clone();
        let mut pool = PolicyPool::default();
        let known = match &self.state {
            Some(state) if !self.policy_chosen => state.policy().await?,
            _ => None,
        };
        if let Some(known) = known {
            for bytes in known.envelopes.iter().filter_map(|text| BASE64.decode(text.as_bytes()).ok()) {
                // Stored policies that cannot be read are ignored.
                drop(pool.add(&bytes));
            }
            pins.push(Pin { policy: known.policy, bytes: None });
        }
        Ok((pins, pool))
    }

    /// Judges the policy from all versions found.
    pub(super) fn judge(&self, pool: PolicyPool, pins: &[Pin], stored: &PolicyPool) -> Result<Trust, RepositoryError> {
        let is_first_missing = pool.get(&PolicyRef { version: 1, digest: self.id().0 }).is_none();
        Trust::judge(*self.id(), pool, pins).map_err(|error| {
            let found = stored.iter().filter(|(version, _)| version.version == 1);
            match error {
                super::trust::PinError::Missing { pin } if pin.version == 1 && is_first_missing => {
                    let found = found.map(|(version, _)| crate::format::RepositoryId(version.digest)).collect();
                    RepositoryError::OtherRepository { place: self.store().place(), id: *self.id(), found }
                }
                error => error.into(),
            }
        })
    }

    /// Reads the policy from `trust/`, from entries, and from this host's state.
    ///
    /// # Errors
    /// As [`Repository::read_ledger`].
    pub async fn read_trust(&self) -> Result<Trust, RepositoryError> {
        Ok(self.read_ledger().await?.trust().clone())
    }

    /// Publishes a version of the policy and confirms it by reading it back.
    ///
    /// # Errors
    /// As [`Repository::publish_knowing`].
    pub async fn publish(&self, ledger: &Ledger, envelope: &Envelope) -> Result<PolicyRef, RepositoryError> {
        Ok(self.publish_knowing(ledger, envelope, &PolicyPool::default()).await?.0)
    }

    /// As [`Repository::publish`], but also uses versions that came with the proposal. First puts back earlier versions
    /// that the store lacks; otherwise other readers would judge it by an older version.
    ///
    /// # Errors
    /// [`RepositoryError::NotPublished`] if the version would not be in force with this ledger; errors of the store.
    pub async fn publish_knowing(
        &self,
        ledger: &Ledger,
        envelope: &Envelope,
        known: &PolicyPool,
    ) -> Result<(PolicyRef, PutBack), RepositoryError> {
        let not_published = |why: String| RepositoryError::NotPublished { why };
        let policy = Policy::read(&envelope.payload).map_err(|error| not_published(error.to_string()))?;
        let version = PolicyRef { version: policy.version, digest: envelope.digest() };
        let mut pool = ledger.trust().pool().clone();
        pool.extend(known.clone());
        pool.add_read(version, policy, envelope.clone());
        let pin = Pin { policy: ledger.trust().pinned(), bytes: None };
        let after = Trust::judge(*self.id(), pool, &[pin])?;
        if let Some((_, why)) = after.misfits().iter().find(|(misfit, _)| *misfit == version) {
            return Err(not_published(why.to_string()));
        }
        let in_force: Vec<PolicyRef> = after.branches().map(|(version, _)| version).collect();
        if in_force != [version] {
            let why = "another version is in force that it does not name: propose it again upon that one";
            return Err(not_published(why.to_owned()));
        }
        let put_back = self.put_back_chain(&after, version).await?;
        let envelope = after.envelope(&version).unwrap_or(envelope);
        let bytes = encode(&after.good(envelope))?;
        write_confirmed(self.store(), &names::policy(&version), bytes, limits::POLICY).await?;
        Ok((version, put_back))
    }

    /// Returns the chain in force, for this host to remember.
    pub(super) fn known_policy(ledger: &Ledger) -> Option<KnownPolicy> {
        let (policy, in_force) = ledger.trust().writes_under()?;
        let chain = in_force.previous.iter().copied().chain([policy]);
        let envelopes = chain.filter_map(|version| ledger.trust().envelope(&version));
        let encoded = envelopes.filter_map(|envelope| encode(&ledger.trust().good(envelope)).ok());
        Some(KnownPolicy { policy, envelopes: encoded.map(|bytes| BASE64.encode(&bytes)).collect() })
    }
}

/// Returns versions of the chain in force that the store lacks, or that would not fit with the stored signatures.
pub(super) fn lacking(trust: &Trust, stored: &PolicyPool) -> Vec<PolicyRef> {
    let chain = trust.branches().flat_map(|(version, policy)| policy.previous.iter().copied().chain([version]));
    let lacks = |version: &PolicyRef| match (trust.envelope(version), stored.envelope(version)) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(pooled), Some(stored)) => pooled != stored && trust.good(pooled) != trust.good(stored),
    };
    let mut lacking: Vec<PolicyRef> = chain.filter(lacks).collect();
    lacking.sort_unstable();
    lacking.dedup();
    lacking
}

pub(super) fn encode(envelope: &Envelope) -> Result<Bytes, RepositoryError> {
    let failed = |source: FormatError| RepositoryError::Write { what: "write a trust policy".to_owned(), source };
    Ok(envelope.encode(Holds::Policy).map_err(failed)?.into())
}
