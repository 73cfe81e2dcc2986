//! Every act of a fault script against the real program: a backup either succeeds with the truth or fails with the
//! documented exit code. A wrong success is what must never be.

use keyhaven::format::snapshot::Consistency;
use keyhaven::provider::embedded::{FaultScript, Options, every_type, seed, seed_small};
use serde_json::Value;

use super::oracle::Truth;
use crate::kit::program::{Machine, Run, SandboxProcess, terminate};
use crate::kit::site::Site;

/// A host with a backup behind it and an instance that logs every state that it was in.
fn site() -> Site {
    Site::with(Options { history: true, ..Options::default() }, |source| seed(source, 11, 12).unwrap())
}

/// Backs everything up again while the script is played.
fn backup(site: &Site, script: &str) -> Run {
    site.source.reset_counters();
    site.source.play(&FaultScript::parse(script, "script").unwrap());
    let run = site.run(&["backup", "--full", "--json"]);
    assert!(site.source.played().iter().all(|happened| *happened > 0), "a rule never happened: {run:#?}");
    assert_eq!(site.source.forbidden_acts(), []);
    run
}

/// A rule with this act for requests of this kind.
fn rule(when: &str, act: &str) -> String {
    format!("[[rule]]\nwhen = {{ {when} }}\n{act}\n")
}

/// Holds the newest snapshot against every state that the instance was in; the report of the run. It has succeeded, or
/// it has said what its snapshot lacks.
fn truthful(site: &Site, run: &Run) -> Value {
    let report = run.json(if run.code == 3 { 3 } else { 0 });
    let (event, opened) = site.newest_snapshot();
    let truth = Truth::of(&site.source, &event);
    truth.check_payloads(&opened);
    let unread = report["unread"].as_array().unwrap();
    assert_eq!(report["suspect"] != serde_json::json!([]) || !unread.is_empty(), run.code == 3, "{report:#}");
    for item in unread {
        assert!(opened.items.contains_key(item["key"].as_str().unwrap()), "listed, so it is there: {report:#}");
    }
    if !unread.is_empty() {
        return report;
    }
    let claims_a_point = event.consistency == Consistency::PointInTime;
    assert_eq!(report["cut"] == "point_in_time", claims_a_point, "{report:#}");
    if claims_a_point {
        // `Date` has whole seconds.
        let states = truth.history.between(event.from, event.to.plus_millis(999));
        truth.check_point_in_time(states, &opened).unwrap();
    }
    report
}

/// The run failed with this code, and nothing was recorded.
fn failed(site: &Site, before: usize, run: &Run, code: i32) {
    assert_eq!(run.code, code, "{run:#?}");
    assert_eq!(site.stored("ledger").len(), before, "{run:#?}");
    assert!(!run.err.is_empty() && !run.err.contains("panicked"), "{run:#?}");
}

/// Faults that pass: the program has to go on, and what it then says has to be true.
const PASSING: &[(&str, &str)] = &[
    ("times = 20", "act = \"latency\"\nseconds = 0.001\nup_to = 0.01"),
    ("class = \"listing\", nth = 2", "act = \"answer\"\nstatus = 429"),
    ("class = \"reading\", nth = 4", "act = \"answer\"\nstatus = 429\nretry_after = 1"),
    ("class = \"reading\", nth = 4", "act = \"answer\"\nstatus = 429\nretry_after_date = 1"),
    ("class = \"reading\", nth = 4", "act = \"answer\"\nstatus = 500"),
    ("class = \"listing\", nth = 1", "act = \"answer\"\nstatus = 503"),
    ("class = \"token\", nth = 1", "act = \"answer\"\nstatus = 502"),
    ("class = \"reading\", nth = 2", "act = \"drop\""),
    ("class = \"token\", nth = 1", "act = \"drop\"\ndone = \"after\""),
    ("class = \"reading\", nth = 2", "act = \"drop\"\ndone = \"after\""),
    ("class = \"listing\", nth = 2", "act = \"cut\""),
    ("class = \"reading\", nth = 3", "act = \"cut\""),
    ("class = \"listing\", nth = 1", "act = \"empty\""),
    ("class = \"reading\", nth = 3", "act = \"empty\""),
    ("class = \"reading\", nth = 3", "act = \"garbage\""),
    ("nth = 10", "act = \"expire-tokens\""),
    ("nth = 8", "act = \"outage\"\nseconds = 0.6"),
    ("nth = 8", "act = \"outage\"\nseconds = 0.6\nstatus = 503"),
];

