//! Compares one item with its counterpart in the standby. Pure.
//!
//! The restore planner determines whether steps are required; this module determines what differs. It uses the same
//! views, so deliberate changes by a plan (policies, transforms, overrides) are not differences.

use std::collections::BTreeSet;

use super::report::{ComparisonBasis, Difference, DriftKind, HeldRotation};
use crate::job::restore::assemble::Planned;
use crate::job::restore::goal::Goal;
use crate::job::restore::known::{StandbyItem, lock_digest};
use crate::job::restore::plan::Remark;
use crate::model::json::JsonObject;
use crate::model::{ItemKind, Timestamp, Treatment};
use crate::provider::normal::normal;
use crate::provider::{Action, ItemConverter, RestoreItem};

/// Descriptive settings; the provider acts upon all others.
const METADATA: [&str; 4] = ["name", "description", "labels", "custom_metadata"];

/// Inputs for comparing items.
#[derive(Debug, Clone, Copy)]
pub(super) struct ComparisonInput<'a> {
    pub(super) converter: &'a dyn ItemConverter,
    /// Current time, by the standby's clock.
    pub(super) now: Timestamp,
    /// True if payloads could be opened.
    pub(super) values: bool,
    /// True if restored secrets may rotate automatically.
    pub(super) allow_rotation: bool,
}

/// Result of comparing one item.
#[derive(Debug, Default)]
pub(super) struct DriftResult {
    pub(super) basis: Option<ComparisonBasis>,
    pub(super) differences: Vec<Difference>,
    pub(super) unknown: Option<Remark>,
    pub(super) unrestorable: Option<Remark>,
    pub(super) held: Option<HeldRotation>,
}

impl ComparisonInput<'_> {
    /// Compares an item that has been read.
    pub(super) fn item(self, planned: &Planned<'_>) -> DriftResult {
        let outcome = &planned.outcome;
        if planned.built_in {
            return DriftResult { basis: Some(ComparisonBasis::Metadata), ..DriftResult::default() };
        }
        let Some(known) = &planned.known else {
            let mut verdict = DriftResult { basis: Some(ComparisonBasis::Metadata), ..DriftResult::default() };
            if let Some(why) = &outcome.conflict {
                verdict.differences.push(difference(planned, DriftKind::Conflict, ComparisonBasis::Nothing, why));
            } else if !outcome.steps.is_empty() {
                verdict.differences.push(difference(
                    planned,
                    DriftKind::Missing,
                    ComparisonBasis::Metadata,
                    "it is not there",
                ));
            } else if let Some(why) = outcome.losses.first() {
                verdict.unrestorable = Some(planned.entry.remark(why.clone()));
            }
            return verdict;
        };
        let mut found = Findings {
            planned,
            known,
            basis: ComparisonBasis::Metadata,
            list: Vec::new(),
            unknown: None,
            unrestorable: None,
        };
        match planned.entry.item.key.kind() {
            ItemKind::Secret => found.secret(self),
            ItemKind::Configuration => found.configuration(),
            ItemKind::Group | ItemKind::Registration | ItemKind::Other => {}
        }
        found.settings(planned.entry.item.key.kind());
        let held = found.rotation(self);
        found.what_only_a_plan_knows();
        let basis = found.basis;
        let differences =
            found.list.iter().map(|(kind, what)| difference(planned, *kind, basis, what)).collect::<Vec<_>>();
        let unknown = found.unknown.map(|why| planned.entry.remark(why));
        let unrestorable = found.unrestorable.map(|why| planned.entry.remark(why));
        DriftResult { basis: Some(basis), differences, unknown, unrestorable, held }
    }
}

fn difference(planned: &Planned<'_>, kind: DriftKind, basis: ComparisonBasis, what: &str) -> Difference {
    let Remark { key, name, item_type, group, .. } = planned.entry.remark("");
    let target = planned.target.as_ref().map(|key| key.id().to_owned());
    Difference { kind, key, target, name, item_type, group, basis, what: what.to_owned() }
}

/// Findings about one item during the comparison.
struct Findings<'a> {
    planned: &'a Planned<'a>,
    known: &'a StandbyItem,
    basis: ComparisonBasis,
    list: Vec<(DriftKind, String)>,
    unknown: Option<String>,
    unrestorable: Option<String>,
}

