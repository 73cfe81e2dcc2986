//! No more than three source files use each other in a circle. Names are followed to the file that defines them, through
//! every `pub use`; tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::layering::sources;

/// Files that may use each other in a circle.
const MOST: usize = 3;

type ModulePath = Vec<String>;

/// A name that a file brings in or speaks of.
#[derive(Debug)]
struct Import {
    /// From the crate's root.
    path: ModulePath,
    /// What it is called here, where it is from a `use`.
    name: Option<String>,
    exported: bool,
}

/// Words, `::` and other characters of Rust code; what is in quotes, in comments and in visibilities is left out.
fn tokens(code: &str) -> Vec<String> {
    let code = code.split("\n#[cfg(test)]\n").next().unwrap_or_default();
    let mut found: Vec<String> = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if rest.starts_with("r#\"") {
            rest = rest.split_once("\"#").map_or("", |(_, behind)| behind);
        } else if let Some(behind) = ["'\"'", "'\\\"'"].iter().find_map(|quote| rest.strip_prefix(quote)) {
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("//") {
            rest = behind.split_once('\n').map_or("", |(_, behind)| behind);
        } else if let Some(mut behind) = rest.strip_prefix('"') {
            while let Some(at) = behind.find(['"', '\\']) {
                let end = behind[at..].starts_with('"');
                behind = &behind[(at + if end { 1 } else { 2 }).min(behind.len())..];
                if end {
                    break;
                }
            }
            rest = behind;
        } else if word.is_empty() {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                found.push(rest[..length].to_owned());
            }
            rest = &rest[length..];
        } else {
            rest = &rest[word.len()..];
            if word == "pub" && rest.starts_with('(') {
                rest = rest.split_once(')').map_or("", |(_, behind)| behind);
            }
            found.push(word);
        }
    }
    found
}

/// The leaves of a `use` tree that begins at `at`, each with its name here; and where it ends.
fn leaves(tokens: &[String], mut at: usize, before: &[String]) -> (Vec<(ModulePath, String)>, usize) {
    let mut path = before.to_vec();
    let mut name = None;
    let mut found = Vec::new();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("::") => {}
            Some("{") => loop {
                let (inner, end) = leaves(tokens, at + 1, &path);
                found.extend(inner);
                at = end;
                if tokens.get(at).is_none_or(|token| token != ",") {
                    name = Some(String::new());
                    break;
                }
            },
            Some("as") => {
                name = tokens.get(at + 1).cloned();
                at += 1;
            }
            Some("self") if !path.is_empty() => {}
            Some("," | "}" | ";") | None => break,
            Some(word) => path.push(word.to_owned()),
        }
        at += 1;
    }
    match name {
        Some(group) if group.is_empty() => {}
        name if path.len() > before.len() || tokens.get(at.wrapping_sub(1)).is_some_and(|token| token == "self") => {
            let last = path.last().cloned().unwrap_or_default();
            found.push((path, name.unwrap_or(last)));
        }
        _ => {}
    }
    (found, at)
}

/// From the crate's root; `None` for what is no path of this crate.
fn absolute(path: &[String], file: &ModulePath, files: &BTreeSet<ModulePath>) -> Option<ModulePath> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([file.as_slice(), rest].concat()),
        "super" => {
            let up = path.iter().take_while(|word| *word == "super").count();
            Some([&file[..file.len().checked_sub(up)?], &path[up..]].concat())
        }
        _ => {
            let own = [file.as_slice(), path].concat();
            files.contains(&own[..=file.len()]).then_some(own)
        }
    }
}

fn imports(file: &ModulePath, code: &str, files: &BTreeSet<ModulePath>) -> Vec<Import> {
    let tokens = tokens(code);
    let mut found: Vec<Import> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            let exported = at > 0 && tokens[at - 1] == "pub";
            let (leaves, end) = leaves(&tokens, at + 1, &[]);
            let of_crate = leaves.into_iter().filter_map(|(path, name)| Some((absolute(&path, file, files)?, name)));
            found.extend(of_crate.map(|(path, name)| Import { path, name: Some(name), exported }));
            at = end;
        } else if tokens.get(at + 1).is_some_and(|next| next == "::") && (at == 0 || tokens[at - 1] != "::") {
            let mut path = vec![tokens[at].clone()];
            while tokens.get(at + 1).is_some_and(|next| next == "::") {
                path.extend(tokens.get(at + 2).cloned());
                at += 2;
            }
            let known = found.iter().find(|known| known.name.as_ref() == Some(&path[0]));
            let path = known.map(|known| [&known.path, &path[1..]].concat()).or_else(|| absolute(&path, file, files));
            found.extend(path.map(|path| Import { path, name: None, exported: false }));
        }
        at += 1;
    }
    found
}

