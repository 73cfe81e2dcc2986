//! The trust policy: who may sign which entries, and to whom packs are sealed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::envelope::{Envelope, Holds};
use super::statement::{POLICY_TYPE, Statement, Subject, check_critical};
use super::version::FormatVersion;
use super::{EntryRef, FormatError, PolicyRef, RepositoryId, SigningRole, SourceName, canonical, names};
use crate::crypto::KeyInfo;
use crate::crypto::digest::sha256;
use crate::model::{Digest, Timestamp};

const WHAT: &str = "trust policy";
/// Maximum number of custodians in a policy.
pub const CUSTODIANS: usize = 16;

/// The members of a policy that this version knows.
const MEMBERS: [&str; 18] = [
    "accepted",
    "catalogue_recipients",
    "critical",
    "custodians",
    "format",
    "held",
    "keys",
    "lost",
    "previous",
    "reason",
    "recovery_recipients",
    "repository",
    "settings",
    "source",
    "threshold",
    "time",
    "tool",
    "version",
];

/// A version of the trust policy (`docs/format.md`, *Trust policy*). That it was read does not mean that it fits the
/// other versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The version of the format that it was written in.
    pub format: FormatVersion,
    /// Its number, from 1.
    pub version: u64,
    /// The repository; `None` in version 1, whose digest is the repository's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepositoryId>,
    /// The instance that the repository belongs to.
    pub source: SourceName,
    /// All earlier versions; sorted.
    pub previous: Vec<PolicyRef>,
    /// Signers of policy versions; sorted by key.
    pub custodians: Vec<Custodian>,
    /// Number of custodians that must sign.
    pub threshold: u64,
    /// Signers of entries; sorted by key.
    pub keys: Vec<PolicyKey>,
    /// Recipients of packs and catalogues; sorted by recipient.
    pub recovery_recipients: Vec<PolicyRecipient>,
    /// Further recipients of catalogues; sorted by recipient.
    pub catalogue_recipients: Vec<PolicyRecipient>,
    /// Time limits for deletions, and the recovery instructions.
    pub settings: PolicySettings,
    /// Losses that the custodians accept.
    pub lost: AcceptedLosses,
    /// Suspect snapshots that the custodians accept; sorted.
    pub accepted: Vec<Digest>,
    /// Snapshots that no sweep may delete; sorted.
    pub held: Vec<Digest>,
    /// The reason for this version, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Time of the proposal.
    pub time: Timestamp,
    /// The tool that wrote it, with its version.
    pub tool: String,
    /// Members that a reader must understand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<Vec<String>>,
    /// Members of a later minor version, kept for the next version.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// A custodian: signs versions of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Custodian {
    /// Their name, for people.
    pub name: String,
    /// Their key.
    pub public_key: KeyInfo,
}

/// A key that signs entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyKey {
    /// Its name, for people.
    pub name: String,
    /// The key.
    pub public_key: KeyInfo,
    /// Its roles, as words; sorted. An unknown role may sign entries of unknown kinds.
    pub roles: Vec<String>,
    /// The last entries of a key that has ended: what it signed up to these counts. `None` while it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Vec<EntryRef>>,
}

/// A recipient that objects are sealed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecipient {
    /// Their name, for people.
    pub name: String,
    /// The age recipient.
    pub recipient: String,
}

/// Settings for all hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySettings {
    /// Grace period between forget and sweep, in seconds.
    pub grace_seconds: u64,
    /// Longest duration of a run, in seconds; a longer run aborts.
    pub longest_run_seconds: u64,
    /// The digest of `RECOVER.md`.
    pub recover_md: Digest,
}

impl PolicySettings {
    /// Default: six hours.
    pub const LONGEST_RUN_SECONDS: u64 = 21_600;
    /// Default: two days.
    pub const GRACE_SECONDS: u64 = 172_800;

    /// Creates the default settings with the digest of `RECOVER.md`.
    #[must_use]
    pub const fn new(recover_md: Digest) -> Self {
        Self { grace_seconds: Self::GRACE_SECONDS, longest_run_seconds: Self::LONGEST_RUN_SECONDS, recover_md }
    }
}

