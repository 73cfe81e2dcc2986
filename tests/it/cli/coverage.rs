//! `keyhaven coverage`, by the real program on a host without a recovery key.

use keyhaven::provider::embedded::{Act, EmbeddedInstance, Verb, When};
use serde_json::Value;

use crate::kit::instance::write;
use crate::kit::site::Site;

fn create(source: &EmbeddedInstance, path: &str, body: &str) -> String {
    write(source, Verb::Post, &format!("/api/v2/{path}"), body).unwrap_or_default()
}

/// Two exact secrets, a root, its template, a private certificate, and a secret whose value is gone.
fn site() -> Site {
    Site::new(|source| {
        create(source, "secrets", r#"{"secret_type":"arbitrary","name":"token","payload":"v"}"#);
        create(source, "secrets", r#"{"secret_type":"kv","name":"pairs","data":{"a":1}}"#);
        let root = r#"{"config_type":"private_cert_configuration_root_ca","name":"root","common_name":"root.test","max_ttl":"87600h","key_type":"ec"}"#;
        create(source, "configurations", root);
        let ca = r#"{"config_type":"private_cert_configuration_intermediate_ca","name":"ca","common_name":"ca.test","max_ttl":"43800h","key_type":"ec","signing_method":"internal","issuer":"root"}"#;
        create(source, "configurations", ca);
        let sign = r#"{"action_type":"private_cert_configuration_action_sign_intermediate","intermediate_certificate_authority":"ca"}"#;
        create(source, "configurations/root/actions", sign);
        let template = r#"{"config_type":"private_cert_configuration_template","name":"web","certificate_authority":"ca","allowed_domains":["example.com"],"allow_subdomains":true,"key_type":"ec","max_ttl":"90d","ttl":"30d"}"#;
        create(source, "configurations", template);
        let leaf = r#"{"secret_type":"private_cert","name":"leaf","certificate_template":"web","common_name":"a.example.com"}"#;
        create(source, "secrets", leaf);
        let registration = r#"{"event_notifications_instance_crn":"crn:v1:bluemix:public:event-notifications:eu-de:a/1:en::","event_notifications_source_name":"primary"}"#;
        create(source, "notifications/registration", registration);
    })
}

fn reason<'a>(coverage: &'a Value, code: &str) -> &'a Value {
    let reasons = coverage["reasons"].as_array().unwrap();
    reasons.iter().find(|reason| reason["code"] == code).unwrap_or_else(|| panic!("no {code}: {coverage:#}"))
}

