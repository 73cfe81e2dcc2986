//! Checks the recipients of objects as far as possible without a key: recipients named in lists, and their number.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::Lists;
use super::{ProblemKind, VerifyReport};
use crate::format::policy::PolicyRecipient;
use crate::format::{Policy, names};
use crate::job::verify::scope::ChosenSnapshot;
use crate::model::Digest;
use crate::repository::SealedFacts;
use crate::repository::ledger::Ledger;

/// Number of recipients of each object, according to signed data.
#[derive(Debug, Default)]
pub(super) struct Sealing {
    packs: BTreeMap<Digest, BTreeSet<usize>>,
    parts: BTreeMap<Digest, BTreeSet<usize>>,
}

impl Sealing {
    /// Compares the recipients in every list with the policy version that its snapshot names, and records their number.
    pub(super) fn of(
        ledger: &Ledger,
        snapshots: &[ChosenSnapshot<'_>],
        lists: &Lists,
        report: &mut VerifyReport,
    ) -> Self {
        let mut sealing = Self::default();
        for snapshot in snapshots {
            let policy = ledger.trust().get(&snapshot.entry.policy);
            if let Some(policy) = policy {
                let both = texts(&policy.catalogue_recipients).chain(texts(&policy.recovery_recipients));
                let count = both.collect::<BTreeSet<_>>().len();
                for part in &snapshot.event.parts {
                    sealing.parts.entry(part.digest).or_default().insert(count);
                }
            } else {
                let entry = snapshot.entry.name();
                report
                    .warnings
                    .push(format!("{entry}: its policy version is not here, so its recipients are not checked"));
            }
            let is_accepted = ledger.trust().accepts(&snapshot.entry.digest);
            for pack in lists.get(&snapshot.event.list).into_iter().flat_map(|list| &list.packs) {
                sealing.packs.entry(pack.pack).or_default().insert(pack.recipients.len());
                if !is_accepted && policy.is_some_and(|policy| !is_sealed_to(policy, &pack.recipients)) {
                    let why = format!(
                        "according to the list of {}, it is sealed to other recipients than in the policy version \
                         that the entry names",
                        snapshot.entry.name()
                    );
                    report.found(ProblemKind::Disagrees, names::pack(&pack.pack), why);
                }
            }
        }
        sealing
    }

    /// Compares the header of a pack with the signed data.
    pub(super) fn check_pack(&self, pack: &Digest, sealed: SealedFacts, report: &mut VerifyReport) {
        compare(self.packs.get(pack), sealed, names::pack(pack), report);
    }

    /// Compares the header of a catalogue part with the signed data.
    pub(super) fn check_part(&self, part: &Digest, sealed: SealedFacts, report: &mut VerifyReport) {
        compare(self.parts.get(part), sealed, names::catalogue(part), report);
    }
}

fn texts(recipients: &[PolicyRecipient]) -> impl Iterator<Item = &str> {
    recipients.iter().map(|one| one.recipient.as_str())
}

fn is_sealed_to(policy: &Policy, recipients: &[String]) -> bool {
    texts(&policy.recovery_recipients).eq(recipients.iter().map(String::as_str))
}

fn compare(expected: Option<&BTreeSet<usize>>, sealed: SealedFacts, path: String, report: &mut VerifyReport) {
    let Some(expected) = expected else { return };
    match sealed.recipients {
        None => report.found(ProblemKind::Damaged, path, "it has no readable age header"),
        Some(found) => {
            if let Some(said) = expected.iter().find(|said| **said != found) {
                let why = format!("it is sealed to {found} recipients instead of {said}: somebody else may open it");
                report.found(ProblemKind::Damaged, path, why);
            }
        }
    }
}