/// Losses that the custodians have accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedLosses {
    /// Entries; sorted.
    pub entries: Vec<EntryRef>,
    /// Packs; sorted.
    pub packs: Vec<Digest>,
    /// Snapshots whose objects are gone; sorted.
    pub snapshots: Vec<Digest>,
}

impl PolicyKey {
    /// Returns true if it has a role, ended or not.
    #[must_use]
    pub fn has(&self, role: SigningRole) -> bool {
        self.roles.iter().any(|word| word == role.as_str())
    }

    /// Returns true if it may sign entries of a kind while it has not ended. For an unknown kind, any role is enough.
    #[must_use]
    pub fn may_sign(&self, kind: &str) -> bool {
        super::role::rule(kind).is_none_or(|(role, _)| self.has(role))
    }
}

impl Policy {
    /// Creates version 1 without custodians, keys and recipients, which the caller adds; the threshold is 1.
    #[must_use]
    pub fn first(source: SourceName, recover_md: Digest, time: Timestamp, tool: &str) -> Self {
        Self {
            format: FormatVersion::CURRENT,
            version: 1,
            repository: None,
            source,
            previous: Vec::new(),
            custodians: Vec::new(),
            threshold: 1,
            keys: Vec::new(),
            recovery_recipients: Vec::new(),
            catalogue_recipients: Vec::new(),
            settings: PolicySettings::new(recover_md),
            lost: AcceptedLosses::default(),
            accepted: Vec::new(),
            held: Vec::new(),
            reason: None,
            time,
            tool: tool.to_owned(),
            critical: None,
            unknown: BTreeMap::new(),
        }
    }

    /// Creates the next version with the same content; `own` is the reference of this one.
    #[must_use]
    pub fn next(&self, own: PolicyRef, repository: RepositoryId, time: Timestamp, tool: &str) -> Self {
        let mut previous = self.previous.clone();
        previous.push(own);
        Self {
            format: FormatVersion::CURRENT,
            version: own.version.saturating_add(1),
            repository: Some(repository),
            previous,
            reason: None,
            time,
            tool: tool.to_owned(),
            critical: None,
            ..self.clone()
        }
    }

