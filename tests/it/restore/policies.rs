//! What policies make of items: other types, other names, and what brings what along.

use keyhaven::job::restore::plan::{Plan, Remark};
use keyhaven::job::restore::{Consent, PlanOptions, RestoreError, apply, plan};
use keyhaven::model::FailureKind;
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::Verb;

use crate::kit::clock::system_context;
use crate::kit::pki::{Openssl, above, authorities, issue};
use crate::kit::restore::{
    MemoryBackup, Pair, SOURCE_ID, confirmed, content, make_plan, nothing_left, quick, restore, run, words,
};

/// Options with these policies, as a plan holds them.
pub(crate) fn policies(json: &str) -> PlanOptions {
    PlanOptions { policies: serde_json::from_str(json).unwrap(), ..PlanOptions::default() }
}

/// Why a plan with these policies is refused; it must be wrong usage.
pub(crate) async fn refused(pair: &Pair, backup: &MemoryBackup, options: &PlanOptions) -> String {
    let made = plan(&system_context(), backup, &pair.standby.client(), options, &confirmed()).await;
    let error: RestoreError = made.expect_err("it was refused");
    assert_eq!(error.kind(), FailureKind::Usage, "{error}");
    error.to_string()
}

pub(crate) fn reasons(remarks: &[Remark], name: &str) -> String {
    remarks.iter().filter(|one| one.name == name).map(|one| one.reason.as_str()).collect::<Vec<_>>().join("; ")
}

/// An API key that the service minted and keeps.
fn credentials(pair: &Pair, name: &str) -> String {
    let source = &pair.source;
    if source.get("configurations").u64("total_count") == Some(0) {
        let engine = r#"{"config_type":"iam_credentials_configuration","name":"engine","api_key":"abcd1234efgh5678"}"#;
        source.post("configurations", engine);
    }
    let body = format!(
        r#"{{"secret_type":"iam_credentials","name":"{name}","ttl":"7d","access_groups":["AccessGroupId-1"],
            "reuse_api_key":true}}"#
    );
    source.make("secrets", &body)
}

