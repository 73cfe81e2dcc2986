//! The trust policy from the command line: proposals that custodians sign elsewhere, and what they change.

use data_encoding::BASE64;
use keyhaven::format::envelope::{Envelope, Holds};
use keyhaven::format::{Policy, PolicyRef, names};
use serde_json::{Value, json};

use crate::kit::files::files;
use crate::kit::program::{Machine, Run};
use crate::kit::site::{CUSTODIAN, Site};

/// A site whose two custodians have machines of their own, without access to the repository; both must sign.
struct Shared {
    site: Site,
    first: Machine,
    bob: Machine,
}

impl Shared {
    fn new() -> Self {
        let (site, first, bob) = (Site::seeded(), Machine::new(), Machine::new());
        bob.run(&["keys", "new", "--out", "kit", "--no-passphrase", "--json"]).json(0);
        carry(&bob, "kit/public.txt", &site.machine, "bob.txt");
        carry(&bob, "kit/custodian-key.pem", &bob, "custodian-key.pem");
        let add = ["keys", "add", "--public", "bob.txt", "--role", "custodian", "--name", "Bob", "--json"];
        site.run(&[&add[..], &CUSTODIAN].concat()).json(0);
        carry(&site.machine, "kit/custodian-key.pem", &first, "custodian-key.pem");
        std::fs::remove_file(site.machine.path("kit/custodian-key.pem")).unwrap();
        let shared = Self { site, first, bob };
        let proposed = propose(&shared.site, &["trust", "propose", "--threshold", "2"], "threshold.json");
        let (version, words) = (&proposed["signers"][1], "changes how many custodians must sign from 1 to 2, of 2");
        assert_eq!((&version["needed"], &proposed["differences"]), (&2.into(), &json!([words])));
        shared.signed_by_both("threshold.json");
        publish(&shared.site, &["threshold.json"]).json(0);
        shared
    }

    /// One after the other signs the file.
    fn signed_by_both(&self, file: &str) {
        for machine in [&self.first, &self.bob] {
            carry(&self.site.machine, file, machine, file);
            sign(machine, file, &[]).json(0);
            carry(machine, file, &self.site.machine, file);
        }
    }
}

/// Copies a file from one machine to another, as on a memory stick.
pub(crate) fn carry(from: &Machine, name: &str, to: &Machine, other: &str) {
    std::fs::copy(from.path(name), to.path(other)).unwrap();
}

/// A change without a custodian's key, which must end as a proposal in this file.
pub(crate) fn propose(site: &Site, command: &[&str], out: &str) -> Value {
    let proposed = site.run(&[command, &["--reason", "the reason", "--out", out, "--json"]].concat()).json(0);
    assert_eq!((&proposed["published"], &proposed["proposal"]), (&false.into(), &out.into()), "{proposed:#}");
    assert_eq!((&proposed["pin"], &proposed["schema"]), (&Value::Null, &"keyhaven/policy-change/1".into()));
    proposed
}

/// A proposal that adds a new host's key.
fn propose_host(site: &Site, name: &str, out: &str) -> Value {
    site.run(&["keys", "host", "--out", name, "--json"]).json(0);
    let public = format!("{name}/signing-key.public.pem");
    propose(site, &["keys", "add", "--public", &public, "--role", "verifier", "--name", name], out)
}

fn sign(machine: &Machine, file: &str, more: &[&str]) -> Run {
    machine.run(&[&["trust", "sign", file, "--key", "custodian-key.pem", "--yes", "--json"], more].concat())
}

pub(crate) fn publish(site: &Site, copies: &[&str]) -> Run {
    site.run(&[&["trust", "publish", "--json"], copies].concat())
}