    /// Returns its name in documents.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn reference(&self) -> Result<PolicyRef, FormatError> {
        Ok(PolicyRef { version: self.version, digest: sha256(&self.payload()?) })
    }

    /// Returns the payload that custodians sign, with sorted lists.
    ///
    /// # Errors
    /// When a member is outside the bounds of the format.
    pub fn payload(&self) -> Result<Vec<u8>, FormatError> {
        let mut policy = self.clone();
        policy.sort();
        let subject = vec![Subject::recover_md(policy.settings.recover_md)];
        let payload = canonical::encode(WHAT, &Statement::new(POLICY_TYPE, subject, &policy))?;
        // Read it like every reader: a policy that cannot be read back is never signed.
        Self::read(&payload)?;
        Ok(payload)
    }

    /// Reads the payload of an envelope, which is canonical.
    ///
    /// # Errors
    /// [`FormatError::Version`] and [`FormatError::Critical`] for a policy that is too new for this version,
    /// [`FormatError::Malformed`] for all other bytes that are not a policy.
    pub fn read(payload: &[u8]) -> Result<Self, FormatError> {
        let statement: Statement<Self> = canonical::read(WHAT, payload)?;
        statement.check_type(WHAT, POLICY_TYPE)?;
        let policy = statement.predicate;
        policy.format.check(WHAT)?;
        check_critical(WHAT, policy.critical.as_deref(), &MEMBERS)?;
        policy.check()?;
        if statement.subject != [Subject::recover_md(policy.settings.recover_md)] {
            return Err(FormatError::malformed(WHAT, "its subject is not its RECOVER.md"));
        }
        Ok(policy)
    }

    /// Reads a stored policy. Returns its reference, the policy, and the envelope, whose signatures are not checked.
    ///
    /// # Errors
    /// As [`Envelope::decode`] and [`Policy::read`].
    pub fn decode(bytes: &[u8]) -> Result<(PolicyRef, Self, Envelope), FormatError> {
        let envelope = Envelope::decode(bytes, Holds::Policy)?;
        let policy = Self::read(&envelope.payload)?;
        Ok((PolicyRef { version: policy.version, digest: envelope.digest() }, policy, envelope))
    }

    /// Returns true if it names this earlier version. Only for a policy that was read, whose lists are sorted.
    #[must_use]
    pub fn names(&self, version: &PolicyRef) -> bool {
        self.previous.binary_search(version).is_ok()
    }

    /// Returns the key with this fingerprint, ended or not.
    #[must_use]
    pub fn key(&self, fingerprint: &Digest) -> Option<&PolicyKey> {
        self.keys.iter().find(|key| key.public_key.fingerprint() == *fingerprint)
    }

    /// Returns the digest with which a snapshot identifies the recipients of its packs: SHA-256 over each recovery
    /// recipient and a line feed, in order.
    #[must_use]
    pub fn recipients_digest(&self) -> Digest {
        let text: String = self.recovery_recipients.iter().map(|one| format!("{}\n", one.recipient)).collect();
        sha256(text.as_bytes())
    }

    /// Returns the number of custodians that signed an envelope, each counted once.
    #[must_use]
    pub fn signatures(&self, envelope: &Envelope) -> u64 {
        let signed = self
            .custodians
            .iter()
            .filter(|custodian| custodian.public_key.ed25519().is_some_and(|key| envelope.is_signed_by(key)));
        signed.count() as u64
    }

    /// Returns true if enough of its custodians signed an envelope.
    #[must_use]
    pub fn is_met_by(&self, envelope: &Envelope) -> bool {
        self.signatures(envelope) >= self.threshold
    }

    /// Sorts every list, as the format requires.
    pub fn sort(&mut self) {
        self.previous.sort_unstable();
        self.custodians.sort_by(|a, b| a.public_key.cmp(&b.public_key));
        self.keys.sort_by(|a, b| a.public_key.cmp(&b.public_key));
        for key in &mut self.keys {
            key.roles.sort_unstable();
            if let Some(until) = &mut key.until {
                until.sort_unstable();
                until.dedup();
            }
        }
        self.recovery_recipients.sort_by(|a, b| a.recipient.cmp(&b.recipient));
        self.catalogue_recipients.sort_by(|a, b| a.recipient.cmp(&b.recipient));
        self.lost.entries.sort_unstable();
        self.lost.entries.dedup();
        for list in [&mut self.lost.packs, &mut self.lost.snapshots, &mut self.accepted, &mut self.held] {
            list.sort_unstable();
            list.dedup();
        }
    }

    fn check(&self) -> Result<(), FormatError> {
        let refuse = |problem: &str| Err(FormatError::malformed(WHAT, problem));
        if !(1..=names::VERSION_LIMIT).contains(&self.version) {
            return refuse("its number is not from 1 to 999,999");
        }
        let first = self.version == 1;
        if first != self.previous.is_empty() || first != self.repository.is_none() {
            return refuse("only version 1 names no earlier version and no repository");
        }
        if self.custodians.is_empty() || self.custodians.len() > CUSTODIANS {
            return refuse("it has no custodian, or more than 16");
        }
        let sorted = rising(&self.previous)
            && rising(self.custodians.iter().map(|custodian| &custodian.public_key))
            && rising(self.keys.iter().map(|key| &key.public_key))
            && self.keys.iter().all(|key| rising(&key.roles) && key.until.as_ref().is_none_or(rising))
            && rising(self.recovery_recipients.iter().map(|one| &one.recipient))
            && rising(self.catalogue_recipients.iter().map(|one| &one.recipient))
            && rising(&self.lost.entries)
            && rising(&self.lost.packs)
            && rising(&self.lost.snapshots)
            && rising(&self.accepted)
            && rising(&self.held);
        if !sorted {
            return refuse("one of its lists is not sorted, or something in it is repeated");
        }
        if self.keys.iter().any(|key| key.roles.is_empty()) {
            return refuse("a key has no role");
        }
        Ok(())
    }
}

