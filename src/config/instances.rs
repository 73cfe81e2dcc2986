//! Several instances in one file: `[[instances]]`, each one more layer over the rest of the file.

use super::entry::{entries, is_name};
use super::error::ConfigError;
use super::jobs::JOBS;
use super::layer::Layer;
use super::node::Node;
use super::origin::{SettingOrigin, ShownEntry};
use super::settings::{Settings, shown};
use super::value::Location;
use crate::model::nearest::did_you_mean;

/// The table's name.
pub(super) const INSTANCES: &str = "instances";

/// Maximum length of an instance name, in characters. Names are in metrics, and people type them.
const LONGEST_NAME: usize = 40;

/// Settings of the process, not of an instance.
const OF_THE_PROCESS: &[&str] = &[INSTANCES, JOBS, "daemon", "metrics", "notify", "hooks", "audit", "log"];

/// One entry of the table.
#[derive(Debug, Clone)]
pub(super) struct InstanceEntry {
    pub(super) name: String,
    origin: SettingOrigin,
    /// Its settings.
    layer: Layer,
}

/// Reads the table, in the order of the file.
pub(super) fn read(node: &Node) -> Result<Vec<InstanceEntry>, ConfigError> {
    let mut parts: Vec<InstanceEntry> = Vec::new();
    for entry in entries(INSTANCES, node)? {
        let Some(name) = entry.member::<String>("name")? else { return Err(entry.error("it has no `name`")) };
        if !is_name(&name, LONGEST_NAME) {
            let problem = format!(
                "`{name}` is no name for an instance; a name is 1 to {LONGEST_NAME} of a-z, 0-9 and `-`, with no `-` at \
                 its ends"
            );
            return Err(entry.at("name", problem));
        }
        if let Some(first) = parts.iter().find(|part| part.name == name) {
            return Err(entry.at("name", format!("`{name}` is taken already ({}); names are unique", first.origin)));
        }
        if let Some(member) = OF_THE_PROCESS.iter().find(|member| entry.node.find(member).is_some()) {
            return Err(entry.at(member, "belongs to all instances together; write it at the top of the file"));
        }
        let mut own = entry.node.clone();
        own.take("name");
        let layer = Layer { instance: Some(name.clone()), ..Layer::read(own)? };
        parts.push(InstanceEntry { name, origin: entry.node.origin.clone(), layer });
    }
    Ok(parts)
}

impl Layer {
    /// The names of the instances that a file has, in its order; none where it has no `[[instances]]`.
    pub fn instances(&self) -> impl Iterator<Item = &str> + Clone {
        self.instances.iter().map(|part| part.name.as_str())
    }

    /// What the file sets for that instance alone, to be put over the file itself. Without a name the only one is
    /// meant; nothing where the file has none.
    ///
    /// # Errors
    /// When the file has no instance of that name, or several and none is named.
    pub fn instance(&self, wanted: Option<&str>) -> Result<Option<Self>, ConfigError> {
        let names = || self.instances().collect::<Vec<_>>().join(", ");
        let failed = |problem: String| Err(ConfigError::Instance { problem });
        match (wanted, self.instances.as_slice()) {
            (None, []) => Ok(None),
            (None, [one]) => Ok(Some(one.layer.clone())),
            (None, _) => failed(format!(
                "the configuration has several instances; say which with --instance NAME or KEYHAVEN_INSTANCE: {}",
                names()
            )),
            (Some(name), []) => {
                failed(format!("the configuration has no `[[instances]]`, so there is none of the name `{name}`"))
            }
            (Some(name), parts) => match parts.iter().find(|part| part.name == name) {
                Some(part) => Ok(Some(part.layer.clone())),
                None => {
                    let near = did_you_mean(name, self.instances());
                    failed(format!("the configuration has no instance of the name `{name}`{near}; it has {}", names()))
                }
            },
        }
    }

    /// Returns the settings of each instance, for people.
    #[must_use]
    pub fn instances_shown(&self) -> Vec<ShownEntry> {
        let of = |part: &InstanceEntry| {
            let key = |member: &str| format!("{INSTANCES}.{}.{member}", part.name);
            let name = ShownEntry { key: key("name"), value: part.name.clone(), origin: part.origin.clone() };
            let values = shown(&part.layer.sections).into_iter().chain(part.layer.tables.shown());
            let values = values.map(|one| ShownEntry { key: key(&one.key), ..one });
            std::iter::once(name).chain(values).collect::<Vec<_>>()
        };
        self.instances.iter().flat_map(of).collect()
    }
}

/// Checks that no two instances share a repository, by its place or by its pinned id. One instance may have two
/// repositories; one repository has one source, or its ledger would mean nothing.
///
/// # Errors
/// When two do.
pub fn check_apart(instances: &[Settings]) -> Result<(), ConfigError> {
    for (at, one) in instances.iter().enumerate() {
        for other in instances.iter().take(at) {
            let key = if same_place(one, other) {
                "repository.url"
            } else if one.repository_id().is_some() && one.repository_id() == other.repository_id() {
                "repository.id"
            } else {
                continue;
            };
            let problem = format!(
                "the instances `{}` and `{}` have one repository; each needs its own",
                other.instance(),
                one.instance()
            );
            return Err(one.unfit(key, &problem));
        }
    }
    Ok(())
}

