//! An apply that is killed, or loses its connection, at every single request: the same plan brings it to the same end.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyhaven::job::restore::{ApplyOptions, OnConflict, Plan, PlanOptions, apply};
use keyhaven::provider::embedded::{Act, EmbeddedInstance, Hook, Items, Options, Server, Switches, Verb, When};
use tokio::sync::Notify;

use crate::kit::clock::system_context;
use crate::kit::restore::{
    MemoryBackup, Pair, Peer, STANDBY_ID, confirmed, make_plan, marked_content, options, quick, run,
};

/// What happens at the n-th request of an apply.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Blow {
    /// The process dies before the request is carried out.
    KilledBefore,
    /// The process dies after it was carried out and before the answer comes.
    KilledAfter,
    /// The connection breaks before the request is carried out; the process goes on.
    CutBefore,
    /// The connection breaks after it was carried out; the process goes on.
    CutAfter,
    /// Half an answer, after the request was carried out; the process goes on.
    HalfAnswer,
}

const BLOWS: [Blow; 5] = [Blow::KilledBefore, Blow::KilledAfter, Blow::CutBefore, Blow::CutAfter, Blow::HalfAnswer];

/// One restore that is to be broken in every place.
struct Scenario {
    pair: Pair,
    backup: MemoryBackup,
    options: PlanOptions,
    plan: Plan,
    /// The standby before the apply.
    start: Items,
    /// What an apply that nothing disturbs makes of it.
    end: BTreeMap<String, String>,
    /// How many requests it takes, without those that read back.
    requests: u64,
}

impl Scenario {
    async fn new(pair: Pair) -> Self {
        Self::with(pair, PlanOptions::default()).await
    }

    async fn with(pair: Pair, options: PlanOptions) -> Self {
        let backup = pair.backup().await;
        let plan = make_plan(&pair, &backup, &options).await;
        let start = pair.standby.instance.snapshot().items;
        let mut scenario = Self { pair, backup, options, plan, start, end: BTreeMap::new(), requests: 0 };
        scenario.reset().await;
        let report = run(&scenario.pair, &scenario.backup, &scenario.plan).await;
        assert!(report.kind().is_none(), "{report:#?}");
        scenario.end = marked_content(&scenario.pair.standby);
        scenario.requests = scenario.pair.standby.instance.counters().requests();
        scenario
    }

    /// Puts the standby back to where it was before the apply.
    async fn reset(&mut self) {
        // Of what the provider leaves open, the harder way.
        let switches = Switches { expiration_carries: false, ..Switches::default() };
        let fresh = Options { switches, ..options(STANDBY_ID, "eu-gb", &self.pair.clock) };
        let instance = EmbeddedInstance::with_items(fresh, &self.start);
        let server = Server::start(instance.clone(), ([127, 0, 0, 1], 0).into()).await.unwrap();
        self.plan.standby.url = server.base_url();
        let old = std::mem::replace(&mut self.pair.standby, Peer { instance, server });
        old.server.stop().await;
    }

    /// Applies with a blow at the n-th request.
    async fn strike(&self, blow: Blow, n: u64, concurrency: usize) {
        let standby = &self.pair.standby;
        let struck = Arc::new(Notify::new());
        let (dying, instance) = (Arc::clone(&struck), &standby.instance);
        let hook: Hook = Arc::new(move |_, _| dying.notify_one());
        match blow {
            Blow::KilledBefore => {
                instance.fault(When::any().nth(n), Act::Before(hook));
                instance.fault(When::any().nths(n..), Act::Hang);
            }
            Blow::KilledAfter => {
                instance.fault(When::any().nth(n), Act::After(hook));
                instance.fault(When::any().nth(n), Act::DropAfter);
                instance.fault(When::any().nths(n + 1..), Act::Hang);
            }
            Blow::CutBefore => instance.fault(When::any().nth(n), Act::DropBefore),
            Blow::CutAfter => instance.fault(When::any().nth(n), Act::DropAfter),
            Blow::HalfAnswer => instance.fault(When::any().nth(n), Act::CutBody),
        }
        let options = ApplyOptions { concurrency, ..quick() };
        let (context, consent, client) = (system_context(), confirmed(), standby.client());
        let applying = apply(&context, &self.plan, &self.backup, &client, &options, &consent);
        tokio::select! {
            biased;
            // Dropped, as a killed process drops it.
            () = struck.notified() => {}
            outcome = applying => {
                assert!(!matches!(blow, Blow::KilledBefore | Blow::KilledAfter), "request {n} was never sent");
                let report = outcome.unwrap_or_else(|error| panic!("{blow:?} at {n}: {error}"));
                assert!(report.kind().is_none(), "{blow:?} at {n}: {report:#?}");
            }
        }
        instance.clear_faults();
    }

