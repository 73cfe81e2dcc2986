//! Certificate authorities, templates, and certificates of every kind.

use super::{DAY, HOUR};
use crate::model::json::JsonObject;
use crate::provider::embedded::error::EmbeddedError;
use crate::provider::embedded::seed::seeder::Seeder;
use crate::provider::embedded::state::Verb;
use crate::provider::embedded::state::text::ObjectText;

const ROOT: &str = "private_cert_configuration_root_ca";
const INTERMEDIATE: &str = "private_cert_configuration_intermediate_ca";
const TEMPLATE: &str = "private_cert_configuration_template";
const SUBJECT: &str = r#""organization":["Keyhaven Sandbox"],"country":["DE"],"ou":["PKI"]"#;

/// Creates a root, an intermediate signed by it, an externally signed intermediate, one still waiting for its
/// signature, and templates.
pub(super) fn authorities(seeder: &mut Seeder<'_>) -> Result<(), EmbeddedError> {
    create(
        seeder,
        ROOT,
        "root-main",
        &format!(
            r#""common_name":"Sandbox Root","max_ttl":"87600h","ttl":"87600h","crl_expiry":"720h","key_type":"ec","key_bits":384,"max_path_length":2,{SUBJECT}"#
        ),
    )?;
    create(
        seeder,
        INTERMEDIATE,
        "issuing-internal",
        &format!(
            r#""common_name":"Sandbox Issuing Internal","max_ttl":"43800h","key_type":"ec","key_bits":256,"signing_method":"internal","issuer":"root-main",{SUBJECT}"#
        ),
    )?;
    act(seeder, "root-main", ROOT, "sign_intermediate", |body| {
        body.str("intermediate_certificate_authority", "issuing-internal").str("ttl", "61320h");
    })?;
    for name in ["issuing-external", "issuing-pending"] {
        let members = format!(
            r#""common_name":"Sandbox {name}","max_ttl":"43800h","key_type":"rsa","key_bits":2048,"signing_method":"external""#
        );
        create(seeder, INTERMEDIATE, name, &members)?;
    }
    // The root plays the external authority: any authority that signs the request will do.
    let request = signing_request(seeder, "issuing-external")?;
    let signed = act(seeder, "root-main", ROOT, "sign_csr", |body| {
        body.str("csr", &request).str("ttl", "61320h").str("common_name", "Sandbox issuing-external");
    })?;
    let certificate = signed.object("data").and_then(|data| data.str("certificate")).unwrap_or_default();
    act(seeder, "issuing-external", INTERMEDIATE, "set_signed", |body| {
        body.str("certificate", &certificate);
    })?;
    let group = seeder.groups.get(1).cloned().unwrap_or_default();
    create(
        seeder,
        TEMPLATE,
        "web-servers",
        &format!(
            r#""certificate_authority":"issuing-internal","allowed_secret_groups":"default,{group}","max_ttl":"26280h","ttl":"8760h","not_before_duration":"30s","allowed_domains":["example.com"],"allow_subdomains":true,"allow_bare_domains":true,"allow_wildcard_certificates":true,"allowed_uri_sans":["spiffe://*"],"key_type":"ec","key_bits":256"#
        ),
    )?;
    create(
        seeder,
        TEMPLATE,
        "anything",
        r#""certificate_authority":"issuing-external","max_ttl":"26280h","allow_any_name":true,"enforce_hostnames":false,"key_type":"rsa","key_bits":2048"#,
    )
}

