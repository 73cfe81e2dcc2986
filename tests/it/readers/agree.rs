//! Generated repositories: this reader finds what the model of the rules expects, and what a second reader finds that was
//! written from `docs/format.md` alone; whole ones, attacked ones, and ones with spoiled bytes.
//!
//! A share of them each time; all with `KEYHAVEN_TEST_LONG=1`.

use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use keyhaven::format::names;
use keyhaven::repository::ledger::{Ledger, Problem};
use keyhaven::repository::trust::{Pin, PinError};
use keyhaven::repository::{Repository, RepositoryError, Store};
use serde_json::{Map, Value, json};

use crate::kit::environment::{is_long, python};

/// Generated repositories in a directory, and the lines that describe them.
pub(crate) struct Worlds {
    directory: tempfile::TempDir,
    pub(crate) lines: Vec<Value>,
}

impl Worlds {
    pub(crate) fn generate(arguments: &[&str], list: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = python("worlds.py");
        command.args(arguments).arg("--out").arg(directory.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(directory.path().join(list)).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!lines.is_empty(), "nothing was generated");
        Self { directory, lines }
    }

    pub(crate) fn place(&self, line: &Value) -> PathBuf {
        self.directory.path().join(line["directory"].as_str().unwrap())
    }

    /// What the second reader answers, in the order of the lines.
    fn second_reader(&self) -> Vec<Value> {
        let jobs: Vec<String> = self
            .lines
            .iter()
            .map(|line| {
                json!({"directory": self.place(line), "repository": line["repository"], "pins": line["pins"]})
                    .to_string()
            })
            .collect();
        let batch = self.directory.path().join("jobs.jsonl");
        std::fs::write(&batch, jobs.join("\n") + "\n").unwrap();
        let mut command = python("second_reader.py");
        command.arg("--batch").arg(&batch);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), self.lines.len());
        answers
    }

    /// What this reader answers.
    fn first_reader(&self) -> Vec<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        self.lines.iter().map(|line| runtime.block_on(answer(&self.place(line), line))).collect()
    }
}

fn pins(line: &Value) -> Vec<Pin> {
    let pin = |text: &str| {
        let (reference, bytes) =
            text.split_once('=').map_or((text, None), |(reference, bytes)| (reference, Some(bytes)));
        let bytes = bytes.map(|bytes| BASE64.decode(bytes.as_bytes()).unwrap().into());
        Pin { policy: reference.parse().unwrap(), bytes }
    };
    line["pins"].as_array().unwrap().iter().map(|text| pin(text.as_str().unwrap())).collect()
}

