//! Plan and apply against embedded instances over HTTP.

use keyhaven::job::restore::{PlanOptions, Selector};

use crate::restore_kit::{Pair, content, make_plan, restore, run};

const ODD: &str = r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}"#;

/// A source with every kind of item that can be restored.
async fn full() -> Pair {
    let pair = Pair::start().await;
    let source = &pair.source;
    let prod = source.group("prod");
    let _empty = source.group("empty");
    for (kind, fields) in [
        ("iam_credentials_configuration", r#""api_key":"abcd1234efgh5678""#),
        (
            "public_cert_configuration_ca_lets_encrypt",
            r#""lets_encrypt_environment":"staging","lets_encrypt_private_key":"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n""#,
        ),
        (
            "public_cert_configuration_dns_cloud_internet_services",
            r#""cloud_internet_services_apikey":"cis-key-1","cloud_internet_services_crn":"crn:v1:bluemix:public:internet-svcs:global:a/1:2::""#,
        ),
        (
            "public_cert_configuration_dns_classic_infrastructure",
            r#""classic_infrastructure_username":"user","classic_infrastructure_password":"classic-password""#,
        ),
    ] {
        let name = kind.rsplit('_').next().unwrap();
        source.post("configurations", &format!(r#"{{"config_type":"{kind}","name":"conf-{name}",{fields}}}"#));
    }
    let note = "crn:v1:bluemix:public:event-notifications:eu-de:a/1:3::";
    source.post(
        "notifications/registration",
        &format!(r#"{{"event_notifications_instance_crn":"{note}","event_notifications_source_name":"SM"}}"#),
    );
    let one = source.make(
        "secrets",
        &format!(
            r#"{{"secret_type":"arbitrary","name":"one","secret_group_id":"{prod}","description":"first",
               "labels":["tier-1"],"custom_metadata":{ODD},"version_custom_metadata":{ODD},
               "expiration_date":"2030-01-01T00:00:00Z","payload":"v1"}}"#
        ),
    );
    source.make(&format!("secrets/{one}/versions"), r#"{"payload":"v2","version_custom_metadata":{"n":2.50}}"#);
    source.version(&one, "v3");
    source.make("secrets", &format!(r#"{{"secret_type":"kv","name":"odd","data":{ODD},"labels":["tier-2"]}}"#));
    let user = source.make(
        "secrets",
        &format!(
            r#"{{"secret_type":"username_password","name":"user","secret_group_id":"{prod}","username":"admin",
               "password":"pass-word-1","rotation":{{"auto_rotate":true,"interval":1,"unit":"month"}}}}"#
        ),
    );
    source.make(&format!("secrets/{user}/versions"), r#"{"password":"pass-word-2"}"#);
    for (alias, name) in [("previous", "keep-old"), ("current", "keep-new"), ("current", "keep-old")] {
        source.post(
            &format!("secrets/{user}/versions/{alias}/locks_bulk"),
            &format!(r#"{{"locks":[{{"name":"{name}","description":"held by {name}","attributes":{ODD}}}]}}"#),
        );
    }
    pair
}

#[tokio::test]
async fn an_empty_standby_gets_everything() {
    let pair = full().await;
    let backup = pair.backup().await;
    let report = restore(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(report.kind(), None, "{report:#?}");
    assert_eq!(content(&pair.standby), content(&pair.source));
    let read = report.read_back.as_ref().unwrap();
    assert_eq!((read.items, read.differences.len()), (read.right, 0), "{read:?}");
}

#[tokio::test]
async fn numbers_of_payload_and_metadata_come_back_digit_for_digit() {
    let pair = full().await;
    let backup = pair.backup().await;
    restore(&pair, &backup, &PlanOptions::default()).await;
    let standby = &pair.standby;
    let kv = standby.get(&format!("secrets/{}/versions/current", standby.id_of("odd")));
    assert_eq!(kv.get("data").unwrap().get(), ODD);
    let row = standby.get(&format!("secrets/{}/metadata", standby.id_of("one")));
    let metadata = row.get("custom_metadata").unwrap().get();
    assert!(metadata.starts_with(ODD.strip_suffix('}').unwrap()), "{metadata}");
    let locks = standby.get(&format!("secrets/{}/locks", standby.id_of("user"))).array("locks").unwrap();
    assert!(locks.iter().all(|lock| lock.get().contains(ODD)));
}
