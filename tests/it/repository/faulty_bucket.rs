//! Every command that reads or writes a repository, over a bucket where things go wrong now and then: no answer is ever
//! better than the truth, and a fault ends in another try or in an error with a name.

use keyhaven::provider::embedded::{EmbeddedInstance, Verb};
use serde_json::Value;

use crate::kit::bucket::Bucket;
use crate::kit::bucket_faults::BucketFaults;
use crate::kit::environment::is_long;
use crate::kit::instance::write;
use crate::kit::program::Run;
use crate::kit::site::Site;

const IDENTITY: [&str; 2] = ["--identity", "kit/recovery-identity.txt"];

/// Commands that only read, each with whether it opens packs or catalogues.
const READERS: [(&[&str], bool); 12] = [
    (&["snapshots"], false),
    (&["show"], false),
    (&["verify", "--level", "ledger"], false),
    (&["verify", "--level", "payload"], true),
    (&["ls"], true),
    (&["coverage"], true),
    (&["diff", "1", "latest"], true),
    (&["history", "rotated"], true),
    (&["get", "rotated"], true),
    (&["keys", "list"], false),
    (&["trust", "show"], false),
    (&["forget", "--keep-last", "2"], false),
];

fn create(source: &EmbeddedInstance, name: &str) -> String {
    let secret = format!(r#"{{"secret_type":"arbitrary","name":"{name}","payload":"1"}}"#);
    write(source, Verb::Post, "secrets", &secret).unwrap()
}

struct World {
    bucket: Bucket,
    site: Site,
    environment: Vec<(&'static str, String)>,
}

impl World {
    fn new() -> Self {
        let (bucket, site) = (Bucket::new(), Site::seeded());
        let secret = create(&site.source, "rotated");
        for payload in ["2", "3"] {
            let version = format!(r#"{{"payload":"{payload}"}}"#);
            write(&site.source, Verb::Post, &format!("secrets/{secret}/versions"), &version);
            site.run(&["backup", "--json"]).json(0);
        }
        bucket.fill(&site.repository());
        let environment = bucket.environment(&site.machine, "access", "secret");
        Self { bucket, site, environment }
    }

    fn run(&self, arguments: &[&str], keys: bool) -> Run {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let keys: &[&str] = if keys { &IDENTITY } else { &[] };
        self.site.machine.run_with(&environment, &[arguments, keys, &["--json"]].concat())
    }
}

/// What a command says, without what is another thing each time.
fn said(run: &Run) -> Value {
    let mut value: Value = serde_json::from_str(&run.out).unwrap_or_default();
    timeless(&mut value);
    value
}

fn timeless(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in ["now", "took_ms", "duration_ms", "age_ms", "age", "run", "requests", "warnings", "ages"] {
                members.remove(name);
            }
            members.values_mut().for_each(timeless);
        }
        Value::Array(list) => list.iter_mut().for_each(timeless),
        _ => {}
    }
}

#[test]
fn readers_say_the_truth_or_that_they_cannot() {
    let world = World::new();
    let truth: Vec<(i32, Value)> =
        READERS.iter().map(|(command, keys)| world.run(command, *keys)).map(|run| (run.code, said(&run))).collect();
    for ((command, _), (code, value)) in READERS.iter().zip(&truth) {
        assert!([0, 15].contains(code) && !value.is_null(), "{command:?}: {code} {value}");
    }
    let mut answered = 0;
    for seed in 0..if is_long() { 60 } else { 4 } {
        for (at, ((command, keys), (code, value))) in READERS.iter().zip(&truth).enumerate() {
            world.bucket.is_faulty(Some(BucketFaults::new(seed * 100 + at as u64, 5)));
            let run = world.run(command, *keys);
            world.bucket.is_faulty(None);
            if run.code == *code {
                assert_eq!(said(&run), *value, "{command:?} with seed {seed}");
                answered += 1;
            } else {
                assert_eq!(run.code, 1, "{command:?} with seed {seed}: {run:#?}");
                assert!(run.err.contains("error:") && run.err.contains("s3://"), "{command:?} with {seed}: {run:#?}");
            }
        }
    }
    assert!(answered > 20, "only {answered} were answered: nothing was tried again");
}

#[test]
fn what_a_backup_reports_is_there() {
    let world = World::new();
    let mut recorded = 0;
    for seed in 0..if is_long() { 60 } else { 6 } {
        create(&world.site.source, &format!("made-{seed}"));
        world.bucket.is_faulty(Some(BucketFaults::new(seed + 1, 5)));
        let run = world.run(&["backup"], false);
        world.bucket.is_faulty(None);
        assert!([0, 1, 3].contains(&run.code), "seed {seed}: {run:#?}");
        let snapshots = world.run(&["snapshots"], false).json(0);
        if run.code == 1 {
            assert!(run.err.contains("error:"), "seed {seed}: {run:#?}");
            continue;
        }
        let (done, newest) = (said(&run), &snapshots["snapshots"][0]);
        assert_eq!(done["sequence"], newest["sequence"], "seed {seed}: {snapshots:#}");
        recorded += 1;
        let verified = world.run(&["verify", "--level", "payload"], true);
        assert_eq!(verified.code, 0, "seed {seed}: {verified:#?}");
        let listed = world.run(&["ls"], true).json(0);
        assert!(listed.to_string().contains(&format!("made-{seed}")), "seed {seed}");
    }
    assert!(recorded > 2, "only {recorded} backups came through");
}
