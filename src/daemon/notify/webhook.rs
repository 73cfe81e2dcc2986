//! Webhooks: requests with a body from a template.

use std::borrow::Cow;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use super::http::Endpoint;
use super::message::Message;
use crate::config::notify::WebhookBody;
use crate::config::notify::template::{Escape, Template};

/// Resolved value of a header.
#[derive(Debug)]
pub(super) enum WebhookHeader {
    Plain(Template),
    Secret(SecretString),
}

/// Resolved webhook.
#[derive(Debug)]
pub struct Webhook {
    pub(super) endpoint: Endpoint,
    pub(super) method: &'static str,
    pub(super) headers: Vec<(String, WebhookHeader)>,
    pub(super) content_type: String,
    pub(super) body: WebhookBody,
    pub(super) token: Option<SecretString>,
}

impl Webhook {
    /// Sends a message.
    ///
    /// # Errors
    /// As text that names only the host.
    pub(super) async fn send(&self, message: &Message, within: Duration) -> Result<(), String> {
        let method = if self.method == "PUT" { Method::PUT } else { Method::POST };
        let request = self.endpoint.client().request(method, self.endpoint.url()?);
        let request = request.headers(self.headers(message)?).body(self.body(message));
        self.endpoint.send(request, within).await
    }

    fn field<'m>(&'m self, message: &'m Message, name: &str) -> Cow<'m, str> {
        match (name, &self.token) {
            ("token", Some(token)) => token.expose_secret().into(),
            _ => message.field(name).into(),
        }
    }

    fn body(&self, message: &Message) -> String {
        match &self.body {
            WebhookBody::Fields => message.json().to_string(),
            WebhookBody::Template(template, escape) => template.render(*escape, |name| self.field(message, name)),
        }
    }

    fn headers(&self, message: &Message) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        let in_body = matches!(&self.body, WebhookBody::Template(template, _) if template.names("token"));
        if let Some(token) = self.token.as_ref().filter(|_| !in_body) {
            headers.insert(AUTHORIZATION, secret(&format!("Bearer {}", token.expose_secret()), "token")?);
        }
        let content_type = HeaderValue::from_str(&self.content_type);
        headers
            .insert(CONTENT_TYPE, content_type.map_err(|_| "its content_type is not a valid header value".to_owned())?);
        for (name, value) in &self.headers {
            let header =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a valid header name"))?;
            let value = match value {
                WebhookHeader::Secret(text) => secret(text.expose_secret(), name)?,
                WebhookHeader::Plain(template) => {
                    let text = template.render(Escape::Header, |field| self.field(message, field));
                    HeaderValue::from_str(&text).map_err(|_| format!("the value of header {name} is not valid"))?
                }
            };
            headers.insert(header, value);
        }
        Ok(headers)
    }
}

/// Creates a header value that HTTP libraries keep out of their logs and tables.
fn secret(text: &str, what: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_| format!("the {what} is not a valid header value"))?;
    value.set_sensitive(true);
    Ok(value)
}
