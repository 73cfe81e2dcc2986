//! Captures of every secret type and every configuration, and what a whole backup leaves behind in the source: nothing.

use std::collections::{BTreeMap, BTreeSet};

use keyhaven::job::capture::CaptureOptions;
use keyhaven::model::json::JsonObject;
use keyhaven::model::policies::Override;
use keyhaven::model::{Payload, Restorability, Treatment};
use keyhaven::provider::ItemConverter as _;
use keyhaven::provider::embedded::{EmbeddedInstance, Planted, Switches, Verb, every_type};
use keyhaven::provider::ibm::classify::{CONFIGURATION_TYPES, SECRET_TYPES};
use keyhaven::provider::ibm::convert::IbmConverter;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::kit::capture::{Opened, Rig};
use crate::kit::instance::write;
use crate::kit::site::Site;

const CERTIFICATE: &str = include_str!("../../../src/provider/embedded/state/testdata/rsa-certificate.pem");
const KEY: &str = include_str!("../../../src/provider/embedded/state/testdata/rsa-key.pem");

/// The ids of the secrets, by name.
type Ids = BTreeMap<&'static str, String>;

fn configure(instance: &EmbeddedInstance, config_type: &str, name: &str, members: &str) {
    let body = format!(r#"{{"config_type":"{config_type}","name":"{name}",{members}}}"#);
    write(instance, Verb::Post, "/api/v2/configurations", &body);
}

fn create(instance: &EmbeddedInstance, secret_type: &str, name: &str, members: &str) -> String {
    let body = format!(r#"{{"secret_type":"{secret_type}","name":"{name}",{members}}}"#);
    write(instance, Verb::Post, "/api/v2/secrets", &body).unwrap()
}

fn rotate(instance: &EmbeddedInstance, id: &str, members: &str) {
    write(instance, Verb::Post, &format!("/api/v2/secrets/{id}/versions"), &format!("{{{members}}}"));
}

/// Answers the task that a custom credential waits for.
fn answer(instance: &EmbeddedInstance, id: &str, value: &str) {
    let reply = instance.call(Verb::Get, &format!("/api/v2/secrets/{id}/metadata"), "");
    let task = JsonObject::parse(&reply.body).unwrap().str("processing_task_id").unwrap();
    let body = format!(
        r#"{{"status":"credentials_created","credentials":{{"id":"{value}","payload":{{"key":"custom-{value}"}}}}}}"#
    );
    write(instance, Verb::Put, &format!("/api/v2/secrets/{id}/tasks/{task}"), &body);
}

/// One of each configuration.
fn fill_configurations(instance: &EmbeddedInstance) {
    configure(instance, "iam_credentials_configuration", "iam", r#""api_key":"the-engines-own-key""#);
    configure(
        instance,
        "public_cert_configuration_ca_lets_encrypt",
        "acme",
        r#""lets_encrypt_environment":"staging","lets_encrypt_private_key":"the-key-of-the-account""#,
    );
    configure(
        instance,
        "public_cert_configuration_dns_cloud_internet_services",
        "cis",
        r#""cloud_internet_services_crn":"crn:x","cloud_internet_services_apikey":"the-key-of-the-zone""#,
    );
    configure(
        instance,
        "public_cert_configuration_dns_classic_infrastructure",
        "classic",
        r#""classic_infrastructure_username":"the-user-of-old","classic_infrastructure_password":"the-word-of-old""#,
    );
    let root = r#""common_name":"root.test","max_ttl":"87600h","key_type":"ec","organization":["Acme"]"#;
    configure(instance, "private_cert_configuration_root_ca", "root", root);
    let intermediate =
        r#""common_name":"ca.test","max_ttl":"43800h","key_type":"ec","signing_method":"internal","issuer":"root""#;
    configure(instance, "private_cert_configuration_intermediate_ca", "ca", intermediate);
    let sign = r#"{"action_type":"private_cert_configuration_action_sign_intermediate","intermediate_certificate_authority":"ca"}"#;
    write(instance, Verb::Post, "/api/v2/configurations/root/actions", sign);
    let template = r#""certificate_authority":"ca","allowed_domains":["example.com"],"allow_subdomains":true,"allow_ip_sans":true,"allowed_uri_sans":["spiffe://*"],"key_type":"ec","max_ttl":"90d","ttl":"30d""#;
    configure(instance, "private_cert_configuration_template", "web", template);
    let engine = r#""code_engine":{"job_name":"ldap-job","project_id":"project-1","region":"eu-de"}"#;
    configure(instance, "custom_credentials_configuration", "ldap", engine);
}

/// One of each type with two versions where a type can have two, and one of a type that nobody knows.
fn fill_secrets(instance: &EmbeddedInstance) -> Ids {
    let mut ids = Ids::new();
    let mut add = |name, id| drop(ids.insert(name, id));
    let id = create(instance, "arbitrary", "arbitrary", r#""payload":"arbitrary-one""#);
    rotate(instance, &id, r#""payload":"arbitrary-two""#);
    add("arbitrary", id);
    let id = create(instance, "kv", "kv", r#""data":{"n":1e400,"key":"kv-value-one"}"#);
    rotate(instance, &id, r#""data":{"key":"kv-value-two"}"#);
    add("kv", id);
    let id = create(instance, "username_password", "user", r#""username":"user-name","password":"pass-word-one""#);
    rotate(instance, &id, r#""password":"pass-word-two""#);
    add("user", id);
    let pair = |text: &str| serde_json::to_string(text).unwrap();
    let imported = format!(r#""certificate":{},"private_key":{}"#, pair(CERTIFICATE), pair(KEY));
    let id = create(instance, "imported_cert", "imported", &imported);
    rotate(instance, &id, &imported);
    add("imported", id);
    let order = r#""common_name":"www.example.com","ca":"acme","dns":"cis","key_algorithm":"ECDSA256""#;
    add("public", create(instance, "public_cert", "public", order));
    let private = r#""certificate_template":"web","common_name":"api.example.com","alt_names":["www.example.com"],
        "ip_sans":"10.0.0.7","uri_sans":"spiffe://example/api","ttl":"20d""#;
    let id = create(instance, "private_cert", "private", private);
    rotate(instance, &id, "");
    add("private", id);
    let groups = r#""access_groups":["AccessGroupId-1"]"#;
    let id = create(instance, "iam_credentials", "shared", &format!(r#""ttl":"30d","reuse_api_key":true,{groups}"#));
    rotate(instance, &id, "");
    add("shared", id);
    let minted = format!(r#""ttl":"1h","reuse_api_key":false,{groups}"#);
    add("minted", create(instance, "iam_credentials", "minted", &minted));
    let source = r#""source_service":{"instance":{"crn":"crn:v1:bluemix:public:cloud-object-storage:global:a/1:i::"}}"#;
    let id = create(instance, "service_credentials", "service", source);
    rotate(instance, &id, "");
    add("service", id);
    let id = create(instance, "custom_credentials", "custom", r#""configuration":"ldap""#);
    answer(instance, &id, "one");
    rotate(instance, &id, "");
    answer(instance, &id, "two");
    add("custom", id);
    let quantum = Planted {
        secret_type: "quantum_token".to_owned(),
        name: "quantum".to_owned(),
        group: "default".to_owned(),
        fields: JsonObject::parse(r#"{"spin":"up"}"#).unwrap(),
        payload: Payload::new(Zeroizing::new(r#"{"token":"never-to-be-read"}"#.to_owned())),
    };
    add("quantum", instance.plant(&quantum));
    ids
}

/// Everything, beside what the seed puts in.
fn fill(instance: &EmbeddedInstance) -> Ids {
    instance.set_switches(Switches { order_seconds: 0, ..instance.switches() });
    fill_configurations(instance);
    fill_secrets(instance)
}

/// All that is in an instance, but for the two members that every read moves.
fn state(instance: &EmbeddedInstance) -> Vec<String> {
    // What time alone does is done with the next request, whoever sends it.
    assert_eq!(instance.call(Verb::Get, "/api/v2/secret_groups", "").status, 200);
    let items = instance.snapshot().items;
    let mut state: Vec<String> = items.live_credentials().iter().map(|live| format!("{live:?}")).collect();
    for secret in items.secrets.values() {
        state.push(format!(
            "{} {} {} {} {:?} {:?} {:?} {}",
            secret.id,
            secret.name,
            secret.updated_at,
            secret.group,
            secret.life,
            secret.expiration_date,
            secret.next_rotation_date,
            secret.fields.to_raw().get(),
        ));
        for version in &secret.versions {
            let locks: Vec<_> = version.locks.iter().map(|lock| lock.name.as_str()).collect();
            let (fields, there) = (version.fields.to_raw(), version.payload.is_some());
            let digest = version.payload_digest;
            state.push(format!("  {} {there} {digest} {:?} {fields} {locks:?}", version.id, version.expiration_date));
        }
    }
    state.extend(items.groups.values().map(|group| format!("{group:?}")));
    state.extend(items.configurations.values().map(|configuration| {
        let value = configuration.value.as_ref().map(|value| value.expose().to_owned());
        let fields = configuration.fields.to_raw();
        format!("{} {} {} {fields} {value:?}", configuration.config_type, configuration.name, configuration.updated_at)
    }));
    state.push(format!("{:?}", items.registration));
    state
}

fn key(ids: &Ids, name: &str) -> String {
    format!("secret/{}", ids[name])
}

/// The members of the payload of the newest version.
fn members(opened: &Opened, key: &str) -> BTreeSet<String> {
    let payload = opened.payloads(key).into_iter().next().unwrap_or_else(|| panic!("{key} has no payload")).1;
    JsonObject::parse(&payload).unwrap().iter().map(|(name, _)| name.to_owned()).collect()
}

#[tokio::test]
async fn every_type_is_captured_with_both_payloads_and_no_secret_in_a_document() {
    let rig = Rig::new().await;
    let ids = fill(&rig.instance);
    let report = rig.capture().await.unwrap();
    assert_eq!((report.failure(), report.cut), (None, "point_in_time"), "{:?}", report.unread);
    let opened = rig.opened().await;
    let kinds: BTreeSet<&str> = opened.items.values().map(|item| item.item_type.as_str()).collect();
    for (name, _) in SECRET_TYPES.iter().chain(&CONFIGURATION_TYPES) {
        assert!(kinds.contains(name), "no {name} was captured");
    }
    let wanted: [(&str, usize, &[&str]); 9] = [
        ("arbitrary", 2, &["payload"]),
        ("kv", 2, &["data"]),
        ("user", 2, &["username", "password"]),
        ("imported", 2, &["certificate", "private_key"]),
        ("public", 1, &["certificate", "intermediate", "private_key"]),
        ("private", 2, &["certificate", "private_key", "issuing_ca", "ca_chain"]),
        ("shared", 2, &["api_key"]),
        ("service", 2, &["credentials"]),
        ("custom", 2, &["credentials_content"]),
    ];
    for (name, versions, fields) in wanted {
        let key = key(&ids, name);
        assert_eq!(opened.payloads(&key).len(), versions, "{name}");
        let found = members(&opened, &key);
        assert!(fields.iter().all(|field| found.contains(*field)), "{name}: {found:?}");
        let listed = JsonObject::parse(&format!(r#"{{"v":{}}}"#, opened.doc(&key, "versions").unwrap())).unwrap();
        assert_eq!(listed.array("v").unwrap().len(), versions, "{name}: metadata of all versions");
    }
    for name in ["minted", "quantum"] {
        assert!(opened.items[&key(&ids, name)].payloads.is_empty(), "{name} must not be read");
    }
    for (config, field) in [
        ("iam_credentials_configuration/iam", "api_key"),
        ("public_cert_configuration_ca_lets_encrypt/acme", "lets_encrypt_private_key"),
        ("public_cert_configuration_dns_cloud_internet_services/cis", "cloud_internet_services_apikey"),
        ("public_cert_configuration_dns_classic_infrastructure/classic", "classic_infrastructure_password"),
    ] {
        assert!(members(&opened, &format!("configuration/{config}")).contains(field), "{config}");
    }
    let root = opened.doc("configuration/private_cert_configuration_root_ca/root", "value").unwrap();
    assert!(root.contains("max_ttl_seconds") && root.contains("BEGIN CERTIFICATE"));

    // What is secret stands in no document.
    let secrets: Vec<String> = rig
        .instance
        .snapshot()
        .items
        .live_credentials()
        .iter()
        .filter_map(|live| {
            let payload = opened.payloads(&format!("secret/{}", live.secret_id)).into_iter().next()?.1;
            serde_json::from_str::<serde_json::Value>(&payload).ok()
        })
        .flat_map(|payload| texts(&payload))
        .chain(
            ["the-engines-own-key", "the-key-of-the-account", "the-key-of-the-zone", "the-word-of-old"].map(Into::into),
        )
        .chain(["arbitrary-two", "kv-value-two", "pass-word-two", "user-name", "PRIVATE KEY"].map(Into::into))
        .collect();
    assert!(secrets.len() > 10);
    for item in opened.items.values() {
        for (name, doc) in &item.docs {
            let found = secrets.iter().find(|secret| doc.get().contains(secret.as_str()));
            assert!(found.is_none(), "{} of {} shows a secret", name, item.key);
        }
    }
}

#[tokio::test]
async fn keys_that_metadata_answers_show_are_cut_into_the_pack_and_quiet_runs_stay_quiet() {
    let rig = Rig::new().await;
    let shown = Switches { show_managed_csr_key: true, show_ca_private_key: true, ..rig.instance.switches() };
    rig.instance.set_switches(shown);
    every_type(&rig.instance, 11).unwrap();
    let report = rig.capture().await.unwrap();
    assert_eq!(report.failure(), None, "{:?}", report.unread);
    let opened = rig.opened().await;
    let mut cut = BTreeSet::new();
    for item in opened.items.values() {
        for (name, doc) in &item.docs {
            assert!(!doc.get().contains("PRIVATE KEY"), "{name} of {} shows a key", item.key);
        }
        let names = opened.payloads(item.key.as_str()).into_iter().flat_map(|(_, payload)| {
            let payload = JsonObject::parse(&payload).unwrap();
            payload.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        });
        cut.extend(names.filter(|name| name.contains('/') && name.ends_with("private_key")));
    }
    assert!(cut.iter().any(|name| name == "/data/private_key"), "of an authority: {cut:?}");
    assert!(cut.iter().any(|name| name == "row/managed_csr/private_key"), "of a signing request: {cut:?}");
    assert!(rig.capture().await.unwrap().quiet);
}

/// The API keys and passwords among the texts of a payload: what stands under other names is shown by metadata, too.
fn texts(value: &serde_json::Value) -> Vec<String> {
    let secret = |name: &str| ["api_key", "apikey", "password", "key", "secret_access_key"].contains(&name);
    match value {
        serde_json::Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value.as_str() {
                Some(text) if secret(name) => vec![text.to_owned()],
                _ => texts(value),
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn captures_leave_every_key_credential_and_version_as_it_was() {
    let rig = Rig::new().await;
    every_type(&rig.instance, 5).unwrap();
    rig.instance.set_switches(Switches { order_seconds: 0, ..rig.instance.switches() });
    let ids = fill_secrets_only_where_missing(&rig.instance);
    let before = state(&rig.instance);
    rig.capture_now(&rig.options()).await.unwrap();
    rig.capture_now(&CaptureOptions { full: true, ..rig.options() }).await.unwrap();
    rig.capture_now(&rig.options()).await.unwrap();
    assert!(rig.instance.forbidden_acts().is_empty(), "{:?}", rig.instance.forbidden_acts());
    let after = state(&rig.instance);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    assert_eq!(before.len(), after.len());
    assert!(!ids.is_empty() && before.iter().any(|line| line.contains("LiveCredential")), "there is something to lose");
}

/// The seed's configurations are there already; their names differ from ours, but one engine is all that there may be.
fn fill_secrets_only_where_missing(instance: &EmbeddedInstance) -> Ids {
    let mut ids = Ids::new();
    let groups = r#""access_groups":["AccessGroupId-1"]"#;
    for (name, reuse) in [("own-shared", true), ("own-minted", false)] {
        let members = format!(r#""ttl":"30d","reuse_api_key":{reuse},{groups}"#);
        ids.insert(name, create(instance, "iam_credentials", name, &members));
    }
    ids
}

#[test]
fn no_command_changes_the_source() {
    let site = Site::new(|source| drop(fill(source)));
    let (standby, server) = site.standby();
    let (url, iam_url) = (server.base_url(), server.iam_url());
    site.machine.write("standby-key", standby.options().api_key.expose_secret());
    let environment = [
        ("KEYHAVEN_STANDBY_URL", url.as_str()),
        ("KEYHAVEN_STANDBY_IAM_URL", &iam_url),
        ("KEYHAVEN_STANDBY_API_KEY", "file:standby-key"),
    ];
    let before = state(&site.source);
    let identity = ["--identity", "kit/recovery-identity.txt"];
    let id = standby.options().instance_id.clone();
    let commands: [(&[&str], i32); 7] = [
        (&["backup", "--full"], 0),
        (&["verify", "--level", "payload", identity[0], identity[1]], 0),
        (&["ls"], 0),
        (&["diff", "latest", "--live"], 0),
        (&["history", "kv"], 0),
        (&["coverage"], 0),
        (&["restore", "plan", "--deep", "--confirm", &id, identity[0], identity[1]], 15),
    ];
    for (command, code) in commands {
        let run = site.machine.run_with(&environment, command);
        assert_eq!(run.code, code, "{command:?}: {run:#?}");
    }
    assert!(site.source.forbidden_acts().is_empty(), "{:?}", site.source.forbidden_acts());
    assert_eq!(before, state(&site.source));
}

#[tokio::test]
async fn what_no_answer_returns_is_read_out_of_the_certificate() {
    let rig = Rig::new().await;
    let ids = fill(&rig.instance);
    rig.capture().await.unwrap();
    let opened = rig.opened().await;
    let derived = JsonObject::parse(&opened.doc(&key(&ids, "private"), "derived").unwrap()).unwrap();
    assert_eq!(derived.str("ip_sans").as_deref(), Some("10.0.0.7"));
    assert_eq!(derived.str("uri_sans").as_deref(), Some("spiffe://example/api"));
    assert_eq!(derived.str("ttl").as_deref(), Some("480h"));
    assert_eq!(derived.bool("exclude_cn_from_sans"), Some(false));
    let members = opened.doc(&key(&ids, "private"), "payload_members").unwrap();
    assert!(members.contains("private_key"), "{members}");
    assert!(opened.doc(&key(&ids, "public"), "derived").is_none(), "answers show all of it");
}

#[tokio::test]
async fn each_class_is_the_best_that_a_restore_can_do() {
    let rig = Rig::new().await;
    fill(&rig.instance);
    rig.capture().await.unwrap();
    for item in rig.opened().await.items.values() {
        let best = IbmConverter
            .treatments(item)
            .iter()
            .map(|treatment| match treatment {
                Treatment::Exact => Restorability::Exact,
                Treatment::Convert => Restorability::Converted,
                Treatment::Reissue | Treatment::Recreate | Treatment::External => Restorability::Reissued,
                // The old value, for as long as it is valid, is no credential that anybody renews.
                Treatment::AsArbitrary | Treatment::Definition => Restorability::DefinitionOnly,
            })
            .min();
        match item.item_type.as_str() {
            "registration" | "quantum_token" => {}
            item_type => assert_eq!(item.class.known(), best, "{item_type} {}", item.name),
        }
    }
}

fn supply(select: &str, member: &str, value: &str) -> Override {
    let set = serde_json::from_str(&format!(r#"{{"{member}":{value}}}"#)).unwrap();
    Override { select: vec![select.parse().unwrap()], set }
}

#[tokio::test]
async fn what_the_operator_supplies_follows_the_configuration_without_a_request() {
    let rig = Rig::new().await;
    let ids = fill(&rig.instance);
    let template = "configuration/private_cert_configuration_template/web";
    let with = |overrides| CaptureOptions { overrides, ..rig.options() };
    let wild = supply("type:private_cert_configuration_template", "allow_wildcard_certificates", "true");
    let report = rig.capture_with(&with(vec![wild.clone()])).await.unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let supplied = |opened: &Opened, key: &str| opened.doc(key, "supplied");
    let opened = rig.opened().await;
    assert_eq!(supplied(&opened, template).as_deref(), Some(r#"{"allow_wildcard_certificates":true}"#));
    assert_eq!(supplied(&opened, &key(&ids, "kv")), None);

    let quiet = rig.capture_with(&with(vec![wild.clone()])).await.unwrap();
    assert!(quiet.quiet, "the same configuration says nothing new");

    // Another value, another item, and one that selects nothing.
    let narrow = supply("type:private_cert_configuration_template", "allow_wildcard_certificates", "false");
    let format = supply("private", "format", r#""pem_bundle""#);
    let report = rig.capture_with(&with(vec![narrow, format, supply("nobody", "x", "1")])).await.unwrap();
    assert_eq!((report.requests.reading, report.read, report.quiet), (0, 0, false));
    assert!(report.warnings.iter().any(|warning| warning.contains("entry 3 ")), "{:?}", report.warnings);
    let after = rig.opened().await;
    assert_eq!(supplied(&after, template).as_deref(), Some(r#"{"allow_wildcard_certificates":false}"#));
    assert_eq!(supplied(&after, &key(&ids, "private")).as_deref(), Some(r#"{"format":"pem_bundle"}"#));
    assert_eq!(after.items[template].revision, opened.items[template].revision, "it stays bound to what was listed");
    assert_eq!(after.items[template].payloads, opened.items[template].payloads);
    assert_eq!(
        IbmConverter.describe(&after.items[&key(&ids, "private")]).inputs.str("format").as_deref(),
        Some("pem_bundle")
    );

    let report = rig.capture().await.unwrap();
    assert_eq!((report.read, report.quiet), (0, false));
    assert_eq!(supplied(&rig.opened().await, template), None, "taken back");
}
