//! What is put back of the trust policy in force: versions that the bucket lacks, and `RECOVER.md`; and the new recovery sheet.

use std::path::PathBuf;

use data_encoding::BASE64;
use keyhaven::format::{Policy, names};
use serde_json::{Value, json};

use crate::kit::site::{CUSTODIAN, Site};

const OTHER: &str = "send your recovery key to us\n";

fn recover_md(site: &Site) -> PathBuf {
    site.repository().join("RECOVER.md")
}

fn read(path: &PathBuf) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Takes `RECOVER.md` away, or puts another text in its place.
fn spoil(site: &Site) -> [Box<dyn Fn() + '_>; 2] {
    let path = recover_md(site);
    let other = path.clone();
    [Box::new(move || std::fs::remove_file(&path).unwrap()), Box::new(move || std::fs::write(&other, OTHER).unwrap())]
}

fn put_back(site: &Site, more: &[&str]) -> crate::kit::program::Run {
    site.run(&[&["trust", "put-back", "--json"], more].concat())
}

/// Publishes a proposal that the one custodian has signed.
fn publish(site: &Site, file: &str, more: &[&str]) -> Value {
    let sign = ["trust", "sign", file, "--yes", "--key", "kit/custodian-key.pem", "--json"];
    site.run(&sign).json(0);
    site.run(&[&["trust", "publish", file, "--json"], more].concat()).json(0)
}

/// Keeps to the text that the custodians chose; gives it.
fn with_text_of_its_own(site: &Site) -> &'static str {
    let text = "call the office\n";
    site.machine.write("our.md", text);
    let propose = ["trust", "propose", "--recover-md", "our.md", "--out", "our.json", "--reason", "x", "--json"];
    site.run(&propose).json(0);
    publish(site, "our.json", &[]);
    text
}

#[test]
fn recover_md_of_this_version_comes_back_with_the_next_backup_a_new_version_and_the_command() {
    let site = Site::seeded();
    let (path, text) = (recover_md(&site), read(&recover_md(&site)));
    for spoil in spoil(&site) {
        spoil();
        site.run(&["verify", "--json"]).json(13);
        let backup = site.run(&["backup", "--json"]).json(0);
        assert!(backup["warnings"].to_string().contains("RECOVER.md was missing or not the text"), "{backup:#}");
        assert_eq!(read(&path), text);

        spoil();
        let done = put_back(&site, &[]).json(0);
        assert_eq!((&done["recover_md"], &done["policies"], &done["notes"]), (&true.into(), &json!([]), &json!([])));
        assert_eq!(read(&path), text);
    }
    assert_eq!(put_back(&site, &[]).json(0)["recover_md"], false);
    spoil(&site)[1]();
    site.let_in("host", &["verifier"]);
    assert_eq!(read(&path), text);
    site.run(&["verify", "--json"]).json(0);
    assert_eq!(site.run(&["backup", "--json"]).json(0)["warnings"], json!([]), "nothing to say any more");
}

#[test]
fn a_recover_md_of_the_custodians_comes_back_from_a_copy_and_never_as_another_text() {
    let site = Site::seeded();
    let path = recover_md(&site);
    let text = with_text_of_its_own(&site);
    assert_eq!(read(&path).as_deref(), Some(text));
    let again = ["trust", "propose", "--recover-md", "our.md", "--reason", "x"];
    site.run(&again).fails(2, &["names that RECOVER.md already", "keyhaven trust put-back --recover-md FILE"]);
    site.machine.write("other.md", OTHER);
    for spoil in spoil(&site) {
        spoil();
        let before = read(&path);
        site.run(&["backup", "--json"]).json(0);
        let unknown = put_back(&site, &[]).json(13);
        assert!(unknown["notes"][0].as_str().unwrap().contains("--recover-md FILE"), "{unknown:#}");
        put_back(&site, &["--recover-md", "other.md"]).fails(2, &["is not the RECOVER.md that the trust policy"]);
        put_back(&site, &["--recover-md", "nowhere"]).fails(2, &["cannot read the RECOVER.md nowhere"]);
        assert_eq!(read(&path), before, "the text of this version of keyhaven is not the one that is named");
        // A change of something else says that it is still wrong.
        let add = ["trust", "propose", "--grace", if before.is_some() { "5d" } else { "4d" }, "--json"];
        let changed = site.run(&[&add[..], &CUSTODIAN].concat());
        assert!(changed.err.contains("RECOVER.md is missing or not the text"), "{changed:#?}");
        changed.json(0);
        assert_eq!(put_back(&site, &["--recover-md", "our.md"]).json(0)["recover_md"], true);
        assert_eq!(read(&path).as_deref(), Some(text));
    }
    site.run(&["verify", "--json"]).json(0);
}

