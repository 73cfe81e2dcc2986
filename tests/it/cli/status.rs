//! `keyhaven status`: one screen, also when parts of it cannot be had.

use keyhaven::provider::embedded::{InstanceClock, Options, Verb, seed};
use serde_json::Value;

use crate::kit::program::Run;
use crate::kit::site::Site;

fn configure(site: &Site, section: &str, lines: &str) {
    let config = site.machine.read("keyhaven.toml");
    let header = format!("[{section}]");
    assert!(config.contains(&header), "{config}");
    site.machine.write("keyhaven.toml", &config.replacen(&header, &format!("{header}\n{lines}"), 1));
}

fn status(site: &Site) -> Run {
    site.run(&["status", "--json"])
}

/// A source that lives four minutes ago, which is still allowed, and so does every snapshot of it.
fn late_site() -> Site {
    let clock = InstanceClock::ahead(-240_000);
    Site::with(Options { clock, ..Options::default() }, |source| seed(source, 11, 12).unwrap())
}

fn reasons(shown: &Value) -> Vec<&str> {
    shown["status"]["stale"].as_array().unwrap().iter().map(|stale| stale["reason"].as_str().unwrap()).collect()
}

/// The screen of a terminal with 80 columns.
fn screen(site: &Site, code: i32) -> String {
    let run = site.machine.run_with(&[("COLUMNS", "80")], &["status"]);
    assert_eq!(run.code, code, "{run:#?}");
    for line in run.out.lines().filter(|line| line.split_whitespace().all(|word| word.len() < 60)) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(!run.out.contains('\u{1b}'), "no colour where there is no terminal: {}", run.out);
    run.out
}

