use std::path::Path;

use super::presets::PRESETS;
use super::*;
use crate::config::{Layer, Settings};

fn read(text: &str) -> Result<Settings, ConfigError> {
    Settings::build([Layer::file(text, "keyhaven.toml", Path::new("/etc/keyhaven"))?])
}

fn fails(members: &str) -> String {
    read(&format!("[[notify]]\n{members}\n")).unwrap_err().to_string()
}

#[cfg(feature = "mail")]
#[test]
fn targets_are_read_with_their_defaults() {
    let settings = read(
        "[[notify]]\nkind = \"ping\"\nurl = \"file:hc\"\njobs = [\"backup\"]\n\
         [[notify]]\nkind = \"webhook\"\nname = \"pd\"\npreset = \"pagerduty\"\ntoken = \"env:PD\"\nnames = true\n\
         headers = { X-Team = \"{{job}}\", X-Api-Key = \"file:k\" }\n\
         [[notify]]\nkind = \"mail\"\nhost = \"mx.example\"\nfrom = \"Keyhaven <k@example.com>\"\nto = [\"a@b\"]\n",
    )
    .unwrap();
    let [ping, webhook, mail] = settings.notify() else { panic!("{:?}", settings.notify()) };
    assert_eq!(ping.way, Way::Ping { url: NotifyPlace::Secret(SecretRef::File("/etc/keyhaven/hc".into())) });
    assert_eq!((ping.name.as_str(), mail.name.as_str()), ("ping-1", "mail-3"));
    let Way::Webhook { url, headers, body: WebhookBody::Template(template, Escape::Json), .. } = &webhook.way else {
        panic!("{webhook:?}")
    };
    assert_eq!(*url, NotifyPlace::Plain("https://events.pagerduty.com/v2/enqueue".into()));
    assert!(template.names("token") && template.names("key") && template.names("action"));
    assert_eq!(headers.len(), 2);
    let secret = Header::Secret(SecretRef::File("/etc/keyhaven/k".into()));
    assert!(headers.iter().any(|(name, value)| name == "X-Api-Key" && *value == secret), "{headers:?}");
    assert!(!webhook.on.contains(&Occasion::Success) && webhook.on.contains(&Occasion::Stale));
    let Way::Mail { port, tls, login, .. } = &mail.way else { panic!("{mail:?}") };
    assert_eq!((*port, *tls, login.is_none()), (465, Tls::Implicit, true));
    let shown: Vec<String> = settings.notify_shown().iter().map(|one| format!("{}: {}", one.key, one.value)).collect();
    assert_eq!(shown[0], "notify.ping-1: ping; URL in file:/etc/keyhaven/hc; jobs backup");
    assert!(shown[1].contains("token in env:PD") && shown[1].ends_with("; with names"), "{shown:?}");
}

#[test]
fn every_preset_is_a_target_by_itself() {
    for preset in PRESETS {
        let token = if preset.needs_token { "token = \"env:T\"\n" } else { "" };
        let url = if preset.url.is_some() { "" } else { "url = \"env:U\"\n" };
        let text = format!("[[notify]]\nkind = \"webhook\"\npreset = \"{}\"\n{token}{url}", preset.name);
        assert!(read(&text).is_ok(), "{}: {:?}", preset.name, read(&text).err());
    }
}

#[test]
fn a_url_with_a_secret_does_not_stand_in_the_file() {
    for url in [
        "https://hooks.slack.com/services/T0AAA/B0BBB/hunter2hunter2hunter2xxx",
        "https://hc-ping.com/5f1d0a3e-9b7c-4f44-9a55-3d1a2b4c5e6f",
        "https://user:hunter2@ntfy.example/t",
        "https://ntfy.example/t?auth=hunter2",
    ] {
        let message = fails(&format!("kind = \"webhook\"\nurl = \"{url}\""));
        assert!(message.contains("line 3") && message.contains("file:PATH"), "{message}");
        assert!(!message.contains("hunter2") && !message.contains("5f1d0a3e"), "{message}");
    }
    assert!(read("[[notify]]\nkind = \"webhook\"\nurl = \"https://ntfy.example/keyhaven\"\n").is_ok());
}

#[test]
fn a_relative_audit_path_is_refused() {
    let message = read("[audit]\nto = \"audit.jsonl\"\n").unwrap_err().to_string();
    assert!(message.contains("a path from the root"), "{message}");
    assert_eq!(read("[audit]\nto = \"stdout\"\n").unwrap().audit().to.as_deref(), Some("stdout"));
}

#[cfg(not(feature = "mail"))]
#[test]
fn a_build_without_mail_refuses_one_and_names_the_feature() {
    let error = fails("kind = \"mail\"\nhost = \"mx.example\"\nfrom = \"k@example.com\"\nto = [\"a@example.com\"]");
    assert!(error.contains("`notify.kind`") && error.contains("the feature `mail`"), "{error}");
}
