//! What comes out of a bucket drives no terminal, and a date that nobody can believe is said where dates are shown.

use keyhaven::crypto::digest::sha256;
use keyhaven::format::EntryEvent;
use keyhaven::format::event::{SnapshotsEvent, VerificationEvent};
use keyhaven::model::Timestamp;

use crate::kit::site::Site;

/// C1 controls and overrides of the direction: canonical form lets them into an entry.
const WILD: &str = "the \u{9b}2J audit \u{202e}gnirts \u{2067}";

fn is_tame(text: &str) -> bool {
    !text.chars().any(|c| matches!(c, '\u{9b}' | '\u{202e}' | '\u{2067}'))
}

#[test]
fn a_reason_out_of_the_bucket_is_escaped_in_text_and_in_json() {
    let site = Site::seeded();
    site.let_in("reaper", &["reaper"]);
    let snapshot = site.ledger().1.latest_good().unwrap().digest;
    let hold = SnapshotsEvent { snapshots: vec![snapshot], reason: WILD.to_owned() };
    site.sign("reaper/signing-key.pem", EntryEvent::Hold(hold));
    for arguments in
        [&["snapshots"][..], &["status"], &["forget", "--keep-last", "1"], &["verify", "--level", "ledger"]]
    {
        for json in [&[][..], &["--json"]] {
            let run = site.run(&[arguments, json].concat());
            assert!(is_tame(&run.out) && is_tame(&run.err), "{arguments:?}: {:?} {:?}", run.out, run.err);
        }
    }
    let listed = site.listed(&[]);
    assert!(listed.iter().any(|line| line.to_string().contains(WILD)), "it means the same: {listed:#?}");
}

#[test]
fn a_verification_from_the_year_9999_is_noted_where_its_date_would_count() {
    let site = Site::seeded();
    site.let_in("verifier", &["verifier"]);
    let event = VerificationEvent {
        level: "payload".to_owned(),
        slice: None,
        passed: true,
        problems: 0,
        entries: vec![sha256(b"head")],
        counts: None,
    };
    let far = Timestamp::from_millis(253_370_764_800_000);
    let entry =
        site.forge_at(far, &site.key("verifier/signing-key.pem"), &site.place(), EntryEvent::Verification(event));
    let noted = |text: &str| text.contains(&entry.name()) && text.contains("mistimed");
    for arguments in [&["status", "--json"][..], &["doctor", "--json"]] {
        let run = site.run(arguments);
        assert!(noted(&run.out), "{arguments:?}: {}", run.out);
    }
    let verified = site.run(&["verify", "--level", "ledger", "--json"]).json(0);
    assert!(noted(&verified["warnings"].to_string()), "{verified:#}");
}
