//! Notification targets with resolved secrets.

use std::time::Duration;

use secrecy::SecretString;

use super::http::Endpoint;
#[cfg(feature = "mail")]
use super::mail::{Mail, Server};
use super::ping::Ping;
use super::webhook::{Webhook, WebhookHeader};
use crate::config::SecretRef;
use crate::config::notify::{self, Header, NotifyPlace, Occasion};

/// Channel of a target.
#[derive(Debug)]
pub enum Channel {
    /// Ping to a check.
    Ping(Ping),
    /// Webhook.
    Webhook(Box<Webhook>),
    /// Mail.
    #[cfg(feature = "mail")]
    Mail(Box<Mail>),
}

/// A target that is ready to be notified.
#[derive(Debug)]
pub struct NotifyEndpoint {
    /// Target name.
    pub name: String,
    /// Channel.
    pub way: Channel,
    /// Occasions that it is notified of.
    pub on: Vec<Occasion>,
    /// Jobs that it is for; all if empty.
    pub jobs: Vec<String>,
    /// Instances that it is for; all if empty.
    pub instances: Vec<String>,
    /// Interval at which a lasting problem is notified again.
    pub repeat_every: Duration,
    /// Timeout of one notification.
    pub timeout: Duration,
    /// True if it may receive names and error texts.
    pub names: bool,
}

impl NotifyEndpoint {
    /// Creates a target from its configuration. `resolve` returns a one-line secret; `ca_pem` is the content of its
    /// `ca_file`.
    ///
    /// # Errors
    /// As text without secrets and URLs.
    pub fn new(
        target: &notify::NotifyTarget,
        ca_pem: Option<&[u8]>,
        resolve: &dyn Fn(&SecretRef, &str) -> Result<SecretString, String>,
    ) -> Result<Self, String> {
        let endpoint = |place: &NotifyPlace| {
            let url = match place {
                NotifyPlace::Plain(url) => SecretString::from(url.as_str()),
                NotifyPlace::Secret(secret) => resolve(secret, "URL")?,
            };
            Endpoint::new(url, ca_pem)
        };
        let way = match &target.way {
            notify::Way::Ping { url } => Channel::Ping(Ping::new(endpoint(url)?, target.timeout)),
            notify::Way::Webhook { url, method, headers, content_type, body, token } => {
                let header = |(name, value): &(String, Header)| {
                    let value = match value {
                        Header::Plain(template) => WebhookHeader::Plain(template.clone()),
                        Header::Secret(secret) => WebhookHeader::Secret(resolve(secret, name)?),
                    };
                    Ok::<_, String>((name.clone(), value))
                };
                Channel::Webhook(Box::new(Webhook {
                    endpoint: endpoint(url)?,
                    method,
                    headers: headers.iter().map(header).collect::<Result<_, _>>()?,
                    content_type: content_type.clone(),
                    body: body.clone(),
                    token: token.as_ref().map(|token| resolve(token, "token")).transpose()?,
                }))
            }
            // Configuration validation already rejects this.
            #[cfg(not(feature = "mail"))]
            notify::Way::Mail { .. } => return Err(notify::NO_MAIL.to_owned()),
            #[cfg(feature = "mail")]
            notify::Way::Mail { host, port, tls, login, from, to } => {
                let login = match login {
                    Some((user, password)) => Some((user.clone(), resolve(password, "password")?)),
                    None => None,
                };
                let server = Server { host, port: *port, tls: *tls, login, ca_pem, timeout: target.timeout };
                Channel::Mail(Box::new(Mail::new(server, from, to)?))
            }
        };
        Ok(Self {
            name: target.name.clone(),
            way,
            on: target.on.clone(),
            jobs: target.jobs.clone(),
            instances: target.instances.clone(),
            repeat_every: target.repeat_every,
            timeout: target.timeout,
            names: target.names,
        })
    }
}
