//! `keyhaven doctor` and the clock of the store, which a bucket tells with every answer.

use super::rows::{bad, finds, rows};
use crate::kit::folder_bucket::{FolderBucket, Told};
use crate::kit::program::Run;
use crate::kit::site::Site;

fn run(site: &Site, bucket: &FolderBucket, arguments: &[&str]) -> Run {
    let environment = bucket.environment();
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    site.machine.run_with(&environment, arguments)
}

#[test]
fn a_clock_that_is_not_the_stores_is_seen_before_a_night_without_a_backup() {
    let site = Site::seeded();
    let bucket = FolderBucket::start(site.repository());
    let doctor = || run(&site, &bucket, &["doctor", "--json"]);
    let what = "clock and store";
    let table = doctor().json(0);
    assert_eq!(rows(&table, what)[0]["verdict"], "good", "{table:#}");
    assert_eq!(rows(&table, "writing")[0]["verdict"], "good", "{table:#}");
    for ahead in [600, -600] {
        bucket.tells(Told::Ahead(ahead));
        bad(&doctor(), 1, "Repository", what, "apart", "timedatectl set-ntp true");
    }
    // It is what a backup says as well, which signs nothing then.
    let entries = site.stored("ledger");
    run(&site, &bucket, &["backup"]).fails(1, &["more than 5 minutes apart; set the clock"]);
    assert_eq!(site.stored("ledger"), entries);
    for ahead in [150, -150] {
        bucket.tells(Told::Ahead(ahead));
        finds(&doctor(), 0, "Repository", what, "warning", "past 5 min nothing is signed", "timedatectl");
        run(&site, &bucket, &["backup", "--json"]).json(0);
    }
}

#[test]
fn a_store_that_tells_no_time_or_refuses_ours_is_seen() {
    let site = Site::seeded();
    let bucket = FolderBucket::start(site.repository());
    let doctor = || run(&site, &bucket, &["doctor", "--json"]);
    bucket.tells(Told::Nothing);
    finds(&doctor(), 0, "Repository", "clock and store", "warning", "no answer of the store has a date", "timedatectl");
    bucket.tells(Told::Refusal);
    let refused = doctor();
    bad(&refused, 1, "Repository", "repository", "too far from the store's", "timedatectl set-ntp true");
    run(&site, &bucket, &["backup"]).fails(1, &["too far from the store's", "timedatectl set-ntp true"]);
    // A folder has no clock of its own, and nothing to say.
    let table = site.run(&["doctor", "--json"]).json(0);
    assert!(rows(&table, "clock and store").is_empty(), "{table:#}");
}
