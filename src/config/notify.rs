//! The targets of notifications: `[[notify]]`.
//!
//! URLs of such services are secrets more often than not, so each comes by reference; a plain `url` is for those that
//! show none. What is read here holds references only; the edge resolves them.

use std::path::PathBuf;
use std::time::Duration;

use super::entry::entries;
use super::error::ConfigError;
use super::node::Node;
use super::origin::{SettingOrigin, ShownEntry};
use super::value::{Period, SecretRef, words};

mod place;
mod presets;
mod reader;
pub mod template;

pub use place::{NotifyPlace, check_url};
use template::{Escape, Template};

/// Error for a mail target in a build without the feature `mail`.
pub const NO_MAIL: &str = "\"mail\": this build sends no mail; use one with the feature `mail`, or tell a webhook";

/// The table's name.
pub(super) const NOTIFY: &str = "notify";

words! {
    /// Events of a job.
    pub enum Occasion {
        /// A run failed.
        Failure = "failure",
        /// A run recorded something that lacks something.
        Partial = "partial",
        /// A run recorded a suspect snapshot.
        Suspect = "suspect",
        /// The newest good snapshot, or its verification, is older than it may be.
        Stale = "stale",
        /// A problem is over.
        Recovery = "recovery",
        /// A run did everything.
        Success = "success",
    }
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

words! {
    /// Encryption of the connection to a mail server.
    pub enum Tls {
        /// TLS from the first byte.
        Implicit = "implicit",
        /// TLS after STARTTLS, which the server must offer.
        StartTls = "starttls",
        /// In clear: loopback only.
        None = "none",
    }
}

/// Kind of notification target.
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
        /// The message.
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
        /// Its protocol.
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
    /// Its kind.
    pub way: Way,
    /// Events that it is notified of. A ping reports every run.
    pub on: Vec<Occasion>,
    /// Only these jobs; all when empty.
    pub jobs: Vec<String>,
    /// Only these instances; all when empty.
    pub instances: Vec<String>,
    /// Interval of repeated notifications about a problem that persists.
    pub repeat_every: Duration,
    /// Timeout of one notification, with all its attempts.
    pub timeout: Duration,
    /// True if notifications contain names and error messages.
    pub names: bool,
    /// Further CA certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// Position in the file.
    pub origin: SettingOrigin,
}

/// Reads the table.
pub(super) fn read(node: &Node) -> Result<Vec<NotifyTarget>, ConfigError> {
    let mut targets: Vec<NotifyTarget> = Vec::new();
    for entry in entries(NOTIFY, node)? {
        let target = reader::target(&entry, targets.len())?;
        if targets.iter().any(|other| other.name == target.name) {
            let known = if entry.node.find("name").is_some() { "name" } else { "kind" };
            return Err(entry.at(known, "two targets have this name; give each a `name` of its own"));
        }
        targets.push(target);
    }
    Ok(targets)
}

/// A target for people. What is secret is only named by where it is.
pub(super) fn shown(target: &NotifyTarget) -> ShownEntry {
    let mut value = match &target.way {
        Way::Ping { url } => format!("ping; {url}"),
        Way::Webhook { url, method, token, .. } => {
            let token = token.as_ref().map(|token| format!("; token in {token}")).unwrap_or_default();
            format!("webhook; {method} {url}{token}")
        }
        Way::Mail { host, port, tls, login, from, to } => {
            let tls = match tls {
                Tls::Implicit => "implicit TLS",
                Tls::StartTls => "STARTTLS",
                Tls::None => "no TLS",
            };
            let login = login.as_ref().map(|(user, password)| format!("; {user}, password in {password}"));
            format!("mail; {host}:{port} ({tls}){}; {from} to {}", login.unwrap_or_default(), to.join(", "))
        }
    };
    if !matches!(target.way, Way::Ping { .. }) {
        let on: Vec<&str> = target.on.iter().map(|one| one.as_str()).collect();
        value.push_str(&format!("; on {}; again every {}", on.join(", "), Period(target.repeat_every)));
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
