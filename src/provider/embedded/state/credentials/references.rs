//! Secrets that configurations use: `referenced_by`.

use super::super::InstanceState;
use super::super::data::Configuration;
use crate::model::Timestamp;
use crate::model::json::{JsonObject, raw};

/// Returns the ids of the secrets that a configuration uses: the API key of a custom engine, the PIN of a crypto
/// provider.
fn used(configuration: &Configuration) -> Vec<String> {
    let fields = &configuration.fields;
    let provider = fields.object("crypto_key").and_then(|key| key.object("provider"));
    let pin = provider.and_then(|provider| provider.str("pin_iam_credentials_secret_id"));
    fields.str("api_key_ref").into_iter().chain(pin).collect()
}

impl InstanceState {
    /// Adds a configuration's name to the secrets that it uses now, and removes it from those that it no longer uses.
    pub(in super::super) fn refer(
        &mut self,
        now: Timestamp,
        before: Option<&Configuration>,
        after: Option<&Configuration>,
    ) {
        let (old, new) = (before.map(used).unwrap_or_default(), after.map(used).unwrap_or_default());
        let Some((config_type, name)) =
            before.or(after).map(|configuration| (configuration.config_type.clone(), configuration.name.clone()))
        else {
            return;
        };
        // Configurations of different types may have the same name.
        let others = self.items.configurations.values();
        let others = others.filter(|other| other.name == name && other.config_type != config_type);
        let still: Vec<String> = others.flat_map(|other| used(other)).collect();
        for id in old.iter().filter(|id| !new.contains(id) && !still.contains(id)) {
            self.change_references(now, id, |names| names.retain(|found| *found != name));
        }
        for id in new.iter().filter(|id| !old.contains(id)) {
            self.change_references(now, id, |names| names.push(name.clone()));
        }
    }

    fn change_references(&mut self, now: Timestamp, id: &str, change: impl FnOnce(&mut Vec<String>)) {
        let Ok(secret) = self.secret(id) else { return };
        let mut secret = (**secret).clone();
        let mut names = referenced_by(&secret.fields);
        change(&mut names);
        names.sort();
        names.dedup();
        if names.is_empty() {
            secret.fields.remove("referenced_by");
        } else {
            secret.fields.set("referenced_by", raw(&names));
        }
        if self.switches.references_move_updated_at {
            secret.updated_at = now;
        }
        self.put_secret(secret);
    }
}

/// Returns the names of the configurations that use a secret with these members.
pub(in super::super) fn referenced_by(fields: &JsonObject) -> Vec<String> {
    let names = fields.array("referenced_by").unwrap_or_default();
    names.iter().filter_map(|name| crate::model::json::as_str(name)).collect()
}
