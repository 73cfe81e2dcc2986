//! One entry of the table: which members belong together, and what each may say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::presets::{PRESETS, Preset};
use super::template::{Escape, Template};
use super::{Header, NOTIFY, NotifyPlace, NotifyTarget, Occasion, Tls, Way, WebhookBody};
use crate::config::entry::{TableEntry, nearest};
use crate::config::error::ConfigError;
use crate::config::sections::SecretRef;
use crate::config::settings::is_loopback;
use crate::config::value::{SettingValue, ValueKind, describe, period_text};

/// How often what stays bad is told again.
const REPEAT: Duration = Duration::from_secs(86_400);
/// How long one target may take for one notification, with all its attempts.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest that a target may ask for: a run waits for it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Addresses of one mail.
const MOST_ADDRESSES: usize = 100;
/// Headers of one webhook.
const MOST_HEADERS: usize = 50;
/// Members that every kind of target may have.
const COMMON: &[&str] = &["kind", "name", "jobs", "instances", "timeout", "ca_file"];

/// Reads one entry.
pub(super) struct NotifyReader<'e, 'd, 'p> {
    pub(super) entry: &'e TableEntry<'d, 'p>,
    pub(super) base: &'e Path,
}

impl NotifyReader<'_, '_, '_> {
    pub(super) fn target(&self, place: usize) -> Result<NotifyTarget, ConfigError> {
        let Some(kind) = self.entry.text("kind")? else {
            return Err(self.entry.error("it has no `kind`; there are ping, webhook and mail"));
        };
        let way = match kind.as_str() {
            "ping" => self.ping()?,
            "webhook" => self.webhook()?,
            "mail" => self.mail()?,
            _ => {
                let near = nearest(&kind, ["ping", "webhook", "mail"].into_iter());
                return Err(self.entry.at("kind", format!("no such kind{near}; there are ping, webhook and mail")));
            }
        };
        let name = self.entry.text("name")?.unwrap_or_else(|| format!("{kind}-{}", place + 1));
        if !is_name(&name) {
            let problem = "must be 1 to 64 small letters, digits, `-` or `_`".to_owned();
            return Err(self.entry.at("name", problem));
        }
        let ping = matches!(way, Way::Ping { .. });
        let jobs = self.texts("jobs")?.unwrap_or_default();
        if ping && jobs.is_empty() {
            return Err(self.entry.error("a check watches one job; name it: `jobs = [\"backup\"]`"));
        }
        let timeout = self.period("timeout")?.unwrap_or(TIMEOUT);
        if timeout > LONGEST_TIMEOUT {
            let problem = format!("is more than {}; a run waits for it", period_text(LONGEST_TIMEOUT));
            return Err(self.entry.at("timeout", problem));
        }
        Ok(NotifyTarget {
            name,
            way,
            on: self.occasions()?,
            jobs,
            instances: self.texts("instances")?.unwrap_or_default(),
            repeat_every: self.period("repeat_every")?.unwrap_or(REPEAT),
            timeout,
            names: self.flag("names")?.unwrap_or(false),
            ca_file: self.read("ca_file", ValueKind::Path)?.and_then(path),
            origin: self.entry.place(),
        })
    }

    fn ping(&self) -> Result<Way, ConfigError> {
        self.only(&["url", "url_file", "url_env", "url_credential"])?;
        Ok(Way::Ping { url: self.url(None)? })
    }

    fn webhook(&self) -> Result<Way, ConfigError> {
        let own = ["url", "url_file", "url_env", "url_credential", "preset", "method", "headers", "content_type"];
        let more = ["body", "token", "token_file", "token_env", "token_credential", "on", "repeat_every", "names"];
        self.only(&[&own[..], &more].concat())?;
        let preset = self.preset()?;
        let method = match self.entry.text("method")?.as_deref() {
            None | Some("POST") => "POST",
            Some("PUT") => "PUT",
            Some(_) => return Err(self.entry.at("method", "must be \"POST\" or \"PUT\"".to_owned())),
        };
        let content_type = self.entry.text("content_type")?.unwrap_or_else(|| preset.content_type.to_owned());
        if content_type.is_empty() || !content_type.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err(self.entry.at("content_type", "is no type of a body, such as \"text/plain\"".to_owned()));
        }
        let token = self.secret("token")?;
        if preset.needs_token && token.is_none() {
            return Err(self
                .entry
                .error(&format!("the preset {} needs `token_file`, `token_env` or `token_credential`", preset.name)));
        }
        let body = self.body(preset, &content_type)?;
        let names_token = matches!(&body, WebhookBody::Template(template, _) if template.names("token"));
        if names_token && token.is_none() {
            return Err(self.entry.at("body", "names {{token}}, and there is no `token_file` or the like".to_owned()));
        }
        Ok(Way::Webhook {
            url: self.url(preset.url)?,
            method,
            headers: self.headers(preset)?,
            content_type,
            body,
            token,
        })
    }

    fn preset(&self) -> Result<&'static Preset, ConfigError> {
        let word = self.entry.text("preset")?.unwrap_or_else(|| "json".to_owned());
        PRESETS.iter().find(|preset| preset.name == word).ok_or_else(|| {
            let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            let near = nearest(&word, names.iter().copied());
            self.entry.at("preset", format!("no such preset{near}; there are {}", names.join(", ")))
        })
    }

    fn body(&self, preset: &Preset, content_type: &str) -> Result<WebhookBody, ConfigError> {
        let written = self.entry.text("body")?;
        let Some(text) = written.as_deref().or(preset.body) else { return Ok(WebhookBody::Fields) };
        let template = Template::parse(text).map_err(|problem| self.entry.at("body", problem))?;
        let escape = if content_type.contains("json") { Escape::Json } else { Escape::Text };
        // Any text will do: what is filled in is escaped and cannot change whether it is JSON.
        let sample = template.render(escape, |_| "1".into());
        if escape == Escape::Json && serde_json::from_str::<serde::de::IgnoredAny>(&sample).is_err() {
            let problem = "is no JSON when its placeholders are filled in; write it as JSON with each placeholder inside \
                           a text, or set `content_type`";
            return Err(self.entry.at("body", problem.to_owned()));
        }
        Ok(WebhookBody::Template(template, escape))
    }

    fn headers(&self, preset: &Preset) -> Result<Vec<(String, Header)>, ConfigError> {
        let mut headers = Vec::new();
        for (name, text) in preset.headers {
            let template = Template::parse(text).map_err(|problem| self.entry.error(&problem))?;
            headers.push(((*name).to_owned(), Header::Plain(template)));
        }
        let Some((value, _)) = self.entry.member("headers") else { return Ok(headers) };
        let wrong = |problem: String| self.entry.at("headers", problem);
        let DeValue::Table(members) = value else {
            return Err(wrong(format!("must be a table such as {{ X-Team = \"dba\" }}, not {}", describe(value))));
        };
        if members.len() > MOST_HEADERS {
            return Err(wrong(format!("more than {MOST_HEADERS} headers")));
        }
        for (name, value) in members {
            let name: &str = name.get_ref();
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(token) {
                return Err(wrong("has a name that no header can have".to_owned()));
            }
            let header = match value.get_ref() {
                DeValue::String(text) => {
                    if secret_header(name) {
                        let problem =
                            format!("`{name}` is secret by its name; write {{ file = \"…\" }} (or env, credential)");
                        return Err(wrong(problem));
                    }
                    if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
                        return Err(wrong(format!("`{name}` is not one line of ASCII")));
                    }
                    Header::Plain(Template::parse(text).map_err(|problem| wrong(format!("`{name}` {problem}")))?)
                }
                DeValue::Table(place) => Header::Secret(self.reference(name, place)?),
                other => {
                    return Err(wrong(format!("`{name}` must be text or {{ file = … }}, not {}", describe(other))));
                }
            };
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            headers.push((name.to_owned(), header));
        }
        Ok(headers)
    }

    fn reference(&self, header: &str, place: &toml::de::DeTable<'_>) -> Result<SecretRef, ConfigError> {
        let wrong = || {
            let problem =
                format!("`{header}` must be text, or one of {{ file = … }}, {{ env = … }}, {{ credential = … }}");
            self.entry.at("headers", problem)
        };
        let mut members = place.iter();
        let (Some((name, value)), None) = (members.next(), members.next()) else { return Err(wrong()) };
        let DeValue::String(text) = value.get_ref() else { return Err(wrong()) };
        let name: &str = name.get_ref();
        match name {
            _ if text.is_empty() => Err(wrong()),
            "file" => {
                let read = ValueKind::Path.read_text(text, self.base).ok().and_then(path);
                read.map(SecretRef::File).ok_or_else(wrong)
            }
            "env" => Ok(SecretRef::Env(text.to_string())),
            "credential" => Ok(SecretRef::Credential(text.to_string())),
            _ => Err(wrong()),
        }
    }

    fn mail(&self) -> Result<Way, ConfigError> {
        let own = [
            "host",
            "port",
            "tls",
            "user",
            "password",
            "password_file",
            "password_env",
            "password_credential",
            "from",
            "to",
        ];
        self.only(&[&own[..], &["on", "repeat_every", "names"]].concat())?;
        let needed =
            |name: &str| self.entry.text(name)?.ok_or_else(|| self.entry.error(&format!("a mail needs `{name}`")));
        let host = needed("host")?;
        if host.is_empty() || host.len() > 253 || !host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c))
        {
            return Err(self.entry.at("host", "is no name of a host".to_owned()));
        }
        let tls = match self.entry.text("tls")?.as_deref() {
            None | Some("implicit") => Tls::Implicit,
            Some("starttls") => Tls::StartTls,
            Some("none") => Tls::None,
            Some(_) => {
                return Err(self.entry.at("tls", "must be \"implicit\", \"starttls\" or \"none\"".to_owned()));
            }
        };
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if tls == Tls::None && !is_loopback(&format!("http://{bracketed}")) {
            let problem = "\"none\" is for loopback only: what is told would cross the network in clear".to_owned();
            return Err(self.entry.at("tls", problem));
        }
        let port = match self.entry.member("port") {
            None => match tls {
                Tls::Implicit => 465,
                Tls::StartTls => 587,
                Tls::None => 25,
            },
            Some((DeValue::Integer(number), _)) => {
                let port = number.as_str().parse::<u16>().ok().filter(|port| *port > 0);
                port.ok_or_else(|| self.entry.at("port", "must be a number from 1 to 65535".to_owned()))?
            }
            Some((other, _)) => {
                return Err(self.entry.at("port", format!("must be a number, not {}", describe(other))));
            }
        };
        let login = match (self.entry.text("user")?, self.secret("password")?) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            (Some(_), None) => return Err(self.entry.at("user", "needs a `password_file` or the like".to_owned())),
            (None, Some(_)) => return Err(self.entry.error("a password needs a `user`")),
        };
        let (from, to) = (needed("from")?, self.texts("to")?.unwrap_or_default());
        if !is_address(&from) {
            return Err(self.entry.at("from", "is no mail address".to_owned()));
        }
        if to.is_empty() || to.len() > MOST_ADDRESSES || !to.iter().all(|address| is_address(address)) {
            return Err(self.entry.at("to", format!("must be a list of 1 to {MOST_ADDRESSES} mail addresses")));
        }
        Ok(Way::Mail { host, port, tls, login, from, to })
    }

    /// Refuses members of other names. A secret itself passes here, to be refused with where it belongs instead.
    fn only(&self, own: &[&str]) -> Result<(), ConfigError> {
        self.entry.only(&[COMMON, own].concat())
    }

    fn occasions(&self) -> Result<Vec<Occasion>, ConfigError> {
        let Some(words) = self.texts("on")? else {
            return Ok(Occasion::ALL.into_iter().filter(|one| *one != Occasion::Success).collect());
        };
        if words.is_empty() {
            return Err(self
                .entry
                .at("on", "is empty and would tell nothing; leave the target out instead".to_owned()));
        }
        let occasion = |word: &String| {
            Occasion::ALL.into_iter().find(|one| one.as_str() == word).ok_or_else(|| {
                let names = Occasion::ALL.map(Occasion::as_str);
                let near = nearest(word, names.into_iter());
                self.entry.at("on", format!("`{word}` is nothing that is told{near}; there are {}", names.join(", ")))
            })
        };
        words.iter().map(occasion).collect()
    }

    /// Where the target is. A secret in the file itself is refused, and so is a URL that looks like one.
    fn url(&self, default: Option<&str>) -> Result<NotifyPlace, ConfigError> {
        let secret = self.secret("url")?;
        let plain = self.entry.text("url")?;
        match (plain, secret, default) {
            (Some(_), Some(_), _) => {
                Err(self.entry.at("url", "and a reference to the URL exclude each other; keep one".to_owned()))
            }
            (None, Some(secret), _) => Ok(NotifyPlace::Secret(secret)),
            (Some(url), None, _) => {
                check_url(&url).map_err(|problem| self.entry.at("url", problem.to_owned()))?;
                if looks_secret(&url) {
                    let problem = "looks like one with a secret in it; put it into a file of its own and name that: \
                                   `url_file`, or `url_env`, `url_credential`";
                    return Err(self.entry.at("url", problem.to_owned()));
                }
                Ok(NotifyPlace::Plain(url))
            }
            (None, None, Some(url)) => Ok(NotifyPlace::Plain(url.to_owned())),
            (None, None, None) => Err(self.entry.error("it has no `url_file`, `url_env`, `url_credential` or `url`")),
        }
    }

    fn secret(&self, name: &str) -> Result<Option<SecretRef>, ConfigError> {
        if self.entry.member(name).is_some() && name != "url" {
            let (_, place) = self.entry.member(name).unwrap_or((&DeValue::Boolean(false), self.entry.place()));
            return Err(ConfigError::InlineSecret { place, key: format!("{NOTIFY}.{name}") });
        }
        let file = self.read(&format!("{name}_file"), ValueKind::Path)?.and_then(path).map(SecretRef::File);
        let env = self.entry.text(&format!("{name}_env"))?.map(SecretRef::Env);
        let credential = self.entry.text(&format!("{name}_credential"))?.map(SecretRef::Credential);
        let mut ways = [file, env, credential].into_iter().flatten();
        let (first, second) = (ways.next(), ways.next());
        if second.is_some() {
            return Err(self.entry.error(&format!("it gives the {name} in two ways; keep one")));
        }
        Ok(first)
    }

    fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ConfigError> {
        Ok(self.read(name, ValueKind::Texts)?.and_then(|value| match value {
            SettingValue::Texts(texts) => Some(texts),
            _ => None,
        }))
    }

    fn period(&self, name: &str) -> Result<Option<Duration>, ConfigError> {
        Ok(self.read(name, ValueKind::Period)?.and_then(|value| match value {
            SettingValue::Period(period) => Some(period),
            _ => None,
        }))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, ConfigError> {
        Ok(self.read(name, ValueKind::Flag)?.map(|value| value == SettingValue::Flag(true)))
    }

    fn read(&self, name: &str, kind: ValueKind) -> Result<Option<SettingValue>, ConfigError> {
        let Some((value, _)) = self.entry.member(name) else { return Ok(None) };
        let wrong = |found| self.entry.at(name, format!("must be {}, not {found}", kind.expected()));
        kind.read_toml(value, self.base).map(Some).map_err(wrong)
    }
}

fn path(value: SettingValue) -> Option<PathBuf> {
    match value {
        SettingValue::Path(path) => Some(path),
        _ => None,
    }
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

/// Whether a URL can be told at all.
///
/// # Errors
/// In words that do not repeat the URL.
pub fn check_url(text: &str) -> Result<(), &'static str> {
    let url = url::Url::parse(text).map_err(|_| "is no URL")?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(text) => {}
        "http" => {
            return Err("is plain http, which is for loopback only: what is told would cross the network in clear");
        }
        _ => return Err("must begin with https://"),
    }
    if url.host().is_none() { Err("names no host") } else { Ok(()) }
}

/// Whether a URL holds what may be a secret: a user, a password, a query, or a part of the path that nobody would type.
fn looks_secret(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return true };
    let random = |part: &str| {
        let both = part.bytes().any(|b| b.is_ascii_digit()) && part.bytes().any(|b| b.is_ascii_alphabetic());
        part.len() >= 32 || part.len() >= 9 && both
    };
    !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
        || url.path_segments().is_some_and(|mut parts| parts.any(random))
}

/// Whether a header holds a secret wherever it is used.
fn secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "token", "secret", "key", "password", "signature"]
        .iter()
        .any(|word| name.contains(word))
}
