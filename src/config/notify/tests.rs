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

#[test]
fn targets_are_read_with_their_defaults() {
    let settings = read(
        "[[notify]]\nkind = \"ping\"\nurl_file = \"hc\"\njobs = [\"backup\"]\n\
         [[notify]]\nkind = \"webhook\"\nname = \"pd\"\npreset = \"pagerduty\"\ntoken_env = \"PD\"\nnames = true\n\
         headers = { X-Team = \"{{job}}\", X-Api-Key = { file = \"k\" } }\n\
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
    assert_eq!(shown[0], "notify.ping-1: ping; URL in file /etc/keyhaven/hc; jobs backup");
    assert!(shown[1].contains("token in environment variable PD") && shown[1].ends_with("; with names"), "{shown:?}");
}

#[test]
fn every_preset_is_a_target_by_itself() {
    for preset in PRESETS {
        let token = if preset.needs_token { "token_env = \"T\"\n" } else { "" };
        let url = if preset.url.is_some() { "" } else { "url_env = \"U\"\n" };
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
        assert!(message.contains("line 3") && message.contains("`url_file`"), "{message}");
        assert!(!message.contains("hunter2") && !message.contains("5f1d0a3e"), "{message}");
    }
    assert!(read("[[notify]]\nkind = \"webhook\"\nurl = \"https://ntfy.example/keyhaven\"\n").is_ok());
}

#[test]
fn every_slip_names_its_line_and_what_would_be_right() {
    let mail = "kind = \"mail\"\nhost = \"mx.example\"\nfrom = \"a@b\"\nto = [\"a@b\"]\n";
    let hook = "kind = \"webhook\"\nurl_env = \"U\"\n";
    let cases = [
        ("name = \"x\"".to_owned(), "line 1: `[[notify]]`: it has no `kind`"),
        ("kind = \"webhok\"".to_owned(), "line 2: `notify.kind`: no such kind; did you mean `webhook`?"),
        ("kind = \"ping\"\nurl_env = \"U\"".to_owned(), "name it: `jobs = [\"backup\"]`"),
        ("kind = \"ping\"\njobs = [\"b\"]".to_owned(), "it has no `url_file`"),
        (format!("{hook}on = [\"failed\"]"), "`failed` is nothing that is told; did you mean `failure`?"),
        (format!("{hook}on = []"), "would tell nothing"),
        (format!("{hook}bdy = \"x\""), "line 4: unknown key `notify.bdy`; did you mean `notify.body`?"),
        (format!("{hook}body = \"{{{{jobb}}}}\""), "did you mean `{{job}}`?"),
        (format!("{hook}body = \"{{{{job}}}} failed\""), "is no JSON"),
        (format!("{hook}body = \"\\\"{{{{token}}}}\\\"\""), "names {{token}}"),
        (format!("{hook}preset = \"slak\""), "did you mean `slack`?"),
        (format!("{hook}preset = \"pagerduty\""), "needs `token_file`"),
        (format!("{hook}method = \"GET\""), "\"POST\" or \"PUT\""),
        (format!("{hook}name = \"Ops Team\""), "small letters"),
        (format!("{hook}timeout = \"1h\""), "is more than 2m"),
        (format!("{hook}repeat_every = \"often\""), "a time with a unit"),
        (format!("{hook}url_file = \"f\""), "in two ways"),
        (format!("{hook}url = \"https://a.example\""), "exclude each other"),
        (format!("{hook}token = \"hunter2\""), "holds a secret inline"),
        (format!("{hook}headers = {{ Authorization = \"hunter2\" }}"), "is secret by its name"),
        (format!("{hook}headers = {{ \"X Y\" = \"v\" }}"), "no header can have"),
        (format!("{hook}headers = {{ X-Team = \"d\u{e9}\" }}"), "one line of ASCII"),
        (format!("{hook}headers = {{ X-Key = {{ fil = \"k\" }} }}"), "{ file = … }"),
        ("kind = \"webhook\"\nurl = \"http://ntfy.example/t\"".to_owned(), "plain http, which is for loopback only"),
        ("kind = \"webhook\"\nurl = \"ntfy.example\"".to_owned(), "is no URL"),
        (format!("{mail}tls = \"none\""), "\"none\" is for loopback only"),
        (format!("{mail}tls = \"ssl\""), "\"starttls\""),
        (format!("{mail}port = 70000"), "from 1 to 65535"),
        (format!("{mail}user = \"u\""), "`password_file`"),
        (format!("{mail}user = \"u\"\npassword = \"hunter2\""), "holds a secret inline"),
        (mail.replace("to = [\"a@b\"]", "to = [\"nobody\"]"), "mail addresses"),
        (mail.replace("from = \"a@b\"", "from = \"a@b\\r\\nBcc: c@d\""), "is no mail address"),
    ];
    for (members, words) in cases {
        let message = fails(&members);
        assert!(message.contains(words), "{members}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    let twice = "[[notify]]\nkind = \"webhook\"\nurl_env = \"U\"\nname = \"a\"\n".repeat(2);
    assert!(read(&twice).unwrap_err().to_string().contains("two targets have this name"));
    assert!(read("[notify]\nkind = \"ping\"\n").unwrap_err().to_string().contains("write each entry as `[[notify]]`"));
}

#[test]
fn a_relative_audit_path_is_refused() {
    let message = read("[audit]\nto = \"audit.jsonl\"\n").unwrap_err().to_string();
    assert!(message.contains("a path from the root"), "{message}");
    assert_eq!(read("[audit]\nto = \"stdout\"\n").unwrap().audit().unwrap().to, "stdout");
}
