//! Old ids to new ids, in the forms that people use, read back by tools that we did not write.

use std::io::Write as _;
use std::process::Stdio;

use keyhaven::job::restore::{IdMap, PlanOptions};
use keyhaven::provider::embedded::{Act, Verb, When};
use serde_json::{Value, json};

use crate::kit::environment::python;
use crate::kit::program::Machine;
use crate::kit::restore::{STANDBY_ID, full, make_plan, restore, run};

/// What a parser of Terraform's language finds in a text: `to` and `id` of every import block.
fn import_blocks(text: &str) -> Vec<(String, String)> {
    let mut parser = python("read_hcl.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success(), "not parsed:\n{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
#[ignore = "needs the Python environment: tests/run"]
async fn a_parser_of_terraforms_language_reads_every_import_block() {
    let pair = full().await;
    // Names that meet in one identifier.
    for name in ["a.b", "a-b", "a_b_2", "9-lives"] {
        pair.source.make("secrets", &format!(r#"{{"secret_type":"arbitrary","name":"{name}","payload":"p"}}"#));
    }
    let report = restore(&pair, &pair.backup().await, &PlanOptions::default()).await;
    let map = report.id_map.unwrap();
    assert!(map.complete);
    let blocks = import_blocks(&map.to_terraform());
    let resources: std::collections::BTreeSet<&String> = blocks.iter().map(|(to, _)| to).collect();
    assert_eq!(resources.len(), map.items.len(), "each item once, under a name of its own: {blocks:#?}");
    for item in &map.items {
        let id = match item.key.as_str() {
            "registration" => format!("eu-gb/{STANDBY_ID}"),
            key if key.starts_with("configuration/") => format!("eu-gb/{STANDBY_ID}/{}", item.name),
            _ => format!("eu-gb/{STANDBY_ID}/{}", item.new_id),
        };
        assert!(blocks.iter().any(|(_, found)| *found == id), "{} has no block with {id}", item.key);
    }
}

#[tokio::test]
async fn a_stopped_apply_says_which_ids_are_there_so_far() {
    let pair = full().await;
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    // Everything from the second secret on gets no answer any more.
    pair.standby.instance.fault(When::any().verb(Verb::Post).path("/api/v2/secrets").nths(2..), Act::DropBefore);
    pair.standby.instance.fault(When::any().verb(Verb::Get).nths(20..), Act::DropBefore);
    let report = run(&pair, &backup, &made).await;
    assert!(report.stopped.is_some(), "{report:#?}");
    pair.standby.instance.clear_faults();
    let map = report.id_map.unwrap();
    assert!(!map.complete);
    let prod = map.items.iter().find(|item| item.name == "prod").expect("a group that was made");
    let there = pair.standby.get("secret_groups").array("secret_groups").unwrap();
    assert!(there.iter().any(|group| group.get().contains(&prod.new_id)), "{map:#?}");
    let whole = run(&pair, &backup, &made).await.id_map.unwrap();
    assert!(whole.complete && whole.items.len() > map.items.len());
    for item in &map.items {
        let same = whole.items.iter().find(|other| other.key == item.key).unwrap();
        assert_eq!((&same.new_id, &same.terraform), (&item.new_id, &item.terraform), "what was said stays true");
        assert!(item.versions.iter().all(|version| same.versions.contains(version)), "{item:#?} {same:#?}");
    }
}

fn external_secret(name: &str, key: &str) -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": {"name": name, "namespace": "apps"},
        "spec": {
            "secretStoreRef": {"name": "ibm", "kind": "ClusterSecretStore"},
            "data": [{"secretKey": "x", "remoteRef": {"key": key}}]
        }
    })
}

#[tokio::test]
async fn kubernetes_objects_get_patches_through_the_program() {
    let pair = full().await;
    let map: IdMap = restore(&pair, &pair.backup().await, &PlanOptions::default()).await.id_map.unwrap();
    let one = map.items.iter().find(|item| item.name == "one").unwrap();
    let machine = Machine::new();
    machine.write("map.json", &serde_json::to_string(&map).unwrap());
    let list = |items: &[Value]| json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let right = [
        external_secret("by-id", &format!("arbitrary/{}", one.old_id)),
        external_secret("by-name", "prod/arbitrary/one"),
    ];
    machine.write("right.json", &list(&right));
    let patch = |more: &[&str]| machine.run(&[&["restore", "patches", "--id-map", "map.json"], more].concat());

    let printed = patch(&["right.json"]);
    assert_eq!(printed.code, 0, "{printed:#?}");
    let lines: Vec<&str> = printed.out.lines().collect();
    assert_eq!(lines.len(), 1, "{printed:#?}");
    assert!(lines[0].starts_with("kubectl patch externalsecret by-id --namespace apps --type=json --patch='["));
    assert!(lines[0].contains(&format!("arbitrary/{}", one.new_id)), "{printed:#?}");

    let written = patch(&["right.json", "--out", "patches", "--json"]).json(0);
    let file: Value = serde_json::from_str(&machine.read("patches/externalsecret.apps.by-id.json")).unwrap();
    assert_eq!(written["patches"][0]["patch"], file);
    assert_eq!(file[0]["op"], "test");
    assert_eq!(file[1]["path"], "/spec/data/0/remoteRef/key");

    let lost = external_secret("lost", "kv/33333333-aaaa-4bbb-8ccc-000000000003");
    machine.write("lost.json", &list(&[lost]));
    patch(&["lost.json"]).fails(3, &["ExternalSecret apps/lost", "is not in the id map"]);
    machine.write("other.json", r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}"#);
    patch(&["other.json"]).fails(2, &["neither an ExternalSecret"]);
    machine.write("map.json", "[]");
    patch(&["right.json"]).fails(2, &["no id map"]);
}