fn same_place(one: &Settings, other: &Settings) -> bool {
    let place = |settings: &Settings| {
        let repository = settings.repository().ok()?;
        // The same bucket name at another endpoint is another bucket.
        let endpoint = match repository.location {
            Location::Bucket { .. } => repository.endpoint,
            Location::Folder(_) => None,
        };
        Some((repository.location, endpoint))
    };
    place(one).is_some() && place(one) == place(other)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TWO: &str = "\
[source]
iam_url = \"https://iam.example\"
api_key = \"env:SHARED\"
[repository]
endpoint = \"https://s3.example\"
[[instances]]
name = \"payments\"
source.url = \"https://pay.example\"
source.api_key = \"file:pay-key\"
repository.url = \"s3://backups/payments\"
[[instances]]
name = \"web-shop\"
[instances.source]
url = \"https://shop.example\"
[instances.repository]
url = \"s3://backups/shop\"
";

    fn file(text: &str) -> Result<Layer, ConfigError> {
        Layer::file(text, "keyhaven.toml", Path::new("/etc/keyhaven"))
    }

    fn of(text: &str, wanted: Option<&str>) -> Result<Settings, ConfigError> {
        let file = file(text)?;
        let own = file.instance(wanted)?;
        Settings::build([Some(file), own].into_iter().flatten())
    }

    #[test]
    fn each_is_a_layer_over_the_file() {
        let pay = of(TWO, Some("payments")).unwrap();
        assert_eq!((pay.instance(), pay.source().unwrap().url.as_str()), ("payments", "https://pay.example"));
        let key = crate::config::SecretRef::File("/etc/keyhaven/pay-key".into());
        assert_eq!(pay.source().unwrap().api_key, key, "its own key replaces the shared one");
        let shop = of(TWO, Some("web-shop")).unwrap();
        assert_eq!(shop.source().unwrap().iam_url, "https://iam.example");
        assert_eq!(shop.source().unwrap().api_key, crate::config::SecretRef::Env("SHARED".into()));
        assert!(check_apart(&[pay, shop]).is_ok());
    }

    #[test]
    fn one_is_chosen_by_itself_and_of_several_one_must_be_named() {
        assert_eq!(of("[source]\nurl = \"https://a.example\"\n", None).unwrap().instance(), "");
        assert_eq!(of("[[instances]]\nname = \"only\"\n", None).unwrap().instance(), "only");
        let fails = |text: &str, wanted: Option<&str>| of(text, wanted).unwrap_err().to_string();
        assert_eq!(
            fails(TWO, None),
            "the configuration has several instances; say which with --instance NAME or KEYHAVEN_INSTANCE: payments, \
             web-shop"
        );
        assert_eq!(
            fails(TWO, Some("payment")),
            "the configuration has no instance of the name `payment`; did you mean `payments`?; it has payments, web-shop"
        );
        assert!(fails("", Some("payments")).contains("has no `[[instances]]`"));
    }

    #[test]
    fn two_instances_never_share_a_repository() {
        let apart = |a: &str, b: &str| {
            let text = format!(
                "[repository]\nendpoint = \"https://s3.example\"\n[[instances]]\nname = \"a\"\n{a}\n[[instances]]\n\
                 name = \"b\"\n{b}\n"
            );
            let all = [of(&text, Some("a")).unwrap(), of(&text, Some("b")).unwrap()];
            check_apart(&all).map_err(|error| error.to_string())
        };
        let same = apart("repository.url = \"s3://b/p\"", "repository.url = \"s3://b/p/\"").unwrap_err();
        assert_eq!(
            same,
            "`repository.url` (keyhaven.toml, line 8, column 12): the instances `a` and `b` have one repository; each needs its own"
        );
        assert!(apart("repository.url = \"./r\"", "repository.url = \"r\"").is_err());
        let elsewhere = "repository.url = \"s3://b/p\"\nrepository.endpoint = \"https://other.example\"";
        assert!(apart("repository.url = \"s3://b/p\"", elsewhere).is_ok());
        let id = format!("repository.id = \"{}\"", "a".repeat(64));
        assert!(apart(&id, &id).unwrap_err().contains("`repository.id`"));
        assert!(apart("", "").is_ok(), "nothing is set yet");
    }

    #[test]
    fn what_they_set_is_shown() {
        let shown: Vec<String> =
            file(TWO).unwrap().instances_shown().iter().map(|one| format!("{} {}", one.key, one.origin)).collect();
        assert!(shown.contains(&"instances.web-shop.source.url keyhaven.toml, line 14".to_owned()), "{shown:?}");
    }
}
