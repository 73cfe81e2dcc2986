//! Tests of public certificates through the API.

use x509_cert::Certificate;
use x509_cert::der::DecodePem;

use super::super::harness::{DAY, Machine};
use super::issue::is_signed_by;
use crate::provider::embedded::options::Switches;

const SECOND: i64 = 1_000;
const ORDER: &str = r#""common_name":"www.example.com","alt_names":["*.example.com","example.com"],"ca":"acme","dns":"dns","key_algorithm":"ECDSA256""#;

/// Creates a machine with a certificate authority and a DNS provider.
fn machine(switches: Switches) -> Machine {
    let mut machine = Machine::with(switches);
    let ca = r#"{"config_type":"public_cert_configuration_ca_lets_encrypt","name":"acme","lets_encrypt_environment":"staging","lets_encrypt_private_key":"k"}"#;
    assert_eq!(machine.post("configurations", ca).0, 201);
    let dns = r#"{"config_type":"public_cert_configuration_dns_cloud_internet_services","name":"dns","cloud_internet_services_crn":"crn:x"}"#;
    assert_eq!(machine.post("configurations", dns).0, 201);
    machine
}

fn manual() -> String {
    ORDER.replace(r#""dns":"dns""#, r#""dns":"manual""#)
}

#[test]
fn an_order_is_done_after_the_seconds_of_the_switch() {
    for seconds in [0, 7] {
        let mut machine = machine(Switches { order_seconds: seconds, ..Switches::default() });
        let id = machine.create("public_cert", "www", ORDER);
        let path = format!("secrets/{id}");
        let before = machine.get(&path);
        assert_eq!((before.raw("state"), before.str("state_description")), ("0".into(), "pre_activation".into()));
        assert!(!before.has("certificate") && !before.has("expiration_date"));
        assert_eq!(before.object().object("issuance_info").unwrap().u64("state"), Some(0));
        machine.later(i64::from(seconds) * SECOND - 1);
        assert_eq!(machine.get(&path).raw("state"), "0");
        machine.later(1);
        let got = machine.get(&path);
        assert_eq!((got.raw("state"), got.raw("versions_total")), ("1".into(), "1".into()), "{}", got.1);
        let chain = Certificate::load_pem_chain(got.str("certificate").as_bytes()).unwrap();
        let issuer = Certificate::from_pem(got.str("intermediate").as_bytes()).unwrap();
        assert_eq!((chain.len(), &chain[1]), (2, &issuer), "bundled");
        assert!(is_signed_by(&chain[0], &issuer));
        assert!(got.str("private_key").contains("PRIVATE KEY"));
        let metadata = machine.get(&format!("{path}/metadata"));
        assert!(!metadata.1.contains("BEGIN"));
        assert_eq!(metadata.raw("alt_names"), r#"["*.example.com","example.com"]"#);
        assert_eq!(
            (metadata.str("key_algorithm"), metadata.str("issuer")),
            ("ECDSA256".into(), "CN=Sandbox ACME staging Issuing,O=Keyhaven Sandbox".into())
        );
        assert!(metadata.has("serial_number") && metadata.has("validity") && metadata.has("expiration_date"));
        assert_eq!(
            metadata.object().object("issuance_info").unwrap().str("state_description").as_deref(),
            Some("active")
        );
    }
}

#[test]
fn what_is_only_ordered_has_an_empty_version_or_none() {
    for (has, total) in [(true, "1"), (false, "0")] {
        let mut machine = machine(Switches { ordered_has_version: has, ..Switches::default() });
        let id = machine.create("public_cert", "www", &format!(r#"{ORDER},"version_custom_metadata":{{"n":1}}"#));
        let row = machine.get("secrets").rows("secrets").remove(0);
        assert_eq!(row.get("versions_total").unwrap().get(), total);
        assert_eq!(machine.get(&format!("secrets/{id}/versions")).raw("total_count"), total);
        let current = machine.get(&format!("secrets/{id}/versions/current"));
        assert_eq!(current.0, if has { 200 } else { 404 });
        assert!(!has || current.raw("payload_available") == "false");
        machine.later(5 * SECOND);
        let version = machine.get(&format!("secrets/{id}/versions/current"));
        assert_eq!(
            (version.raw("payload_available"), version.raw("version_custom_metadata")),
            ("true".into(), r#"{"n":1}"#.into())
        );
        assert_eq!(machine.get(&format!("secrets/{id}/versions")).raw("total_count"), "1");
    }
}

#[test]
fn a_manual_order_waits_for_its_challenges_and_fails_when_they_expire() {
    let mut machine = machine(Switches::default());
    let id = machine.create("public_cert", "www", &manual());
    let late = machine.create("public_cert", "late", &manual());
    let info = |machine: &mut Machine, id: &str| {
        machine.get(&format!("secrets/{id}/metadata")).object().object("issuance_info").unwrap()
    };
    let first = info(&mut machine, &id);
    let challenges = first.array("challenges").unwrap();
    assert_eq!(challenges.len(), 2, "the wildcard is proven with its domain");
    assert!(
        challenges[0].get().contains(r#""txt_record_name":"_acme-challenge.www.example.com""#),
        "{}",
        challenges[0]
    );
    assert!(challenges[0].get().contains(r#""status":"pending""#));
    machine.later(DAY);
    assert_eq!(machine.get(&format!("secrets/{id}")).raw("state"), "0");
    let action = r#"{"action_type":"public_cert_action_validate_dns_challenge"}"#;
    let got = machine.post(&format!("secrets/{id}/actions"), action);
    assert_eq!((got.0, got.str("action_type")), (201, "public_cert_action_validate_dns_challenge".into()));
    assert_eq!(machine.post(&format!("secrets/{id}/actions"), action).0, 400);
    machine.later(5 * SECOND);
    assert_eq!(machine.get(&format!("secrets/{id}")).raw("state"), "1");
    let done = info(&mut machine, &id);
    assert!(done.str("dns_challenge_validation_time").is_some());
    assert!(done.array("challenges").unwrap()[1].get().contains(r#""status":"valid""#));
    machine.later(7 * DAY);
    assert_eq!(machine.get(&format!("secrets/{late}")).raw("state"), "3");
    assert!(info(&mut machine, &late).str("error_message").unwrap().contains("expired"));
}

#[test]
fn an_order_without_its_configurations_fails_by_name_and_can_be_placed_again() {
    for has in [true, false] {
        let mut machine = machine(Switches { ordered_has_version: has, ..Switches::default() });
        for (from, to, part) in
            [(r#""ca":"acme""#, r#""ca":"gone""#, "'gone'"), (r#""dns":"dns""#, r#""dns":"lost""#, "'lost'")]
        {
            let id = machine.create("public_cert", to.split('"').nth(3).unwrap(), &ORDER.replace(from, to));
            machine.later(5 * SECOND);
            let got = machine.get(&format!("secrets/{id}/metadata"));
            assert_eq!((got.raw("state"), got.str("state_description")), ("3".into(), "deactivated".into()));
            let info = got.object().object("issuance_info").unwrap();
            assert_eq!(info.str("error_code").as_deref(), Some("secrets-manager.Error07012"));
            assert!(info.str("error_message").unwrap().contains(part));
        }
        let id = machine.get("secrets?search=lost").rows("secrets")[0].str("id").unwrap();
        let dns = r#"{"config_type":"public_cert_configuration_dns_classic_infrastructure","name":"lost","classic_infrastructure_username":"u","classic_infrastructure_password":"p"}"#;
        machine.post("configurations", dns);
        assert_eq!(machine.post(&format!("secrets/{id}/versions"), "{}").0, 400, "rotation is required");
        let body = r#"{"rotation":{"rotate_keys":false}}"#;
        assert_eq!(machine.post(&format!("secrets/{id}/versions"), body).0, 201);
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("state"), "0");
        machine.later(5 * SECOND);
        let got = machine.get(&format!("secrets/{id}/metadata"));
        assert_eq!((got.raw("state"), got.raw("versions_total")), ("1".into(), "1".into()));
    }
}

#[test]
fn a_new_version_is_an_order_and_keeps_or_changes_the_key() {
    let mut machine = machine(Switches::default());
    let id = machine.create("public_cert", "www", ORDER);
    machine.later(5 * SECOND);
    let path = format!("secrets/{id}");
    let first = machine.get(&path);
    for (rotate, total) in [(false, "2"), (true, "3")] {
        let before = machine.get(&path);
        let body = format!(r#"{{"rotation":{{"rotate_keys":{rotate}}},"version_custom_metadata":{{"r":{rotate}}}}}"#);
        let got = machine.post(&format!("{path}/versions"), &body);
        assert_eq!((got.0, got.raw("payload_available")), (201, "false".into()), "{}", got.1);
        assert_eq!(machine.post(&format!("{path}/versions"), &body).0, 400, "one order at a time");
        assert_eq!(machine.get(&path).str("certificate"), before.str("certificate"), "still in use");
        machine.later(5 * SECOND);
        let after = machine.get(&format!("{path}/versions/current"));
        assert_eq!(
            (after.str("id"), after.raw("version_custom_metadata")),
            (got.str("id"), format!(r#"{{"r":{rotate}}}"#))
        );
        assert_ne!(after.str("certificate"), before.str("certificate"));
        assert_eq!(after.str("private_key") != before.str("private_key"), rotate);
        assert_eq!(machine.get(&format!("{path}/versions")).raw("total_count"), total);
    }
    assert_ne!(machine.get(&path).str("serial_number"), first.str("serial_number"));
}

#[test]
fn it_is_ordered_again_31_days_before_its_end_daily_until_it_works() {
    let mut machine = machine(Switches::default());
    let rotation = r#""rotation":{"auto_rotate":true,"rotate_keys":true}"#;
    let id = machine.create("public_cert", "www", &format!("{ORDER},{rotation}"));
    let plain = machine.create("public_cert", "plain", ORDER);
    machine.later(5 * SECOND);
    machine.delete("configurations/acme");
    machine.later(59 * DAY);
    machine.later(5 * SECOND);
    let path = format!("secrets/{id}/metadata");
    let failed = machine.get(&path);
    assert_eq!((failed.raw("state"), failed.raw("versions_total")), ("1".into(), "1".into()), "the old one goes on");
    let info = failed.object().object("issuance_info").unwrap();
    assert_eq!((info.bool("auto_rotated"), info.str("error_code").is_some()), (Some(true), true));
    let ca = r#"{"config_type":"public_cert_configuration_ca_lets_encrypt","name":"acme","lets_encrypt_environment":"staging","lets_encrypt_private_key":"k"}"#;
    machine.post("configurations", ca);
    machine.later(DAY);
    machine.later(5 * SECOND);
    assert_eq!(machine.get(&path).raw("versions_total"), "2");
    assert_eq!(machine.get(&format!("secrets/{id}/versions/current")).raw("auto_rotated"), "true");
    assert_eq!(machine.get(&format!("secrets/{plain}/metadata")).raw("versions_total"), "1");
    let off = machine.patch(&path, r#"{"rotation":{"auto_rotate":false}}"#);
    assert_eq!(off.raw("rotation"), r#"{"auto_rotate":false,"rotate_keys":true}"#);
    machine.later(85 * DAY);
    assert_eq!(machine.get(&path).raw("versions_total"), "2");
    machine.later(10 * DAY);
    assert_eq!(machine.get(&path).raw("state"), "5");
}

#[test]
fn one_that_was_due_before_its_end_is_there_however_long_nobody_asked() {
    for seconds in [0, 5] {
        let mut machine = machine(Switches { order_seconds: seconds, ..Switches::default() });
        let rotation = r#""rotation":{"auto_rotate":true,"rotate_keys":false}"#;
        let id = machine.create("public_cert", "www", &format!("{ORDER},{rotation}"));
        machine.later(200 * DAY);
        let got = machine.get(&format!("secrets/{id}/metadata"));
        // Every 59 days: 31 days before the end of 90.
        assert_eq!((got.raw("state"), got.raw("versions_total")), ("1".into(), "4".into()));
        // Without an authority every attempt fails, and the certificate expires.
        machine.delete("configurations/acme");
        machine.later(200 * DAY);
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("state"), "5");
    }
}

#[test]
fn alternative_names_are_enough() {
    let mut machine = machine(Switches::default());
    let id = machine.create("public_cert", "www", &ORDER.replacen(r#""common_name":"www.example.com","#, "", 1));
    machine.later(5 * SECOND);
    let got = machine.get(&format!("secrets/{id}"));
    assert_eq!((got.raw("state"), got.str("common_name")), ("1".into(), "*.example.com".into()));
    assert_eq!(got.raw("alt_names"), r#"["*.example.com","example.com"]"#);
}

#[test]
fn what_is_destroyed_has_no_order_any_more() {
    let mut machine = machine(Switches::default());
    let rotation = r#""rotation":{"auto_rotate":true,"rotate_keys":false}"#;
    let id = machine.create("public_cert", "www", &format!("{ORDER},{rotation}"));
    machine.later(5 * SECOND);
    let again = r#"{"rotation":{"rotate_keys":false}}"#;
    machine.post(&format!("secrets/{id}/versions"), again);
    machine.later(5 * SECOND);
    machine.locked(&id, "previous", "held");
    // The order that would push out the locked version waits until the current certificate has expired.
    machine.later(200 * DAY);
    let got = machine.get(&format!("secrets/{id}/metadata"));
    assert_eq!((got.raw("state"), got.raw("versions_total")), ("5".into(), "2".into()));
    let secret = &machine.state.items.secrets[id.as_str()];
    assert!(secret.inner.is_none() && secret.wake_at.is_none(), "an order goes on");
    let action = r#"{"action_type":"public_cert_action_validate_dns_challenge"}"#;
    assert_eq!(machine.post(&format!("secrets/{id}/actions"), action).0, 400);
}

#[test]
fn a_locked_previous_version_holds_an_order_back() {
    let mut machine = machine(Switches::default());
    let id = machine.create("public_cert", "www", ORDER);
    machine.later(5 * SECOND);
    let body = r#"{"rotation":{"rotate_keys":false}}"#;
    machine.post(&format!("secrets/{id}/versions"), body);
    machine.later(5 * SECOND);
    machine.post(&format!("secrets/{id}/versions"), body);
    machine.locked(&id, "previous", "held");
    machine.later(5 * SECOND);
    assert_eq!(machine.get(&format!("secrets/{id}/versions")).raw("total_count"), "2");
    assert_eq!(machine.post(&format!("secrets/{id}/versions"), body).0, 400);
    machine.delete(&format!("secrets/{id}/locks_bulk"));
    machine.later(1);
    assert_eq!(machine.get(&format!("secrets/{id}/versions")).raw("total_count"), "3");
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let mut machine = machine(Switches::default());
    for (from, to) in [
        (r#""common_name":"www.example.com","alt_names":["*.example.com","example.com"],"#, ""),
        (r#""ca":"acme","#, ""),
        (r#""dns":"dns","#, ""),
        ("ECDSA256", "RSA1024"),
        ("www.example.com", "no host"),
        (r#"["*.example.com","example.com"]"#, r#""example.com""#),
        (r#""ca""#, r#""rotation":{"auto_rotate":true},"ca""#),
        (r#""ca""#, r#""rotation":{"auto_rotate":true,"rotate_keys":true,"interval":1},"ca""#),
        (r#""ca""#, r#""private_key":"x","ca""#),
    ] {
        let body = format!(r#"{{"secret_type":"public_cert","name":"www",{}}}"#, ORDER.replacen(from, to, 1));
        assert_eq!(machine.post("secrets", &body).0, 400, "{body}");
    }
    assert_eq!(machine.get("secrets").raw("total_count"), "0");
}