/// Creates private certificates with several versions, with names of every kind, from a customer's signing request, and
/// revoked.
pub(super) fn private_certificates(seeder: &mut Seeder<'_>) -> Result<(), EmbeddedError> {
    let at = seeder.start.plus_millis(250 * DAY);
    let group = seeder.groups.get(1).cloned().unwrap_or_default();
    let web = secret(
        seeder,
        "private_cert",
        "private-web",
        &format!(
            r#""secret_group_id":"{group}","certificate_template":"web-servers","common_name":"www.example.com","alt_names":["api.example.com"],"ip_sans":"10.0.0.7","uri_sans":"spiffe://example/web","ttl":"26000h","private_key_format":"pkcs8","version_custom_metadata":{{"release":1}}"#
        ),
    )?;
    for days in [1, 2] {
        let body = format!(r#"{{"version_custom_metadata":{{"release":{}}}}}"#, days + 1);
        seeder.request(at.plus_millis(days * DAY), Verb::Post, &format!("secrets/{web}/versions"), &body)?;
    }
    let request = signing_request(seeder, "issuing-pending")?;
    let mut body = ObjectText::new();
    body.str("certificate_template", "anything").str("common_name", "csr.example.com").str("csr", &request);
    body.str("ttl", "26000h");
    let members = body.finish();
    let members = members.trim_start_matches('{').trim_end_matches('}');
    secret(seeder, "private_cert", "private-from-request", members)?;
    let revoked = secret(
        seeder,
        "private_cert",
        "private-revoked",
        r#""certificate_template":"anything","common_name":"old.example.com","ttl":"26000h""#,
    )?;
    let body = r#"{"action_type":"private_cert_action_revoke_certificate"}"#;
    seeder.request(at.plus_millis(DAY), Verb::Post, &format!("secrets/{revoked}/actions"), body).map(drop)
}

/// Creates public certificates: issued once, issued twice, and waiting for manual DNS records.
pub(super) fn public_certificates(seeder: &mut Seeder<'_>) -> Result<(), EmbeddedError> {
    // Certificates of a public authority are valid for some weeks only, so these are from this week.
    let at = seeder.now.plus_millis(-3 * DAY);
    let order = |name: &str, dns: &str| {
        format!(
            r#""ca":"lets-encrypt-production","dns":"{dns}","common_name":"{name}.example.com","alt_names":["www.{name}.example.com"],"key_algorithm":"ECDSA256","bundle_certs":true,"rotation":{{"auto_rotate":true,"rotate_keys":false}}"#
        )
    };
    seeder.secret_at(at, "public_cert", "public-shop", &order("shop", "dns-main"))?;
    let twice = seeder.secret_at(at, "public_cert", "public-twice", &order("twice", "dns-main"))?;
    seeder.state.sweep(at.plus_millis(HOUR));
    let body = r#"{"rotation":{"auto_rotate":true,"rotate_keys":true}}"#;
    seeder.request(at.plus_millis(2 * HOUR), Verb::Post, &format!("secrets/{twice}/versions"), body)?;
    seeder.state.sweep(at.plus_millis(3 * HOUR));
    seeder.secret_at(at, "public_cert", "public-pending", &order("pending", "manual")).map(drop)
}

/// Creates imported certificates with a key and request made by the instance: one still without its certificate, one
/// with it.
pub(super) fn managed_requests(seeder: &mut Seeder<'_>) -> Result<(), EmbeddedError> {
    let managed = |name: &str| {
        format!(
            r#""managed_csr":{{"common_name":"{name}.example.com","alt_names":"{name}.example.com","key_type":"ec","key_bits":256,"organization":["Keyhaven Sandbox"],"country":["DE"]}}"#
        )
    };
    secret(seeder, "imported_cert", "managed-pending", &managed("pending"))?;
    let body = format!(r#"{{"secret_type":"imported_cert","name":"managed-signed",{}}}"#, managed("signed"));
    let made = seeder.request(seeder.start, Verb::Post, "secrets", &body)?;
    let request = made.object("managed_csr").and_then(|managed| managed.str("csr")).unwrap_or_default();
    let signed = act(seeder, "issuing-internal", INTERMEDIATE, "sign_csr", |body| {
        body.str("csr", &request).str("ttl", "40000h").str("common_name", "signed.example.com");
    })?;
    let data = signed.object("data").unwrap_or_default();
    let mut body = ObjectText::new();
    body.str("certificate", &data.str("certificate").unwrap_or_default());
    body.opt_str("intermediate", data.str("issuing_ca").as_deref());
    let id = made.str("id").unwrap_or_default();
    let at = seeder.start.plus_millis(DAY);
    seeder.request(at, Verb::Post, &format!("secrets/{id}/versions"), &body.finish()).map(drop)
}

fn create(seeder: &mut Seeder<'_>, config_type: &str, name: &str, members: &str) -> Result<(), EmbeddedError> {
    let body = format!(r#"{{"config_type":"{config_type}","name":"{name}",{members}}}"#);
    seeder.request(seeder.start, Verb::Post, "configurations", &body).map(drop)
}

/// Creates a secret after the authorities exist.
fn secret(seeder: &mut Seeder<'_>, secret_type: &str, name: &str, members: &str) -> Result<String, EmbeddedError> {
    seeder.secret_at(seeder.start.plus_millis(250 * DAY), secret_type, name, members)
}

/// Performs an action on an authority.
fn act(
    seeder: &mut Seeder<'_>,
    name: &str,
    config_type: &str,
    action: &str,
    members: impl FnOnce(&mut ObjectText),
) -> Result<JsonObject, EmbeddedError> {
    let mut body = ObjectText::new();
    body.str("action_type", &format!("private_cert_configuration_action_{action}"));
    members(&mut body);
    seeder.typed(Verb::Post, &format!("configurations/{name}/actions"), config_type, &body.finish())
}

/// Returns the signing request of an intermediate authority.
fn signing_request(seeder: &mut Seeder<'_>, name: &str) -> Result<String, EmbeddedError> {
    let shown = seeder.typed(Verb::Get, &format!("configurations/{name}"), INTERMEDIATE, "")?;
    Ok(shown.object("data").and_then(|data| data.str("csr")).unwrap_or_default())
}
