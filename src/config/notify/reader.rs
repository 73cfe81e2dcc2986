//! One entry of the table: which members belong together, and what each may say.

use std::time::Duration;

use serde::Deserialize;

use super::presets::{PRESETS, Preset};
use super::template::{Escape, Template};
use super::{Header, NO_MAIL, NotifyPlace, NotifyTarget, Occasion, Tls, Way, WebhookBody};
use crate::config::entry::TableEntry;
use crate::config::error::ConfigError;
use crate::config::node::{Node, NodeValue};
use crate::config::value::{FilePath, Period, SecretRef, ValueError, Whole, is_loopback, words};
use crate::model::nearest::did_you_mean;

/// Default interval of repeated notifications about a problem that persists.
const REPEAT: Duration = Duration::from_secs(86_400);
/// Timeout of one notification to one target, with all its attempts.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest that a target may ask for: a run waits for it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Addresses of one mail.
const MOST_ADDRESSES: usize = 100;
/// Headers of one webhook.
const MOST_HEADERS: usize = 50;
/// Members that every kind of target may have.
const COMMON: &[&str] = &["kind", "name", "jobs", "instances", "timeout", "ca_file"];

words! {
    /// The kind of a target.
    enum TargetKind {
        /// A check that is pinged.
        Ping = "ping",
        /// An HTTP request.
        Webhook = "webhook",
        /// A mail.
        Mail = "mail",
    }
}

words! {
    /// The method of a webhook.
    enum WebhookMethod {
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
    }
}

/// Members of every kind of target.
#[derive(Deserialize)]
struct TargetMembers {
    name: Option<String>,
    jobs: Option<Vec<String>>,
    instances: Option<Vec<String>>,
    timeout: Option<Period>,
    ca_file: Option<FilePath>,
    url: Option<NotifyPlace>,
    preset: Option<String>,
    method: Option<WebhookMethod>,
    content_type: Option<String>,
    body: Option<String>,
    token: Option<SecretRef>,
    on: Option<Vec<Occasion>>,
    repeat_every: Option<Period>,
    names: Option<bool>,
    host: Option<String>,
    port: Option<Whole<1, 65_535>>,
    tls: Option<Tls>,
    user: Option<String>,
    password: Option<SecretRef>,
    from: Option<String>,
    to: Option<Vec<String>>,
}

/// Reads one entry; `place` is how many come before it.
pub(super) fn target(entry: &TableEntry<'_>, place: usize) -> Result<NotifyTarget, ConfigError> {
    let Some(kind) = entry.member::<TargetKind>("kind")? else {
        return Err(entry.error("it has no `kind`; there are ping, webhook and mail"));
    };
    let own: &[&str] = match kind {
        TargetKind::Ping => &["url"],
        TargetKind::Webhook => {
            &["url", "preset", "method", "headers", "content_type", "body", "token", "on", "repeat_every", "names"]
        }
        TargetKind::Mail => &["host", "port", "tls", "user", "password", "from", "to", "on", "repeat_every", "names"],
    };
    entry.only(&[COMMON, own].concat())?;
    let members: TargetMembers = entry.read()?;
    let name = members.name.clone().unwrap_or_else(|| format!("{kind}-{}", place + 1));
    if !is_name(&name) {
        return Err(entry.at("name", "must be 1 to 64 small letters, digits, `-` or `_`"));
    }
    let way = match kind {
        TargetKind::Ping => Way::Ping { url: url(entry, &members, None)? },
        TargetKind::Webhook => webhook(entry, &members)?,
        TargetKind::Mail if !cfg!(feature = "mail") => return Err(entry.at("kind", NO_MAIL)),
        TargetKind::Mail => mail(entry, &members)?,
    };
    let jobs = members.jobs.unwrap_or_default();
    if kind == TargetKind::Ping && jobs.is_empty() {
        return Err(entry.error("a check watches one job; name it: `jobs = [\"backup\"]`"));
    }
    let timeout = members.timeout.map_or(TIMEOUT, |timeout| timeout.0);
    if timeout > LONGEST_TIMEOUT {
        return Err(entry.at("timeout", format!("is more than {}; a run waits for it", Period(LONGEST_TIMEOUT))));
    }
    let all_but_success = || Occasion::ALL.iter().copied().filter(|one| *one != Occasion::Success).collect();
    let on: Vec<Occasion> = members.on.unwrap_or_else(all_but_success);
    if on.is_empty() {
        return Err(entry.at("on", "is empty and would tell nothing; leave the target out instead"));
    }
    Ok(NotifyTarget {
        name,
        way,
        on,
        jobs,
        instances: members.instances.unwrap_or_default(),
        repeat_every: members.repeat_every.map_or(REPEAT, |every| every.0),
        timeout,
        names: members.names.unwrap_or(false),
        ca_file: members.ca_file.map(|path| path.0),
        origin: entry.node.origin.clone(),
    })
}

