//! Splits the new catalogue into lines by origin, and finds the base parts that it can reuse.
//!
//! Pure: decides from the indexes alone, so that an unchanged part is neither fetched nor sealed again.

use std::collections::{BTreeMap, BTreeSet};

use super::CaptureError;
use super::inventory::{ItemTask, ListedInventory, ListedItem, ShortRevision};
use super::reuse::{BaseIndex, ReuseDecision};
use super::round::VanishedItem;
use crate::model::ItemKey;

/// Origin of a line of the new catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineOrigin {
    /// The base line, unchanged.
    Base {
        /// Index in the base.
        at: u32,
    },
    /// The base line with a different document supplied by the operator.
    Supplied {
        /// Index in the base.
        at: u32,
    },
    /// The base line without its revision, merged with the newer rows of a round, if any.
    Older {
        /// Index in the base.
        at: u32,
        /// Round of the rows.
        rows: Option<u8>,
    },
    /// An item read in this run.
    Read {
        /// Round of the read.
        round: u8,
        /// True if its revision was listed both before and after.
        bound: bool,
        /// Round of its newest rows, if it changed after that read and could not be read again.
        rows: Option<u8>,
    },
    /// The list rows of a round, without payloads.
    Rows {
        /// Round of the rows.
        round: u8,
    },
}

/// A section of the new catalogue between two cuts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// The same lines as these consecutive parts of the base.
    Same(Vec<u32>),
    /// Lines of one new part, or of several if there are many.
    New(Vec<(ItemKey, LineOrigin)>),
}

/// Returns the items of the new catalogue in key order, each with its origin.
///
/// `still_there` are items that the last listing lacks but that exist when requested; `gone` are listed items that have
/// been deleted since.
pub(super) fn origins<'a>(
    inventory: &'a ListedInventory,
    base: &'a BaseIndex,
    still_there: &'a BTreeMap<ItemKey, VanishedItem>,
    gone: &'a BTreeSet<ItemKey>,
) -> impl Iterator<Item = Result<(ItemKey, LineOrigin), CaptureError>> + 'a {
    let mut others = still_there.iter().peekable();
    let mut listed = inventory.seen.iter().enumerate().peekable();
    std::iter::from_fn(move || {
        loop {
            let key = listed.peek().and_then(|(at, _)| inventory.keys.key(*at));
            let other = others.next_if(|(other, _)| key.as_ref().is_none_or(|key| *other < key));
            if let Some((other, lost)) = other {
                return Some(origin_of_lost(other, *lost).map(|origin| (other.clone(), origin)));
            }
            let (_, seen) = listed.next()?;
            match key {
                Some(key) if gone.contains(&key) => {}
                Some(key) => {
                    let origin = origin(&key, seen, base).map(|origin| match origin {
                        LineOrigin::Base { at } if inventory.supplied.mark(seen.supplied) != supplied(base, at) => {
                            LineOrigin::Supplied { at }
                        }
                        other => other,
                    });
                    return Some(origin.map(|origin| (key, origin)));
                }
                None => return Some(Err(nothing_known("an item"))),
            }
        }
    })
}

/// Returns the digest of the document that the operator supplied for an item of the base.
fn supplied(base: &BaseIndex, at: u32) -> Option<ShortRevision> {
    base.supplied.get(&usize::try_from(at).ok()?).copied()
}

fn origin(key: &ItemKey, seen: &ListedItem, base: &BaseIndex) -> Result<LineOrigin, CaptureError> {
    let known = seen.base.and_then(|at| Some((at, base.known.get(at as usize)?)));
    match (seen.task, seen.got, known, seen.tried) {
        (ItemTask::Keep, _, Some((at, _)), _) => Ok(LineOrigin::Base { at }),
        (ItemTask::Done, Some(round), ..) => Ok(LineOrigin::Read { round, bound: true, rows: None }),
        (_, Some(round), _, tried) => Ok(unbound(round, tried)),
        // Re-reading it only to replace its pack failed: the base line is still correct.
        (_, None, Some((at, known)), _)
            if matches!(known.worth, ReuseDecision::Whole | ReuseDecision::Again)
                && known.revision.is_some()
                && (known.revision == Some(seen.revision) || known.revision == seen.settled) =>
        {
            Ok(LineOrigin::Base { at })
        }
        (_, None, Some((at, known)), rows) if known.worth != ReuseDecision::Broken => {
            Ok(LineOrigin::Older { at, rows })
        }
        (_, None, _, Some(round)) => Ok(LineOrigin::Rows { round }),
        (_, None, _, None) => Err(nothing_known(key.as_str())),
    }
}