#[test]
fn a_fresh_repository_is_shown_on_one_screen() {
    let site = Site::seeded();
    configure(&site, "objectives", "rpo = \"1h\"\nverified_within = \"7d\"");
    let shown = status(&site).json(0);
    assert_eq!(shown["stale"], false, "{shown:#}");
    assert!(shown["status"]["backups"]["achieved_rpo_seconds"].as_u64().unwrap() < 3_600, "{shown:#}");
    let text = screen(&site, 0);
    for said in
        ["Backups: fresh", "last backup", "snapshot 1, one point in time", "objective 1 h", "never; objective 7 d"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(text.contains("[-------------#]"), "{text}");
    assert!(text.lines().count() <= 24, "one screen: {text}");
}

#[test]
fn a_missed_objective_is_stale() {
    let site = late_site();
    assert_eq!(status(&site).json(0)["stale"], false, "without an objective nothing is missed");
    configure(&site, "objectives", "rpo = \"2m\"\nverified_within = \"3m\"");
    let shown = status(&site).json(14);
    assert_eq!(reasons(&shown), ["rpo_missed", "never_verified"], "{shown:#}");
    let text = screen(&site, 14);
    assert!(text.contains("Backups: STALE") && text.contains("the objective is 2 min"), "{text}");
    // A run of the collector mends the one, and nothing but a verification the other.
    site.source.options().clock.advance(240_000);
    site.run(&["backup", "--json"]).json(0);
    assert_eq!(reasons(&status(&site).json(14)), ["never_verified"]);
}

#[test]
fn a_repository_that_never_had_a_snapshot_is_stale() {
    let site = Site::initialised(Options::default(), |source| seed(source, 11, 12).unwrap());
    assert_eq!(reasons(&status(&site).json(14)), ["never_backed_up"]);
    let text = screen(&site, 14);
    assert!(text.contains("there is no snapshot yet") && text.contains("[--------------]"), "{text}");
}

#[test]
fn suspect_snapshots_are_told_and_count_for_nothing() {
    let site = Site::seeded();
    let listed = site.source.call(Verb::Get, "/api/v2/secrets?limit=100", "").body;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    for secret in listed["secrets"].as_array().unwrap().iter().take(8) {
        let target = format!("/api/v2/secrets/{}", secret["id"].as_str().unwrap());
        assert_eq!(site.source.call(Verb::Delete, &target, "").status, 204);
    }
    site.run(&["backup", "--json"]).json(3);
    let shown = status(&site).json(0);
    assert_eq!(shown["status"]["backups"]["suspect"], 1, "{shown:#}");
    assert_eq!(shown["status"]["backups"]["newest_good"]["sequence"], 1);
    assert!(shown["status"]["backups"]["suspect_since"].is_string());
    let text = screen(&site, 0);
    assert!(text.contains("every snapshot since") && text.contains("snapshot 2 is suspect"), "{text}");
}

#[test]
fn what_cannot_be_reached_is_said_and_the_rest_is_shown() {
    let site = Site::seeded();
    let config = site.machine.read("keyhaven.toml");
    site.machine.write("keyhaven.toml", &format!("{config}\n[jobs.often]\nkind = \"backup\"\ncron = \"@hourly\"\n"));
    let kept = site.machine.path("kept");
    std::fs::rename(site.repository(), &kept).unwrap();
    let shown = status(&site).json(10);
    assert_eq!((&shown["stale"], &shown["status"]), (&Value::Bool(false), &Value::Null), "{shown:#}");
    assert!(shown["unreadable"].as_str().unwrap().contains("no repository"), "{shown:#}");
    let text = screen(&site, 10);
    assert!(text.contains("Backups: cannot be read") && text.contains("next runs") && text.contains("often"), "{text}");
    std::fs::rename(&kept, site.repository()).unwrap();

    // Without a key only what is about to expire is not known, and a source is not needed at all.
    for key in ["catalogue-key.txt", "signing-key.pem", "api-key"] {
        std::fs::remove_file(site.machine.path(key)).unwrap();
    }
    let shown = site.run(&["status", "--json", "--source-url", "http://127.0.0.1:1"]).json(0);
    assert!(shown["expiring"].is_null() && shown["expiring_unknown"].is_string(), "{shown:#}");
    assert!(screen(&site, 0).contains("not known: cannot read the catalogue key"));
}

#[test]
fn read_access_and_the_id_are_enough() {
    let site = Site::seeded();
    let config: toml::Value = toml::from_str(&site.machine.read("keyhaven.toml")).unwrap();
    let id = config["repository"]["id"].as_str().unwrap();
    let auditor = crate::kit::program::Machine::new();
    let repository = site.repository();
    let arguments = ["status", "--json", "--repository", repository.to_str().unwrap(), "--repository-id", id];
    let shown = auditor.run(&arguments).json(0);
    assert_eq!(shown["expiring_unknown"], "no catalogue key is named here");
    assert_eq!(shown["status"]["backups"]["good"], 1);
}

#[test]
fn what_ends_soon_is_named_for_who_holds_the_key() {
    let site = Site::seeded();
    let at = |days: i64| {
        use keyhaven::model::Clock as _;
        site.source.options().clock.now().plus_millis(days * 86_400_000).to_string()
    };
    for (name, days) in [("ends-soon", 10), ("ends-later", 90)] {
        let body = format!(
            r#"{{"secret_type":"arbitrary","name":"{name}","payload":"canary-payload","expiration_date":"{}"}}"#,
            at(days)
        );
        assert_eq!(site.source.call(Verb::Post, "/api/v2/secrets", &body).status, 201);
    }
    site.run(&["backup", "--json"]).json(0);
    let shown = status(&site).json(0);
    let names: Vec<_> = shown["expiring"]["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert!(names.contains(&&Value::from("ends-soon")) && !names.contains(&&Value::from("ends-later")), "{shown:#}");
    let text = screen(&site, 0);
    assert!(text.contains("ends-soon (arbitrary)"), "{text}");
    assert!(!text.contains("canary-payload") && !shown.to_string().contains("canary-payload"));
}

#[test]
fn several_instances_have_a_line_each_and_one_that_is_stale_is_enough() {
    let site = late_site();
    let config = site.machine.read("keyhaven.toml");
    let parsed: toml::Value = toml::from_str(&config).unwrap();
    let (url, id) = (parsed["source"]["url"].as_str().unwrap(), parsed["repository"]["id"].as_str().unwrap());
    let (repository, gone) = (site.repository(), site.machine.path("gone"));
    let text = format!(
        "[[instances]]\nname = \"pay\"\nsource.url = \"{url}\"\nrepository.url = \"{}\"\nrepository.id = \"{id}\"\n\
         objectives.rpo = \"2m\"\n[[instances]]\nname = \"shop\"\nsource.url = \"https://shop.example\"\n\
         repository.url = \"{}\"\nrepository.id = \"{}\"\n",
        repository.display(),
        gone.display(),
        "0".repeat(64),
    );
    site.machine.write("two.toml", &text);
    let shown = site.run(&["status", "--json", "--config", "two.toml"]).json(14);
    let stale: Vec<_> = shown["instances"].as_array().unwrap().iter().map(|one| one["stale"].clone()).collect();
    assert_eq!((shown["stale"].clone(), stale), (true.into(), vec![true.into(), false.into()]), "{shown:#}");
    let table = site.machine.run_with(&[("COLUMNS", "80")], &["status", "--config", "two.toml"]);
    assert!(table.out.contains("STALE") && table.out.contains("unreadable"), "{}", table.out);
    assert!(table.out.contains("pay: the newest good recovery point is"), "{}", table.out);
    let one = site.run(&["status", "--json", "--config", "two.toml", "--instance", "shop"]).json(10);
    assert_eq!(one["instance"], "shop");
}

#[test]
fn a_daemon_that_does_not_answer_is_said() {
    let site = Site::seeded();
    configure(&site, "daemon", "listen = \"127.0.0.1:1\"");
    let shown = status(&site).json(0);
    assert_eq!(shown["daemon"]["answers"], false, "{shown:#}");
    assert!(screen(&site, 0).contains("127.0.0.1:1: does not answer"));
}
