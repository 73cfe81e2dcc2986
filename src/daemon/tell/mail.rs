//! Mail.

use std::time::Duration;

use lettre::message::{Mailbox, header};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};

use super::http::chain;
use super::message::Message;
use crate::config::notify;

/// The longest that the server's words in a message of ours may be, in characters.
const WORDS: usize = 300;

/// A mail server with sender and receivers, resolved.
#[derive(Debug)]
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    host: String,
    from: Mailbox,
    to: Vec<Mailbox>,
}

/// What a mail server needs to be spoken to.
#[derive(Debug)]
pub(super) struct Server<'s> {
    pub(super) host: &'s str,
    pub(super) port: u16,
    pub(super) tls: notify::Tls,
    pub(super) login: Option<(String, SecretString)>,
    pub(super) ca_pem: Option<&'s [u8]>,
    pub(super) timeout: Duration,
}

impl Mail {
    /// Makes it; nothing is sent yet.
    ///
    /// # Errors
    /// In words.
    pub(super) fn new(server: Server<'_>, from: &str, to: &[String]) -> Result<Self, String> {
        let address = |text: &str| text.parse::<Mailbox>().map_err(|_| format!("`{text}` is no mail address"));
        let parameters = || {
            let mut builder = TlsParameters::builder(server.host.to_owned());
            if let Some(pem) = server.ca_pem {
                let certificate = Certificate::from_pem(pem).map_err(|_| "its ca_file holds no certificate in PEM")?;
                builder = builder.add_root_certificate(certificate);
            }
            builder.build().map_err(|error| format!("no TLS: {}", chain(&error)))
        };
        let tls = match server.tls {
            notify::Tls::Implicit => Tls::Wrapper(parameters()?),
            // Required: a server, or someone in between, that offers no TLS gets no mail and no password.
            notify::Tls::StartTls => Tls::Required(parameters()?),
            notify::Tls::None => Tls::None,
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host)
            .port(server.port)
            .tls(tls)
            .timeout(Some(server.timeout));
        let builder = match server.login {
            Some((user, password)) => builder.credentials(Credentials::new(user, password.expose_secret().to_owned())),
            None => builder,
        };
        let to = to.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
        Ok(Self { transport: builder.build(), host: server.host.to_owned(), from: address(from)?, to })
    }

    /// Sends a message, once: a mail that may have been taken is not sent again.
    ///
    /// # Errors
    /// In words that name the host only, with the server's own.
    pub(super) async fn send(&self, message: &Message, within: Duration) -> Result<(), String> {
        let mut builder = lettre::Message::builder().from(self.from.clone()).subject(message.field("title"));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        // So that no vacation notice answers.
        let builder = builder.raw_header(header::HeaderValue::new(
            header::HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
        let mail = builder
            .header(header::ContentType::TEXT_PLAIN)
            .body(message.field("text").to_owned())
            .map_err(|error| format!("cannot make the mail: {error}"))?;
        match tokio::time::timeout(within, self.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("{}: {}", self.host, words(&chain(&error)))),
            Err(_) => Err(format!("{} did not take the mail within {} s", self.host, within.as_secs())),
        }
    }
}

/// Words of a server, short and on one line.
fn words(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect()
}
