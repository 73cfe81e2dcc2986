//! Every object of a small repository removed, cut off, continued, swapped with another of its kind, and replayed: a check
//! fails with 13 and names it, and what can still be restored is restored. Then one of each kind through the program.

use std::collections::BTreeMap;

use bytes::Bytes;
use keyhaven::format::list::PackList;
use keyhaven::format::names;
use keyhaven::model::FailureKind;
use secrecy::ExposeSecret as _;

use super::every_byte::onlookers;
use crate::kit::files::{contents, files};
use crate::kit::site::Site;
use crate::kit::small_world::{Change, HOSTS, Host, Trial, World, stem, try_all};

fn world() -> World {
    tokio::runtime::Runtime::new().unwrap().block_on(World::new())
}

fn directory(name: &str) -> &str {
    name.split_once('/').map_or("", |(directory, _)| directory)
}

/// What is done to an object alone.
fn spoiled(whole: &Bytes) -> Vec<(&'static str, Option<Bytes>)> {
    let more = |byte: u8| Some([&whole[..], &[byte]].concat().into());
    let cut = |length: usize| Some(whole.slice(..length));
    vec![
        ("removed", None),
        ("emptied", cut(0)),
        ("cut to one byte", cut(1)),
        ("cut to half", cut(whole.len() / 2)),
        ("cut by one byte", cut(whole.len() - 1)),
        ("with a line feed more", more(b'\n')),
    ]
}

#[test]
fn every_object_that_is_removed_cut_or_continued_is_found_and_named() {
    let world = world();
    let mut trials = Vec::new();
    for (name, whole) in &*world.objects {
        for (what, bytes) in spoiled(whole) {
            for host in onlookers(name) {
                let changed = vec![(name.clone(), bytes.clone())];
                trials.push(Trial { host: *host, what: format!("{name} {what}"), changed, restores: true });
            }
        }
    }
    let (tried, failed) = try_all(&world, trials.into_iter());
    // The marker, and for a host that never saw it the newest entry: each six times.
    assert_eq!(failed, tried - 2 * 6);
}

#[test]
fn every_object_that_is_swapped_with_another_is_found_and_named() {
    let world = world();
    let mut trials = Vec::new();
    for (name, whole) in &*world.objects {
        let others = world.objects.iter().filter(|(other, _)| *other != name && directory(other) == directory(name));
        for (other, bytes) in others {
            // In its place, and, once for each pair, each in the place of the other.
            let replaced: Change = (name.clone(), Some(bytes.clone()));
            let mut ways = vec![("has the bytes of", vec![replaced.clone()])];
            if name < other {
                ways.push(("is swapped with", vec![replaced, (other.clone(), Some(whole.clone()))]));
            }
            for (what, changed) in ways {
                for host in onlookers(name) {
                    let what = format!("{name} {what} {other}");
                    trials.push(Trial { host: *host, what, changed: changed.clone(), restores: *host == Host::Reader });
                }
            }
        }
    }
    let (tried, failed) = try_all(&world, trials.into_iter());
    assert!(tried > 100 && failed > 100, "{failed} of {tried}");
}

/// Whole objects that were signed once, where they do not belong.
#[test]
fn a_replayed_entry_or_policy_is_a_counted_line_and_changes_nothing() {
    let world = world();
    let mut trials = Vec::new();
    for (name, whole) in &*world.objects {
        let (directory, file) = name.rsplit_once('/').unwrap_or(("", name));
        let (number, digest) = file.split_once('-').unwrap_or((file, ""));
        let places = match number.len() {
            12 => vec![
                format!("{directory}/000000000009-{digest}"),
                format!("ledger/000000001/000000001001-{digest}"),
                format!("ledger/000000001/{file}"),
                format!("ledger/{file}"),
            ],
            6 => vec![format!("{directory}/000003-{digest}"), format!("{directory}/000001/{file}")],
            _ => continue,
        };
        for place in places {
            for host in HOSTS {
                let (what, changed) = (format!("{name} again as {place}"), vec![(place.clone(), Some(whole.clone()))]);
                trials.push(Trial { host, what, changed, restores: true });
            }
        }
    }
    let (tried, failed) = try_all(&world, trials.into_iter());
    assert_eq!((tried, failed), (5 * 4 * 3 + 2 * 2 * 3, 0));
}

