//! Notifications: pings, webhooks and mail against real receivers, well-behaved and not.

use data_encoding::BASE64;

use crate::kit::program::Run;
use crate::kit::receivers::{Answer, MailServer, Receiver, certificate, repeating_mail_server};
use crate::kit::site::Site;

const TOKEN: &str = "token-5c1e7f9a2b";
const NEVER_TOLD: [&str; 4] = [TOKEN, "hunter2", "api-key", "api/v2"];

/// Adds targets to the configuration.
fn add(site: &Site, text: &str) {
    let config = site.machine.read("keyhaven.toml");
    site.machine.write("keyhaven.toml", &format!("{config}\n{text}"));
}

/// A webhook by its URL, which stands in a file like a secret.
fn webhook(site: &Site, name: &str, url: &str, more: &str) {
    site.machine.write(&format!("{name}.url"), url);
    add(site, &format!("[[notify]]\nkind = \"webhook\"\nname = \"{name}\"\nurl = \"file:{name}.url\"\n{more}\n"));
}

/// Makes the next backup fail with exit code 17, or well again.
fn source_key(site: &Site, good: bool) {
    use secrecy::ExposeSecret as _;
    let key = site.source.options().api_key.expose_secret().to_owned();
    site.machine.write("api-key", if good { &key } else { "hunter2-no-key-of-this-instance" });
}

fn silent_about(run: &Run, secrets: &[&str]) {
    for secret in secrets {
        assert!(!run.out.contains(secret) && !run.err.contains(secret), "{secret}: {run:#?}");
    }
}

#[test]
fn a_check_is_pinged_at_the_start_and_at_the_end_in_that_order() {
    let site = Site::seeded();
    let receiver = Receiver::start(Answer::Status(200));
    site.machine.write("check.url", &receiver.url(&format!("/{TOKEN}")));
    add(&site, "[[notify]]\nkind = \"ping\"\nurl = \"file:check.url\"\njobs = [\"backup\"]\n");
    let ended = |suffix: &str, code: i32| {
        let run = site.machine.run_with(&[("RUST_LOG", "trace")], &["backup"]);
        assert_eq!(run.code, code, "{run:#?}");
        silent_about(&run, &[TOKEN]);
        let requests = receiver.take();
        let paths: Vec<&str> = requests.iter().map(crate::kit::receivers::Request::path).collect();
        assert_eq!(paths, [format!("/{TOKEN}/start"), format!("/{TOKEN}{suffix}")], "{run:#?}");
        let ids: Vec<&str> = requests.iter().map(|request| request.target.split("rid=").nth(1).unwrap()).collect();
        assert!(ids[0] == ids[1] && ids[0].len() == 36, "one run, one id: {ids:?}");
        assert!(requests.iter().all(|request| request.method == "GET" && request.body.is_empty()), "{requests:?}");
    };
    ended("", 0);
    source_key(&site, false);
    ended("/17", 17);
    site.run(&["verify"]).json_free(0);
    assert!(receiver.requests().is_empty(), "another job is another check");
}

impl Run {
    fn json_free(&self, code: i32) {
        assert_eq!(self.code, code, "{self:#?}");
    }
}