/// The file that defines what a path names, and whether the path names something in it.
fn defined_in(path: &[String], known: &BTreeMap<ModulePath, Vec<Import>>, depth: usize) -> Option<(ModulePath, bool)> {
    let length = (0..=path.len()).rev().find(|length| known.contains_key(&path[..*length]))?;
    let (file, rest) = path.split_at(length);
    let exported = rest
        .first()
        .and_then(|name| known[file].iter().find(|import| import.exported && import.name.as_ref() == Some(name)));
    match exported {
        Some(import) if depth > 0 => defined_in(&[&import.path, &rest[1..]].concat(), known, depth - 1),
        _ => Some((file.to_vec(), !rest.is_empty())),
    }
}

/// What each file uses of the others.
fn graph(files: &[(ModulePath, String)]) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
    let paths: BTreeSet<ModulePath> = files.iter().map(|(path, _)| path.clone()).collect();
    let known: BTreeMap<ModulePath, Vec<Import>> =
        files.iter().map(|(path, code)| (path.clone(), imports(path, code, &paths))).collect();
    let uses = |(path, imports): (&ModulePath, &Vec<Import>)| {
        // A module that is brought in is used where something of it is spoken of.
        let defined = imports.iter().filter(|import| !import.exported).filter_map(|import| {
            defined_in(&import.path, &known, 8).filter(|(_, inside)| *inside || import.name.is_none())
        });
        (path.clone(), defined.map(|(file, _)| file).filter(|file| file != path).collect())
    };
    known.iter().map(uses).collect()
}

/// The largest sets of files of which each reaches every other.
fn circles(graph: &BTreeMap<ModulePath, BTreeSet<ModulePath>>) -> Vec<Vec<String>> {
    let reached = |from: &ModulePath| {
        let mut found = BTreeSet::new();
        let mut open = vec![from];
        while let Some(next) = open.pop() {
            open.extend(graph[next].iter().filter(|file| found.insert((*file).clone())));
        }
        found
    };
    let all: BTreeMap<&ModulePath, BTreeSet<ModulePath>> = graph.keys().map(|file| (file, reached(file))).collect();
    let circle = |file: &ModulePath| -> Vec<String> {
        let others = all[file].iter().filter(|other| *other != file && all[other].contains(file));
        others.chain([file]).map(|file| file.join("/")).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let found: BTreeSet<Vec<String>> = graph.keys().map(circle).filter(|circle| circle.len() > MOST).collect();
    found.into_iter().collect()
}

#[test]
fn no_more_than_three_files_use_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let module = |path: &Path| -> Option<ModulePath> {
        let path = path.strip_prefix(&root).unwrap().with_extension("");
        let mut words: ModulePath = path.iter().map(|word| word.to_str().unwrap().to_owned()).collect();
        if ["mod", "lib"].contains(&words.last()?.as_str()) {
            words.pop();
        }
        // The binary is another crate; the rest is compiled for tests only.
        let last = words.last().map_or("", String::as_str);
        (!["main", "tests", "kit", "harness", "invariants"].contains(&last)).then_some(words)
    };
    let files: Vec<(ModulePath, String)> =
        found.into_iter().filter_map(|(path, code)| Some((module(&path)?, code))).collect();
    assert!(files.len() > 400, "{}", files.len());
    let wrong: Vec<String> = circles(&graph(&files)).iter().map(|circle| circle.join(" ")).collect();
    assert!(wrong.is_empty(), "give what they share a file of its own:\n{}", wrong.join("\n"));
}

#[test]
fn this_test_sees_circles_through_what_is_exported() {
    let file = |path: &str, code: &str| (path.split('/').map(str::to_owned).collect::<ModulePath>(), code.to_owned());
    let honest = [
        file("a", "pub use self::b::{B as Shown, C};\nuse crate::d;\nfn f() { \"crate::d::g\"; }"),
        file("a/b", "pub(in crate::d) struct B;\nstruct C;\n#[cfg(test)]\nmod tests { use crate::d::D; }"),
        file("d", "use crate::a::Shown;\nstruct D;"),
    ];
    let uses = graph(&honest);
    assert!(uses[&honest[0].0].is_empty(), "neither a re-export nor a module that is not spoken of: {uses:?}");
    assert_eq!(uses[&honest[2].0].iter().next().unwrap().join("/"), "a/b");
    let mut circle = honest.to_vec();
    circle[0].1.push_str("\nfn g() { d::D; }");
    circle[1].1 = "use super::super::e::{self, E};\nstruct B;".to_owned();
    circle.push(file("e", "fn h() { crate::a::g(); }\nstruct E;"));
    assert_eq!(circles(&graph(&circle)), [["a", "a/b", "d", "e"].map(str::to_owned).to_vec()]);
    circle[3].1 = "struct E;".to_owned();
    assert!(circles(&graph(&circle)).is_empty());
}