/// A bucket that was put back whole to what it was after each step: it is right by itself, so only a memory finds it.
#[tokio::test]
async fn a_bucket_that_was_put_back_is_found_by_every_host_that_saw_the_newest() {
    let world = World::new().await;
    let newest = world.newest_entry();
    for (step, earlier) in world.earlier.iter().enumerate() {
        let changed = || world.objects.keys().map(|name| (name.clone(), earlier.get(name).cloned()));
        let blind = world.verify(Host::Blind, world.bucket(changed())).await;
        assert!(blind.ok && blind.newest_may_be_missing, "{step}: {:?}", blind.problems);
        for host in [Host::Reader, Host::Collector] {
            let report = world.verify(host, world.bucket(changed())).await;
            assert_eq!((report.ok, report.failure()), (false, Some(FailureKind::Integrity)), "{host:?}, {step}");
            let named = |name: &str| report.problems.iter().any(|problem| problem.object == name);
            assert!(named(&newest), "{host:?}, {step}: {:?}", report.problems);
            // A version of the policy that is not what it was is named, too.
            for name in world.objects.keys().filter(|name| name.starts_with("trust/")) {
                assert_eq!(named(name), earlier.get(name) != world.objects.get(name), "{host:?}, {step}: {name}");
            }
        }
    }
}

/// One file put back to what it was: the payload is the same, with a signature less.
#[tokio::test]
async fn an_older_copy_of_one_file_is_found_where_a_signature_is_missed() {
    let world = World::new().await;
    let older: BTreeMap<&String, &Bytes> = world
        .earlier
        .iter()
        .rev()
        .flatten()
        .filter(|(name, bytes)| world.objects.get(*name).is_some_and(|now| now != *bytes))
        .collect();
    let [entry, policy] = older.into_iter().collect::<Vec<_>>()[..] else { panic!("two files changed") };
    assert!(entry.0.starts_with(names::LEDGER) && policy.0.starts_with(names::TRUST));
    for host in HOSTS {
        let check = async |(name, bytes): (&String, &Bytes)| {
            let bucket = world.bucket([(name.clone(), Some(bytes.clone()))]);
            world.verify(host, bucket).await
        };
        // The stranger's was none of its holder's.
        assert!(check(entry).await.ok, "{host:?}");
        let report = check(policy).await;
        match host {
            Host::Blind => assert!(report.ok, "version 1 needs no signature: {:?}", report.problems),
            _ => assert!(report.problems.iter().any(|problem| problem.object == *policy.0), "{host:?}"),
        }
    }
}

const IDENTITY: &[&str] = &["--identity", "kit/recovery-identity.txt"];