fn origin_of_lost(key: &ItemKey, lost: VanishedItem) -> Result<LineOrigin, CaptureError> {
    match lost {
        VanishedItem { got: Some(round), tried, .. } => Ok(unbound(round, tried)),
        VanishedItem { base: Some(at), tried: rows, .. } => Ok(LineOrigin::Older { at, rows }),
        VanishedItem { tried: Some(round), .. } => Ok(LineOrigin::Rows { round }),
        _ => Err(nothing_known(key.as_str())),
    }
}

/// Returns the origin of an item that was read in `round` and may have changed since; `tried` is the round of the
/// newest attempt.
fn unbound(round: u8, tried: Option<u8>) -> LineOrigin {
    LineOrigin::Read { round, bound: false, rows: tried.filter(|tried| *tried != round) }
}

fn nothing_known(what: &str) -> CaptureError {
    CaptureError::Internal { what: format!("nothing is known of {what} although it was listed") }
}

/// Groups lines into segments.
#[derive(Debug)]
pub(super) struct Segments<'a> {
    base: &'a BaseIndex,
    part_items: &'a [u64],
    open: Vec<(ItemKey, LineOrigin)>,
}

impl<'a> Segments<'a> {
    /// Starts a catalogue on a base whose parts hold `part_items` items each.
    pub(super) fn new(base: &'a BaseIndex, part_items: &'a [u64]) -> Self {
        Self { base, part_items, open: Vec::new() }
    }

    /// Adds the next line. If `cut` is true, returns the segment that ends before it.
    pub(super) fn push(&mut self, key: ItemKey, origin: LineOrigin, cut: bool) -> Option<Segment> {
        let done = if cut { self.finish() } else { None };
        self.open.push((key, origin));
        done
    }

    /// Ends the catalogue.
    pub(super) fn finish(&mut self) -> Option<Segment> {
        let lines = std::mem::take(&mut self.open);
        match self.same(&lines) {
            _ if lines.is_empty() => None,
            Some(parts) => Some(Segment::Same(parts)),
            None => Some(Segment::New(lines)),
        }
    }