    /// The same plan again, then once more, then a new one.
    async fn check(&self, blow: Blow, n: u64) {
        let (standby, what) = (&self.pair.standby, format!("{blow:?} at request {n}"));
        let report = run(&self.pair, &self.backup, &self.plan).await;
        assert!(report.kind().is_none(), "{what}: {report:#?}");
        assert_eq!(report.done + report.already, self.plan.totals.steps, "{what}: {report:#?}");
        assert_eq!(marked_content(standby), self.end, "{what}");
        let writes = standby.instance.counters().writing;
        let again = run(&self.pair, &self.backup, &self.plan).await;
        assert_eq!(again.done, 0, "{what}: a second apply changes nothing: {again:#?}");
        assert_eq!(standby.instance.counters().writing, writes, "{what}: and sends nothing");
        let new = make_plan(&self.pair, &self.backup, &self.options).await;
        assert!(new.is_empty(), "{what}: a new plan is empty: {new:#?}");
    }

    /// A new plan in the place of the one that was killed comes to the same end.
    async fn strike_and_plan_anew(mut self) {
        for n in 1..=self.requests {
            self.reset().await;
            self.strike(Blow::KilledAfter, n, 1).await;
            let new = make_plan(&self.pair, &self.backup, &self.options).await;
            let report = run(&self.pair, &self.backup, &new).await;
            assert!(report.kind().is_none(), "killed at request {n}: {report:#?}");
            assert_eq!(marked_content(&self.pair.standby), self.end, "killed at request {n}");
        }
    }

    async fn strike_everywhere(mut self, blows: &[Blow]) {
        for blow in blows {
            for n in 1..=self.requests {
                self.reset().await;
                self.strike(*blow, n, 1).await;
                self.check(*blow, n).await;
            }
        }
    }
}