/// One damaged object: whether it is removed (else one byte of it is another), the codes of `verify`, `restore plan`, `get`
/// and `backup`, and what the last three begin with or say where they say something.
struct Row {
    file: String,
    removed: bool,
    codes: [i32; 4],
    said: [&'static str; 3],
}

fn rows(site: &Site) -> Vec<Row> {
    const COPY: &str = "restore it from a copy of the repository";
    let row = |file: &str, removed: bool, codes: [i32; 4], said: [&'static str; 3]| Row {
        file: file.to_owned(),
        removed,
        codes,
        said,
    };
    let stored = files(&site.repository());
    let newest = site.newest_snapshot().0;
    let list = names::list(&newest.list);
    let listed = PackList::decode(&std::fs::read(site.repository().join(&list)).unwrap()).unwrap();
    let [pack, part] = [names::pack(&listed.packs[0].pack), names::catalogue(&newest.parts[0].digest)];
    let other = |directory: &str, than: &str| {
        stored.iter().find(|name| name.starts_with(directory) && *name != than).unwrap().clone()
    };
    let [(first, second), (lower, upper)] = ["trust/", "ledger/"].map(|directory| {
        let mut there = stored.iter().filter(|name| name.starts_with(directory));
        (there.next().unwrap().clone(), there.next().unwrap().clone())
    });
    let policy = "warning: `trust/` lacks versions of the trust policy";
    let gone = "warning: the ledger lacks entries that this host saw there";
    vec![
        // It decides nothing.
        row("keyhaven.json", true, [0, 15, 0, 0], ["warning: keyhaven.json is missing"; 3]),
        row("RECOVER.md", false, [13, 15, 0, 0], [""; 3]),
        row(&first, true, [13, 15, 0, 0], [policy, policy, ""]),
        row(&second, false, [13, 15, 0, 0], [policy, policy, ""]),
        row(&lower, true, [13, 15, 0, 0], ["is gone", "is gone", ""]),
        // The host that wrote it puts it back, and says so.
        row(&upper, false, [13, 15, 0, 3], [gone, gone, "is put back from this host's copy"]),
        // Everything in a plan is in the catalogue; a backup that cannot build on it reads everything.
        row(&part, true, [13, 13, 13, 0], [COPY, COPY, COPY]),
        row(&other("catalogues/", &part), false, [13, 15, 13, 0], ["", COPY, ""]),
        row(&list, true, [13, 15, 0, 0], ["", "", COPY]),
        row(&other("lists/", &list), false, [13, 15, 0, 0], [""; 3]),
        // The item is read from its source again.
        row(&pack, true, [13, 15, 13, 0], ["", COPY, "1 pack new"]),
        row(&other("packs/", &pack), false, [13, 15, 0, 0], [""; 3]),
    ]
}

/// One of each kind through the program: the exit code of each command, what names the object, and what to do about it.
#[test]
fn the_program_names_each_kind_of_object_and_what_to_do_about_it() {
    let site = Site::seeded();
    site.let_in("host", &["verifier"]);
    site.run(&["backup", "--full", "--json"]).json(0);
    let (standby, server) = site.standby();
    let (url, iam_url) = (server.base_url(), server.iam_url());
    let key = standby.options().api_key.expose_secret().to_owned();
    let environment = [
        ("KEYHAVEN_STANDBY_URL", url.as_str()),
        ("KEYHAVEN_STANDBY_IAM_URL", iam_url.as_str()),
        ("KEYHAVEN_STANDBY_API_KEY", "env:STANDBY_API_KEY"),
        ("STANDBY_API_KEY", key.as_str()),
    ];
    let listed = site.run(&["ls", "--json"]).json(0);
    let mut keys = listed.as_array().unwrap().iter().filter_map(|row| row["key"].as_str());
    let secret = keys.find_map(|key| key.strip_prefix("secret/")).unwrap();
    let verify = [&["verify", "--level", "payload"], IDENTITY].concat();
    let others: [Vec<&str>; 3] =
        [[&["restore", "plan"], IDENTITY].concat(), [&["get", secret, "--reveal"], IDENTITY].concat(), vec!["backup"]];
    let kept = ["repo", "state"].map(|place| (site.machine.path(place), contents(&site.machine.path(place))));
    for Row { file, removed, codes, said } in rows(&site) {
        let path = site.repository().join(&file);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        if removed {
            std::fs::remove_file(&path).unwrap();
        } else {
            std::fs::write(&path, bytes).unwrap();
        }

        let run = site.run(&verify);
        assert_eq!(run.code, codes[0], "{file}: {run:#?}");
        assert!(run.out.contains(stem(&file)), "{file}: {run:#?}");
        let fix = ["  fix: put", "; put it back", "a backup puts it back", "decides, not this file"]
            .iter()
            .any(|fix| run.out.contains(fix));
        assert!(fix, "{file}: {run:#?}");
        for ((command, code), said) in others.iter().zip(&codes[1..]).zip(said) {
            let run = site.machine.run_with(&environment, command);
            assert_eq!(run.code, *code, "{file}, {command:?}: {run:#?}");
            // Lines are wrapped.
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let all = format!("{} {}", words(&run.err), words(&run.out));
            let found = if said.starts_with("warning: ") { all.starts_with(said) } else { all.contains(said) };
            assert!(
                found && (said.is_empty() || said == "1 pack new" || all.contains(stem(&file))),
                "{file}: {run:#?}"
            );
        }
        for (place, kept) in &kept {
            std::fs::remove_dir_all(place).unwrap();
            for (name, bytes) in kept {
                let path = place.join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
        }
    }
    assert_eq!(site.run(&verify).code, 0, "each was put back");
}
