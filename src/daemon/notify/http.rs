//! A small HTTP request to a notification service: limited in time, retried a few times, never redirected. The response
//! body is not read, and the URL is never shown.

use std::time::Duration;

use reqwest::{Certificate, Client, RequestBuilder, StatusCode, redirect, retry};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::config::notify::check_url;
use crate::model::with_causes;

/// Connect timeout.
const CONNECT: Duration = Duration::from_secs(5);
/// Waits before the second and third attempts.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// A notification endpoint with its HTTP client.
#[derive(Clone)]
pub(super) struct Endpoint {
    client: Client,
    url: SecretString,
    host: String,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("host", &self.host).field("url", &"[redacted]").finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Creates an endpoint from its URL, which may contain a token.
    ///
    /// # Errors
    /// As text that does not repeat the URL.
    pub(super) fn new(url: SecretString, ca_pem: Option<&[u8]>) -> Result<Self, String> {
        check_url(url.expose_secret()).map_err(|problem| format!("its URL {problem}"))?;
        let parsed = Url::parse(url.expose_secret()).map_err(|_| "its URL is no URL".to_owned())?;
        let host = parsed.host_str().unwrap_or_default().to_owned();
        let clear = parsed.scheme() == "http";
        let mut builder = Client::builder()
            .user_agent(concat!("keyhaven/", env!("CARGO_PKG_VERSION")))
            .https_only(!clear)
            // A redirect could send a token elsewhere.
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT);
        if clear {
            // Plain HTTP is allowed for loopback only, which must not go through a proxy.
            builder = builder.no_proxy();
        }
        if let Some(pem) = ca_pem {
            let none = || "its ca_file contains no PEM certificate".to_owned();
            let certificates = Certificate::from_pem_bundle(pem).map_err(|_| none())?;
            if certificates.is_empty() {
                return Err(none());
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|error| {
            format!("no TLS: {}; give a ca_file, or install the system's certificate authorities", with_causes(&error))
        })?;
        Ok(Self { client, url, host })
    }

    /// Returns the parsed URL.
    ///
    /// # Errors
    /// Never, since the URL was parsed on creation; an error is returned instead of a panic.
    pub(super) fn url(&self) -> Result<Url, String> {
        Url::parse(self.url.expose_secret()).map_err(|_| "its URL is no URL".to_owned())
    }

    /// Returns the client.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request until it is accepted, rejected permanently, or the time is up.
    ///
    /// # Errors
    /// The error of the last attempt, as text that names only the host.
    pub(super) async fn send(&self, request: RequestBuilder, within: Duration) -> Result<(), String> {
        let mut last = String::from("it was not reached");
        let all = async {
            let mut waits = WAITS.into_iter();
            loop {
                // A text body can always be cloned.
                let Some(attempt) = request.try_clone() else { return Err("cannot be sent twice".to_owned()) };
                match attempt.timeout(within / 2).send().await {
                    Ok(answer) if answer.status().is_success() => return Ok(()),
                    Ok(answer) => {
                        let status = answer.status();
                        last = self.refused(status);
                        if !(status.is_server_error()
                            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT))
                        {
                            return Err(last.clone());
                        }
                    }
                    Err(error) => last = self.failed(error),
                }
                match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(last.clone()),
                }
            }
        };
        match tokio::time::timeout(within, all).await {
            Ok(result) => result,
            Err(_) => Err(format!("{last}; given up after {} s", within.as_secs())),
        }
    }

    fn refused(&self, status: StatusCode) -> String {
        let more = if status.is_redirection() { " (a redirect, which is not followed)" } else { "" };
        format!("{} answered {}{more}", self.host, status.as_u16())
    }

    fn failed(&self, error: reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("{} did not answer in time", self.host);
        }
        format!("cannot reach {}: {}", self.host, with_causes(&error.without_url()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_not_shown() {
        let endpoint = Endpoint::new(SecretString::from("http://127.0.0.1:9/hunter2"), None).unwrap();
        assert!(!format!("{endpoint:?}").contains("hunter2"));
        for url in ["http://ntfy.example/hunter2", "hunter2", "ftp://x.example/hunter2"] {
            let why = Endpoint::new(SecretString::from(url), None).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert!(Endpoint::new(SecretString::from("https://x.example/"), Some(b"no certificate")).is_err());
    }
}
