//! Tests of authorities, templates and private certificates through the API.

use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::{Decode, DecodePem, Document};

use super::super::harness::{DAY, Machine};
use super::authority::{INTERMEDIATE, ROOT};
use super::issue::{is_signed_by, serial_text};
use super::kit::{act, chain, configure, root, unsigned};
use super::template::TEMPLATE;
use crate::model::json::{JsonObject, as_str};
use crate::provider::embedded::options::Switches;

fn parse(pem: &str) -> Certificate {
    Certificate::from_pem(pem.as_bytes()).unwrap()
}

/// Returns the serial numbers on an authority's newest revocation list, and the number of the list.
fn revoked(machine: &Machine, name: &str) -> Vec<String> {
    let path = format!("{}{name}/crl/pem", super::PUBLIC);
    let pem = machine.state.public_authority_text(&path).unwrap();
    let (_, document) = Document::from_pem(&pem).unwrap();
    let list: CertificateList = CertificateList::from_der(document.as_bytes()).unwrap();
    let entries = list.tbs_cert_list.revoked_certificates.unwrap_or_default();
    entries.iter().map(|entry| serial_text(entry.serial_number.as_bytes())).collect()
}

fn data(machine: &mut Machine, name: &str) -> JsonObject {
    machine.get(&format!("configurations/{name}")).object().object("data").unwrap()
}

const LEAF: &str = r#""certificate_template":"web","common_name":"a.example.com""#;

#[test]
fn a_root_signs_itself_and_shows_seconds_but_no_key() {
    let mut machine = Machine::new();
    let members = r#""common_name":"Root One","max_ttl":"10d","crl_expiry":"2h","organization":["Acme"],"key_type":"ec","key_bits":384,"max_path_length":1"#;
    let got = configure(&mut machine, ROOT, "root", members);
    assert_eq!(got.0, 201, "{}", got.1);
    assert_eq!(
        (got.raw("max_ttl_seconds"), got.raw("ttl_seconds"), got.raw("crl_expiry_seconds")),
        ("864000".into(), "864000".into(), "7200".into())
    );
    assert_eq!((got.str("status"), got.raw("key_bits")), ("configured".into(), "384".into()));
    assert_eq!(got.str("expiration_date"), "2026-12-02T14:00:00Z");
    assert!(!got.has("max_ttl") && !got.has("crl_expiry") && !got.1.contains("PRIVATE KEY"), "{}", got.1);
    let data = got.object().object("data").unwrap();
    let certificate = parse(&data.str("certificate").unwrap());
    assert!(is_signed_by(&certificate, &certificate));
    assert_eq!(data.str("issuing_ca"), data.str("certificate"));
    let row = &machine.get("configurations").rows("configurations")[0];
    assert!(row.get("data").is_none() && row.get("max_ttl_seconds").is_none() && row.get("organization").is_none());
    assert_eq!(row.str("status").as_deref(), Some("configured"));
    assert_eq!(revoked(&machine, "root"), Vec::<String>::new());
}

#[test]
fn the_key_of_an_authority_is_shown_only_by_its_switch() {
    let mut machine = Machine::new();
    root(&mut machine, "root");
    for show in [true, false] {
        machine.state.set_switches(Switches { show_ca_private_key: show, ..Switches::default() });
        assert_eq!(data(&mut machine, "root").get("private_key").is_some(), show);
        assert!(!machine.get("configurations").1.contains("PRIVATE"));
    }
}

