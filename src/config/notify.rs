//! The targets of notifications: `[[notify]]`.
//!
//! URLs of such services are secrets more often than not, so each comes by reference; a plain `url` is for those that
//! show none. What is read here holds references only; the edge resolves them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::entry::entries;
use super::error::ConfigError;
use super::layer::SettingOrigin;
use super::sections::SecretRef;
use super::tables::ShownEntry;
use super::value::period_text;

mod presets;
mod reader;
pub mod template;

use reader::NotifyReader;
pub use reader::check_url;
use template::{Escape, Template};

/// The table's name.
const NOTIFY: &str = "notify";

/// What may be told of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// A run failed.
    Failure,
    /// A run recorded something that lacks something.
    Partial,
    /// A run recorded a suspect snapshot.
    Suspect,
    /// The newest good snapshot, or its verification, is older than it may be.
    Stale,
    /// What was bad is good again.
    Recovery,
    /// A run did everything.
    Success,
}

impl Occasion {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Failure, Self::Partial, Self::Suspect, Self::Stale, Self::Recovery, Self::Success];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Partial => "partial",
            Self::Suspect => "suspect",
            Self::Stale => "stale",
            Self::Recovery => "recovery",
            Self::Success => "success",
        }
    }
}

/// Where a target is, as far as the configuration says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyPlace {
    /// A URL without a secret in it.
    Plain(String),
    /// A URL that is kept like a secret.
    Secret(SecretRef),
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// With placeholders, not secret.
    Plain(Template),
    /// Kept like a secret.
    Secret(SecretRef),
}

/// The body of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookBody {
    /// Every field as a member of a JSON object.
    Fields,
    /// A template, and how it is filled in.
    Template(Template, Escape),
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// TLS from the first byte.
    Implicit,
    /// TLS after STARTTLS, or nothing.
    StartTls,
    /// In clear: loopback only.
    None,
}

/// How a target is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A ping at the start and the end of every run, as healthchecks.io takes it.
    Ping {
        /// Where.
        url: NotifyPlace,
    },
    /// An HTTP request.
    Webhook {
        /// Where.
        url: NotifyPlace,
        /// `POST` or `PUT`.
        method: &'static str,
        /// Headers besides the type of the body.
        headers: Vec<(String, Header)>,
        /// The type of the body.
        content_type: String,
        /// What is sent.
        body: WebhookBody,
        /// A token: where the template does not name it, it goes into an `Authorization: Bearer` header.
        token: Option<SecretRef>,
    },
    /// A mail.
    Mail {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// How it is spoken to.
        tls: Tls,
        /// User and where the password is.
        login: Option<(String, SecretRef)>,
        /// Sender.
        from: String,
        /// Receivers.
        to: Vec<String>,
    },
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyTarget {
    /// Its name: small letters, digits, `-` and `_`.
    pub name: String,
    /// How it is told.
    pub way: Way,
    /// What it is told. A ping tells every run.
    pub on: Vec<Occasion>,
    /// Only these jobs; all when empty.
    pub jobs: Vec<String>,
    /// Only these instances; all when empty.
    pub instances: Vec<String>,
    /// How often what stays bad is told again.
    pub repeat_every: Duration,
    /// How long one notification may take, with all its attempts.
    pub timeout: Duration,
    /// Whether names and the words of an error are told.
    pub names: bool,
    /// Further CA certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// Where it stands.
    pub origin: SettingOrigin,
}

/// The targets of one layer. Only a file can have them.
#[derive(Debug, Clone, Default)]
pub(super) struct Notify {
    pub(super) targets: Vec<NotifyTarget>,
}

impl Notify {
    /// Takes a member of the file if it is this table; says whether it was.
    pub(super) fn take(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        place: &dyn Fn(usize) -> SettingOrigin,
        base: &Path,
    ) -> Result<bool, ConfigError> {
        if name != NOTIFY {
            return Ok(false);
        }
        for entry in entries(NOTIFY, value, place)? {
            let target = NotifyReader { entry: &entry, base }.target(self.targets.len())?;
            if self.targets.iter().any(|other| other.name == target.name) {
                let known = if entry.member("name").is_some() { "name" } else { "kind" };
                return Err(entry.at(known, "two targets have this name; give each a `name` of its own".to_owned()));
            }
            self.targets.push(target);
        }
        Ok(true)
    }

    /// The targets for people. What is secret is only named by where it is.
    pub(super) fn shown(targets: &[NotifyTarget]) -> Vec<ShownEntry> {
        targets.iter().map(shown).collect()
    }
}

fn shown(target: &NotifyTarget) -> ShownEntry {
    let reference = |secret: &SecretRef| match secret {
        SecretRef::File(path) => format!("file {}", path.display()),
        SecretRef::Env(name) => format!("environment variable {name}"),
        SecretRef::Credential(name) => format!("credential {name}"),
    };
    let place = |place: &NotifyPlace| match place {
        NotifyPlace::Plain(url) => url.clone(),
        NotifyPlace::Secret(secret) => format!("URL in {}", reference(secret)),
    };
    let mut value = match &target.way {
        Way::Ping { url } => format!("ping; {}", place(url)),
        Way::Webhook { url, method, token, .. } => {
            let token = token.as_ref().map(|token| format!("; token in {}", reference(token))).unwrap_or_default();
            format!("webhook; {method} {}{token}", place(url))
        }
        Way::Mail { host, port, tls, login, from, to } => {
            let tls = match tls {
                Tls::Implicit => "implicit TLS",
                Tls::StartTls => "STARTTLS",
                Tls::None => "no TLS",
            };
            let login = login.as_ref().map(|(user, password)| format!("; {user}, password in {}", reference(password)));
            format!("mail; {host}:{port} ({tls}){}; {from} to {}", login.unwrap_or_default(), to.join(", "))
        }
    };
    if !matches!(target.way, Way::Ping { .. }) {
        let on: Vec<&str> = target.on.iter().map(|one| one.as_str()).collect();
        value.push_str(&format!("; on {}; again every {}", on.join(", "), period_text(target.repeat_every)));
    }
    for (label, texts) in [("jobs", &target.jobs), ("instances", &target.instances)] {
        if !texts.is_empty() {
            value.push_str(&format!("; {label} {}", texts.join(", ")));
        }
    }
    if target.names {
        value.push_str("; with names");
    }
    ShownEntry { key: format!("{NOTIFY}.{}", target.name), value, origin: target.origin.clone() }
}

#[cfg(test)]
mod tests;
