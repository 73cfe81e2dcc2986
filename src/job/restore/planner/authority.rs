//! Certificate authorities: created with the same parameters and a new key, then signed inside the standby or
//! elsewhere.

use super::{Chain, PlannedItem};
use crate::job::restore::known::{StandbyItem, settings_digest};
use crate::job::restore::options::OnConflict;
use crate::job::restore::state::ItemState;
use crate::model::{ItemKey, Treatment};
use crate::provider::normal::normal;
use crate::provider::{Action, Certification, Phase, RestoreItem};

/// Inputs for planning an authority.
#[derive(Debug, Clone, Copy)]
pub struct AuthorityContext<'a> {
    /// True if an authority of its own instance signs it.
    pub has_issuer: bool,
    /// Treatment.
    pub treatment: Treatment,
    /// Phase of its steps.
    pub phase: Phase,
    /// Policy for an existing authority with other settings.
    pub on_conflict: OnConflict,
    /// Authority of the source that signs it, if the source is alive and may be asked.
    pub signer: Option<&'a ItemKey>,
}

/// Plans an authority.
#[must_use]
pub fn authority(view: &RestoreItem, known: Option<&StandbyItem>, context: &AuthorityContext<'_>) -> PlannedItem {
    let inside = context.treatment == Treatment::Recreate && context.has_issuer;
    let mut outcome = PlannedItem::default();
    let settings = settings_digest(&view.settings, view.compared(), None);
    let mut chain = match known {
        None => {
            let mut chain = Chain::new(ItemState::default());
            chain.step(context.phase, Action::CreateConfiguration, "it is not in the standby", |state| {
                state.present = true;
                state.settings = Some(settings);
                state.certification = Some(match (context.treatment, inside) {
                    (Treatment::External, _) => Certification::Requested,
                    (_, true) => Certification::Unsigned,
                    (_, false) => Certification::Certified,
                });
            });
            outcome.notes.push(trust(context));
            chain
        }
        Some(known) => {
            let mut chain = Chain::new(known.state(view.compared()));
            chain.now.value = None;
            if chain.now.settings != Some(settings) {
                match may_update(view, known, context) {
                    Ok(()) => {
                        let action = Action::UpdateConfiguration;
                        chain.step(context.phase, action, "its settings differ", |state| {
                            state.settings = Some(settings);
                        });
                    }
                    Err(why) => return PlannedItem::conflict(why),
                }
            }
            chain
        }
    };
    let signed = |state: &mut ItemState| state.certification = Some(Certification::Certified);
    match chain.now.certification {
        Some(Certification::Ended) => {
            return PlannedItem::conflict(
                "its certificate in the standby has expired or was revoked; delete it there, then make a new plan",
            );
        }
        // An authority that was unsigned in the source as well needs no signature.
        Some(Certification::Unsigned) if inside && view.certification == Some(Certification::Certified) => {
            let reason = "its issuer in the standby has to sign it";
            chain.step(context.phase, Action::SignAuthority, reason, signed);
        }
        Some(Certification::Unsigned) if !inside => {
            return PlannedItem::conflict(
                "in the standby it waits for a signature by an authority there; let one sign it, or delete it, then make \
                 a new plan",
            );
        }
        Some(Certification::Requested) => {
            let reason = match context.signer {
                Some(signer) => {
                    let name = signer.id().rsplit_once('/').map_or(signer.id(), |(_, name)| name);
                    format!("{name} of the source signs its request")
                }
                None => "its request has to be signed outside the standby".to_owned(),
            };
            chain.step(context.phase, Action::SetSigned { by: context.signer.cloned() }, reason, signed);
        }
        _ => {}
    }
    outcome.steps = chain.finish();
    outcome
}

/// Describes the consequences of the new key for clients that trust the old one.
fn trust(context: &AuthorityContext<'_>) -> String {
    match (context.treatment, context.signer) {
        (Treatment::External, Some(_)) => {
            "it gets a new key and is signed by the source: what trusts the source's authority trusts it too".to_owned()
        }
        (Treatment::External, None) => {
            "it gets a new key: what trusts the authority that signs it trusts it too".to_owned()
        }
        _ => "it gets a new key: everything that trusts the old certificate must be given the new one".to_owned(),
    }
}

/// Checks whether a patch may change the settings to the wanted ones.
fn may_update(view: &RestoreItem, known: &StandbyItem, context: &AuthorityContext<'_>) -> Result<(), String> {
    let differing = differing(view, known);
    if let Some(name) = differing.iter().find(|name| view.unpatchable.contains(name)) {
        return Err(format!(
            "the standby has it with another {name}, which no patch can change; rename or delete that one, then make a \
             new plan"
        ));
    }
    match context.on_conflict {
        OnConflict::NewVersion => Ok(()),
        OnConflict::Fail | OnConflict::Skip | OnConflict::Replace => Err(format!(
            "the standby has it with other settings ({}); exclude it, change it there, or overwrite it",
            differing.join(", ")
        )),
    }
}

/// Returns the compared settings that differ in the standby.
pub(super) fn differing<'v>(view: &'v RestoreItem, known: &StandbyItem) -> Vec<&'v str> {
    let value = |view: &RestoreItem, name: &str| view.settings.get(name).filter(|v| v.get() != "null").map(normal);
    view.compared().filter(|name| value(view, name) != value(&known.view, name)).collect()
}
