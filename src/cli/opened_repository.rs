//! Context of commands that read snapshots: settings, an open repository, keys, a judged ledger.

use std::sync::Arc;

use super::app::App;
use super::failure::Failure;
use super::identity::RecoveryArguments;
use super::{report, services};
use crate::config::Settings;
use crate::crypto::Identities;
use crate::repository::Repository;
use crate::repository::ledger::Ledger;

/// A repository that is open for reading.
#[derive(Debug)]
pub(super) struct OpenedRepository {
    pub(super) settings: Settings,
    pub(super) repository: Repository,
    /// Opens catalogues, and packs too when it is the recovery identity.
    pub(super) keys: Arc<Identities>,
    pub(super) ledger: Ledger,
    /// True if the keys open packs.
    pub(super) opens_packs: bool,
}

impl OpenedRepository {
    /// Opens it with the recovery identity where there is one, else with the catalogue key.
    ///
    /// # Errors
    /// When settings, keys or ledger cannot be had.
    pub(super) async fn begin(app: &App, recovery: &RecoveryArguments) -> Result<Self, Failure> {
        let settings = app.settings()?;
        let identities = recovery.load(&settings).await?;
        Self::with(app, settings, recovery, identities).await
    }

    /// As [`OpenedRepository::begin`], for a command that opens packs and cannot do without the recovery identity.
    ///
    /// # Errors
    /// Kind 12 when none is named, and all of [`OpenedRepository::begin`].
    pub(super) async fn begin_with_packs(app: &App, recovery: &RecoveryArguments) -> Result<Self, Failure> {
        let settings = app.settings()?;
        let identities = recovery.needed(&settings).await?;
        Self::with(app, settings, recovery, Some(identities)).await
    }

    async fn with(
        app: &App,
        settings: Settings,
        recovery: &RecoveryArguments,
        identities: Option<Identities>,
    ) -> Result<Self, Failure> {
        let opens_packs = identities.is_some();
        let repository = recovery.open(&settings, identities.as_ref()).await?;
        let keys = services::reader(&settings, identities)?;
        let ledger = report::read_ledger(&app.printer, &repository).await?;
        app.opened(&repository);
        Ok(Self { settings, repository, keys, ledger, opens_packs })
    }
}
