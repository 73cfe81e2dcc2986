//! Purpose of this host.

use super::jobs;
use crate::config::Settings;
use crate::format::SigningRole;

/// Purpose of this host, derived from its configuration.
#[derive(Debug)]
pub(super) struct HostPurpose {
    /// It backs up, or it would.
    pub(super) collects: bool,
    /// It has a job that backs up.
    pub(super) backup_job: bool,
    /// It restores.
    pub(super) restores: bool,
    /// The roles that its signing key needs, each with what for.
    pub(super) roles: Vec<(SigningRole, &'static str)>,
}

impl HostPurpose {
    pub(super) fn of(settings: &Settings) -> Self {
        let restores = settings.is_set("standby.url");
        let collects = settings.is_set("source.url") || !restores;
        let jobs: Vec<_> = settings.jobs().iter().filter(|job| job.is_for(settings.instance())).collect();
        let job = |kind: &str| jobs.iter().any(|job| job.kind == kind);
        let with = |kind: &str, flag: &str| jobs.iter().any(|job| job.kind == kind && jobs::has(job, flag));
        let roles = [
            (SigningRole::Collector, "backup", collects && (job("backup") || jobs.is_empty() || !restores)),
            (SigningRole::Verifier, "verify --record", with("verify", "--record")),
            (SigningRole::Restorer, "sync --record", with("sync", "--record")),
            (SigningRole::Reaper, "forget", with("forget", "--apply")),
            (SigningRole::Reaper, "sweep", with("sweep", "--apply")),
        ];
        let roles = roles.into_iter().filter_map(|(role, why, needed)| needed.then_some((role, why))).collect();
        Self { collects, backup_job: job("backup"), restores, roles }
    }

    /// Returns true if anything that it does is signed.
    pub(super) fn signs(&self) -> bool {
        !self.roles.is_empty()
    }
}
