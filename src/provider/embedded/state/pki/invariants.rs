//! Invariants of certificates after any sequence of valid or invalid requests.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use x509_cert::Certificate;
use x509_cert::der::DecodePem;

use super::super::harness::{DAY, Machine};
use super::super::{Items, SecretState};
use super::authority::Authority;
use super::issue::{is_signed_by, serial_text};
use super::kit::{act, configure};
use crate::model::json::{Members, as_array, as_str};
use crate::provider::embedded::options::Switches;

/// Sends a random request or advances the clock. Uses few names, so that requests collide.
fn step(machine: &mut Machine, rng: &mut ChaCha20Rng) {
    let mut pick = |from: &[&'static str]| from[rng.random_range(0..from.len())];
    // Names differ: a root and an intermediate with one name could only be distinguished by type.
    let (issuer, ca) = (pick(&["root", "one", "two"]), pick(&["one", "two"]));
    let (template, leaf) = (pick(&["web", "api"]), pick(&["aa", "bb", "cc"]));
    let ids: Vec<String> = machine.state.items.secrets.keys().map(ToString::to_string).collect();
    let id = if ids.is_empty() { "none".to_owned() } else { ids[rng.random_range(0..ids.len())].clone() };
    let revoke = r#"{"action_type":"private_cert_action_revoke_certificate"}"#;
    match rng.random_range(0..22) {
        0 => {
            let members = r#""common_name":"root.test","max_ttl":"2000h","key_type":"ec""#;
            configure(machine, "private_cert_configuration_root_ca", "root", members);
        }
        1 | 2 => {
            let members = format!(
                r#""common_name":"{ca}.test","max_ttl":"600h","key_type":"ec","signing_method":"internal","issuer":"{issuer}""#
            );
            configure(machine, "private_cert_configuration_intermediate_ca", ca, &members);
        }
        3..=5 => {
            act(machine, issuer, "sign_intermediate", &format!(r#""intermediate_certificate_authority":"{ca}""#));
        }
        6 | 7 => {
            let members =
                format!(r#""certificate_authority":"{ca}","allow_any_name":true,"key_type":"ec","ttl":"10d""#);
            configure(machine, "private_cert_configuration_template", template, &members);
        }
        8..=11 => {
            let rotation =
                if rng.random() { r#","rotation":{"auto_rotate":true,"interval":3,"unit":"day"}"# } else { "" };
            let body = format!(
                r#"{{"secret_type":"private_cert","name":"{leaf}","certificate_template":"{template}","common_name":"{leaf}.test"{rotation}}}"#
            );
            machine.post("secrets", &body);
        }
        12 => drop(machine.post(&format!("secrets/{id}/versions"), "{}")),
        13 => drop(machine.post(&format!("secrets/{id}/actions"), revoke)),
        14 => drop(machine.post(&format!("secrets/{id}/versions/previous/actions"), revoke)),
        15 => drop(act(machine, ca, "rotate_intermediate", "")),
        16 if rng.random() => drop(act(machine, ca, "revoke_ca_certificate", "")),
        17 if rng.random() => {
            machine.delete(&format!("configurations/{}", if rng.random() { ca } else { template }));
        }
        18 => drop(machine.delete(&format!("secrets/{id}"))),
        _ => machine.later(rng.random_range(1..8 * DAY)),
    }
}

fn parse(pem: &str) -> Certificate {
    Certificate::from_pem(pem.as_bytes()).unwrap()
}

/// Checks one state, and records the statuses that occur in it.
fn check(machine: &mut Machine, told: &Items, seen: &mut BTreeSet<String>) {
    let items = machine.state.items.clone();
    for configuration in items.configurations.values() {
        let shown = machine.state.renderer.configuration(configuration);
        assert!(!shown.contains("PRIVATE KEY"), "the key of an authority never leaves");
        assert_eq!(
            *shown,
            *machine
                .state
                .renderer
                .configuration(&told.configurations[&*format!("{}/{}", configuration.config_type, configuration.name)])
        );
        let Some(authority) = Authority::of(configuration) else { continue };
        let chain = authority.with_chain();
        assert!(chain.windows(2).all(|pair| is_signed_by(&parse(&pair[0]), &parse(&pair[1]))), "its chain goes up");
        assert_eq!(authority.certificate.is_some(), authority.crl.is_some(), "who signs has a list");
        let status = configuration.fields.str("status").unwrap();
        seen.insert(status.clone());
        assert_eq!(status == "revoked", authority.revoked_at.is_some());
        let ended = authority.not_after().is_some_and(|end| end <= machine.now);
        assert_eq!(status == "expired", ended && authority.revoked_at.is_none());
        if status.starts_with("configured") && !authority.is_root() {
            assert!(machine.state.has_template(&authority.name));
        }
    }
    for secret in items.secrets.values() {
        assert!(!machine.state.renderer.secret_metadata(secret).contains("BEGIN"), "metadata shows no payload");
        let current = secret.current().unwrap();
        seen.insert(secret.life.word().to_owned());
        if secret.life == SecretState::Destroyed {
            continue;
        }
        assert!(secret.expiration_date.unwrap() > machine.now, "what has ended is destroyed");
        let payload = current.payload.as_ref().unwrap();
        let members = Members::parse(payload.expose()).unwrap().0;
        let member = |name: &str| members.iter().find(|(found, _)| found == name).unwrap().1;
        let leaf = parse(&as_str(member("certificate")).unwrap());
        let chain: Vec<_> =
            as_array(member("ca_chain")).unwrap().iter().map(|pem| parse(&as_str(pem).unwrap())).collect();
        assert!(is_signed_by(&leaf, &chain[0]));
        let serial = serial_text(leaf.tbs_certificate().serial_number().as_bytes());
        assert_eq!(current.fields.str("serial_number"), Some(serial.clone()));
        assert_eq!(secret.fields.str("serial_number"), Some(serial));
        assert_eq!(secret.life == SecretState::Deactivated, secret.fields.get("revocation_time_seconds").is_some());
    }
}

#[test]
fn they_hold_after_any_requests() {
    let mut seen = BTreeSet::new();
    for seed in 0..12 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut machine = Machine::with(Switches::default());
        let mut told = Items::default();
        for _ in 0..120 {
            step(&mut machine, &mut rng);
            machine.state.changes.drain(..).for_each(|change| told.apply(&change));
            check(&mut machine, &told, &mut seen);
        }
    }
    // Every status must have occurred; otherwise the test proves nothing.
    let all = [
        "active",
        "certificate_template_required",
        "configured",
        "deactivated",
        "destroyed",
        "expired",
        "revoked",
        "signing_required",
    ];
    assert_eq!(seen.iter().collect::<Vec<_>>(), all.iter().collect::<Vec<_>>());
}
