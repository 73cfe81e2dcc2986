//! The one integration-test binary: it links once, which matters on small machines.

#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "tests have files, clocks and tasks of their own")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod attacks;
mod capture;
mod cli;
mod client;
mod daemon;
mod doctor;
mod embedded;
mod forget;
mod kit;
mod ledger;
mod readers;
mod repository;
mod restore;
mod source;
mod standby;
mod sweep;
mod trust;
mod verify;

/// Every file is declared by the `mod.rs` beside it, or above; a forgotten one would silently test nothing.
#[test]
fn no_test_file_is_forgotten() {
    let mut found = Vec::new();
    source::layering::sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"), &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for (path, _) in &found {
        let folder = path.parent().unwrap();
        let (folder, name) = match path.file_stem().unwrap().to_str().unwrap() {
            "main" => continue,
            "mod" => (folder.parent().unwrap(), folder.file_name().unwrap().to_str().unwrap()),
            name => (folder, name),
        };
        let by = ["mod.rs", "main.rs"].map(|file| folder.join(file)).into_iter().find(|file| file.exists()).unwrap();
        let declares = format!("mod {name};\n");
        let declared = std::fs::read_to_string(&by).unwrap().contains(&declares);
        assert!(declared, "{} does not declare {name}", by.display());
    }
}
