//! Builds the request for a step.

use zeroize::Zeroizing;

use super::chain::Chain;
use super::halt::Halt;
use super::run::ApplyRun;
use crate::job::restore::error::RestoreError;
use crate::job::restore::goal::Goal;
use crate::job::restore::known::StandbyItem;
use crate::job::restore::options::DEFAULT_SOURCE_NAME;
use crate::job::restore::plan::Step;
use crate::job::restore::snapshot_item::SnapshotItem;
use crate::model::{ItemKey, ItemKind, Payload, Slot, Timestamp, Treatment};
use crate::provider::{
    Action, Change, ConvertError, Look, RegistrationNames, RequestBody, RestoreLock, RestoreVersion, Write,
};

impl From<ConvertError> for Halt {
    fn from(error: ConvertError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl ApplyRun<'_> {
    /// Builds the request for a step.
    pub(super) async fn request(
        &self,
        chain: &mut Chain<'_>,
        entry: &SnapshotItem,
        step: &Step,
    ) -> Result<Write, Halt> {
        let view = &self.converter().resolve_references(&entry.view, self.names())?;
        let change = Change::new(&step.action, view);
        let mut write = Write::new(step.action.clone(), RequestBody::default());
        write.body = match &step.action {
            Action::CreateGroup => self.standby.body(&change)?,
            Action::UpdateGroup => {
                write.target = Some(target(chain)?);
                self.standby.body(&change)?
            }
            Action::CreateConfiguration => {
                self.standby.body(&Change { payload: Some(&self.value(entry).await?), ..change })?
            }
            Action::UpdateConfiguration => {
                write.target = Some(entry.item.key.id().to_owned());
                self.standby.body(&Change { payload: Some(&self.value(entry).await?), ..change })?
            }
            Action::SignAuthority => {
                write.target = Some(self.issuer(view)?.id().to_owned());
                self.standby.body(&change)?
            }
            Action::SetSigned { by } => {
                let certificate = self.signed_certificate(chain, entry, by.as_ref()).await?;
                write.target = Some(format!("{}/{}", entry.view.item_type, entry.view.name));
                self.standby.body(&Change { certificate: Some(&certificate), ..change })?
            }
            Action::CreateSecret { version, .. } => self.new_secret(entry, change, version).await?,
            Action::AddVersion { version, .. } => {
                let goal = self.goal(entry)?;
                let version = self.living(&goal, entry, version)?;
                let payload = self.payload(entry, &version.id).await?;
                write.target = Some(target(chain)?);
                self.standby.body(&Change { version: Some(version), payload: Some(&payload), ..change })?
            }
            Action::PatchMetadata { .. } => {
                self.not_ended(entry.view.expires)?;
                let have = chain.row.as_ref().ok_or_else(|| Halt::Conflict("it is not in the standby".to_owned()))?;
                write.target = Some(target(chain)?);
                self.standby.body(&Change { have: Some(have), ..change })?
            }
            Action::PatchVersionMetadata { version, .. } => {
                let goal = self.goal(entry)?;
                let want = goal.version(version).ok_or_else(|| unknown_version(version))?;
                let known = self.known(chain, entry).await?;
                let have = known.holding(version).ok_or_else(|| unknown_version(version))?;
                write.target = Some(target(chain)?);
                write.version = Some(have.id.clone());
                self.standby.body(&Change { version: Some(want), have_version: Some(have), ..change })?
            }
            Action::RemoveLocks { version, .. } => {
                write.version = Some(match version.split_once(':') {
                    Some(("own", id)) => id.to_owned(),
                    Some((_, source)) => self.version(chain, entry, source).await?,
                    None => return Err(unknown_version(version)),
                });
                write.target = Some(target(chain)?);
                self.standby.body(&change)?
            }
            Action::AddLocks { version, names, .. } => {
                let goal = self.goal(entry)?;
                let locks: Vec<&RestoreLock> =
                    goal.locks_on(version).filter(|lock| names.contains(&lock.name)).collect();
                self.issued(chain, entry).await?;
                write.version = Some(self.version(chain, entry, version).await?);
                write.target = Some(target(chain)?);
                self.standby.body(&Change { locks: &locks, ..change })?
            }
            Action::Delete { key } if matches!(key.kind(), ItemKind::Registration | ItemKind::Other) => {
                return Err(Halt::Failed("the plan was altered".to_owned()));
            }
            Action::Delete { .. } => self.standby.body(&change)?,
            Action::Register => self.standby.body(&Change { names: Some(&self.registration_names()), ..change })?,
            Action::ReleaseRotation { .. } => return Err(Halt::Failed("the plan was altered".to_owned())),
        };
        Ok(write)
    }

    async fn new_secret(&self, entry: &SnapshotItem, change: Change<'_>, version: &str) -> Result<RequestBody, Halt> {
        let goal = self.goal(entry)?;
        let version = self.living(&goal, entry, version)?;
        let group = match &entry.group {
            Some(name) => {
                let missing = || Halt::Failed(format!("its group {name} is not in the standby"));
                Some(self.group(name).ok_or_else(missing)?)
            }
            None => None,
        };
        let payload = match entry.treatment {
            Treatment::Reissue => none(),
            _ => self.payload(entry, &version.id).await?,
        };
        let change = Change {
            group: group.as_deref(),
            version: Some(version),
            payload: Some(&payload),
            rotate: self.allows_rotation(),
            ..change
        };
        Ok(self.standby.body(&change)?)
    }

    /// Returns a version, if it has not expired since the plan was made: the service would destroy it at once.
    fn living<'g>(&self, goal: &'g Goal, entry: &SnapshotItem, version: &str) -> Result<&'g RestoreVersion, Halt> {
        let version = goal.version(version).ok_or_else(|| unknown_version(version))?;
        self.not_ended([version.expires, entry.view.expires].into_iter().flatten().min())?;
        Ok(version)
    }

    /// Checks that no past date is sent, which would destroy existing data.
    fn not_ended(&self, ends: Option<Timestamp>) -> Result<(), Halt> {
        match ends.filter(|ends| *ends <= self.now()) {
            Some(ends) => Err(Halt::Lost(format!("it expired at {ends}, after the plan was made"))),
            None => Ok(()),
        }
    }

    /// Checks that the standby has issued the item: until then there is no version to lock.
    async fn issued(&self, chain: &mut Chain<'_>, entry: &SnapshotItem) -> Result<(), Halt> {
        if entry.treatment != Treatment::Reissue {
            return Ok(());
        }
        self.observe(chain, entry).await?;
        match chain.known.as_ref().filter(|known| known.view.pending) {
            Some(_) => Err(Halt::Waiting(
                "the standby is still issuing it; apply the same plan again to add its locks".to_owned(),
            )),
            None => Ok(()),
        }
    }

    pub(super) async fn payload(&self, entry: &SnapshotItem, version: &str) -> Result<Payload, Halt> {
        let missing = || Halt::Failed(format!("the snapshot has no payload of version {version}"));
        self.payloads.get(self.standby.converter(), entry, version).await?.ok_or_else(missing)
    }

    /// Returns the value of a configuration, or an empty payload if it has none.
    async fn value(&self, entry: &SnapshotItem) -> Result<Payload, RestoreError> {
        Ok(self.payloads.get(self.standby.converter(), entry, Slot::VALUE).await?.unwrap_or_else(none))
    }

    /// Returns the item as it exists in the standby, reading it if necessary.
    pub(super) async fn known(&self, chain: &mut Chain<'_>, entry: &SnapshotItem) -> Result<StandbyItem, Halt> {
        if chain.known.is_none() {
            self.observe(chain, entry).await?;
        }
        chain.known.clone().ok_or_else(|| Halt::Conflict("it is gone from the standby".to_owned()))
    }

    /// Returns the id of the standby version that holds a source version.
    async fn version(&self, chain: &mut Chain<'_>, entry: &SnapshotItem, source: &str) -> Result<String, Halt> {
        if !chain.versions.contains_key(source) && chain.target.is_some() {
            self.learn_versions(chain, entry).await?;
        }
        if !chain.versions.contains_key(source) {
            self.observe(chain, entry).await?;
        }
        chain.versions.get(source).cloned().ok_or_else(|| unknown_version(source))
    }

    /// Reads only the marks of the versions: one request, if they have marks.
    async fn learn_versions(&self, chain: &mut Chain<'_>, entry: &SnapshotItem) -> Result<(), Halt> {
        let key = ItemKey::new(entry.item.key.kind(), &target(chain)?).map_err(RestoreError::from)?;
        let look = Look { versions: true, ..Look::default() };
        let mut item = entry.item.clone();
        item.docs = self.standby.look(&key, look).await.map_err(RestoreError::from)?;
        let known = StandbyItem::from_rows(self.standby.converter().describe(&item));
        for version in known.view.versions.iter().flatten() {
            if let Some(source) = &version.mark {
                chain.versions.insert(source.clone(), version.id.clone());
            }
        }
        Ok(())
    }

    fn registration_names(&self) -> RegistrationNames {
        self.planned_names()
            .unwrap_or_else(|| RegistrationNames { name: DEFAULT_SOURCE_NAME.to_owned(), description: String::new() })
    }
}

/// Returns an empty payload.
fn none() -> Payload {
    Payload::new(Zeroizing::new("{}".to_owned()))
}

fn target(chain: &Chain<'_>) -> Result<String, Halt> {
    chain.target.clone().ok_or_else(|| Halt::Conflict("it is not in the standby".to_owned()))
}

fn unknown_version(version: &str) -> Halt {
    Halt::Conflict(format!("version {version} cannot be found in the standby; make a new plan"))
}
