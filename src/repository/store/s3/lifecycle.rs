//! Lifecycle rules of a bucket (S3 API: GetBucketLifecycleConfiguration) that would delete or archive objects of a
//! repository.

use serde::Deserialize;

use super::client::{BucketClient, Unanswered};
use crate::repository::store::{LifecycleAction, LifecycleRule};

/// Storage classes whose objects must be restored before they can be read.
const ARCHIVES: [&str; 4] = ["GLACIER", "DEEP_ARCHIVE", "ACCELERATED", "ARCHIVE"];

#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(rename = "Rule", default)]
    rules: Vec<RuleElement>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RuleElement {
    #[serde(rename = "ID", default)]
    id: String,
    status: String,
    prefix: Option<String>,
    filter: Option<FilterElement>,
    expiration: Option<When>,
    #[serde(default)]
    transition: Vec<When>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterElement {
    prefix: Option<String>,
    and: Option<Box<FilterElement>>,
    tag: Option<serde::de::IgnoredAny>,
}

/// When an action is due. A rule only for delete markers has neither days nor date.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct When {
    days: Option<u64>,
    date: Option<String>,
    storage_class: Option<String>,
}

/// Requests the rules that affect keys with this prefix.
pub(super) async fn rules(client: &BucketClient, prefix: &str) -> Result<Vec<LifecycleRule>, Unanswered> {
    let body = client.ask(&[("lifecycle", "")], |_| Ok(None)).await?;
    let unreadable = |why: &str| Unanswered::unreadable("the lifecycle configuration", why);
    let text = std::str::from_utf8(&body).map_err(|_| unreadable("it is no UTF-8"))?;
    parse(text, prefix).map_err(|error| unreadable(&error.to_string()))
}

fn parse(text: &str, ours: &str) -> Result<Vec<LifecycleRule>, quick_xml::DeError> {
    let configuration: Configuration = quick_xml::de::from_str(text.trim_start_matches('\u{feff}'))?;
    let touching = configuration.rules.into_iter().filter(|rule| rule.status == "Enabled" && rule.touches(ours));
    Ok(touching.flat_map(RuleElement::actions).collect())
}

impl RuleElement {
    /// Returns true if the rule applies to some or all keys with prefix `ours`. Our objects have no tags.
    fn touches(&self, ours: &str) -> bool {
        let mut filter = self.filter.as_ref();
        let mut prefix = self.prefix.as_deref().unwrap_or_default();
        while let Some(one) = filter {
            if one.tag.is_some() {
                return false;
            }
            prefix = one.prefix.as_deref().unwrap_or(prefix);
            filter = one.and.as_deref();
        }
        ours.starts_with(prefix) || prefix.starts_with(ours)
    }

    fn actions(self) -> Vec<LifecycleRule> {
        let due = |when: &When| match (&when.days, &when.date) {
            (Some(days), _) => Some(format!("after {days} days")),
            (None, Some(date)) => Some(format!("on {date}")),
            (None, None) => None,
        };
        let rule = |action, due| LifecycleRule { id: self.id.clone(), action, due };
        let expires = self.expiration.iter().filter_map(due).map(|due| rule(LifecycleAction::Deletes, due));
        let archives = self
            .transition
            .iter()
            .filter(|when| when.storage_class.as_deref().is_some_and(|class| ARCHIVES.contains(&class)));
        let archives = archives.filter_map(due).map(|due| rule(LifecycleAction::Archives, due));
        expires.chain(archives).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rules: &str) -> Vec<(String, LifecycleAction, String)> {
        let text =
            format!("<?xml version=\"1.0\"?><LifecycleConfiguration xmlns=\"x\">{rules}</LifecycleConfiguration>");
        let rules = parse(&text, "backups/house").unwrap();
        rules.into_iter().map(|rule| (rule.id, rule.action, rule.due)).collect()
    }

    #[test]
    fn what_would_take_our_objects_away_is_found_and_nothing_else() {
        let rule = |id: &str, more: &str| format!("<Rule><ID>{id}</ID><Status>Enabled</Status>{more}</Rule>");
        let days = "<Expiration><Days>30</Days></Expiration>";
        let all = [
            rule("whole", &format!("<Filter/>{days}")),
            rule("old", &format!("<Prefix>backups/</Prefix>{days}")),
            rule("part", &format!("<Filter><Prefix>backups/house/packs/</Prefix></Filter>{days}")),
            rule(
                "both",
                &format!(
                    "<Filter><And><Prefix>backups/</Prefix><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter>{days}"
                ),
            ),
            rule("cold", "<Filter/><Transition><Days>7</Days><StorageClass>GLACIER</StorageClass></Transition>"),
        ];
        let found_all = found(&all.concat());
        let names: Vec<&str> = found_all.iter().map(|(id, ..)| id.as_str()).collect();
        assert_eq!(names, ["whole", "old", "part", "both", "cold"]);
        assert_eq!(found_all[0].2, "after 30 days");
        assert_eq!(found_all[4].1, LifecycleAction::Archives);
        let none = [
            rule("other", &format!("<Filter><Prefix>logs/</Prefix></Filter>{days}")),
            rule("tagged", &format!("<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>{days}")),
            rule(
                "markers",
                "<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
            ),
            rule(
                "noncurrent",
                "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>9</NoncurrentDays></NoncurrentVersionExpiration>",
            ),
            rule("warm", "<Filter/><Transition><Days>7</Days><StorageClass>STANDARD_IA</StorageClass></Transition>"),
            format!("<Rule><ID>off</ID><Status>Disabled</Status><Filter/>{days}</Rule>"),
        ];
        assert_eq!(found(&none.concat()), []);
    }
}
