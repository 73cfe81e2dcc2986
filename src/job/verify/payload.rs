//! Level `payload`: every pack opens, every MAC is correct, every catalogue pointer finds its line.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};

use super::{Level, ProblemKind, Slice, VerifyError, VerifyKeys, VerifyReport};
use crate::crypto::digest::sha256;
use crate::format::{FormatError, names};
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::job::verify::named::NamedObjects;
use crate::job::verify::scope::{OBJECTS_IN_FLIGHT, go_on};
use crate::model::{Digest, ItemKey, Slot};
use crate::repository::{Repository, RepositoryError};

/// Names of the lines that catalogues point to, by pack.
pub(super) type Pointers = BTreeMap<Digest, BTreeSet<Digest>>;

/// Contents of an opened pack.
#[derive(Debug, Default)]
struct PackContents {
    lines: BTreeSet<Digest>,
    payloads: u64,
}

/// Returns the name of a pack line by item and version, as a digest to save memory.
pub(super) fn line_name(key: &ItemKey, version: &Slot) -> Digest {
    // Neither contains a line feed, so the concatenation is unambiguous.
    sha256(format!("{key}\n{}", version.as_str()).as_bytes())
}

/// Packs to open, with the keys.
pub(super) struct Opening<'a> {
    pub(super) keys: &'a VerifyKeys,
    pub(super) named: NamedObjects<'a>,
    pub(super) slice: Option<Slice>,
}

/// Opens every pack of the slice and checks that every line that a catalogue points to exists.
pub(super) async fn check(
    context: &Context,
    repository: &Repository,
    opening: &Opening<'_>,
    pointers: Pointers,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let Opening { keys, named: NamedObjects { lists, sealing, .. }, slice } = *opening;
    let missing = VerifyError::KeyNeeded { level: Level::Payload, key: "a recovery key" };
    let keys = keys.recovery.as_ref().ok_or(missing)?;
    let known: BTreeSet<_> = report.problems.iter().map(|problem| problem.object.clone()).collect();
    let rows = lists.values().flat_map(|list| &list.packs);
    let listed: BTreeMap<Digest, &[String]> = rows.map(|row| (row.pack, row.recipients.as_slice())).collect();
    let own: BTreeSet<String> = keys.recipients().iter().map(ToString::to_string).collect();
    let packs: Vec<_> = listed
        .keys()
        .copied()
        .filter(|pack| slice.is_none_or(|slice| slice.holds(pack)))
        .filter(|pack| !known.contains(&names::pack(pack)))
        .collect();
    let stage = Stage::CheckPayloads;
    context.observer.observe(JobEvent::Begin { stage, total: Some(packs.len() as u64) });
    let mut opened = stream::iter(packs)
        .map(|pack| async move {
            let add = |line: crate::format::pack::PackLine, held: &mut PackContents| {
                held.lines.insert(line_name(&line.key, &line.version));
                held.payloads += 1;
            };
            (pack, repository.read_pack(&pack, keys, add).await)
        })
        .buffer_unordered(OBJECTS_IN_FLIGHT);
    while let Some((pack, result)) = opened.next().await {
        go_on(&context.cancel)?;
        let result = match result {
            Err(RepositoryError::Locked { path, source }) => {
                let recipients = listed.get(&pack).copied().unwrap_or_default();
                locked(path, &source, recipients, &own, report);
                continue;
            }
            other => other,
        };
        if let Some((held, sealed)) = report.take(result)? {
            sealing.check_pack(&pack, sealed, report);
            report.counts.objects += 1;
            report.counts.bytes += sealed.size;
            report.counts.packs += 1;
            report.counts.payloads += held.payloads;
            compare(&pack, &held, pointers.get(&pack), report);
        }
        context.observer.observe(JobEvent::Advance { stage, by: 1 });
    }
    context.observer.observe(JobEvent::End { stage });
    Ok(())
}

/// Reports a pack that does not open: either it is sealed to others, as its list says, or it contradicts its list.
fn locked(
    path: String,
    source: &FormatError,
    recipients: &[String],
    own: &BTreeSet<String>,
    report: &mut VerifyReport,
) {
    match recipients.iter().any(|recipient| own.contains(recipient)) {
        true => {
            let why = "its list says that it is sealed to this identity, and it does not open with it".to_owned();
            report.found(ProblemKind::Damaged, path, why);
        }
        false => {
            let why = format!("{source}: it is sealed to {}; give one of their identities too", recipients.join(", "));
            report.found(ProblemKind::Locked, path, why);
        }
    }
}

fn compare(pack: &Digest, held: &PackContents, pointed: Option<&BTreeSet<Digest>>, report: &mut VerifyReport) {
    let Some(pointed) = pointed else { return };
    let found = pointed.intersection(&held.lines).count();
    report.counts.pointers += found as u64;
    let lacking = pointed.len() - found;
    if lacking > 0 {
        let why = format!("it lacks {lacking} payload(s) that catalogues say are in it");
        report.found(ProblemKind::Disagrees, names::pack(pack), why);
    }
}
