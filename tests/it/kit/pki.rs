//! Authorities for the tests: made in an instance by requests, checked and signed by `openssl`, which knows nothing of us.

use std::path::PathBuf;
use std::process::{Command, Output};

use keyhaven::model::json::{JsonObject, as_str};
use keyhaven::provider::embedded::{EmbeddedInstance, Verb};
use tempfile::TempDir;

use super::instance::call;

pub(crate) const ROOT: &str = "private_cert_configuration_root_ca";
pub(crate) const INTERMEDIATE: &str = "private_cert_configuration_intermediate_ca";
pub(crate) const TEMPLATE: &str = "private_cert_configuration_template";

pub(crate) fn configure(instance: &EmbeddedInstance, config_type: &str, name: &str, members: &str) -> JsonObject {
    let body = format!(r#"{{"config_type":"{config_type}","name":"{name}",{members}}}"#);
    call(instance, Verb::Post, "configurations", &body)
}

pub(crate) fn act(instance: &EmbeddedInstance, name: &str, action: &str, members: &str) -> JsonObject {
    let body = format!(r#"{{"action_type":"private_cert_configuration_action_{action}",{members}}}"#);
    call(instance, Verb::Post, &format!("configurations/{name}/actions"), &body)
}

pub(crate) fn configuration(instance: &EmbeddedInstance, name: &str) -> JsonObject {
    call(instance, Verb::Get, &format!("configurations/{name}"), "")
}

/// A member of an authority's `data`.
pub(crate) fn data(instance: &EmbeddedInstance, name: &str, member: &str) -> String {
    configuration(instance, name).object("data").unwrap().str(member).unwrap_or_default()
}

pub(crate) fn status(instance: &EmbeddedInstance, name: &str) -> String {
    configuration(instance, name).str("status").unwrap_or_default()
}

/// A group `prod`; a root, an intermediate that it signed, one that another root signed outside, and a template of each
/// intermediate. Returns the group's id.
pub(crate) fn authorities(instance: &EmbeddedInstance, outside: &Openssl) -> String {
    let group = call(instance, Verb::Post, "secret_groups", r#"{"name":"prod"}"#).str("id").unwrap();
    let members = r#""common_name":"root.example.com","max_ttl":"87600h","ttl":"87600h","crl_expiry":"96h","key_type":"ec",
        "key_bits":384,"ou":["platform"],"country":["DE"],"serial_number":"asset-17","max_path_length":2"#;
    configure(instance, ROOT, "root", members);
    let inside = r#""common_name":"issuing.example.com","max_ttl":"43800h","key_type":"ec","signing_method":"internal",
        "issuer":"root","organization":["Example"]"#;
    configure(instance, INTERMEDIATE, "issuing", inside);
    act(instance, "root", "sign_intermediate", r#""intermediate_certificate_authority":"issuing""#);
    let members =
        r#""common_name":"outside.example.com","max_ttl":"8760h","key_type":"ec","signing_method":"external""#;
    configure(instance, INTERMEDIATE, "outside", members);
    let certificate = outside.sign(&data(instance, "outside", "csr"));
    act(instance, "outside", "set_signed", &format!(r#""certificate":{}"#, json(&certificate)));
    for (name, authority) in [("web", "issuing"), ("mesh", "outside")] {
        let members = format!(
            r#""certificate_authority":"{authority}","allowed_secret_groups":"{group},default","key_type":"ec",
               "allowed_domains":["example.com"],"allow_subdomains":true,"max_ttl":"90d","ttl":"30d",
               "allow_wildcard_certificates":false"#
        );
        configure(instance, TEMPLATE, name, &members);
    }
    group
}

/// Issues a certificate by a template; returns the answer.
pub(crate) fn issue(instance: &EmbeddedInstance, name: &str, template: &str, members: &str) -> JsonObject {
    let body = format!(
        r#"{{"secret_type":"private_cert","name":"{name}","certificate_template":"{template}",
            "common_name":"{name}.example.com"{members}}}"#
    );
    call(instance, Verb::Post, "secrets", &body)
}

pub(crate) fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// The authorities above a certificate, as one PEM text, as an answer about it shows them.
pub(crate) fn above(answer: &JsonObject) -> String {
    let chain = answer.array("ca_chain").unwrap_or_default();
    let chain: Vec<String> = chain.iter().filter_map(|pem| as_str(pem)).collect();
    format!("{}\n{}", answer.str("issuing_ca").unwrap_or_default(), chain.join("\n"))
}

/// The tool, with a root of its own, outside any instance.
pub(crate) struct Openssl {
    folder: TempDir,
}

impl Openssl {
    /// A root of ten years.
    pub(crate) fn new() -> Self {
        let openssl = Self { folder: tempfile::tempdir().unwrap() };
        openssl.run(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "root.key"]);
        let request = ["req", "-x509", "-new", "-key", "root.key", "-subj", "/CN=offline root", "-days", "36500"];
        let end = ["-addext", "basicConstraints=critical,CA:TRUE", "-out", "root.pem"];
        openssl.run(&[&request[..], &end].concat());
        openssl
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn output(&self, arguments: &[&str]) -> Output {
        Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    fn run(&self, arguments: &[&str]) {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn root(&self) -> String {
        std::fs::read_to_string(self.path("root.pem")).unwrap()
    }

    /// Signs a request as that of an authority.
    pub(crate) fn sign(&self, request: &str) -> String {
        self.sign_as(request, "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
    }

    /// Signs a request with these extensions.
    pub(crate) fn sign_as(&self, request: &str, extensions: &str) -> String {
        std::fs::write(self.path("request.pem"), request).unwrap();
        std::fs::write(self.path("extensions"), extensions).unwrap();
        let arguments =
            ["x509", "-req", "-in", "request.pem", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial"];
        let rest = ["-days", "3650", "-extfile", "extensions", "-out", "signed.pem"];
        self.run(&[&arguments[..], &rest].concat());
        std::fs::read_to_string(self.path("signed.pem")).unwrap()
    }

    /// Checks a certificate against a root, with what stands between them; says why it is not good. Not its time: the
    /// instances of the tests have clocks of their own.
    pub(crate) fn verify(&self, root: &str, between: &str, certificate: &str) -> Result<(), String> {
        for (name, text) in [("anchor.pem", root), ("between.pem", between), ("leaf.pem", certificate)] {
            std::fs::write(self.path(name), text).unwrap();
        }
        let arguments =
            ["verify", "-no_check_time", "-no-CApath", "-CAfile", "anchor.pem", "-untrusted", "between.pem"];
        let output = self.output(&[&arguments[..], &["leaf.pem"]].concat());
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    /// A field of a certificate, as `openssl x509` prints it.
    pub(crate) fn shows(&self, certificate: &str, what: &str) -> String {
        std::fs::write(self.path("shown.pem"), certificate).unwrap();
        let what: Vec<&str> = what.split(' ').collect();
        let output = self.output(&[&["x509", "-in", "shown.pem", "-noout"], &what[..]].concat());
        String::from_utf8(output.stdout).unwrap()
    }
}