#[test]
fn coverage_names_classes_reasons_losses_and_needs_and_fails_pipelines() {
    let site = site();
    let coverage = site.run(&["coverage", "--json"]).json(0);
    // The default group, two secrets and the template; the leaf; root, intermediate and registration.
    assert_eq!(coverage["items"], 8, "{coverage:#}");
    let classes = &coverage["classes"];
    assert_eq!((&classes["exact"], &classes["converted"], &classes["reissued"]), (&4.into(), &1.into(), &3.into()));
    assert_eq!((&classes["definition_only"], &classes["impossible"]), (&0.into(), &0.into()));
    let root = reason(&coverage, "root_key_stays");
    assert_eq!((&root["class"], &root["items"][0]["name"]), (&"reissued".into(), &"root".into()));
    assert!(root["today"].as_str().unwrap().contains("prepare-standby"), "{root}");
    let leaf = &reason(&coverage, "convertible")["items"][0];
    assert_eq!((&leaf["group"], &leaf["name"]), (&"default".into(), &"leaf".into()));

    let members = coverage["members"].as_array().unwrap();
    let of = |name: &str| members.iter().find(|members| members["item"]["name"] == name).unwrap();
    assert_eq!(of("web")["lost"], serde_json::json!(["allow_wildcard_certificates"]));
    let kept = of("leaf")["kept"].as_array().unwrap();
    assert!(kept.contains(&"ttl".into()) && kept.contains(&"exclude_cn_from_sans".into()), "{kept:?}");
    assert_eq!(of("leaf")["lost"], serde_json::json!(["format"]));
    let needs = coverage["needs"].as_array().unwrap();
    let notifications = needs.iter().find(|need| need["code"] == "event_notifications").unwrap();
    assert!(notifications["subjects"][0].as_str().unwrap().contains("event-notifications"));

    let policies = "\n[policies]\nprivate_cert = \"definition\"\n";
    let config = site.machine.read("keyhaven.toml");
    site.machine.write("keyhaven.toml", &(config.clone() + policies));
    let left = site.run(&["coverage", "--json"]).json(0);
    assert_eq!((&left["left_out"][0]["item"]["name"], &left["classes"]), (&"leaf".into(), classes), "{left:#}");
    assert_eq!(left["left_out"][0]["instead"], serde_json::json!(["convert", "reissue"]));
    site.machine.write("keyhaven.toml", &config);
    assert_eq!(coverage["left_out"], serde_json::json!([]));
    assert_eq!((&coverage["treatments"]["convert"], &coverage["treatments"]["recreate"]), (&1.into(), &2.into()));

    // In words: what to look at, and not a word of what is simply well.
    let text = site.run(&["coverage"]);
    for said in
        ["a restore leaves them to their default", "web: allow_wildcard_certificates", "today:", "root (private_cert"]
    {
        assert!(text.out.contains(said), "`{said}`: {text:#?}");
    }
    assert!(!text.out.contains("token"), "{}", text.out);
    assert!(site.run(&["coverage", "--all"]).out.contains("default/token (arbitrary)"));

    assert_eq!(site.run(&["coverage", "--fail-under", "100"]).code, 0);
    assert_eq!(site.run(&["coverage", "--fail-under", "50=exact"]).code, 0, "the bound itself is enough");
    let under = site.run(&["coverage", "--fail-under", "62.6=converted", "--json"]).json(3);
    assert_eq!(under["met"], false);
    site.run(&["coverage", "--fail-under", "all"]).fails(2, &["PERCENT[=CLASS]"]);

    // Overrides of the configuration reach the report with the next snapshot.
    let config = site.machine.read("keyhaven.toml");
    let tables = "\n[[overrides]]\nselect = [\"web\"]\nset = { allow_wildcard_certificates = true }\n";
    site.machine.write("keyhaven.toml", &(config + tables));
    site.run(&["backup", "--json"]).json(0);
    let coverage = site.run(&["coverage", "--json"]).json(0);
    let members = coverage["members"].as_array().unwrap();
    let web = members.iter().find(|members| members["item"]["name"] == "web").unwrap();
    assert_eq!(web["lost"], serde_json::json!([]), "{web}");
}

#[test]
fn a_share_of_what_nobody_may_list_is_not_reached() {
    let site = Site::new(|source| {
        create(source, "secrets", r#"{"secret_type":"arbitrary","name":"token","payload":"v"}"#);
    });
    assert_eq!(site.run(&["coverage", "--fail-under", "100"]).code, 0);
    let when = When::any().path("/api/v2/configurations");
    site.fault(when, Act::Status { status: 403, retry_after: None });
    let backup = site.run(&["backup", "--json"]).json(3);
    assert_eq!(backup["hidden"][0]["kind"], "configuration", "{backup:#}");
    assert_eq!(backup["quiet"], true, "and a quiet entry says so as well");
    let coverage = site.run(&["coverage", "--fail-under", "1", "--json"]).json(3);
    assert_eq!((&coverage["hidden"], &coverage["met"]), (&serde_json::json!(["configuration"]), &false.into()));
    let text = site.run(&["coverage", "--fail-under", "1"]);
    assert!(text.code == 3 && text.out.contains("may not list it: configuration"), "{text:#?}");
    assert!(text.out.contains("not reached"), "{text:#?}");

    // Accepted in the configuration, the run is no failure, and coverage is as honest as before.
    let config = site.machine.read("keyhaven.toml");
    site.machine.write("keyhaven.toml", &config.replace("[backup]", "[backup]\nallow_partial = true"));
    site.run(&["backup", "--json"]).json(0);
    assert_eq!(site.run(&["coverage", "--fail-under", "1"]).code, 3);
}
