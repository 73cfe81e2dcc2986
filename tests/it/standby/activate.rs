//! When the standby becomes the primary, and back again, with the real program.

use std::net::SocketAddr;
use std::time::Duration;

use keyhaven::job::activate::{ActivateError, PrimaryAccess, RotatesAtOnce, apply, plan};
use keyhaven::job::restore::PlanOptions;
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{
    ApiKey, EmbeddedInstance, Grant, Options, Server, ServiceRole, Switches, Verb, every_type,
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::kit::clock::system_context;
use crate::kit::instance::call;
use crate::kit::program::{Machine, Run};
use crate::kit::restore::{Pair, Peer, SOURCE_ID, STANDBY_ID, make_plan, options, run as carry_out};
use crate::kit::site::Site;

const MONTHLY: &str = r#"{"auto_rotate":true,"interval":1,"unit":"month"}"#;

fn make(instance: &EmbeddedInstance, body: &str) -> String {
    call(instance, Verb::Post, "secrets", body).str("id").unwrap()
}

/// Rows of all secrets by name; two of one name and type fail.
fn rows(instance: &EmbeddedInstance) -> std::collections::BTreeMap<String, JsonObject> {
    let list = call(instance, Verb::Get, "secrets?limit=1000", "").array("secrets").unwrap();
    let mut rows = std::collections::BTreeMap::new();
    for row in list.iter().map(|row| JsonObject::parse(row.get()).unwrap()) {
        let name = row.str("name").unwrap();
        assert!(rows.insert(name.clone(), row).is_none(), "{name} is there twice");
    }
    rows
}

fn id(instance: &EmbeddedInstance, name: &str) -> String {
    rows(instance)[name].str("id").unwrap()
}

fn rotates(instance: &EmbeddedInstance, name: &str) -> bool {
    rows(instance)[name].object("rotation").and_then(|rotation| rotation.bool("auto_rotate")) == Some(true)
}

/// The payload fields of the newest versions, by name and alias.
fn payloads(instance: &EmbeddedInstance) -> Vec<(String, Vec<Option<String>>)> {
    let of = |name: &String, row: &JsonObject| {
        let id = row.str("id").unwrap();
        let version = |alias: &str| {
            let reply = instance.call(Verb::Get, &format!("/api/v2/secrets/{id}/versions/{alias}"), "");
            let version = JsonObject::parse(&reply.body).ok().filter(|_| reply.status == 200)?;
            Some(["payload", "password", "username"].map(|field| version.str(field).unwrap_or_default()).join("|"))
        };
        (name.clone(), vec![version("current"), version("previous")])
    };
    rows(instance).iter().map(|(name, row)| of(name, row)).collect()
}

fn fill(instance: &EmbeddedInstance) {
    let group = call(instance, Verb::Post, "secret_groups", r#"{"name":"prod"}"#).str("id").unwrap();
    make(instance, r#"{"secret_type":"arbitrary","name":"quiet","payload":"quiet-1","custom_metadata":{"team":"a"}}"#);
    make(instance, r#"{"secret_type":"arbitrary","name":"gone","payload":"gone-1"}"#);
    make(instance, r#"{"secret_type":"arbitrary","name":"renamed","payload":"renamed-1"}"#);
    let busy = format!(r#"{{"secret_type":"arbitrary","name":"busy","secret_group_id":"{group}","payload":"busy-1"}}"#);
    let busy = make(instance, &busy);
    call(instance, Verb::Post, &format!("secrets/{busy}/versions"), r#"{"payload":"busy-2"}"#);
    make(
        instance,
        &format!(
            r#"{{"secret_type":"username_password","name":"user","username":"admin","password":"pass-word-1",
                "rotation":{MONTHLY}}}"#
        ),
    );
}

/// A host with a repository of its own for an instance that runs elsewhere.
struct Host {
    machine: Machine,
    environment: Vec<(&'static str, String)>,
}

impl Host {
    /// A new host that backs this instance up and restores into that one.
    fn new(source: (&EmbeddedInstance, &Server), standby: (&EmbeddedInstance, &Server)) -> Self {
        let machine = Machine::new();
        machine.run(&["keys", "new", "--out", "kit", "--no-passphrase", "--json"]).json(0);
        machine.write("api-key", source.0.options().api_key.expose_secret());
        let (url, iam_url) = (source.1.base_url(), source.1.iam_url());
        let init = ["init", "--json", "--recovery", "kit/public.txt", "--source-url", &url, "--iam-url", &iam_url];
        let rest = ["--api-key-file", "api-key", "--repository", "repo", "--state-dir", "state"];
        machine.run(&[&init[..], &rest].concat()).json(0);
        let config = machine.read("keyhaven.toml");
        machine.write("keyhaven.toml", &config.replace("[source]", "[source]\nrequests_per_second = 1000"));
        Self { machine, environment: environment(standby) }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(&self.machine, &self.environment, arguments)
    }
}

fn environment((instance, server): (&EmbeddedInstance, &Server)) -> Vec<(&'static str, String)> {
    vec![
        ("KEYHAVEN_STANDBY_URL", server.base_url()),
        ("KEYHAVEN_STANDBY_IAM_URL", server.iam_url()),
        ("KEYHAVEN_STANDBY_API_KEY", "env:STANDBY_API_KEY".to_owned()),
        ("STANDBY_API_KEY", instance.options().api_key.expose_secret().to_owned()),
        ("KEYHAVEN_STANDBY_REQUESTS_PER_SECOND", "1000".to_owned()),
    ]
}

fn run(machine: &Machine, environment: &[(&'static str, String)], arguments: &[&str]) -> Run {
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    machine.run_with(&environment, arguments)
}

const IDENTITY: [&str; 2] = ["--identity", "kit/recovery-identity.txt"];

/// Plans and applies a restore on a host.
fn restore(run: &dyn Fn(&[&str]) -> Run, target: &EmbeddedInstance) -> Value {
    let confirm = target.options().instance_id.clone();
    run(&[&["restore", "plan", "--out", "plan.json", "--json"], &IDENTITY[..]].concat()).json(15);
    run(&[&["restore", "apply", "plan.json", "--confirm", &confirm, "--json"], &IDENTITY[..]].concat()).json(0)
}

fn activate(run: &dyn Fn(&[&str]) -> Run, more: &[&str]) -> Run {
    run(&[&["restore", "activate", "apply", "activate.json", "--json"], more].concat())
}

/// From the primary to the standby and back, into the primary as it was or into an empty instance.
fn there_and_back(into_empty: bool) {
    let site = Site::new(fill);
    let (standby, standby_server) = site.standby();
    let there = environment((&standby, &standby_server));
    let on_site = |arguments: &[&str]| run(&site.machine, &there, arguments);
    restore(&on_site, &standby);
    assert!(!rotates(&standby, "user") && rotates(&site.source, "user"));

    // The standby becomes the primary.
    let planned = on_site(&["restore", "activate", "plan", "--out", "activate.json", "--json"]).json(15);
    assert_eq!(planned["steps"].as_array().unwrap().len(), 1, "{planned:#}");
    assert_eq!((&planned["steps"][0]["name"], &planned["steps"][0]["at_once"]), (&"user".into(), &"may".into()));
    assert_eq!(planned["old_primary"]["answered"]["rotates"][0], "user");
    activate(&on_site, &[]).fails(16, &["still rotates user", "--source-is-dead"]);
    assert!(!rotates(&standby, "user"), "nothing was changed");
    let done = activate(&on_site, &["--source-is-dead"]).json(0);
    assert_eq!((done["done"].as_u64(), done["left"].as_u64()), (Some(1), Some(0)), "{done:#}");
    assert!(rotates(&standby, "user"));
    let again = activate(&on_site, &["--source-is-dead"]).json(0);
    assert_eq!((again["done"].as_u64(), again["already"].as_u64()), (Some(0), Some(1)), "{again:#}");
    on_site(&["restore", "activate", "plan", "--source-is-dead", "--json"]).json(0);

    // Life goes on there.
    for payload in ["busy-3", "busy-4", "busy-5"] {
        let path = format!("secrets/{}/versions", id(&standby, "busy"));
        call(&standby, Verb::Post, &path, &format!(r#"{{"payload":"{payload}"}}"#));
    }
    make(&standby, r#"{"secret_type":"arbitrary","name":"fresh","payload":"fresh-1"}"#);
    call(&standby, Verb::Delete, &format!("secrets/{}", id(&standby, "gone")), "");
    let renamed = format!("secrets/{}/metadata", id(&standby, "renamed"));
    call(&standby, Verb::Patch, &renamed, r#"{"name":"other-name"}"#);

    // And back: a repository of its own, a backup, a restore into the old primary.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = Options { instance_id: "33333333-0f4d-4a6b-8c7d-9e0f1a2b3c4d".to_owned(), ..Options::default() };
    let primary = if into_empty { EmbeddedInstance::new(options) } else { site.source.clone() };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let primary_server = runtime.block_on(Server::start(primary.clone(), any)).unwrap();
    let host = Host::new((&standby, &standby_server), (&primary, &primary_server));
    let back = |arguments: &[&str]| host.run(arguments);
    back(&["backup", "--json"]).json(0);
    let report = restore(&back, &primary);
    assert_eq!(report["conflicts"].as_array().unwrap().len(), 0, "{report:#}");

    // The old primary holds what the new one had; what was deleted there meanwhile is said and left alone.
    let drift = back(&[&["drift", "--json"], &IDENTITY[..]].concat());
    let mut expected = payloads(&standby);
    let there: Vec<String> = rows(&primary).into_keys().collect();
    if into_empty {
        assert_eq!(drift.json(0)["basis"], "values");
        assert_eq!(payloads(&primary), expected);
    } else {
        let found = drift.json(15);
        let word = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        let differences = found["differences"].as_array().unwrap();
        let mut kinds: Vec<_> = differences.iter().map(|one| (word(one, "kind"), word(one, "name"))).collect();
        kinds.sort();
        assert_eq!(kinds, [("extra".to_owned(), "gone".to_owned()), ("rotation".to_owned(), "user".to_owned())]);
        assert!(there.contains(&"gone".to_owned()));
        let mut held = payloads(&primary);
        held.retain(|(name, _)| name != "gone");
        // `user` has one version in both; the rest came behind what was there.
        held.sort();
        expected.sort();
        assert_eq!(held, expected);
    }
    assert_eq!(there.iter().filter(|name| *name == "other-name" || *name == "renamed").count(), 1, "{there:?}");

    // Rotation goes back as well, once the instance that is primary until now has given it up.
    let planned = back(&["restore", "activate", "plan", "--out", "activate.json", "--json"]);
    if into_empty {
        assert_eq!(planned.json(15)["steps"][0]["name"], "user");
        activate(&back, &[]).fails(16, &["still rotates user"]);
        let path = format!("secrets/{}/metadata", id(&standby, "user"));
        call(&standby, Verb::Patch, &path, r#"{"rotation":{"auto_rotate":false}}"#);
        let done = activate(&back, &[]).json(0);
        assert_eq!(done["done"].as_u64(), Some(1), "{done:#}");
    } else {
        planned.json(0);
    }
    assert!(rotates(&primary, "user"));
    runtime.block_on(primary_server.stop());
}

/// Whether a PATCH of a policy rotates is not documented, so the plan says that it may, and both ways must end well.
#[tokio::test]
async fn every_type_that_rotates_is_turned_on_whether_or_not_that_rotates_at_once() {
    for rotates_at_once in [false, true] {
        let clock = keyhaven::provider::embedded::InstanceClock::manual("2026-11-22T12:00:00Z".parse().unwrap());
        let source = Peer::start(options(SOURCE_ID, "eu-de", &clock)).await;
        let switches = Switches { rotation_patch_rotates: rotates_at_once, ..Switches::default() };
        let standby = Peer::start(Options { switches, ..options(STANDBY_ID, "eu-gb", &clock) }).await;
        let pair = Pair { source, standby, clock };
        every_type(&pair.source.instance, 7).unwrap();
        let backup = pair.backup().await;
        let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
        carry_out(&pair, &backup, &made).await;
        let client = pair.standby.client();
        let held = plan(&system_context(), &client, PrimaryAccess::Dead, &[]).await.unwrap();
        let types: std::collections::BTreeSet<&str> = held.steps.iter().map(|step| step.item_type.as_str()).collect();
        assert!(types.contains("username_password") && types.len() > 1, "{types:?}");
        assert!(held.steps.iter().all(|step| step.at_once != RotatesAtOnce::Rotates), "{held:#?}");
        // Refused for what cannot be turned on any more, and for nothing else.
        let report = apply(&system_context(), &held, &client, PrimaryAccess::Dead, Duration::ZERO).await.unwrap();
        assert!(report.stopped.is_none() && report.conflicts.is_empty(), "{report:#?}");
        assert_eq!(report.done + report.failed.len() as u64, held.steps.len() as u64, "{report:#?}");
        assert!(report.failed.is_empty(), "{:#?}", report.failed);
        let again = apply(&system_context(), &held, &client, PrimaryAccess::Dead, Duration::ZERO).await.unwrap();
        assert_eq!((again.done, again.already), (0, held.steps.len() as u64), "{again:#?}");
        assert!(plan(&system_context(), &client, PrimaryAccess::Dead, &[]).await.unwrap().steps.is_empty());
    }
}

/// A key that sees some groups only says nothing about the secrets of the others.
#[tokio::test]
async fn what_the_key_of_the_old_primary_does_not_see_is_not_said_to_rest() {
    let pair = Pair::start().await;
    let (seen, hidden) = (pair.source.group("seen"), pair.source.group("hidden"));
    let make = |name: &str, group: &str| {
        let body = format!(
            r#"{{"secret_type":"username_password","name":"{name}","username":"admin","password":"pass-word-1",
                "secret_group_id":"{group}","rotation":{MONTHLY}}}"#
        );
        pair.source.make("secrets", &body)
    };
    let (one, other) = (make("one", &seen), make("other", &hidden));
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    carry_out(&pair, &backup, &made).await;
    let off = r#"{"rotation":{"auto_rotate":false}}"#;
    pair.source.patch(&format!("secrets/{one}/metadata"), off);
    pair.source.instance.set_key(ApiKey::granted("a-group-key", vec![Grant::on(ServiceRole::Manager, &[&seen])]));
    let (client, narrow) = (pair.standby.client(), pair.source.client_with("a-group-key"));
    let held = plan(&system_context(), &client, PrimaryAccess::Ask(&narrow), &[]).await.unwrap();
    assert_eq!(held.steps.len(), 2);
    let error =
        apply(&system_context(), &held, &client, PrimaryAccess::Ask(&narrow), Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, ActivateError::Silent { .. }), "{error}");
    // One that was deleted there rotates no more.
    let gone = pair.source.instance.call(Verb::Delete, &format!("/api/v2/secrets/{other}"), "");
    assert_eq!(gone.status, 204);
    let wide = pair.source.client();
    let report = apply(&system_context(), &held, &client, PrimaryAccess::Ask(&wide), Duration::ZERO).await.unwrap();
    assert_eq!((report.kind(), report.done), (None, 2), "{report:#?}");
}

#[test]
fn there_and_back_into_the_primary_as_it_was() {
    there_and_back(false);
}

#[test]
fn there_and_back_into_an_empty_instance() {
    there_and_back(true);
}
