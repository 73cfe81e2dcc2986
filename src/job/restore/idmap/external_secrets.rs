//! JSON patches (RFC 6902) for External Secrets Operator objects that refer to secrets of the source by id.
//!
//! The operator's store for the service accepts these references: `ID` (an `arbitrary` secret), `TYPE/ID`,
//! `GROUP/TYPE/ID`, and `GROUP/TYPE/NAME`. The last form survives a restore unless group, type or name differ in the
//! standby. A reference that ends in a UUID is by id, whatever precedes it. References are in
//! `spec.data[].remoteRef.key` and `spec.dataFrom[].extract.key` (before `v1beta1`: `spec.dataFrom[].key`); in a
//! `ClusterExternalSecret`, below `spec.externalSecretSpec`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{IdMap, Mapping};
use crate::model::{FailureKind, ItemKind};

/// Maximum number of objects in a file.
pub const MAX_OBJECTS: usize = 200_000;
/// Maximum length in bytes of a name or namespace in Kubernetes (RFC 1123 subdomain).
const LONGEST_NAME: usize = 253;
/// API group of the objects.
const API_GROUP: &str = "external-secrets.io/";

/// Patches that make the objects of a file refer to the standby.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Patches {
    /// Number of objects examined.
    pub objects: u64,
    /// Number of references examined.
    pub references: u64,
    /// One patch for each object that refers to an old id.
    pub patches: Vec<Patch>,
    /// Number of references that are already correct: by a new id, or by an unchanged name.
    pub right: u64,
    /// References by an id that is not in the map.
    pub unmapped: Vec<Reference>,
    /// Objects that a controller re-creates. A patch would not last, so they get none.
    pub owned: Vec<Owned>,
    /// Points to check after patching.
    pub notes: Vec<String>,
}

/// The patch of one object.
#[derive(Debug, Clone, Serialize)]
pub struct Patch {
    /// Object to patch.
    #[serde(flatten)]
    pub object: Name,
    /// Operations: a `test` before each `replace`, so that the patch fails on an object that has changed since.
    pub patch: Vec<Operation>,
}

/// One operation of a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Requires the current value.
    Test {
        /// JSON pointer.
        path: String,
        /// Expected value.
        value: String,
    },
    /// Sets a new value.
    Replace {
        /// JSON pointer.
        path: String,
        /// New value.
        value: String,
    },
}

/// Name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Name {
    /// Its kind.
    pub kind: String,
    /// Its namespace; `None` for a cluster-wide object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// A reference to a secret in an object.
#[derive(Debug, Clone, Serialize)]
pub struct Reference {
    /// The object.
    #[serde(flatten)]
    pub object: Name,
    /// Path in the object.
    pub path: String,
    /// The reference itself.
    pub key: String,
}

/// An object that a controller creates.
#[derive(Debug, Clone, Serialize)]
pub struct Owned {
    /// The object.
    #[serde(flatten)]
    pub object: Name,
    /// Kind and name of the controller.
    pub owner: String,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Invalid JSON.
    #[error("the file is no JSON; make it with `kubectl get externalsecrets --all-namespaces -o json`")]
    Json(#[from] serde_json::Error),
    /// An invalid object.
    #[error("{place} {problem}; make the file with `kubectl get externalsecrets --all-namespaces -o json`")]
    Object {
        /// Position of the object in the file.
        place: String,
        /// The problem.
        problem: String,
    },
}

impl ManifestError {
    /// Returns the kind of this failure.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        FailureKind::Usage
    }
}

impl Patches {
    /// Returns the kind of failure: `None` if every reference was mapped and every patch lasts.
    #[must_use]
    pub fn kind(&self) -> Option<FailureKind> {
        (!self.unmapped.is_empty() || !self.owned.is_empty()).then_some(FailureKind::Partial)
    }
}

impl Patch {
    /// Returns the shell command that applies the patch.
    #[must_use]
    pub fn command(&self) -> String {
        let Name { kind, namespace, name } = &self.object;
        let namespace = namespace.as_ref().map(|namespace| format!(" --namespace {namespace}")).unwrap_or_default();
        let patch = serde_json::to_string(&self.patch).unwrap_or_default().replace('\'', r"'\''");
        format!("kubectl patch {} {name}{namespace} --type=json --patch='{patch}'", kind.to_lowercase())
    }