fn url(entry: &TableEntry<'_>, members: &TargetMembers, preset: Option<&str>) -> Result<NotifyPlace, ConfigError> {
    let url = members.url.clone().or_else(|| preset.map(|url| NotifyPlace::Plain(url.to_owned())));
    url.ok_or_else(|| {
        entry.error("it has no `url`; write `url = \"file:PATH\"`, or the URL if nothing in it is secret")
    })
}

fn webhook(entry: &TableEntry<'_>, members: &TargetMembers) -> Result<Way, ConfigError> {
    let preset = preset(entry, members.preset.as_deref())?;
    let content_type = members.content_type.clone().unwrap_or_else(|| preset.content_type.to_owned());
    if content_type.is_empty() || !content_type.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return Err(entry.at("content_type", "is no type of a body, such as \"text/plain\""));
    }
    let token = members.token.clone();
    if preset.needs_token && token.is_none() {
        return Err(entry.error(&format!("the preset {} needs a `token`, such as \"file:PATH\"", preset.name)));
    }
    let body = body(entry, members.body.as_deref().or(preset.body), &content_type)?;
    let names_token = matches!(&body, WebhookBody::Template(template, _) if template.names("token"));
    if names_token && token.is_none() {
        return Err(entry.at("body", "names {{token}}, and there is no `token`"));
    }
    let method = members.method.unwrap_or(WebhookMethod::Post).as_str();
    let (url, headers) = (url(entry, members, preset.url)?, headers(entry, preset)?);
    Ok(Way::Webhook { url, method, headers, content_type, body, token })
}

fn preset(entry: &TableEntry<'_>, word: Option<&str>) -> Result<&'static Preset, ConfigError> {
    let word = word.unwrap_or("json");
    PRESETS.iter().find(|preset| preset.name == word).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        let near = did_you_mean(word, names.iter().copied());
        entry.at("preset", format!("no such preset{near}; there are {}", names.join(", ")))
    })
}

fn body(entry: &TableEntry<'_>, text: Option<&str>, content_type: &str) -> Result<WebhookBody, ConfigError> {
    let Some(text) = text else { return Ok(WebhookBody::Fields) };
    let template = Template::parse(text).map_err(|problem| entry.at("body", problem))?;
    let escape = if content_type.contains("json") { Escape::Json } else { Escape::Text };
    // Any text will do: what is filled in is escaped and cannot change whether it is JSON.
    let sample = template.render(escape, |_| "1".into());
    if escape == Escape::Json && serde_json::from_str::<serde::de::IgnoredAny>(&sample).is_err() {
        let problem = "is no JSON when its placeholders are filled in; write it as JSON with each placeholder inside \
                       a text, or set `content_type`";
        return Err(entry.at("body", problem));
    }
    Ok(WebhookBody::Template(template, escape))
}

