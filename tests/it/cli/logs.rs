//! The log: text for people, one JSON object a line on demand.

use serde_json::Value;

use crate::kit::program::Run;
use crate::kit::site::Site;

/// Every line of standard error as an object.
fn lines(run: &Run) -> Vec<Value> {
    run.err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn with_message<'l>(lines: &'l [Value], message: &str) -> &'l Value {
    lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("no `{message}`: {lines:#?}"))
}

#[test]
fn json_lines_name_job_snapshot_and_duration() {
    let site = Site::seeded();
    let run = site.run(&["backup", "--json", "--log-format", "json", "-v"]);
    let made = run.json(0);
    let lines = lines(&run);
    let ended = with_message(&lines, "run ended");
    assert_eq!((&ended["job"], &ended["ending"]), (&"backup".into(), &"succeeded".into()));
    assert_eq!((&ended["snapshot"], &ended["sequence"]), (&made["snapshot"], &made["sequence"]));
    assert!(ended["duration_ms"].is_u64() || ended["duration_ms"].is_i64(), "{ended}");
    assert_eq!(with_message(&lines, "run started")["run"], ended["run"]);
    for line in &lines {
        assert_eq!(line["command"], "backup");
        line["time"].as_str().unwrap().parse::<keyhaven::model::Timestamp>().unwrap();
        assert!(["error", "warn", "info", "debug", "trace"].contains(&line["level"].as_str().unwrap()), "{line}");
    }
}

#[test]
fn warnings_and_failures_are_lines_like_the_others() {
    let site = Site::seeded();
    site.machine.write("api-key", "no key of this instance");
    let run = site.machine.run_with(&[("KEYHAVEN_LOG_FORMAT", "json")], &["backup"]);
    assert_eq!(run.code, 17, "{run:#?}");
    let lines = lines(&run);
    assert!(lines.iter().any(|line| line["level"] == "warn"), "one recovery recipient is worth a warning: {lines:#?}");
    let error = lines.iter().find(|line| line["level"] == "error").unwrap();
    assert_eq!(error["exit"], 17);
    let config = site.machine.read("keyhaven.toml").replacen("[log]\n", "[log]\nformat = \"json\"\n", 1);
    site.machine.write("keyhaven.toml", &config);
    assert!(!self::lines(&site.run(&["backup"])).is_empty(), "the file says it, too");
    assert!(site.run(&["backup", "--log-format", "text"]).err.contains("error: "), "a flag beats the file");
    let config = config.replacen("format = \"json\"", "format = \"jsn\"", 1);
    site.machine.write("keyhaven.toml", &config);
    site.run(&["backup"]).fails(2, &["`log.format` must be \"text\" or \"json\""]);
}

#[test]
fn levels_are_ours_alone() {
    let site = Site::seeded();
    assert!(!site.run(&["verify"]).err.contains("run ended"), "quiet by default");
    let run =
        site.machine.run_with(&[("RUST_LOG", "hyper=trace,reqwest=trace,trace")], &["backup", "--log-format", "json"]);
    let ended = with_message(&lines(&run), "run ended").clone();
    assert_eq!(ended["job"], "backup");
    use secrecy::ExposeSecret as _;
    let key = site.source.options().api_key.expose_secret().to_owned();
    for word in ["authorization", "Bearer", key.as_str()] {
        assert!(!run.err.contains(word), "{word}");
    }
    let run = site.machine.run_with(&[("RUST_LOG", "trace")], &["verify", "--log-level", "off"]);
    assert!(run.err.is_empty(), "a flag beats the environment: {run:#?}");
}

/// A span is protobuf; its texts stand in it as they are.
#[cfg(feature = "otel")]
#[test]
fn a_run_is_a_span_for_a_collector_and_one_that_is_down_is_a_warning() {
    use crate::kit::receivers::{Answer, Receiver};

    let site = Site::seeded();
    let collector = Receiver::start(Answer::Status(200));
    let endpoint = collector.url("");
    let run = site.machine.run_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)], &["backup", "--json"]);
    let snapshot = run.json(0)["snapshot"].as_str().unwrap().to_owned();
    assert!(!run.err.contains("OpenTelemetry"), "{run:#?}");
    let [request] = &collector.take()[..] else { panic!("not one request") };
    assert_eq!((request.method.as_str(), request.path()), ("POST", "/v1/traces"));
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    for text in ["keyhaven.backup", "keyhaven.ending", "succeeded", "service.name", &snapshot] {
        assert!(request.body.contains(text), "{text}: {request:?}");
    }
    let down = Receiver::start(Answer::Status(503)).url("");
    let run = site.machine.run_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &down)], &["backup"]);
    assert!(run.code == 0 && run.err.contains("not notified: OpenTelemetry"), "{run:#?}");
    assert_eq!(site.run(&["backup"]).code, 0);
    assert!(collector.take().is_empty(), "without the variable nothing is sent");
}
