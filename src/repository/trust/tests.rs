use super::*;
use crate::crypto::SigningKey;
use crate::crypto::digest::sha256;
use crate::format::SourceName;
use crate::format::envelope::{Holds, Signature};
use crate::format::policy::{AcceptedLosses, Custodian, PolicyRecipient, PolicySettings};
use crate::format::version::FormatVersion;
use crate::model::Timestamp;

fn custodian(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// Version 1: two custodians, both of whom must sign.
fn first() -> Policy {
    let named = |seed| Custodian { name: format!("custodian {seed}"), public_key: custodian(seed).public().into() };
    Policy {
        format: FormatVersion::CURRENT,
        version: 1,
        repository: None,
        source: SourceName { provider: "fake".to_owned(), instance: "fake:source".to_owned(), region: None },
        previous: Vec::new(),
        custodians: vec![named(1), named(2)],
        threshold: 2,
        keys: Vec::new(),
        recovery_recipients: vec![PolicyRecipient { name: "kit".to_owned(), recipient: "age1kit".to_owned() }],
        catalogue_recipients: Vec::new(),
        settings: PolicySettings::new(sha256(b"RECOVER.md")),
        lost: AcceptedLosses::default(),
        accepted: Vec::new(),
        held: Vec::new(),
        reason: None,
        time: Timestamp::from_millis(0),
        tool: "test".to_owned(),
        critical: None,
        unknown: std::collections::BTreeMap::new(),
    }
}

fn second() -> Policy {
    let first = first();
    let version = first.reference().unwrap();
    Policy { version: 2, previous: vec![version], repository: Some(RepositoryId(version.digest)), ..first }
}

fn signed(policy: &Policy, signers: &[u8]) -> Vec<u8> {
    let mut envelope = Envelope::unsigned(policy.payload().unwrap());
    signers.iter().for_each(|seed| envelope.sign(&custodian(*seed)));
    envelope.encode(Holds::Policy).unwrap()
}

fn id() -> RepositoryId {
    RepositoryId(first().reference().unwrap().digest)
}

#[test]
fn signatures_of_copies_are_pooled_in_any_order() {
    for copies in [[1, 2], [2, 1]] {
        let mut pool = PolicyPool::default();
        pool.add(&signed(&first(), &[])).unwrap();
        for seed in copies {
            let trust = Trust::judge(id(), pool.clone(), &[]).unwrap();
            assert_eq!(trust.policy().map(|policy| policy.version), Some(1));
            pool.add(&signed(&second(), &[seed])).unwrap();
        }
        let trust = Trust::judge(id(), pool, &[]).unwrap();
        assert_eq!(trust.policy().map(|policy| policy.version), Some(2), "{copies:?}");
        assert!(trust.misfits().is_empty() && trust.missing().is_empty());
    }
}

#[test]
fn without_version_1_nothing_is_in_force_unless_a_pin_brings_a_version() {
    let mut pool = PolicyPool::default();
    pool.add(&signed(&second(), &[1, 2])).unwrap();
    let error = Trust::judge(id(), pool.clone(), &[]).unwrap_err();
    let pin = PolicyRef { version: 1, digest: id().0 };
    assert_eq!(error, PinError::Missing { pin });
    let second = second().reference().unwrap();
    let trust = Trust::judge(id(), pool, &[Pin { policy: second, bytes: None }]).unwrap();
    assert_eq!((trust.pinned(), trust.is_known(&pin)), (second, true));
}

#[test]
fn in_a_fork_only_what_all_branches_say_is_accepted_and_what_one_says_is_held() {
    let (snapshot, other) = (sha256(b"snapshot"), sha256(b"other"));
    let a = Policy { accepted: vec![snapshot], held: vec![snapshot], ..second() };
    let b = Policy {
        accepted: {
            let mut both = vec![snapshot, other];
            both.sort_unstable();
            both
        },
        ..second()
    };
    let mut pool = PolicyPool::default();
    pool.add(&signed(&first(), &[])).unwrap();
    for branch in [&a, &b] {
        pool.add(&signed(branch, &[1, 2])).unwrap();
    }
    let trust = Trust::judge(id(), pool, &[]).unwrap();
    assert!(trust.is_fork());
    assert_eq!(trust.writes_under().map(|(version, _)| version.version), Some(1));
    assert!(trust.accepts(&snapshot) && !trust.accepts(&other));
    assert!(trust.holds(&snapshot) && !trust.holds(&other));
}

#[test]
fn a_version_is_written_down_without_what_others_signed_or_made_up() {
    let mut copies = Envelope::unsigned(second().payload().unwrap());
    // A policy without valid signatures does not make its custodians trusted.
    let thief = Policy {
        custodians: vec![Custodian { name: "thief".to_owned(), public_key: custodian(9).public().into() }],
        threshold: 1,
        reason: Some("forged".to_owned()),
        ..second()
    };
    [1, 2, 9].iter().for_each(|seed| copies.sign(&custodian(*seed)));
    let made_up =
        (0..100).map(|number| Signature { keyid: custodian(1).public().fingerprint(), bytes: vec![number; 64] });
    copies.pool(made_up);
    let mut pool = PolicyPool::default();
    pool.add(&signed(&first(), &[])).unwrap();
    pool.add(&signed(&thief, &[9])).unwrap();
    pool.add_read(second().reference().unwrap(), second(), copies);
    let trust = Trust::judge(id(), pool, &[]).unwrap();
    let version = second().reference().unwrap();
    assert_eq!(trust.policy(), Some(&second()));
    let good = trust.good_envelope(&version).unwrap();
    assert_eq!(good.encode(Holds::Policy).unwrap(), signed(&second(), &[1, 2]));
}

#[test]
fn copies_with_made_up_signatures_add_nothing_once_a_good_one_is_there() {
    let key = |seed| custodian(seed).public().fingerprint();
    let version = second().reference().unwrap();
    let made_up = |number: u8| Signature { keyid: key(1 + number % 2), bytes: vec![number; 64] };
    for made_up_first in [false, true] {
        let mut pool = PolicyPool::default();
        pool.add(&signed(&first(), &[])).unwrap();
        let mut copies: Vec<Envelope> = (0..200_u8)
            .map(|number| Envelope {
                payload: second().payload().unwrap(),
                signatures: [made_up(number), made_up(number / 2)].into(),
            })
            .collect();
        let honest = Policy::decode(&signed(&second(), &[1, 2])).unwrap().2;
        copies.insert(if made_up_first { 100 } else { 0 }, honest.clone());
        copies.into_iter().for_each(|copy| pool.add_read(version, second(), copy));
        assert_eq!(pool.envelope(&version), Some(&honest));
        let trust = Trust::judge(id(), pool, &[]).unwrap();
        assert_eq!(trust.policy(), Some(&second()));
    }
}

#[test]
fn what_is_signed_in_the_name_of_others_than_its_own_custodians_is_pooled() {
    // Both custodians of version 1 hand over to another one.
    let handed_over = Policy {
        custodians: vec![Custodian { name: "next".to_owned(), public_key: custodian(3).public().into() }],
        threshold: 1,
        ..second()
    };
    let version = handed_over.reference().unwrap();
    let mut pool = PolicyPool::default();
    pool.add(&signed(&first(), &[])).unwrap();
    for signer in [1, 3, 2] {
        pool.add(&signed(&handed_over, &[signer])).unwrap();
    }
    let trust = Trust::judge(id(), pool, &[]).unwrap();
    assert_eq!(trust.branches().map(|(version, _)| version).collect::<Vec<_>>(), [version]);
}
