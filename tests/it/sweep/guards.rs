//! What a sweep leaves alone because this version cannot judge it: keys and snapshots of tomorrow.

use data_encoding::BASE64;
use keyhaven::crypto::KeyInfo;
use keyhaven::crypto::SigningKey;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::envelope::{Envelope, Holds, Signature};
use keyhaven::format::policy::PolicyKey;
use keyhaven::format::{EntryEvent, EntryRef, PolicyRef, names};
use keyhaven::model::{Digest, FailureKind};

use super::stops::{draft, place, stops, yard};
use crate::kit::simulated_store::HOUR;
use crate::kit::sweep::Yard;

/// The payload of an entry on top of all, with the body of a snapshot that is there.
fn like(yard: &Yard, snapshot: Digest, policy: Option<PolicyRef>) -> String {
    let event = yard.ledger().get(&snapshot).unwrap().snapshot().unwrap().clone();
    let mut place = place(yard);
    place.policy = policy.unwrap_or(place.policy);
    let signed = draft(yard, EntryEvent::Snapshot(Box::new(event))).sign(&place, &yard.collectors[0]).unwrap();
    String::from_utf8(Envelope::decode(&signed.1, Holds::Entry).unwrap().payload).unwrap()
}

fn put(yard: &Yard, envelope: &Envelope) -> String {
    let entry = EntryRef { sequence: place(yard).sequence(), digest: envelope.digest() };
    yard.sim.put(&names::entry(&entry), &envelope.encode(Holds::Entry).unwrap());
    names::entry(&entry)
}

fn public(key: &KeyInfo) -> String {
    serde_json::to_string(key).unwrap()
}

#[tokio::test]
async fn a_snapshot_whose_key_this_version_cannot_check_keeps_what_it_needs() {
    let (yard, snapshots) = yard().await;
    let unknown: KeyInfo = serde_json::from_str(&format!("\"{}\"", BASE64.encode(&[9; 60]))).unwrap();
    let listed = PolicyKey {
        name: "of tomorrow".to_owned(),
        public_key: unknown.clone(),
        roles: vec!["collector".to_owned()],
        until: None,
    };
    yard.change(|policy| policy.keys.push(listed)).await;
    let ours = public(&yard.collectors[0].public().into());
    let payload = like(&yard, snapshots[0], None);
    assert!(payload.contains(&ours));
    let mut envelope = Envelope::unsigned(payload.replace(&ours, &public(&unknown)).into_bytes());
    envelope.pool([Signature { keyid: unknown.fingerprint(), bytes: vec![1; 3_000] }]);
    put(&yard, &envelope);
    // Longer than the grace after the version that lists the key: what is void by that would go now.
    yard.sim.advance(72 * HOUR);
    let objects = |snapshot: Digest| {
        let event = yard.ledger().get(&snapshot).unwrap().snapshot().unwrap().clone();
        event
            .parts
            .iter()
            .map(|part| names::catalogue(&part.digest))
            .chain([names::list(&event.list)])
            .collect::<Vec<_>>()
    };
    let (guarded, other) = (objects(snapshots[0]), objects(snapshots[1]));
    let report = yard.sweep().await;
    assert!(report.stopped.is_empty() && report.deleted.objects > 0, "{report:#?}");
    assert!(guarded.iter().all(|path| yard.sim.bytes(path).is_some()), "a newer program may be able to check it");
    assert!(yard.sim.bytes(other.last().unwrap()).is_none(), "{report:#?}");
}

#[tokio::test]
async fn a_snapshot_of_a_later_minor_that_cannot_be_read_stops_it_and_is_named() {
    let never_was = PolicyRef { version: 9, digest: sha256(b"never was") };
    // Counting, and undecided under a policy that is not here: either may need what would go.
    for policy in [None, Some(never_was)] {
        let (yard, snapshots) = yard().await;
        let later = |text: String| {
            text.replacen("\"1.0\"", "\"1.9\"", 1).replace("\"rounds\":", "\"rounds\":\"of tomorrow\",\"rows\":")
        };
        let mut envelope = Envelope::unsigned(later(like(&yard, snapshots[0], policy)).into_bytes());
        // Nobody knows a stranger, and a stranger stops nothing.
        let mut strange = Envelope::unsigned(
            later(like(&yard, snapshots[0], policy))
                .replace(
                    &public(&yard.collectors[0].public().into()),
                    &public(&SigningKey::from_seed(&[9; 32]).public().into()),
                )
                .into_bytes(),
        );
        strange.sign(&SigningKey::from_seed(&[9; 32]));
        put(&yard, &strange);
        let looked = yard.sweep_by("onlooker", yard.sim.store(), false, Vec::new()).await.unwrap();
        assert!(looked.stopped.is_empty(), "{looked:#?}");
        envelope.sign(&yard.collectors[0]);
        let name = put(&yard, &envelope);
        let report = stops(&yard, &["unknown_entry"], FailureKind::Failed).await;
        assert!(report.stopped[0].text.contains(&name), "{report:#?}");
        assert!(report.stopped[0].text.contains("sweep with a newer one"), "{report:#?}");
    }
}