    /// Returns a file name for the patch. It contains only characters that Kubernetes allows in names, so no `/`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let Name { kind, namespace, name } = &self.object;
        let namespace = namespace.as_ref().map(|namespace| format!("{namespace}.")).unwrap_or_default();
        format!("{}.{namespace}{name}.json", kind.to_lowercase())
    }
}

/// New form of a reference.
enum Becomes<'m> {
    Same,
    Other(String, &'m Mapping),
    Unknown,
}

/// Index of the secrets of an id map.
struct Secrets<'m> {
    by_old: BTreeMap<String, &'m Mapping>,
    new: BTreeSet<String>,
    /// Secrets with another group, type or name than in the source, by old group, type and name.
    moved: BTreeMap<[&'m str; 3], &'m Mapping>,
}

impl<'m> Secrets<'m> {
    fn of(map: &'m IdMap) -> Self {
        let secrets = || map.items.iter().filter(|item| item.key.kind() == ItemKind::Secret);
        let moved = |item: &'m Mapping| {
            let old = (item.old_group.as_deref(), item.old_type.as_deref(), item.old_name.as_deref());
            let group = old.0.or(item.group.as_deref())?;
            let called = [group, old.1.unwrap_or(&item.item_type), old.2.unwrap_or(&item.name)];
            (old != (None, None, None)).then_some((called, item))
        };
        Self {
            by_old: secrets().map(|item| (item.old_id.to_ascii_lowercase(), item)).collect(),
            new: secrets().map(|item| item.new_id.to_ascii_lowercase()).collect(),
            moved: secrets().filter_map(moved).collect(),
        }
    }

    fn becomes(&self, key: &str) -> Becomes<'m> {
        let parts: Vec<&str> = key.split('/').collect();
        let Some((last, before)) = parts.split_last() else { return Becomes::Same };
        let id = last.to_ascii_lowercase();
        if let Some(item) = self.by_old.get(&id) {
            let mut parts: Vec<&str> = before.to_vec();
            if let (Some(type_part), Some(old)) = (parts.last_mut(), item.old_type.as_deref())
                && *type_part == old
            {
                *type_part = &item.item_type;
            }
            if let ([group_part, _], Some(old), Some(new)) =
                (parts.as_mut_slice(), item.old_group.as_deref(), item.group.as_deref())
                && *group_part == old
            {
                *group_part = new;
            }
            parts.push(&item.new_id);
            return Becomes::Other(parts.join("/"), item);
        }
        if self.new.contains(&id) {
            return Becomes::Same;
        }
        if uuid::Uuid::try_parse(last).is_ok() {
            return Becomes::Unknown;
        }
        match *parts.as_slice() {
            [group, old, name] => match self.moved.get(&[group, old, name]) {
                Some(item) => {
                    let group = item.group.as_deref().unwrap_or(group);
                    Becomes::Other(format!("{group}/{}/{}", item.item_type, item.name), item)
                }
                None => Becomes::Same,
            },
            _ => Becomes::Same,
        }
    }
}

/// Returns the patches for a file of objects: the output of `kubectl get externalsecrets --all-namespaces -o json`, or
/// of `clusterexternalsecrets`, or a single object. `stores` limits the result to references through these secret
/// stores; empty means all.
///
/// # Errors
/// If the file holds anything else, or an object with invalid parts.
pub fn patches(text: &[u8], map: &IdMap, stores: &[String]) -> Result<Patches, ManifestError> {
    let mut root: Value = serde_json::from_slice(text)?;
    let is_list = root.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    let objects = match root.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items,
        None if !is_list => vec![root],
        _ => return Err(object("the file", "is a list without `items`, or has `items` and is none")),
    };
    if objects.len() > MAX_OBJECTS {
        return Err(object("the file", &format!("holds more than {MAX_OBJECTS} objects")));
    }
    let secrets = Secrets::of(map);
    let mut out = Patches::default();
    for (at, value) in objects.iter().enumerate() {
        out.objects += 1;
        one(value, &format!("object {}", at + 1), &secrets, stores, &mut out)?;
    }
    Ok(out)
}