impl Findings<'_> {
    fn add(&mut self, kind: DriftKind, what: impl Into<String>) {
        self.list.push((kind, what.into()));
    }

    fn secret(&mut self, comparison: ComparisonInput<'_>) {
        let entry = self.planned.entry;
        // A secret that the standby issued has its own payload; only the definition is compared.
        if !matches!(entry.treatment, Treatment::Exact | Treatment::Convert | Treatment::AsArbitrary) {
            return;
        }
        match Goal::new(&entry.item, &entry.view, comparison.now) {
            Ok(goal) => {
                self.versions(&goal, comparison);
                self.locks(&goal);
            }
            // It could not be read when the snapshot was made: there is nothing to compare with.
            Err(why) if entry.item.payloads.is_empty() => {
                self.basis = ComparisonBasis::Nothing;
                self.unknown = Some(why);
            }
            Err(why) => {
                self.basis = ComparisonBasis::Nothing;
                self.unrestorable = Some(why);
            }
        }
    }

    fn versions(&mut self, goal: &Goal, comparison: ComparisonInput<'_>) {
        let known = self.known;
        self.basis = if self.planned.compared > 0 { ComparisonBasis::Values } else { ComparisonBasis::Marks };
        if let Some(version) = known.false_marks.first() {
            self.add(DriftKind::Payload, format!("its version {version} carries our mark and another payload"));
            return;
        }
        // Versions were not read, because the rows prove that they are the ones in the mark.
        let Some(current) = known.view.current() else { return };
        let Some(newest) = goal.newest() else { return };
        match known.sources.get(&current.id).map(String::as_str) {
            Some(source) if source == newest => {}
            Some(source) => {
                let what = format!("its current version holds {source} of the source and not {newest}");
                self.add(DriftKind::Payload, what);
                return;
            }
            None if self.basis == ComparisonBasis::Values => {
                self.add(DriftKind::Payload, "its current version holds a payload that the source does not have");
                return;
            }
            None if known.view.mark.is_some() => {
                self.add(DriftKind::Payload, "its current version was not created by a restore");
                return;
            }
            None => {
                self.basis = ComparisonBasis::Nothing;
                let key = if comparison.values { "its payload may not be read" } else { "no recovery key is at hand" };
                self.unknown = Some(format!("its current version carries no mark, and {key}"));
                return;
            }
        }
        let missing: Vec<&str> =
            goal.versions.iter().map(|version| version.id.as_str()).filter(|id| known.holding(id).is_none()).collect();
        if !missing.is_empty() {
            self.add(DriftKind::Version, format!("it lacks version {} of the source", missing.join(", ")));
        }
        for version in &goal.versions {
            let other = |have: &&crate::provider::RestoreVersion| {
                normal(&have.metadata.to_raw()) != normal(&version.metadata.to_raw())
            };
            if known.holding(&version.id).filter(other).is_some() {
                self.add(DriftKind::Metadata, format!("the custom metadata of its version {}", version.id));
            }
        }
    }

    fn locks(&mut self, goal: &Goal) {
        let known = self.known;
        let Some(there) = &known.view.locks else {
            // Rows show only names, and all wanted names were found in them.
            let wanted: BTreeSet<&str> = goal.locks.iter().map(|lock| lock.name.as_str()).collect();
            let extra: BTreeSet<&str> = known
                .view
                .lock_names
                .iter()
                .map(|(_, name)| name.as_str())
                .filter(|name| !wanted.contains(name))
                .collect();
            if !extra.is_empty() {
                self.add(DriftKind::Locks, format!("only in the standby: {}", joined(&extra)));
            }
            return;
        };
        let mut names = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let own = |source: &str| known.holding(source).map(|version| version.id.as_str());
        for lock in &goal.locks {
            let found = there.iter().find(|have| have.name == lock.name && own(&lock.version) == Some(&have.version));
            match found {
                None if own(&lock.version).is_some() => _ = names.0.insert(lock.name.as_str()),
                Some(have) if lock_digest(have) != lock_digest(lock) => _ = names.1.insert(lock.name.as_str()),
                _ => {}
            }
        }
        for have in there {
            let wanted =
                goal.locks.iter().any(|lock| lock.name == have.name && own(&lock.version) == Some(&have.version));
            if !wanted {
                names.2.insert(have.name.as_str());
            }
        }
        let (missing, other, extra) = names;
        for (what, names) in [("missing", missing), ("described differently", other), ("only in the standby", extra)] {
            if !names.is_empty() {
                self.add(DriftKind::Locks, format!("{what}: {}", joined(&names)));
            }
        }
    }

    fn configuration(&mut self) {
        match self.known.value {
            Some(true) => self.basis = ComparisonBasis::Values,
            Some(false) => {
                self.basis = ComparisonBasis::Values;
                self.add(DriftKind::Payload, "its value");
            }
            // Marks do not cover values: only the settings were compared, as the basis shows.
            None => {}
        }
    }

    fn settings(&mut self, kind: ItemKind) {
        let have = &self.known.view.settings;
        let other = |name: &str, value: &serde_json::value::RawValue| {
            have.get(name).is_none_or(|have| normal(have) != normal(value))
        };
        let view = &self.planned.entry.view;
        // The issuer of an authority is chosen separately for the standby, so it is not compared.
        let anew = |name: &str| kind == ItemKind::Configuration && view.fixed.contains(&name);
        let names =
            view.settings.iter().filter(|(name, value)| !anew(name) && other(name, value)).map(|(name, _)| name);
        let (metadata, settings): (Vec<&str>, Vec<&str>) = names
            // A value difference already covers them.
            .filter(|_| kind != ItemKind::Configuration || self.known.value != Some(false))
            .partition(|name| METADATA.contains(name));
        for (kind, names) in [(DriftKind::Metadata, metadata), (DriftKind::Settings, settings)] {
            if !names.is_empty() {
                self.add(kind, names.join(", "));
            }
        }
    }

    fn rotation(&mut self, comparison: ComparisonInput<'_>) -> Option<HeldRotation> {
        let entry = self.planned.entry;
        let policy = |held: &serde_json::value::RawValue| JsonObject::parse(held.get()).ok()?.object("rotation");
        let held = |view: &RestoreItem| view.mark.as_ref()?.held.as_deref().and_then(policy);
        let same = |one: &JsonObject, other: &JsonObject| normal(&one.to_raw()) == normal(&other.to_raw());
        // A source that was itself restored holds back the policy of its own source.
        let want = entry.view.rotation.clone().or_else(|| held(&entry.view));
        match (want, &self.known.view.rotation, held(&self.known.view)) {
            (None, None, None) => {}
            (None, None, Some(_)) => {
                self.add(DriftKind::Rotation, "a policy is held back that the source does not have any more");
            }
            (None, Some(_), _) => self.add(DriftKind::Rotation, "it rotates in the standby and not in the source"),
            (Some(want), Some(there), _) if !same(&want, there) => {
                self.add(DriftKind::Rotation, "it rotates by another policy than in the source");
            }
            (Some(_), Some(_), _) if comparison.allow_rotation || entry.view.rotation.is_none() => {}
            (Some(_), Some(_), _) => {
                self.add(
                    DriftKind::Rotation,
                    "it rotates in both; two instances that rotate one credential break each other",
                );
            }
            (Some(_), None, None) => {
                self.add(DriftKind::Rotation, "it rotates in the source, and in the standby nothing holds that back");
            }
            (Some(want), None, Some(held)) => {
                if !same(&want, &held) {
                    self.add(DriftKind::Rotation, "the policy that is held back is not the source's any more");
                }
                let next = comparison.converter.next_rotation(&entry.item, &want);
                let Remark { key, name, item_type, group, .. } = entry.remark("");
                let due = next.is_some_and(|next| next <= comparison.now);
                return Some(HeldRotation { key, name, item_type, group, policy: want.to_raw(), next, due });
            }
        }
        None
    }

    /// Adds the reasons of steps and conflicts that this comparison does not cover itself.
    fn what_only_a_plan_knows(&mut self) {
        let mine = |action: &Action| {
            matches!(
                action,
                Action::CreateGroup
                    | Action::UpdateGroup
                    | Action::CreateConfiguration
                    | Action::UpdateConfiguration
                    | Action::CreateSecret { .. }
                    | Action::AddVersion { .. }
                    | Action::PatchMetadata { .. }
                    | Action::PatchVersionMetadata { .. }
                    | Action::RemoveLocks { .. }
                    | Action::AddLocks { .. }
                    | Action::Register
            )
        };
        if !self.list.is_empty() || self.unknown.is_some() {
            return;
        }
        let outcome = &self.planned.outcome;
        // It is complete in the source, but not usable in the standby yet.
        if let Some(why) = outcome.waiting.first().filter(|_| !self.planned.entry.view.pending) {
            self.add(DriftKind::Payload, why.clone());
        }
        let others: Vec<String> =
            outcome.steps.iter().filter(|step| !mine(&step.action)).map(|step| step.reason.clone()).collect();
        for reason in others {
            self.add(DriftKind::Settings, reason);
        }
        if let Some(why) = outcome.conflict.clone() {
            self.add(DriftKind::Conflict, why);
        }
    }
}

fn joined(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}
