//! Policies of the configuration for the restore of items into a standby.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json::{JsonObject, raw};
use super::{Selector, Treatment};

/// Treatments, new names, supplied members and rewrites from the configuration. Part of every plan, so that applying a
/// plan needs no configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policies {
    /// Treatment by type, where it differs from the provider's default.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Treatment>,
    /// Rules for some items only. If several select an item, the first with a treatment determines the treatment, and
    /// the first with a name determines the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Members that no answer of the provider returns, or that differ in the standby's region.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Literal rewrites, applied in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Transform>,
}

impl Policies {
    /// Returns true if the provider's defaults apply to everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty() && self.rules.is_empty() && self.overrides.is_empty() && self.transforms.is_empty()
    }
}

/// A treatment or a name, or both, for the selected items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Selectors; an item that matches one of them is selected.
    pub select: Vec<Selector>,
    /// Their treatment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treatment: Option<Treatment>,
    /// The name in the standby; for one item only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Members that are set, whatever their value in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Selectors; an item that matches one of them is selected.
    pub select: Vec<Selector>,
    /// The members, in the form of a create request of the provider.
    pub set: Map<String, Value>,
}

impl Override {
    /// Returns the members as JSON.
    #[must_use]
    pub fn members(&self) -> JsonObject {
        self.set.iter().map(|(name, value)| (name.clone(), raw(value))).collect()
    }
}

/// A literal rewrite of texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// Selectors; an item that matches one of them is selected.
    pub select: Vec<Selector>,
    /// Part of the item that is rewritten.
    pub field: RewriteField,
    /// Text to replace, wherever it occurs; never empty.
    pub from: String,
    /// Replacement text.
    pub to: String,
}

/// Part of an item that a rewrite changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewriteField {
    /// Every text in the payload.
    Payload,
    /// The name.
    Name,
    /// The name of a secret's group, or of a group itself.
    Group,
    /// The description.
    Description,
    /// Each label.
    Labels,
    /// Every text in the secret's own metadata; names of members stay.
    CustomMetadata,
    /// Every text in the metadata of the versions; names of members stay.
    VersionCustomMetadata,
    /// Every text in all other settings.
    Settings,
}

impl RewriteField {
    /// Every field.
    pub const ALL: [RewriteField; 8] = [
        Self::Payload,
        Self::Name,
        Self::Group,
        Self::Description,
        Self::Labels,
        Self::CustomMetadata,
        Self::VersionCustomMetadata,
        Self::Settings,
    ];

    /// Returns the word used in the configuration, in plans and in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Name => "name",
            Self::Group => "group",
            Self::Description => "description",
            Self::Labels => "labels",
            Self::CustomMetadata => "custom_metadata",
            Self::VersionCustomMetadata => "version_custom_metadata",
            Self::Settings => "settings",
        }
    }
}

impl fmt::Display for RewriteField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is not the name of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no field; there are payload, name, group, description, labels, custom_metadata, version_custom_metadata \
     and settings"
)]
pub struct FieldError(String);

impl FromStr for RewriteField {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::ALL.into_iter().find(|field| field.as_str() == text).ok_or_else(|| FieldError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_the_same_word_everywhere() {
        for field in RewriteField::ALL {
            assert_eq!(field.as_str().parse(), Ok(field));
            assert_eq!(serde_json::to_string(&field).unwrap(), format!("\"{field}\""));
        }
        assert!("label".parse::<RewriteField>().unwrap_err().to_string().contains("labels"));
    }

    #[test]
    fn policies_survive_a_plan() {
        let text = r#"{"types":{"public_cert":"reissue"},
            "rules":[{"select":["group:a","b-*"],"treatment":"definition"},{"select":["c"],"name":"d"}],
            "overrides":[{"select":["type:kv"],"set":{"n":1,"list":[true,null],"x":{"y":"z"}}}],
            "transforms":[{"select":["*"],"field":"payload","from":"eu-de","to":"eu-gb"}]}"#;
        let policies: Policies = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::from_str::<Policies>(&serde_json::to_string(&policies).unwrap()).unwrap(), policies);
        assert_eq!(policies.overrides[0].members().get("x").unwrap().get(), r#"{"y":"z"}"#);
        assert!(!policies.is_empty());
    }
}
