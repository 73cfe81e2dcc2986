//! Shared helpers of the certificate tests: authorities created by requests.

use super::super::harness::{Got, Machine};
use super::authority::{INTERMEDIATE, ROOT};
use super::template::TEMPLATE;

/// Creates a configuration and returns the answer, even an error.
pub(crate) fn configure(machine: &mut Machine, config_type: &str, name: &str, members: &str) -> Got {
    machine.post("configurations", &format!(r#"{{"config_type":"{config_type}","name":"{name}",{members}}}"#))
}

/// Creates a root with a lifetime of ten years and a P-256 key.
pub(crate) fn root(machine: &mut Machine, name: &str) -> Got {
    let members = format!(r#""common_name":"{name}.test","max_ttl":"87600h","key_type":"ec""#);
    let got = configure(machine, ROOT, name, &members);
    assert_eq!(got.0, 201, "{}", got.1);
    got
}

/// Creates an intermediate that waits for its issuer's signature.
pub(crate) fn unsigned(machine: &mut Machine, name: &str, issuer: &str) -> Got {
    let members = format!(
        r#""common_name":"{name}.test","max_ttl":"43800h","key_type":"ec","signing_method":"internal","issuer":"{issuer}""#
    );
    let got = configure(machine, INTERMEDIATE, name, &members);
    assert_eq!(got.0, 201, "{}", got.1);
    got
}

/// Performs an action on a configuration.
pub(crate) fn act(machine: &mut Machine, name: &str, action: &str, members: &str) -> Got {
    let comma = if members.is_empty() { "" } else { "," };
    let body = format!(r#"{{"action_type":"private_cert_configuration_action_{action}"{comma}{members}}}"#);
    machine.post(&format!("configurations/{name}/actions"), &body)
}

/// Creates root `root`, signed intermediate `ca` and template `web` for `example.com`.
pub(crate) fn chain(machine: &mut Machine) {
    root(machine, "root");
    unsigned(machine, "ca", "root");
    let signed = act(machine, "root", "sign_intermediate", r#""intermediate_certificate_authority":"ca""#);
    assert_eq!(signed.0, 201, "{}", signed.1);
    let members = r#""certificate_authority":"ca","allowed_domains":["example.com"],"allow_subdomains":true,"key_type":"ec","max_ttl":"90d","ttl":"30d""#;
    let got = configure(machine, TEMPLATE, "web", members);
    assert_eq!(got.0, 201, "{}", got.1);
}