#[test]
fn publish_puts_back_versions_that_are_missing_or_lack_signatures() {
    let site = Site::seeded();
    site.let_in("one", &["verifier"]);
    site.let_in("two", &["verifier"]);
    let stored = site.stored("trust");
    let bytes: Vec<Vec<u8>> = stored.iter().map(|path| std::fs::read(path).unwrap()).collect();
    std::fs::remove_file(&stored[0]).unwrap();
    let mut stripped: Value = serde_json::from_slice(&bytes[1]).unwrap();
    stripped["signatures"] = json!([]);
    std::fs::write(&stored[1], stripped.to_string()).unwrap();
    // Rubbish and a version of nobody's are left as they are.
    std::fs::write(site.repository().join("trust/rubbish"), "rubbish").unwrap();
    let grace = ["trust", "propose", "--grace", "5d", "--json"];
    let done = site.run(&[&grace[..], &CUSTODIAN].concat()).json(0);
    let names = |paths: &[PathBuf]| -> Vec<String> {
        paths.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(done["put_back"], json!(names(&stored[..2])));
    let after: Vec<Vec<u8>> = stored.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(after == bytes, "the very bytes come back");
    assert_eq!(site.stored("trust").len(), 5, "version 4 and the rubbish");
    let cold = site.run(&["trust", "show", "--json", "--state-dir", "cold"]).json(0);
    assert_eq!((&cold["policy"], &cold["memory"]["missing"]), (&done["policy"], &json!([])));
}

#[test]
fn a_version_that_only_the_proposal_has_is_put_back_before_the_one_that_follows_it() {
    let site = Site::seeded();
    site.let_in("host", &["verifier"]);
    site.run(&["trust", "propose", "--grace", "5d", "--reason", "x", "--out", "p.json", "--json"]).json(0);
    let second = site.stored("trust").pop().unwrap();
    std::fs::remove_file(&second).unwrap();
    let cold = ["--state-dir", "cold"];
    assert!(site.run(&["trust", "show", "--json", cold[0], cold[1]]).json(0)["policy"] != "", "version 1 is in force");
    let done = publish(&site, "p.json", &cold);
    assert_eq!(done["put_back"], json!([second.file_stem().unwrap().to_str().unwrap()]));
    assert!(second.exists());
    let shown = site.run(&["trust", "show", "--json", "--state-dir", "another"]).json(0);
    assert_eq!((&shown["policy"], &shown["memory"]["missing"]), (&done["policy"], &json!([])));
}

#[test]
fn a_store_that_takes_nothing_back_is_a_note() {
    let site = Site::seeded();
    site.let_in("host", &["verifier"]);
    let second = site.stored("trust").pop().unwrap();
    std::fs::remove_file(&second).unwrap();
    std::fs::create_dir(&second).unwrap();
    let said = "of the trust policy could not be put back";
    let backup = site.run(&["backup", "--json"]).json(0);
    assert!(backup["warnings"].to_string().contains(said), "{backup:#}");
    let refused = put_back(&site, &[]).json(13);
    assert!(refused["notes"][0].as_str().unwrap().contains(said), "{refused:#}");
    let grace = ["trust", "propose", "--grace", "5d", "--json"];
    let published = site.run(&[&grace[..], &CUSTODIAN].concat());
    assert!(published.err.contains(said), "{published:#?}");
    assert_eq!(published.json(0)["put_back"], Value::Null);
}

#[test]
fn a_version_in_force_comes_with_its_pin_and_a_new_recovery_sheet() {
    let site = Site::seeded();
    site.run(&["trust", "propose", "--grace", "5d", "--reason", "x", "--out", "p.json", "--json"]).json(0);
    let done = publish(&site, "p.json", &[]);
    assert_eq!(done["recovery_sheet"], "recovery-sheet-2.txt");
    let pin = done["pin"].as_str().unwrap();
    let (reference, bytes) = pin.split_once(' ').unwrap();
    let (version, ..) = Policy::decode(&BASE64.decode(bytes.as_bytes()).unwrap()).unwrap();
    assert_eq!((&done["policy"], reference), (&json!(version), version.to_string().as_str()));
    assert!(site.repository().join(names::policy(&version)).exists());
    let sheet = site.machine.read("recovery-sheet-2.txt");
    assert!(sheet.contains(&format!("PIN={version}\n")) && sheet.contains(&format!("PIN_BYTES={bytes}")), "{sheet}");

    // Once more: the same sheet is written again, in words and with the pin.
    let again = site.run(&["trust", "publish", "p.json"]);
    let said = format!("New pin:\n  {version}\n");
    assert!(again.code == 0 && again.err.is_empty() && again.out.contains(&said), "{again:#?}");
    assert!(again.out.contains("Print the new recovery sheet, recovery-sheet-2.txt"), "{again:#?}");
    // Never over another file: then the version is in force all the same, and what to do is said.
    site.machine.write("recovery-sheet-3.txt", "mine");
    let longest = ["trust", "propose", "--longest-run", "2h", "--json"];
    let other = site.run(&[&longest[..], &CUSTODIAN].concat());
    assert!(other.err.contains("`keyhaven trust sheet --out FILE` writes it"), "{other:#?}");
    assert_eq!(
        (&other.json(0)["recovery_sheet"], site.machine.read("recovery-sheet-3.txt")),
        (&Value::Null, "mine".into())
    );
    let longest = ["trust", "propose", "--longest-run", "3h", "--json", "--sheet", "sheet.txt", "--out", "unused.json"];
    let named = site.run(&[&longest[..], &CUSTODIAN].concat());
    assert!(named.err.contains("enough have signed: unused.json was not written"), "{named:#?}");
    assert_eq!(named.json(0)["recovery_sheet"], "sheet.txt");
    assert!(site.machine.read("sheet.txt").contains("PIN=000004-"));
}
