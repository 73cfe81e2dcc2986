use std::path::Path;

use super::*;

fn file(text: &str) -> Layer {
    Layer::file(text, "keyhaven.toml", Path::new("/etc/keyhaven")).unwrap()
}

fn fails(text: &str) -> String {
    Settings::build([file(text)]).unwrap_err().to_string()
}

#[test]
fn flags_beat_the_environment_and_the_environment_beats_the_file() {
    let layers = [
        file("[source]\nurl = \"https://file.example\"\niam_url = \"https://file.example\"\ncrn = \"file\"\n"),
        Layer::environment(
            [("KEYHAVEN_SOURCE_URL", "https://env.example"), ("KEYHAVEN_SOURCE_IAM_URL", "https://env.example")],
            Path::new("/srv"),
        )
        .unwrap(),
        Layer::flags([("source.url", "--source-url", "https://flag.example")], Path::new("/srv")).unwrap(),
    ];
    let settings = Settings::build(layers).unwrap();
    let shown: Vec<_> = settings.effective().iter().map(SetKey::shown).collect();
    let line = |path: &str| shown.iter().find(|line| line.key == path).unwrap();
    assert_eq!(line("source.url").value, "https://flag.example");
    assert_eq!(line("source.iam_url").origin.to_string(), "environment variable KEYHAVEN_SOURCE_IAM_URL");
    assert_eq!(line("source.crn").origin.to_string(), "keyhaven.toml, line 4");
    assert_eq!(line("backup.full_every").origin, SettingOrigin::Default);
}

#[test]
fn a_reference_in_the_environment_replaces_that_of_the_file() {
    let settings = Settings::build([
        file("[source]\nurl = \"https://a.example\"\napi_key = \"file:key\"\n"),
        Layer::environment([("KEYHAVEN_SOURCE_API_KEY", "env:API_KEY")], Path::new("/srv")).unwrap(),
    ])
    .unwrap();
    assert_eq!(settings.source().unwrap().api_key, SecretRef::Env("API_KEY".into()));
}

#[test]
fn paths_in_the_file_start_at_the_file() {
    let settings = Settings::build([file("[repository]\nurl = \"repo\"\n[keys]\nsigning_key = \"file:s.pem\"\n")]);
    let settings = settings.unwrap();
    assert_eq!(settings.repository().unwrap().location, Location::Folder("/etc/keyhaven/repo".into()));
    assert_eq!(settings.keys().signing_key.clone(), Some(SecretRef::File("/etc/keyhaven/s.pem".into())));
}

#[test]
fn paths_in_a_flag_start_at_the_working_folder() {
    let layer = Layer::flags([("repository.url", "--repository", "repo")], Path::new("/srv")).unwrap();
    let location = Settings::build([layer]).unwrap().repository().unwrap().location;
    assert_eq!(location, Location::Folder("/srv/repo".into()));
}

#[test]
fn buckets_split_into_bucket_and_prefix() {
    let text = "[repository]\nurl = \"s3://b/p/q/\"\nendpoint = \"https://s3.example\"\n";
    let location = Settings::build([file(text)]).unwrap().repository().unwrap().location;
    assert_eq!(location, Location::Bucket { bucket: "b".into(), prefix: "p/q".into() });
}

#[test]
fn what_does_not_go_together_is_refused() {
    assert!(fails("[source]\nurl = \"http://sm.example\"\n").contains("plain http is for loopback only"));
    assert!(Settings::build([file("[source]\nurl = \"http://127.0.0.1:9\"\n")]).is_ok());
    let same = "[source]\nurl = \"https://a.example\"\n[standby]\nurl = \"https://a.example/\"\n";
    assert!(fails(same).contains("the standby is the source"));
    assert!(fails("[repository]\nid = \"E3B0\"\n").contains("64 lower-case"));
    assert!(fails("[repository]\nurl = \"s3://b\"\n").contains("repository.endpoint"));
}

#[test]
fn a_pin_of_a_flag_replaces_all_others() {
    let configured = file("[repository]\npolicy = [\"one\", \"two\"]\n");
    let settings = Settings::build([configured.clone()]).unwrap();
    assert_eq!((settings.policy_pins().join(" "), settings.is_policy_chosen()), ("one two".to_owned(), false));
    let flag = Layer::flags([("repository.policy", "--policy", "three")], Path::new("/")).unwrap();
    let settings = Settings::build([configured, flag]).unwrap();
    assert_eq!((settings.policy_pins().join(" "), settings.is_policy_chosen()), ("three".to_owned(), true));
}

#[test]
fn what_is_not_set_has_its_default() {
    let text = "[source]\nurl = \"https://a.example\"\napi_key = \"env:A\"\n\
                [standby]\nurl = \"https://b.example\"\napi_key = \"env:B\"\n[repository]\nurl = \"r\"\n";
    let settings = Settings::build([file(text)]).unwrap();
    assert_eq!(settings.source().unwrap().requests_per_second, 5.0);
    assert_eq!(settings.source().unwrap().iam_url, keys::IAM_URL);
    assert_eq!(settings.standby().unwrap().requests_per_second, 20.0);
    assert!(settings.repository().unwrap().access_key_id.is_none());
    assert_eq!(settings.backup().max_shrink.0, 0.2);
    let daemon = settings.daemon();
    assert_eq!((daemon.max_running.get::<usize>(), daemon.takeover_after.as_secs()), (4, 60));
    assert!(daemon.listen.is_none() && settings.leases().unwrap().is_none());
    let sync = settings.sync();
    assert_eq!((sync.apply, sync.delete, sync.max_change.0, sync.delay.as_secs()), (false, false, 0.2, 3_600));
    assert!(settings.keys().recovery_key_on_collector.is_none() && settings.state_dir().is_none());
    assert!(settings.objectives().rpo.is_none());
    let retention = settings.retention();
    assert_eq!((retention.keep_last.get::<u32>(), retention.keep_suspect.to_string()), (0, "30d".to_owned()));
}

#[test]
fn a_hundred_instances_may_run_twenty_jobs_at_once() {
    let settings = Settings::build([file("[daemon]\nmax_running = 20\n")]).unwrap();
    assert_eq!(settings.daemon().max_running.get::<usize>(), 20);
}

#[test]
fn what_is_missing_names_its_variable() {
    let message = Settings::build([]).unwrap().source().unwrap_err().to_string();
    assert_eq!(
        message,
        "`source.url` is not set; set it in the configuration, or KEYHAVEN_SOURCE_URL in the environment"
    );
    let layer = file("[source]\nurl = \"https://a.example\"\n");
    let message = Settings::build([layer]).unwrap().source().unwrap_err().to_string();
    assert!(message.contains("`source.api_key`") && message.contains("KEYHAVEN_SOURCE_API_KEY"), "{message}");
}