/// An empty standby: groups, secrets with two versions, locks, a configuration, the registration.
async fn empty_standby() -> Scenario {
    let pair = Pair::start().await;
    let source = &pair.source;
    let group = source.group("prod");
    source.post(
        "configurations",
        r#"{"config_type":"iam_credentials_configuration","name":"engine","api_key":"abcd1234efgh5678"}"#,
    );
    let note = "crn:v1:bluemix:public:event-notifications:eu-de:a/1:3::";
    source.post(
        "notifications/registration",
        &format!(r#"{{"event_notifications_instance_crn":"{note}","event_notifications_source_name":"SM"}}"#),
    );
    let ends = source.make(
        "secrets",
        r#"{"secret_type":"arbitrary","name":"ends","payload":"v1","expiration_date":"2030-01-01T00:00:00Z"}"#,
    );
    source.version(&ends, "v2");
    // Two versions with one payload: only the marks tell them apart.
    let user = source.make(
        "secrets",
        &format!(
            r#"{{"secret_type":"username_password","name":"user","secret_group_id":"{group}","username":"admin",
               "password":"pass-word-1","rotation":{{"auto_rotate":true,"interval":1,"unit":"month"}}}}"#
        ),
    );
    source.make(&format!("secrets/{user}/versions"), r#"{"password":"pass-word-1","version_custom_metadata":{"n":2}}"#);
    source.post(&format!("secrets/{user}/versions/previous/locks_bulk"), r#"{"locks":[{"name":"in-use"}]}"#);
    Scenario::new(pair).await
}

/// A standby that was restored before, and a source that has moved on: versions behind a lock, metadata, other locks.
async fn older_standby() -> Scenario {
    let pair = Pair::start().await;
    let source = &pair.source;
    let held = source.make("secrets", r#"{"secret_type":"arbitrary","name":"held","payload":"v1"}"#);
    source.version(&held, "v2");
    source.post(&format!("secrets/{held}/versions/previous/locks_bulk"), r#"{"locks":[{"name":"in-use"}]}"#);
    let kept = source.make("secrets", r#"{"secret_type":"kv","name":"kept","data":{"a":1}}"#);
    source
        .post(&format!("secrets/{kept}/versions/current/locks_bulk"), r#"{"locks":[{"name":"ll","description":"a"}]}"#);
    let before = pair.backup().await;
    let made = make_plan(&pair, &before, &PlanOptions::default()).await;
    assert!(run(&pair, &before, &made).await.kind().is_none());
    source.call(Verb::Delete, &format!("secrets/{held}/versions/previous/locks_bulk?name=in-use"), "");
    for payload in ["v3", "v4"] {
        source.version(&held, payload);
    }
    source.post(&format!("secrets/{held}/versions/previous/locks_bulk"), r#"{"locks":[{"name":"in-use"}]}"#);
    source
        .patch(&format!("secrets/{kept}/versions/current/metadata"), r#"{"version_custom_metadata":{"ticket":1e400}}"#);
    source.call(Verb::Delete, &format!("secrets/{kept}/versions/current/locks_bulk?name=ll"), "");
    source
        .post(&format!("secrets/{kept}/versions/current/locks_bulk"), r#"{"locks":[{"name":"ll","description":"b"}]}"#);
    Scenario::new(pair).await
}

/// Secrets whose metadata has no room for marks: only payloads tell what is there.
async fn unmarked_standby() -> Scenario {
    let pair = Pair::start().await;
    let big = format!(r#"{{"big":"{}"}}"#, "x".repeat(9_950));
    let body = format!(
        r#"{{"secret_type":"arbitrary","name":"big","payload":"p1","custom_metadata":{big},
           "version_custom_metadata":{big}}}"#
    );
    let id = pair.source.make("secrets", &body);
    let body = format!(r#"{{"payload":"p2","version_custom_metadata":{big}}}"#);
    pair.source.make(&format!("secrets/{id}/versions"), &body);
    Scenario::new(pair).await
}

#[tokio::test]
async fn into_an_empty_standby() {
    empty_standby().await.strike_everywhere(&BLOWS).await;
}

#[tokio::test]
async fn into_an_older_standby() {
    older_standby().await.strike_everywhere(&BLOWS).await;
}

#[tokio::test]
async fn without_room_for_marks() {
    unmarked_standby().await.strike_everywhere(&BLOWS).await;
}

/// A standby with items of its own that are replaced: locks come off, then they are deleted and made anew; and a rewrite.
async fn replaced() -> Scenario {
    let pair = Pair::start().await;
    let user = |name: &str| {
        format!(r#"{{"secret_type":"username_password","name":"user","username":"{name}","password":"pass-word-1"}}"#)
    };
    let ours = pair.source.make("secrets", &user("ours"));
    pair.source.make(&format!("secrets/{ours}/versions"), r#"{"password":"pass-word-2"}"#);
    let theirs = pair.standby.make("secrets", &user("theirs"));
    pair.standby.post(&format!("secrets/{theirs}/versions/current/locks_bulk"), r#"{"locks":[{"name":"theirs"}]}"#);
    let engine =
        |key: &str| format!(r#"{{"config_type":"iam_credentials_configuration","name":"engine","api_key":"{key}"}}"#);
    pair.source.post("configurations", &engine("abcd1234efgh5678"));
    pair.standby.post("configurations", &engine("their1234own5678"));
    let rewrite = r#"{"transforms":[{"select":["user"],"field":"payload","from":"word","to":"term"}]}"#;
    let policies = serde_json::from_str(rewrite).unwrap();
    let options = PlanOptions { on_conflict: OnConflict::Replace, policies, ..PlanOptions::default() };
    Scenario::with(pair, options).await
}

#[tokio::test]
async fn while_items_are_replaced() {
    replaced().await.strike_everywhere(&BLOWS).await;
}

#[tokio::test]
async fn killed_and_planned_anew() {
    empty_standby().await.strike_and_plan_anew().await;
    older_standby().await.strike_and_plan_anew().await;
    unmarked_standby().await.strike_and_plan_anew().await;
    replaced().await.strike_and_plan_anew().await;
}

#[tokio::test]
async fn killed_with_many_requests_in_flight() {
    let mut scenario = empty_standby().await;
    for n in (1..=scenario.requests).step_by(3) {
        scenario.reset().await;
        scenario.strike(Blow::KilledAfter, n, 8).await;
        scenario.check(Blow::KilledAfter, n).await;
    }
}