#[test]
fn a_failure_triggers_once_and_the_recovery_resolves_the_same_incident() {
    let site = Site::seeded();
    let receiver = Receiver::start(Answer::Status(202));
    site.machine.write("pd.token", TOKEN);
    webhook(&site, "pd", &receiver.url("/enqueue"), "preset = \"pagerduty\"\ntoken = \"file:pd.token\"");
    source_key(&site, false);
    assert_eq!(site.run(&["backup"]).code, 17);
    assert_eq!(site.run(&["backup"]).code, 17);
    let told = receiver.take();
    assert_eq!(told.len(), 1, "what stays bad is told once: {told:?}");
    let trigger = told[0].json();
    assert_eq!((&trigger["event_action"], &trigger["routing_key"]), (&"trigger".into(), &TOKEN.into()));
    assert_eq!(trigger["payload"]["severity"], "error");
    assert_eq!(trigger["payload"]["custom_details"]["exit"], "17");
    assert_eq!(trigger["payload"]["custom_details"]["why"], "", "the words of an error hold names");
    assert!(told[0].header("authorization").is_none(), "the token goes where the template puts it");
    source_key(&site, true);
    assert_eq!(site.run(&["backup"]).code, 0);
    assert_eq!(site.run(&["backup"]).code, 0);
    let told = receiver.take();
    assert_eq!(told.len(), 1, "a recovery is told once: {told:?}");
    let resolve = told[0].json();
    assert_eq!(resolve["event_action"], "resolve");
    assert_eq!(resolve["dedup_key"], trigger["dedup_key"]);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for text in [trigger.to_string(), resolve.to_string()] {
        for secret in NEVER_TOLD.iter().skip(1).chain([&host.trim()]) {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[test]
fn whoever_cannot_be_told_is_a_warning_and_the_backup_has_succeeded() {
    let site = Site::seeded();
    let down = Receiver::start(Answer::Status(500)).url("/").replace("127.0.0.1", "127.0.0.2");
    let [broken, away, endless, mute, good] =
        [Answer::Status(500), Answer::Redirect, Answer::Huge, Answer::Nothing, Answer::Status(200)]
            .map(Receiver::start);
    let on = "on = [\"success\"]\ntimeout = \"3s\"";
    let path = format!("/{TOKEN}");
    webhook(&site, "down", &format!("{down}{TOKEN}"), on);
    webhook(&site, "broken", &broken.url(&path), on);
    webhook(&site, "away", &away.url(&path), on);
    webhook(&site, "endless", &endless.url(&path), on);
    webhook(&site, "mute", &mute.url(&path), on);
    webhook(&site, "good", &good.url(&path), on);
    webhook(&site, "unset", "", on);
    let run = site.machine.run_with(&[("RUST_LOG", "trace")], &["backup", "--json"]);
    assert!(run.json(0)["sequence"].is_u64());
    for words in [
        "not notified: down: ",
        "not notified: broken: 127.0.0.1 answered 500",
        "not notified: away: 127.0.0.1 answered 302 (a redirect",
        "not notified: mute: 127.0.0.1 did not answer in time",
        "not notified: unset: ",
    ] {
        assert!(run.err.contains(words), "{words}: {run:#?}");
    }
    assert!(!run.err.contains("not notified: good") && !run.err.contains("not notified: endless"), "{run:#?}");
    silent_about(&run, &[TOKEN]);
    assert_eq!(good.requests().len(), 1, "what was taken is not sent again");
    assert!(broken.requests().len() > 1, "what may pass is tried again");
    let went: Vec<String> = away.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(went, [path], "a redirect could lead a token elsewhere");
    let body = good.requests()[0].json();
    assert_eq!((&body["event"], &body["job"], &body["exit"]), (&"success".into(), &"backup".into(), &0.into()));
    assert_eq!(body["host"], serde_json::Value::Null, "no names unless allowed");
}

#[test]
#[ignore = "needs the Python environment: tests/run"]
fn a_mail_goes_over_starttls_with_a_login_and_a_refused_one_is_a_warning() {
    let site = Site::seeded();
    certificate(&site.machine);
    let [pem, key] = ["smtp.pem", "smtp.key"].map(|name| site.machine.path(name).display().to_string());
    let mut server = MailServer::start(&["starttls", &pem, &key, "keyhaven", TOKEN]);
    site.machine.write("password", TOKEN);
    add(
        &site,
        &format!(
            "[[notify]]\nkind = \"mail\"\nname = \"ops\"\nhost = \"localhost\"\nport = {}\ntls = \"starttls\"\n\
             user = \"keyhaven\"\npassword = \"file:password\"\nca_file = \"ca.pem\"\nfrom = \"keyhaven@example.com\"\n\
             to = [\"ops@example.com\", \"dba@example.com\"]\nnames = true\n",
            server.port
        ),
    );
    source_key(&site, false);
    let run = site.machine.run_with(&[("RUST_LOG", "trace")], &["backup"]);
    assert!(run.code == 17 && !run.err.contains("not notified"), "{run:#?}");
    silent_about(&run, &[TOKEN]);
    let mail = server.mail();
    assert_eq!((&mail["tls"], &mail["login"]), (&true.into(), &true.into()));
    assert_eq!(mail["to"], serde_json::json!(["ops@example.com", "dba@example.com"]));
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("backup: failed") && text.contains("exit code: 17"), "{text}");
    assert!(text.contains("Auto-Submitted: auto-generated") && text.contains("error: "), "{text}");
    assert!(NEVER_TOLD.iter().take(2).all(|secret| !text.contains(secret)), "{text}");
    // Told: not again. With another password: the server refuses us, and the run ends as it would have.
    assert_eq!(site.run(&["backup"]).code, 17);
    site.machine.write("password", "hunter2-wrong");
    source_key(&site, true);
    let run = site.run(&["backup"]);
    assert!(run.code == 0 && run.err.contains("not notified: ops: localhost: "), "{run:#?}");
    silent_about(&run, &["hunter2"]);
    // It has not been told of the recovery, so the next run tells it.
    site.machine.write("password", TOKEN);
    assert_eq!(site.run(&["backup"]).code, 0);
    assert!(server.mail()["text"].as_str().unwrap().contains("well again"));
}

#[test]
#[ignore = "needs the Python environment: tests/run"]
fn a_mail_goes_over_tls_from_the_first_byte_and_only_to_who_has_a_certificate_that_counts() {
    let site = Site::seeded();
    certificate(&site.machine);
    let [pem, key] = ["smtp.pem", "smtp.key"].map(|name| site.machine.path(name).display().to_string());
    let mut server = MailServer::start(&["implicit", &pem, &key, "keyhaven", TOKEN]);
    site.machine.write("password", TOKEN);
    // The second trusts what the system trusts, which has not signed this one.
    for (name, trusts) in [("ours", "ca_file = \"ca.pem\"\n"), ("doubted", "")] {
        add(
            &site,
            &format!(
                "[[notify]]\nkind = \"mail\"\nname = \"{name}\"\nhost = \"localhost\"\nport = {}\n\
                 tls = \"implicit\"\nuser = \"keyhaven\"\npassword = \"file:password\"\n{trusts}\
                 from = \"a@example.com\"\nto = [\"b@example.com\"]\n",
                server.port
            ),
        );
    }
    let run = site.machine.run_with(&[("RUST_LOG", "trace")], &["notify", "test", "ours"]);
    assert_eq!(run.code, 0, "{run:#?}");
    silent_about(&run, &[TOKEN]);
    let mail = server.mail();
    assert_eq!((&mail["tls"], &mail["login"]), (&true.into(), &true.into()));
    let run = site.machine.run_with(&[("RUST_LOG", "trace")], &["notify", "test", "doubted"]);
    assert!(run.code == 1 && run.out.contains("certificate"), "{run:#?}");
    silent_about(&run, &[TOKEN]);
}

#[test]
fn a_server_that_repeats_the_login_is_not_quoted() {
    let site = Site::seeded();
    let port = repeating_mail_server();
    site.machine.write("password", TOKEN);
    add(
        &site,
        &format!(
            "[[notify]]\nkind = \"mail\"\nname = \"ops\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n\
             user = \"keyhaven\"\npassword = \"file:password\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n"
        ),
    );
    let run = site.machine.run_with(&[("RUST_LOG", "trace")], &["notify", "test"]);
    assert!(run.code == 1 && format!("{}{}", run.out, run.err).contains("the server refused (500)"), "{run:#?}");
    let plain = BASE64.encode(format!("\0keyhaven\0{TOKEN}").as_bytes());
    silent_about(&run, &[TOKEN, &plain, &BASE64.encode(TOKEN.as_bytes())]);
}

#[test]
fn a_run_that_its_audit_trail_keeps_from_beginning_is_told_like_any_other_failure() {
    let site = Site::seeded();
    let chat = Receiver::start(Answer::Status(200));
    webhook(&site, "chat", &chat.url("/"), "");
    let environment = [("KEYHAVEN_AUDIT_TO", "/no/such/folder/audit.jsonl")];
    site.machine.run_with(&environment, &["backup"]).fails(1, &["so nothing was done"]);
    let told = chat.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0].json()["event"], &told[0].json()["exit"]), (&"failure".into(), &1.into()));
    assert_eq!(site.run(&["backup"]).code, 0);
    assert_eq!(chat.take()[0].json()["event"], "recovery");
}

