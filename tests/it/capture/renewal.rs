//! What the ledger says before a run: who may sign at all, and whether everything must be read.

use std::path::Path;
use std::sync::Arc;

use keyhaven::crypto::SigningKey;
use keyhaven::job::capture::{CaptureError, CaptureReport, capture};
use keyhaven::provider::InstanceInventory as _;
use keyhaven::provider::embedded::Verb;
use keyhaven::repository::RepositoryError;
use keyhaven::repository::ledger::NotAuthorised;

use crate::kit::capture::Rig;
use crate::kit::files::files;
use crate::kit::instance::write;
use crate::kit::policy;

fn create(rig: &Rig, name: &str) {
    let body = format!(r#"{{"name":"{name}","secret_type":"arbitrary","payload":"value"}}"#);
    write(&rig.instance, Verb::Post, "/api/v2/secrets", &body);
}

async fn by(rig: &Rig, key: &Arc<SigningKey>) -> Result<CaptureReport, CaptureError> {
    rig.clock.advance(60_000);
    let writer = rig.writer(key);
    capture(&rig.context(), &rig.source, &rig.repository, &writer, &rig.catalogue, &rig.options()).await
}

fn stored(rig: &Rig) -> Vec<String> {
    let root: &Path = rig.folder.path();
    files(&root.join("repository"))
}

#[tokio::test]
async fn a_key_that_may_not_sign_is_refused_before_anything_is_read_or_written() {
    let rig = Rig::new().await;
    create(&rig, "secret");
    rig.capture().await.unwrap();
    rig.change(|policy| policy::end(policy, &rig.collector, &[])).await;
    let (before, requests) = (stored(&rig), rig.source.requests());
    let stranger = Arc::new(SigningKey::generate().unwrap());
    for key in [&rig.collector, &stranger] {
        let error = by(&rig, key).await.unwrap_err();
        let CaptureError::Repository(RepositoryError::NotAuthorised(why)) = &error else { panic!("{error}") };
        assert_eq!(*why == NotAuthorised::Ended, Arc::ptr_eq(key, &rig.collector));
    }
    assert_eq!(stored(&rig), before, "no list, no pack and no part is left behind");
    assert_eq!(rig.source.requests(), requests, "the instance was not asked either");
}

#[tokio::test]
async fn the_first_run_under_a_version_that_made_a_snapshot_void_is_full() {
    let rig = Rig::new().await;
    create(&rig, "secret");
    by(&rig, &rig.other_collector).await.unwrap();
    rig.capture().await.unwrap();
    let others = rig.snapshots().await;
    let good = others[0].reference();
    by(&rig, &rig.other_collector).await.unwrap();
    // Ended at its newest entry, it takes nothing back.
    let newest = rig.snapshots().await.pop().unwrap().reference();
    rig.change(|policy| policy::end(policy, &rig.other_collector, &[newest])).await;
    let report = rig.capture().await.unwrap();
    assert_eq!((report.full, report.full_because, report.read), (false, None, 0));
    // Ended before it, it does.
    rig.change(|policy| policy::end(policy, &rig.other_collector, &[good])).await;
    let report = rig.capture().await.unwrap();
    assert_eq!((report.full, report.base, report.packs_reused), (true, None, 0));
    let why = report.full_because.unwrap();
    assert!(why.starts_with("version 3 of the trust policy made a snapshot of the key "), "{why}");
    assert!(report.suspect.is_empty() && report.read > 0, "{:?}", report.suspect);
    // Once: what comes next builds on that.
    let next = rig.capture().await.unwrap();
    assert_eq!((next.full, next.full_because, next.base), (false, None, Some(report.snapshot)));
}