/// Returns true if a list is sorted without duplicates.
fn rising<T: PartialOrd>(list: impl IntoIterator<Item = T>) -> bool {
    list.into_iter().is_sorted_by(|a, b| a < b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;

    fn key(seed: u8) -> KeyInfo {
        SigningKey::from_seed(&[seed; 32]).public().into()
    }

    fn policy() -> Policy {
        let source = SourceName { provider: "p".to_owned(), instance: "i".to_owned(), region: None };
        let mut policy = Policy::first(source, sha256(b"text"), Timestamp::from_millis(1_800_000_000_000), "t");
        policy.custodians = [9, 8].map(|seed| Custodian { name: String::new(), public_key: key(seed) }).into();
        let roles = vec!["verifier".to_owned(), "collector".to_owned()];
        policy.keys = vec![PolicyKey { name: "c".to_owned(), public_key: key(1), roles, until: None }];
        policy.recovery_recipients =
            ["age1b", "age1a"].map(|text| PolicyRecipient { name: String::new(), recipient: text.to_owned() }).into();
        policy
    }

    #[test]
    fn a_policy_reads_back_sorted_with_what_is_not_known() {
        let mut written = policy();
        written.unknown.insert("zz_new".to_owned(), serde_json::json!({"a": 1}));
        let read = Policy::read(&written.payload().unwrap()).unwrap();
        assert_eq!(read.keys[0].roles, ["collector", "verifier"]);
        assert_eq!(read.recovery_recipients[0].recipient, "age1a");
        assert_eq!(read.unknown, written.unknown);
        assert_eq!(read.payload().unwrap(), written.payload().unwrap());
        assert_eq!(read.recipients_digest(), sha256(b"age1a\nage1b\n"));
    }

    #[test]
    fn what_is_no_policy_is_refused_by_name() {
        let text = String::from_utf8(policy().payload().unwrap()).unwrap();
        for (name, changed) in [
            ("version 0", text.replace(r#""version":1"#, r#""version":0"#)),
            ("version 2 without a predecessor", text.replace(r#""version":1"#, r#""version":2"#)),
            ("no custodian", text.replace(r#""custodians":["#, r#""custodians":[],"x":["#)),
            ("unsorted", text.replace("age1a", "age1c")),
            ("repeated", text.replace("age1a", "age1b")),
            ("no role", text.replace(r#"["collector","verifier"]"#, "[]")),
            ("another type", text.replace("keyhaven:policy", "keyhaven:entry")),
            ("another subject", text.replace("RECOVER.md", "OTHER.md")),
            ("major 2", text.replace(r#""format":"1.0""#, r#""format":"2.0""#)),
            ("a critical member", text.replace(r#""custodians""#, r#""critical":["new_rule"],"custodians""#)),
        ] {
            assert_ne!(changed, text, "{name} changed nothing");
            assert!(Policy::read(changed.as_bytes()).is_err(), "{name}");
        }
        let known = text.replace(r#""custodians""#, r#""critical":["threshold"],"custodians""#);
        assert!(Policy::read(known.as_bytes()).is_ok(), "a critical member that is known");
    }

    #[test]
    fn a_custodian_counts_once_and_only_with_a_good_signature() {
        let policy = policy();
        let mut envelope = Envelope::unsigned(policy.payload().unwrap());
        envelope.sign(&SigningKey::from_seed(&[9; 32]));
        envelope.sign(&SigningKey::from_seed(&[9; 32]));
        envelope.sign(&SigningKey::from_seed(&[7; 32]));
        assert_eq!(policy.signatures(&envelope), 1);
        envelope.sign(&SigningKey::from_seed(&[8; 32]));
        assert_eq!(policy.signatures(&envelope), 2);
    }
}
