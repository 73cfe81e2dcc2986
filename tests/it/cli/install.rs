//! What is installed beside the program: manual pages, completions, the bill of materials, the scripts that make them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::kit::environment::python_path;
use crate::kit::files::files;
use crate::kit::program::Machine;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The subcommands that a help page lists.
fn commands(machine: &Machine, path: &[&str]) -> Vec<String> {
    let help = machine.run(&[path, &["--help"]].concat());
    assert_eq!(help.code, 0, "{path:?}");
    let list = help.out.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Every command, such as `keys new`, groups too.
fn all_commands(machine: &Machine) -> Vec<String> {
    let mut all = Vec::new();
    for name in commands(machine, &[]) {
        all.extend(commands(machine, &[&name]).into_iter().map(|below| format!("{name} {below}")));
        all.push(name);
    }
    all
}

#[test]
fn every_command_has_a_manual_page_and_stands_in_every_completion() {
    let machine = Machine::new();
    let all = all_commands(&machine);
    assert!(all.len() >= 30 && all.iter().any(|name| name == "keys new"), "{all:?}");
    assert_eq!(machine.run(&["man", "--out", "pages"]).code, 0);
    let pages: BTreeSet<String> = files(&machine.path("pages")).into_iter().collect();
    for command in &all {
        let page = format!("keyhaven-{}.1", command.replace(' ', "-"));
        assert!(pages.contains(&page), "no {page}: {pages:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = machine.run(&["completions", shell]).out;
        for command in &all {
            let word = command.rsplit(' ').next().unwrap();
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    // Too long for an argument.
    let script = machine.write("completion", &machine.run(&["completions", "bash"]).out);
    let checked = Command::new("bash").arg("-n").arg(script).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn scripts_are_scripts() {
    let scripts = [".ci/run", ".ci/release", ".ci/build-static", "schedules/code-engine/collector.sh", "tests/run"];
    for (shell, scripts) in
        [("bash", &scripts[..]), ("sh", &[".ci/debian/postinst", ".ci/debian/prerm", ".ci/debian/postrm"])]
    {
        for script in scripts {
            let path = root().join(script);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(&format!("#!/bin/{shell}\n")), "{script}");
            assert!(text.contains("\nset -e"), "{script} goes on after a failure");
            let checked = Command::new(shell).arg("-n").arg(&path).output().unwrap();
            assert!(checked.status.success(), "{script}: {checked:?}");
        }
    }
}

#[test]
fn the_package_takes_in_what_is_there_and_every_unit() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let assets: Vec<&str> = deb["assets"].as_array().unwrap().iter().map(|asset| asset[0].as_str().unwrap()).collect();
    for asset in assets.iter().filter(|asset| !asset.starts_with("target/")) {
        // Up to the first star, it has to be there.
        let fixed = asset.split('*').next().unwrap();
        let path = root().join(fixed);
        assert!(path.exists() || path.parent().is_some_and(Path::is_dir) && fixed.ends_with('/'), "{asset}");
    }
    let release = std::fs::read_to_string(root().join(".ci/release")).unwrap();
    for made in assets.iter().filter_map(|asset| asset.strip_prefix("target/package/")) {
        let folder = made.split('/').next().unwrap();
        assert!(release.contains(&format!("$parts/{folder}")), ".ci/release makes no {made}");
    }
    // What goes away when the package does.
    let prerm = std::fs::read_to_string(root().join(".ci/debian/prerm")).unwrap();
    for timer in files(&root().join("schedules/systemd")).iter().filter_map(|name| name.strip_suffix(".timer")) {
        let name = timer.strip_prefix("keyhaven-").unwrap();
        assert!(prerm.split_whitespace().any(|word| word.trim_end_matches(';') == name), "prerm leaves {timer}.timer");
    }
}

#[test]
#[ignore = "needs the Python environment: tests/run"]
fn the_bill_of_materials_lists_what_is_linked_and_no_tool_of_the_tests() {
    let run = || {
        let mut command = Command::new(python_path());
        command.args([".ci/sbom.py", "x86_64-unknown-linux-gnu"]).current_dir(root()).env("SOURCE_DATE_EPOCH", "86400");
        let output = command.env("CARGO", env!("CARGO")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let text = run();
    assert_eq!(text, run(), "the same sources, other bytes");
    let bill: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(bill["metadata"]["timestamp"], "1970-01-02T00:00:00Z");
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let components = bill["components"].as_array().unwrap();
    let named: BTreeSet<&str> = components.iter().map(|one| one["name"].as_str().unwrap()).collect();
    for (name, how) in manifest["dependencies"].as_table().unwrap() {
        let optional = how.get("optional").and_then(toml::Value::as_bool).unwrap_or(false);
        assert!(optional || named.contains(name.as_str()), "{name} is not listed");
    }
    for tool in ["proptest", "assert_cmd"] {
        assert!(!named.contains(tool), "{tool} is for tests");
    }
    for one in components {
        assert_eq!(one["hashes"][0]["content"].as_str().map(str::len), Some(64), "{one}");
        assert!(one["licenses"][0]["expression"].is_string(), "{one}");
    }
    // Every reference in the graph is to something that is listed.
    let known: BTreeSet<&str> =
        components.iter().chain([&bill["metadata"]["component"]]).map(|one| one["bom-ref"].as_str().unwrap()).collect();
    for node in bill["dependencies"].as_array().unwrap() {
        for need in node["dependsOn"].as_array().unwrap() {
            assert!(known.contains(need.as_str().unwrap()), "{need}");
        }
    }
}

/// No container tool here builds it; what can go wrong without one is that its parts do not fit together.
#[test]
fn the_image_is_empty_but_for_the_static_binary_and_runs_as_the_user_of_the_pods() {
    let file = std::fs::read_to_string(root().join("Containerfile")).unwrap();
    let build = std::fs::read_to_string(root().join(".ci/build-static")).unwrap();
    assert!(
        file.contains("RUN .ci/build-static\n")
            && build.contains("--profile dist --locked --target x86_64-unknown-linux-musl")
    );
    assert!(
        file.contains(" target/x86_64-unknown-linux-musl/dist/keyhaven /image/usr/bin/keyhaven "),
        "what was built"
    );
    let (_, image) = file.split_once("\nFROM scratch\n").expect("nothing below the program");
    assert!(image.contains("COPY --from=build /image/ /\n") && !image.contains("RUN "), "{image}");
    assert!(file.contains("/image/etc/ssl/certs/ca-certificates.crt"), "TLS would fail");
    let user = image.lines().find_map(|line| line.strip_prefix("USER ")).unwrap().split(':').next().unwrap();
    let pods = std::fs::read_to_string(root().join("schedules/kubernetes/daemon.yaml")).unwrap();
    assert!(pods.contains(&format!("runAsUser: {user}\n")), "{user}");
    let ignored = std::fs::read_to_string(root().join(".dockerignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "target"), "gigabytes would be sent to the builder");
}
