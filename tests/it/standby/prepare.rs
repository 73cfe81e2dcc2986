//! Before the disaster, with the real program: the standby's authorities signed by the primary, no secret touched.

use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{ApiKey, EmbeddedInstance, Options, Server, ServiceRole, Verb};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::kit::instance::call;
use crate::kit::pki::{Openssl, above, authorities, data, issue, status};
use crate::kit::program::Run;
use crate::kit::site::Site;

const OVERRIDES: &str = r#"
[[overrides]]
select = ["type:private_cert_configuration_template"]
set = { allow_wildcard_certificates = false }
"#;

/// A primary with authorities, a certificate and a secret, backed up; its standby; and a program between them.
struct Stage {
    site: Site,
    openssl: Openssl,
    standby: EmbeddedInstance,
    server: Server,
}

impl Stage {
    fn new() -> Self {
        let openssl = Openssl::new();
        let keys = vec![ApiKey::new("a-reader", ServiceRole::SecretsReader)];
        let site = Site::with(Options { keys, ..Options::default() }, |source| {
            authorities(source, &openssl);
            issue(source, "web-1", "web", "");
            call(source, Verb::Post, "secrets", r#"{"secret_type":"arbitrary","name":"one","payload":"p"}"#);
        });
        let config = site.machine.read("keyhaven.toml");
        site.machine.write("keyhaven.toml", &format!("{config}{OVERRIDES}"));
        let (standby, server) = site.standby();
        Self { site, openssl, standby, server }
    }

    fn run(&self, arguments: &[&str], more: &[(&str, &str)]) -> Run {
        let id = self.standby.options().instance_id.clone();
        self.look(&[arguments, &["--confirm", &id]].concat(), more)
    }

    /// A command that writes nothing into the standby.
    fn look(&self, arguments: &[&str], more: &[(&str, &str)]) -> Run {
        let (url, iam) = (self.server.base_url(), self.server.iam_url());
        let key = self.standby.options().api_key.expose_secret().to_owned();
        let mut environment = vec![
            ("KEYHAVEN_STANDBY_URL", url.as_str()),
            ("KEYHAVEN_STANDBY_IAM_URL", iam.as_str()),
            ("KEYHAVEN_STANDBY_API_KEY", "env:STANDBY_API_KEY"),
            ("STANDBY_API_KEY", key.as_str()),
            ("KEYHAVEN_STANDBY_REQUESTS_PER_SECOND", "1000"),
        ];
        environment.extend(more);
        let rest = ["--identity", "kit/recovery-identity.txt", "--json"];
        self.site.machine.run_with(&environment, &[arguments, &rest].concat())
    }

    fn secrets(&self) -> u64 {
        call(&self.standby, Verb::Get, "secrets", "").u64("total_count").unwrap()
    }
}

fn steps(plan: &Value) -> Vec<String> {
    let step = |step: &Value| {
        let action = step["action"].as_str().or_else(|| step["action"].as_object()?.keys().next().map(String::as_str));
        format!("{} {}", action.unwrap(), step["name"].as_str().unwrap())
    };
    plan["steps"].as_array().unwrap().iter().map(step).collect()
}

fn said(report: &Value, list: &str, name: &str) -> String {
    let found = report[list].as_array().unwrap().iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("nothing {list} about {name}: {report:#}"))["reason"].as_str().unwrap().to_owned()
}

