//! A writer that changes an instance while another client reads it, deterministically for a given seed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::provider::embedded::instance::EmbeddedInstance;
use crate::provider::embedded::state::{ApiRequest, DEFAULT_GROUP, Ids, Items, Secret, SecretState, Verb, query};

/// Change that a writer can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriterAction {
    /// Creates an `arbitrary` secret.
    Create,
    /// Deletes a secret.
    Delete,
    /// Deletes the first secret of the list, so that every later row moves up.
    DeleteFirst,
    /// Adds a version to an `arbitrary`, `kv` or `username_password` secret.
    Rotate,
    /// Changes the description of a secret.
    Describe,
    /// Sets one of three labels, so that earlier values come back.
    Label,
    /// Locks the current version of a secret.
    Lock,
    /// Removes all locks of a secret.
    Unlock,
    /// Changes the metadata of the current version of a secret.
    VersionMetadata,
    /// Creates a group or changes the description of one.
    Group,
    /// Creates a configuration, or deletes one that it created.
    Configuration,
}

/// Names of the changes in a script.
pub(crate) const CHANGES: &[(&str, WriterAction)] = &[
    ("create", WriterAction::Create),
    ("delete", WriterAction::Delete),
    ("delete-first", WriterAction::DeleteFirst),
    ("rotate", WriterAction::Rotate),
    ("describe", WriterAction::Describe),
    ("label", WriterAction::Label),
    ("lock", WriterAction::Lock),
    ("unlock", WriterAction::Unlock),
    ("version-metadata", WriterAction::VersionMetadata),
    ("group", WriterAction::Group),
    ("configuration", WriterAction::Configuration),
];

/// Prefix of the names of created items.
const MADE: &str = "fault-";

/// A request of the writer.
struct Call {
    verb: Verb,
    path: String,
    body: String,
}

/// The writer. It has its own id generator, so that its ids depend only on the seed and not on the instance's other
/// ids.
pub(crate) struct RandomWriter {
    random: ChaCha20Rng,
    ids: Ids,
    changes: Vec<WriterAction>,
    made: u64,
}

impl RandomWriter {
    pub(crate) fn new(seed: u64, changes: Vec<WriterAction>) -> Self {
        Self { random: ChaCha20Rng::seed_from_u64(seed), ids: Ids::new(Some(!seed)), changes, made: 0 }
    }

    /// Makes one change. A change that the instance refuses, such as deleting a locked secret, has no effect.
    pub(crate) fn write(&mut self, instance: &EmbeddedInstance) {
        let at = self.random.random_range(0..self.changes.len().max(1));
        let Some(change) = self.changes.get(at).copied() else { return };
        instance.change(|state, now| {
            let Some(Call { verb, path, body }) = self.call(change, &state.items) else { return };
            let path = format!("/api/v2/{path}");
            let (query, body) = (query(""), body.as_str());
            let request = ApiRequest { verb, path: &path, query, config_type: None, body, grants: None };
            std::mem::swap(&mut state.ids, &mut self.ids);
            // A refusal is not a failure: nothing has changed, as for any other client.
            drop(state.perform(now, &request));
            std::mem::swap(&mut state.ids, &mut self.ids);
        });
    }

