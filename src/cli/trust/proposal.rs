//! The proposal file: a version of the trust policy on its way to enough signatures, with everything that is needed to
//! judge it on a machine that never sees the bucket.

use std::path::Path;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::words;
use crate::cli::failure::Failure;
use crate::cli::text;
use crate::crypto::SigningKey;
use crate::crypto::digest::sha256;
use crate::format::envelope::Holds;
use crate::format::policy::Custodian;
use crate::format::{Envelope, Policy, PolicyRef, RepositoryId};
use crate::model::FailureKind;
use crate::repository::RepositoryError;
use crate::repository::trust::{Misfit, Pin, PinError, PolicyPool, Trust};

/// The value of `schema`.
const SCHEMA: &str = "keyhaven/policy-proposal/1";

/// A proposed version, the versions before it, and the signatures so far.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Proposal {
    /// The repository that the file says it is for.
    pub(in crate::cli) repository: RepositoryId,
    /// The version.
    pub(in crate::cli) version: PolicyRef,
    /// Its content.
    pub(in crate::cli) policy: Policy,
    /// Its envelope with the signatures so far.
    pub(in crate::cli) envelope: Envelope,
    /// The versions before it.
    chain: PolicyPool,
    /// The new `RECOVER.md`, when it changes.
    pub(in crate::cli) recover_md: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProposalFile {
    schema: String,
    repository: RepositoryId,
    /// The version, for people; what counts is in the envelope.
    version: PolicyRef,
    /// The envelope in Base64.
    envelope: String,
    /// The envelopes of the versions that it names, in Base64.
    predecessors: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recover_md: Option<String>,
}

/// Progress of a proposal.
#[derive(Debug, Clone)]
pub(in crate::cli) struct ProposalState {
    /// The versions that it follows: one, or the branches of a fork that it ends.
    pub(in crate::cli) predecessors: Vec<(PolicyRef, Policy)>,
    /// Required signers.
    pub(in crate::cli) signers: Vec<Signers>,
    /// Earlier versions that it names and that are unknown here.
    pub(in crate::cli) unknown: Vec<PolicyRef>,
}

/// Custodians of one version, some of whom must sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Signers {
    /// The number of the version whose custodians these are.
    pub(in crate::cli) version: u64,
    /// Number of required signatures.
    pub(in crate::cli) needed: u64,
    /// The names of those who have.
    pub(in crate::cli) signed: Vec<String>,
    /// The names of those who have not.
    pub(in crate::cli) missing: Vec<String>,
}

impl Signers {
    fn of(policy: &Policy, envelope: &Envelope) -> Self {
        let signed = |key: &crate::crypto::KeyInfo| key.ed25519().is_some_and(|key| envelope.is_signed_by(key));
        let (yes, no): (Vec<_>, Vec<_>) = policy.custodians.iter().partition(|custodian| signed(&custodian.public_key));
        let names = |custodians: Vec<&Custodian>| {
            let mut names: Vec<String> = custodians.into_iter().map(|custodian| custodian.name.clone()).collect();
            names.sort();
            names
        };
        Self { version: policy.version, needed: policy.threshold.max(1), signed: names(yes), missing: names(no) }
    }

    /// Returns true if enough have signed.
    pub(in crate::cli) fn is_met(&self) -> bool {
        self.signed.len() as u64 >= self.needed
    }

    /// The same as a sentence.
    pub(in crate::cli) fn sentence(&self) -> String {
        let signed =
            if self.signed.is_empty() { "none has".to_owned() } else { format!("signed: {}", self.signed.join(", ")) };
        let of = self.signed.len() + self.missing.len();
        let custodians = if of == 1 { "custodian" } else { "custodians" };
        format!("{} of {of} {custodians} of version {} must sign; {signed}", self.needed, self.version)
    }
}

impl ProposalState {
    /// Returns true if everybody has signed who must.
    pub(in crate::cli) fn is_complete(&self) -> bool {
        self.signers.iter().all(Signers::is_met)
    }

    /// Every difference from each predecessor, in words. A proposal that ends a fork names the branch.
    pub(in crate::cli) fn differences(&self, policy: &Policy) -> Vec<String> {
        let several = self.predecessors.len() > 1;
        let of = |(version, before): &(PolicyRef, Policy)| {
            let branch = if several { format!("after {version}: ") } else { String::new() };
            words::differences(before, policy)
                .into_iter()
                .map(move |words| format!("{branch}{words}"))
                .collect::<Vec<_>>()
        };
        let unknown = self.unknown.iter().map(|version| {
            format!("names {version} as an earlier version, which is not here and would be reported as missing")
        });
        self.predecessors.iter().flat_map(of).chain(unknown).collect()
    }
}