#[test]
fn what_passes_is_borne_and_the_snapshot_is_true() {
    let site = site();
    for (when, act) in PASSING {
        let run = backup(&site, &rule(when, act));
        let report = truthful(&site, &run);
        assert_eq!(report["cut"], "point_in_time", "{act}: {report:#}");
        if act.contains("expire-tokens") {
            assert!(site.source.counters().tokens >= 2, "no new token was asked for");
        }
    }
}

#[test]
fn a_source_that_falls_over_all_the_time_is_still_backed_up_as_it_is() {
    let site = site();
    let acts = ["answer\"\nstatus = 429", "drop\"", "cut\"", "empty\"", "answer\"\nstatus = 502"];
    let rules: String = acts.iter().map(|act| rule("probability = 0.05", &format!("act = \"{act}"))).collect();
    let rules = format!("{rules}{}", rule("nth = 20", "act = \"expire-tokens\""));
    site.source.play(&FaultScript::parse(&format!("seed = 5\n{rules}"), "script").unwrap());
    truthful(&site, &site.run(&["backup", "--full", "--json"]));
    assert!(site.source.played().iter().sum::<u64>() > 3, "{:?}", site.source.played());
}

#[test]
fn every_type_is_backed_up_as_it_is_from_a_source_that_falls_over_and_nothing_in_it_changes() {
    let site = Site::with(Options { history: true, ..Options::default() }, |source| every_type(source, 11).unwrap());
    let before = site.source.snapshot().items.live_credentials();
    let acts = ["answer\"\nstatus = 429", "drop\"", "cut\""];
    let rules: String = acts.iter().map(|act| rule("probability = 0.03", &format!("act = \"{act}"))).collect();
    let dead = rule("nth = 40", "act = \"expire-tokens\"");
    let run = backup(&site, &format!("seed = 3\n{rules}{dead}"));
    truthful(&site, &run);
    assert_eq!(site.source.snapshot().items.live_credentials(), before, "no key was replaced");
}

/// Faults that stay. A pause of five minutes is longer than the program tries, so that the test need not wait.
const LASTING: &[(&str, &str, i32)] = &[
    ("class = \"listing\"", "act = \"answer\"\nstatus = 503\nretry_after = 300", 17),
    ("class = \"listing\", nth = 3", "act = \"answer\"\nstatus = 403", 17),
    ("class = \"token\"", "act = \"answer\"\nstatus = 400", 17),
    ("class = \"any\", from = 12", "act = \"answer\"\nstatus = 401", 17),
    ("path = \"secrets_locks\"", "act = \"page\"\nfault = \"skip-row\"", 17),
    ("path = \"/api/v2/secrets\"", "act = \"page\"\nfault = \"skip-row\"", 17),
];

#[test]
fn what_stays_ends_with_the_documented_code_and_records_nothing() {
    let site = site();
    let before = site.stored("ledger").len();
    for (when, act, code) in LASTING {
        let run = backup(&site, &rule(when, act));
        failed(&site, before, &run, *code);
    }
    site.source.clear_faults();
    truthful(&site, &site.run(&["backup", "--full", "--json"]));
}

#[test]
fn items_that_cannot_be_read_are_named_and_the_run_ends_with_3() {
    let site = site();
    for when in ["class = \"reading\", from = 5", "path = \"/versions\", nth = 2"] {
        let report = truthful(&site, &backup(&site, &rule(when, "act = \"answer\"\nstatus = 403")));
        assert_ne!(report["unread"], serde_json::json!([]), "{report:#}");
    }
}