    fn call(&mut self, change: WriterAction, items: &Items) -> Option<Call> {
        self.made += 1;
        let n = self.made;
        let call = |verb, path: String, body: String| Some(Call { verb, path, body });
        match change {
            WriterAction::Create => {
                let word: u64 = self.random.random();
                let body =
                    format!(r#"{{"secret_type":"arbitrary","name":"{MADE}{n}-{word:x}","payload":"of {word}"}}"#);
                call(Verb::Post, "secrets".to_owned(), body)
            }
            WriterAction::Delete => {
                let id = self.pick(items, |_| true)?;
                call(Verb::Delete, format!("secrets/{id}"), String::new())
            }
            WriterAction::DeleteFirst => {
                let (id, _) = items.secrets.iter().find(|(_, secret)| secret.locks_total() == 0)?;
                call(Verb::Delete, format!("secrets/{id}"), String::new())
            }
            WriterAction::Rotate => {
                let word: u64 = self.random.random();
                let id = self
                    .pick(items, |secret| secret.life == SecretState::Active && body_of_version(secret, 0).is_some())?;
                let body = body_of_version(items.secrets.get(id.as_str())?, word)?;
                call(Verb::Post, format!("secrets/{id}/versions"), body)
            }
            WriterAction::Describe => {
                let id = self.pick(items, |_| true)?;
                call(Verb::Patch, format!("secrets/{id}/metadata"), format!(r#"{{"description":"change {n}"}}"#))
            }
            WriterAction::Label => {
                let id = self.pick(items, |_| true)?;
                let label = *["aa", "bb", "cc"].get(self.random.random_range(0..3))?;
                call(Verb::Patch, format!("secrets/{id}/metadata"), format!(r#"{{"labels":["{label}"]}}"#))
            }
            WriterAction::Lock => {
                let id = self.pick(items, |_| true)?;
                call(Verb::Post, format!("secrets/{id}/locks_bulk"), format!(r#"{{"locks":[{{"name":"{MADE}{n}"}}]}}"#))
            }
            WriterAction::Unlock => {
                let id = self.pick(items, |secret| secret.locks_total() > 0)?;
                call(Verb::Delete, format!("secrets/{id}/locks_bulk"), String::new())
            }
            WriterAction::VersionMetadata => {
                let id = self.pick(items, |_| true)?;
                let body = format!(r#"{{"version_custom_metadata":{{"change":{n}}}}}"#);
                call(Verb::Patch, format!("secrets/{id}/versions/current/metadata"), body)
            }
            WriterAction::Group => {
                let groups: Vec<&str> = items.groups.keys().map(AsRef::as_ref).collect();
                let known = groups.iter().filter(|id| **id != DEFAULT_GROUP).count();
                if known == 0 || self.random.random_ratio(1, 4) {
                    return call(Verb::Post, "secret_groups".to_owned(), format!(r#"{{"name":"{MADE}{n}"}}"#));
                }
                let id = *groups.get(self.random.random_range(0..groups.len()))?;
                call(Verb::Patch, format!("secret_groups/{id}"), format!(r#"{{"description":"change {n}"}}"#))
            }
            WriterAction::Configuration => {
                let made = items.configurations.values().find(|found| found.name.starts_with(MADE));
                if let Some(made) = made {
                    return call(Verb::Delete, format!("configurations/{}", made.name), String::new());
                }
                let body = format!(
                    r#"{{"config_type":"public_cert_configuration_dns_classic_infrastructure","name":"{MADE}{n}","classic_infrastructure_username":"u","classic_infrastructure_password":"p{n}"}}"#
                );
                call(Verb::Post, "configurations".to_owned(), body)
            }
        }
    }

    /// Returns the id of a random matching secret, if any.
    fn pick(&mut self, items: &Items, fits: impl Fn(&Secret) -> bool) -> Option<String> {
        let fit: Vec<&str> =
            items.secrets.iter().filter(|(_, secret)| fits(secret)).map(|(id, _)| id.as_ref()).collect();
        let at = self.random.random_range(0..fit.len().max(1));
        fit.get(at).map(|id| (*id).to_owned())
    }
}

/// Returns the body of a new version, for the types that allow any payload.
fn body_of_version(secret: &Secret, word: u64) -> Option<String> {
    match secret.secret_type.as_str() {
        "arbitrary" => Some(format!(r#"{{"payload":"of {word}"}}"#)),
        "kv" => Some(format!(r#"{{"data":{{"word":{word}}}}}"#)),
        "username_password" => Some(format!(r#"{{"password":"of {word}"}}"#)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::provider::embedded::{InstanceClock, Options, seed};

    /// Returns the instance's content after this number of changes.
    fn written(seed_of_writer: u64, changes: &[WriterAction], steps: usize) -> String {
        let clock = InstanceClock::manual(Timestamp::from_millis(1_800_000_000_000));
        let instance = EmbeddedInstance::new(Options { clock, ids: None, ..Options::default() });
        seed(&instance, 1, 20).unwrap();
        let before = shown(&instance);
        let mut writer = RandomWriter::new(seed_of_writer, changes.to_vec());
        (0..steps).for_each(|_| writer.write(&instance));
        let after = shown(&instance);
        assert_ne!(before, after, "{changes:?} changed nothing");
        after
    }

    fn shown(instance: &EmbeddedInstance) -> String {
        let snapshot = instance.snapshot();
        let rows = snapshot.items.secrets.keys().map(|id| {
            let locks = snapshot.locks(id).unwrap_or_default().len();
            let versions = snapshot.versions(id).unwrap_or_default();
            let versions: String = versions.iter().map(|row| row.as_str()).collect();
            format!("{}{locks}{versions}", snapshot.secret_row(id).unwrap().as_str())
        });
        let groups = snapshot.items.groups.keys().map(|id| snapshot.group_row(id).unwrap().to_string());
        let configurations = snapshot.items.configurations.keys().map(ToString::to_string);
        rows.chain(groups).chain(configurations).collect()
    }

    #[test]
    fn every_change_changes_something() {
        for (name, change) in CHANGES {
            // Unlocking needs a lock first.
            let changes = if *name == "unlock" { vec![WriterAction::Lock, *change] } else { vec![*change] };
            // Use an odd number of changes, because the second may delete what the first created.
            written(3, &changes, 7);
        }
    }

    #[test]
    fn a_seed_writes_the_same_and_another_one_something_else() {
        let all: Vec<WriterAction> = CHANGES.iter().map(|(_, change)| *change).collect();
        assert_eq!(written(3, &all, 60), written(3, &all, 60));
        assert_ne!(written(3, &all, 60), written(4, &all, 60));
    }
}