impl Proposal {
    /// An unsigned proposal of a version after what `trust` has.
    ///
    /// # Errors
    /// When the version cannot be written.
    pub(in crate::cli) fn new(trust: &Trust, policy: &Policy, recover_md: Option<String>) -> Result<Self, Failure> {
        let envelope = Envelope::unsigned(policy.payload()?);
        let policy = Policy::read(&envelope.payload)?;
        let mut chain = PolicyPool::default();
        for version in &policy.previous {
            if let (Some(before), Some(envelope)) = (trust.get(version), trust.envelope(version)) {
                chain.add_read(*version, before.clone(), envelope.clone());
            }
        }
        let version = PolicyRef { version: policy.version, digest: envelope.digest() };
        Ok(Self { repository: trust.id(), version, policy, envelope, chain, recover_md })
    }

    /// Reads a proposal file.
    ///
    /// # Errors
    /// Kind 2 when it is none, or is for another repository than it says.
    pub(in crate::cli) fn read(bytes: &[u8], path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let wrong = |problem: String| Failure::usage(format!("{shown} is no proposal of a trust policy: {problem}"));
        let file: ProposalFile = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if file.schema != SCHEMA {
            return Err(wrong(format!("its schema is `{}`, not `{SCHEMA}`", file.schema)));
        }
        let decode = |text: &str| {
            let bytes = BASE64.decode(text.as_bytes()).map_err(|_| wrong("an envelope is no Base64".to_owned()))?;
            Policy::decode(&bytes).map_err(|error| wrong(error.to_string()))
        };
        let (version, policy, envelope) = decode(&file.envelope)?;
        if policy.repository != Some(file.repository) {
            return Err(wrong(format!("the version is not for the repository {}", file.repository)));
        }
        let mut chain = PolicyPool::default();
        for text in &file.predecessors {
            let (version, before, envelope) = decode(text)?;
            chain.add_read(version, before, envelope);
        }
        let recover_md = file.recover_md.filter(|text| sha256(text.as_bytes()) == policy.settings.recover_md);
        Ok(Self { repository: file.repository, version, policy, envelope, chain, recover_md })
    }

    /// The text of the file.
    ///
    /// # Errors
    /// When the format does not allow what is in it.
    pub(in crate::cli) fn to_json(&self) -> Result<String, Failure> {
        let encode = |envelope: &Envelope| Ok::<_, Failure>(BASE64.encode(&envelope.encode(Holds::Policy)?));
        let chain = self.chain.iter().filter_map(|(version, _)| self.chain.envelope(&version));
        let file = ProposalFile {
            schema: SCHEMA.to_owned(),
            repository: self.repository,
            version: self.version,
            envelope: encode(&self.envelope)?,
            predecessors: chain.map(encode).collect::<Result<_, _>>()?,
            recover_md: self.recover_md.clone(),
        };
        let mut text = serde_json::to_string_pretty(&file)
            .map_err(|error| Failure::new(FailureKind::Failed, "cannot write the proposal as JSON").because(error))?;
        text.push('\n');
        Ok(text)
    }

    /// Adds the signatures of another copy.
    ///
    /// # Errors
    /// Kind 2 when that is another proposal.
    pub(in crate::cli) fn pool(&mut self, other: Self) -> Result<(), Failure> {
        if other.version != self.version {
            return Err(Failure::usage(format!("{} and {} are two proposals", self.version, other.version))
                .hinted("give copies of one proposal; their signatures are put together"));
        }
        self.envelope.pool(other.envelope.signatures);
        self.chain.extend(other.chain);
        self.recover_md = self.recover_md.take().or(other.recover_md);
        Ok(())
    }

    /// Adds versions that were found elsewhere.
    pub(in crate::cli) fn know(&mut self, pool: &PolicyPool) {
        self.chain.extend(pool.clone());
    }

    /// The versions that came with it.
    pub(in crate::cli) fn chain(&self) -> &PolicyPool {
        &self.chain
    }