#[test]
fn a_writer_makes_no_claim_false() {
    let site = site();
    for (seed, when) in
        [(1, "times = 3, every = 9"), (2, "times = 8, probability = 0.3"), (3, "times = 2, class = \"reading\"")]
    {
        let script = format!("seed = {seed}\n{}", rule(when, "act = \"write\"\nat_once = 2"));
        let before = site.source.states();
        let run = backup(&site, &script);
        assert_ne!(before, site.source.states(), "the writer wrote nothing");
        truthful(&site, &run);
    }
}

#[test]
fn pages_that_move_under_the_reader_hide_nothing() {
    // Two pages: the provider's largest page has a thousand rows.
    let options = Options { history: true, ..Options::default() };
    let site = Site::with(options, |source| seed_small(source, 3, 1_020).unwrap());
    for changes in ["delete", "create"] {
        let act = format!("act = \"shift\"\nchanges = [\"{changes}\"]");
        let script = rule("path = \"/api/v2/secrets\", times = 2", &act);
        site.source.play(&FaultScript::parse(&script, "script").unwrap());
        truthful(&site, &site.run(&["backup", "--json"]));
        assert_eq!(site.source.played(), [2]);
    }
}

#[test]
fn a_source_that_never_answers_is_left_at_a_signal() {
    let site = site();
    let before = site.stored("ledger").len();
    let script = rule("class = \"reading\", nth = 3", "act = \"hang\"");
    site.source.play(&FaultScript::parse(&script, "script").unwrap());
    let child = site.machine.command(&["backup", "--full", "--json"]).spawn().unwrap();
    while site.source.played() != [1] {
        assert!(site.source.counters().requests() < 1_000, "the rule never happened");
        std::thread::yield_now();
    }
    terminate(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(site.stored("ledger").len(), before);
}

#[test]
fn a_sandbox_plays_the_script_that_it_was_started_with() {
    let machine = Machine::new();
    machine.write("refuse.toml", &rule("path = \"/versions\", from = 3", "act = \"answer\"\nstatus = 403"));
    let kept = ["--seed", "7", "--secrets", "6", "--data", "state.sandbox"];
    let source = SandboxProcess::start(&machine, &kept);
    machine.run(&["keys", "new", "--out", "kit", "--no-passphrase", "--json"]).json(0);
    machine.write("api-key", &source.api_key);
    let init =
        ["init", "--json", "--recovery", "kit/public.txt", "--source-url", &source.url, "--iam-url", &source.iam_url];
    let rest = ["--api-key-file", "api-key", "--repository", "repo", "--state-dir", "state"];
    machine.run(&[&init[..], &rest].concat()).json(0);
    assert_eq!(source.stop(), 0);
    for (faults, code) in [(&["--faults", "refuse.toml"][..], 3), (&[], 0)] {
        let source = SandboxProcess::start(&machine, &[&kept, faults].concat());
        let environment = [
            ("KEYHAVEN_SOURCE_URL", source.url.as_str()),
            ("KEYHAVEN_SOURCE_IAM_URL", source.iam_url.as_str()),
            ("KEYHAVEN_SOURCE_REQUESTS_PER_SECOND", "1000"),
        ];
        let run = machine.run_with(&environment, &["backup", "--json"]);
        assert_eq!(run.code, code, "{run:#?}");
        assert_eq!(source.stop(), 0);
    }
}

#[test]
fn a_script_or_a_switch_that_does_not_fit_ends_with_2_and_says_what_would() {
    let machine = Machine::new();
    machine.write("slip.toml", "[[rule]]\nact = \"answer\"\nstatsu = 429\n");
    machine.run(&["sandbox", "--faults", "slip.toml"]).fails(2, &["slip.toml, line 3", "did you mean `status`?"]);
    machine.run(&["sandbox", "--faults", "none.toml"]).fails(2, &["cannot read the fault script none.toml"]);
    machine.run(&["sandbox", "--switch", "precison=seconds"]).fails(2, &["did you mean `precision`?"]);
    machine.run(&["sandbox", "--switch", "precision"]).fails(2, &["NAME=VALUE"]);
    machine.run(&["sandbox", "--switch", "precision=hours"]).fails(2, &["takes millis or seconds", "hours"]);
}
