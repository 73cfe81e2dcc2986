//! The map of `docs/architecture.md`, held: who may use whom, which crates are named where, and what must not be linked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each folder of `src` with those that it may use besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("files", &[]),
    ("net", &[]),
    ("schedule", &["model"]),
    ("config", &["schedule", "model"]),
    ("crypto", &["model"]),
    ("format", &["crypto", "model"]),
    ("provider", &["format", "crypto", "files", "net", "model"]),
    ("repository", &["format", "crypto", "files", "model"]),
    ("job", &["provider", "repository", "format", "crypto", "schedule", "model"]),
    ("daemon", &["job", "repository", "format", "crypto", "config", "schedule", "files", "net", "model"]),
    ("cli", &["daemon", "job", "provider", "repository", "format", "crypto", "config", "schedule", "files", "model"]),
];

/// Names that only these folders may speak.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("object_store::", &["repository"]),
    ("reqwest::", &["provider", "daemon"]),
    ("axum::", &["provider", "daemon"]),
    ("cron::", &["schedule"]),
    ("chrono_tz::", &["schedule"]),
    ("lettre::", &["daemon"]),
    ("opentelemetry::", &["daemon"]),
    ("prometheus_client::", &["daemon"]),
    ("age::", &["crypto"]),
    ("zstd::", &["crypto"]),
    ("getrandom::", &["crypto", "cli"]),
    ("clap::", &["cli"]),
    ("indicatif::", &["cli"]),
    // What goes wrong below is in what is returned.
    ("tracing::", &["cli", "daemon"]),
    ("io::stdout", &["cli"]),
    ("io::stderr", &["cli"]),
    ("println!", &["cli"]),
    ("eprintln!", &["cli"]),
];

/// What the pure folders must not touch: they take bytes and give bytes.
const PURE: &[&str] = &["config", "model", "crypto", "format", "schedule"];
const IMPURE: &[&str] =
    &["tokio::", "std::fs", "std::env", "std::net", "std::process", "SystemTime", "Instant::now", "Utc::now"];

/// Folders that know no provider, and the words that would show that they do. `config` is to follow.
const NO_PROVIDER: &[&str] = &["model", "format", "repository", "job"];
const PROVIDER_WORDS: &[&str] = &["ibm", "crn"];

/// Plans and reports had this member before; files that were written with it are still read.
const OLD_MEMBER: &str = r#"#[serde(rename = "crn")]"#;

/// Every source file of a folder, as (path, text without comment lines).
pub(crate) fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            found.push((path, code));
        }
    }
}

fn of_layer(layer: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(layer), &mut found);
    assert!(!found.is_empty(), "src/{layer} has no source file");
    found
}

/// Whether `name` stands in the code as a path of its own (`age::` does not stand in `package::`).
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_') && !code[..at].ends_with("crate::")
    })
}

