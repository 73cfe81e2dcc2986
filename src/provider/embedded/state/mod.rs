//! The instance as a state machine of plain data: no network, no clock, no lock. A request and the present go in, an
//! answer or a refusal comes out, and what changed is noted for the log.

mod authorize;
pub(crate) mod certificate;
mod configurations;
mod credentials;
mod data;
mod groups;
#[cfg(test)]
mod harness;
mod ids;
mod input;
#[cfg(test)]
mod invariants;
mod items;
mod kinds;
mod list;
mod locks;
mod merge;
mod payload_text;
mod pki;
mod plant;
mod refusal;
mod registration;
mod render;
mod request;
mod rules;
mod secrets;
mod shared;
mod sweep;
mod tasks;
pub(crate) mod text;
mod versions;

use zeroize::Zeroizing;

pub use credentials::LiveCredential;
pub use data::{Configuration, DEFAULT_GROUP, Group, Lock, Registration, Secret, SecretState, SecretVersion};
pub(crate) use ids::Ids;
pub use items::{ItemChange, Items};
pub(crate) use pki::PUBLIC;
pub use plant::{ForbiddenAct, Planted};
pub(crate) use refusal::Refusal;
pub use render::Renderer;
pub(crate) use request::{ApiRequest, class_of};
pub use request::{Class, PageFault, Verb};
pub use tasks::{SecretTask, TaskError, TaskKind, TaskStatus, TaskTrigger};

use super::options::{Options, Switches};
use crate::model::Timestamp;

/// A good answer: a status and, with most of them, a body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Option<Zeroizing<String>>,
}

impl Answer {
    pub(crate) fn ok(body: Zeroizing<String>) -> Self {
        Self { status: 200, body: Some(body) }
    }

    pub(crate) fn created(body: Zeroizing<String>) -> Self {
        Self { status: 201, body: Some(body) }
    }

    pub(crate) fn no_content() -> Self {
        Self { status: 204, body: None }
    }
}

/// Everything that an instance knows.
pub(crate) struct InstanceState {
    pub(crate) items: Items,
    pub(crate) renderer: Renderer,
    pub(crate) switches: Switches,
    pub(crate) ids: Ids,
    pub(crate) index: items::Index,
    /// What changed since the log took it last.
    pub(crate) changes: Vec<ItemChange>,
    /// Reads that would have destroyed something in the real service.
    pub(crate) forbidden: Vec<ForbiddenAct>,
    /// Code Engine jobs that other instances use, as `REGION/PROJECT/NAME`.
    mapped_jobs: Vec<String>,
    host: String,
}

impl InstanceState {
    /// An empty instance: the default group and nothing else.
    pub(crate) fn new(options: &Options, ids: Ids, now: Timestamp) -> Self {
        // Any stable id does; it only has to look like the provider's.
        let created_by = format!("iam-ServiceId-{}", options.instance_id);
        let mut state = Self {
            items: Items::default(),
            renderer: Renderer::new(options.crn(), created_by, &options.switches),
            switches: options.switches,
            ids,
            index: items::Index::default(),
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

    /// Takes over the items of another instance.
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

    /// Changes how the instance behaves from now on.
    pub(crate) fn set_switches(&mut self, switches: Switches) {
        let retells = self.switches.show_ca_private_key != switches.show_ca_private_key;
        self.switches = switches;
        if retells {
            self.retell_authorities();
        }
        self.renderer = Renderer::new(self.renderer.crn.clone(), self.renderer.created_by.clone(), &switches);
    }
}

/// Decodes a query.
pub(crate) fn query(text: &str) -> list::Query {
    list::Query::parse(text)
}
