//! The claim of a snapshot against the truth.
//!
//! A seeded writer changes an instance at every request of a capture, and while the capture waits; the instance logs
//! every state that it was in. A snapshot that claims one point in time has to equal a logged state within its interval,
//! in everything that the claim covers: the rows of the lists, version ids and payloads. Every other snapshot has to be
//! right item by item.
//!
//! `KEYHAVEN_ORACLE_ROUNDS` sets how many rounds each case runs (500).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use keyhaven::format::SnapshotEvent;
use keyhaven::format::snapshot::Consistency;
use keyhaven::job::capture::{CaptureError, CaptureOptions};
use keyhaven::model::Item;
use keyhaven::provider::embedded::{
    Act, EmbeddedInstance, History, InstanceClock, Options, PastInstance, Precision, Switches, Verb, When,
};
use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::kit::capture::{Opened, Rig};

/// Captures of one instance before the next one starts from nothing.
const CAPTURES: usize = 25;

/// Changes an instance at random, but the same way for the same seed.
struct Writer {
    random: ChaCha8Rng,
    clock: InstanceClock,
    /// How likely it is that a chance to write is taken, in percent.
    eager: u32,
    /// How many chances are left.
    left: u32,
    /// Whether so little time goes by that a whole capture can fall into one second.
    rapid: bool,
    /// Whether it only flips the label of a few secrets to and fro, so that rows look as they did before.
    flips: bool,
    made: u64,
}

impl Writer {
    /// A chance to write: time goes on, and perhaps something changes, perhaps several things in the same moment.
    fn chance(&mut self, instance: &EmbeddedInstance) {
        let steps = if self.rapid { [0, 0, 0, 0, 1, 1, 5] } else { [0, 0, 1, 7, 40, 130, 400] };
        self.clock.advance(steps[self.random.random_range(0..7)]);
        if self.left == 0 || !self.random.random_ratio(self.eager, 100) {
            return;
        }
        self.left -= 1;
        let at_once = if self.flips { 1 } else { self.random.random_range(1..3) };
        (0..at_once).for_each(|_| self.change(instance));
    }

