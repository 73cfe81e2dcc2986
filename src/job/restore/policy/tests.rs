//! Resolves policies over a small instance.

use super::*;
use crate::job::fake::{self, FakeConverter, FakeInstance};

/// Returns a secret in a group, or a group.
fn item(key: &str, item_type: &str, group: Option<&str>, name: &str) -> Item {
    let row = format!(r#"{{"name":"{name}"}}"#);
    Item { group: group.map(Into::into), ..fake::item(key, item_type, name, &[("row", &row)], &["v1"]) }
}

fn instance() -> Vec<Item> {
    vec![
        item("group/default", "group", None, "default"),
        item("group/g1", "group", None, "pay-de"),
        item("group/g2", "group", None, "pay"),
        item("secret/1", "certificate", Some("g1"), "web"),
        item("secret/2", "plain_certificate", Some("g2"), "web"),
        item("secret/3", "token", Some("g1"), "key"),
        item("secret/4", "text", Some("g1"), "twice"),
        item("secret/5", "text", Some("g2"), "twice"),
    ]
}

fn resolved(json: &str) -> BTreeMap<ItemKey, SnapshotItem> {
    let items = instance();
    let is_group = |item: &&Item| item.key.kind() == ItemKind::Group;
    let groups = items.iter().filter(is_group).map(|item| (item.key.id().to_owned(), item.name.clone())).collect();
    resolve(items, &groups, &FakeConverter, &serde_json::from_str(json).unwrap(), false).unwrap()
}

fn entry<'e>(entries: &'e BTreeMap<ItemKey, SnapshotItem>, key: &str) -> &'e SnapshotItem {
    &entries[&key.parse::<ItemKey>().unwrap()]
}

#[test]
fn a_rule_goes_before_a_policy_and_a_policy_before_the_default() {
    let treatment = |json: &str| entry(&resolved(json), "secret/1").treatment;
    assert_eq!(treatment("{}"), Treatment::Convert);
    let by_type = r#""types":{"certificate":"reissue"}"#;
    assert_eq!(treatment(&format!("{{{by_type}}}")), Treatment::Reissue);
    let rule = r#"{"select":["group:pay-de"],"treatment":"definition"}"#;
    let later = r#"{"select":["*"],"treatment":"reissue"}"#;
    assert_eq!(treatment(&format!(r#"{{{by_type},"rules":[{rule},{later}]}}"#)), Treatment::Definition);
    assert_eq!(treatment(&format!(r#"{{"rules":[{later}]}}"#)), Treatment::Reissue);
}

#[test]
fn what_a_policy_brings_together_collides_and_what_the_source_has_twice_does_not() {
    let colliding = |json: &str| {
        let entries = resolved(json);
        let all: Vec<&SnapshotItem> = entries.values().collect();
        collisions(&all, &FakeInstance::new("standby")).into_keys().map(|key| key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(colliding("{}"), ["secret/1", "secret/2"], "in two groups, but perhaps a name counts once per type");
    assert!(colliding(r#"{"types":{"certificate":"reissue"}}"#).is_empty());
    let named = r#"{"rules":[{"select":["type:certificate"],"name":"web-2"}]}"#;
    assert!(colliding(named).is_empty());
    let onto = r#"{"rules":[{"select":["pay-de/twice"],"name":"web"},{"select":["pay/twice"],"name":"web"}],
        "types":{"certificate":"reissue"}}"#;
    assert_eq!(colliding(onto), ["secret/4", "secret/5"], "two renamed onto each other");
}

#[test]
fn groups_that_become_one_keep_the_one_that_has_the_name() {
    let entries = resolved(r#"{"transforms":[{"select":["group:pay-de"],"field":"group","from":"-de","to":""}]}"#);
    let all: Vec<&SnapshotItem> = entries.values().collect();
    let joined: Vec<String> = merged(&all).into_keys().map(|key| key.to_string()).collect();
    assert_eq!(joined, ["group/g1"]);
    assert_eq!(entry(&entries, "secret/3").group.as_deref(), Some("pay"));
    assert!(
        collisions(&all, &FakeInstance::new("standby")).contains_key(&"secret/4".parse().unwrap()),
        "now in one group"
    );
}

#[test]
fn a_version_is_named_by_the_rewrites_of_its_payload() {
    let rewrites = |to: &str| {
        let json = format!(
            r#"{{"transforms":[{{"select":["key"],"field":"payload","from":"a","to":"{to}"}}],
            "types":{{"token":"as_arbitrary"}}}}"#
        );
        entry(&resolved(&json), "secret/3").view.rewrites.clone()
    };
    assert_eq!(rewrites("b").len(), 8);
    assert_eq!(rewrites("b"), rewrites("b"));
    assert_ne!(rewrites("b"), rewrites("c"));
    assert!(entry(&resolved("{}"), "secret/3").view.rewrites.is_empty());
}
