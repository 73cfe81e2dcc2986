//! Level `payload`: every pack opens, every MAC is right, every pointer of a catalogue finds its line.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};

use super::objects::Lists;
use super::{Keys, Level, OBJECTS_IN_FLIGHT, ProblemKind, Report, Slice, VerifyError, go_on};
use crate::crypto::digest::sha256;
use crate::format::names;
use crate::job::Context;
use crate::job::event::{Event, Stage};
use crate::model::{Digest, ItemKey, Slot};
use crate::repository::Repository;

/// The names of the lines that catalogues point at, by pack.
pub(super) type Pointers = BTreeMap<Digest, BTreeSet<Digest>>;

/// What a pack was found to hold.
#[derive(Debug, Default)]
struct Held {
    lines: BTreeSet<Digest>,
    payloads: u64,
}

/// A line of a pack by item and version, short enough to keep one of each in memory.
pub(super) fn line_name(key: &ItemKey, version: &Slot) -> Digest {
    // Neither can hold a line feed, so no two pairs are written alike.
    sha256(format!("{key}\n{}", version.as_str()).as_bytes())
}

/// Opens every pack of the slice and looks for every line that a catalogue points at.
pub(super) async fn check(
    context: &Context,
    repository: &Repository,
    keys: &Keys,
    lists: &Lists,
    pointers: Pointers,
    slice: Option<Slice>,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let missing = VerifyError::KeyNeeded { level: Level::Payload, key: "a recovery key" };
    let keys = keys.recovery.as_ref().ok_or(missing)?;
    let known: BTreeSet<_> = report.problems.iter().map(|problem| problem.object.clone()).collect();
    let listed: BTreeSet<_> = lists.values().flat_map(|list| &list.packs).map(|pack| pack.pack).collect();
    let packs: Vec<_> = listed
        .into_iter()
        .filter(|pack| slice.is_none_or(|slice| slice.holds(pack)))
        .filter(|pack| !known.contains(&names::pack(pack)))
        .collect();
    let stage = Stage::CheckPayloads;
    context.observer.observe(Event::Begin { stage, total: Some(packs.len() as u64) });
    let mut opened = stream::iter(packs)
        .map(|pack| async move {
            let add = |line: crate::format::pack::PackLine, held: &mut Held| {
                held.lines.insert(line_name(&line.key, &line.version));
                held.payloads += 1;
            };
            (pack, repository.read_pack(&pack, keys, add).await)
        })
        .buffer_unordered(OBJECTS_IN_FLIGHT);
    while let Some((pack, result)) = opened.next().await {
        go_on(&context.cancel)?;
        if let Some((held, bytes)) = report.take(result)? {
            report.counts.objects += 1;
            report.counts.bytes += bytes;
            report.counts.packs += 1;
            report.counts.payloads += held.payloads;
            compare(&pack, &held, pointers.get(&pack), report);
        }
        context.observer.observe(Event::Advance { stage, by: 1 });
    }
    context.observer.observe(Event::End { stage });
    Ok(())
}

fn compare(pack: &Digest, held: &Held, pointed: Option<&BTreeSet<Digest>>, report: &mut Report) {
    let Some(pointed) = pointed else { return };
    let found = pointed.intersection(&held.lines).count();
    report.counts.pointers += found as u64;
    let lacking = pointed.len() - found;
    if lacking > 0 {
        let why = format!("it lacks {lacking} payload(s) that catalogues say are in it");
        report.found(ProblemKind::Disagrees, names::pack(pack), why);
    }
}
