//! Secrets that the standby issues anew: made once, from their definition, and never rotated by us.

use std::collections::BTreeMap;

use keyhaven::job::drift::{ComparedWith, drift};
use keyhaven::job::restore::{Backup, OnConflict, Plan, PlanOptions};
use keyhaven::model::json::JsonObject;
use keyhaven::model::{Policies, Treatment};
use keyhaven::provider::embedded::{Switches, Verb, every_type};

use crate::kit::clock::system_context;
use crate::kit::instance::call;
use crate::kit::pki::{Openssl, authorities, configure, issue};
use crate::kit::restore::{MemoryBackup, Pair, make_plan, nothing_left, run, words};

const ISSUED: [&str; 5] =
    ["private_cert", "public_cert", "iam_credentials", "service_credentials", "custom_credentials"];

/// Everything that can be issued anew is.
pub(crate) fn reissue() -> PlanOptions {
    let types: BTreeMap<String, Treatment> =
        ISSUED.iter().map(|name| ((*name).to_owned(), Treatment::Reissue)).collect();
    PlanOptions { policies: Policies { types, ..Policies::default() }, ..PlanOptions::default() }
}

/// One secret of every type that the service issues, with what they need.
pub(crate) async fn source() -> (Pair, MemoryBackup) {
    let pair = Pair::start().await;
    let source = &pair.source.instance;
    // Jobs answer at once, orders are done with the next request.
    for peer in [&pair.source, &pair.standby] {
        peer.instance.set_switches(Switches { task_answer_seconds: 1, ..Switches::default() });
    }
    let group = authorities(source, &Openssl::new());
    configure(source, "iam_credentials_configuration", "iam", r#""api_key":"abcd1234efgh5678""#);
    let make = |members: &str| call(source, Verb::Post, "secrets", &format!("{{{members}}}")).str("id").unwrap();
    let access = r#""access_groups":["AccessGroupId-1"],"ttl":"7d""#;
    let runner = make(&format!(
        r#""secret_type":"iam_credentials","name":"engine-key","reuse_api_key":true,{access},"secret_group_id":"{group}""#
    ));
    make(&format!(r#""secret_type":"iam_credentials","name":"at-read","reuse_api_key":false,{access}"#));
    let engine = format!(
        r#""api_key_ref":"{runner}","task_timeout":"10m",
           "code_engine":{{"job_name":"job","project_id":"project","region":"eu-de"}}"#
    );
    configure(source, "custom_credentials_configuration", "ldap", &engine);
    let admin = make(r#""secret_type":"arbitrary","name":"ldap-admin","payload":"hunter2""#);
    make(&format!(
        r#""secret_type":"custom_credentials","name":"ldap-user","configuration":"ldap",
           "parameters":{{"admin":"{admin}","realm":"example","depth":2}}"#
    ));
    let crn = "crn:v1:bluemix:public:cloud-object-storage:global:a/1:2::";
    make(&format!(
        r#""secret_type":"service_credentials","name":"cos","labels":["tier-1"],
           "source_service":{{"instance":{{"crn":"{crn}"}},"parameters":{{"HMAC":true}}}}"#
    ));
    let rotation = r#","rotation":{"auto_rotate":true,"interval":10,"unit":"day"},"ttl":"20d","ip_sans":"10.0.0.7",
        "version_custom_metadata":{"ticket":7}"#
        .to_owned();
    let cert = issue(source, "web-1", "web", &rotation).str("id").unwrap();
    call(source, Verb::Post, &format!("secrets/{cert}/locks_bulk"), r#"{"locks":[{"name":"in-use"}]}"#);
    make(r#""secret_type":"imported_cert","name":"to-be-signed","managed_csr":{"common_name":"csr.example.com"}"#);
    // What was asked for is there.
    pair.clock.advance(5_000);
    source.call(Verb::Get, "/api/v2/secrets", "");
    let mut backup = pair.backup().await;
    for template in ["web", "mesh"] {
        backup.supply(template, r#"{"allow_wildcard_certificates":false}"#);
    }
    (pair, backup)
}

fn secret(pair: &Pair, name: &str) -> JsonObject {
    let id = pair.standby.id_of(name);
    pair.standby.get(&format!("secrets/{id}/metadata"))
}

fn names(plan: &Plan, action: &str) -> Vec<String> {
    words(plan).iter().filter_map(|word| word.strip_prefix(action).map(|name| name.trim().to_owned())).collect()
}

#[tokio::test]
async fn the_standby_issues_every_kind_from_its_definition() {
    let (pair, backup) = source().await;
    let options =
        PlanOptions { exclude: vec!["name:mesh".parse().unwrap(), "name:outside".parse().unwrap()], ..reissue() };
    let plan = make_plan(&pair, &backup, &options).await;
    assert!(plan.conflicts.is_empty() && plan.losses.is_empty(), "{plan:#?}");
    let made = names(&plan, "create_secret");
    let place = |name: &str| made.iter().position(|one| one == name).unwrap_or_else(|| panic!("{name}: {made:?}"));
    assert!(place("engine-key") == 0 && place("ldap-admin") < place("ldap-user"), "{made:?}");
    assert!(names(&plan, "add_version").is_empty(), "a version would rotate");

    let report = run(&pair, &backup, &plan).await;
    assert!(report.failed.is_empty() && report.conflicts.is_empty(), "{report:#?}");
    // The job of the standby has not answered yet, and the other certificate waits for somebody to sign its request.
    let mut waiting: Vec<&str> = report.waiting.iter().map(|one| one.name.as_str()).collect();
    // Remarks come in the order of ids.
    waiting.sort_unstable();
    assert_eq!(waiting, ["ldap-user", "to-be-signed"], "{report:#?}");
    assert_eq!(report.kind(), None, "what is still being issued is no failure: {report:#?}");
    // Nobody can use it yet, and in the source they can.
    let expected = ComparedWith::Snapshot(backup.name().clone());
    let found = drift(&system_context(), &backup, expected, &pair.standby.client(), &options, true).await.unwrap();
    let differ: Vec<_> = found.differences.iter().map(|one| (one.name.as_str(), one.kind.as_str())).collect();
    assert_eq!(differ, [("ldap-user", "payload")], "{found:#?}");

    let cert = secret(&pair, "web-1");
    assert_eq!(cert.str("certificate_template").as_deref(), Some("web"));
    assert_eq!(cert.object("rotation").unwrap().bool("auto_rotate"), Some(false), "rotation is held back");
    let held = cert.object("custom_metadata").unwrap().object("keyhaven").unwrap().object("held").unwrap();
    assert_eq!(held.object("rotation").unwrap().u64("interval"), Some(10));
    assert_eq!(cert.u64("versions_total"), Some(1));
    let id = cert.str("id").unwrap();
    let version = pair.standby.get(&format!("secrets/{id}/versions/current/metadata"));
    assert_eq!(version.object("version_custom_metadata").unwrap().u64("ticket"), Some(7));
    assert_eq!(pair.standby.get(&format!("secrets/{id}/locks")).u64("total_count"), Some(1));
    let payload = pair.standby.get(&format!("secrets/{id}")).str("certificate").unwrap();
    let names = Openssl::new().shows(&payload, "-ext subjectAltName");
    assert!(names.contains("10.0.0.7"), "what no answer shows was read out of the certificate: {names}");

    // References are the standby's own.
    let runner = pair.standby.id_of("engine-key");
    assert_eq!(pair.standby.get("configurations/ldap").str("api_key_ref"), Some(runner));
    let parameters = secret(&pair, "ldap-user").object("parameters").unwrap();
    assert_eq!(parameters.str("admin"), Some(pair.standby.id_of("ldap-admin")));
    assert_eq!((parameters.str("realm").as_deref(), parameters.u64("depth")), (Some("example"), Some(2)));
    assert_eq!(secret(&pair, "at-read").bool("reuse_api_key"), Some(false));
    assert_eq!(secret(&pair, "cos").array("labels").unwrap().len(), 1);
    assert!(pair.standby.instance.forbidden_acts().is_empty() && pair.source.instance.forbidden_acts().is_empty());

    nothing_left(&pair, &backup, &plan, &options).await;
    // Neither does anything when the standby has made its own since, and the source has rotated.
    pair.clock.advance(5_000);
    let source = pair.source.id_of("web-1");
    pair.source.make(&format!("secrets/{source}/versions"), "{}");
    let mut later = pair.backup().await;
    later.supply("web", r#"{"allow_wildcard_certificates":false}"#);
    let plan = make_plan(&pair, &later, &options).await;
    assert!(plan.steps.is_empty(), "a newer version of the source rotates nothing here: {plan:#?}");
    let waiting: Vec<&str> = plan.waiting.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(waiting, ["to-be-signed"]);
}

#[tokio::test]
async fn a_certificate_whose_template_is_left_out_is_a_loss_and_is_not_asked_for() {
    let (pair, backup) = source().await;
    let (only, exclude) = (vec!["name:web-1".parse().unwrap()], vec!["name:web".parse().unwrap()]);
    let options = PlanOptions { only, exclude, ..reissue() };
    let plan = make_plan(&pair, &backup, &options).await;
    assert!(!words(&plan).iter().any(|word| word.contains("web-1")), "{:?}", words(&plan));
    assert!(plan.losses.iter().any(|one| one.reason.contains("the certificate template web")), "{plan:#?}");
}

#[tokio::test]
async fn what_a_patch_can_change_is_brought_in_line_and_nothing_else() {
    let (pair, backup) = source().await;
    let options = PlanOptions { only: vec!["name:cos".parse().unwrap()], ..reissue() };
    let plan = make_plan(&pair, &backup, &options).await;
    run(&pair, &backup, &plan).await;
    let id = pair.standby.id_of("cos");
    let before = pair.standby.get(&format!("secrets/{id}")).get("credentials").unwrap().get().to_owned();
    pair.standby.patch(&format!("secrets/{id}/metadata"), r#"{"description":"changed by hand","labels":[]}"#);
    let plan = make_plan(&pair, &backup, &options).await;
    assert_eq!(words(&plan), ["patch_metadata cos"]);
    let report = run(&pair, &backup, &plan).await;
    assert_eq!(report.kind(), None, "{report:#?}");
    let after = pair.standby.get(&format!("secrets/{id}"));
    assert_eq!(after.get("credentials").unwrap().get(), before, "the credentials of the standby stay");
    assert_eq!(after.array("labels").unwrap().len(), 1);
    nothing_left(&pair, &backup, &plan, &options).await;
}

#[tokio::test]
async fn one_of_that_name_that_somebody_else_made_stays_as_it_is() {
    let (pair, backup) = source().await;
    let options = PlanOptions { only: vec!["name:cos".parse().unwrap()], ..reissue() };
    let crn = "crn:v1:bluemix:public:cloud-object-storage:global:a/1:2::";
    let own = format!(
        r#"{{"secret_type":"service_credentials","name":"cos","description":"somebody's own",
            "source_service":{{"instance":{{"crn":"{crn}"}},"parameters":{{"HMAC":true}}}}}}"#
    );
    let id = pair.standby.make("secrets", &own);
    let plan = make_plan(&pair, &backup, &options).await;
    assert!(plan.steps.is_empty() && plan.conflicts[0].reason.contains("carries no mark"), "{plan:#?}");
    let over = PlanOptions { on_conflict: OnConflict::NewVersion, ..options };
    let plan = make_plan(&pair, &backup, &over).await;
    assert_eq!(words(&plan), ["patch_metadata cos"]);
    run(&pair, &backup, &plan).await;
    assert_eq!(pair.standby.id_of("cos"), id);
}

#[tokio::test]
async fn ids_in_places_of_the_users_own_are_reported_and_stay() {
    let pair = Pair::start().await;
    let first = pair.source.make("secrets", r#"{"secret_type":"arbitrary","name":"first","payload":"p"}"#);
    let body = format!(
        r#"{{"secret_type":"arbitrary","name":"second","payload":"p","custom_metadata":{{"peer":"{first}"}}}}"#
    );
    pair.source.make("secrets", &body);
    let backup = pair.backup().await;
    let plan = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let notes: Vec<&str> =
        plan.notes.iter().filter(|one| one.name == "second").map(|one| one.reason.as_str()).collect();
    assert!(notes.len() == 1 && notes[0].contains(&first) && notes[0].contains("default/first"), "{plan:#?}");
    run(&pair, &backup, &plan).await;
    let there = secret(&pair, "second").object("custom_metadata").unwrap().str("peer");
    assert_eq!(there, Some(first), "not rewritten");
}

/// An instance with everything in every condition, keys of authorities shown or not: nothing that is planned is refused.
#[tokio::test]
async fn nothing_that_is_planned_of_any_type_is_refused() {
    for show_ca_private_key in [false, true] {
        for options in [PlanOptions::default(), reissue()] {
            let pair = Pair::start().await;
            let switches = Switches { show_ca_private_key, ..Switches::default() };
            for peer in [&pair.source, &pair.standby] {
                peer.instance.set_switches(switches);
            }
            every_type(&pair.source.instance, 7).unwrap();
            let backup = pair.backup().await;
            let plan = make_plan(&pair, &backup, &options).await;
            let report = run(&pair, &backup, &plan).await;
            assert!(report.stopped.is_none(), "{report:#?}");
            assert!(report.failed.is_empty(), "{:#?}", report.failed);
            assert_eq!(report.conflicts, plan.conflicts);
            assert!(report.read_back.unwrap().differences.is_empty(), "{:#?}", report.waiting);
            let again = run(&pair, &backup, &plan).await;
            assert_eq!((again.done, again.already), (0, report.done + report.already), "{again:#?}");
            assert!(pair.standby.instance.forbidden_acts().is_empty());
        }
    }
}

#[tokio::test]
async fn a_revoked_certificate_gets_no_valid_one_unless_somebody_says_so() {
    let pair = Pair::start().await;
    authorities(&pair.source.instance, &Openssl::new());
    let id = issue(&pair.source.instance, "web-1", "web", "").str("id").unwrap();
    let revoke = r#"{"action_type":"private_cert_action_revoke_certificate"}"#;
    pair.source.post(&format!("secrets/{id}/actions"), revoke);
    let mut backup = pair.backup().await;
    for template in ["web", "mesh"] {
        backup.supply(template, r#"{"allow_wildcard_certificates":false}"#);
    }
    for types in ["{}", r#"{"private_cert":"convert"}"#] {
        let options = PlanOptions {
            policies: serde_json::from_str(&format!(r#"{{"types":{types}}}"#)).unwrap(),
            ..PlanOptions::default()
        };
        let made = make_plan(&pair, &backup, &options).await;
        assert!(!words(&made).iter().any(|word| word.ends_with("web-1")), "{:#?}", words(&made));
        let loss = made.losses.iter().find(|loss| loss.name == "web-1").unwrap();
        assert!(loss.reason.contains("revoked"), "{loss:?}");
    }
    let made = make_plan(&pair, &backup, &reissue()).await;
    assert!(words(&made).contains(&"create_secret web-1".to_owned()), "{:#?}", words(&made));
}

#[tokio::test]
async fn an_issued_secret_for_another_name_is_not_taken_for_ours() {
    let pair = Pair::start().await;
    for (peer, common) in [(&pair.source, "ours"), (&pair.standby, "theirs")] {
        authorities(&peer.instance, &Openssl::new());
        let body = format!(
            r#"{{"secret_type":"private_cert","name":"web-1","certificate_template":"web",
                "common_name":"{common}.example.com"}}"#
        );
        call(&peer.instance, Verb::Post, "secrets", &body);
    }
    let backup = pair.backup().await;
    let only = vec!["web-1".parse().unwrap()];
    let made = make_plan(&pair, &backup, &PlanOptions { only, ..reissue() }).await;
    assert!(!words(&made).iter().any(|word| word.ends_with("web-1")), "{:#?}", words(&made));
    let conflict = made.conflicts.iter().find(|one| one.name == "web-1").unwrap();
    assert!(conflict.reason.contains("its common_name differs"), "{conflict:?}");
}