#[test]
#[ignore = "needs the Python environment: tests/run"]
fn a_server_without_starttls_gets_neither_mail_nor_password() {
    let site = Site::seeded();
    let server = MailServer::start(&[]);
    site.machine.write("password", TOKEN);
    add(
        &site,
        &format!(
            "[[notify]]\nkind = \"mail\"\nname = \"ops\"\nhost = \"localhost\"\nport = {}\ntls = \"starttls\"\n\
             user = \"keyhaven\"\npassword = \"file:password\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n",
            server.port
        ),
    );
    let tested = site.run(&["notify", "test", "--json"]).json(1);
    assert_eq!(tested["targets"][0]["notified"], false, "{tested:#}");
    assert!(tested["targets"][0]["why"].as_str().unwrap().starts_with("localhost: "), "{tested:#}");
}

#[test]
#[ignore = "needs the Python environment: tests/run"]
fn a_test_reaches_every_target_and_says_which_it_did_not_reach() {
    let site = Site::seeded();
    let mut server = MailServer::start(&[]);
    let chat = Receiver::start(Answer::Status(200));
    webhook(
        &site,
        "topic",
        &chat.url("/t"),
        "preset = \"ntfy\"\ntoken = \"env:NTFY\"\nheaders = { X-Team = \"dba-{{event}}\" }",
    );
    add(
        &site,
        &format!(
            "[[notify]]\nkind = \"mail\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"a@example.com\"\n\
             to = [\"b@example.com\"]\n",
            server.port
        ),
    );
    let environment = [("NTFY", TOKEN)];
    let tested = site.machine.run_with(&environment, &["notify", "test"]);
    assert_eq!(tested.code, 0, "{tested:#?}");
    assert!(server.mail()["text"].as_str().unwrap().contains("a test of this notification"));
    let [request] = &chat.take()[..] else { panic!("not one request") };
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(request.header("title"), Some("Keyhaven: a test of this notification"));
    assert_eq!(request.header("x-team"), Some("dba-test"));
    assert_eq!(site.run(&["notify", "test", "topic"]).code, 1, "without its token");
    site.run(&["notify", "test", "tpic"]).fails(2, &["there is no notification `tpic`", "topic"]);
    let shown = site.run(&["config", "show"]);
    assert!(shown.out.contains("notify.topic") && shown.out.contains("topic.url"), "{shown:#?}");
    silent_about(&shown, &[&chat.url("/t")]);
}