fn headers(entry: &TableEntry<'_>, preset: &Preset) -> Result<Vec<(String, Header)>, ConfigError> {
    let mut headers = Vec::new();
    for (name, text) in preset.headers {
        let template = Template::parse(text).map_err(|problem| entry.error(&problem))?;
        headers.push(((*name).to_owned(), Header::Plain(template)));
    }
    let Some(node) = entry.node.find("headers") else { return Ok(headers) };
    let wrong = |problem: String| Err(entry.at("headers", problem));
    let NodeValue::Table(members) = &node.value else {
        return wrong(format!("must be a table such as {{ X-Team = \"dba\" }}, not {}", node.describe()));
    };
    if members.len() > MOST_HEADERS {
        return wrong(format!("more than {MOST_HEADERS} headers"));
    }
    for (name, node) in members {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            return wrong("has a name that no header can have".to_owned());
        }
        let header = header(name, node).map_err(|problem| entry.at("headers", format!("`{name}` {problem}")))?;
        headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        headers.push((name.clone(), header));
    }
    Ok(headers)
}

/// The value of a header, or what is wrong with it.
fn header(name: &str, node: &Node) -> Result<Header, String> {
    let NodeValue::Text(text) = &node.value else {
        return Err("must be text, or \"file:PATH\", \"env:NAME\" or \"credential:NAME\"".to_owned());
    };
    if let Some(reference) = SecretRef::from_scheme(text, &node.base) {
        return reference.map(Header::Secret).map_err(|error| match error {
            ValueError::Found(found) => format!("is {found}"),
            ValueError::Problem(problem) => problem,
        });
    }
    if secret_header(name) {
        return Err("is secret by its name; write \"file:PATH\" (or env:NAME, credential:NAME)".to_owned());
    }
    if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
        return Err("is not one line of ASCII".to_owned());
    }
    Template::parse(text).map(Header::Plain)
}

fn mail(entry: &TableEntry<'_>, members: &TargetMembers) -> Result<Way, ConfigError> {
    let needed =
        |name: &str, text: &Option<String>| text.clone().ok_or_else(|| entry.error(&format!("a mail needs `{name}`")));
    let host = needed("host", &members.host)?;
    if host.is_empty() || host.len() > 253 || !host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c)) {
        return Err(entry.at("host", "is no name of a host"));
    }
    let tls = members.tls.unwrap_or(Tls::Implicit);
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    if tls == Tls::None && !is_loopback(&format!("http://{bracketed}")) {
        let problem = "\"none\" is for loopback only: notifications would cross the network in clear";
        return Err(entry.at("tls", problem));
    }
    let usual = match tls {
        Tls::Implicit => 465,
        Tls::StartTls => 587,
        Tls::None => 25,
    };
    let login = match (members.user.clone(), members.password.clone()) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        (Some(_), None) => return Err(entry.at("user", "needs a `password`, such as \"file:PATH\"")),
        (None, Some(_)) => return Err(entry.error("a password needs a `user`")),
    };
    let (from, to) = (needed("from", &members.from)?, members.to.clone().unwrap_or_default());
    if !is_address(&from) {
        return Err(entry.at("from", "is no mail address"));
    }
    if to.is_empty() || to.len() > MOST_ADDRESSES || !to.iter().all(|address| is_address(address)) {
        return Err(entry.at("to", format!("must be a list of 1 to {MOST_ADDRESSES} mail addresses")));
    }
    Ok(Way::Mail { host, port: members.port.map_or(usual, Whole::get), tls, login, from, to })
}

fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// Enough to tell an address from something else; the rest is the mail server's affair.
fn is_address(text: &str) -> bool {
    let plain =
        |part: &str| !part.is_empty() && part.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != '@');
    let inner = match text.split_once('<') {
        Some((name, rest)) if !name.chars().any(char::is_control) => rest.strip_suffix('>').unwrap_or_default(),
        Some(_) => "",
        None => text,
    };
    text.len() <= 320 && inner.split_once('@').is_some_and(|(user, host)| plain(user) && plain(host))
}

/// Returns true if a header holds a secret wherever it is used.
fn secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "token", "secret", "key", "password", "signature"]
        .iter()
        .any(|word| name.contains(word))
}
