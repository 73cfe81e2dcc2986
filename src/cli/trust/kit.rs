//! Policies for tests.

use crate::crypto::digest::sha256;
use crate::crypto::{Identities, SigningKey};
use crate::format::policy::{Custodian, PolicyKey, PolicyRecipient};
use crate::format::{Envelope, Policy, PolicyRef, RepositoryId, SourceName};
use crate::model::Timestamp;

/// A key that is the same each time.
pub(in crate::cli) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// Version 1: custodians with the keys 1, 2 and 3, two of whom must sign; the collector's key 4.
pub(in crate::cli) fn first_policy() -> Policy {
    let source = SourceName { provider: "p".to_owned(), instance: "i".to_owned(), region: None };
    let mut policy = Policy::first(source, sha256(b"RECOVER.md"), Timestamp::from_millis(1_800_000_000_000), "t");
    policy.custodians = (1..=3)
        .map(|seed| Custodian { name: format!("custodian {seed}"), public_key: key(seed).public().into() })
        .collect();
    policy.threshold = 2;
    policy.keys = vec![PolicyKey {
        name: "collector".to_owned(),
        public_key: key(4).public().into(),
        roles: vec!["collector".to_owned()],
        until: None,
    }];
    policy.recovery_recipients = vec![PolicyRecipient { name: "kit 1".to_owned(), recipient: "age1a".to_owned() }];
    policy.sort();
    policy
}

/// The same with its reference, in an envelope.
pub(in crate::cli) fn first() -> (PolicyRef, Envelope) {
    let policy = first_policy();
    (policy.reference().unwrap(), Envelope::unsigned(policy.payload().unwrap()))
}

/// A next version without a change.
pub(in crate::cli) fn second() -> Policy {
    let (version, _) = first();
    first_policy().next(version, RepositoryId(version.digest), Timestamp::from_millis(1_800_000_001_000), "t")
}

/// A recipient that can be parsed.
pub(in crate::cli) fn recipient() -> crate::crypto::Recipient {
    Identities::generate().0.recipients().remove(0)
}
