//! The repositories of a daemon, opened when they are first needed and kept open. Their entries are not kept in memory
//! where this host's disk has them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::cli::failure::Failure;
use crate::cli::services;
use crate::config::Settings;
use crate::daemon::plan::CompletedSlot;
use crate::daemon::ports::Ledgers;
use crate::daemon::slots::newest_filled;
use crate::model::Timestamp;
use crate::repository::Repository;
use crate::repository::ledger::Ledger;

#[derive(Debug)]
pub(super) struct Repositories {
    settings: BTreeMap<String, Settings>,
    open: Mutex<BTreeMap<String, Repository>>,
}

impl Repositories {
    pub(super) fn new(settings: &[Settings]) -> Self {
        let settings = settings.iter().map(|settings| (settings.instance().to_owned(), settings.clone())).collect();
        Self { settings, open: Mutex::default() }
    }

    /// The ledger of an instance as of now.
    pub(super) async fn ledger(&self, instance: &str) -> Result<Ledger, Failure> {
        let known = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(instance).cloned();
        let repository = match known {
            Some(repository) => repository,
            None => self.open(instance).await?,
        };
        match repository.read_ledger().await {
            Ok(ledger) => {
                repository.remember(&ledger).await;
                Ok(ledger)
            }
            Err(error) => {
                // The next one reads the credentials anew: they may have been changed.
                self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(instance);
                Err(error.into())
            }
        }
    }

    async fn open(&self, instance: &str) -> Result<Repository, Failure> {
        let settings =
            self.settings.get(instance).ok_or_else(|| Failure::usage(format!("no instance is called `{instance}`")))?;
        let repository = services::repository(settings, None).await?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(open.entry(instance.to_owned()).or_insert(repository).clone())
    }
}

#[async_trait]
impl Ledgers for Repositories {
    async fn filled(&self, instance: &str, job: &str, until: Timestamp) -> Result<Option<CompletedSlot>, String> {
        let ledger = self.ledger(instance).await.map_err(|failure| failure.chain().join(": "))?;
        Ok(newest_filled(&ledger, job, until))
    }
}
