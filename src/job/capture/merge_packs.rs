//! Limits the number of packs per snapshot by merging small ones.

use crate::model::limits::PACKS_PER_SNAPSHOT;

/// Number of packs merged beyond what is needed, so that not every run has to merge again.
const SLACK: usize = 64;

/// Returns the packs to merge, as indexes into `sizes`: the smallest ones, if a snapshot that keeps them all and adds
/// `new` more would exceed [`PACKS_PER_SNAPSHOT`]. Their items are read again into new packs.
pub(super) fn packs_to_merge(sizes: &[u64], new: usize) -> Vec<usize> {
    let room = PACKS_PER_SNAPSHOT.saturating_sub(new);
    if sizes.len() <= room {
        return Vec::new();
    }
    let mut places: Vec<usize> = (0..sizes.len()).collect();
    places.sort_by_key(|place| (sizes.get(*place).copied(), *place));
    places.truncate(sizes.len().saturating_sub(room.saturating_sub(SLACK)));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_given_up_while_there_is_room() {
        assert!(packs_to_merge(&[1; 248], 8).is_empty());
    }

    #[test]
    fn the_smallest_go_and_some_room_is_left() {
        let sizes: Vec<u64> = (0..250).map(|n| 1_000 - n).collect();
        let gone = packs_to_merge(&sizes, 8);
        assert_eq!(gone.len(), 250 - (256 - 8 - 64));
        assert!(gone.iter().all(|place| *place >= 250 - gone.len()));
    }
}
