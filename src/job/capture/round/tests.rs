use super::*;
use crate::crypto::digest::sha256;
use crate::job::capture::inventory::ReadOutcome;
use crate::job::capture::reuse::ItemShare;
use crate::model::Restorability;

/// Time at which everything is read.
const READ: i64 = 100_000;
/// Time at which another client changed something.
const OTHER: i64 = 50_000;

fn digest(text: &str) -> Revision {
    sha256(text.as_bytes())
}

/// Returns a secret whose rows, apart from `updated_at`, are `content`.
fn secret(id: &str, content: &str, updated_at: i64) -> Listed {
    let key: ItemKey = format!("secret/{id}").parse().unwrap();
    Listed {
        item: Item {
            key,
            name: id.to_owned(),
            item_type: "kv".to_owned(),
            group: None,
            class: Restorability::Exact.into(),
            revision: None,
            read_at: None,
            payloads: Vec::new(),
            docs: crate::model::Docs::new(),
        },
        revision: digest(&format!("{content} {updated_at}")),
        settled: Some(digest(content)),
        updated_at: Some(Timestamp::from_millis(updated_at)),
        readable: Readable::Payloads,
        withheld: None,
    }
}

fn listing(items: &[Listed], steady: bool) -> CompleteListing {
    CompleteListing {
        instance: None,
        started: Timestamp::from_millis(0),
        ended: Timestamp::from_millis(0),
        steady,
        items: items.len() as u64,
    }
}

/// Returns a base with items stored at these revisions.
fn base(items: &[(&str, Option<Revision>, ReuseDecision)]) -> BaseIndex {
    let mut index = BaseIndex::default();
    for (id, revision, worth) in items {
        index.keys.push(&format!("secret/{id}").parse().unwrap());
        let tally = ItemShare { class: Restorability::Exact.into(), versions: 1, locks: 0 };
        index.known.push(BaseItem {
            revision: revision.as_ref().map(ShortRevision::of),
            worth: *worth,
            part: 0,
            tally,
            packs: (0, 0),
        });
    }
    index
}

/// A run whose listings are supplied one by one.
struct Run {
    base: BaseIndex,
    last: Option<Compared>,
    round: u8,
}

impl Run {
    fn on(base: BaseIndex) -> Self {
        Self { base, last: None, round: 0 }
    }

    fn list(&mut self, items: Vec<Listed>) -> &Compared {
        self.list_as(items, true)
    }

    fn list_as(&mut self, items: Vec<Listed>, steady: bool) -> &Compared {
        let (lost, habit) =
            self.last.as_mut().map(|last| (std::mem::take(&mut last.lost), last.habit)).unwrap_or_default();
        let before = self.last.as_ref().map(|last| &last.inventory);
        let mut comparison = ListingComparison::new(&self.base, before, lost, habit);
        let listing = listing(&items, steady);
        items.into_iter().for_each(|listed| comparison.take(listed));
        self.last = Some(comparison.finish(listing).unwrap());
        self.last.as_ref().unwrap()
    }

    /// Reads the items that have to be read; reads of those in `failing` fail.
    fn read(&mut self, failing: &[usize]) {
        let inventory = &mut self.last.as_mut().unwrap().inventory;
        for at in 0..inventory.seen.len() {
            if inventory.seen[at].task == ItemTask::Read {
                let read = ReadOutcome::Read { payload_at: Some(Timestamp::from_millis(READ)) };
                inventory.note(at, self.round, if failing.contains(&at) { ReadOutcome::Failed } else { read });
            }
        }
        self.round += 1;
    }

    fn tasks(&self) -> Vec<ItemTask> {
        self.last.as_ref().unwrap().inventory.seen.iter().map(|seen| seen.task).collect()
    }
}

#[test]
fn what_the_base_holds_unmoved_is_kept_and_two_equal_listings_are_one_point_in_time() {
    let mut run = Run::on(base(&[
        ("a", Some(digest("x 1")), ReuseDecision::Whole),
        ("b", Some(digest("y 1")), ReuseDecision::Whole),
    ]));
    assert!(!run.list(vec![secret("a", "x", 1), secret("b", "y2", 2)]).equal, "one listing proves nothing");
    assert_eq!(run.tasks(), [ItemTask::Keep, ItemTask::Read]);
    run.read(&[]);
    let compared = run.list(vec![secret("a", "x", 1), secret("b", "y2", 2)]);
    assert!(compared.equal);
    assert_eq!(run.tasks(), [ItemTask::Keep, ItemTask::Done]);
}

