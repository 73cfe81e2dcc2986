//! Attacks that show one reader another repository than the next: documents that parsers read differently, and the printed
//! instructions (`RECOVER.md`) beside the program.

use std::process::{Command, Stdio};

use keyhaven::format::envelope::{Envelope, Holds};
use keyhaven::format::{Entry, names};
use keyhaven::provider::embedded::Verb;
use serde_json::Value;

use super::by_command::Forged;
use crate::kit::attacked_site::*;
use crate::kit::ledger::*;
use crate::kit::site::Site;

/// The payload of an entry that is not in any ledger, as text.
fn payload(book: &Book, three: &Entry) -> String {
    let (_, bytes) = book.entry(COLLECTOR, &[three]).sign(snapshot("four"));
    String::from_utf8(Envelope::decode(&bytes, Holds::Entry).unwrap().payload).unwrap()
}

/// 10. Deep nesting, invalid UTF-8 and other spellings, rightly signed: nobody takes such an entry, so all readers agree.
#[test]
fn what_parsers_read_differently_is_an_entry_for_no_reader() {
    let (book, [.., three]) = Book::with_three_snapshots();
    let text = payload(&book, &three);
    let tail = "\"tool\":\"test\"";
    assert!(text.contains(tail) && text.contains("\"1.0\""));
    let with = |member: &[u8]| {
        let text = text.replacen("\"1.0\"", "\"1.1\"", 1);
        let at = text.find(tail).unwrap() + tail.len();
        let (before, after) = text.as_bytes().split_at(at);
        [before, b",\"x\":", member, after].concat()
    };
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    // What is right but for the member stands: only the member makes the others none.
    let fits = signed_payload(4, with(b"1"), COLLECTOR);
    let mut good = book.clone();
    good.add_file(fits);
    assert_eq!(Forged::new(&good).snapshots(), [4, 3, 2, 1]);
    let strange: [(&str, Vec<u8>); 8] = [
        ("nested 5,000 deep", with(&nested(5_000))),
        ("nested 40 deep", with(&nested(40))),
        ("invalid UTF-8", with(b"\"\xff\"")),
        ("half of a pair", with(br#""\ud800""#)),
        ("400 digits", with(&[b'1'; 400])),
        ("a fraction", with(b"1.0")),
        ("a name twice", with(b"1,\"x\":1")),
        ("a byte order mark", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
    ];
    for (what, payload) in strange {
        let mut book = book.clone();
        let file = signed_payload(4, payload, COLLECTOR);
        let name = file.0.clone();
        book.add_file(file);
        let forged = Forged::new(&book);
        let checked = forged.verified(0);
        let heads: Vec<&str> = checked["heads"].as_array().unwrap().iter().map(|head| head.as_str().unwrap()).collect();
        assert_eq!((heads, forged.snapshots()), (vec![&*three.digest.to_string()], vec![3, 2, 1]), "{what}");
        assert!(checked["warnings"].to_string().contains(&name), "{what}: {checked:#}");
    }
}

/// The shell blocks of the instructions.
fn blocks(page: &str) -> String {
    let blocks = page.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    blocks.collect::<Vec<_>>().join("\n")
}

/// What `payloads` prints, by the instructions that lie in the repository: key, version, whether it is current, payload.
fn recovered(site: &Site) -> Vec<(String, bool, String)> {
    let page = site.machine.read("repo/RECOVER.md");
    let script = format!("{}\necho '=== payloads ==='\npayloads\n", blocks(&page));
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut command = Command::new("dash");
    command.arg("-eu").current_dir(site.repository()).env("MEMORY", memory.path());
    command.env("REPOSITORY", site.ledger().0.id().to_string());
    command.env("IDENTITY", site.machine.path("kit/recovery-identity.txt"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let lines = said.split("=== payloads ===\n").nth(1).unwrap().lines();
    let read = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    read.map(|line| (text(&line["key"]), line["current"] == true, text(&line["payload"]))).collect()
}

/// 5. What the instructions print ends with the value that is current, and brings nothing back that was deleted.
#[test]
#[ignore = "needs age, zstd, jq and dash: tests/run"]
fn by_the_printed_instructions_the_newest_value_comes_last_and_what_was_deleted_stays_away() {
    let site = Site::new(|source| {
        for name in 1..=8 {
            let body = format!(r#"{{"secret_type":"arbitrary","name":"secret-{name}","payload":"first {name}"}}"#);
            assert_eq!(source.call(Verb::Post, "/api/v2/secrets", &body).status, 201);
        }
    });
    let (_, opened) = site.newest_snapshot();
    let secrets: Vec<String> = opened.items.keys().filter(|key| key.starts_with("secret/")).cloned().collect();
    let mut rotated = String::new();
    for number in 1..=2 {
        rotated = rotate(&site, &format!("rotated {number}"));
        site.run(&["backup", "--json"]).json(0);
    }
    let deleted = secrets.iter().find(|key| **key != rotated).unwrap().clone();
    let id = deleted.strip_prefix("secret/").unwrap();
    assert!(site.source.call(Verb::Delete, &format!("/api/v2/secrets/{id}"), "").status < 300);
    site.run(&["backup", "--json"]).json(0);

    let found = recovered(&site);
    let of = |key: &str| found.iter().filter(|line| line.0 == key).cloned().collect::<Vec<_>>();
    assert_eq!(of(&deleted), []);
    let values = of(&rotated);
    let (last, before) = values.split_last().unwrap();
    assert!(last.1 && last.2.contains("rotated 2"), "{values:#?}");
    assert!(before.iter().all(|line| !line.1 && !line.2.contains("rotated 2")), "{values:#?}");

    // The text can be replaced by the custodians, and the one before is then no longer the one that the policy names.
    let page = site.machine.read("repo/RECOVER.md");
    site.machine.write("next.md", &format!("{page}\nCall the office first.\n"));
    let replace = ["trust", "propose", "--recover-md", "next.md", "--json"];
    site.run(&[&replace[..], &crate::kit::site::CUSTODIAN].concat()).json(0);
    assert!(site.machine.read("repo/RECOVER.md").ends_with("Call the office first.\n"));
    assert_eq!(recovered(&site), found);
    site.machine.write("repo/RECOVER.md", &page);
    let checked = site.run(&["verify", "--level", "objects", "--json"]).json(13);
    assert!(problems(&checked).contains(names::RECOVER_MD), "{checked:#}");
}
