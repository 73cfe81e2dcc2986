//! Rewrites of everything except payloads, and the record of payload rewrites.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::PolicyError;
use crate::crypto::digest::sha256;
use crate::job::restore::assemble::Planned;
use crate::job::restore::rewrite::{rewrite_json, rewrite_text};
use crate::job::restore::snapshot_item::{SnapshotItem, TreatmentEffect};
use crate::model::json::{JsonObject, raw};
use crate::model::{ItemKind, Policies, RewriteField, Transform};
use crate::provider::Route;

/// Applies one rewrite. Payload rewrites are only recorded, and applied where payloads are read.
pub(super) fn rewrite(entries: &mut [SnapshotItem], what: &str, transform: &Transform) -> Result<(), PolicyError> {
    if transform.field == RewriteField::Group {
        return rewrite_groups(entries, what, transform);
    }
    let (mut selected, mut found) = (false, false);
    for entry in entries.iter_mut().filter(|entry| entry.origin.selected(&transform.select)) {
        selected = true;
        let places = match transform.field {
            RewriteField::Payload => {
                if entry.has_payload() {
                    found = true;
                    entry.rewrites.push((what.to_owned(), transform.clone()));
                }
                continue;
            }
            RewriteField::Name if entry.item.key.kind() != ItemKind::Secret => 0,
            RewriteField::Name => match rewrite_text(&entry.view.name, transform) {
                Some((name, places)) => {
                    entry.rename(&name);
                    places
                }
                None => 0,
            },
            RewriteField::Description => member(&mut entry.view.settings, "description", transform),
            RewriteField::Labels => member(&mut entry.view.settings, "labels", transform),
            RewriteField::CustomMetadata => member(&mut entry.view.settings, "custom_metadata", transform),
            RewriteField::VersionCustomMetadata => entry
                .view
                .versions
                .iter_mut()
                .flatten()
                .map(|version| every_member(&mut version.metadata, &[], transform))
                .sum(),
            RewriteField::Settings | RewriteField::Group => {
                let apart = ["name", "description", "labels", "custom_metadata"];
                every_member(&mut entry.view.settings, &apart, transform)
                    + every_member(&mut entry.view.inputs, &[], transform)
            }
        };
        if places > 0 {
            found = true;
            entry.effects.push(TreatmentEffect { what: what.to_owned(), places });
        }
    }
    match (selected, found) {
        (false, _) => Err(PolicyError::Idle { what: what.to_owned() }),
        (true, false) => Err(PolicyError::Nothing { what: what.to_owned() }),
        (true, true) => Ok(()),
    }
}

/// Renames groups, and the group of every secret in them.
fn rewrite_groups(entries: &mut [SnapshotItem], what: &str, transform: &Transform) -> Result<(), PolicyError> {
    let mut renamed = BTreeMap::new();
    let mut selected = false;
    for entry in entries.iter_mut().filter(|entry| {
        entry.item.key.kind() == ItemKind::Group
            && entry.origin.selected(&transform.select)
            && entry.route != Route::BuiltIn
    }) {
        selected = true;
        if let Some((name, places)) = rewrite_text(&entry.view.name, transform) {
            entry.rename(&name);
            entry.effects.push(TreatmentEffect { what: what.to_owned(), places });
            renamed.insert(entry.item.key.id().to_owned(), name);
        }
    }
    match (selected, renamed.is_empty()) {
        (false, _) => return Err(PolicyError::Idle { what: what.to_owned() }),
        (true, true) => return Err(PolicyError::Nothing { what: what.to_owned() }),
        (true, false) => {}
    }
    for entry in entries.iter_mut().filter(|entry| entry.item.key.kind() == ItemKind::Secret) {
        if let Some(name) = entry.view.group.as_ref().and_then(|id| renamed.get(id)) {
            entry.group = Some(name.clone());
        }
    }
    Ok(())
}

/// Rewrites the texts of one member; returns the number of places.
fn member(settings: &mut JsonObject, name: &str, transform: &Transform) -> u64 {
    let Some((text, places)) = settings.get(name).and_then(|value| rewrite_json(value.get(), transform)) else {
        return 0;
    };
    match RawValue::from_string(text.to_string()) {
        Ok(value) => {
            settings.set(name, value);
            places
        }
        Err(_) => 0,
    }
}

fn every_member(settings: &mut JsonObject, apart: &[&str], transform: &Transform) -> u64 {
    let names: Vec<String> =
        settings.iter().map(|(name, _)| name.to_owned()).filter(|name| !apart.contains(&name.as_str())).collect();
    names.iter().map(|name| member(settings, name, transform)).sum()
}

/// Returns a short digest of payload rewrites, which identifies the resulting payload of a version.
pub(super) fn stamp(rewrites: &[(String, Transform)]) -> String {
    let pairs: Vec<[&str; 2]> = rewrites.iter().map(|(_, one)| [one.from.as_str(), one.to.as_str()]).collect();
    let mut digest = sha256(raw(&pairs).get().as_bytes()).to_string();
    digest.truncate(8);
    digest
}

/// Checks that every requested payload rewrite finds something.
///
/// # Errors
/// If one finds nothing in the selected items that it applies to.
pub(in crate::job::restore) fn check_rewrites(planned: &[Planned<'_>], policies: &Policies) -> Result<(), PolicyError> {
    for (place, transform) in policies.transforms.iter().enumerate() {
        let what = format!("transform {}", place + 1);
        let mut tried = planned.iter().filter(|one| {
            let lost = !one.outcome.losses.is_empty() || one.outcome.conflict.is_some() || one.skip.is_some();
            !lost && one.entry.rewrites.iter().any(|(name, _)| *name == what)
        });
        let found = planned.iter().any(|one| one.effects.iter().any(|effect| effect.what == what));
        if transform.field == RewriteField::Payload && !found && tried.next().is_some() {
            return Err(PolicyError::Nothing { what });
        }
    }
    Ok(())
}