#[test]
fn what_trusts_the_primary_trusts_the_standby_before_it_is_needed() {
    let stage = Stage::new();
    let source = &stage.site.source;
    let plan = ["prepare-standby", "plan", "--sign-with-source", "--out", "prepare.json"];
    let apply = ["prepare-standby", "apply", "prepare.json"];
    let made = stage.run(&plan, &[]).json(15);
    let expected = [
        "create_group prod",
        "create_configuration root",
        "create_configuration issuing",
        "set_signed issuing",
        "create_configuration outside",
        "set_signed outside",
        "create_configuration mesh",
        "create_configuration web",
    ];
    assert_eq!(steps(&made), expected);

    // A key that may only read lets nobody sign; what hangs on the signature is not tried.
    let reader = [("KEYHAVEN_PREPARE_SOURCE_API_KEY", "env:READER_API_KEY"), ("READER_API_KEY", "a-reader")];
    let refused = stage.run(&apply, &reader).json(3);
    assert!(said(&refused, "failed", "issuing").contains("the source did not sign its request"), "{refused:#}");
    assert!(said(&refused, "skipped", "web").contains("has no certificate yet"), "{refused:#}");
    assert_eq!(status(&stage.standby, "issuing"), "signed_certificate_required");

    // With a Manager's key the same plan goes on; the one whose issuer is not the source's own waits, and leaves its
    // request beside the plan.
    let waiting = stage.run(&apply, &[]).json(3);
    assert!(said(&waiting, "waiting", "outside").contains("signed certificate"), "{waiting:#}");
    assert!(said(&waiting, "skipped", "mesh").contains("certificate authority outside"), "{waiting:#}");
    let request = stage.site.machine.read("prepare.outside.csr.pem");
    stage.site.machine.write("prepare.outside.signed.pem", &stage.openssl.sign(&request));
    let done = stage.run(&apply, &[]).json(0);
    assert_eq!((done["done"].as_u64(), done["left"].as_u64()), (Some(2), Some(0)), "{done:#}");
    assert_eq!(stage.run(&plan, &[]).json(0)["steps"], Value::Array(Vec::new()));
    assert_eq!(stage.secrets(), 0, "no secret was touched");

    // What the standby issues is good for whoever trusts the primary's root, and only by way of its signature.
    let leaf = issue(&stage.standby, "probe", "web", "");
    let certificate = leaf.str("certificate").unwrap();
    let root = data(source, "root", "certificate");
    let intermediate = data(&stage.standby, "issuing", "certificate");
    stage.openssl.verify(&root, &intermediate, &certificate).unwrap();
    stage.openssl.verify(&root, "", &certificate).unwrap_err();
    let own = data(&stage.standby, "root", "certificate");
    stage.openssl.verify(&own, &above(&leaf), &certificate).unwrap_err();

    // In the disaster the restore finds all of that right, although it would have signed the intermediate itself.
    let restore = stage.run(&["restore", "plan", "--out", "plan.json"], &[]).json(15);
    assert_eq!(restore["conflicts"], Value::Array(Vec::new()), "{restore:#}");
    let left = steps(&restore);
    assert!(left.iter().all(|step| step.starts_with("create_secret")), "{left:?}");

    // And no drift but for the secrets: who signed an authority was decided on purpose.
    let drift = stage.look(&["drift"], &[]).json(15);
    let kinds: Vec<_> =
        drift["differences"].as_array().unwrap().iter().map(|one| (&one["kind"], &one["key"])).collect();
    assert!(!kinds.is_empty(), "{drift:#}");
    for (kind, key) in kinds {
        assert!((kind == "missing" || kind == "extra") && key.as_str().unwrap().starts_with("secret/"), "{drift:#}");
    }
}

#[test]
fn a_certificate_for_nobody_and_a_plan_with_secrets_are_refused() {
    let stage = Stage::new();
    let made = stage.run(&["restore", "plan", "--out", "plan.json"], &[]);
    assert_eq!(made.code, 15, "{made:#?}");
    stage.run(&["prepare-standby", "apply", "plan.json"], &[]).fails(2, &["restores secrets too", "restore apply"]);
    stage.site.machine.write("any.pem", "-----BEGIN CERTIFICATE-----");
    let arguments = ["restore", "apply", "plan.json", "--signed", "issuing=any.pem"];
    // The standby's own root signs that one.
    stage.run(&arguments, &[]).fails(2, &["waits for no certificate", "issuing"]);
    let arguments = ["restore", "apply", "plan.json", "--signed", "outside=any.pem"];
    let report = stage.run(&arguments, &[]).json(3);
    assert!(said(&report, "failed", "outside").contains("no PEM certificate"), "{report:#}");
    assert_eq!(stage.secrets(), 2, "the rest came all the same");
}

/// The plan without signatures by the source is a restore's plan without secrets.
#[test]
fn without_the_source_the_standby_makes_authorities_of_its_own() {
    let stage = Stage::new();
    let made = stage.run(
        &["prepare-standby", "plan", "--out", "prepare.json", "--exclude", "name:outside", "--exclude", "name:mesh"],
        &[],
    );
    assert_eq!(made.code, 15, "{made:#?}");
    stage.run(&["prepare-standby", "apply", "prepare.json"], &[]).json(0);
    assert_eq!(status(&stage.standby, "issuing"), "configured");
    let leaf: JsonObject = issue(&stage.standby, "probe", "web", "");
    let root = data(&stage.standby, "root", "certificate");
    stage.openssl.verify(&root, &above(&leaf), &leaf.str("certificate").unwrap()).unwrap();
    assert_eq!(stage.secrets(), 1, "the one that was just issued");
}
