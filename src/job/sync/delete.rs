//! Deletes secrets of a standby that a restore created and the source no longer has. Nothing else is ever deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::job::Context;
use crate::job::restore::PlanOptions;
use crate::job::restore::error::RestoreError;
use crate::job::restore::matching::StandbyIndex;
use crate::job::restore::plan::Remark;
use crate::job::restore::snapshot::SnapshotItems;
use crate::job::restore::survey::view_of;
use crate::model::with_causes;
use crate::model::{Digest, ItemKey, ItemKind};
use crate::provider::{Action, Look, RequestBody, RestoreMark, Standby, Write, unanswered};
use crate::provider::{InstanceError, Listed};

/// Maximum number of attempts if the outcome of a request is unknown.
const TRIES: u32 = 3;

/// A secret of the standby that the source no longer has.
#[derive(Debug, Clone)]
pub(super) struct LostSecret {
    pub(super) key: ItemKey,
    pub(super) remark: Remark,
    mark: RestoreMark,
}

/// Secrets that the source no longer has: deletable ones, and ones to be spared.
#[derive(Debug, Default)]
pub(super) struct SourceLosses {
    pub(super) deletable: Vec<LostSecret>,
    pub(super) spared: Vec<Remark>,
}

/// Finds secrets with our mark that were restored from a snapshot of this repository, and whose source the given
/// snapshot (`sequence`) no longer has. Spares secrets that have versions of their own or rotate here, because they are
/// in use. Also spares secrets restored from a later snapshot, because their source did not exist yet.
pub(super) fn lost(
    inventory: &StandbyIndex<Listed>,
    snapshot: &SnapshotItems,
    sequence: u64,
    options: &PlanOptions,
    known: &BTreeMap<Digest, u64>,
) -> SourceLosses {
    let mut losses = SourceLosses::default();
    for (view, _) in inventory.iter() {
        let Some(mark) = view.mark.clone().filter(|_| view.key.kind() == ItemKind::Secret) else { continue };
        let gone = ItemKey::new(ItemKind::Secret, &mark.source).is_ok_and(|source| snapshot.get(&source).is_none());
        let groups = inventory.groups().iter();
        let group = groups.clone().find(|(_, id)| Some(*id) == view.group.as_ref()).map(|(name, _)| name.clone());
        let selects = |selector: &crate::job::restore::Selector| selector.selects(view, group.as_deref());
        let asked = options.only.is_empty() || options.only.iter().any(selects);
        let Some(came_with) = known.get(&mark.snapshot).filter(|_| gone && asked) else { continue };
        if options.exclude.iter().any(selects) {
            continue;
        }
        let remark = |reason: &str| Remark {
            key: view.key.clone(),
            name: view.name.clone(),
            item_type: view.item_type.clone(),
            group: group.clone(),
            reason: reason.to_owned(),
        };
        let spared = if *came_with > sequence {
            Some(format!("it came with snapshot {came_with}; this one is from before it"))
        } else if view.versions_total != Some(mark.versions) {
            Some("the source has lost it, and it has got versions of its own since".to_owned())
        } else if view.rotation.is_some() {
            Some("the source has lost it, and it rotates here, so it is in use".to_owned())
        } else {
            None
        };
        match spared {
            Some(why) => losses.spared.push(remark(&why)),
            None => {
                let remark = remark("the source has lost it");
                losses.deletable.push(LostSecret { key: view.key.clone(), remark, mark });
            }
        }
    }
    losses
}

/// Deletes one secret, unless it has changed since it was listed.
///
/// # Errors
/// If the standby is unreachable. The inner error is the reason why this secret remains, as a sentence fragment.
pub(super) async fn delete(
    context: &Context,
    standby: &dyn Standby,
    lost: &LostSecret,
    settle: Duration,
) -> Result<Result<(), String>, RestoreError> {
    for _ in 0..TRIES {
        match standby.look(&lost.key, Look { row: true, versions: true, ..Look::default() }).await {
            Ok(docs) => {
                let now = view_of(standby.converter(), &lost.key, &lost.remark.item_type, docs);
                let same = now.mark.as_ref() == Some(&lost.mark) && now.versions_total == Some(lost.mark.versions);
                if !same || now.rotation.is_some() {
                    return Ok(Err("it has changed since it was listed".to_owned()));
                }
                // A secret that existed before and was only adopted has a mark on the secret but none on its versions.
                if !now.versions.iter().flatten().any(|version| version.mark.is_some()) {
                    return Ok(Err(
                        "none of its versions carries our mark, so nothing says that a restore made it".into()
                    ));
                }
            }
            Err(InstanceError::Gone { .. }) => return Ok(Ok(())),
            Err(error) => return Err(error.into()),
        }
        match standby.write(Write::new(Action::Delete { key: lost.key.clone() }, RequestBody::default())).await {
            Ok(_) | Err(InstanceError::Gone { .. }) => return Ok(Ok(())),
            Err(error) if unanswered(&error) => {
                context.observer.observe(crate::job::event::JobEvent::Note(with_causes(&error)));
                tokio::time::sleep(settle).await;
            }
            Err(error @ (InstanceError::Refused { .. } | InstanceError::Forbidden { .. })) => {
                return Ok(Err(with_causes(&error)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Err(format!("no answer in {TRIES} attempts")))
}
