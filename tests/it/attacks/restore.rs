//! Restores from a repository that was attacked: what arrives is good, or it is named as lost, or nothing is done.

use std::collections::BTreeMap;

use keyhaven::crypto::SigningKey;
use keyhaven::format::{EntryEvent, EntryPlace, names};
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{EmbeddedInstance, Verb};
use serde_json::Value;

use crate::cli::signals::Warm;
use crate::kit::attacked_site::*;
use crate::kit::program::Run;
use crate::kit::site::{CUSTODIAN, Site};

/// The payloads of all arbitrary secrets, by name.
fn payloads(instance: &EmbeddedInstance) -> BTreeMap<String, String> {
    let get = |path: &str| JsonObject::parse(&instance.call(Verb::Get, path, "").body).unwrap();
    let rows = get("/api/v2/secrets?limit=1000").array("secrets").unwrap();
    let rows = rows.iter().map(|row| JsonObject::parse(row.get()).unwrap());
    let arbitrary = rows.filter(|row| row.str("secret_type").as_deref() == Some("arbitrary"));
    let whole = arbitrary.map(|row| get(&format!("/api/v2/secrets/{}", row.str("id").unwrap())));
    whole.map(|secret| (secret.str("name").unwrap(), secret.str("payload").unwrap())).collect()
}