#[test]
fn no_earlier_pack_is_kept_that_is_not_whole() {
    let stored = Some(digest("x 1"));
    let mut run = Run::on(base(&[
        ("a", stored, ReuseDecision::Again),
        ("b", stored, ReuseDecision::Broken),
        ("c", None, ReuseDecision::Unbound),
        ("d", stored, ReuseDecision::Whole),
    ]));
    run.list(["a", "b", "c", "d"].map(|id| secret(id, "x", 1)).into());
    assert_eq!(run.tasks(), [ItemTask::Read, ItemTask::Read, ItemTask::Read, ItemTask::Keep]);
}

#[test]
fn an_item_that_moved_while_it_was_read_is_not_bound_and_read_again() {
    let mut run = Run::on(BaseIndex::default());
    run.list(vec![secret("a", "x", 1), secret("b", "y", 1)]);
    run.read(&[]);
    let compared = run.list(vec![secret("a", "x", 1), secret("b", "y2", 2)]);
    assert!(!compared.equal);
    assert_eq!(compared.moved, 1);
    assert_eq!(run.tasks(), [ItemTask::Done, ItemTask::Read]);
    run.read(&[]);
    assert!(run.list(vec![secret("a", "x", 1), secret("b", "y2", 2)]).equal);
    assert_eq!(run.tasks(), [ItemTask::Done, ItemTask::Done]);
}

#[test]
fn an_item_that_moved_back_is_not_bound_by_a_reading_between() {
    // x was listed, y was read, x is listed again: the read of y must not be bound to x.
    let mut run = Run::on(BaseIndex::default());
    run.list(vec![secret("a", "x", 1)]);
    run.read(&[]);
    run.list(vec![secret("a", "y", 2)]);
    run.read(&[]);
    run.list(vec![secret("a", "x", 1)]);
    assert_eq!(run.tasks(), [ItemTask::Read]);
}

#[test]
fn a_failed_reading_binds_nothing_even_if_an_earlier_one_went_well() {
    let mut run = Run::on(BaseIndex::default());
    run.list(vec![secret("a", "x", 1)]);
    run.read(&[]);
    run.list(vec![secret("a", "y", 2)]);
    run.read(&[0]);
    let compared = run.list(vec![secret("a", "y", 2)]);
    assert!(compared.equal, "the lists agree; the payload is another matter");
    assert_eq!(run.tasks(), [ItemTask::Read]);
    assert_eq!(run.last.unwrap().inventory.seen[0].got, Some(0));
}

#[test]
fn items_that_come_go_or_swap_make_listings_unequal() {
    let mut run = Run::on(BaseIndex::default());
    run.list(vec![secret("a", "x", 1), secret("b", "x", 1)]);
    run.read(&[]);
    let compared = run.list(vec![secret("a", "x", 1), secret("c", "x", 1)]);
    assert!(!compared.equal);
    assert_eq!(compared.moved, 2, "one went, one came");
    assert_eq!(compared.lost.keys().map(ItemKey::as_str).collect::<Vec<_>>(), ["secret/b"]);
    run.read(&[]);
    let compared = run.list(vec![secret("a", "x", 1), secret("b", "x", 1), secret("c", "x", 1)]);
    assert!(compared.lost.is_empty(), "it is back");
    assert!(!compared.equal);
    assert_eq!(compared.inventory.seen[1].got, Some(0), "its earlier reading is not forgotten");
    assert_eq!(run.tasks(), [ItemTask::Done, ItemTask::Read, ItemTask::Done]);
}

#[test]
fn what_the_base_had_and_no_listing_shows_is_lost() {
    let mut run = Run::on(base(&[
        ("a", Some(digest("x 1")), ReuseDecision::Whole),
        ("z", Some(digest("x 1")), ReuseDecision::Whole),
    ]));
    let compared = run.list(vec![secret("a", "x", 1)]);
    let lost: Vec<_> = compared.lost.iter().collect();
    assert_eq!(lost, [(&"secret/z".parse().unwrap(), &VanishedItem { base: Some(1), got: None, tried: None })]);
    run.read(&[]);
    assert!(run.list(vec![secret("a", "x", 1)]).equal, "gone before the run began");
}

#[test]
fn a_listing_whose_pages_may_have_shifted_proves_nothing() {
    for (first, second) in [(false, true), (true, false)] {
        let mut run = Run::on(BaseIndex::default());
        run.list_as(vec![secret("a", "x", 1)], first);
        run.read(&[]);
        assert!(!run.list_as(vec![secret("a", "x", 1)], second).equal);
    }
}

