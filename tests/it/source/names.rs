//! Names that a reader can search for: no type name stands for more than two types, and every dependency is used.

use std::collections::BTreeMap;
use std::path::Path;

use super::layering::sources;

/// What clap's derive calls the same in every command.
const EXCEPT: &[&str] = &["Arguments", "Command"];

/// The types that a source file declares outside its tests.
fn declared(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    for line in code.lines() {
        let mut words =
            line.split_whitespace().skip_while(|word| word.starts_with("pub") || *word == "unsafe").peekable();
        // `pub(in crate::cli)` is two words.
        if line.trim_start().starts_with("pub(in ") {
            words.next();
        }
        if words.next().is_some_and(|word| ["struct", "enum", "trait", "union"].contains(&word)) {
            let name: String = words.next().unwrap_or_default().chars().take_while(|c| c.is_alphanumeric()).collect();
            found.push(name);
        }
    }
    found
}

/// The names that more than two types have, each with the files.
fn ambiguous(files: &[(String, String)]) -> Vec<String> {
    let mut by_name: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (path, code) in files {
        for name in declared(code) {
            by_name.entry(name).or_default().push(path);
        }
    }
    let many = by_name.into_iter().filter(|(name, files)| files.len() > 2 && !EXCEPT.contains(&name.as_str()));
    many.map(|(name, files)| format!("{name}: {}", files.join(", "))).collect()
}

#[test]
fn a_type_name_stands_for_two_types_at_most() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let files: Vec<(String, String)> =
        found.into_iter().map(|(path, code)| (path.display().to_string(), code)).collect();
    let wrong = ambiguous(&files);
    assert!(wrong.is_empty(), "give them their area's noun:\n{}", wrong.join("\n"));
}

#[test]
fn this_test_sees_what_is_declared() {
    let code = "pub struct A<T> {\n  pub(super) enum B {}\npub(in crate::cli) trait C: Sized {}\nstruct D;\nfn struct_of() {}\n#[cfg(test)]\nmod tests {\nstruct E;";
    assert_eq!(declared(code), ["A", "B", "C", "D"]);
    let file = |path: &str| (path.to_owned(), "struct Line;".to_owned());
    assert!(ambiguous(&[file("a"), file("b")]).is_empty());
    assert_eq!(ambiguous(&[file("a"), file("b"), file("c")]), ["Line: a, b, c"]);
}

#[test]
fn every_dependency_is_named_in_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let listed = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let mut found = Vec::new();
    sources(&root.join("src"), &mut found);
    let names = |name: &str| found.iter().any(|(_, code)| code.contains(&name.replace('-', "_")));
    let lines = listed.lines().filter(|line| !line.starts_with('#'));
    let dependencies: Vec<&str> =
        lines.filter_map(|line| line.split(" = ").next()).filter(|name| !name.is_empty()).collect();
    assert!(dependencies.len() > 30, "{dependencies:?}");
    let unused: Vec<&&str> = dependencies.iter().filter(|name| !names(name)).collect();
    assert!(unused.is_empty(), "in Cargo.toml and in no source file: {unused:?}");
}
