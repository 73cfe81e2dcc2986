//! Mail notifications.

use std::time::Duration;

use data_encoding::BASE64;
use lettre::message::{Mailbox, header};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::message::Message;
use crate::config::notify;
use crate::model::with_causes;

/// Maximum length of a server's text in our messages, in characters.
const WORDS: usize = 300;

/// A mail server with sender and recipients, resolved.
#[derive(Debug)]
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    host: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// Secrets that only the server may see: [`LoginSecrets`].
    unsaid: LoginSecrets,
}

/// Connection settings of a mail server.
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
    /// Creates the target without sending anything.
    ///
    /// # Errors
    /// As text.
    pub(super) fn new(server: Server<'_>, from: &str, to: &[String]) -> Result<Self, String> {
        let address = |text: &str| text.parse::<Mailbox>().map_err(|_| format!("`{text}` is no mail address"));
        let parameters = || {
            let mut builder = TlsParameters::builder(server.host.to_owned());
            if let Some(pem) = server.ca_pem {
                let certificate = Certificate::from_pem(pem).map_err(|_| "its ca_file holds no certificate in PEM")?;
                builder = builder.add_root_certificate(certificate);
            }
            builder.build().map_err(|error| format!("no TLS: {}", with_causes(&error)))
        };
        let tls = match server.tls {
            notify::Tls::Implicit => Tls::Wrapper(parameters()?),
            // TLS is required: a server or a man in the middle that offers none gets no mail and no password.
            notify::Tls::StartTls => Tls::Required(parameters()?),
            notify::Tls::None => Tls::None,
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host)
            .port(server.port)
            .tls(tls)
            .timeout(Some(server.timeout));
        let unsaid = LoginSecrets::of(server.login.as_ref());
        let builder = match server.login {
            Some((user, password)) => builder.credentials(Credentials::new(user, password.expose_secret().to_owned())),
            None => builder,
        };
        let to = to.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
        Ok(Self { transport: builder.build(), host: server.host.to_owned(), from: address(from)?, to, unsaid })
    }

    /// Sends a message once: a mail that may have been accepted is not sent again.
    ///
    /// # Errors
    /// As text that names only the host and quotes the server.
    pub(super) async fn send(&self, message: &Message, within: Duration) -> Result<(), String> {
        let mut builder = lettre::Message::builder().from(self.from.clone()).subject(message.field("title"));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        // Prevents vacation replies.
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
            Ok(Err(error)) => {
                let said = with_causes(&error);
                let code = || error.status().map(|code| format!(" ({code})")).unwrap_or_default();
                let said = if self.unsaid.is_in(&said) {
                    format!("the server refused{}; its reply is omitted because it repeats the login", code())
                } else {
                    words(&said)
                };
                Err(format!("{}: {said}", self.host))
            }
            Err(_) => Err(format!("{} did not take the mail within {} s", self.host, within.as_secs())),
        }
    }
}

/// Login secrets in the forms that AUTH PLAIN and LOGIN send. Some servers repeat an unknown command, and with it the
/// password.
struct LoginSecrets(Vec<Zeroizing<String>>);

impl std::fmt::Debug for LoginSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unsaid([redacted])")
    }
}

impl LoginSecrets {
    /// Number of consecutive characters that reveal a secret: a server may break or shorten what it repeats.
    const RUN: usize = 8;

    fn of(login: Option<&(String, SecretString)>) -> Self {
        let Some((user, password)) = login else { return Self(Vec::new()) };
        let password = password.expose_secret();
        let plain = Zeroizing::new(format!("\0{user}\0{password}"));
        let forms = [password.to_owned(), BASE64.encode(password.as_bytes()), BASE64.encode(plain.as_bytes())];
        Self(forms.map(Zeroizing::new).into())
    }

    /// True if a text contains any part of them.
    fn is_in(&self, text: &str) -> bool {
        self.0
            .iter()
            .map(|form| form.trim_end_matches('='))
            .filter(|form| !form.is_empty())
            .any(|form| form.as_bytes().windows(Self::RUN.min(form.len())).any(|run| contains(text.as_bytes(), run)))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Returns a server's text, shortened to one line.
fn words(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_in_every_form_in_which_a_server_may_repeat_it() {
        let login = ("keyhaven".to_owned(), SecretString::from("correct-horse-battery"));
        let unsaid = LoginSecrets::of(Some(&login));
        for said in [
            "500 unknown: correct-horse-battery",
            "500 unknown: AUTH PLAIN AGtleWhhdmVuAGNvcnJlY3QtaG9yc2UtYmF0dGVyeQ==",
            "500 unknown: Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5",
            "500 unknown: Y29ycmVjdC1ob3Jz...",
        ] {
            assert!(unsaid.is_in(said), "{said}");
        }
        assert!(!unsaid.is_in("permanent error (535): 5.7.8 Error: authentication failed: keyhaven"));
        assert!(!LoginSecrets::of(None).is_in("anything"));
        assert!(!format!("{unsaid:?}").contains("horse"));
        let short = LoginSecrets::of(Some(&("k".to_owned(), SecretString::from("abc"))));
        assert!(short.is_in("no abc") && !short.is_in("no ab"));
    }
}