#[test]
fn status_over_several_instances_tells_of_each_that_is_stale() {
    use keyhaven::provider::embedded::{InstanceClock, Options, seed};
    // The provider lives four minutes ago, which is still allowed: so does every snapshot.
    let options = Options { clock: InstanceClock::ahead(-240_000), ..Options::default() };
    let site = Site::with(options, |source| seed(source, 11, 3).unwrap());
    let receiver = Receiver::start(Answer::Status(200));
    site.machine.write("chat.url", &receiver.url("/"));
    let config: toml::Value = toml::from_str(&site.machine.read("keyhaven.toml")).unwrap();
    let id = config["repository"]["id"].as_str().unwrap();
    let several = |rpo: &str| {
        let text = format!(
            "state_dir = \"state\"\n[[notify]]\nkind = \"webhook\"\nname = \"chat\"\nurl = \"file:chat.url\"\n\
             on = [\"stale\", \"recovery\"]\nnames = true\n\
             [[instances]]\nname = \"gone\"\nrepository.url = \"gone\"\nrepository.id = \"{}\"\n\
             [[instances]]\nname = \"pay\"\nrepository.url = \"repo\"\nrepository.id = \"{id}\"\n\
             objectives.rpo = \"{rpo}\"\n",
            "0".repeat(64)
        );
        site.machine.write("several.toml", &text);
    };
    several("2m");
    for _ in 0..2 {
        assert_eq!(site.run(&["status", "--config", "several.toml"]).code, 14);
    }
    let told = receiver.take();
    assert_eq!(told.len(), 1, "what stays stale is told once, and of what cannot be read nothing: {told:?}");
    let body = told[0].body.clone();
    assert!(body.contains("pay") && body.contains("the objective is 2 min"), "{body}");
    several("2h");
    let run = site.run(&["status", "--config", "several.toml"]);
    assert_eq!(run.code, 10, "the other one still cannot be read: {run:#?}");
    let told = receiver.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].body.contains("pay"), "{told:?}");
}
