//! `docs/audit.sh` and this reader agree on generated repositories: on the policy in force, on what every entry is, on
//! heads, holes and rubbish, and so on the exit code.
//!
//! The script knows less, and says so. Files that it judges otherwise for that reason are [`Beyond`] it: they are taken out
//! of the repository, and what is left is compared. A share of the repositories each time; all with `KEYHAVEN_TEST_LONG=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyhaven::crypto::digest::sha256;
use keyhaven::format::entry::SignedEntry;
use keyhaven::format::{FormatError, Policy, PolicyRef, names};
use keyhaven::model::Digest;
use keyhaven::repository::ledger::{EntryStatus, Ledger, Pending, Problem, Void};
use keyhaven::repository::trust::{Misfit, Pin, PinError};
use keyhaven::repository::{Repository, RepositoryError, Store};
use serde_json::Value;

use super::agree::Worlds;
use crate::kit::environment::{is_long, root};
use crate::kit::files::files;

/// Why the script says something else of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Beyond {
    /// It takes it for an entry: it does not look into bodies, at subjects, or at members that it does not need.
    Form,
    /// It takes it for rubbish: it knows one algorithm.
    Algorithm,
    /// It places an entry whose sequence is too far above all others.
    Reach,
}

/// What this reader finds wrong in the form of an entry or policy that the script does not look at.
const FORM: [&str; 4] = [
    "a member is missing, repeated or of the wrong type",
    "its subjects are not what its body is about",
    "its subject is not its RECOVER.md",
    "it names no snapshot, too many, or one twice",
];

/// A repository, and the pin as the script takes it: one, without bytes.
struct World<'a> {
    place: &'a Path,
    id: &'a str,
    pin: String,
}

/// What both print, one finding a line, and how many files are rubbish.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    lines: BTreeSet<String>,
    rubbish: u64,
    code: i32,
}

impl World<'_> {
    async fn read(&self) -> Result<Ledger, RepositoryError> {
        let pin = Pin { policy: self.pin.parse().unwrap(), bytes: None };
        let store = Store::local(self.place);
        Repository::open_pinned(store, self.id.parse().unwrap(), vec![pin]).await?.read_ledger().await
    }

    /// What this reader finds.
    fn expected(&self, ledger: &Result<Ledger, RepositoryError>) -> Findings {
        let ledger = match ledger {
            Ok(ledger) => ledger,
            Err(
                RepositoryError::NoRepository { .. }
                | RepositoryError::OtherRepository { .. }
                | RepositoryError::Pin(
                    PinError::Missing { .. } | PinError::Foreign { .. } | PinError::TwoBranches { .. },
                ),
            ) => return Findings { lines: [format!("missing {}", self.pin)].into(), rubbish: 0, code: 13 },
            Err(error) => panic!("{:?}: {error:?}", self.place),
        };
        let trust = ledger.trust();
        let branches: Vec<PolicyRef> = trust.branches().map(|(version, _)| version).collect();
        let word = if trust.is_fork() { "fork" } else { "policy" };
        let mut lines = BTreeSet::from([format!("{word} {}", joined(&branches))]);
        lines.extend(trust.missing().iter().map(|version| format!("missing {version}")));
        lines.extend(ledger.judged().map(|(entry, status)| format!("{} {}", status.as_str(), entry.reference())));
        lines.extend(ledger.heads().iter().map(|entry| format!("head {}", entry.reference())));
        lines.extend(ledger.holes().iter().map(|hole| format!("hole {}", hole.entry)));
        // The script takes an entry of a later version for rubbish.
        let counts = ledger.problems().iter().map(|problem| match problem {
            Problem::Rubbish(rubbish) => rubbish.count,
            Problem::Later { files } => files.len() as u64,
            _ => 0,
        });
        let rubbish: u64 = counts.sum();
        let fine = |line: &String| ["policy ", "counts ", "head "].iter().any(|word| line.starts_with(word));
        let code = if rubbish == 0 && lines.iter().all(fine) { 0 } else { 13 };
        Findings { lines, rubbish, code }
    }

    /// What the script finds.
    fn audit(&self) -> Findings {
        let mut command = Command::new("sh");
        command.arg(root().join("docs/audit.sh")).arg(self.place).arg(self.id);
        // Without a pin it takes version 1.
        if self.pin != format!("000001-{}", self.id) {
            command.arg(&self.pin);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let mut lines: BTreeSet<String> = told.lines().map(str::to_owned).collect();
        let code = output.status.code().unwrap();
        let last = if code == 0 { "all is well" } else { "something is wrong" };
        assert!(lines.remove(last), "{:?}: {code}: {told}{}", self.place, String::from_utf8_lossy(&output.stderr));
        let all = lines.len();
        lines.retain(|line| !line.starts_with("rubbish "));
        let mut rubbish = (all - lines.len()) as u64;
        if lines.contains(&format!("missing {}", self.pin)) {
            // With nothing in force this reader says nothing about the rest.
            rubbish = 0;
        }
        Findings { lines, rubbish, code }
    }

    /// The files that the script judges otherwise.
    fn beyond(&self, ledger: &Result<Ledger, RepositoryError>) -> BTreeMap<String, Beyond> {
        let mut found: BTreeMap<String, Beyond> = files(self.place)
            .into_iter()
            .filter_map(|name| {
                let why = form(&name, &std::fs::read(self.place.join(&name)).unwrap())?;
                Some((name, why))
            })
            .collect();
        let Ok(ledger) = ledger else { return found };
        for (entry, status) in ledger.judged() {
            let far = match status {
                EntryStatus::Pending(Pending::OutOfReach) => true,
                EntryStatus::Void(Void::Unplaced) => ledger.trust().is_known(&entry.policy),
                _ => false,
            };
            if far {
                found.insert(entry.name(), Beyond::Reach);
            }
        }
        found
    }
}