    /// Returns the parts of the base that hold exactly these lines.
    fn same(&self, lines: &[(ItemKey, LineOrigin)]) -> Option<Vec<u32>> {
        let mut parts: Vec<u32> = Vec::new();
        for (_, origin) in lines {
            let LineOrigin::Base { at } = origin else { return None };
            let part = self.base.known.get(*at as usize)?.part;
            if parts.last() != Some(&part) {
                parts.push(part);
            }
        }
        let held: u64 = parts.iter().map(|part| self.part_items.get(*part as usize).copied().unwrap_or(0)).sum();
        (u64::try_from(lines.len()).ok()? == held).then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest::sha256;
    use crate::job::capture::keys::KeyTable;
    use crate::job::capture::reuse::{BaseItem, ItemShare};
    use crate::job::capture::supply::Supplied;
    use crate::model::{Restorability, Timestamp};
    use crate::provider::CompleteListing;

    /// Returns a base of secrets 0 to 5 in parts of two.
    fn base() -> BaseIndex {
        let mut base = BaseIndex::default();
        for n in 0..6 {
            base.keys.push(&key(n));
            let tally = ItemShare { class: Restorability::Exact.into(), versions: 1, locks: 0 };
            let revision = Some(ShortRevision::of(&sha256(b"x")));
            base.known.push(BaseItem { revision, worth: ReuseDecision::Whole, part: n / 2, tally, packs: (0, 0) });
        }
        base
    }

    fn key(n: u32) -> ItemKey {
        format!("secret/{n}").parse().unwrap()
    }

    fn run(lines: &[(u32, LineOrigin)], cuts: &[u32]) -> Vec<Segment> {
        let base = base();
        let mut segments = Segments::new(&base, &[2, 2, 2]);
        let mut done: Vec<_> =
            lines.iter().filter_map(|(n, origin)| segments.push(key(*n), *origin, cuts.contains(n))).collect();
        done.extend(segments.finish());
        done
    }

    const fn kept(n: u32) -> (u32, LineOrigin) {
        (n, LineOrigin::Base { at: n })
    }

    const READ: LineOrigin = LineOrigin::Read { round: 0, bound: true, rows: None };

    #[test]
    fn only_the_part_with_a_change_is_made_anew() {
        let lines = [kept(0), kept(1), kept(2), (3, READ), kept(4), kept(5)];
        let made = run(&lines, &[2, 4]);
        let new = Segment::New(vec![(key(2), LineOrigin::Base { at: 2 }), (key(3), READ)]);
        assert_eq!(made, [Segment::Same(vec![0]), new, Segment::Same(vec![2])]);
    }

    #[test]
    fn a_part_that_lost_a_line_is_not_the_same() {
        assert_eq!(
            run(&[kept(0), kept(2), kept(3)], &[2])[0],
            Segment::New(vec![(key(0), LineOrigin::Base { at: 0 })])
        );
    }

    #[test]
    fn a_part_that_would_run_on_into_the_next_is_not_the_same() {
        // The item whose key made the cut is gone.
        let made = run(&[kept(0), kept(1), kept(3), kept(4), kept(5)], &[4]);
        assert!(matches!(&made[0], Segment::New(lines) if lines.len() == 3));
        assert_eq!(made[1], Segment::Same(vec![2]));
    }

    #[test]
    fn parts_that_were_cut_because_they_were_full_are_named_one_after_the_other() {
        assert_eq!(run(&[kept(0), kept(1), kept(2), kept(3)], &[]), [Segment::Same(vec![0, 1])]);
    }

    /// Returns a listed item with a task and its state in the run.
    fn seen(n: u32, task: ItemTask, got: Option<u8>, tried: Option<u8>) -> ListedItem {
        let revision = ShortRevision::of(&sha256(b"x"));
        ListedItem {
            revision,
            settled: None,
            task,
            got,
            tried,
            payload_at: None,
            base: Some(n),
            supplied: None,
            secret: true,
        }
    }

    fn inventory(items: &[(u32, ListedItem)]) -> ListedInventory {
        let mut keys = KeyTable::default();
        items.iter().for_each(|(n, _)| keys.push(&key(*n)));
        let at = Timestamp::from_millis(0);
        let listing = CompleteListing { instance: None, started: at, ended: at, steady: true, items: 0 };
        let seen = items.iter().map(|(_, seen)| *seen).collect();
        ListedInventory { keys, seen, listing, newest_change: None, supplied: Supplied::default() }
    }

    #[test]
    fn what_answered_by_id_stands_in_its_place_and_what_is_gone_in_none() {
        let base = base();
        let listed = inventory(&[
            (1, seen(1, ItemTask::Keep, None, None)),
            (3, seen(3, ItemTask::Read, Some(2), Some(5))),
            (4, seen(4, ItemTask::Read, None, Some(5))),
        ]);
        let lost = |got, base, tried| VanishedItem { base, got, tried };
        let there = BTreeMap::from([
            (key(0), lost(None, Some(0), None)),
            (key(2), lost(Some(1), Some(2), Some(1))),
            (key(9), lost(None, None, Some(3))),
        ]);
        let gone = BTreeSet::from([key(4)]);
        let made: Vec<_> = origins(&listed, &base, &there, &gone).map(Result::unwrap).collect();
        let expected = [
            (key(0), LineOrigin::Older { at: 0, rows: None }),
            (key(1), LineOrigin::Base { at: 1 }),
            (key(2), LineOrigin::Read { round: 1, bound: false, rows: None }),
            (key(3), LineOrigin::Read { round: 2, bound: false, rows: Some(5) }),
            (key(9), LineOrigin::Rows { round: 3 }),
        ];
        assert_eq!(made, expected);
    }

    #[test]
    fn a_failed_reading_falls_back_only_on_what_is_still_there() {
        for (worth, revision, expected) in [
            (ReuseDecision::Again, "x", LineOrigin::Base { at: 0 }),
            (ReuseDecision::Whole, "older", LineOrigin::Older { at: 0, rows: Some(0) }),
            (ReuseDecision::Unbound, "x", LineOrigin::Older { at: 0, rows: Some(0) }),
            (ReuseDecision::Broken, "x", LineOrigin::Rows { round: 0 }),
        ] {
            let mut base = base();
            let stored = (worth != ReuseDecision::Unbound).then(|| ShortRevision::of(&sha256(revision.as_bytes())));
            (base.known[0].worth, base.known[0].revision) = (worth, stored);
            let listed = inventory(&[(0, seen(0, ItemTask::Read, None, Some(0)))]);
            let (nothing, none) = (BTreeMap::new(), BTreeSet::new());
            let made: Vec<_> = origins(&listed, &base, &nothing, &none).map(Result::unwrap).collect();
            assert_eq!(made, [(key(0), expected)], "{worth:?}");
        }
    }
}