#[tokio::test]
async fn a_private_certificate_works_at_once_as_an_imported_one_with_both_versions() {
    let openssl = Openssl::new();
    let pair = Pair::start().await;
    let source = &pair.source;
    authorities(&source.instance, &openssl);
    let first = issue(&source.instance, "web-1", "web", r#","labels":["tier-1"],"custom_metadata":{"n":1.50}"#);
    let id = first.str("id").unwrap();
    let second = source.post(&format!("secrets/{id}/versions"), "{}");
    source.post(&format!("secrets/{id}/versions/current/locks_bulk"), r#"{"locks":[{"name":"in-use"}]}"#);
    let backup = pair.backup().await;
    let options = PlanOptions { only: vec!["web-1".parse().unwrap()], ..PlanOptions::default() };
    let made = make_plan(&pair, &backup, &options).await;
    assert!(reasons(&made.notes, "web-1").contains("of type private_cert in the source and becomes imported_cert"));
    let report = restore(&pair, &backup, &options).await;
    assert!(report.kind().is_none(), "{report:#?}");

    let standby = &pair.standby;
    let id = standby.id_of("web-1");
    for (alias, issued) in [("previous", &first), ("current", &second)] {
        let version = standby.get(&format!("secrets/{id}/versions/{alias}"));
        let same = |member: &str| assert_eq!(version.str(member), issued.str(member), "{alias} {member}");
        same("certificate");
        same("private_key");
        // Whom openssl trusts through what came along is the real root.
        let above = above(issued);
        for line in version.str("intermediate").unwrap().lines() {
            assert!(above.contains(line), "{alias}: {line}");
        }
    }
    let row = standby.get(&format!("secrets/{id}/metadata"));
    assert_eq!((row.str("secret_type").as_deref(), row.u64("versions_total")), (Some("imported_cert"), Some(2)));
    assert!(row.get("custom_metadata").unwrap().get().contains(r#""n":1.50"#));
    assert_eq!(row.u64("locks_total"), Some(1));
    assert!(row.get("labels").unwrap().get().contains("tier-1"));
    let mapping = &report.id_map.unwrap().items[0];
    assert_eq!((mapping.item_type.as_str(), mapping.old_type.as_deref()), ("imported_cert", Some("private_cert")));
    assert_eq!(mapping.versions.len(), 2);
}

#[tokio::test]
async fn a_bundle_with_its_key_is_imported_without_the_key_among_the_certificates() {
    let pair = Pair::start().await;
    authorities(&pair.source.instance, &Openssl::new());
    for (name, key) in [("web-1", "der"), ("web-2", "pkcs8")] {
        let members = format!(r#","format":"pem_bundle","private_key_format":"{key}""#);
        issue(&pair.source.instance, name, "web", &members);
    }
    let only = vec!["web-*".parse().unwrap()];
    restore(&pair, &pair.backup().await, &PlanOptions { only, ..PlanOptions::default() }).await;
    for name in ["web-1", "web-2"] {
        let made = pair.standby.get(&format!("secrets/{}", pair.standby.id_of(name)));
        let certificate = made.str("certificate").unwrap();
        assert!(
            certificate.starts_with("-----BEGIN CERTIFICATE-----") && !certificate.contains("PRIVATE KEY"),
            "{name}"
        );
        assert!(made.str("private_key").unwrap().contains("PRIVATE KEY"), "{name}");
    }
}

#[tokio::test]
async fn a_selected_certificate_that_is_issued_anew_brings_its_template_and_its_authorities_along() {
    let pair = Pair::start().await;
    authorities(&pair.source.instance, &Openssl::new());
    issue(&pair.source.instance, "web-1", "web", "");
    pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"alone","payload":"x"}"#);
    let backup = pair.backup().await;
    let only = vec!["web-1".parse().unwrap()];
    let steps = |made: &Plan| {
        let mut names: Vec<String> = made.steps.iter().map(|step| step.name.clone()).collect();
        names.dedup();
        names
    };
    let reissue = PlanOptions { only: only.clone(), ..policies(r#"{"types":{"private_cert":"reissue"}}"#) };
    let made = make_plan(&pair, &backup, &reissue).await;
    assert_eq!(steps(&made), ["prod", "root", "issuing", "web", "web-1"], "{:#?}", made.losses);
    let converted = make_plan(&pair, &backup, &PlanOptions { only, ..PlanOptions::default() }).await;
    assert_eq!(steps(&converted), ["web-1"], "an imported certificate needs none of them");
    let exclude = vec!["web".parse().unwrap()];
    let made = make_plan(&pair, &backup, &PlanOptions { exclude, ..reissue }).await;
    assert!(!steps(&made).contains(&"web".to_owned()), "what is excluded is not brought along");
    assert!(reasons(&made.losses, "web-1").contains("it needs"), "{:#?}", made.losses);
}

#[tokio::test]
async fn credentials_stay_definitions_unless_their_old_value_is_wanted() {
    let pair = Pair::start().await;
    let id = credentials(&pair, "deploy-key");
    let key = pair.source.get(&format!("secrets/{id}")).str("api_key").unwrap();
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert!(reasons(&made.losses, "deploy-key").contains("only its definition is kept"), "{:#?}", made.losses);
    assert!(!words(&made).iter().any(|step| step.contains("deploy-key")));

    let options = policies(r#"{"rules":[{"select":["deploy-*"],"treatment":"as_arbitrary"}]}"#);
    restore(&pair, &backup, &options).await;
    let there = pair.standby.id_of("deploy-key");
    let secret = pair.standby.get(&format!("secrets/{there}"));
    assert_eq!((secret.str("secret_type").as_deref(), secret.str("payload")), (Some("arbitrary"), Some(key)));
}

#[tokio::test]
async fn two_items_that_meet_under_one_name_are_both_in_conflict_until_a_rule_names_one() {
    let pair = Pair::start().await;
    credentials(&pair, "deploy");
    pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"deploy","payload":"x"}"#);
    let backup = pair.backup().await;
    let keep = r#"{"types":{"iam_credentials":"as_arbitrary"}}"#;
    let made = make_plan(&pair, &backup, &policies(keep)).await;
    let conflicts: Vec<&str> = made.conflicts.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(conflicts, ["deploy", "deploy"], "{made:#?}");
    assert!(made.conflicts[0].reason.contains("[[rules]]"));
    assert!(!words(&made).iter().any(|step| step.contains("deploy")), "neither is touched");
    let named = r#"{"types":{"iam_credentials":"as_arbitrary"},
        "rules":[{"select":["type:iam_credentials"],"name":"deploy-old-key"}]}"#;
    restore(&pair, &backup, &policies(named)).await;
    let there = content(&pair.standby);
    assert!(there.contains_key("secret default/arbitrary/deploy"), "{there:#?}");
    assert!(there.contains_key("secret default/arbitrary/deploy-old-key"), "{there:#?}");
}

#[tokio::test]
async fn a_name_that_the_provider_refuses_is_said_before_anything_is_done() {
    let pair = Pair::start().await;
    pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"one","payload":"x"}"#);
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &policies(r#"{"rules":[{"select":["one"],"name":"a b"}]}"#)).await;
    assert!(made.steps.is_empty(), "{:#?}", made.steps);
    assert!(made.conflicts[0].reason.contains("the provider rejects the name `a b`"), "{:#?}", made.conflicts);
}

#[tokio::test]
async fn a_policy_that_does_nothing_or_cannot_be_followed_is_refused() {
    let pair = Pair::start().await;
    credentials(&pair, "deploy");
    for name in ["one", "two"] {
        pair.source.make("secrets", &format!(r#"{{"secret_type":"arbitrary","name":"{name}","payload":"x"}}"#));
    }
    let backup = pair.backup().await;
    let cases = [
        (r#"{"rules":[{"select":["absent"],"treatment":"reissue"}]}"#, "rule 1 selects nothing"),
        (r#"{"rules":[{"select":["absent"],"name":"x"}]}"#, "rule 1 selects nothing"),
        (r#"{"overrides":[{"select":["absent"],"set":{"ttl":"1d"}}]}"#, "override 1 selects nothing"),
        (r#"{"overrides":[{"select":["one"],"set":{"ttl":"1d"}}]}"#, "sets `ttl`, which no selected item accepts"),
        (r#"{"transforms":[{"select":["absent"],"field":"name","from":"a","to":"b"}]}"#, "transform 1 selects nothing"),
        (r#"{"transforms":[{"select":["*"],"field":"labels","from":"a","to":"b"}]}"#, "transform 1 rewrites nothing"),
        (
            r#"{"transforms":[{"select":["*"],"field":"payload","from":"absent","to":"b"}]}"#,
            "transform 1 rewrites nothing",
        ),
        (
            r#"{"rules":[{"select":["deploy"],"treatment":"convert"}]}"#,
            "of type iam_credentials cannot have; it allows definition, reissue, as_arbitrary",
        ),
        (r#"{"rules":[{"select":["one"],"treatment":"reissue"}]}"#, "of type arbitrary cannot have; it allows exact"),
        (r#"{"rules":[{"select":["type:arbitrary"],"name":"x"}]}"#, "one name for 2 items"),
        (r#"{"rules":[{"select":["engine"],"name":"x"}]}"#, "only a secret can be renamed"),
    ];
    for (json, words) in cases {
        let error = refused(&pair, &backup, &policies(json)).await;
        assert!(error.contains(words), "{json}: {error}");
    }
    // A rule for a whole group speaks of those in it that have a choice.
    let mixed = policies(r#"{"rules":[{"select":["*"],"treatment":"reissue"}]}"#);
    let made = make_plan(&pair, &backup, &mixed).await;
    assert_eq!(made.applied[0].items.len(), 1, "{:#?}", made.applied);
    nothing_left(
        &pair,
        &backup,
        &{
            run(&pair, &backup, &made).await;
            made
        },
        &mixed,
    )
    .await;
}

#[tokio::test]
async fn members_that_are_supplied_reach_the_standby_and_stand_in_the_plan() {
    let pair = Pair::start().await;
    pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"one","payload":"x","description":"there"}"#);
    let backup = pair.backup().await;
    let options = policies(r#"{"overrides":[{"select":["one"],"set":{"description":"here","labels":["standby"]}}]}"#);
    let made = make_plan(&pair, &backup, &options).await;
    let applied = &made.applied[0];
    assert_eq!((applied.what.as_str(), applied.items[0].name.as_str()), ("override 1", "one"));
    restore(&pair, &backup, &options).await;
    let row = pair.standby.get(&format!("secrets/{}/metadata", pair.standby.id_of("one")));
    assert_eq!(row.str("description").as_deref(), Some("here"));
    assert_eq!(row.get("labels").unwrap().get(), r#"["standby"]"#);
    // Without the override the source's own come back.
    restore(&pair, &backup, &PlanOptions::default()).await;
    let row = pair.standby.call(Verb::Get, &format!("secrets/{}/metadata", pair.standby.id_of("one")), "");
    assert_eq!(row.str("description").as_deref(), Some("there"));
}

#[tokio::test]
async fn a_converted_certificate_on_its_way_back_leaves_its_origin_alone_and_loses_nothing() {
    let pair = Pair::start().await;
    authorities(&pair.source.instance, &Openssl::new());
    let issued = issue(&pair.source.instance, "web-1", "web", "");
    let newer = issue(&pair.source.instance, "web-2", "web", "");
    let only: Vec<_> = vec!["web-1".parse().unwrap()];
    restore(&pair, &pair.backup().await, &PlanOptions { only: only.clone(), ..PlanOptions::default() }).await;
    let back = Pair { source: pair.standby, standby: pair.source, clock: pair.clock };
    let consent = Consent { confirm: Some(SOURCE_ID.to_owned()), into_source: None };
    let (context, client) = (system_context(), back.standby.client());
    let backup = back.backup().await;
    let options = PlanOptions { only: only.clone(), ..PlanOptions::default() };
    let made = plan(&context, &backup, &client, &options, &consent).await.unwrap();
    assert!(made.is_empty(), "{made:#?}");
    assert!(reasons(&made.skips, "web-1").contains("made from the private_cert of that name"), "{made:#?}");

    // Renewed by hand in the new primary, it must not be lost.
    let text = |object: &JsonObject, name: &str| object.get(name).unwrap().get().to_owned();
    let version =
        format!(r#"{{"certificate":{},"private_key":{}}}"#, text(&newer, "certificate"), text(&newer, "private_key"));
    let copy = back.source.id_of("web-1");
    back.source.make(&format!("secrets/{copy}/versions"), &version);
    let backup = back.backup().await;
    let made = plan(&context, &backup, &client, &options, &consent).await.unwrap();
    assert!(made.steps.is_empty(), "{made:#?}");
    assert!(reasons(&made.conflicts, "web-1").contains("another name"), "{made:#?}");
    let renamed = policies(r#"{"rules":[{"select":["web-1"],"name":"web-1-renewed"}]}"#);
    let made = plan(&context, &backup, &client, &PlanOptions { only, ..renamed }, &consent).await.unwrap();
    let report = apply(&context, &made, &backup, &client, &quick(), &consent).await.unwrap();
    assert!(report.kind().is_none(), "{report:#?}");
    let of = |name: &str| back.standby.get(&format!("secrets/{}", back.standby.id_of(name)));
    assert_eq!(of("web-1-renewed").str("certificate"), newer.str("certificate"));
    assert_eq!(of("web-1").str("certificate"), issued.str("certificate"));
}
