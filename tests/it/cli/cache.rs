//! The program with its cache of ledger entries, over a bucket: what it saves, who reads past it, and that whatever lies
//! in it changes no answer.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::http::Method;
use keyhaven::repository::Store;

use crate::kit::bucket::Bucket;
use crate::kit::environment::s3;
use crate::kit::files::files;
use crate::kit::program::Run;
use crate::kit::site::Site;

const READER: &[&str] = &["snapshots", "--all", "--json"];
/// Commands whose answers depend on the ledger and on nothing else.
const ANSWERS: [&[&str]; 3] = [READER, &["show", "--json"], &["keys", "list", "--json"]];

/// A site with four entries more than its first, and its repository in a bucket.
struct House {
    site: Site,
    bucket: Bucket,
    environment: Vec<(&'static str, String)>,
}

impl House {
    fn new() -> Self {
        let site = grown();
        let bucket = Bucket::new();
        bucket.fill(&site.repository());
        let environment = bucket.environment(&site.machine, "id", "secret");
        Self { site, bucket, environment }
    }

    /// Gives the run and the entries that it fetched.
    fn run(&self, arguments: &[&str]) -> (Run, Vec<String>) {
        self.bucket.asked(&Method::GET);
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let run = self.site.machine.run_with(&environment, arguments);
        (run, self.fetched())
    }

    fn fetched(&self) -> Vec<String> {
        self.bucket.asked(&Method::GET).into_iter().filter(|path| path.starts_with("ledger/")).collect()
    }

    fn answers(&self) -> Vec<String> {
        let answer = |arguments: &&[&str]| {
            let (run, _) = self.run(arguments);
            assert!(run.code == 0 && run.err.is_empty(), "{arguments:?}: {run:#?}");
            run.out
        };
        ANSWERS.iter().map(answer).collect()
    }

    /// The folder of this repository's cache.
    fn cache(&self) -> PathBuf {
        cache(&self.site)
    }

    /// What lies in the cache, by its path in the ledger.
    fn cached(&self) -> BTreeMap<String, Vec<u8>> {
        let read = |path: String| (path.clone(), std::fs::read(self.cache().join(&path)).unwrap());
        files(&self.cache()).into_iter().map(read).collect()
    }