    fn change(&mut self, instance: &EmbeddedInstance) {
        self.made += 1;
        let n = self.made;
        let items = instance.snapshot().items;
        let secrets: Vec<String> = items.secrets.keys().map(ToString::to_string).collect();
        if self.flips {
            let few = &secrets[..secrets.len().min(2)];
            let Some(id) = self.pick(few) else { return };
            let is_a = items.secrets.get(id.as_str()).is_some_and(|secret| secret.labels == ["aa"]);
            let body = format!(r#"{{"labels":["{}"]}}"#, if is_a { "bb" } else { "aa" });
            let reply = instance.call(Verb::Patch, &format!("/api/v2/secrets/{id}/metadata"), &body);
            assert_eq!(reply.status, 200, "{}", reply.body.as_str());
            return;
        }
        let Some(id) = self.pick(&secrets) else { return self.create(instance) };
        let (verb, target, body) = match self.random.random_range(0..100) {
            0..30 => (Verb::Post, format!("/api/v2/secrets/{id}/versions"), format!(r#"{{"payload":"v{n}"}}"#)),
            30..45 => {
                // A small set of labels: what was there before comes back.
                let label = ["aa", "bb", "cc"][self.random.random_range(0..3)];
                (Verb::Patch, format!("/api/v2/secrets/{id}/metadata"), format!(r#"{{"labels":["{label}"]}}"#))
            }
            45..60 => (
                Verb::Post,
                format!("/api/v2/secrets/{id}/locks_bulk"),
                format!(r#"{{"locks":[{{"name":"lock-{n}"}}]}}"#),
            ),
            60..68 => (Verb::Delete, format!("/api/v2/secrets/{id}/locks_bulk"), String::new()),
            68..74 => (Verb::Delete, format!("/api/v2/secrets/{id}"), String::new()),
            74..80 => return self.create(instance),
            80..85 => (
                Verb::Patch,
                format!("/api/v2/secrets/{id}/versions/current/metadata"),
                format!(r#"{{"version_custom_metadata":{{"n":{n}}}}}"#),
            ),
            85..90 => (Verb::Get, format!("/api/v2/secrets/{id}"), String::new()),
            90..95 => {
                let groups: Vec<String> = items.groups.keys().map(ToString::to_string).collect();
                let Some(group) = self.pick(&groups) else { return };
                (Verb::Patch, format!("/api/v2/secret_groups/{group}"), format!(r#"{{"description":"d{n}"}}"#))
            }
            95..97 => (Verb::Post, "/api/v2/secret_groups".to_owned(), format!(r#"{{"name":"group-{n}"}}"#)),
            97..99 => (
                Verb::Post,
                "/api/v2/configurations".to_owned(),
                format!(r#"{{"config_type":"iam_credentials_configuration","name":"iam-{n}","api_key":"key-{n}"}}"#),
            ),
            _ => {
                let names: Vec<String> = items.configurations.values().map(|found| found.name.clone()).collect();
                let Some(name) = self.pick(&names) else { return };
                (Verb::Delete, format!("/api/v2/configurations/{name}"), String::new())
            }
        };
        // Some are refused (a locked secret is not deleted, the default group has no second name): then nothing changed.
        let _: u16 = instance.call(verb, &target, &body).status;
    }

    fn create(&mut self, instance: &EmbeddedInstance) {
        let n = self.made;
        let body = format!(r#"{{"secret_type":"arbitrary","name":"secret-{n}","payload":"first of {n}"}}"#);
        let _: u16 = instance.call(Verb::Post, "/api/v2/secrets", &body).status;
    }

    fn pick(&mut self, from: &[String]) -> Option<String> {
        let at = self.random.random_range(0..from.len().max(1));
        from.get(at).cloned()
    }
}

/// What was seen over all runs of a case.
#[derive(Debug, Default)]
struct Seen {
    rounds: u64,
    points: u64,
    /// Of those, claims that speak of `updated_at` too.
    strict: u64,
    per_item: u64,
    /// Captures on a snapshot that ended `per_item`.
    after_per_item: u64,
    changes: u64,
}

#[expect(clippy::print_stdout, reason = "the figures say how much was tried")]
async fn case(precision: Precision, reads_move_updated_at: bool, seed: u64) {
    let wanted = std::env::var("KEYHAVEN_ORACLE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut seen = Seen::default();
    while seen.rounds < wanted {
        let switches = Switches {
            precision,
            reads_move_updated_at,
            locks_move_updated_at: random.random_ratio(1, 2),
            version_metadata_moves_updated_at: random.random_ratio(1, 2),
            ..Switches::default()
        };
        one_instance(switches, random.next_u64(), &mut seen).await;
    }
    println!("{precision:?}, reads move updated_at: {reads_move_updated_at}: {seen:?}");
    assert!(seen.points > 20 && seen.per_item > 5 && seen.after_per_item > 5, "the writer was too lazy: {seen:?}");
    assert!(reads_move_updated_at || seen.strict > 20, "too much is taken for the instance's habit: {seen:?}");
}

#[expect(clippy::print_stdout, reason = "a refused capture is worth knowing")]
async fn one_instance(switches: Switches, seed: u64, seen: &mut Seen) {
    let mut rig = Rig::with(Options { switches, history: true, ..Options::default() }).await;
    let random = ChaCha8Rng::seed_from_u64(seed);
    let writer =
        Writer { random, clock: rig.clock.clone(), eager: 100, left: u32::MAX, rapid: false, flips: false, made: 0 };
    let writer = Arc::new(Mutex::new(writer));
    for _ in 0..12 {
        writer.lock().unwrap().create_now(&rig.instance);
    }
    let chance = {
        let writer = Arc::clone(&writer);
        move |instance: &EmbeddedInstance| writer.lock().unwrap().chance(instance)
    };
    let (first, second, third) = (chance.clone(), chance.clone(), chance);
    rig.instance.fault(When::any(), Act::Before(Arc::new(move |instance, _| first(instance))));
    rig.instance.fault(When::any(), Act::After(Arc::new(move |instance, _| second(instance))));
    let instance = rig.instance.clone();
    rig.source.meanwhile = Some(Arc::new(move || third(&instance)));

    let options = CaptureOptions { concurrency: 1, max_shrink: 1.0, allow_empty: true, ..rig.options() };
    let mut after_per_item = false;
    for _ in 0..CAPTURES {
        {
            let mut writer = writer.lock().unwrap();
            writer.eager = [2, 5, 10, 20, 40][writer.random.random_range(0..5)];
            writer.flips = writer.random.random_ratio(1, 2);
            writer.rapid = writer.flips || writer.random.random_ratio(1, 3);
            writer.left = [3, 10, 30, u32::MAX][writer.random.random_range(0..4)];
            let pause = [0, 0, 500, 60_000][writer.random.random_range(0..4)];
            rig.clock.advance(pause);
        }
        rig.source.listings.lock().unwrap().clear();
        let report = match rig.capture_now(&options).await {
            Ok(report) => report,
            // Deleted and asked for at the wrong moment, or pages that do not add up: it says so and records nothing.
            Err(error @ (CaptureError::Instance(_) | CaptureError::Unlisted { .. })) => {
                println!("seed {seed}: {error}");
                continue;
            }
            Err(error) => panic!("seed {seed}: {error}"),
        };
        seen.rounds += report.rounds;
        seen.after_per_item += u64::from(after_per_item);
        let entry = rig.snapshots().await.pop().unwrap();
        let event = entry.snapshot().unwrap();
        let truth = Truth::of(&rig.instance, event);
        let opened = rig.open(event).await;
        truth.check_payloads(&opened);
        after_per_item = event.consistency != Consistency::PointInTime;
        if after_per_item {
            seen.per_item += 1;
        } else {
            seen.points += 1;
            seen.strict += u64::from(!truth.no_updated_at);
            let listings = rig.source.listings.lock().unwrap().clone();
            let [.., before, after] = listings[..] else { panic!("a claim from one listing") };
            let between = before.1..=after.0;
            assert!(truth.said(event, &between), "seed {seed}: the interval of the entry is not that of the listings");
            if let Err(why) = truth.check_point_in_time(between, &opened) {
                panic!("seed {seed}, sequence {}: a false claim: {why}", entry.sequence);
            }
        }
    }
    seen.changes += writer.lock().unwrap().made;
}

impl Writer {
    fn create_now(&mut self, instance: &EmbeddedInstance) {
        self.made += 1;
        self.create(instance);
    }
}

/// What really was.
pub(crate) struct Truth {
    pub(crate) history: History,
    /// Whether the snapshot says that it does not speak of `updated_at`.
    pub(crate) no_updated_at: bool,
}

/// Everything that the claim covers, of a snapshot or of a state.
type Covered = BTreeMap<String, (Vec<Value>, BTreeMap<String, String>)>;

impl Truth {
    /// What is known of an instance, to hold a snapshot against.
    pub(crate) fn of(instance: &EmbeddedInstance, event: &SnapshotEvent) -> Self {
        let said_so = event.notes.iter().any(|note| note.contains("`updated_at` of secrets is as of the reading"));
        Self { history: instance.history().unwrap(), no_updated_at: said_so }
    }

    /// Every payload that a snapshot points to is the one that the version really had.
    pub(crate) fn check_payloads(&self, opened: &Opened) {
        let mut real: BTreeMap<(String, String), String> = BTreeMap::new();
        for index in 0..self.history.states() {
            if let Some(keyhaven::provider::embedded::ItemChange::Secret(id, Some(secret))) = self.history.change(index)
            {
                for version in &secret.versions {
                    if let Some(payload) = &version.payload {
                        let place = (format!("secret/{id}"), version.id.clone());
                        real.insert(place, payload.expose().to_owned());
                    }
                }
            }
        }
        for key in opened.items.keys().filter(|key| key.starts_with("secret/")) {
            for (version, text) in opened.payloads(key) {
                assert_eq!(real.get(&(key.clone(), version.clone())), Some(&text), "{key}, version {version}");
            }
        }
    }

    /// Whether the entry speaks of the time between these states. `Date` has whole seconds, so a second too early is
    /// right.
    fn said(&self, event: &SnapshotEvent, between: &RangeInclusive<usize>) -> bool {
        let said = self.history.between(event.from, event.to.plus_millis(999));
        said.start() <= between.start() && between.end() <= said.end()
    }

    /// Equal to a state between the end of one listing and the start of the next. Stricter than the interval in the
    /// entry, which is only to the second.
    pub(crate) fn check_point_in_time(&self, states: RangeInclusive<usize>, opened: &Opened) -> Result<(), String> {
        let claimed = self.claimed(opened);
        let mut nearest: Option<String> = None;
        for index in states.clone() {
            let state = self.covered(&self.history.state(index).unwrap());
            if state == claimed {
                return Ok(());
            }
            let differ = difference(&claimed, &state);
            if nearest.as_ref().is_none_or(|nearest| differ.len() < nearest.len()) {
                nearest = Some(differ);
            }
        }
        Err(format!("none of the states {states:?} is like it; nearest: {}", nearest.unwrap_or_default()))
    }

    fn claimed(&self, opened: &Opened) -> Covered {
        let one = |(key, item): (&String, &Item)| {
            let rows = ["row", "locks_row"].iter().filter_map(|name| opened.doc(key, name));
            let payloads = match key.starts_with("secret/") {
                true => opened.payloads(key).into_iter().collect(),
                false => BTreeMap::new(),
            };
            assert!(item.revision.is_some(), "{key} stands in a claim without having been listed before and after");
            (key.clone(), (rows.map(|row| self.plain(&row)).collect(), payloads))
        };
        opened.items.iter().map(one).collect()
    }

    fn covered(&self, state: &PastInstance) -> Covered {
        let mut covered = Covered::new();
        let no_payload = BTreeMap::new;
        for (id, secret) in &state.items.secrets {
            let rows = [state.secret_row(id), state.locks_row(id)];
            let rows = rows.iter().flatten().map(|row| self.plain(row)).collect();
            // Whose read would change it has none in a snapshot.
            let readable = secret.secret_type != "iam_credentials" || secret.fields.bool("reuse_api_key") == Some(true);
            let payloads = secret.versions.iter().filter(|_| readable).filter_map(|version| {
                let payload = version.payload.as_ref()?;
                Some((version.id.clone(), payload.expose().to_owned()))
            });
            covered.insert(format!("secret/{id}"), (rows, payloads.collect()));
        }
        for id in state.items.groups.keys() {
            let row = state.group_row(id).map(|row| self.plain(&row));
            covered.insert(format!("group/{id}"), (row.into_iter().collect(), no_payload()));
        }
        for key in state.items.configurations.keys() {
            let row = state.configuration_row(key).map(|row| self.plain(&row));
            covered.insert(format!("configuration/{key}"), (row.into_iter().collect(), no_payload()));
        }
        if let Some(row) = state.registration_row() {
            covered.insert("registration".to_owned(), (vec![self.plain(&row)], no_payload()));
        }
        covered
    }

    /// A row without what reads move.
    fn plain(&self, row: &str) -> Value {
        let mut row: Value = serde_json::from_str(row).unwrap();
        let object = row.as_object_mut().unwrap();
        for name in ["retrieved_at", "downloaded"] {
            object.remove(name);
        }
        if self.no_updated_at {
            object.remove("updated_at");
        }
        row
    }
}

fn difference(claimed: &Covered, state: &Covered) -> String {
    let keys: BTreeSet<&String> = claimed.keys().chain(state.keys()).collect();
    let differ = keys.into_iter().filter(|key| claimed.get(*key) != state.get(*key));
    differ.map(|key| format!("\n{key}: claimed {:?}, was {:?}", claimed.get(key), state.get(key))).collect()
}

#[tokio::test]
async fn claims_hold_with_times_to_the_millisecond() {
    case(Precision::Millis, false, 1).await;
}

#[tokio::test]
async fn claims_hold_with_times_to_the_second() {
    case(Precision::Seconds, false, 2).await;
}

#[tokio::test]
async fn claims_hold_when_reads_move_times_to_the_millisecond() {
    case(Precision::Millis, true, 3).await;
}

#[tokio::test]
async fn claims_hold_when_reads_move_times_to_the_second() {
    case(Precision::Seconds, true, 4).await;
}