    /// Signs it. Gives the custodian's name, and whether this copy lacked the signature.
    ///
    /// # Errors
    /// Kind 12 when the key is that of no custodian whose signature counts.
    pub(in crate::cli) fn sign(&mut self, judged: &ProposalState, key: &SigningKey) -> Result<(String, bool), Failure> {
        let own = key.public().fingerprint();
        let before = judged.predecessors.iter().flat_map(|(_, policy)| &policy.custodians);
        let custodians: Vec<&Custodian> = self.policy.custodians.iter().chain(before).collect();
        let Some(custodian) = custodians.iter().find(|custodian| custodian.public_key.fingerprint() == own) else {
            let text = format!("{} is no custodian's key of this repository", own.short());
            let mut names: Vec<String> = Vec::new();
            for custodian in &custodians {
                let name = format!("{} ({})", text::safe(&custodian.name), custodian.public_key.fingerprint().short());
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            let names = names.join(", ");
            return Err(Failure::new(FailureKind::Key, text)
                .hinted(format!("custodians are {names}; `keyhaven keys list` shows every key")));
        };
        let name = custodian.name.clone();
        let new = !self.envelope.is_signed_by(&key.public());
        if new {
            self.envelope.sign(key);
        }
        Ok((name, new))
    }

    /// Judges it by the rules but for its own signatures, from the versions in the file and the pins at hand.
    ///
    /// # Errors
    /// Kind 2 when it could not come into force with any signature.
    pub(in crate::cli) fn judge(&self, pins: &[Pin]) -> Result<ProposalState, Failure> {
        let mut pool = self.chain.clone();
        pool.add_read(self.version, self.policy.clone(), self.envelope.clone());
        let trust = Trust::judge(self.repository, pool, pins).map_err(|error| self.unjudged(error))?;
        let misfit = trust.misfits().iter().find(|(version, _)| *version == self.version).map(|(_, why)| why);
        match misfit {
            None | Some(Misfit::Unsigned { .. } | Misfit::UnsignedBefore { .. }) => {}
            Some(why) => {
                return Err(Failure::usage(format!("the proposal could not come into force: {why}"))
                    .hinted("propose it again from the version in force"));
            }
        }
        let fitting = self.policy.previous.iter().filter(|named| trust.fit().contains(named));
        let there: Vec<(PolicyRef, &Policy)> = fitting.filter_map(|named| Some((*named, trust.get(named)?))).collect();
        let last = |version: &PolicyRef| !there.iter().any(|(_, other)| other.previous.contains(version));
        let predecessors: Vec<(PolicyRef, Policy)> = there
            .iter()
            .filter(|(version, _)| last(version))
            .map(|(version, policy)| (*version, (*policy).clone()))
            .collect();
        if predecessors.is_empty() {
            return Err(Failure::usage("the proposal could not come into force: no version before it is known here"));
        }
        let before = predecessors.iter().map(|(_, policy)| Signers::of(policy, &self.envelope));
        let own = Signers::of(&self.policy, &self.envelope);
        let unknown = self.policy.previous.iter().filter(|named| trust.get(named).is_none()).copied().collect();
        Ok(ProposalState { signers: before.chain([own]).collect(), predecessors, unknown })
    }

    /// Why nothing can be said of it: what it is to be measured from is not in the file.
    fn unjudged(&self, error: PinError) -> Failure {
        let first = PolicyRef { version: 1, digest: self.repository.0 };
        match error {
            PinError::Missing { pin } if pin == first => {
                Failure::usage("the proposal file lacks version 1 of the trust policy, which changes are measured from")
                    .hinted(
                        "ask for the file as `keyhaven trust propose` wrote it; or give a later version that you rely on, \
                         with its bytes: --policy FILE",
                    )
            }
            PinError::Missing { pin } => Failure::new(
                FailureKind::Integrity,
                format!("this machine relies on version {pin} of the trust policy, and the proposal file lacks it"),
            )
            .hinted(
                "the proposal may be older, or of another branch: ask who proposed it; if it is not, give that version with \
                 its bytes: --policy FILE",
            ),
            error => RepositoryError::from(error).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::change::{PolicyChange, apply};
    use crate::cli::trust::kit;
    use crate::format::SigningRole;

    fn trust() -> Trust {
        let (version, envelope) = kit::first();
        let mut pool = PolicyPool::default();
        pool.add_read(version, kit::first_policy(), envelope);
        Trust::judge(RepositoryId(version.digest), pool, &[]).unwrap()
    }

    fn proposal(changes: &[PolicyChange]) -> Proposal {
        let mut policy = kit::second();
        apply(&mut policy, changes).unwrap();
        Proposal::new(&trust(), &policy, None).unwrap()
    }

    fn added() -> PolicyChange {
        PolicyChange::AddKey { name: "host".to_owned(), key: kit::key(9).public(), roles: vec![SigningRole::Reaper] }
    }

    fn read(proposal: &Proposal) -> Proposal {
        Proposal::read(proposal.to_json().unwrap().as_bytes(), Path::new("p.json")).unwrap()
    }

    #[test]
    fn two_custodians_sign_two_copies_that_are_put_together() {
        let proposal = proposal(&[added()]);
        let (mut one, mut two) = (read(&proposal), read(&proposal));
        let judged = one.judge(&[]).unwrap();
        assert!(!judged.is_complete());
        assert_eq!(judged.differences(&one.policy).len(), 1);
        one.sign(&judged, &kit::key(1)).unwrap();
        two.sign(&judged, &kit::key(2)).unwrap();
        assert!(!read(&one).judge(&[]).unwrap().is_complete(), "one of two");
        one.pool(read(&two)).unwrap();
        let judged = read(&one).judge(&[]).unwrap();
        assert!(judged.is_complete());
        assert_eq!(judged.signers.first().unwrap().signed, ["custodian 1", "custodian 2"]);
    }

    #[test]
    fn a_stranger_cannot_sign_and_two_proposals_are_not_mixed() {
        let mut one = proposal(&[added()]);
        let judged = one.judge(&[]).unwrap();
        assert_eq!(one.sign(&judged, &kit::key(7)).unwrap_err().kind(), FailureKind::Key);
        assert_eq!(one.pool(proposal(&[PolicyChange::Threshold(1)])).unwrap_err().kind(), FailureKind::Usage);
    }

    #[test]
    fn a_new_custodian_signs_for_the_new_version_only() {
        let key = kit::key(8);
        let mut proposal = proposal(&[PolicyChange::AddCustodian { name: "Dora".to_owned(), key: key.public() }]);
        let judged = proposal.judge(&[]).unwrap();
        proposal.sign(&judged, &key).unwrap();
        proposal.sign(&judged, &kit::key(1)).unwrap();
        let judged = proposal.judge(&[]).unwrap();
        let met: Vec<bool> = judged.signers.iter().map(Signers::is_met).collect();
        assert_eq!(met, [false, true], "version 1 needs two of its own");
    }

    #[test]
    fn a_proposal_of_another_repository_or_beside_the_rules_is_refused() {
        let proposal = proposal(&[added()]);
        let text = proposal.to_json().unwrap();
        let other = text.replace(
            &format!("\"repository\": \"{}\"", proposal.repository),
            &format!("\"repository\": \"{}\"", "a".repeat(64)),
        );
        assert_ne!(other, text);
        assert!(
            Proposal::read(other.as_bytes(), Path::new("p")).unwrap_err().chain()[0].contains("not for the repository")
        );
        let mut removed = kit::second();
        removed.keys.clear();
        let removed = Proposal::new(&trust(), &removed, None).unwrap();
        assert!(removed.judge(&[]).unwrap_err().chain()[0].contains("keys stay"));
        for rubbish in ["", "{}", "[]", &text.replace("policy-proposal/1", "policy-proposal/2")] {
            assert_eq!(Proposal::read(rubbish.as_bytes(), Path::new("p")).unwrap_err().kind(), FailureKind::Usage);
        }
    }

    #[test]
    fn a_version_that_nobody_signed_hides_no_difference() {
        // An unsigned version 2 with a key of the attacker's, and a version 3 that only seems to change nothing.
        let mut forged = kit::second();
        apply(&mut forged, &[added()]).unwrap();
        let forged_envelope = Envelope::unsigned(forged.payload().unwrap());
        let forged_version = forged.reference().unwrap();
        let id = RepositoryId(kit::first().0.digest);
        let third = forged.next(forged_version, id, forged.time, "t");
        let mut pool = trust().pool().clone();
        pool.add_read(forged_version, forged, forged_envelope);
        let seen = Trust::judge(id, pool, &[]).unwrap();
        let proposal = read(&Proposal::new(&seen, &third, None).unwrap());
        let differences = proposal.judge(&[]).unwrap().differences(&proposal.policy);
        assert!(differences.len() == 1 && differences[0].contains("adds the key host"), "{differences:?}");
    }
}
