//! Old ids to new ids: unavoidable, so written in the forms that people can use.
//!
//! Everything here is pure and returns text; whoever calls it writes the file.

use serde::{Deserialize, Serialize};

use super::assemble::Planned;
use crate::instance::standby::Recipe;
use crate::model::ItemKey;

/// Which item of the source is which item of the standby.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// The full name (CRN) of the source.
    pub source: String,
    /// The full name (CRN) of the standby; nothing when it shows none.
    pub standby: Option<String>,
    /// One line an item that is in both, in key order.
    pub items: Vec<Mapping>,
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The key in the source.
    pub key: ItemKey,
    /// The type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// The name.
    pub name: String,
    /// The name of the group, for secrets.
    pub group: Option<String>,
    /// The id in the source.
    pub old_id: String,
    /// The id in the standby.
    pub new_id: String,
    /// The versions, newest first.
    pub versions: Vec<VersionMapping>,
    /// The item as a resource of Terraform: its type and the id that `import` takes.
    pub terraform: Option<(String, String)>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionMapping {
    /// The id in the source.
    pub old_id: String,
    /// The id in the standby.
    pub new_id: String,
}

impl IdMap {
    /// The map of all items that were found in the standby.
    #[must_use]
    pub fn of(planned: &[Planned<'_>], recipe: &dyn Recipe, source: &str, standby: Option<&str>) -> Self {
        let mut items: Vec<Mapping> = planned.iter().filter_map(|one| mapping(one, recipe, standby)).collect();
        items.sort_by(|a, b| a.key.cmp(&b.key));
        Self { source: source.to_owned(), standby: standby.map(ToOwned::to_owned), items }
    }

    /// The map as CSV (RFC 4180) with a heading: `kind,type,group,name,old_id,new_id`; versions are of the kind
    /// `version`.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut out = "kind,type,group,name,old_id,new_id\r\n".to_owned();
        for item in &self.items {
            let group = item.group.as_deref().unwrap_or_default();
            let kind = item.key.kind().as_str();
            csv_line(&mut out, [kind, &item.item_type, group, &item.name, &item.old_id, &item.new_id]);
            for version in &item.versions {
                csv_line(&mut out, ["version", &item.item_type, group, &item.name, &version.old_id, &version.new_id]);
            }
        }
        out
    }

    /// The map as `import` blocks of Terraform (1.5 and later). Resource names are made from group and name, numbered
    /// where two would be the same.
    #[must_use]
    pub fn to_terraform(&self) -> String {
        let mut out = String::new();
        let mut taken = std::collections::BTreeMap::<(String, String), u32>::new();
        for item in &self.items {
            let Some((resource, id)) = &item.terraform else { continue };
            let mut name = identifier(item.group.as_deref(), &item.name);
            let count = taken.entry((resource.clone(), name.clone())).or_default();
            *count += 1;
            if *count > 1 {
                name.push_str(&format!("_{count}"));
            }
            let id = id.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{");
            out.push_str(&format!("import {{\n  to = {resource}.{name}\n  id = \"{id}\"\n}}\n\n"));
        }
        out
    }
}

fn mapping(one: &Planned<'_>, recipe: &dyn Recipe, standby: Option<&str>) -> Option<Mapping> {
    let (known, target) = (one.known.as_ref()?, one.target.as_ref()?);
    let view = &one.entry.view;
    let places = known.view.newest.iter().cloned();
    let looked = known.view.versions.iter().flatten().rev().map(|version| version.id.clone());
    let ids: Vec<String> = if known.view.versions.is_some() { looked.collect() } else { places.collect() };
    let pair = |new: String| Some(VersionMapping { old_id: known.sources.get(&new)?.clone(), new_id: new });
    let terraform = standby.and_then(|crn| recipe.terraform(crn, &view.key, &view.item_type, target.id()));
    Some(Mapping {
        key: view.key.clone(),
        item_type: view.item_type.clone(),
        name: view.name.clone(),
        group: one.entry.group.clone(),
        old_id: view.key.id().to_owned(),
        new_id: target.id().to_owned(),
        versions: ids.into_iter().filter_map(pair).collect(),
        terraform: terraform.map(|resource| (resource.resource.to_owned(), resource.id)),
    })
}

/// One line, each field quoted where it has to be. A field that a spreadsheet would take for a formula is quoted and
/// begins with an apostrophe.
fn csv_line(out: &mut String, fields: [&str; 6]) {
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        let formula = field.starts_with(['=', '+', '-', '@']);
        if formula || field.contains([',', '"', '\r', '\n']) {
            let apostrophe = if formula { "'" } else { "" };
            out.push_str(&format!("\"{apostrophe}{}\"", field.replace('"', "\"\"")));
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

/// An identifier of Terraform: letters, digits and underscores, not a digit first.
fn identifier(group: Option<&str>, name: &str) -> String {
    let joined = group.map_or_else(|| name.to_owned(), |group| format!("{group}_{name}"));
    let mut out: String = joined.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> IdMap {
        let item = |key: &str, name: &str, group: Option<&str>| Mapping {
            key: key.parse().unwrap(),
            item_type: "kv".into(),
            name: name.into(),
            group: group.map(Into::into),
            old_id: "o".into(),
            new_id: "n".into(),
            versions: vec![VersionMapping { old_id: "vo".into(), new_id: "vn".into() }],
            terraform: Some(("ibm_sm_kv_secret".into(), format!("eu-gb/i/{name}"))),
        };
        let items = vec![
            item("secret/1", "a.b", Some("1st")),
            item("secret/2", "a-b", Some("1st")),
            item("secret/3", "=x,\"y\"", None),
        ];
        IdMap { source: "crn:a".into(), standby: None, items }
    }

    #[test]
    fn csv_quotes_what_it_must() {
        let csv = map().to_csv();
        assert!(csv.starts_with(
            "kind,type,group,name,old_id,new_id\r\nsecret,kv,1st,a.b,o,n\r\nversion,kv,1st,a.b,vo,vn\r\n"
        ));
        assert!(csv.contains("secret,kv,,\"'=x,\"\"y\"\"\",o,n\r\n"), "{csv}");
    }

    #[test]
    fn terraform_names_are_identifiers_and_unique() {
        let blocks = map().to_terraform();
        assert!(blocks.contains("to = ibm_sm_kv_secret._1st_a_b\n  id = \"eu-gb/i/a.b\"\n"), "{blocks}");
        assert!(blocks.contains("to = ibm_sm_kv_secret._1st_a_b_2\n"), "{blocks}");
        assert!(blocks.contains(r#"id = "eu-gb/i/=x,\"y\"""#), "{blocks}");
    }
}
