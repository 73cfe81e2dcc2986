//! What cannot be taken back, killed or cut off at every request: secrets that the standby issues, and signatures.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyhaven::job::restore::{ApplyOptions, ApplyReport, Plan, PlanOptions, Signatures, apply_signed};
use keyhaven::model::json::JsonObject;
use keyhaven::provider::Signer;
use keyhaven::provider::embedded::{Act, EmbeddedInstance, Hook, Options, Server, Switches, Verb, When};
use tokio::sync::Notify;

use super::{authorities, reissue};
use crate::kit::clock::system_context;
use crate::kit::pki::{Openssl, status};
use crate::kit::restore::{MemoryBackup, Pair, Peer, STANDBY_ID, confirmed, make_plan, options, quick};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// The process is gone when the request has arrived and been answered.
    Killed,
    /// The request is lost.
    CutBefore,
    /// The answer is lost.
    CutAfter,
}

struct Stage {
    pair: Pair,
    backup: MemoryBackup,
    plan: Plan,
    /// Whether the source signs.
    signs: bool,
}

impl Stage {
    /// An empty standby, like the first one.
    async fn reset(&mut self) {
        let switches = Switches { task_answer_seconds: 1, ..Switches::default() };
        let instance = EmbeddedInstance::new(Options { switches, ..options(STANDBY_ID, "eu-gb", &self.pair.clock) });
        let server = Server::start(instance.clone(), ([127, 0, 0, 1], 0).into()).await.unwrap();
        self.plan.standby.url = server.base_url();
        std::mem::replace(&mut self.pair.standby, Peer { instance, server }).server.stop().await;
        self.pair.source.instance.reset_counters();
    }

    async fn apply(&self) -> ApplyReport {
        let (source, client) = (self.pair.source.client(), self.pair.standby.client());
        let signatures = Signatures { given: None, source: self.signs.then_some(&source as &dyn Signer) };
        // One request after the other, so that none is on its way when another one is the last.
        let quick = ApplyOptions { concurrency: 1, ..quick() };
        let (context, consent) = (system_context(), confirmed());
        apply_signed(&context, &self.plan, &self.backup, &client, &quick, &consent, signatures).await.unwrap()
    }

    async fn strike(&self, blow: Blow, n: u64) {
        let instance = &self.pair.standby.instance;
        let struck = Arc::new(Notify::new());
        let dying = Arc::clone(&struck);
        match blow {
            Blow::Killed => {
                let hook: Hook = Arc::new(move |_, _| dying.notify_one());
                instance.fault(When::any().nth(n), Act::After(hook));
                instance.fault(When::any().nth(n), Act::DropAfter);
                instance.fault(When::any().nths(n + 1..), Act::Hang);
            }
            Blow::CutBefore => instance.fault(When::any().nth(n), Act::DropBefore),
            Blow::CutAfter => instance.fault(When::any().nth(n), Act::DropAfter),
        }
        tokio::select! {
            biased;
            () = struck.notified() => {}
            _ = self.apply() => assert_ne!(blow, Blow::Killed, "request {n} was never sent"),
        }
        instance.clear_faults();
    }

    /// Every secret by type and name, with how many there are, how many versions they have, and their locks.
    fn secrets(&self) -> BTreeMap<String, Vec<(u64, u64)>> {
        let reply = self.pair.standby.instance.call(Verb::Get, "/api/v2/secrets?limit=1000", "");
        let mut found = BTreeMap::<String, Vec<_>>::new();
        for row in JsonObject::parse(&reply.body).unwrap().array("secrets").unwrap() {
            let row = JsonObject::parse(row.get()).unwrap();
            let name = format!("{} {}", row.str("secret_type").unwrap(), row.str("name").unwrap());
            let count = |member: &str| row.u64(member).unwrap_or_default();
            found.entry(name).or_default().push((count("versions_total"), count("locks_total")));
        }
        found
    }

    fn writes(&self) -> u64 {
        self.pair.standby.instance.counters().writing
    }
}

#[tokio::test]
async fn nothing_is_issued_twice_wherever_an_apply_is_killed_or_cut_off() {
    let (pair, backup) = reissue::source().await;
    let options = PlanOptions {
        exclude: vec!["name:mesh".parse().unwrap(), "name:outside".parse().unwrap()],
        ..reissue::reissue()
    };
    let plan = make_plan(&pair, &backup, &options).await;
    let mut stage = Stage { pair, backup, plan, signs: false };
    stage.reset().await;
    let whole = stage.apply().await;
    assert_eq!(whole.kind(), None, "{whole:#?}");
    let (end, writes) = (stage.secrets(), stage.writes());
    let requests = stage.pair.standby.instance.counters().requests();
    assert!(end.len() > 5 && end.values().all(|all| all.len() == 1), "{end:?}");
    for blow in [Blow::Killed, Blow::CutBefore, Blow::CutAfter] {
        for n in 1..=requests {
            stage.reset().await;
            stage.strike(blow, n).await;
            let report = stage.apply().await;
            assert!(report.failed.is_empty() && report.conflicts.is_empty(), "{blow:?} at {n}: {report:#?}");
            assert_eq!((report.kind(), stage.secrets()), (None, end.clone()), "{blow:?} at {n}: {report:#?}");
            if blow != Blow::CutBefore {
                assert_eq!(stage.writes(), writes, "{blow:?} at {n}: each change was sent once");
            }
        }
    }
}

#[tokio::test]
async fn the_source_signs_once_in_a_run_and_an_authority_gets_its_certificate_whatever_is_cut_off() {
    let openssl = Openssl::new();
    let (pair, backup) = authorities::source(&openssl).await;
    let options = PlanOptions {
        sign_with_source: true,
        exclude: vec!["name:mesh".parse().unwrap(), "name:outside".parse().unwrap()],
        ..PlanOptions::default()
    };
    let plan = make_plan(&pair, &backup, &options).await;
    let mut stage = Stage { pair, backup, plan, signs: true };
    stage.reset().await;
    let whole = stage.apply().await;
    assert_eq!((whole.kind(), stage.pair.source.instance.counters().writing), (None, 1), "{whole:#?}");
    let requests = stage.pair.standby.instance.counters().requests();
    for blow in [Blow::Killed, Blow::CutBefore, Blow::CutAfter] {
        for n in 1..=requests {
            stage.reset().await;
            stage.strike(blow, n).await;
            let signed = stage.pair.source.instance.counters().writing;
            assert!(signed <= 1, "{blow:?} at {n}: signed {signed} times in one run");
            let report = stage.apply().await;
            assert_eq!(report.kind(), None, "{blow:?} at {n}: {report:#?}");
            let signed = stage.pair.source.instance.counters().writing;
            assert_eq!(signed, 1, "{blow:?} at {n}");
            assert_eq!(status(&stage.pair.standby.instance, "issuing"), "configured", "{blow:?} at {n}");
        }
    }
}