async fn answer(place: &Path, line: &Value) -> Value {
    let id = line["repository"].as_str().unwrap().parse().unwrap();
    let read = async {
        let repository = Repository::open_pinned(Store::local(place), id, pins(line)).await?;
        repository.read_ledger().await
    };
    match read.await {
        Ok(ledger) => stated(&ledger),
        Err(error) => {
            let word = match &error {
                RepositoryError::NoRepository { .. } | RepositoryError::OtherRepository { .. } => "no_policy",
                RepositoryError::Pin(PinError::TwoBranches { .. }) => "pins",
                RepositoryError::Pin(PinError::Missing { .. } | PinError::Foreign { .. }) => "pin_missing",
                error => panic!("{place:?}: {error:?}"),
            };
            json!({"policy": {"error": word}, "latest": null})
        }
    }
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Value {
    let mut texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    texts.sort_unstable();
    texts.into()
}

/// All that a ledger says, in the words of the second reader.
fn stated(ledger: &Ledger) -> Value {
    let trust = ledger.trust();
    let entries: Map<String, Value> =
        ledger.judged().map(|(entry, status)| (entry.reference().to_string(), status.as_str().into())).collect();
    let snapshots: Map<String, Value> = ledger
        .snapshots()
        .into_iter()
        .map(|entry| {
            let state = match ledger.state(&entry.digest).unwrap() {
                keyhaven::repository::ledger::SnapshotState::Live => "live",
                keyhaven::repository::ledger::SnapshotState::Forgotten { .. } => "forgotten",
                keyhaven::repository::ledger::SnapshotState::Swept { .. } => "swept",
            };
            let value = json!({
                "state": state,
                "held": ledger.holds().contains_key(&entry.digest),
                "suspect": !ledger.is_good(entry),
                "partial": entry.snapshot().unwrap().partial,
            });
            (entry.reference().to_string(), value)
        })
        .collect();
    let refused = ledger.pending_snapshots().next().is_some();
    let rubbish = ledger.problems().iter().find_map(|problem| match problem {
        Problem::Rubbish(rubbish) => Some(rubbish.count),
        _ => None,
    });
    let early = ledger.problems().iter().filter_map(|problem| match problem {
        Problem::EarlySweep { entry } => names::parse_entry(entry),
        _ => None,
    });
    json!({
        "policy": {
            "in_force": texts(trust.branches().map(|(version, _)| version)),
            "fit": texts(trust.fit()),
            "missing": texts(trust.missing()),
            "fork": trust.is_fork(),
            "error": null,
        },
        "entries": entries,
        "unproven": texts(ledger.unproven().map(keyhaven::format::Entry::reference)),
        "heads": texts(ledger.heads().into_iter().map(keyhaven::format::Entry::reference)),
        "holes": texts(ledger.holes().iter().map(|hole| hole.entry)),
        "rubbish": rubbish.unwrap_or(0) + ledger.later().len() as u64,
        "snapshots": snapshots,
        "latest": ledger.latest_good().filter(|_| !refused).map(|entry| entry.reference().to_string()),
        "latest_refused": refused,
        "early_sweeps": texts(early),
    })
}

/// Where two answers differ, each with both values. What one of them does not say at all is not compared.
fn differences(one: &Value, other: &Value) -> Vec<String> {
    let error = |answer: &Value| answer["policy"]["error"].as_str().map(str::to_owned);
    if error(one).is_some() || error(other).is_some() {
        // With nothing in force there is nothing else to say. Which of several errors is named first is free, and a place
        // that holds nothing of a repository may be called empty, whatever a pin brings.
        let nothing = |answer: &Value| {
            let none = answer["entries"].as_object().is_some_and(Map::is_empty) && answer["latest"].is_null();
            error(answer).is_some() || none
        };
        let alike = nothing(one) && nothing(other) && one["latest"].is_null() && other["latest"].is_null();
        return if alike { Vec::new() } else { vec![format!("error: {:?} / {:?}", error(one), error(other))] };
    }
    let both = one.as_object().unwrap().keys().filter(|name| other.get(name.as_str()).is_some());
    both.flat_map(|name| inside(name, &one[name.as_str()], &other[name.as_str()])).collect()
}

fn inside(place: &str, one: &Value, other: &Value) -> Vec<String> {
    match (one.as_object(), other.as_object()) {
        (Some(left), Some(right)) => {
            let names: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            let null = Value::Null;
            names
                .into_iter()
                .flat_map(|name| {
                    let (left, right) = (left.get(name).unwrap_or(&null), right.get(name).unwrap_or(&null));
                    inside(&format!("{place}.{name}"), left, right)
                })
                .collect()
        }
        _ if one == other => Vec::new(),
        _ => vec![format!("{place}: {one} / {other}")],
    }
}

/// That no two answers differ; else the first ones that do, with what is to be run again.
fn assert_alike(worlds: &Worlds, who: &str, ones: &[Value], others: &[Value]) {
    let pairs = worlds.lines.iter().zip(ones.iter().zip(others));
    let wrong: Vec<String> = pairs
        .filter_map(|(line, (one, other))| {
            let found = differences(one, other);
            (!found.is_empty()).then(|| format!("{} {}:\n  {}", line["directory"], line["name"], found.join("\n  ")))
        })
        .collect();
    let shown = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{who}: {} of {} differ\n{shown}", wrong.len(), worlds.lines.len());
}

fn expected(worlds: &Worlds) -> Vec<Value> {
    worlds.lines.iter().map(|line| line["expected"].clone()).collect()
}

#[test]
#[ignore = "needs the Python environment: tests/run"]
fn generated_repositories_are_read_as_the_rules_say() {
    let count = if is_long() { "3000" } else { "300" };
    let worlds = Worlds::generate(&["generate", "--seed", "11", "--count", count], "expected.jsonl");
    let (first, second) = (worlds.first_reader(), worlds.second_reader());
    assert_alike(&worlds, "the model and this reader", &expected(&worlds), &first);
    assert_alike(&worlds, "the model and the second reader", &expected(&worlds), &second);
    assert_alike(&worlds, "this and the second reader", &first, &second);
    // The comparison is of something: forks, pending and void entries, and honest ones, all occur.
    let says = |wanted: &str| first.iter().filter(|answer| answer.to_string().contains(wanted)).count();
    for wanted in ["\"fork\":true", "\"pending\"", "\"void\"", "\"stranger\"", "\"counts\"", "\"latest_refused\":true"]
    {
        assert!(says(wanted) > 3, "{wanted} in {} of them", says(wanted));
    }
}

#[test]
#[ignore = "needs the Python environment: tests/run"]
fn attacks_and_every_small_history_are_read_as_the_rules_say() {
    for (kind, count) in [("attacks", "0"), ("exhaustive", if is_long() { "0" } else { "150" })] {
        let worlds = Worlds::generate(&["generate", "--kind", kind, "--count", count], "expected.jsonl");
        let (first, second) = (worlds.first_reader(), worlds.second_reader());
        assert_alike(&worlds, kind, &expected(&worlds), &first);
        assert_alike(&worlds, kind, &first, &second);
    }
}

#[test]
#[ignore = "needs the Python environment: tests/run"]
fn both_readers_make_the_same_of_spoiled_bytes() {
    let count = if is_long() { "3000" } else { "300" };
    let worlds = Worlds::generate(&["mutate", "--seed", "12", "--count", count], "batch.jsonl");
    assert_alike(&worlds, "spoiled", &worlds.first_reader(), &worlds.second_reader());
}
