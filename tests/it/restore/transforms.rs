//! Rewrites on the way into a standby: what differs by region, and nothing else.

use keyhaven::job::plan_file::PlanFile as _;
use keyhaven::job::restore::PlanOptions;
use serde_json::json;

use super::policies::{policies, refused};
use crate::kit::program::Machine;
use crate::kit::restore::{Pair, content, make_plan, restore, words};
use crate::kit::site::Site;

/// Options with this one rewrite.
fn rewrite(field: &str, select: &str, from: &str, to: &str) -> PlanOptions {
    policies(&json!({"transforms":[{"select":[select],"field":field,"from":from,"to":to}]}).to_string())
}

#[tokio::test]
async fn a_host_in_payloads_is_rewritten_and_every_other_byte_stays() {
    let pair = Pair::start().await;
    let data = r#"{"url":"https://db.eu-de.example/x","n":1e400,"k":1,"k":2,"db.eu-de.example":"name"}"#;
    let id = pair.source.make("secrets", &format!(r#"{{"secret_type":"kv","name":"db","data":{data}}}"#));
    let next = r#"{"url":"postgres:\/\/db.eu-de.example,db.eu-de.example"}"#;
    pair.source.make(&format!("secrets/{id}/versions"), &format!(r#"{{"data":{next}}}"#));
    let backup = pair.backup().await;
    let options = rewrite("payload", "type:kv", "eu-de.example", "eu-gb.example");
    let made = make_plan(&pair, &backup, &options).await;
    let applied = &made.applied[0];
    assert_eq!((applied.places, applied.items.len()), (3, 1), "{applied:#?}");
    assert!(!made.to_json().unwrap().contains("postgres"), "a plan holds no text of a payload");
    restore(&pair, &backup, &options).await;
    let there = pair.standby.id_of("db");
    let held = |alias: &str| {
        pair.standby.get(&format!("secrets/{there}/versions/{alias}")).get("data").unwrap().get().to_owned()
    };
    assert_eq!(held("previous"), data.replacen("db.eu-de", "db.eu-gb", 1));
    assert_eq!(held("current"), r#"{"url":"postgres://db.eu-gb.example,db.eu-gb.example"}"#);
    // Compared by value too, what was rewritten is right.
    let deep = PlanOptions { deep: true, ..options };
    assert!(make_plan(&pair, &backup, &deep).await.is_empty());
}

#[tokio::test]
async fn a_changed_rewrite_is_noticed_and_brought_as_new_versions() {
    let pair = Pair::start().await;
    let id = pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"url","payload":"at de"}"#);
    pair.source.version(&id, "still at de");
    let backup = pair.backup().await;
    let payload = |alias: &str| {
        let there = pair.standby.id_of("url");
        pair.standby.get(&format!("secrets/{there}/versions/{alias}")).str("payload").unwrap()
    };
    restore(&pair, &backup, &rewrite("payload", "url", "de", "gb")).await;
    assert_eq!((payload("previous"), payload("current")), ("at gb".into(), "still at gb".into()));
    let other = rewrite("payload", "url", "de", "es");
    let made = make_plan(&pair, &backup, &other).await;
    assert_eq!(words(&made), ["add_version url", "add_version url", "patch_metadata url"], "{made:#?}");
    restore(&pair, &backup, &other).await;
    assert_eq!((payload("previous"), payload("current")), ("at es".into(), "still at es".into()));
    restore(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(payload("current"), "still at de", "and without one, what the source has");
}

#[tokio::test]
async fn every_other_field_is_rewritten_where_it_stands() {
    let pair = Pair::start().await;
    let group = pair.source.group("de-apps");
    pair.source.make(
        "secrets",
        &format!(
            r#"{{"secret_type":"arbitrary","name":"de-one","secret_group_id":"{group}","payload":"de",
               "description":"in de","labels":["de-x","yy"],"custom_metadata":{{"de":"at de","n":1.0}},
               "version_custom_metadata":{{"v":"de"}}}}"#
        ),
    );
    let backup = pair.backup().await;
    let fields = ["name", "group", "description", "labels", "custom_metadata", "version_custom_metadata"];
    let transforms: Vec<_> =
        fields.iter().map(|field| json!({"select":["*"],"field":field,"from":"de","to":"gb"})).collect();
    let options = policies(&json!({ "transforms": transforms }).to_string());
    restore(&pair, &backup, &options).await;
    let there = content(&pair.standby);
    assert!(there.contains_key("group gb-apps") && !there.contains_key("group de-apps"), "{there:#?}");
    let secret = &there["secret gb-apps/arbitrary/gb-one"];
    for words in ["in gb", r#"["gb-x","yy"]"#, r#"{"de":"at gb","n":1.0}"#, r#"{"v":"gb"}"#, r#"payload="de""#] {
        assert!(secret.contains(words), "{words}: {secret}");
    }
}

#[tokio::test]
async fn two_groups_may_become_one_and_the_plan_says_so() {
    let pair = Pair::start().await;
    for (group, name) in [("apps-de", "one"), ("apps", "two")] {
        let id = pair.source.group(group);
        let body = format!(r#"{{"secret_type":"arbitrary","name":"{name}","secret_group_id":"{id}","payload":"x"}}"#);
        pair.source.make("secrets", &body);
    }
    let backup = pair.backup().await;
    let options = rewrite("group", "group:apps-de", "-de", "");
    let made = make_plan(&pair, &backup, &options).await;
    assert!(made.skips.iter().any(|one| one.reason.contains("go into the group `apps`")), "{:#?}", made.skips);
    restore(&pair, &backup, &options).await;
    let there = content(&pair.standby);
    assert!(there.contains_key("secret apps/arbitrary/one") && there.contains_key("secret apps/arbitrary/two"));
    // The group that is always there keeps its name.
    let error = refused(&pair, &backup, &rewrite("group", "group:default", "default", "x")).await;
    assert!(error.contains("transform 1 selects nothing"), "{error}");
}

#[test]
fn the_command_takes_the_rewrites_of_the_configuration_and_needs_the_recovery_key_for_payloads() {
    let site = Site::seeded();
    let (standby, server) = site.standby();
    let append = |text: &str| {
        let config = site.machine.read("keyhaven.toml");
        site.machine.write("with.toml", &format!("{config}\n{text}"));
    };
    let environment = standby_of(&standby, &server);
    let plan = |machine: &Machine, more: &[&str]| {
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let arguments = [&["--config", "with.toml", "restore", "plan", "--out", "plan.json"], more].concat();
        machine.run_with(&environment, &arguments)
    };
    let identity = ["--identity", "kit/recovery-identity.txt"];
    append("[[transforms]]\nselect = [\"type:*\"]\nfield = \"payload\"\nfrom = \"e\"\nto = \"E\"\n");
    plan(&site.machine, &[]).fails(12, &[]);
    let made = plan(&site.machine, &identity);
    assert_eq!(made.code, 15, "{} {}", made.out, made.err);
    assert!(made.out.contains("transform 1 (in payload: `e` becomes `E`): "), "{}", made.out);
    append(
        "[[transforms]]\nselect = [\"type:*\"]\nfield = \"payload\"\nfrom = \"no such text anywhere\"\nto = \"E\"\n",
    );
    plan(&site.machine, &identity).fails(2, &["transform 1 rewrites nothing"]);
    append("[[rules]]\nselect = [\"type:*\"]\ntreatment = \"reissued\"\n");
    plan(&site.machine, &identity).fails(2, &["with.toml, line", "`rules.treatment`", "did you mean `reissue`?"]);
}

/// The environment that names a standby.
fn standby_of(
    standby: &keyhaven::provider::embedded::EmbeddedInstance,
    server: &keyhaven::provider::embedded::Server,
) -> Vec<(&'static str, String)> {
    use secrecy::ExposeSecret as _;
    vec![
        ("KEYHAVEN_STANDBY_URL", server.base_url()),
        ("KEYHAVEN_STANDBY_IAM_URL", server.iam_url()),
        ("KEYHAVEN_STANDBY_API_KEY", "env:STANDBY_API_KEY".to_owned()),
        ("STANDBY_API_KEY", standby.options().api_key.expose_secret().to_owned()),
        ("KEYHAVEN_STANDBY_REQUESTS_PER_SECOND", "1000".to_owned()),
    ]
}