    /// A cache that holds everything.
    fn fill(&self) {
        std::fs::remove_dir_all(self.cache()).ok();
        self.run(READER).0.json(0);
        assert_eq!(self.cached().len(), self.bucket.paths("ledger").len());
    }
}

fn grown() -> Site {
    let site = Site::seeded();
    for _ in 0..2 {
        site.run(&["backup", "--json"]).json(0);
    }
    site.let_in("one", &["reaper", "verifier"]);
    site.let_in("two", &["reaper", "verifier"]);
    site
}

fn to_let_in<'a>(name: &'a str, public: &'a str) -> Vec<&'a str> {
    let add = ["keys", "add", "--public", public, "--name", name, "--role", "reaper", "--role", "verifier"];
    [&add[..], &["--key", "kit/custodian-key.pem", "--reason", "test", "--json"]].concat()
}

fn cache(site: &Site) -> PathBuf {
    let config: toml::Value = toml::from_str(&site.machine.read("keyhaven.toml")).unwrap();
    site.machine.path("state").join(config["repository"]["id"].as_str().unwrap()).join("cache")
}

#[test]
fn who_must_see_the_bucket_reads_past_the_cache_and_nobody_else_does() {
    let house = House::new();
    house.site.run(&["keys", "host", "--out", "three", "--json"]).json(0);
    let add = to_let_in("three", "three/signing-key.public.pem");
    let custodian = ["--key", "kit/custodian-key.pem", "--reason", "test"];
    let retire = [&["keys", "retire", "one"][..], &custodian].concat();
    let revoke = [&["keys", "revoke", "two"][..], &custodian].concat();
    let reaper = ["--reason", "test", "--key", "one/signing-key.pem"];
    let undo = [&["forget", "--undo", "2"][..], &reaper].concat();
    let by_hand = [&["forget", "--apply", "--snapshot", "2"][..], &reaper].concat();
    house.fill();
    let bypass: [(&[&str], i32); 11] = [
        (&["verify", "--level", "ledger"], 0),
        (&["verify", "--level", "objects"], 0),
        (&["doctor"], 0),
        (&["forget", "--keep-last", "1"], 0),
        (&by_hand, 0),
        (&undo, 0),
        (&["sweep"], 0),
        (&["ledger", "accept-loss", "--reason", "test"], 2),
        (&add, 0),
        (&retire, 0),
        (&revoke, 0),
    ];
    for (arguments, code) in bypass {
        let before = house.bucket.paths("ledger");
        let (run, fetched) = house.run(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {run:#?}");
        let missed: Vec<_> = before.iter().filter(|entry| !fetched.contains(entry)).collect();
        assert!(missed.is_empty(), "{arguments:?} took from the cache: {missed:?}");
    }
    house.fill();
    for arguments in [READER, &["status"], &["show"], &["ls"], &["keys", "list"], &["backup"], &["backup", "--full"]] {
        let before = house.bucket.paths("ledger");
        let (run, fetched) = house.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {run:#?}");
        let again: Vec<_> = before.iter().filter(|entry| fetched.contains(entry)).collect();
        assert!(again.is_empty(), "{arguments:?} fetched what was here: {again:?}");
    }
}

#[test]
fn whatever_lies_in_the_cache_changes_no_answer_and_fails_no_backup() {
    let house = House::new();
    let before = house.answers();
    let elsewhere = house.site.machine.path("elsewhere");
    let each = |spoil: &dyn Fn(&Path)| {
        files(&house.cache()).into_iter().for_each(|path| spoil(&house.cache().join(path)));
    };
    let replaced = |path: &Path, by: &dyn Fn(&Path)| {
        std::fs::remove_file(path).unwrap();
        by(path);
    };
    let linked = |path: &Path, to: &Path| replaced(path, &|path| symlink(to, path).unwrap());
    let swapped = || {
        let entries: Vec<(String, Vec<u8>)> = house.cached().into_iter().collect();
        for ((path, bytes), (_, other)) in entries.iter().zip(entries.iter().cycle().skip(1)) {
            assert_ne!(bytes, other);
            std::fs::write(house.cache().join(path), other).unwrap();
        }
    };
    let folder_for = |place: &Path, by: &dyn Fn(&Path)| {
        std::fs::remove_dir_all(place).unwrap();
        by(place);
    };
    let ledger = || house.cache().join("ledger");
    let spoilt: [(&str, &dyn Fn()); 12] = [
        ("other valid entries", &swapped),
        ("halves", &|| each(&|path| std::fs::File::options().write(true).open(path).unwrap().set_len(99).unwrap())),
        ("nothing", &|| each(&|path| std::fs::write(path, b"").unwrap())),
        ("other bytes of the same length", &|| {
            each(&|path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, bytes.to_ascii_uppercase()).unwrap();
            });
        }),
        ("links to what is right", &|| {
            each(&|path| {
                let kept = elsewhere.join(path.file_name().unwrap());
                std::fs::create_dir_all(&elsewhere).unwrap();
                std::fs::copy(path, &kept).unwrap();
                linked(path, &kept);
            });
        }),
        ("links to what never ends", &|| each(&|path| linked(path, Path::new("/dev/zero")))),
        ("links to themselves", &|| each(&|path| linked(path, path))),
        ("pipes that nobody writes to", &|| {
            each(&|path| replaced(path, &|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())));
        }),
        ("folders", &|| each(&|path| replaced(path, &|path| std::fs::create_dir_all(path.join("x")).unwrap()))),
        ("a file for the folder", &|| folder_for(&ledger(), &|place| std::fs::write(place, b"x").unwrap())),
        ("a circle for the folder", &|| folder_for(&ledger(), &|place| symlink(place, place).unwrap())),
        ("a link to what cannot be written", &|| {
            folder_for(&house.cache(), &|place| symlink("/proc", place).unwrap());
        }),
    ];
    for (what, spoil) in spoilt {
        drop(std::fs::remove_file(house.cache()).or_else(|_| std::fs::remove_dir_all(house.cache())));
        house.fill();
        spoil();
        assert_eq!(house.answers(), before, "{what}");
    }
    assert_eq!(files(&elsewhere).len(), house.bucket.paths("ledger").len(), "what a link led to is left alone");
    // A backup that finds each of them.
    for (what, spoil) in spoilt {
        drop(std::fs::remove_file(house.cache()).or_else(|_| std::fs::remove_dir_all(house.cache())));
        house.fill();
        spoil();
        let entries = house.bucket.paths("ledger").len();
        let (run, _) = house.run(&["backup", "--json"]);
        assert!(run.json(0)["suspect"].as_array().unwrap().is_empty(), "{what}: {run:#?}");
        assert_eq!(house.bucket.paths("ledger").len(), entries + 1, "{what}");
    }
    assert_eq!(house.run(&["verify", "--level", "objects", "--json"]).0.json(0)["ok"], true);
}

#[test]
fn a_full_disk_or_one_that_cannot_be_written_fails_no_backup() {
    let house = House::new();
    let cache = house.cache();
    std::fs::create_dir_all(&cache).unwrap();
    for (options, room) in [("size=8k", 2), ("ro", 0)] {
        let script =
            format!("mount -t tmpfs -o {options} tmpfs \"$cache\" && $keyhaven backup && find \"$cache\" -type f");
        let mut unshare = Command::new("unshare");
        unshare.args(["-rm", "sh", "-c", &script]).current_dir(house.site.machine.path("")).env_clear();
        unshare.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", house.site.machine.path(""));
        unshare.env("keyhaven", env!("CARGO_BIN_EXE_keyhaven")).env("cache", &cache);
        let entries = house.bucket.paths("ledger").len();
        let output = unshare.envs(house.environment.iter().cloned()).output().unwrap();
        let (said, warned) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && !warned.contains("cache"), "{options}: {said}{warned}");
        assert_eq!(house.bucket.paths("ledger").len(), entries + 1, "{options}: {said}");
        let kept = said.lines().filter(|line| line.contains("/cache/ledger/")).count();
        assert!(kept <= room && kept < entries, "{options}: {said}");
    }
}