#[test]
fn an_intermediate_goes_from_signing_to_a_template_to_configured_and_back() {
    let mut machine = Machine::new();
    root(&mut machine, "root");
    let got = unsigned(&mut machine, "ca", "root");
    assert_eq!(got.str("status"), "signing_required");
    assert!(got.object().object("data").unwrap().str("csr").unwrap().contains("CERTIFICATE REQUEST"));
    let template = r#""certificate_authority":"ca","allow_any_name":true,"key_type":"ec""#;
    configure(&mut machine, TEMPLATE, "early", template);
    let body = r#"{"secret_type":"private_cert","name":"leaf","certificate_template":"early","common_name":"a.b"}"#;
    assert_eq!(machine.post("secrets", body).0, 400);
    machine.delete("configurations/early");
    let signed =
        act(&mut machine, "root", "sign_intermediate", r#""intermediate_certificate_authority":"ca","ttl":"100d""#);
    assert_eq!((signed.0, signed.str("ttl")), (201, "100d".into()));
    let status = |machine: &mut Machine| machine.get("configurations/ca").str("status");
    assert_eq!(status(&mut machine), "certificate_template_required");
    let got = data(&mut machine, "ca");
    assert!(is_signed_by(&parse(&got.str("certificate").unwrap()), &parse(&got.str("issuing_ca").unwrap())));
    assert!(got.get("csr").is_none());
    configure(&mut machine, TEMPLATE, "web", template);
    assert_eq!(status(&mut machine), "configured");
    machine.delete("configurations/web");
    assert_eq!(status(&mut machine), "certificate_template_required");
    let again = act(&mut machine, "root", "sign_intermediate", r#""intermediate_certificate_authority":"ca""#);
    assert_eq!(again.0, 400);
    machine.later(101 * DAY);
    assert_eq!(status(&mut machine), "expired");
    assert_eq!(machine.get("configurations/root").str("status"), "configured");
}

#[test]
fn an_authority_of_another_instance_signs_and_only_for_the_right_key() {
    let (mut primary, mut standby) = (Machine::new(), Machine::with_seed(2));
    root(&mut primary, "root");
    let external = |machine: &mut Machine, name: &str| {
        let members =
            format!(r#""common_name":"{name}.test","max_ttl":"1000h","key_type":"ec","signing_method":"external""#);
        configure(machine, INTERMEDIATE, name, &members)
    };
    let csr =
        |got: &super::super::harness::Got| got.object().object("data").unwrap().get("csr").unwrap().get().to_owned();
    let first = external(&mut standby, "ca");
    assert_eq!(first.str("status"), "signed_certificate_required");
    let second = external(&mut standby, "other");
    let signed = act(&mut primary, "root", "sign_csr", &format!(r#""csr":{},"max_path_length":0"#, csr(&first)));
    assert_eq!(signed.0, 201, "{}", signed.1);
    let certificate = signed.object().object("data").unwrap();
    let pem = certificate.get("certificate").unwrap().get().to_owned();
    assert_eq!(act(&mut standby, "other", "set_signed", &format!(r#""certificate":{pem}"#)).0, 400);
    let got = act(&mut standby, "ca", "set_signed", &format!(r#""certificate":{pem}"#));
    assert_eq!(got.0, 201, "{}", got.1);
    assert_eq!(standby.get("configurations/ca").str("status"), "certificate_template_required");
    // An authority whose path length is 0 signs no other authority.
    let below = act(&mut standby, "ca", "sign_csr", &format!(r#""csr":{}"#, csr(&second)));
    assert!(below.0 == 400 && below.1.contains("path length"), "{}", below.1);
    let broken = csr(&second).replacen("MII", "MIJ", 1);
    assert_eq!(act(&mut primary, "root", "sign_csr", &format!(r#""csr":{broken}"#)).0, 400);
    // Leading whitespace is allowed, but the whole request may have at most 4096 characters.
    for (blanks, status) in [(10, 201), (4096, 400)] {
        let padded = csr(&second).replacen('"', &format!("\"{}", " ".repeat(blanks)), 1);
        let got = act(&mut primary, "root", "sign_csr", &format!(r#""csr":{padded},"max_path_length":0"#));
        assert_eq!(got.0, status, "{}", got.1);
    }
    // With the bundled chain, the complete path is known.
    let bundle = format!(
        "{}{}",
        as_str(certificate.get("certificate").unwrap()).unwrap(),
        certificate.str("issuing_ca").unwrap()
    );
    let got =
        act(&mut standby, "ca", "set_signed", &format!(r#""certificate":{}"#, crate::model::json::raw(&bundle).get()));
    assert_eq!(got.0, 201, "{}", got.1);
    assert_eq!(data(&mut standby, "ca").array("ca_chain").unwrap().len(), 1);
}

#[test]
fn a_leaf_chains_up_and_no_metadata_shows_how_it_was_asked_for() {
    let mut machine = Machine::new();
    chain(&mut machine);
    let members = format!(
        r#"{LEAF},"alt_names":["b.example.com"],"ip_sans":"10.0.0.1","ttl":"48h","private_key_format":"pkcs8""#
    );
    let id = machine.create("private_cert", "leaf", &members);
    let got = machine.get(&format!("secrets/{id}"));
    let (leaf, issuer) = (parse(&got.str("certificate")), parse(&got.str("issuing_ca")));
    assert!(is_signed_by(&leaf, &issuer));
    assert!(got.str("private_key").starts_with("-----BEGIN PRIVATE KEY-----"));
    let chain = got.object().array("ca_chain").unwrap();
    assert_eq!(chain.len(), 2);
    assert!(is_signed_by(&issuer, &parse(&as_str(&chain[1]).unwrap())));
    let metadata = machine.get(&format!("secrets/{id}/metadata"));
    assert_eq!(
        (metadata.str("certificate_authority"), metadata.str("certificate_template")),
        ("ca".into(), "web".into())
    );
    assert_eq!(
        (metadata.str("common_name"), metadata.raw("alt_names")),
        ("a.example.com".into(), r#"["b.example.com"]"#.into())
    );
    assert_eq!((metadata.str("key_algorithm"), metadata.str("issuer")), ("ECDSA256".into(), "CN=ca.test".into()));
    assert_eq!(metadata.str("expiration_date"), "2026-11-24T14:00:00Z");
    for text in [&got.1, &metadata.1] {
        assert!(
            !["ip_sans", "\"ttl\"", "private_key_format", "\"csr\""].iter().any(|name| text.contains(name)),
            "{text}"
        );
    }
    assert!(!metadata.1.contains("BEGIN"));
}

#[test]
fn a_template_bounds_what_is_issued() {
    let mut machine = Machine::new();
    chain(&mut machine);
    let group = machine.post("secret_groups", r#"{"name":"web"}"#).str("id");
    let patched = machine.patch("configurations/web", &format!(r#"{{"allowed_secret_groups":"{group}"}}"#));
    assert_eq!(patched.str("allowed_secret_groups"), group);
    let mut refused = |members: &str, part: &str| {
        let body = format!(r#"{{"secret_type":"private_cert","name":"leaf",{members}}}"#);
        let got = machine.post("secrets", &body);
        assert!(got.0 == 400 && got.1.contains(part), "{members}: {}", got.1);
    };
    let inside = format!(r#""secret_group_id":"{group}","certificate_template":"web""#);
    refused(LEAF, "secret group");
    refused(&format!(r#"{inside},"common_name":"a.example.org""#), "not allowed");
    refused(&format!(r#"{inside},"common_name":"a.example.com","alt_names":["evil.example.org"]"#), "evil.example.org");
    refused(&format!(r#"{inside},"common_name":"a.example.com","ttl":"91d""#), "ttl");
    refused(&format!(r#"{inside},"common_name":"a.example.com","uri_sans":"spiffe://x""#), "URI");
    refused(&LEAF.replace("web", "none"), "names no template");
    let late = r#""rotation":{"auto_rotate":true,"interval":40,"unit":"day"}"#;
    refused(&format!(r#"{inside},"common_name":"a.example.com","ttl":"30d",{late}"#), "Error02009");
    machine.create("private_cert", "leaf", &format!(r#"{inside},"common_name":"a.example.com""#));
}

#[test]
fn a_template_reads_back_its_defaults_and_seconds_but_not_the_wildcards() {
    let mut machine = Machine::new();
    chain(&mut machine);
    let got = machine.get("configurations/web");
    assert_eq!(
        (got.raw("max_ttl_seconds"), got.raw("ttl_seconds"), got.raw("not_before_duration_seconds")),
        ("7776000".into(), "2592000".into(), "30".into())
    );
    assert_eq!(
        (got.raw("server_flag"), got.raw("key_usage")),
        ("true".into(), r#"["DigitalSignature","KeyAgreement","KeyEncipherment"]"#.into())
    );
    assert!(!got.has("allow_wildcard_certificates") && !got.has("max_ttl"));
    let row = machine.get("configurations?search=web").rows("configurations").remove(0);
    assert!(row.get("allowed_domains").is_none() && row.str("certificate_authority").as_deref() == Some("ca"));
    let got = machine.patch(
        "configurations/web",
        r#"{"max_ttl":"60d","allowed_domains":null,"server_flag":null,"client_flag":false}"#,
    );
    assert_eq!(
        (got.raw("max_ttl_seconds"), got.raw("client_flag"), got.raw("server_flag")),
        ("5184000".into(), "false".into(), "true".into())
    );
    assert!(!got.has("allowed_domains"));
    let got = machine.patch("configurations/web", r#"{"max_ttl":null,"ttl":null,"not_before_duration":"9s"}"#);
    assert!(!got.has("max_ttl_seconds") && !got.has("ttl_seconds"));
    assert_eq!(got.raw("not_before_duration_seconds"), "9");
    let got = machine.patch("configurations/web", r#"{"max_ttl":"90d","ttl":"30d","not_before_duration":null}"#);
    assert_eq!((got.raw("ttl_seconds"), got.raw("not_before_duration_seconds")), ("2592000".into(), "30".into()));
    for bad in [
        r#"{"allow_wildcard_certificates":true}"#,
        r#"{"certificate_authority":"x"}"#,
        r#"{"max_ttl":"1d"}"#,
        r#"{"key_usage":["Frob"]}"#,
        r#"{"ext_key_usage_oids":["x"]}"#,
    ] {
        assert_eq!(machine.patch("configurations/web", bad).0, 400, "{bad}");
    }
    machine.patch("configurations/web", r#"{"allowed_domains":["example.com"]}"#);
    let wild = LEAF.replace("a.example.com", "*.example.com");
    machine.create("private_cert", "wild", &wild);
    let members = r#""certificate_authority":"ca","allowed_domains":["example.com"],"allow_subdomains":true,"key_type":"ec","allow_wildcard_certificates":false"#;
    configure(&mut machine, TEMPLATE, "tame", members);
    let body = format!(r#"{{"secret_type":"private_cert","name":"tame",{}}}"#, wild.replace("web", "tame"));
    assert_eq!(machine.post("secrets", &body).0, 400);
}

#[test]
fn a_customers_request_is_signed_without_a_key_and_again_at_the_next_version() {
    let mut machine = Machine::new();
    chain(&mut machine);
    let csr = unsigned(&mut machine, "donor", "root").object().object("data").unwrap();
    let csr = csr.get("csr").unwrap().get();
    machine.patch("configurations/web", r#"{"allow_any_name":true}"#);
    let id = machine.create("private_cert", "leaf", &format!(r#"{LEAF},"csr":{csr}"#));
    let first = machine.get(&format!("secrets/{id}"));
    assert!(!first.has("private_key") && !first.has("csr"));
    assert_eq!(first.str("common_name"), "donor.test");
    let second = machine.post(&format!("secrets/{id}/versions"), "{}");
    assert_eq!(second.0, 201, "{}", second.1);
    assert!(!second.has("private_key"));
    let key = |pem: &str| parse(pem).tbs_certificate().subject_public_key_info().clone();
    assert_eq!(key(&first.str("certificate")), key(&second.str("certificate")));
    assert_ne!(first.str("serial_number"), second.str("serial_number"));
    machine.patch("configurations/web", r#"{"use_csr_common_name":false}"#);
    let third = machine.post(&format!("secrets/{id}/versions"), "{}");
    assert_eq!(third.0, 201, "{}", third.1);
    assert_eq!(machine.get(&format!("secrets/{id}/metadata")).str("common_name"), "a.example.com");
}

#[test]
fn it_rotates_when_due_with_a_new_key_and_the_same_names() {
    let mut machine = Machine::new();
    chain(&mut machine);
    let rotation = r#""rotation":{"auto_rotate":true,"interval":10,"unit":"day"}"#;
    let id = machine.create("private_cert", "leaf", &format!(r#"{LEAF},{rotation}"#));
    let before = machine.get(&format!("secrets/{id}"));
    machine.later(10 * DAY);
    let after = machine.get(&format!("secrets/{id}"));
    assert_ne!(before.str("private_key"), after.str("private_key"));
    assert_eq!(
        (after.str("common_name"), after.str("expiration_date")),
        ("a.example.com".into(), "2027-01-01T14:00:00Z".into())
    );
    assert_eq!(machine.get(&format!("secrets/{id}/versions/current")).raw("auto_rotated"), "true");
    assert_eq!(machine.get(&format!("secrets/{id}/versions/previous")).str("certificate"), before.str("certificate"));
    machine.patch("configurations/web", r#"{"ttl":"5d"}"#);
    machine.patch(&format!("secrets/{id}/metadata"), r#"{"rotation":{"auto_rotate":false}}"#);
    machine.later(31 * DAY);
    assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("state"), "5");
}

#[test]
fn a_revoked_certificate_is_on_the_list_and_its_secret_says_since_when() {
    for deactivates in [true, false] {
        let mut machine = Machine::with(Switches { revocation_deactivates: deactivates, ..Switches::default() });
        chain(&mut machine);
        let id = machine.create("private_cert", "leaf", LEAF);
        let first = machine.get(&format!("secrets/{id}")).str("serial_number");
        let second = machine.post(&format!("secrets/{id}/versions"), "{}").str("serial_number");
        let action = r#"{"action_type":"private_cert_action_revoke_certificate"}"#;
        let got = machine.post(&format!("secrets/{id}/versions/previous/actions"), action);
        assert_eq!((got.0, got.raw("revocation_time_seconds")), (201, "1795356000".into()));
        assert_eq!(revoked(&machine, "ca"), std::slice::from_ref(&first));
        assert!(!machine.get(&format!("secrets/{id}/metadata")).has("revocation_time_seconds"));
        machine.later(5_000);
        let got = machine.post(&format!("secrets/{id}/actions"), action);
        assert_eq!((got.0, got.str("action_type")), (201, "private_cert_action_revoke_certificate".into()));
        assert_eq!(revoked(&machine, "ca"), [first, second]);
        let metadata = machine.get(&format!("secrets/{id}/metadata"));
        assert_eq!(
            (metadata.raw("revocation_time_seconds"), metadata.str("revocation_time_rfc3339")),
            ("1795356005".into(), "2026-11-22T14:00:05Z".into())
        );
        assert_eq!(metadata.raw("state"), if deactivates { "3" } else { "1" });
        // A repeated revocation returns the same time.
        machine.later(5_000);
        assert_eq!(machine.post(&format!("secrets/{id}/actions"), action).raw("revocation_time_seconds"), "1795356005");
        assert_eq!(revoked(&machine, "ca").len(), 2);
        let arbitrary = machine.arbitrary("token");
        assert_eq!(machine.post(&format!("secrets/{arbitrary}/actions"), action).0, 400);
        // A new version is valid again.
        assert_eq!(machine.post(&format!("secrets/{id}/versions"), "{}").0, 201);
        let metadata = machine.get(&format!("secrets/{id}/metadata"));
        assert!(metadata.raw("state") == "1" && !metadata.has("revocation_time_seconds"));
    }
}

#[test]
fn a_revoked_authority_issues_nothing_and_its_parent_lists_it() {
    let mut machine = Machine::new();
    chain(&mut machine);
    let serial = machine.get("configurations/ca").str("serial_number");
    let got = act(&mut machine, "ca", "revoke_ca_certificate", "");
    assert_eq!((got.0, got.raw("revocation_time_seconds")), (201, "1795356000".into()));
    assert_eq!(machine.get("configurations/ca").str("status"), "revoked");
    assert_eq!(revoked(&machine, "root"), [serial]);
    let body = format!(r#"{{"secret_type":"private_cert","name":"leaf",{LEAF}}}"#);
    assert!(machine.post("secrets", &body).1.contains("is revoked"));
    assert_eq!(act(&mut machine, "root", "revoke_ca_certificate", "").0, 400);
}

#[test]
fn lists_are_renewed_and_can_be_switched_off() {
    let mut machine = Machine::new();
    chain(&mut machine);
    let before = machine.state.authority("ca").unwrap().crl_number;
    assert_eq!(act(&mut machine, "ca", "rotate_crl", "").raw("success"), "true");
    assert_eq!(machine.state.authority("ca").unwrap().crl_number, before + 1);
    let got = machine.patch("configurations/ca", r#"{"crl_disable":true,"crl_expiry":"1h","max_ttl":"100h"}"#);
    assert_eq!(
        (got.raw("crl_disable"), got.raw("crl_expiry_seconds"), got.raw("max_ttl_seconds")),
        ("true".into(), "3600".into(), "360000".into())
    );
    assert_eq!(act(&mut machine, "ca", "rotate_crl", "").0, 400);
    assert!(machine.state.public_authority_text(&format!("{}ca/crl/pem", super::PUBLIC)).is_none());
    assert!(machine.state.public_authority_text(&format!("{}ca/ca/pem", super::PUBLIC)).is_some());
    let got = machine.patch("configurations/ca", r#"{"crl_disable":null,"crl_expiry":null}"#);
    assert_eq!((got.raw("crl_disable"), got.raw("crl_expiry_seconds")), ("false".into(), "259200".into()));
    assert!(machine.state.public_authority_text(&format!("{}ca/crl/pem", super::PUBLIC)).is_some());
    for bad in [r#"{"common_name":"x"}"#, r#"{"max_ttl":null}"#] {
        assert_eq!(machine.patch("configurations/ca", bad).0, 400, "{bad}");
    }
}

#[test]
fn a_rotated_intermediate_has_a_new_key_unless_it_signed_another() {
    let mut machine = Machine::new();
    chain(&mut machine);
    let before = data(&mut machine, "ca").str("certificate").unwrap();
    let got = act(&mut machine, "ca", "rotate_intermediate", "");
    assert_eq!((got.0, got.str("name")), (201, "ca".into()), "{}", got.1);
    let shown = got.object().object("config").unwrap().object("data").unwrap().str("certificate").unwrap();
    let after = data(&mut machine, "ca").str("certificate").unwrap();
    assert_eq!(shown, after);
    assert_ne!(
        parse(&before).tbs_certificate().subject_public_key_info(),
        parse(&after).tbs_certificate().subject_public_key_info()
    );
    unsigned(&mut machine, "below", "ca");
    assert_eq!(act(&mut machine, "ca", "rotate_intermediate", "").0, 400);
    assert_eq!(act(&mut machine, "root", "rotate_intermediate", "").0, 400);
}

#[test]
fn what_breaks_a_rule_is_refused_and_nothing_is_kept() {
    let mut machine = Machine::new();
    for (config_type, members, part) in [
        (ROOT, r#""common_name":"x""#, "max_ttl"),
        (ROOT, r#""max_ttl":"10h""#, "common_name"),
        (ROOT, r#""common_name":"x","max_ttl":"59m""#, "max_ttl"),
        (ROOT, r#""common_name":"x","max_ttl":"10h","ttl":"11h""#, "ttl"),
        (ROOT, r#""common_name":"x","max_ttl":"10h","key_type":"ec","key_bits":224"#, "224"),
        (ROOT, r#""common_name":"x","max_ttl":"10h","max_path_length":11"#, "max_path_length"),
        (ROOT, r#""common_name":"x","max_ttl":"10h","ip_sans":"here""#, "ip_sans"),
        (ROOT, r#""common_name":"x","max_ttl":"10h","crypto_key":{"label":"x"}"#, "provider"),
        (ROOT, r#""common_name":"x","max_ttl":"10h","signing_method":"internal""#, "signing_method"),
        (INTERMEDIATE, r#""common_name":"x","max_ttl":"10h""#, "signing_method"),
        (INTERMEDIATE, r#""common_name":"x","max_ttl":"10h","signing_method":"internal""#, "issuer"),
        (INTERMEDIATE, r#""common_name":"x","max_ttl":"10h","signing_method":"internal","issuer":"none""#, "issuer"),
        (TEMPLATE, r#""certificate_authority":"none""#, "certificate_authority"),
    ] {
        let got = configure(&mut machine, config_type, "name", members);
        assert!(got.0 == 400 && got.1.contains(part), "{members}: {}", got.1);
    }
    assert_eq!(machine.get("configurations").raw("total_count"), "0");
    for number in 0..10 {
        root(&mut machine, &format!("root-{number}"));
    }
    let full = configure(&mut machine, ROOT, "one-more", r#""common_name":"x","max_ttl":"10h","key_type":"ec""#);
    assert!(full.0 == 400 && full.1.contains("reached the maximum"), "{}", full.1);
}

#[test]
fn the_addresses_of_the_instance_are_in_what_an_authority_signs_when_it_says_so() {
    let mut machine = Machine::new();
    chain(&mut machine);
    let leaf = |machine: &mut Machine, name: &str| {
        let id = machine.create("private_cert", name, LEAF);
        let pem = machine.get(&format!("secrets/{id}")).str("certificate");
        String::from_utf8_lossy(Document::from_pem(&pem).unwrap().1.as_bytes()).into_owned()
    };
    assert!(!leaf(&mut machine, "plain").contains("/v1/ibmcloud/private_cert"));
    machine.patch(
        "configurations/ca",
        r#"{"crl_distribution_points_encoded":true,"issuing_certificates_urls_encoded":true}"#,
    );
    let text = leaf(&mut machine, "addressed");
    let base = "https://5c1a3b2e-0f4d-4a6b-8c7d-9e0f1a2b3c4d.eu-de.secrets-manager.appdomain.cloud/v1/ibmcloud/private_cert/config/certificate_authorities/ca";
    assert!(text.contains(&format!("{base}/crl")) && text.contains(&format!("{base}/ca")));
}

#[test]
fn a_key_in_a_module_is_kept_by_name_and_shown_everywhere() {
    let mut machine = Machine::with(Switches { iam_service_authorization: true, ..Switches::default() });
    let pin = r#""ttl":"1d","reuse_api_key":true,"access_groups":["AccessGroupId-1"]"#;
    let pin = machine.create("iam_credentials", "pin", pin);
    let key = format!(
        r#"{{"label":"root","allow_generate_key":true,"provider":{{"type":"hyper_protect_crypto_services","instance_crn":"crn:x","pin_iam_credentials_secret_id":"{pin}","private_keystore_id":"z"}}}}"#
    );
    let members = format!(r#""common_name":"x","max_ttl":"10h","key_type":"ec","crypto_key":{key}"#);
    for (from, to) in [(pin.as_str(), "none"), (r#","private_keystore_id":"z""#, ""), ("hyper_protect", "other")] {
        let got = configure(&mut machine, ROOT, "root", &members.replacen(from, to, 1));
        assert_eq!(got.0, 400, "{from}");
    }
    configure(&mut machine, ROOT, "root", &members);
    assert_eq!(machine.get(&format!("secrets/{pin}/metadata")).raw("referenced_by"), r#"["root"]"#);
    assert_eq!(machine.get("configurations/root").raw("crypto_key"), key);
    assert_eq!(machine.get("configurations").rows("configurations")[0].get("crypto_key").unwrap().get(), key);
}

#[test]
fn a_lock_keeps_a_version_from_being_revoked() {
    let mut machine = Machine::new();
    chain(&mut machine);
    let id = machine.create("private_cert", "leaf", LEAF);
    machine.locked(&id, "current", "held");
    let action = r#"{"action_type":"private_cert_action_revoke_certificate"}"#;
    assert_eq!(machine.post(&format!("secrets/{id}/actions"), action).0, 412);
    assert_eq!(revoked(&machine, "ca"), Vec::<String>::new());
    machine.delete(&format!("secrets/{id}/locks_bulk"));
    assert_eq!(machine.post(&format!("secrets/{id}/actions"), action).0, 201);
    // An expired secret stays destroyed and cannot be revoked.
    machine.later(31 * DAY);
    assert_eq!(machine.post(&format!("secrets/{id}/actions"), action).0, 400);
    assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("state"), "5");
}