/// Whether the form of a file is beyond the script.
fn form(name: &str, bytes: &[u8]) -> Option<Beyond> {
    let read = if names::parse_entry(name).is_some() {
        SignedEntry::decode(bytes).map(|signed| signed.entry.checked)
    } else {
        Policy::decode(bytes).map(|_| true)
    };
    match read {
        Ok(true) => None,
        Ok(false) => Some(Beyond::Algorithm),
        Err(FormatError::Malformed { problem, .. }) => {
            FORM.iter().any(|known| problem.starts_with(known)).then_some(Beyond::Form)
        }
        Err(_) => None,
    }
}

fn joined(versions: &[PolicyRef]) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A key that is no point of the curve: `openssl` takes no signature by it, and does not say whether it is one.
fn no_point() -> Digest {
    let mut raw = [0; 44];
    raw[..12].copy_from_slice(&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]);
    raw[12] = 2;
    sha256(&raw)
}

/// What came of one repository.
#[derive(Default)]
struct Compared {
    wrong: Option<String>,
    beyond: Vec<Beyond>,
    lists_no_point: bool,
    code: i32,
}

/// Compares the two on one repository; takes out of it what is beyond the script.
fn compare(world: &World<'_>) -> Compared {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut compared = Compared::default();
    loop {
        let ledger = runtime.block_on(world.read());
        let misfits = ledger.as_ref().map(|ledger| ledger.trust().misfits()).unwrap_or_default();
        if misfits.iter().any(|(_, why)| matches!(why, Misfit::Weak { key } if *key == no_point())) {
            return Compared { lists_no_point: true, ..compared };
        }
        let beyond = world.beyond(&ledger);
        if beyond.is_empty() {
            let (expected, found) = (world.expected(&ledger), world.audit());
            let (left, right) = (&expected, &found);
            if left != right {
                let only = |a: &Findings, b: &Findings| a.lines.difference(&b.lines).cloned().collect::<Vec<_>>();
                let rest = (left.rubbish, left.code, right.rubbish, right.code);
                compared.wrong =
                    Some(format!("reader {:?}, script {:?}, {rest:?}", only(left, right), only(right, left)));
            }
            compared.code = found.code;
            return compared;
        }
        // As it was, the script must have found something wrong, unless a body or member is all that is.
        if beyond.values().any(|why| *why != Beyond::Form) && ledger.is_ok() {
            let code = world.audit().code;
            if code != 13 {
                compared.wrong = Some(format!("exit code {code} with {beyond:?}"));
                return compared;
            }
        }
        for file in beyond.keys() {
            std::fs::remove_file(world.place.join(file)).unwrap();
        }
        compared.beyond.extend(beyond.values());
    }
}

#[test]
#[ignore = "needs Python, jq and openssl: tests/run"]
fn the_audit_script_and_this_reader_agree() {
    let count = if is_long() { 2000 } else { 100 };
    let worlds = Worlds::generate(&["generate", "--seed", "13", "--count", &count.to_string()], "expected.jsonl");
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(line) = worlds.lines.get(next.fetch_add(1, Ordering::Relaxed)) {
            let compared = compare_line(&worlds, line);
            all.lock().unwrap().push((line, compared));
        }
    };
    // One process tree a repository, one repository a processor.
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..processors).for_each(|_| drop(scope.spawn(work))));
    let all = all.into_inner().unwrap();
    assert_eq!(all.len(), count);

    let wrong: Vec<String> = all
        .iter()
        .filter_map(|(line, compared)| {
            Some(format!("{} {}: {}", line["directory"], line["name"], compared.wrong.as_ref()?))
        })
        .collect();
    let shown = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {count} differ\n{shown}", wrong.len());
    // The comparison is of something: both answers occur, and little is beyond the script.
    let having = |what: &dyn Fn(&Compared) -> bool| all.iter().filter(|(_, compared)| what(compared)).count();
    let share = |what: &dyn Fn(&Compared) -> bool| having(what) * 100 / count;
    assert!(share(&|one| one.code == 0) >= 5 && share(&|one| one.code == 13) >= 40, "one answer is missing");
    assert!(share(&|one| one.lists_no_point) <= 2, "no point");
    for (why, most) in [(Beyond::Form, 10), (Beyond::Algorithm, 15), (Beyond::Reach, 15)] {
        let found = share(&|one| one.beyond.contains(&why));
        assert!(found <= most, "{why:?} in {found} %");
    }
}

fn compare_line(worlds: &Worlds, line: &Value) -> Compared {
    let id = line["repository"].as_str().unwrap();
    // The script takes one pin, and its bytes from the repository.
    let pin = line["pins"].as_array().unwrap().first().map(|pin| pin.as_str().unwrap().split('=').next().unwrap());
    let pin = pin.map_or_else(|| format!("000001-{id}"), str::to_owned);
    compare(&World { place: &worlds.place(line), id, pin })
}