#[test]
#[ignore = "needs an S3 server: tests/run"]
fn a_second_run_over_a_real_bucket_fetches_no_entry() {
    let settings = s3("cache-of-program");
    let site = grown();
    let store = Store::s3(&settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for path in files(&site.repository()) {
        let bytes = std::fs::read(site.repository().join(&path)).unwrap();
        runtime.block_on(store.put(&path, bytes.into())).unwrap();
    }
    let bucket = Bucket::before(&settings.endpoint, &format!("{}/{}", settings.bucket, settings.prefix));
    let environment = bucket.environment(&site.machine, "kh-access", "kh-secret-of-the-test");
    let house = House { site, bucket, environment };
    let mut entries = files(&house.site.repository().join("ledger")).len();
    let (first, fetched) = house.run(READER);
    assert_eq!((first.code, fetched.len(), house.cached().len()), (0, entries, entries), "{first:#?}");
    let (second, fetched) = house.run(READER);
    assert_eq!((second.code, fetched), (0, Vec::<String>::new()), "{second:#?}");
    assert_eq!(second.out, first.out);
    for _ in 0..2 {
        let (backup, fetched) = house.run(&["backup", "--json"]);
        backup.json(0);
        entries += 1;
        assert_eq!((fetched.len(), house.cached().len()), (1, entries), "its own, read back: {fetched:?}");
    }
    let (verified, fetched) = house.run(&["verify", "--level", "ledger", "--json"]);
    verified.json(0);
    assert_eq!(fetched.len(), entries, "whoever checks reads all of them from the bucket");
}
