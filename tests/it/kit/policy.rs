//! Trust policies of real keys, for tests that work with whole repositories.

use std::collections::BTreeMap;

use keyhaven::crypto::digest::sha256;
use keyhaven::crypto::{Identities, SigningKey};
use keyhaven::format::envelope::{Envelope, Holds};
use keyhaven::format::policy::{AcceptedLosses, Custodian, PolicyKey, PolicyRecipient, PolicySettings};
use keyhaven::format::version::FormatVersion;
use keyhaven::format::{EntryRef, Policy, PolicyRef, RepositoryId, SigningRole, SourceName};
use keyhaven::model::{Digest, Timestamp};
use keyhaven::repository::{Repository, Store, recover_md};

/// Whose keys a policy names, and for what.
pub(crate) struct Named<'a> {
    pub(crate) custodians: &'a [&'a SigningKey],
    pub(crate) keys: &'a [(&'a SigningKey, &'a [SigningRole])],
    pub(crate) recovery: &'a Identities,
    pub(crate) catalogue: &'a Identities,
}

/// A key with its roles, as a policy lists it.
pub(crate) fn policy_key(name: &str, key: &SigningKey, roles: &[SigningRole]) -> PolicyKey {
    let mut roles: Vec<String> = roles.iter().map(|role| role.as_str().to_owned()).collect();
    roles.sort_unstable();
    PolicyKey { name: name.to_owned(), public_key: key.public().into(), roles, until: None }
}

/// Recipients as a policy lists them.
pub(crate) fn recipients(identities: &Identities) -> Vec<PolicyRecipient> {
    let named = |recipient: keyhaven::crypto::Recipient| PolicyRecipient {
        name: "test".to_owned(),
        recipient: recipient.as_str().to_owned(),
    };
    identities.recipients().into_iter().map(named).collect()
}

/// Version 1 of a policy. All custodians must sign the next one.
pub(crate) fn policy(source: SourceName, named: &Named<'_>, time: Timestamp, tool: &str) -> Policy {
    let custodians = named
        .custodians
        .iter()
        .enumerate()
        .map(|(number, key)| Custodian { name: format!("custodian {}", number + 1), public_key: key.public().into() });
    let settings = PolicySettings::new(sha256(&recover_md(&source)));
    let mut policy = Policy {
        format: FormatVersion::CURRENT,
        version: 1,
        repository: None,
        source,
        previous: Vec::new(),
        custodians: custodians.collect(),
        threshold: named.custodians.len() as u64,
        keys: named.keys.iter().map(|(key, roles)| policy_key(&words(roles), key, roles)).collect(),
        recovery_recipients: recipients(named.recovery),
        catalogue_recipients: recipients(named.catalogue),
        settings,
        lost: AcceptedLosses::default(),
        accepted: Vec::new(),
        held: Vec::new(),
        reason: None,
        time,
        tool: tool.to_owned(),
        critical: None,
        unknown: BTreeMap::new(),
    };
    policy.sort();
    policy
}

fn words(roles: &[SigningRole]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" and ")
}

/// Makes a repository with this version 1; gives its id.
pub(crate) async fn init(store: Store, policy: &Policy) -> RepositoryId {
    Repository::init(store, recover_md(&policy.source), policy).await.unwrap().id
}

/// Publishes a version upon the one in force, signed by these custodians.
pub(crate) async fn change(
    repository: &Repository,
    custodians: &[&SigningKey],
    change: impl FnOnce(&mut Policy),
) -> PolicyRef {
    let ledger = repository.read_ledger().await.unwrap();
    let (version, in_force) = ledger.trust().writes_under().unwrap();
    let mut next = in_force.clone();
    next.previous.push(version);
    next.version += 1;
    next.repository = Some(*repository.id());
    change(&mut next);
    next.sort();
    let mut envelope = Envelope::unsigned(next.payload().unwrap());
    custodians.iter().for_each(|key| envelope.sign(key));
    repository.publish(&ledger, &envelope).await.unwrap()
}

/// A version with the signatures of these keys, to put wherever.
pub(crate) fn signed(policy: &Policy, signers: &[&SigningKey]) -> (PolicyRef, Vec<u8>) {
    let mut envelope = Envelope::unsigned(policy.payload().unwrap());
    signers.iter().for_each(|key| envelope.sign(key));
    let version = PolicyRef { version: policy.version, digest: envelope.digest() };
    (version, envelope.encode(Holds::Policy).unwrap())
}

/// Ends a key in a policy under construction: what it signed counts up to these entries.
pub(crate) fn end(policy: &mut Policy, key: &SigningKey, until: &[EntryRef]) {
    let fingerprint = key.public().fingerprint();
    let key = policy.keys.iter_mut().find(|key| key.public_key.fingerprint() == fingerprint).unwrap();
    key.until = Some(until.to_vec());
}

/// The digest of recipients, as a snapshot states it.
pub(crate) fn recipients_digest(identities: &Identities) -> Digest {
    let mut listed: Vec<String> = recipients(identities).into_iter().map(|one| one.recipient).collect();
    listed.sort_unstable();
    sha256(listed.iter().map(|one| format!("{one}\n")).collect::<String>().as_bytes())
}
