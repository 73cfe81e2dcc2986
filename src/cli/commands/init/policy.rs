//! Version 1 of the trust policy, from the recovery files.

use crate::cli::failure::Failure;
use crate::cli::recovery_file::RecoveryFile;
use crate::crypto::{PublicKey, Recipient};
use crate::format::policy::{CUSTODIANS, Custodian, PolicyKey, PolicyRecipient};
use crate::format::{Policy, SigningRole};

/// Refuses more custodians than a policy holds, and a threshold that they cannot meet.
pub(super) fn check_custodians(kit: &RecoveryFile, threshold: Option<u64>) -> Result<(), Failure> {
    let custodians = kit.custodians.len();
    if custodians > CUSTODIANS {
        return Err(Failure::usage(format!(
            "a trust policy has at most {CUSTODIANS} custodians, these are {custodians}"
        )));
    }
    match threshold {
        Some(threshold) if threshold < 1 || threshold > custodians as u64 => Err(Failure::usage(format!(
            "--threshold {threshold}: it is from 1 to the number of custodians, {custodians}"
        ))),
        _ => Ok(()),
    }
}

/// One for one or two custodians, else a majority.
pub(super) fn default_threshold(custodians: usize) -> u64 {
    if custodians <= 2 { 1 } else { custodians as u64 / 2 + 1 }
}

/// The initial trust policy.
pub(super) fn fill(
    policy: &mut Policy,
    collector: &PublicKey,
    kit: &RecoveryFile,
    catalogue: &[Recipient],
    auditors: &[Recipient],
) {
    let numbered =
        |what: &str, at: usize, of: usize| if of == 1 { what.to_owned() } else { format!("{what} {}", at + 1) };
    let key = |name: String, key: &PublicKey, roles: &[SigningRole]| PolicyKey {
        name,
        public_key: (*key).into(),
        roles: roles.iter().map(ToString::to_string).collect(),
        until: None,
    };
    let recipients = |what: &str, list: &[Recipient]| -> Vec<PolicyRecipient> {
        let one = |(at, recipient): (usize, &Recipient)| PolicyRecipient {
            name: numbered(what, at, list.len()),
            recipient: recipient.to_string(),
        };
        list.iter().enumerate().map(one).collect()
    };
    let custodian =
        |(at, key): (usize, &PublicKey)| Custodian { name: format!("custodian {}", at + 1), public_key: (*key).into() };
    policy.custodians = kit.custodians.iter().enumerate().map(custodian).collect();
    policy.keys = vec![key("collector".to_owned(), collector, &[SigningRole::Collector])];
    let roles = [SigningRole::Verifier, SigningRole::Restorer, SigningRole::Reaper];
    let hosts = kit.recovery_hosts.iter().enumerate();
    policy
        .keys
        .extend(hosts.map(|(at, host)| key(numbered("recovery host", at, kit.recovery_hosts.len()), host, &roles)));
    policy.recovery_recipients = recipients("recovery kit", &kit.recipients);
    policy.catalogue_recipients = recipients("collector", catalogue);
    policy.catalogue_recipients.extend(recipients("auditor", auditors));
    policy.catalogue_recipients.dedup_by(|one, other| one.recipient == other.recipient);
    policy.sort();
}

/// Explains the threshold.
pub(super) fn threshold_words(threshold: u64, custodians: usize) -> String {
    match (threshold, custodians) {
        (1, 1) => "one custodian: whoever has that key has the repository; 2 of 3 is recommended".to_owned(),
        (1, several) => format!(
            "any one of {several} custodians changes it: whoever has one of these keys has the repository; 2 of 3 is \
             recommended"
        ),
        (needed, of) => format!("{needed} of {of} custodians must sign a change"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Identities, SigningKey};

    #[test]
    fn the_collector_only_collects_and_a_kit_brings_a_host_that_restores() {
        let public = |seed: u8| SigningKey::from_seed(&[seed; 32]).public();
        let recipient = || Identities::generate().0.recipients().remove(0);
        let kit = RecoveryFile {
            recipients: vec![recipient(), recipient()],
            custodians: vec![public(2), public(3)],
            recovery_hosts: vec![public(4)],
        };
        let mut policy = crate::cli::trust::kit::first_policy();
        fill(&mut policy, &public(1), &kit, &[recipient()], &[recipient()]);
        let roles = |seed: u8| policy.key(&public(seed).fingerprint()).map(|key| key.roles.join(" "));
        assert_eq!(roles(1).as_deref(), Some("collector"));
        assert_eq!(roles(4).as_deref(), Some("reaper restorer verifier"));
        assert_eq!(roles(2), None, "a custodian signs policies only");
        assert_eq!((policy.custodians.len(), policy.recovery_recipients.len()), (2, 2));
        assert_eq!(policy.catalogue_recipients.len(), 2);
        assert!(policy.payload().is_ok());
    }

    #[test]
    fn the_threshold_is_a_majority_beyond_two_and_says_what_it_means() {
        assert_eq!([1, 2, 3, 4, 5].map(default_threshold), [1, 1, 2, 3, 3]);
        assert!(threshold_words(1, 2).contains("any one of 2") && threshold_words(2, 3).contains("2 of 3"));
        let kit =
            RecoveryFile { custodians: vec![SigningKey::from_seed(&[2; 32]).public()], ..RecoveryFile::default() };
        assert!(check_custodians(&kit, Some(1)).is_ok() && check_custodians(&kit, None).is_ok());
        assert!(check_custodians(&kit, Some(2)).is_err() && check_custodians(&kit, Some(0)).is_err());
    }
}
