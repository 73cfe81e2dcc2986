//! One source of settings: the file, the environment, the flags.

use std::path::Path;
use std::sync::Arc;

use super::de::read;
use super::error::ConfigError;
use super::instances::{self, INSTANCES};
use super::jobs::{self, JOBS, JobConfig};
use super::keys;
use super::node::Node;
use super::notify::{self, NOTIFY, NotifyTarget};
use super::origin::SettingOrigin;
use super::sections::{SECTIONS, Sections};
use super::tables::Tables;

/// Settings from one origin, each checked against the type of its key.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    pub(super) sections: Node,
    pub(super) tables: Tables,
    pub(super) notify: Vec<NotifyTarget>,
    pub(super) jobs: Vec<JobConfig>,
    pub(super) instances: Vec<instances::InstanceEntry>,
    /// The instance that this is the layer of.
    pub(super) instance: Option<String>,
    /// The environment variables that references to secrets name.
    pub(super) references: Vec<String>,
    /// The environment variables that set nothing.
    pub(super) unknown: Vec<String>,
}

impl Layer {
    /// Reads the text of a configuration file.
    ///
    /// `name` is what messages call the file; relative paths in it start at `base`.
    ///
    /// # Errors
    /// When the text is no TOML, has an unknown key, a value of the wrong type, or a secret written inline.
    pub fn file(text: &str, name: &str, base: &Path) -> Result<Self, ConfigError> {
        let mut root = Node::parse(text, name, base)?;
        let references = root.variables();
        let jobs = root.take(JOBS).map(|node| jobs::read(&node)).transpose()?.unwrap_or_default();
        let instances = root.take(INSTANCES).map(|node| instances::read(&node)).transpose()?.unwrap_or_default();
        let layer = Self { jobs, instances, references, ..Self::read(root)? };
        jobs::check_instances(&layer.jobs, &layer.instances())?;
        Ok(layer)
    }

    /// Reads the environment: every `KEYHAVEN_…` variable that belongs to a key. Relative paths start at `base`, the
    /// working directory. Those that belong to none are for [`Settings::check_variables`](super::Settings).
    ///
    /// # Errors
    /// When a value has the wrong type.
    pub fn environment<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
        base: &Path,
    ) -> Result<Self, ConfigError> {
        let base: Arc<Path> = Arc::from(base);
        let (mut root, mut unknown) = (Node::default(), Vec::new());
        for (name, text) in variables {
            match keys::all().find(|key| key.variable() == name) {
                Some(key) => root.set(key.path, text, SettingOrigin::Environment(name.to_owned()), &base),
                None if keys::is_other_variable(name) => {}
                None => unknown.push(name.to_owned()),
            }
        }
        Ok(Self { references: root.variables(), unknown, ..Self::read(root)? })
    }

    /// Takes flags: key, the flag as it is typed, value. Relative paths start at `base`, the working directory.
    ///
    /// # Errors
    /// When a value has the wrong type, or there is no such key.
    pub fn flags<'a>(
        flags: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
        base: &Path,
    ) -> Result<Self, ConfigError> {
        let base: Arc<Path> = Arc::from(base);
        let mut root = Node::default();
        for (path, flag, text) in flags {
            root.set(path, text, SettingOrigin::Flag(flag.to_owned()), &base);
        }
        Ok(Self { references: root.variables(), ..Self::read(root)? })
    }

    /// Reads the sections and the tables that an instance may have, too.
    pub(super) fn read(mut root: Node) -> Result<Self, ConfigError> {
        let tables = Tables::take(&mut root)?;
        let notify = root.take(NOTIFY).map(|node| notify::read(&node)).transpose()?.unwrap_or_default();
        // Every layer is checked by itself, so that a mistake is found where another layer sets the same key.
        typed(&root)?;
        Ok(Self { sections: root, tables, notify, ..Self::default() })
    }
}

/// The sections of a tree over the defaults.
pub(super) fn typed(sections: &Node) -> Result<Sections, ConfigError> {
    let mut all = defaults();
    all.merge(sections.clone());
    read(&all, "", false)
}

/// The default of every key that has one.
pub(super) fn defaults() -> Node {
    let (mut root, base) = (Node::default(), Arc::from(Path::new("")));
    for section in SECTIONS.iter().filter(|section| !section.name.is_empty()) {
        root.merge(Node::member(section.name, Node::default()));
    }
    for key in keys::all() {
        if let Some(default) = key.default {
            root.set(key.path, default, SettingOrigin::Default, &base);
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn the_defaults_have_their_types() {
        assert!(typed(&Node::default()).is_ok());
    }

    #[test]
    fn a_variable_that_a_secret_refers_to_is_known() {
        let build = |file: &str, variable: &str| {
            let file = Layer::file(file, "keyhaven.toml", Path::new("/"))?;
            let environment = Layer::environment([(variable, "hunter2")], Path::new("/"))?;
            Settings::build([file, environment])?.check_variables()
        };
        let file = "[source]\napi_key = \"env:KEYHAVEN_OWN\"\n";
        assert_eq!(build(file, "KEYHAVEN_OWN"), Ok(()));
        let message = build("", "KEYHAVEN_OWN").unwrap_err().to_string();
        assert_eq!(message, "unknown environment variable KEYHAVEN_OWN");
        let message = build("", "KEYHAVEN_SOURCE_URLS").unwrap_err().to_string();
        assert_eq!(message, "unknown environment variable KEYHAVEN_SOURCE_URLS; did you mean KEYHAVEN_SOURCE_URL?");
    }
}