fn object(place: &str, problem: &str) -> ManifestError {
    ManifestError::Object { place: place.to_owned(), problem: problem.to_owned() }
}

fn one(
    value: &Value,
    place: &str,
    secrets: &Secrets<'_>,
    stores: &[String],
    out: &mut Patches,
) -> Result<(), ManifestError> {
    let api = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    let spec = match kind {
        _ if !api.starts_with(API_GROUP) => None,
        "ExternalSecret" => Some("/spec"),
        "ClusterExternalSecret" => Some("/spec/externalSecretSpec"),
        _ => None,
    };
    let Some(spec) = spec else {
        return Err(object(place, "is neither an ExternalSecret nor a ClusterExternalSecret of external-secrets.io"));
    };
    let name = name(value, kind, place)?;
    let mut patch = Vec::new();
    for (path, key, store) in references(value, spec, place)? {
        if !stores.is_empty() && !store.is_some_and(|store| stores.iter().any(|named| named == store)) {
            continue;
        }
        out.references += 1;
        match secrets.becomes(key) {
            Becomes::Same => out.right += 1,
            Becomes::Unknown => {
                out.unmapped.push(Reference { object: name.clone(), path, key: key.to_owned() });
            }
            Becomes::Other(new, item) => {
                if let Some(old) = &item.old_type {
                    out.notes.push(format!(
                        "{} {path}: {} is of type {} in the standby and was of type {old}; see that its `property` is \
                         one that this type has",
                        name.name, item.name, item.item_type
                    ));
                }
                patch.push(Operation::Test { path: path.clone(), value: key.to_owned() });
                patch.push(Operation::Replace { path, value: new });
            }
        }
    }
    if patch.is_empty() {
        return Ok(());
    }
    match owner(value) {
        Some(owner) => out.owned.push(Owned { object: name, owner }),
        None => out.patches.push(Patch { object: name, patch }),
    }
    Ok(())
}

fn name(value: &Value, kind: &str, place: &str) -> Result<Name, ManifestError> {
    let member = |name: &str| value.pointer(&format!("/metadata/{name}"));
    let text = |name: &str| match member(name) {
        Some(Value::String(text)) if is_name(text) => Ok(Some(text.clone())),
        None => Ok(None),
        Some(_) => Err(object(place, &format!("has a `metadata.{name}` that Kubernetes does not allow"))),
    };
    let name = text("name")?.ok_or_else(|| object(place, "has no `metadata.name`"))?;
    Ok(Name { kind: kind.to_owned(), namespace: text("namespace")?, name })
}

/// Returns true if the text is a valid Kubernetes name. Such a text needs no shell quoting and is a valid file name.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= LONGEST_NAME && text.chars().all(allowed) && edge(text.chars().next()) && edge(text.chars().last())
}

/// Returns the controller that owns the object, if any.
fn owner(value: &Value) -> Option<String> {
    let owners = value.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
    let text = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or("?");
    Some(format!("{} {}", text("kind"), text("name")))
}

/// Path, key and store of one reference.
type StoreReference<'v> = (String, &'v str, Option<&'v str>);

