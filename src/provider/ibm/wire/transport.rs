//! A single attempt: TLS, timeouts, bounded and wiped bodies.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, RequestBuilder, Response, redirect, retry};
use url::Url;
use zeroize::Zeroizing;

use crate::model::is_loopback;
use crate::model::limits;
use crate::model::with_causes;
use crate::provider::InstanceError;
use crate::provider::ibm::settings::ClientSettings;

/// Reason why an attempt has no usable result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Nothing was sent, because the connection failed.
    #[error("no connection")]
    Unsent(#[source] reqwest::Error),
    /// The request was or may have been sent, and no complete answer arrived.
    #[error("the answer did not come or was cut off")]
    Lost(#[source] reqwest::Error),
    /// The answer exceeds the limit.
    #[error("the answer is larger than {} bytes", limits::ANSWER)]
    TooLarge,
    /// The answer is not text.
    #[error("the answer is no UTF-8 text")]
    NoText,
}

/// A complete answer with any status.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: Zeroizing<String>,
}

/// Builds the HTTP client: rustls, no redirects (they could send a token elsewhere), no built-in retries (they would
/// not be counted), no compression.
pub(super) fn client(settings: &ClientSettings, base: &Url, iam: &Url) -> Result<Client, InstanceError> {
    let loopback = is_loopback(base) || is_loopback(iam);
    let mut builder = Client::builder()
        .user_agent(concat!("keyhaven/", env!("CARGO_PKG_VERSION")))
        .https_only(base.scheme() == "https" && iam.scheme() == "https")
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        // Shorter than the idle timeout of servers: a create request on a closed connection has an unknown outcome.
        .pool_idle_timeout(Duration::from_secs(20))
        .connect_timeout(settings.timeouts.connect)
        .read_timeout(settings.timeouts.read)
        .timeout(settings.timeouts.total);
    if loopback {
        // A proxy from the environment would see plain HTTP traffic that must stay on this machine.
        builder = builder.no_proxy();
    }
    let refuse = |why: String| InstanceError::Settings { what: "ca_file".to_owned(), why };
    if let Some(pem) = &settings.ca_pem {
        let certificates = Certificate::from_pem_bundle(pem)
            .map_err(|_| refuse("holds no certificate in PEM; give one or more CERTIFICATE blocks".to_owned()))?;
        if certificates.is_empty() {
            return Err(refuse("holds no certificate in PEM; give one or more CERTIFICATE blocks".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| {
        let why = format!("{}; give a ca_file, or install the system's certificate authorities", with_causes(&error));
        InstanceError::Settings { what: "TLS".to_owned(), why }
    })
}

/// Sends one request and collects the whole answer.
pub(super) async fn attempt(request: RequestBuilder) -> Result<Raw, Fault> {
    let response = request.send().await.map_err(fault)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = collect(response).await?;
    Ok(Raw { status, headers, text: text(bytes)? })
}

/// Converts a text to a request body, wiped after the last attempt.
pub(super) fn body(text: Zeroizing<String>) -> Bytes {
    Bytes::from_owner(text)
}

fn fault(error: reqwest::Error) -> Fault {
    // The URL contains no secret, but it would repeat the description of the operation.
    let error = error.without_url();
    if error.is_connect() || error.is_builder() { Fault::Unsent(error) } else { Fault::Lost(error) }
}

/// Collects a body without leaving copies in memory: the buffer has the announced size, and if it must grow, the old
/// one is wiped.
async fn collect(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let announced = response.content_length().unwrap_or(8 * 1024);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > limits::ANSWER {
        return Err(Fault::TooLarge);
    }
    let mut buffer = Zeroizing::new(Vec::with_capacity(announced));
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        let needed = buffer.len() + chunk.len();
        if needed > limits::ANSWER {
            return Err(Fault::TooLarge);
        }
        if needed > buffer.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(buffer.capacity() * 2)));
            larger.extend_from_slice(&buffer);
            buffer = larger;
        }
        buffer.extend_from_slice(&chunk);
    }
    Ok(buffer)
}

fn text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, Fault> {
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        Fault::NoText
    })
}