#[test]
fn an_instance_that_moves_updated_at_on_reads_is_found_out_and_needs_one_more_listing() {
    let mut run = Run::on(BaseIndex::default());
    run.list(["a", "b", "c"].map(|id| secret(id, "x", 1)).into());
    run.read(&[]);
    let compared = run.list(["a", "b", "c"].map(|id| secret(id, "x", READ)).into());
    assert!(compared.habit.moves);
    assert!(!compared.equal, "somebody else may have moved it too; only the next listing can tell");
    assert_eq!(run.tasks(), [ItemTask::Done; 3]);
    run.read(&[]);
    assert!(run.list(["a", "b", "c"].map(|id| secret(id, "x", READ)).into()).equal);
}

#[test]
fn one_read_that_left_updated_at_alone_refutes_the_habit() {
    let mut run = Run::on(BaseIndex::default());
    run.list(["a", "b", "c", "d"].map(|id| secret(id, "x", 1)).into());
    run.read(&[]);
    let mut items: Vec<_> = ["a", "b", "c"].map(|id| secret(id, "x", READ)).into();
    items.push(secret("d", "x", 1));
    assert!(!run.list(items).habit.moves);
    assert_eq!(run.tasks(), [ItemTask::Read, ItemTask::Read, ItemTask::Read, ItemTask::Done]);
}

#[test]
fn a_single_touched_item_is_read_again_before_it_is_taken_for_the_habit() {
    let mut run = Run::on(BaseIndex::default());
    run.list(vec![secret("a", "x", 1)]);
    run.read(&[]);
    assert!(!run.list(vec![secret("a", "x", READ)]).habit.moves);
    assert_eq!(run.tasks(), [ItemTask::Read]);
    run.read(&[]);
    assert!(run.list(vec![secret("a", "x", READ + 999)]).habit.moves);
    assert_eq!(run.tasks(), [ItemTask::Done]);
}

#[test]
fn a_revision_stored_without_updated_at_is_kept_by_what_it_covers() {
    let mut run = Run::on(base(&[
        ("a", Some(digest("x")), ReuseDecision::Whole),
        ("b", Some(digest("y")), ReuseDecision::Whole),
    ]));
    run.list(vec![secret("a", "x", 700), secret("b", "y2", 700)]);
    assert_eq!(run.tasks(), [ItemTask::Keep, ItemTask::Read]);
    run.read(&[]);
    assert!(run.list(vec![secret("a", "x", 700), secret("b", "y2", READ)]).habit.moves, "the base knew");
}

#[test]
fn a_configuration_is_never_bound_without_its_updated_at() {
    // Its value can change with nothing else in the list.
    let listed = |updated_at| Listed { settled: None, ..secret("a", "x", updated_at) };
    let mut run = Run::on(BaseIndex::default());
    for updated_at in 1..6 {
        run.list(vec![listed(updated_at)]);
        assert_eq!(run.tasks(), [ItemTask::Read]);
        run.read(&[]);
    }
}

#[test]
fn a_change_at_another_time_than_our_reading_is_no_sign_of_the_habit() {
    let mut run = Run::on(BaseIndex::default());
    run.list(["a", "b", "c", "d"].map(|id| secret(id, "x", 1)).into());
    run.read(&[]);
    assert!(!run.list(["a", "b", "c", "d"].map(|id| secret(id, "x", OTHER)).into()).habit.moves);
    assert_eq!(run.tasks(), [ItemTask::Read; 4]);
}

#[test]
fn a_listing_that_starts_over_leaves_no_trace() {
    let mut run =
        Run::on(base(&[("a", Some(digest("x 1")), ReuseDecision::Whole), ("b", None, ReuseDecision::Unbound)]));
    run.list(vec![secret("a", "x", 1), secret("b", "y", 1), secret("c", "z", 1)]);
    run.read(&[]);
    run.list(vec![secret("a", "x", 1), secret("c", "z", 1)]);
    run.read(&[]);
    let last = run.last.as_mut().unwrap();
    let lost = std::mem::take(&mut last.lost);
    let mut comparison = ListingComparison::new(&run.base, Some(&last.inventory), lost, last.habit);
    // The first attempt lists an item that had been lost, skips another, and stops midway.
    comparison.take(secret("b", "y", 1));
    assert!(comparison.restart());
    let items = vec![secret("a", "x", 1), secret("c", "z", 1)];
    let listing = listing(&items, true);
    items.into_iter().for_each(|listed| comparison.take(listed));
    let compared = comparison.finish(listing).unwrap();
    assert!(compared.equal);
    assert_eq!(compared.lost.keys().map(ItemKey::as_str).collect::<Vec<_>>(), ["secret/b"]);
}