/// Returns every reference of an object.
fn references<'v>(value: &'v Value, spec: &str, place: &str) -> Result<Vec<StoreReference<'v>>, ManifestError> {
    let whole = value.pointer(&format!("{spec}/secretStoreRef/name")).and_then(Value::as_str);
    let mut found = Vec::new();
    for (list, keys) in [("data", &["/remoteRef/key"][..]), ("dataFrom", &["/extract/key", "/key"])] {
        let entries = match value.pointer(&format!("{spec}/{list}")) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err(object(place, &format!("has a `{list}` that is no list"))),
        };
        for (at, entry) in entries.iter().enumerate() {
            let own = entry.pointer("/sourceRef/storeRef/name").and_then(Value::as_str);
            for key in keys {
                match entry.pointer(key) {
                    Some(Value::String(text)) => {
                        found.push((format!("{spec}/{list}/{at}{key}"), text.as_str(), own.or(whole)));
                    }
                    None => {}
                    Some(_) => return Err(object(place, &format!("has a key in `{list}` that is no text"))),
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "11111111-aaaa-4bbb-8ccc-000000000001";
    const NEW: &str = "22222222-aaaa-4bbb-8ccc-000000000001";
    const CERT: &str = "11111111-aaaa-4bbb-8ccc-000000000002";
    const NEW_CERT: &str = "22222222-aaaa-4bbb-8ccc-000000000002";

    fn map() -> IdMap {
        let item = |old: &str, new: &str, old_type: Option<&str>, item_type: &str, name: &str| Mapping {
            key: format!("secret/{old}").parse().unwrap(),
            item_type: item_type.into(),
            old_type: old_type.map(Into::into),
            name: name.into(),
            group: Some("prod".into()),
            old_name: None,
            old_group: None,
            old_id: old.into(),
            new_id: new.into(),
            versions: Vec::new(),
            terraform: None,
        };
        let items =
            vec![item(OLD, NEW, None, "kv", "db"), item(CERT, NEW_CERT, Some("private_cert"), "imported_cert", "tls")];
        IdMap { source: String::new(), standby: None, complete: true, items }
    }

    fn external_secret(metadata: &str, data: &str) -> String {
        format!(
            r#"{{"apiVersion":"external-secrets.io/v1","kind":"ExternalSecret","metadata":{metadata},
                "spec":{{"secretStoreRef":{{"name":"store","kind":"SecretStore"}},{data}}}}}"#
        )
    }

    fn keys(keys: &[&str]) -> String {
        let data: Vec<String> =
            keys.iter().map(|key| format!(r#"{{"secretKey":"k","remoteRef":{{"key":"{key}"}}}}"#)).collect();
        format!(r#""data":[{}]"#, data.join(","))
    }

    fn of(text: &str) -> Patches {
        patches(text.as_bytes(), &map(), &[]).unwrap()
    }

    fn becomes(key: &str) -> Option<String> {
        let made = of(&external_secret(r#"{"name":"a","namespace":"b"}"#, &keys(&[key])));
        let Some(Operation::Replace { value, .. }) = made.patches.first().and_then(|one| one.patch.last()) else {
            return None;
        };
        Some(value.clone())
    }

    #[test]
    fn every_form_of_a_reference_finds_its_new_id() {
        assert_eq!(becomes(OLD).unwrap(), NEW);
        assert_eq!(becomes(&OLD.to_uppercase()).unwrap(), NEW);
        assert_eq!(becomes(&format!("kv/{OLD}")).unwrap(), format!("kv/{NEW}"));
        assert_eq!(becomes(&format!("prod/kv/{OLD}")).unwrap(), format!("prod/kv/{NEW}"));
        assert_eq!(becomes(&format!("private_cert/{CERT}")).unwrap(), format!("imported_cert/{NEW_CERT}"));
        assert_eq!(becomes("prod/private_cert/tls").unwrap(), "prod/imported_cert/tls", "the type is another one");
        assert_eq!(becomes("prod/kv/db"), None, "by name nothing changes");
        assert_eq!(becomes(&format!("kv/{NEW}")), None, "patched before");
    }

    #[test]
    fn a_reference_by_name_follows_a_secret_that_is_called_otherwise_in_the_standby() {
        let mut map = map();
        map.items[0].old_name = Some("database".into());
        map.items[1].old_group = Some("production".into());
        map.items[1].old_name = Some("cert".into());
        let becomes = |key: &str| {
            let text = external_secret(r#"{"name":"a","namespace":"b"}"#, &keys(&[key]));
            let made = patches(text.as_bytes(), &map, &[]).unwrap();
            match made.patches.first().and_then(|one| one.patch.last()) {
                Some(Operation::Replace { value, .. }) => value.clone(),
                _ => "stays".to_owned(),
            }
        };
        assert_eq!(becomes("prod/kv/database"), "prod/kv/db");
        assert_eq!(becomes("production/private_cert/cert"), "prod/imported_cert/tls");
        assert_eq!(becomes(&format!("production/private_cert/{CERT}")), format!("prod/imported_cert/{NEW_CERT}"));
        assert_eq!(becomes("prod/private_cert/tls"), "stays", "it was never called that");
    }

    #[test]
    fn a_replace_is_guarded_by_a_test_of_the_same_place() {
        let text = external_secret(
            r#"{"name":"a","namespace":"b"}"#,
            &format!(r#""dataFrom":[{{"find":{{"name":{{"regexp":".*"}}}}}},{{"extract":{{"key":"kv/{OLD}"}}}}]"#),
        );
        let made = of(&text);
        let path = "/spec/dataFrom/1/extract/key".to_owned();
        let test = Operation::Test { path: path.clone(), value: format!("kv/{OLD}") };
        assert_eq!(made.patches[0].patch, [test, Operation::Replace { path, value: format!("kv/{NEW}") }]);
        assert_eq!(made.patches[0].file_name(), "externalsecret.b.a.json");
        assert_eq!(
            made.patches[0].command(),
            format!(
                "kubectl patch externalsecret a --namespace b --type=json --patch='[{{\"op\":\"test\",\"path\":\
                 \"/spec/dataFrom/1/extract/key\",\"value\":\"kv/{OLD}\"}},{{\"op\":\"replace\",\"path\":\
                 \"/spec/dataFrom/1/extract/key\",\"value\":\"kv/{NEW}\"}}]'"
            )
        );
    }

    #[test]
    fn what_cannot_be_mapped_is_said_and_the_rest_of_the_object_is_patched() {
        let lost = "33333333-aaaa-4bbb-8ccc-000000000003";
        let made = of(&external_secret(r#"{"name":"a","namespace":"b"}"#, &keys(&[&format!("kv/{lost}"), OLD])));
        assert_eq!((made.patches.len(), made.patches[0].patch.len()), (1, 2));
        assert_eq!(made.unmapped[0].path, "/spec/data/0/remoteRef/key");
    }

    #[test]
    fn lists_stores_and_owners_count() {
        let owned = r#"{"name":"o","namespace":"b","ownerReferences":[
            {"kind":"ClusterExternalSecret","name":"all","controller":true}]}"#;
        let cluster = format!(
            r#"{{"apiVersion":"external-secrets.io/v1beta1","kind":"ClusterExternalSecret","metadata":{{"name":"all"}},
                "spec":{{"externalSecretSpec":{{"secretStoreRef":{{"name":"store"}},{}}}}}}}"#,
            keys(&[OLD])
        );
        let own = external_secret(owned, &keys(&[OLD]));
        let list = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{own},{cluster}]}}"#);
        let made = of(&list);
        assert_eq!((made.objects, made.references), (2, 2));
        assert_eq!(made.owned[0].owner, "ClusterExternalSecret all");
        assert_eq!(made.patches[0].patch.len(), 2);
        assert!(made.patches[0].command().starts_with("kubectl patch clusterexternalsecret all --type=json"));
        let other = patches(list.as_bytes(), &map(), &["vault".to_owned()]).unwrap();
        assert_eq!((other.references, other.patches.len()), (0, 0));
    }

    #[test]
    fn what_is_no_list_of_these_objects_is_refused() {
        let fails = |text: &str| patches(text.as_bytes(), &map(), &[]).unwrap_err().to_string();
        assert!(fails("[1]").contains("object 1 is neither an ExternalSecret"));
        assert!(fails("{").contains("no JSON"));
        assert!(fails(r#"{"kind":"List"}"#).contains("without `items`"));
        assert!(
            fails(r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}"#)
                .contains("neither an ExternalSecret")
        );
        let odd = external_secret(r#"{"name":"a;rm -rf","namespace":"b"}"#, &keys(&[OLD]));
        assert!(fails(&odd).contains("`metadata.name` that Kubernetes does not allow"));
        let number = external_secret(r#"{"name":"a","namespace":"b"}"#, r#""data":[{"remoteRef":{"key":7}}]"#);
        assert!(fails(&number).contains("no text"));
    }

    #[test]
    fn a_quote_in_a_reference_stays_inside_the_shell_quotes() {
        let object = Name { kind: "ExternalSecret".into(), namespace: None, name: "a".into() };
        let patch = vec![Operation::Test { path: "/x".into(), value: "it's".into() }];
        assert!(Patch { object, patch }.command().contains(r"it'\''s"));
    }
}
