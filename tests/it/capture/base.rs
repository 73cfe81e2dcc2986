//! What a run is built on may be gone before it is signed: then another base is chosen, and all that follows from the base
//! follows from that one.

use std::sync::Arc;

use keyhaven::crypto::Identities;
use keyhaven::format::{Entry, names};
use keyhaven::model::FailureKind;
use keyhaven::provider::embedded::Verb;
use keyhaven::repository::{Repository, Store};

use crate::kit::capture::Rig;
use crate::kit::instance::write;
use crate::kit::policy;
use crate::kit::store::LosingStore;

/// While the next run writes its list, that is lost, and the list of this snapshot goes with it.
async fn lose(rig: &mut Rig, snapshot: &Entry) {
    let list = names::list(&snapshot.snapshot().unwrap().list);
    let lost = vec![rig.folder.path().join("repository").join(list)];
    let store = LosingStore::around(Store::local(&rig.folder.path().join("repository")), "lists/", lost);
    rig.repository = Repository::open(store, *rig.repository.id()).await.unwrap();
}

fn secret(rig: &Rig, name: &str) -> String {
    let body = format!(r#"{{"secret_type":"arbitrary","name":"{name}","payload":"value of {name}"}}"#);
    write(&rig.instance, Verb::Post, "/api/v2/secrets", &body).unwrap()
}

#[tokio::test]
async fn without_any_base_left_the_snapshot_is_a_full_one_and_says_so() {
    let mut rig = Rig::new().await;
    let id = secret(&rig, "one");
    rig.capture().await.unwrap();
    let only = rig.snapshots().await.pop().unwrap();
    lose(&mut rig, &only).await;
    let report = rig.capture().await.unwrap();
    assert_eq!((report.base, report.full, report.kept, report.packs_reused), (None, true, 0, 0), "{report:#?}");
    let entry = rig.snapshots().await.pop().unwrap();
    let event = entry.snapshot().unwrap();
    assert_eq!((event.base, event.full, &event.reuses[..]), (None, true, &[][..]));
    assert!(rig.opened().await.payloads(&format!("secret/{id}"))[0].1.contains("value of one"));
}

#[tokio::test]
async fn the_base_that_is_finally_used_is_the_one_that_is_named_and_its_parts_are_sealed_anew() {
    let mut rig = Rig::new().await;
    let id = secret(&rig, "one");
    (0..6).for_each(|number| drop(secret(&rig, &format!("more-{number}"))));
    rig.capture().await.unwrap();
    let older = rig.snapshots().await.pop().unwrap();
    // Since then an auditor may open catalogues, too. This collector goes on with the key that it has.
    let auditor = Identities::generate().0;
    let both = [policy::recipients(&rig.catalogue), policy::recipients(&auditor)].concat();
    rig.change(|policy| policy.catalogue_recipients = both).await;
    let short_lived = secret(&rig, "short-lived");
    rig.capture().await.unwrap();
    let newer = rig.snapshots().await.pop().unwrap();
    let parts = |entry: &Entry| entry.snapshot().unwrap().parts.iter().map(|part| part.digest).collect::<Vec<_>>();
    assert_ne!(parts(&older), parts(&newer), "sealed anew");
    // What there is now is what the older one has, line for line.
    write(&rig.instance, Verb::Delete, &format!("/api/v2/secrets/{short_lived}"), "");
    lose(&mut rig, &newer).await;
    let report = rig.capture().await.unwrap();
    assert_eq!((report.base, report.full), (Some(older.digest), false), "{report:#?}");
    let entry = rig.snapshots().await.pop().unwrap();
    let event = entry.snapshot().unwrap();
    assert_eq!((event.base, &event.reuses[..]), (Some(older.digest), &[rig.collector.public().fingerprint()][..]));
    // The auditor opens all of it: no part of the base that is sealed to fewer.
    assert!(parts(&entry).iter().all(|part| !parts(&older).contains(part)));
    let auditor = Arc::new(auditor);
    for part in &event.parts {
        rig.repository.open_part(part, &auditor).await.unwrap();
    }
    assert!(rig.opened().await.payloads(&format!("secret/{id}"))[0].1.contains("value of one"));
    let sealed_before = rig.repository.open_part(&older.snapshot().unwrap().parts[0], &auditor).await.unwrap_err();
    assert_eq!(sealed_before.kind(), FailureKind::Key);
}
