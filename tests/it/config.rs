//! The configuration as a user meets it: the file that `config init` prints is valid, and what is wrong is said.

use std::path::Path;

use keyhaven::config::{Layer, Settings, template};

#[test]
fn the_commented_file_with_every_key_set_to_its_example_names_each_key_once() {
    let text = template::commented(&std::collections::BTreeMap::new());
    // One way for each secret, and values that are placeholders left out.
    let skip = ["_env = ", "_credential = ", "id = \"64", "recovery_recipients"];
    let set: String = text
        .lines()
        .filter(|line| !skip.iter().any(|word| line.contains(word)))
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let layer = Layer::file(&set, "keyhaven.toml", Path::new("/etc/keyhaven")).unwrap();
    let settings = Settings::build([layer]).unwrap();
    assert_eq!(settings.source().unwrap().requests_per_second, 5.0);
    assert_eq!(settings.standby().unwrap().requests_per_second, 20.0);
    assert!(settings.repository().unwrap().secret_access_key.is_some());
    assert!(settings.keys().recovery_key_on_collector);
}
