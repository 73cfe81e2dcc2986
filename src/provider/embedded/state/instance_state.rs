//! State of an instance, as plain data.

use super::data::{DEFAULT_GROUP, Group};
use super::forbidden::ForbiddenAct;
use super::ids::Ids;
use super::items::{Index, ItemChange, Items};
use super::renderer::Renderer;
use crate::model::Timestamp;
use crate::provider::embedded::options::{Options, Switches};

/// Complete state of an instance.
pub(crate) struct InstanceState {
    pub(crate) items: Items,
    pub(crate) renderer: Renderer,
    pub(crate) switches: Switches,
    pub(crate) ids: Ids,
    pub(crate) index: Index,
    /// Changes not yet added to the log.
    pub(crate) changes: Vec<ItemChange>,
    /// Reads that would have destroyed data in the real service.
    pub(crate) forbidden: Vec<ForbiddenAct>,
    /// Code Engine jobs used by other instances, as `REGION/PROJECT/NAME`.
    pub(super) mapped_jobs: Vec<String>,
    pub(super) host: String,
}

impl InstanceState {
    /// Creates a state that contains only the default group.
    pub(crate) fn new(options: &Options, ids: Ids, now: Timestamp) -> Self {
        // Any stable id in the provider's format will do.
        let created_by = format!("iam-ServiceId-{}", options.instance_id);
        let mut state = Self {
            items: Items::default(),
            renderer: Renderer::new(options.crn(), created_by, &options.switches),
            switches: options.switches,
            ids,
            index: Index::default(),
            changes: Vec::new(),
            forbidden: Vec::new(),
            mapped_jobs: options.mapped_jobs.clone(),
            host: format!("{}.{}.secrets-manager.appdomain.cloud", options.instance_id, options.region),
        };
        state.put_group(Group {
            id: DEFAULT_GROUP.to_owned(),
            name: DEFAULT_GROUP.to_owned(),
            description: "The default secret group.".to_owned(),
            created_at: now,
            updated_at: now,
        });
        state
    }

    /// Replaces the items with those of another instance.
    pub(crate) fn replace(&mut self, items: &Items) {
        let ids: Vec<_> = self.items.secrets.keys().cloned().collect();
        ids.iter().for_each(|id| self.drop_secret(id));
        let default_group = self.items.groups.remove(DEFAULT_GROUP);
        self.items = Items { secrets: std::collections::BTreeMap::new(), ..items.clone() };
        if let Some(group) = default_group {
            self.items.groups.entry(DEFAULT_GROUP.into()).or_insert(group);
        }
        for secret in items.secrets.values() {
            self.put_secret((**secret).clone());
        }
    }

    /// Changes the switches from now on.
    pub(crate) fn set_switches(&mut self, switches: Switches) {
        let retells = self.switches.show_ca_private_key != switches.show_ca_private_key;
        self.switches = switches;
        if retells {
            self.refresh_authorities();
        }
        self.renderer = Renderer::new(self.renderer.crn.clone(), self.renderer.created_by.clone(), &switches);
    }
}
