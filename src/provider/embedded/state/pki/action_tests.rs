//! Signing actions: their members, and the defaults from the signing request.

use x509_cert::Certificate;
use x509_cert::der::DecodePem;
use x509_cert::ext::pkix::{BasicConstraints, NameConstraints, SubjectAltName};

use super::super::harness::Machine;
use super::authority::INTERMEDIATE;
use super::kit::{act, configure, root};
use super::names::Sans;

/// Creates a machine with a root, and an external authority's signing request as a JSON string.
fn machine() -> (Machine, String) {
    let mut machine = Machine::new();
    root(&mut machine, "root");
    let members = r#""common_name":"asked.test","organization":["Asked"],"alt_names":["asked.example.com"],"max_ttl":"1000h","key_type":"ec","signing_method":"external""#;
    let got = configure(&mut machine, INTERMEDIATE, "ca", members);
    let csr = got.object().object("data").unwrap().get("csr").unwrap().get().to_owned();
    (machine, csr)
}

/// Returns the certificate from `sign_csr` with these additional members.
fn signed(machine: &mut Machine, csr: &str, members: &str) -> Certificate {
    let got = act(machine, "root", "sign_csr", &format!(r#""csr":{csr}{members}"#));
    assert_eq!(got.0, 201, "{members}: {}", got.1);
    let pem = got.object().object("data").unwrap().str("certificate").unwrap();
    Certificate::from_pem(pem.as_bytes()).unwrap()
}

fn names(certificate: &Certificate) -> Vec<String> {
    let names = certificate.tbs_certificate().get_extension::<SubjectAltName>().unwrap();
    names.map(|(_, names)| Sans::of(&names.0).dns).unwrap_or_default()
}

#[test]
fn the_action_speaks_before_the_request_unless_it_says_otherwise() {
    let (mut machine, csr) = machine();
    for (members, subject, alternatives) in [
        ("", "CN=asked.test,O=Asked", vec!["asked.test", "asked.example.com"]),
        (r#","common_name":"given.test""#, "CN=given.test", vec!["given.test", "asked.test", "asked.example.com"]),
        (
            r#","common_name":"given.test","organization":["Given"],"alt_names":["given.example.com"]"#,
            "CN=given.test,O=Given",
            vec!["given.test", "given.example.com"],
        ),
        (
            r#","common_name":"given.test","alt_names":["given.example.com"],"use_csr_values":true"#,
            "CN=asked.test,O=Asked",
            vec!["asked.test", "asked.example.com"],
        ),
        (
            r#","common_name":"given.test","alt_names":["given.example.com"],"exclude_cn_from_sans":true"#,
            "CN=given.test",
            vec!["given.example.com"],
        ),
    ] {
        let certificate = signed(&mut machine, &csr, members);
        assert_eq!(certificate.tbs_certificate().subject().to_string(), subject, "{members}");
        assert_eq!(names(&certificate), alternatives, "{members}");
    }
}

#[test]
fn bounds_of_the_action_are_in_the_certificate() {
    let (mut machine, csr) = machine();
    let certificate =
        signed(&mut machine, &csr, r#","max_path_length":2,"permitted_dns_domains":["example.com"],"ttl":"36h""#);
    let tbs = certificate.tbs_certificate();
    let (critical, constraints) = tbs.get_extension::<BasicConstraints>().unwrap().unwrap();
    assert!(critical && constraints.ca && constraints.path_len_constraint == Some(2));
    let (_, domains) = tbs.get_extension::<NameConstraints>().unwrap().unwrap();
    assert_eq!(domains.permitted_subtrees.unwrap().len(), 1);
    let life = tbs.validity().not_after.to_unix_duration() - tbs.validity().not_before.to_unix_duration();
    assert_eq!(life.as_secs(), 36 * 3600 + 30);
}

#[test]
fn nothing_outlives_its_authority_and_nobody_gets_more_than_its_bounds() {
    let (mut machine, csr) = machine();
    machine.later(86_400_000);
    let whole = signed(&mut machine, &csr, r#","ttl":"3650d""#);
    let root = machine.state.authority("root").unwrap();
    let end = root.parsed().unwrap().tbs_certificate().validity().not_after.to_unix_duration();
    assert_eq!(whole.tbs_certificate().validity().not_after.to_unix_duration(), end);
    for (members, part) in [
        (r#","ttl":"3651d""#, "ttl"),
        (r#","max_path_length":11"#, "max_path_length"),
        (r#","common_name":"root.test""#, "itself"),
        (r#","unheard_of":1"#, "unheard_of"),
        (r#","ip_sans":"here""#, "ip_sans"),
    ] {
        let got = act(&mut machine, "root", "sign_csr", &format!(r#""csr":{csr}{members}"#));
        assert!(got.0 == 400 && got.1.contains(part), "{members}: {}", got.1);
    }
    let frob = act(&mut machine, "root", "frob", "");
    assert!(frob.0 == 400 && frob.1.contains("action_type"));
    assert_eq!(act(&mut machine, "none", "rotate_crl", "").0, 404);
    assert_eq!(act(&mut machine, "ca", "rotate_crl", "").0, 400, "it has no certificate yet");
}
