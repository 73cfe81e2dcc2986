//! A restore between two instances of the fake provider, without any real one.

use std::sync::Arc;

use super::FakeInstance;
use crate::job::Context;
use crate::job::drift::LiveInstance;
use crate::job::event::Silent;
use crate::job::restore::guard::GuardError;
use crate::job::restore::{ApplyOptions, Consent, PlanOptions, RestoreError, apply, plan};
use crate::model::{Clock, Timestamp};

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }
}

fn context() -> Context {
    Context { clock: Arc::new(Still), observer: Arc::new(Silent), cancel: tokio_util::sync::CancellationToken::new() }
}

fn source() -> FakeInstance {
    let source = FakeInstance::new("source");
    source.add("group/g1", "group", None, r#"{"name":"prod"}"#, &[]);
    let row =
        r#"{"name":"db","description":"d","labels":["a"],"custom_metadata":{"n":1.0},"ends":"2030-01-01T00:00:00Z"}"#;
    source.add("secret/s1", "text", Some("g1"), row, &[r#"{"v":"one"}"#, r#"{"v":"two"}"#]);
    source.add("secret/s2", "certificate", Some("default"), r#"{"name":"web"}"#, &[r#"{"v":"pem"}"#]);
    source.add("secret/s3", "token", Some("default"), r#"{"name":"minted"}"#, &[r#"{"v":"t"}"#]);
    source
}

#[tokio::test]
async fn a_plan_is_applied_and_the_next_one_is_empty() {
    let (source, standby, context) = (source(), FakeInstance::new("standby"), context());
    let backup = LiveInstance::take(&context, &source, true).await.unwrap();
    let (options, consent) = (PlanOptions::default(), Consent::default());
    let made = plan(&context, &backup, &standby, &options, &consent).await.unwrap();
    assert!(made.conflicts.is_empty(), "{made:#?}");
    assert_eq!(made.losses.iter().map(|loss| loss.name.as_str()).collect::<Vec<_>>(), ["minted"]);
    let report = apply(&context, &made, &backup, &standby, &ApplyOptions::default(), &consent).await.unwrap();
    assert!(report.stopped.is_none() && report.failed.is_empty(), "{report:#?}");
    let mut writes = standby.writes();
    writes.sort_unstable();
    assert_eq!(writes, ["add_version", "create_group", "create_secret", "create_secret", "patch_metadata"]);
    assert_eq!(standby.payloads("db"), [r#"{"v":"one"}"#, r#"{"v":"two"}"#]);
    assert_eq!(standby.payloads("web"), [r#"{"v":"pem"}"#]);
    let again = plan(&context, &backup, &standby, &options, &consent).await.unwrap();
    assert!(again.is_empty(), "{again:#?}");
}

#[tokio::test]
async fn the_source_is_never_taken_for_a_standby() {
    let (source, context) = (source(), context());
    let backup = LiveInstance::take(&context, &source, true).await.unwrap();
    let refused = plan(&context, &backup, &source, &PlanOptions::default(), &Consent::default()).await;
    assert!(matches!(refused, Err(RestoreError::Guard(GuardError::IsSource { .. }))), "{refused:?}");
}
