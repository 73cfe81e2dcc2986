//! Drift: differences between a standby and a snapshot, or between a standby and the live source.
//!
//! | module | what |
//! |---|---|
//! | `report` | the findings: kinds and names, never a value |
//! | `compare` | compares one item with its counterpart in the standby (pure) |
//! | `live` | a live instance in place of a snapshot |
//!
//! Changes nothing. The comparison uses the plan of a restore, so deliberate changes by a restore are not drift.

use std::collections::BTreeSet;

use crate::job::Context;
use crate::job::restore::assemble::Planned;
use crate::job::restore::backup::{Backup, Payloads};
use crate::job::restore::examine::{ListedStandby, list, look, until_cancelled};
use crate::job::restore::snapshot::SnapshotItems;
use crate::job::restore::{Consent, OnConflict, PlanOptions, RestoreError};
use crate::model::{ItemKey, ItemKind, Treatment};
use crate::provider::{ItemConverter, RestoreItem, Route, Standby};
use crate::provider::{Listed, Requests};

mod compare;
pub mod live;
pub mod report;

pub use live::LiveInstance;
pub use report::{ComparedWith, ComparisonBasis, Difference, DriftKind, DriftReport, HeldRotation, OverallBasis};

use compare::ComparisonInput;

/// Compares a standby with its expected content. Changes nothing.
///
/// `options` are those of a restore into it. If `values` is true, payloads can be opened and are compared; otherwise
/// marks are compared.
///
/// # Errors
/// If either side cannot be read, or both are the same instance.
pub async fn drift(
    context: &Context,
    backup: &dyn Backup,
    expected: ComparedWith,
    standby: &dyn Standby,
    options: &PlanOptions,
    values: bool,
) -> Result<DriftReport, RestoreError> {
    until_cancelled(context, async {
        let requests = standby.requests();
        // Conflicts of a restore are reported as differences here and must not stop the comparison.
        let options = PlanOptions { deep: values, on_conflict: OnConflict::NewVersion, ..options.clone() };
        let snapshot = SnapshotItems::load(backup, standby.converter(), &options).await?;
        let listed = list(context, backup, &snapshot, standby, &Consent::default()).await?;
        let payloads = if values { Payloads::new(backup) } else { Payloads::closed(backup) };
        let planned = look(context, &snapshot, &payloads, standby, &listed, &options).await?;
        let comparison = ComparisonInput {
            converter: standby.converter(),
            now: listed.now,
            values,
            allow_rotation: options.allow_rotation,
        };
        let mut report = DriftReport {
            expected,
            standby: listed.name.clone(),
            at: listed.now,
            basis: OverallBasis::Marks,
            compared: std::collections::BTreeMap::new(),
            same: 0,
            differences: Vec::new(),
            unknown: Vec::new(),
            unrestorable: Vec::new(),
            held: Vec::new(),
            requests: Requests::default(),
        };
        for one in &planned {
            take(&mut report, comparison.item(one));
        }
        report.differences.extend(extra(standby.converter(), &snapshot, &planned, &listed, &options));
        report.differences.sort_by(|a, b| (&a.key, a.kind).cmp(&(&b.key, b.kind)));
        report.unknown.sort_by(|a, b| a.key.cmp(&b.key));
        report.unrestorable.sort_by(|a, b| a.key.cmp(&b.key));
        report.held.sort_by(|a, b| a.key.cmp(&b.key));
        report.basis = overall(&report);
        report.requests = standby.requests().since(requests);
        Ok(report)
    })
    .await
}

fn take(report: &mut DriftReport, verdict: compare::DriftResult) {
    let right = verdict.differences.is_empty() && verdict.unknown.is_none() && verdict.unrestorable.is_none();
    report.same += u64::from(right);
    if let Some(basis) = verdict.basis.filter(|_| verdict.unrestorable.is_none()) {
        *report.compared.entry(basis).or_default() += 1;
    }
    report.differences.extend(verdict.differences);
    report.unknown.extend(verdict.unknown);
    report.unrestorable.extend(verdict.unrestorable);
    report.held.extend(verdict.held);
}

/// Returns how payloads were compared, over all items that have one.
fn overall(report: &DriftReport) -> OverallBasis {
    let count = |basis| report.compared.get(&basis).copied().unwrap_or_default();
    match (count(ComparisonBasis::Values), count(ComparisonBasis::Marks) + count(ComparisonBasis::Nothing)) {
        (1.., 0) => OverallBasis::Values,
        (0, _) => OverallBasis::Marks,
        _ => OverallBasis::Mixed,
    }
}

/// Returns the items that only the standby has.
fn extra(
    converter: &dyn ItemConverter,
    snapshot: &SnapshotItems,
    planned: &[Planned<'_>],
    listed: &ListedStandby,
    options: &PlanOptions,
) -> Vec<Difference> {
    let targets: BTreeSet<&ItemKey> = planned.iter().filter_map(|one| one.target.as_ref()).collect();
    // Items that were not searched for may exist in the standby, so they are not reported.
    let names: BTreeSet<(ItemKind, &str, Option<&str>)> = planned
        .iter()
        .filter(|one| one.target.is_none())
        .map(|one| (one.entry.item.key.kind(), one.entry.view.name.as_str(), one.entry.group.as_deref()))
        .collect();
    let groups = listed.inventory.groups();
    let group_of = |view: &RestoreItem| {
        let id = view.group.as_ref()?;
        groups.iter().find(|(_, own)| *own == id).map(|(name, _)| name.clone())
    };
    let mut found = Vec::new();
    for (view, there) in listed.inventory.iter() {
        let group = group_of(view);
        let named = (view.key.kind(), view.name.as_str(), group.as_deref());
        let excluded = options.exclude.iter().any(|selector| selector.selects(view, group.as_deref()));
        let asked = !excluded && (options.only.is_empty() || selected(options, view, group.as_deref()));
        if targets.contains(&view.key) || names.contains(&named) || built_in(converter, there) || !asked {
            continue;
        }
        let ours = view.mark.as_ref().map(|mark| ItemKey::new(ItemKind::Secret, &mark.source));
        let what = match ours {
            Some(Ok(source)) if snapshot.get(&source).is_none() => {
                "a restore made it, and the source has lost it since"
            }
            Some(_) => "a restore made it",
            None => "no restore made it",
        };
        found.push(Difference {
            kind: DriftKind::Extra,
            key: view.key.clone(),
            target: Some(view.key.id().to_owned()),
            name: view.name.clone(),
            item_type: view.item_type.clone(),
            group,
            basis: ComparisonBasis::Metadata,
            what: what.to_owned(),
        });
    }
    found
}

fn selected(options: &PlanOptions, view: &RestoreItem, group: Option<&str>) -> bool {
    options.only.iter().any(|selector| match view.key.kind() {
        ItemKind::Group => selector.selects_group(&view.name),
        _ => selector.selects(view, group),
    })
}

fn built_in(converter: &dyn ItemConverter, there: &Listed) -> bool {
    converter.convert(&there.item, Treatment::Exact).route == Route::BuiltIn
}
