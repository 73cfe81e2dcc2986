//! Restores at the provider's limits: groups, payloads, versions, locks.

use keyhaven::job::restore::PlanOptions;
use keyhaven::model::FailureKind;
use keyhaven::provider::embedded::{Act, Verb, When};

use crate::kit::restore::{Pair, content, make_plan, restore, run, words};

#[tokio::test]
async fn groups_for_which_there_is_no_room_are_conflicts_of_the_plan_and_so_is_what_lies_in_them() {
    let pair = Pair::start().await;
    for name in ["aa", "bb"] {
        let group = pair.source.group(name);
        let body =
            format!(r#"{{"secret_type":"arbitrary","name":"in-{name}","secret_group_id":"{group}","payload":"p"}}"#);
        pair.source.make("secrets", &body);
    }
    // With the default one that makes 199.
    for number in 0..198 {
        pair.standby.group(&format!("theirs-{number}"));
    }
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    assert_eq!(words(&made), ["create_group aa", "create_secret in-aa"]);
    let reason = |list: &[keyhaven::job::restore::plan::Remark]| list[0].reason.clone();
    assert!(reason(&made.conflicts).contains("takes 200 secret groups"), "{:#?}", made.conflicts);
    assert!(reason(&made.losses).contains("its group bb is not in the standby"), "{:#?}", made.losses);
    let report = run(&pair, &backup, &made).await;
    assert!(report.failed.is_empty(), "{report:#?}");
    assert_eq!(report.kind(), Some(FailureKind::Moved));
    // With room again, the rest comes.
    let rows = pair.standby.get("secret_groups").array("secret_groups").unwrap();
    let theirs = rows.iter().map(|row| keyhaven::model::json::JsonObject::parse(row.get()).unwrap());
    let one = theirs.into_iter().find(|row| row.str("name").as_deref() == Some("theirs-0")).unwrap();
    pair.standby.call(Verb::Delete, &format!("secret_groups/{}", one.str("id").unwrap()), "");
    let report = restore(&pair, &backup, &PlanOptions::default()).await;
    assert!(report.kind().is_none(), "{report:#?}");
}

#[tokio::test]
async fn the_largest_payloads_fifty_versions_and_a_thousand_locks_on_two_versions_come_back() {
    let pair = Pair::start().await;
    let source = &pair.source;
    let large =
        |c: &str| format!(r#"{{"secret_type":"arbitrary","name":"large-{c}","payload":"{}"}}"#, c.repeat(1_000_000));
    for c in ["a", "b"] {
        source.make("secrets", &large(c));
    }
    let id = source.make("secrets", r#"{"secret_type":"arbitrary","name":"old","payload":"v1"}"#);
    for number in 2..=50 {
        source.version(&id, &format!("v{number}"));
    }
    // As long as a name may be.
    let name = |n: usize| format!("lock-{n:04}-{}", "x".repeat(54));
    let locks = |from: usize| {
        let locks: Vec<String> = (from..from + 100).map(|n| format!(r#"{{"name":"{}"}}"#, name(n))).collect();
        format!(r#"{{"locks":[{}]}}"#, locks.join(","))
    };
    for alias in ["current", "previous"] {
        for from in (0..500).step_by(100) {
            source.post(&format!("secrets/{id}/versions/{alias}/locks_bulk"), &locks(from));
        }
    }
    let backup = pair.backup().await;
    let report = restore(&pair, &backup, &PlanOptions::default()).await;
    assert!(report.kind().is_none(), "{report:#?}");
    let there = pair.standby.id_of("old");
    let row = pair.standby.get(&format!("secrets/{there}/metadata"));
    assert_eq!((row.u64("versions_total"), row.u64("locks_total")), (Some(2), Some(1_000)));
    for c in ["a", "b"] {
        let id = pair.standby.id_of(&format!("large-{c}"));
        let payload = pair.standby.get(&format!("secrets/{id}")).str("payload").unwrap();
        assert!(payload == c.repeat(1_000_000), "large-{c} is another one");
    }

    // The next version has to push out one with five hundred locks.
    for from in (0..500).step_by(100) {
        let names: Vec<String> = (from..from + 100).map(name).collect();
        let path = format!("secrets/{id}/versions/previous/locks_bulk?name={}", names.join(","));
        source.call(Verb::Delete, &path, "");
    }
    source.version(&id, "v51");
    let backup = pair.backup().await;
    let made = make_plan(&pair, &backup, &PlanOptions::default()).await;
    let steps = words(&made);
    assert_eq!(
        steps.iter().filter(|step| *step == "remove_locks old").count(),
        10,
        "addresses are no longer than that"
    );
    // Killed between two pieces, it goes on.
    pair.standby.instance.fault(
        When::any().verb(Verb::Delete).path("locks_bulk").nth(4),
        Act::Status { status: 403, retry_after: None },
    );
    let report = run(&pair, &backup, &made).await;
    assert!(report.failed[0].reason.contains(&name(149)), "{report:#?}");
    assert!(!report.failed[0].reason.contains(&name(150)), "{report:#?}");
    let report = run(&pair, &backup, &made).await;
    assert!(report.kind().is_none(), "{report:#?}");
    let report = restore(&pair, &backup, &PlanOptions::default()).await;
    assert!(report.kind().is_none(), "{report:#?}");
    assert!(content(&pair.standby)["secret default/arbitrary/old"].contains(r#"current payload="v51""#));
}