fn key_names(site: &Site) -> Vec<String> {
    let listed = site.run(&["keys", "list", "--json"]).json(0);
    listed.as_array().unwrap().iter().map(|line| line["name"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn id_of(site: &Site) -> String {
    site.ledger().0.id().to_string()
}

/// Makes a repository of the source of `site` on another machine.
fn init(site: &Site, machine: &Machine, more: &[&str]) -> Run {
    let config: toml::Value = toml::from_str(&site.machine.read("keyhaven.toml")).unwrap();
    let text = |name: &str| config["source"][name].as_str().unwrap();
    let init = ["init", "--json", "--api-key-file", "api-key", "--repository", "repo", "--state-dir", "state"];
    machine.run(&[&init[..], &["--source-url", text("url"), "--iam-url", text("iam_url")], more].concat())
}

/// A second repository of the same source, on a host of its own, with its id.
pub(crate) fn second_repository(site: &Site) -> (Machine, String) {
    let machine = Machine::new();
    carry(&site.machine, "kit/public.txt", &machine, "public.txt");
    carry(&site.machine, "api-key", &machine, "api-key");
    let made = init(site, &machine, &["--recovery", "public.txt"]).json(0);
    (machine, made["repository_id"].as_str().unwrap().to_owned())
}

#[test]
fn custodians_sign_copies_of_a_proposal_without_access_to_the_repository() {
    let Shared { site, first, bob } = Shared::new();
    let proposed = propose_host(&site, "host", "proposal.json");
    for machine in [&first, &bob] {
        carry(&site.machine, "proposal.json", machine, "proposal.json");
    }
    let signed = sign(&first, "proposal.json", &[]);
    for text in ["adds the key host (", "may sign as verifier", "reason: the reason", "compare this id"] {
        assert!(signed.err.contains(text), "`{text}` is not shown: {signed:#?}");
    }
    assert!(signed.err.contains(&id_of(&site)), "{signed:#?}");
    let signed = signed.json(0);
    assert_eq!((&signed["complete"], &signed["differences"]), (&false.into(), &proposed["differences"]));
    carry(&first, "proposal.json", &site.machine, "from-first.json");
    let stored = site.stored("trust");
    let too_few = "2 of 2 custodians of version 3 must sign; signed: custodian 1";
    publish(&site, &["from-first.json"]).fails(2, &["too few have signed", too_few]);
    // The same custodian twice is one custodian.
    publish(&site, &["from-first.json", "from-first.json"]).fails(2, &[too_few]);
    assert_eq!(site.stored("trust"), stored);

    assert_eq!(sign(&bob, "proposal.json", &[]).json(0)["complete"], false, "of this copy");
    carry(&bob, "proposal.json", &site.machine, "from-bob.json");
    let published = publish(&site, &["from-first.json", "from-bob.json"]).json(0);
    assert_eq!((&published["published"], &published["policy"]), (&true.into(), &proposed["policy"]));
    assert_eq!(published["signers"][0]["signed"], json!(["Bob", "custodian 1"]));
    assert!(published["pin"].as_str().unwrap().starts_with("000004-"), "{published:#}");
    assert_eq!(site.stored("trust").len(), 4);
    assert!(key_names(&site).contains(&"host".to_owned()));
}

#[test]
fn custodians_sign_one_file_in_turn_and_only_when_they_say_so() {
    let Shared { site, first, bob } = Shared::new();
    propose(&site, &["trust", "propose", "--grace", "5d"], "proposal.json");
    carry(&site.machine, "proposal.json", &first, "proposal.json");
    let before = first.read("proposal.json");
    let unasked = ["trust", "sign", "proposal.json", "--key", "custodian-key.pem"];
    first.run(&unasked).fails(2, &["from 2 d to 5 d", "no terminal to ask on"]);
    sign(&first, "proposal.json", &["--out", "signed.json"]).json(0);
    assert_eq!(first.read("proposal.json"), before);
    carry(&first, "signed.json", &bob, "signed.json");
    // A key that is no custodian's signs nothing.
    let stranger = ["trust", "sign", "signed.json", "--yes", "--key", "kit/recovery-signing-key.pem"];
    bob.run(&stranger).fails(12, &["no custodian's key"]);
    let id = id_of(&site);
    let done = sign(&bob, "signed.json", &["--repository-id", &id]);
    assert!(!done.err.contains("compare this id"), "the id is known: {done:#?}");
    assert_eq!(done.json(0)["complete"], true);
    carry(&bob, "signed.json", &site.machine, "signed.json");
    assert_eq!(publish(&site, &["signed.json"]).json(0)["published"], true);
    let shown = site.run(&["trust", "show", "--json"]).json(0);
    assert_eq!(shown["content"]["settings"]["grace_seconds"], 5 * 86_400);
    let states = shown["versions"].as_array().unwrap().iter().map(|version| version["state"].as_str().unwrap());
    assert_eq!(states.collect::<Vec<_>>(), ["earlier", "earlier", "earlier", "in_force"]);
}

#[test]
fn one_custodian_alone_changes_nothing_when_two_must_sign() {
    let Shared { site, first, .. } = Shared::new();
    carry(&first, "custodian-key.pem", &site.machine, "kit/custodian-key.pem");
    let stored = site.stored("trust");
    let key = ["--key", "kit/custodian-key.pem"];
    let lowered = propose(&site, &[&["trust", "propose", "--threshold", "1"], &key[..]].concat(), "lower.json");
    let needed: Vec<_> =
        lowered["signers"].as_array().unwrap().iter().map(|of| (&of["version"], &of["needed"])).collect();
    assert_eq!(needed, [(&3.into(), &2.into()), (&4.into(), &1.into())], "those of now must agree");
    publish(&site, &["lower.json"]).fails(2, &["2 of 2 custodians of version 3 must sign"]);
    let both = ["trust", "propose", "--remove-custodian", "Bob", "--threshold", "1"];
    propose(&site, &[&both[..], &key].concat(), "remove.json");
    publish(&site, &["remove.json"]).fails(2, &["2 of 2 custodians of version 3 must sign"]);
    // Signatures of another proposal do not count for this one.
    publish(&site, &["lower.json", "remove.json"]).fails(2, &["are two proposals"]);
    let reason = ["--reason", "x"];
    site.run(&[&["keys", "retire", "Bob"], &key[..], &reason].concat()).fails(2, &["its threshold 2"]);
    assert_eq!(site.stored("trust"), stored);
}

#[test]
fn a_proposal_for_another_repository_is_refused() {
    let site = Site::seeded();
    let (other, other_id) = second_repository(&site);
    let id = id_of(&site);
    propose_host(&site, "host", "proposal.json");
    carry(&site.machine, "kit/custodian-key.pem", &other, "custodian-key.pem");
    carry(&site.machine, "proposal.json", &other, "proposal.json");
    let stored = files(&other.path("repo"));
    sign(&other, "proposal.json", &[]).fails(2, &[&id, &format!("not for {other_id}")]);
    sign(&other, "proposal.json", &["--repository-id", &id]).json(0);
    let publish = |file: &str| other.run(&["trust", "publish", file]);
    publish("proposal.json").fails(2, &[&format!("for the repository {id}, this one is {other_id}")]);
    // Nor does another name on it help.
    other.write("renamed.json", &other.read("proposal.json").replace(&id, &other_id));
    publish("renamed.json").fails(2, &["the version is not for the repository"]);
    assert_eq!(files(&other.path("repo")), stored);
}

#[test]
fn a_version_that_skips_a_number_or_follows_a_foreign_one_is_refused() {
    let site = Site::seeded();
    let (repository, ledger) = site.ledger();
    let (first_version, first) = ledger.trust().writes_under().unwrap();
    let encoded = |envelope: &Envelope| BASE64.encode(&envelope.encode(Holds::Policy).unwrap());
    let custodian = site.key("kit/custodian-key.pem");
    let forge = |policy: &Policy, before: &[&Envelope]| {
        let mut envelope = Envelope::unsigned(policy.payload().unwrap());
        envelope.sign(&custodian);
        let version = PolicyRef { version: policy.version, digest: envelope.digest() };
        let text = json!({
            "schema": "keyhaven/policy-proposal/1", "repository": repository.id(), "version": version,
            "envelope": encoded(&envelope), "predecessors": before.iter().map(|one| encoded(one)).collect::<Vec<_>>(),
        });
        site.machine.write("forged.json", &text.to_string());
    };
    let stored = site.stored("trust");
    let refused = |why: &str| {
        let key = "kit/custodian-key.pem";
        site.run(&["trust", "sign", "forged.json", "--yes", "--key", key])
            .fails(2, &["could not come into force", why]);
        publish(&site, &["forged.json"]).fails(2, &["could not come into force", why]);
        assert_eq!(site.stored("trust"), stored);
    };
    let next = || first.next(first_version, *repository.id(), first.time, "test");
    let envelope = ledger.trust().envelope(&first_version).unwrap();

    let mut skipping = next();
    skipping.version += 1;
    forge(&skipping, &[envelope]);
    refused("its number is not one more than the highest that it names");

    let mut foreign = first.clone();
    foreign.tool = "another".to_owned();
    let mut following = next();
    following.previous = vec![foreign.reference().unwrap()];
    let foreign = Envelope::unsigned(foreign.payload().unwrap());
    forge(&following, &[envelope, &foreign]);
    refused("no version that it names is there and fits");
    forge(&following, &[&foreign]);
    publish(&site, &["forged.json"]).fails(2, &["no version that it names is there and fits"]);
    let lacks = "lacks version 1 of the trust policy";
    site.run(&["trust", "sign", "forged.json", "--yes", "--key", "kit/custodian-key.pem"]).fails(2, &[lacks]);

    let mut without = next();
    without.keys.clear();
    forge(&without, &[envelope]);
    refused("keys stay");
}

#[test]
fn publish_makes_no_fork_and_a_version_that_follows_both_branches_ends_one() {
    let site = Site::seeded();
    let sign = |file: &str| site.run(&["trust", "sign", file, "--yes", "--key", "kit/custodian-key.pem"]);
    for name in ["one", "two"] {
        let file = format!("{name}.json");
        propose_host(&site, name, &file);
        assert_eq!(sign(&file).code, 0);
    }
    let one = publish(&site, &["one.json"]).json(0);
    publish(&site, &["two.json"]).fails(2, &["another version is in force", "propose it again"]);
    assert_eq!(site.stored("trust").len(), 2);

    // Somebody puts it there all the same.
    let proposal: Value = serde_json::from_str(&site.machine.read("two.json")).unwrap();
    let bytes = BASE64.decode(proposal["envelope"].as_str().unwrap().as_bytes()).unwrap();
    let (two, ..) = Policy::decode(&bytes).unwrap();
    std::fs::write(site.repository().join(names::policy(&two)), bytes).unwrap();
    let memory = |more: &[&str]| {
        let listed = site.run(&[&["snapshots", "--json"], more].concat()).json(0);
        (listed["memory"]["fork"].clone(), listed["memory"]["other_branches"].clone())
    };
    let elsewhere = ["--state-dir", "another-state"];
    assert_eq!(memory(&[]), (json!([]), json!([two])), "this host keeps to the branch that it knows");
    let mut branches = [one["policy"].clone(), json!(two)];
    branches.sort_by_key(ToString::to_string);
    assert_eq!(memory(&elsewhere), (json!(branches), json!([])), "a host without a memory cannot choose");
    let found = site.run(&["verify", "--level", "ledger", "--json", elsewhere[0], elsewhere[1]]).json(13);
    assert!(found["problems"].to_string().contains("fork"), "{found:#}");
    assert!(key_names(&site).contains(&"one".to_owned()) && !key_names(&site).contains(&"two".to_owned()));

    let join = ["trust", "propose", "--join", "--json"];
    let joined = site.run(&[&join[..], &CUSTODIAN].concat()).json(0);
    assert_eq!(joined["published"], true, "{joined:#}");
    for (version, key) in [(two.to_string(), "one"), (one["policy"].as_str().unwrap().to_owned(), "two")] {
        let words = format!("after {version}: adds the key {key} (");
        assert!(joined["differences"].to_string().contains(&words), "{words}: {joined:#}");
    }
    assert_eq!((memory(&[]), memory(&elsewhere)), ((json!([]), json!([])), (json!([]), json!([]))));
    assert!(["one", "two"].iter().all(|name| key_names(&site).contains(&(*name).to_owned())));
}

#[test]
fn a_retirement_that_the_key_outlived_is_published_on_purpose_only() {
    let site = Site::seeded();
    site.let_in("host", &["verifier"]);
    let record = || {
        let record = ["verify", "--record", "host/signing-key.pem", "--state-dir", "host-state", "--json"];
        site.run(&record).json(0)["recorded"].clone()
    };
    record();
    propose(&site, &["keys", "retire", "host"], "retire.json");
    record();
    let sign = ["trust", "sign", "retire.json", "--yes", "--key", "kit/custodian-key.pem"];
    assert_eq!(site.run(&sign).code, 0);
    let stored = site.stored("trust");
    let said = "No longer counts: 1 entry by the key host (";
    publish(&site, &["retire.json"]).fails(2, &[said, "nothing was published", "--yes"]);
    assert_eq!(site.stored("trust"), stored);
    let done = publish(&site, &["retire.json", "--yes"]).json(0);
    let lost = &done["no_longer_counts"][0];
    assert_eq!((&lost["name"], &lost["entries"], &lost["snapshots"]), (&"host".into(), &1.into(), &0.into()));
}

#[test]
fn init_refuses_a_threshold_that_its_custodians_cannot_meet() {
    let site = Site::seeded();
    let others = Machine::new();
    for (kit, public) in [("two", "two.txt"), ("three", "three.txt")] {
        others.run(&["keys", "new", "--out", kit, "--no-passphrase", "--json"]).json(0);
        carry(&others, &format!("{kit}/public.txt"), &site.machine, public);
    }
    let kits = ["--recovery", "kit/public.txt", "--recovery", "two.txt", "--recovery", "three.txt"];
    let run = |kits: &[&str], more: &[&str]| {
        let machine = Machine::new();
        for name in ["two.txt", "three.txt", "api-key"] {
            carry(&site.machine, name, &machine, name);
        }
        std::fs::create_dir(machine.path("kit")).unwrap();
        carry(&site.machine, "kit/public.txt", &machine, "kit/public.txt");
        (init(&site, &machine, &[kits, more].concat()), machine)
    };
    for threshold in ["0", "3"] {
        let (refused, machine) = run(&kits[..4], &["--threshold", threshold]);
        refused.fails(2, &["it is from 1 to the number of custodians, 2"]);
        assert!(!machine.path("repo").exists() && !machine.path("signing-key.pem").exists());
    }
    for (kits, more, expected) in
        [(&kits[..4], &[][..], 1), (&kits[..4], &["--threshold", "2"][..], 2), (&kits[..], &[], 2)]
    {
        let (made, machine) = run(kits, more);
        made.json(0);
        let shown = machine.run(&["trust", "show", "--json"]).json(0);
        let custodians = shown["content"]["custodians"].as_array().unwrap();
        assert_eq!((custodians.len(), &shown["content"]["threshold"]), (kits.len() / 2, &expected.into()));
    }
}

#[test]
fn only_custodians_release_what_the_policy_holds() {
    let site = Site::seeded();
    let snapshot = site.listed(&[])[0]["digest"].clone();
    let hold = ["snapshots", "hold", "1"];
    let proposed = propose(&site, &[&hold[..], &["--propose"]].concat(), "hold.json");
    assert_eq!(proposed["differences"], json!([format!("holds the snapshots {}", snapshot.as_str().unwrap())]));
    assert_eq!(site.listed(&[])[0]["held"], Value::Null, "a proposal holds nothing");
    let done = site.run(&[&hold[..], &CUSTODIAN, &["--json"]].concat()).json(0);
    assert_eq!((&done["change"], &done["published"], &done["snapshot"]), (&"held".into(), &true.into(), &snapshot));
    assert!(site.listed(&[])[0]["held"].is_string());
    let release = ["snapshots", "release", "1", "--reason", "x", "--key"];
    let reaper = [&release[..], &["kit/recovery-signing-key.pem"]].concat();
    site.run(&reaper).fails(2, &["the trust policy holds snapshot 1", "only custodians release it"]);
    assert_eq!(site.run(&[&release[..], &["kit/custodian-key.pem"]].concat()).code, 0);
    assert_eq!(site.listed(&[])[0]["held"], Value::Null);
    assert_eq!(site.stored("ledger").len(), 1);
}

#[test]
fn a_new_recovery_kit_opens_the_next_backup_and_one_always_stays() {
    let site = Site::seeded();
    site.run(&["keys", "new", "--out", "second", "--no-passphrase", "--json"]).json(0);
    let public = site.machine.read("second/public.txt");
    let recipient = public.lines().find(|line| line.starts_with("age1")).unwrap();
    let add = ["recipients", "add", recipient, "--name", "kit 2", "--json"];
    let added = site.run(&[&add[..], &CUSTODIAN].concat()).json(0);
    let words = format!("adds the recovery recipient kit 2 ({recipient}), who opens every new snapshot");
    assert_eq!((&added["list"], &added["differences"]), (&"recovery".into(), &json!([words])));
    site.run(&[&add[..], &CUSTODIAN].concat()).fails(2, &["is a recovery recipient already"]);
    let verify = ["verify", "--level", "payload", "--snapshot", "latest", "--identity", "second/recovery-identity.txt"];
    assert_ne!(site.run(&verify).code, 0, "what is there was sealed before");
    let backup = site.run(&["backup", "--json"]).json(0);
    assert_eq!(backup["packs_reused"], 0, "{backup:#}");
    assert_eq!(site.run(&verify).code, 0);
    let remove = |name: &str| site.run(&[&["recipients", "remove", name, "--json"], &CUSTODIAN[..]].concat());
    remove("recovery kit").json(0);
    remove("kit 2").fails(2, &["it has no recovery recipient"]);
    remove("kit 3").fails(2, &["no recipient is called `kit 3`"]);
    let listed = site.run(&["recipients", "list", "--json"]).json(0);
    let lists = listed.as_array().unwrap().iter().map(|line| (line["name"].as_str().unwrap(), &line["list"]));
    assert_eq!(lists.collect::<Vec<_>>(), [("kit 2", &"recovery".into()), ("collector", &"catalogue".into())]);
}

#[test]
fn a_new_recover_md_comes_with_its_version_and_again_after_it_was_changed() {
    let site = Site::seeded();
    site.machine.write("text.md", "call the office\n");
    let proposed = propose(&site, &["trust", "propose", "--recover-md", "text.md"], "text.json");
    assert!(proposed["differences"][0].as_str().unwrap().starts_with("replaces RECOVER.md: "), "{proposed:#}");
    let path = site.repository().join("RECOVER.md");
    let before = std::fs::read_to_string(&path).unwrap();
    site.run(&["trust", "sign", "text.json", "--yes", "--key", "kit/custodian-key.pem"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    publish(&site, &["text.json"]).json(0);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "call the office\n");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "send your recovery key to us\n").unwrap();
    site.run(&["verify"]).fails(13, &[]);
    publish(&site, &["text.json"]).json(0);
    assert_eq!(site.run(&["verify", "--json"]).json(0)["ok"], true);
    // Another text in the file is no text of this version.
    let file = site.machine.read("text.json").replace("call the office", "call nobody");
    site.machine.write("changed.json", &file);
    publish(&site, &["changed.json"]).json(0);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "call the office\n");
}
