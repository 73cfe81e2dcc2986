//! Tests of managed signing requests through the API.

use super::super::harness::{DAY, Got, Machine};
use super::issue::CertificateRequest;
use super::kit::{act, root};
use crate::provider::embedded::options::Switches;

const CSR: &str = r#""managed_csr":{"common_name":"shop.example.com","alt_names":"www.example.com","organization":["Acme"],"key_type":"ec","key_bits":256}"#;

/// Signs the request in an answer with the machine's root; returns the certificate as a JSON string.
fn signed(machine: &mut Machine, got: &Got) -> String {
    let csr = got.object().object("managed_csr").unwrap().get("csr").unwrap().get().to_owned();
    let signed = act(machine, "root", "sign_csr", &format!(r#""csr":{csr},"ttl":"100d""#));
    assert_eq!(signed.0, 201, "{}", signed.1);
    signed.object().object("data").unwrap().get("certificate").unwrap().get().to_owned()
}

#[test]
fn a_request_waits_for_its_certificate_and_only_for_its_own() {
    for kind in [r#""ec","key_bits":256"#, r#""ec","key_bits":384"#, r#""rsa","key_bits":2048"#, r#""ed25519""#] {
        waits(&CSR.replace(r#""ec","key_bits":256"#, kind));
    }
}

fn waits(member: &str) {
    let mut machine = Machine::new();
    root(&mut machine, "root");
    let id = machine.create("imported_cert", "shop", &format!(r#"{member},"version_custom_metadata":{{"n":1}}"#));
    let other = machine.create("imported_cert", "other", member);
    let path = format!("secrets/{id}");
    let got = machine.get(&path);
    assert_eq!(
        (got.raw("state"), got.raw("versions_total"), got.raw("downloaded")),
        ("0".into(), "0".into(), "false".into())
    );
    let managed = got.object().object("managed_csr").unwrap();
    assert!(managed.str("private_key").unwrap().contains("PRIVATE KEY"));
    assert_eq!((managed.str("csr"), managed.bool("require_cn")), (Some(got.str("csr")), Some(true)));
    let request = CertificateRequest::parse(&got.str("csr")).unwrap();
    assert_eq!(request.subject.to_string(), "CN=shop.example.com,O=Acme");
    assert_eq!(request.sans.dns, ["shop.example.com", "www.example.com"]);
    assert_eq!(machine.get(&format!("{path}/metadata")).raw("downloaded"), "true");
    let foreign = machine.get(&format!("secrets/{other}"));
    let foreign = signed(&mut machine, &foreign);
    let refused = machine.post(&format!("{path}/versions"), &format!(r#"{{"certificate":{foreign}}}"#));
    assert!(refused.0 == 400 && refused.1.contains("signing request"), "{}", refused.1);
    let certificate = signed(&mut machine, &got);
    let done = machine.post(&format!("{path}/versions"), &format!(r#"{{"certificate":{certificate}}}"#));
    assert_eq!((done.0, done.raw("version_custom_metadata")), (201, r#"{"n":1}"#.into()), "{}", done.1);
    let active = machine.get(&path);
    assert_eq!((active.raw("state"), active.raw("versions_total")), ("1".into(), "1".into()));
    assert_eq!(active.str("private_key"), managed.str("private_key").unwrap());
    assert_eq!((active.str("csr"), active.raw("private_key_included")), (got.str("csr"), "true".into()));
    assert_eq!(active.str("common_name"), "shop.example.com");
    assert_eq!(active.1.matches("\"csr\"").count(), 2, "once by itself, once in its request");
}

#[test]
fn metadata_shows_the_request_and_its_key_only_by_the_switch() {
    for shows in [false, true] {
        let mut machine = Machine::with(Switches { show_managed_csr_key: shows, ..Switches::default() });
        let id = machine.create("imported_cert", "shop", CSR);
        for path in [format!("secrets/{id}/metadata"), "secrets".to_owned()] {
            let got = machine.get(&path).1;
            assert!(got.contains("CERTIFICATE REQUEST"), "{got}");
            assert_eq!(got.contains("PRIVATE KEY"), shows, "{got}");
        }
    }
}

#[test]
fn a_patch_makes_a_new_request_and_a_new_key_only_when_asked() {
    let mut machine = Machine::new();
    root(&mut machine, "root");
    let id = machine.create("imported_cert", "shop", CSR);
    let path = format!("secrets/{id}");
    let first = machine.get(&path).object().object("managed_csr").unwrap();
    let patch = |machine: &mut Machine, members: &str| {
        let got = machine.patch(&format!("{path}/metadata"), &format!(r#"{{"managed_csr":{{{members}}}}}"#));
        assert_eq!(got.0, 200, "{}", got.1);
        machine.get(&path).object().object("managed_csr").unwrap()
    };
    let second = patch(&mut machine, r#""ou":["Web"]"#);
    assert_ne!(second.str("csr"), first.str("csr"));
    assert_eq!(second.str("private_key"), first.str("private_key"));
    assert_eq!(
        (second.str("common_name"), second.get("ou").unwrap().get()),
        (Some("shop.example.com".into()), r#"["Web"]"#)
    );
    let third = patch(&mut machine, r#""rotate_keys":true"#);
    assert_ne!(third.str("private_key"), second.str("private_key"));
    let fourth = patch(&mut machine, r#""rotate_keys":false,"key_type":"ed25519","key_bits":null"#);
    assert_ne!(fourth.str("private_key"), third.str("private_key"));
    // An active secret stays active until the certificate for the new request arrives.
    let got = machine.get(&path);
    let certificate = signed(&mut machine, &got);
    machine.post(&format!("{path}/versions"), &format!(r#"{{"certificate":{certificate}}}"#));
    patch(&mut machine, r#""rotate_keys":true"#);
    let active = machine.get(&path);
    assert_eq!((active.raw("state"), active.str("private_key")), ("1".into(), fourth.str("private_key").unwrap()));
    let again = machine.post(&format!("{path}/versions"), &format!(r#"{{"certificate":{certificate}}}"#));
    assert_eq!(again.0, 400, "the key of the request is another");
    let certificate = signed(&mut machine, &active);
    assert_eq!(machine.post(&format!("{path}/versions"), &format!(r#"{{"certificate":{certificate}}}"#)).0, 201);
    machine.later(101 * DAY);
    assert_eq!(machine.get(&format!("{path}/metadata")).raw("state"), "5");
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let mut machine = Machine::new();
    for members in [
        r#""managed_csr":{}"#,
        r#""managed_csr":{"common_name":"a.b","key_type":"dsa"}"#,
        r#""managed_csr":{"common_name":"a.b","ip_sans":"here"}"#,
        r#""managed_csr":{"common_name":"a.b","csr":"x"}"#,
        r#""managed_csr":{"common_name":"a.b","key_type":"ec"},"private_key":"x""#,
        r#""intermediate":"x""#,
    ] {
        let body = format!(r#"{{"secret_type":"imported_cert","name":"shop",{members}}}"#);
        assert_eq!(machine.post("secrets", &body).0, 400, "{members}");
    }
    let nameless = r#""managed_csr":{"require_cn":false,"alt_names":"a.b","key_type":"ec"}"#;
    let id = machine.create("imported_cert", "nameless", nameless);
    let versions = machine.post(&format!("secrets/{id}/versions"), "{}");
    assert_eq!(versions.0, 400);
    assert_eq!(machine.patch(&format!("secrets/{id}/metadata"), r#"{"managed_csr":null}"#).0, 400);
}
