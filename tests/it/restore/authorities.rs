//! Certificate authorities and templates: new keys, the same rules, and whoever waits for a signature waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyhaven::job::restore::{ApplyReport, Plan, PlanOptions, Signatures, apply, apply_signed};
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{Act, EmbeddedInstance, Hook, Server, Verb, When};

use keyhaven::model::{FailureKind, Override, Policies};
use tokio::sync::Notify;

use crate::kit::clock::system_context;
use crate::kit::pki::{
    INTERMEDIATE, Openssl, ROOT, above, authorities, configuration, configure, data, issue, json, status,
};
use crate::kit::restore::{
    MemoryBackup, Pair, Peer, STANDBY_ID, confirmed, make_plan, nothing_left, options, quick, run, words,
};

/// A source with authorities, and an operator who said what no answer shows of its templates.
pub(crate) async fn source(outside: &Openssl) -> (Pair, MemoryBackup) {
    let pair = Pair::start().await;
    authorities(&pair.source.instance, outside);
    let mut backup = pair.backup().await;
    for template in ["web", "mesh"] {
        backup.supply(template, r#"{"allow_wildcard_certificates":false}"#);
    }
    (pair, backup)
}

/// Applies a plan with these certificates.
async fn run_signed(pair: &Pair, backup: &MemoryBackup, plan: &Plan, given: &[(&str, String)]) -> ApplyReport {
    let given: BTreeMap<String, String> = given.iter().map(|(name, pem)| ((*name).to_owned(), pem.clone())).collect();
    let signatures = Signatures { given: Some(&given), source: None };
    let client = pair.standby.client();
    apply_signed(&system_context(), plan, backup, &client, &quick(), &confirmed(), signatures).await.unwrap()
}

fn said(remarks: &[keyhaven::job::restore::plan::Remark], name: &str) -> String {
    let found: Vec<&str> = remarks.iter().filter(|one| one.name == name).map(|one| one.reason.as_str()).collect();
    assert_eq!(found.len(), 1, "{name}: {remarks:#?}");
    found[0].to_owned()
}

/// What a client can set of a configuration, as the standby shows it.
fn parameters(of: &JsonObject) -> BTreeMap<String, String> {
    let made = [
        "created_at",
        "created_by",
        "updated_at",
        "expiration_date",
        "status",
        "data",
        "serial_number",
        "allowed_secret_groups",
    ];
    let members = of.iter().filter(|(name, _)| !made.contains(name));
    members.map(|(name, value)| (name.to_owned(), value.get().to_owned())).collect()
}

#[tokio::test]
async fn everything_comes_back_in_order_and_what_is_signed_outside_is_waited_for() {
    let openssl = Openssl::new();
    let (pair, backup) = source(&openssl).await;
    let plan = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(
        words(&plan),
        [
            "create_group prod",
            "create_configuration root",
            "create_configuration outside",
            "set_signed_certificate outside",
            "create_configuration issuing",
            "sign_authority issuing",
            "create_configuration mesh",
            "create_configuration web",
        ]
        .map(String::from)
    );
    assert!(plan.losses.is_empty(), "{:#?}", plan.losses);

    let report = run(&pair, &backup, &plan).await;
    let standby = &pair.standby.instance;
    assert_eq!(report.kind(), Some(FailureKind::Partial), "{report:#?}");
    assert_eq!((report.done, report.left, report.failed.len()), (6, 2, 0), "{report:#?}");
    assert!(said(&report.waiting, "outside").contains("signed certificate"), "{report:#?}");
    assert!(said(&report.skipped, "mesh").contains("the certificate authority outside"), "{report:#?}");
    assert!(report.read_back.as_ref().unwrap().differences.is_empty(), "what waits is said once: {report:#?}");
    assert_eq!((status(standby, "root"), status(standby, "issuing")), ("configured".into(), "configured".into()));
    for name in ["root", "issuing", "web"] {
        let there = parameters(&configuration(standby, name));
        assert_eq!(there, parameters(&configuration(&pair.source.instance, name)), "{name}");
    }
    // New keys, and the names in the certificates are those that were asked for, the asset's number included.
    let (old, new) = (data(&pair.source.instance, "root", "certificate"), data(standby, "root", "certificate"));
    assert_ne!(openssl.shows(&old, "-pubkey"), openssl.shows(&new, "-pubkey"));
    assert_eq!(openssl.shows(&old, "-subject"), openssl.shows(&new, "-subject"));
    assert!(openssl.shows(&new, "-subject").contains("asset-17"));

    // The same plan goes on with the certificate that came meanwhile.
    let request = &report.signing_requests[0];
    assert_eq!(request.pem, data(standby, "outside", "csr"));
    let certificate = openssl.sign(&request.pem);
    let report = run_signed(&pair, &backup, &plan, &[("outside", certificate)]).await;
    assert_eq!((report.done, report.already, report.kind()), (2, 6, None), "{report:#?}");
    nothing_left(&pair, &backup, &plan, &PlanOptions::default()).await;

    // What the standby issues is good for whoever trusts its root, or the one outside; not for whoever trusts the old.
    let trusted = [("web", new, true), ("web", old, false), ("mesh", openssl.root(), true)];
    for (place, (template, root, good)) in trusted.into_iter().enumerate() {
        let leaf = issue(standby, &format!("leaf-{place}"), template, "");
        let verified = openssl.verify(&root, &above(&leaf), &leaf.str("certificate").unwrap());
        assert_eq!(verified.is_ok(), good, "{template}: {verified:?}");
    }
    let group = pair.standby.get("secret_groups").array("secret_groups").unwrap();
    let group =
        group.iter().map(|row| JsonObject::parse(row.get()).unwrap()).find(|row| row.str("name").unwrap() == "prod");
    let allowed = configuration(standby, "web").str("allowed_secret_groups").unwrap();
    assert!(allowed.contains(&group.unwrap().str("id").unwrap()), "the standby's own id: {allowed}");
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_is_never_sent() {
    let openssl = Openssl::new();
    let (pair, backup) = source(&openssl).await;
    let plan = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let request = run(&pair, &backup, &plan).await.signing_requests.remove(0).pem;
    let other = data(&pair.source.instance, "outside", "certificate");
    let plain = openssl.sign_as(&request, "basicConstraints=critical,CA:FALSE\n");
    for (certificate, why) in [(other, "its key is not the one"), (plain, "not the certificate of an authority")] {
        pair.standby.instance.reset_counters();
        let report = run_signed(&pair, &backup, &plan, &[("outside", certificate)]).await;
        assert!(said(&report.failed, "outside").contains(why), "{report:#?}");
        assert!(said(&report.skipped, "mesh").contains("has no certificate yet"), "{report:#?}");
        assert_eq!(pair.standby.instance.counters().writing, 0, "{why}");
    }
}

#[tokio::test]
async fn what_hangs_on_an_authority_that_failed_is_not_tried() {
    let openssl = Openssl::new();
    let (pair, backup) = source(&openssl).await;
    let plan = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let standby = &pair.standby.instance;
    // The first configuration that is made is the root.
    let first = When::any().verb(Verb::Post).path("configurations").nth(1);
    standby.fault(first, Act::Status { status: 400, retry_after: None });
    standby.reset_counters();
    let report = run(&pair, &backup, &plan).await;
    assert_eq!(report.failed.len(), 1, "{report:#?}");
    assert!(said(&report.failed, "root").contains("400"), "{report:#?}");
    for (name, need) in [("issuing", "root: it could not be made"), ("web", "issuing: it could not be made")] {
        assert!(said(&report.skipped, name).contains(need), "{report:#?}");
    }
    // The group, the root that was refused, and the one that is signed outside.
    assert_eq!(standby.counters().writing, 3, "{report:#?}");
    standby.clear_faults();
    let report = run(&pair, &backup, &plan).await;
    assert!(report.failed.is_empty() && status(standby, "issuing") == "configured", "{report:#?}");
}

#[tokio::test]
async fn another_authority_of_that_name_is_a_conflict_and_signs_nothing() {
    let openssl = Openssl::new();
    let (pair, backup) = source(&openssl).await;
    let standby = &pair.standby.instance;
    configure(standby, ROOT, "root", r#""common_name":"stranger.example.com","max_ttl":"24h","key_type":"ec""#);
    let plan = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert!(said(&plan.conflicts, "root").contains("common_name"), "{plan:#?}");
    for name in ["issuing", "web"] {
        assert!(said(&plan.losses, name).contains("it needs the certificate authority"), "{plan:#?}");
    }
    assert!(words(&plan).contains(&"create_configuration outside".to_owned()), "{plan:#?}");
}

#[tokio::test]
async fn what_no_answer_shows_of_a_template_is_a_loss() {
    let openssl = Openssl::new();
    let (pair, _) = source(&openssl).await;
    let plan = make_plan(&pair, &pair.backup().await, &PlanOptions::default()).await;
    assert!(said(&plan.losses, "web").contains("allow_wildcard_certificates"), "{plan:#?}");
}

#[tokio::test]
async fn an_intermediate_may_be_signed_by_an_intermediate_whatever_they_are_called() {
    let pair = Pair::start().await;
    let source = &pair.source.instance;
    let members = r#""common_name":"root.example.com","max_ttl":"87600h","key_type":"ec""#;
    configure(source, ROOT, "z-root", members);
    // By name, the lowest one comes first.
    for (name, issuer) in [("m-middle", "z-root"), ("a-lowest", "m-middle")] {
        let members = format!(
            r#""common_name":"{name}.example.com","max_ttl":"8760h","key_type":"ec","signing_method":"internal",
               "issuer":"{issuer}""#
        );
        configure(source, INTERMEDIATE, name, &members);
        let body = format!(r#""intermediate_certificate_authority":{}"#, json(name));
        crate::kit::pki::act(source, issuer, "sign_intermediate", &body);
    }
    let backup = pair.backup().await;
    let plan = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let made: Vec<String> = words(&plan).into_iter().filter(|word| word.starts_with("create")).collect();
    assert_eq!(made, ["z-root", "m-middle", "a-lowest"].map(|name| format!("create_configuration {name}")));
    let report = run(&pair, &backup, &plan).await;
    assert_eq!(report.kind(), None, "{report:#?}");
    nothing_left(&pair, &backup, &plan, &PlanOptions::default()).await;
}

/// An override speaks in the standby's own ids, and the next plan knows them again.
#[tokio::test]
async fn a_template_may_be_given_a_group_of_the_standby() {
    let openssl = Openssl::new();
    let (pair, backup) = source(&openssl).await;
    let own = pair.standby.group("only-here");
    let set = serde_json::json!({"allowed_secret_groups": own, "max_ttl": "60d"}).as_object().unwrap().clone();
    let select = vec!["name:web".parse().unwrap()];
    let policies = Policies { overrides: vec![Override { select, set }], ..Policies::default() };
    let exclude = vec!["name:outside".parse().unwrap(), "name:mesh".parse().unwrap()];
    let options = PlanOptions { policies, exclude, ..PlanOptions::default() };
    let plan = make_plan(&pair, &backup, &options).await;
    let report = run(&pair, &backup, &plan).await;
    assert_eq!(report.kind(), None, "{report:#?}");
    let there = configuration(&pair.standby.instance, "web");
    assert_eq!((there.str("allowed_secret_groups"), there.u64("max_ttl_seconds")), (Some(own), Some(5_184_000)));
    nothing_left(&pair, &backup, &plan, &options).await;
}

/// Kills an apply right after every request that it sends: the same plan goes on, and sends nothing a second time.
#[tokio::test]
async fn a_killed_apply_goes_on_and_signs_nothing_twice() {
    let openssl = Openssl::new();
    let (mut pair, backup) = source(&openssl).await;
    let mut plan = make_plan(&pair, &backup, &PlanOptions::default()).await;
    pair.standby.instance.reset_counters();
    let first = run(&pair, &backup, &plan).await;
    let (requests, writes) = (pair.standby.instance.counters().requests(), pair.standby.instance.counters().writing);
    assert_eq!((first.done, writes), (6, 6), "{first:#?}");
    for n in 1..=requests {
        let instance = EmbeddedInstance::new(options(STANDBY_ID, "eu-gb", &pair.clock));
        let server = Server::start(instance.clone(), ([127, 0, 0, 1], 0).into()).await.unwrap();
        plan.standby.url = server.base_url();
        std::mem::replace(&mut pair.standby, Peer { instance: instance.clone(), server }).server.stop().await;
        let struck = Arc::new(Notify::new());
        let dying = Arc::clone(&struck);
        let hook: Hook = Arc::new(move |_, _| dying.notify_one());
        instance.fault(When::any().nth(n), Act::After(hook));
        instance.fault(When::any().nth(n), Act::DropAfter);
        instance.fault(When::any().nths(n + 1..), Act::Hang);
        let (context, consent, client, quick) = (system_context(), confirmed(), pair.standby.client(), quick());
        tokio::select! {
            biased;
            () = struck.notified() => {}
            _ = apply(&context, &plan, &backup, &client, &quick, &consent) => panic!("request {n} was never sent"),
        }
        instance.clear_faults();
        let report = run(&pair, &backup, &plan).await;
        assert_eq!((report.done + report.already, report.left), (6, 2), "killed at {n}: {report:#?}");
        assert!(report.failed.is_empty() && report.conflicts.is_empty(), "killed at {n}: {report:#?}");
        assert_eq!(instance.counters().writing, writes, "killed at {n}: each change was sent once");
        assert_eq!(status(&instance, "issuing"), "configured", "killed at {n}");
    }
}
