//! Restores parts of the trust policy in force in the store: missing versions, and `RECOVER.md`.
//!
//! Everything here is authentic before it is written: the version in force names the others by digest, and has the
//! digest of `RECOVER.md`. A refusal of the store stops nothing.

use bytes::Bytes;

use super::ledger::Ledger;
use super::policies::{encode, lacking};
use super::trust::Trust;
use super::write::write_confirmed;
use super::{Repository, RepositoryError, recover_md};
use crate::crypto::digest::sha256;
use crate::format::{Policy, PolicyRef, names};
use crate::model::limits;

/// The result of putting objects back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutBack {
    /// Versions of the policy that were missing, or lacked signatures.
    pub policies: Vec<PolicyRef>,
    /// True if `RECOVER.md` was missing or differed.
    pub recover_md: bool,
    /// Parts that could not be put back, with the reason, for people.
    pub notes: Vec<String>,
}

/// State of `RECOVER.md` in the store compared with the policy in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoverMd {
    /// It matches the policy.
    Whole,
    /// It is missing or differs.
    Wrong,
}

impl Repository {
    /// Puts back what the bucket lacks of the policy in force, as far as this host has it: versions of its chain, and
    /// `RECOVER.md` if `text`, by default the text shipped with this version, has the digest in the policy.
    ///
    /// Does not change `RECOVER.md` in a fork: each branch may name another text.
    pub async fn put_back_trust(&self, ledger: &Ledger, text: Option<Bytes>) -> PutBack {
        let mut done = PutBack::default();
        self.put_back_versions(ledger.trust(), ledger.memory().policies.clone(), &mut done).await;
        if let Some(policy) = ledger.policy().filter(|_| !ledger.trust().is_fork()) {
            let text = text.unwrap_or_else(|| recover_md(&policy.source));
            match self.put_back_recover_md(policy, text).await {
                Ok(put) => done.recover_md = put,
                Err(error) => done.notes.push(format!("RECOVER.md could not be checked or put back: {error}")),
            }
        }
        done
    }

    /// As [`Repository::put_back_trust`], for a policy that is judged from more than the bucket has, and without
    /// `RECOVER.md`. Skips `published`, which the caller writes.
    pub(super) async fn put_back_chain(&self, trust: &Trust, published: PolicyRef) -> Result<PutBack, RepositoryError> {
        let mut done = PutBack::default();
        let stored = self.read_policies().await?;
        let lacking = lacking(trust, &stored.pool).into_iter().filter(|version| *version != published).collect();
        self.put_back_versions(trust, lacking, &mut done).await;
        Ok(done)
    }

    async fn put_back_versions(&self, trust: &Trust, versions: Vec<PolicyRef>, done: &mut PutBack) {
        for version in versions {
            let Some(envelope) = trust.good_envelope(&version) else { continue };
            let put = match encode(&envelope) {
                Ok(bytes) => write_confirmed(self.store(), &names::policy(&version), bytes, limits::POLICY).await,
                Err(error) => Err(error),
            };
            match put {
                Ok(()) => done.policies.push(version),
                Err(error) => {
                    done.notes.push(format!("version {version} of the trust policy could not be put back: {error}"));
                }
            }
        }
    }

    /// Writes `RECOVER.md` if the store lacks it or has another text. Returns true if it was written. Never writes a
    /// text that the policy does not name.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn put_back_recover_md(&self, policy: &Policy, text: Bytes) -> Result<bool, RepositoryError> {
        let named = policy.settings.recover_md;
        if sha256(&text) != named || self.recover_md_state(policy).await? == RecoverMd::Whole {
            return Ok(false);
        }
        write_confirmed(self.store(), names::RECOVER_MD, text, limits::LIST).await?;
        Ok(true)
    }

    /// Compares `RECOVER.md` in the store with the text that a policy names.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn recover_md_state(&self, policy: &Policy) -> Result<RecoverMd, RepositoryError> {
        let named = &policy.settings.recover_md;
        match self.get_current(names::RECOVER_MD, named, limits::LIST).await {
            Ok(_) => Ok(RecoverMd::Whole),
            Err(RepositoryError::Missing { .. } | RepositoryError::Damaged { .. }) => Ok(RecoverMd::Wrong),
            Err(error) => Err(error),
        }
    }
}