/// A site over secrets of the type arbitrary, two of them changed since the first snapshot: two packs.
fn site() -> Site {
    let site = Site::new(|source| {
        for number in 0..4 {
            let body = format!(r#"{{"secret_type":"arbitrary","name":"secret-{number}","payload":"good {number}"}}"#);
            assert_eq!(source.call(Verb::Post, "/api/v2/secrets", &body).status, 201);
        }
    });
    rotate(&site, "good and new");
    site.run(&["backup", "--json"]).json(0);
    site
}

fn plan(warm: &Warm, more: &[&str]) -> Run {
    warm.run(&[&["restore", "plan", "--out", "plan.json"], more].concat())
}

fn apply(warm: &Warm) -> Run {
    let confirm = warm.standby.options().instance_id.clone();
    warm.run(&["restore", "apply", "plan.json", "--deep", "--confirm", &confirm])
}

#[test]
fn snapshots_of_strangers_and_of_ended_keys_are_never_what_is_restored() {
    let site = site();
    let good = payloads(&site.source);
    // A collector that was let in and whose host was then broken into: its snapshot is whole and of other values.
    site.let_in("thief", &["collector"]);
    rotate(&site, "OWNED");
    let as_thief = [("KEYHAVEN_KEYS_SIGNING_KEY", "file:thief/signing-key.pem")];
    let stolen = site.machine.run_with(&as_thief, &["backup", "--json"]).json(0);
    let warm = Warm::new(site);
    let site = &warm.site;
    assert_eq!(plan(&warm, &[]).json(15)["snapshot"]["sequence"], stolen["sequence"], "until its key is ended");
    site.run(&[&["keys", "revoke", "thief", "--json"][..], &CUSTODIAN].concat()).json(0);
    // The plan that was made before is bound to a snapshot that counts no more.
    let refused = apply(&warm);
    assert!(refused.code != 0 && refused.err.contains("no snapshot matches"), "{refused:#?}");
    assert_eq!(warm.secrets().len(), 0);
    // The same body by a stranger and by keys without the role, above everything.
    let (_, ledger) = site.ledger();
    let digest = stolen["snapshot"].as_str().unwrap();
    let entry = ledger.entries().iter().find(|entry| entry.digest.to_string() == digest).unwrap().clone();
    let body = || EntryEvent::Snapshot(Box::new(entry.snapshot().unwrap().clone()));
    let recovery = site.key("kit/recovery-signing-key.pem");
    for key in [&SigningKey::from_seed(&[9; 32]), &site.key("kit/custodian-key.pem"), &recovery] {
        site.forge(key, &site.place(), body());
    }
    site.forge(&site.key("thief/signing-key.pem"), &site.place(), body());

    let made = plan(&warm, &[]).json(15);
    assert_eq!(made["snapshot"]["sequence"], 2, "{:#}", made["snapshot"]);
    apply(&warm).json(0);
    assert_eq!(payloads(&warm.standby), good);
    // Nor by name.
    for name in [digest, &stolen["sequence"].to_string()] {
        let refused = plan(&warm, &["--snapshot", name]);
        assert!(refused.code != 0 && refused.code != 15, "{name}: {refused:#?}");
    }
}

#[test]
fn where_it_cannot_be_said_which_is_the_latest_nothing_is_planned() {
    let site = site();
    let event = site.ledger().1.latest_good().unwrap().event.clone();
    let never_was = keyhaven::format::PolicyRef { version: 9, digest: keyhaven::crypto::digest::sha256(b"never was") };
    let place = EntryPlace { policy: never_was, ..site.place() };
    let pending = site.forge(&site.key("signing-key.pem"), &place, event);
    let warm = Warm::new(site);
    let refused = plan(&warm, &[]);
    refused.fails(13, &["there is no latest snapshot", &pending.reference().to_string(), "--policy"]);
    assert_eq!(plan(&warm, &["--snapshot", "2"]).json(15)["snapshot"]["sequence"], 2);
    apply(&warm).json(0);
    assert_eq!(payloads(&warm.standby), payloads(&warm.site.source));
}

/// The packs of the newest snapshot with the number of secrets whose current values are in each: that of most, and that of
/// the one which changed since.
fn packs(site: &Site) -> [(std::path::PathBuf, usize); 2] {
    let (_, opened) = site.newest_snapshot();
    let mut packs: BTreeMap<_, usize> = BTreeMap::new();
    for item in opened.items.values().filter(|item| item.key.to_string().starts_with("secret/")) {
        *packs.entry(item.payloads[0].pack).or_default() += 1;
    }
    let mut packs: Vec<_> =
        packs.into_iter().map(|(pack, count)| (site.repository().join(names::pack(&pack)), count)).collect();
    packs.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    packs.try_into().unwrap()
}

fn reasons(report: &Value, list: &str) -> Vec<String> {
    report[list].as_array().unwrap().iter().map(|remark| remark["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn of_packs_that_were_swapped_nothing_is_restored_and_each_item_is_named() {
    let site = site();
    let good = payloads(&site.source);
    let [(most, _), (changed, _)] = packs(&site);
    let (whole, other) = (std::fs::read(&changed).unwrap(), std::fs::read(&most).unwrap());
    // Good bytes of this repository under another pack's name.
    std::fs::write(&changed, other).unwrap();
    let warm = Warm::new(site);
    plan(&warm, &[]).json(15);
    let done = apply(&warm).json(3);
    let named: Vec<&Value> = ["failed", "losses"].iter().flat_map(|list| done[list].as_array().unwrap()).collect();
    let pack = changed.file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
    assert!(!named.is_empty() && named.iter().all(|one| one["reason"].as_str().unwrap().contains(pack)), "{done:#}");
    let there = payloads(&warm.standby);
    assert!(there.len() >= 3, "what lies in other packs is there: {there:#?}");
    for (name, payload) in there {
        assert!(good[&name] == payload || named.iter().any(|one| one["name"] == name), "{name}: {payload}");
        assert!(payload.starts_with("good"), "{name}: {payload}");
    }
    warm.site.run(&["verify", "--level", "objects", "--json"]).json(13);
    // Brought back, a new plan does the rest.
    std::fs::write(&changed, whole).unwrap();
    plan(&warm, &[]).json(15);
    apply(&warm).json(0);
    assert_eq!(payloads(&warm.standby), good);
}

/// 15. A plan over nothing.
#[test]
fn a_plan_promises_nothing_whose_pack_is_gone_or_cut_short() {
    let site = site();
    let good = payloads(&site.source);
    let [(most, count), (changed, _)] = packs(&site);
    let [whole, short] = [&most, &changed].map(|path| std::fs::read(path).unwrap());
    std::fs::write(&changed, &short[..short.len() / 2]).unwrap();
    let warm = Warm::new(site);
    let made = plan(&warm, &[]).json(15);
    let lost = reasons(&made, "losses");
    let said = format!("bytes instead of {}", short.len());
    assert!(lost.len() == 1 && lost[0].contains(&said) && lost[0].contains("--snapshot"), "{lost:#?}");
    assert_eq!(made["totals"]["actions"]["create_secret"], count, "{:#}", made["totals"]);
    std::fs::remove_file(&most).unwrap();
    let made = plan(&warm, &[]).json(3);
    let lost = reasons(&made, "losses");
    assert!(lost.len() == count + 1 && lost.iter().all(|why| why.contains("cannot be used")), "{lost:#?}");
    assert_eq!(made["steps"], serde_json::json!([]), "it promises nothing");
    let done = apply(&warm).json(3);
    assert_eq!((warm.secrets().len(), reasons(&done, "losses")), (0, lost));
    std::fs::write(&most, whole).unwrap();
    std::fs::write(&changed, short).unwrap();
    assert_eq!(plan(&warm, &[]).json(15)["losses"], serde_json::json!([]));
    apply(&warm).json(0);
    assert_eq!(payloads(&warm.standby), good);
}