/// The first segments of every `crate::…` path, those in braces too.
fn used(code: &str) -> BTreeSet<String> {
    let first = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut found = BTreeSet::new();
    for (at, matched) in code.match_indices("crate::") {
        let rest = &code[at + matched.len()..];
        match rest.strip_prefix('{') {
            None => {
                found.insert(first(rest));
            }
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            found.insert(first(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

#[test]
fn the_readers_of_this_test_see_what_is_there() {
    let code = "use crate::{model::{Digest, Item},\n  format};\nfn f() { crate::cli::main() }\nuse crate::job;";
    assert_eq!(used(code).into_iter().collect::<Vec<_>>(), ["cli", "format", "job", "model"]);
    assert!(names("use age::x25519;", "age::"));
    assert!(!names("use package::x;", "age::"));
    assert!(!names("use crate::age::x;", "age::"));
}

#[test]
fn a_folder_uses_only_those_below_it() {
    let known: BTreeSet<&str> = LAYERS.iter().map(|(layer, _)| *layer).collect();
    let mut wrong = Vec::new();
    for (layer, below) in LAYERS {
        for (path, code) in of_layer(layer) {
            for other in used(&code) {
                if other != *layer && !below.contains(&other.as_str()) && known.contains(other.as_str()) {
                    wrong.push(format!("{} uses {other}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_is_in_the_table() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            assert!(LAYERS.iter().any(|(layer, _)| *layer == name), "src/{name} has no place in the layers");
        }
    }
}

#[test]
fn crates_are_named_where_they_belong() {
    let mut wrong = Vec::new();
    for (layer, _) in LAYERS {
        for (path, code) in of_layer(layer) {
            for (name, places) in ONLY_IN {
                if !places.contains(layer) && names(&code, name) {
                    wrong.push(format!("{} names {name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_folders_are_pure() {
    let mut wrong = Vec::new();
    for layer in PURE {
        for (path, code) in of_layer(layer) {
            // What a unit test of such a folder does is its own affair.
            let code = code.split("#[cfg(test)]\nmod tests").next().unwrap();
            for name in IMPURE {
                if names(code, name) {
                    wrong.push(format!("{} names {name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_knows_no_provider() {
    let mut wrong = Vec::new();
    for layer in NO_PROVIDER {
        for (path, _) in of_layer(layer) {
            let text = std::fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate().filter(|(_, line)| line.trim() != OLD_MEMBER) {
                let line = line.to_ascii_lowercase();
                let mut words = line.split(|c: char| !c.is_ascii_alphanumeric());
                if words.any(|word| PROVIDER_WORDS.contains(&word)) || line.contains("provider::embedded") {
                    wrong.push(format!("{}:{}: {line}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is linked into the program, with default features, on the platform of this test.
fn packages() -> Vec<(String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let linked: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap()).collect();
    let of = |package: &serde_json::Value, field: &str| package[field].as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| linked.contains(package["id"].as_str().unwrap()))
        .map(|package| (of(package, "name"), of(package, "license")))
        .collect()
}

#[test]
fn nothing_banned_is_linked_and_every_licence_is_known() {
    // OpenSSL: one TLS stack, and no system library. rsa: RUSTSEC-2023-0071 without a fix. tokio-tar: CVE-2025-62518.
    let banned = ["openssl", "openssl-sys", "native-tls", "rsa", "tokio-tar", "quick-xml-0.39"];
    let known = [
        "MIT",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "CDLA-Permissive-2.0",
        "OpenSSL",
        "MIT-0",
        "0BSD",
        "Unlicense",
        "BSL-1.0",
        "CC0-1.0",
        "MPL-2.0",
    ];
    let packages = packages();
    assert!(packages.len() > 100, "the list of packages is not complete");
    for (name, licence) in packages {
        assert!(!banned.contains(&name.as_str()), "{name} is banned");
        // `A OR B`, `(A OR B) AND C`, and the old `A/B`: each part that is joined by AND needs one known licence.
        let fits = licence
            .replace(['(', ')'], "")
            .split(" AND ")
            .all(|part| part.replace('/', " OR ").split(" OR ").any(|one| known.contains(&one.trim())));
        assert!(fits, "{name} is under `{licence}`: decide, then add it here");
    }
}

/// The crates of the program without a test's, built with these arguments.
fn crates(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn a_feature_that_is_off_takes_its_crates_with_it() {
    // Crates that only the feature needs: object_store reads the answers of a bucket with those of `s3`.
    let of_feature =
        [("mail", ["lettre", "email_address"]), ("s3", ["quick-xml", "md-5"]), ("sandbox", ["ecdsa", "flate2"])];
    let (all, none) = (crates(&[]), crates(&["--no-default-features"]));
    for (feature, names) in of_feature {
        let alone = crates(&["--no-default-features", "--features", feature]);
        for name in names {
            assert!(all.contains(name) && alone.contains(name), "{name} is no longer one of `{feature}`");
            assert!(!none.contains(name), "{name} is linked without `{feature}`");
        }
    }
}
