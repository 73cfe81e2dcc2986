//! An instance of a few lines that misbehaves on demand, down to the bytes: cut bodies, dropped connections, pages that
//! do not add up. The embedded instance is the one that behaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyhaven::provider::ibm::{Client, ClientSettings, Timeouts};
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::instance::quick_client;

/// The API key that every test client uses.
pub(crate) const API_KEY: &str = "canary-api-key/with+signs";

/// An authority of its own, valid for a century; its key is gone.
pub(crate) const CA: &[u8] = include_bytes!("../../fixtures/tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../fixtures/tls/server.pem");
/// Protects nothing but this test.
const KEY: &[u8] = include_bytes!("../../fixtures/tls/server.key");

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// The path without `/api/v2`.
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    /// Method and path.
    pub(crate) fn call(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// A number from the query.
    pub(crate) fn number(&self, name: &str) -> usize {
        self.query.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status and body.
    Is(u16, String),
    /// The same with one more header.
    With(u16, &'static str, &'static str, String),
    /// Announces the whole body and sends half of it.
    Cut(String),
    /// Closes the connection without a word.
    Drop,
    /// Never answers.
    Silence,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::Is(200, body.into())
    }

    /// An error in the provider's form.
    pub(crate) fn error(status: u16) -> Self {
        Self::Is(status, r#"{"errors":[{"code":"mock.Error","message":"said no"}],"status_code":0}"#.to_owned())
    }
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

/// The running instance. Its identity service is at the same place.
pub(crate) struct Mock {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Mock {
    /// Starts it on a free port. Tokens are given out unless the handler answers `POST /identity/token` itself with
    /// something else than 404.
    pub(crate) async fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_over(None, Arc::new(handler)).await
    }

    /// The same over TLS, with a certificate of [`CA`] for `127.0.0.1`.
    pub(crate) async fn start_tls(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let chain = CertificateDer::pem_slice_iter(CERTIFICATE).collect::<Result<_, _>>().unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(KEY).unwrap())
            .unwrap();
        Self::start_over(Some(TlsAcceptor::from(Arc::new(config))), Arc::new(handler)).await
    }

    async fn start_over(tls: Option<TlsAcceptor>, handler: Arc<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, log, handler) = (tls.clone(), Arc::clone(&log), Arc::clone(&handler));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, log, handler).await,
                        // A client that does not trust the certificate breaks the handshake off.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, log, handler).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, seen, server }
    }

    /// Settings of a client that retries quickly, at a high pace.
    pub(crate) fn settings(&self) -> ClientSettings {
        let mut settings = quick_client(&self.url, &self.url, SecretString::from(API_KEY), 3);
        let minute = Duration::from_secs(60);
        settings.timeouts = Timeouts { connect: minute, read: minute, total: minute };
        settings
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.settings()).unwrap()
    }

    /// Every request of the API so far, token exchanges left out.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path != "/identity/token").cloned().collect()
    }

    /// Method and path of every request so far, token exchanges left out.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.requests().iter().map(Seen::call).collect()
    }

    /// The bodies of all token exchanges.
    pub(crate) fn exchanges(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path == "/identity/token").cloned().collect()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, log: Arc<Mutex<Vec<Seen>>>, handler: Arc<Handler>) {
    let Some(seen) = receive(&mut stream).await else { return };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(seen.clone());
        log.len()
    };
    let mut reply = handler(&seen);
    if seen.path == "/identity/token" && matches!(reply, Reply::Is(404, _)) {
        reply = Reply::ok(format!(r#"{{"access_token":"head.body.{number}","expires_in":3600}}"#));
    }
    let (status, header, body, cut) = match reply {
        Reply::Is(status, body) => (status, String::new(), body, false),
        Reply::With(status, name, value, body) => (status, format!("{name}: {value}\r\n"), body, false),
        Reply::Cut(body) => (200, String::new(), body, true),
        Reply::Drop => return,
        Reply::Silence => std::future::pending().await,
    };
    let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT");
    let head = format!(
        "HTTP/1.1 {status} X\r\nDate: {date}\r\n{header}Content-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    let sent = if cut { &body.as_bytes()[..body.len() / 2] } else { body.as_bytes() };
    // A client that gave up has closed its end.
    if stream.write_all(head.as_bytes()).await.is_ok() && stream.write_all(sent).await.is_ok() {
        stream.shutdown().await.ok();
    }
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let url = url::Url::parse(&format!("http://mock{target}")).ok()?;
    Some(Seen {
        method,
        path: url.path().strip_prefix("/api/v2").unwrap_or(url.path()).to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body: String::from_utf8(bytes[head + 4..].to_vec()).ok()?,
    })
}

/// A page of a list, as the provider cuts it.
pub(crate) fn page(member: &str, rows: &[String], seen: &Seen) -> Reply {
    let offset = seen.number("offset");
    let limit = seen.query.get("limit").map_or(200, |text| text.parse().unwrap());
    let end = rows.len().min(offset + limit);
    let rows_here = rows.get(offset..end).unwrap_or_default().join(",");
    Reply::ok(format!(r#"{{"total_count":{},"limit":{limit},"offset":{offset},"{member}":[{rows_here}]}}"#, rows.len()))
}

/// The id of the `n`-th secret; rising.
pub(crate) fn id(n: usize) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

/// The row of the `n`-th secret with so many versions, and more members.
pub(crate) fn secret_row(n: usize, secret_type: &str, versions: usize, more: &str) -> String {
    format!(
        r#"{{"id":"{}","name":"s{n}","secret_type":"{secret_type}","secret_group_id":"default","state":1,"crn":"crn:v1:bluemix:public:secrets-manager:eu-de:a/1:inst:secret:{}","updated_at":"2026-01-01T00:00:00Z","downloaded":false,"versions_total":{versions},"locks_total":0{more}}}"#,
        id(n),
        id(n)
    )
}

/// The row of the `n`-th secret in the list of locks; the current version is `v2` when there are two, else `v1`.
pub(crate) fn locks_row(n: usize, versions: usize, current_locks: &str) -> String {
    let version = |id: &str, alias: &str, locks: &str| {
        format!(r#"{{"version_id":"{id}","version_alias":"{alias}","locks":[{locks}],"payload_available":true}}"#)
    };
    let versions = match versions {
        0 => String::new(),
        1 => version("v1", "current", current_locks),
        n => format!(
            "{},{}",
            version(&format!("v{n}"), "current", current_locks),
            version(&format!("v{}", n - 1), "previous", "")
        ),
    };
    format!(
        r#"{{"secret_id":"{}","secret_group_id":"default","secret_type":"arbitrary","versions":[{versions}]}}"#,
        id(n)
    )
}

/// What a well-behaved instance holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) secrets: Vec<String>,
    pub(crate) locks: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) configurations: Vec<String>,
    pub(crate) registration: Option<String>,
}

impl World {
    /// So many arbitrary secrets with one version each, the default group, one configuration.
    pub(crate) fn of(secrets: usize) -> Self {
        Self {
            secrets: (0..secrets).map(|n| secret_row(n, "arbitrary", 1, "")).collect(),
            locks: (0..secrets).map(|n| locks_row(n, 1, "")).collect(),
            groups: vec![r#"{"id":"default","name":"default","updated_at":"2026-01-01T00:00:00Z"}"#.to_owned()],
            configurations: vec![
                r#"{"name":"le","config_type":"public_cert_configuration_ca_lets_encrypt","secret_type":"public_cert","updated_at":"2026-01-01T00:00:00Z"}"#.to_owned(),
            ],
            registration: None,
        }
    }

    /// Answers the lists; 404 for everything else.
    pub(crate) fn answer(&self, seen: &Seen) -> Reply {
        match seen.call().as_str() {
            "GET /secrets" => page("secrets", &self.secrets, seen),
            "GET /secrets_locks" => page("secrets_locks", &self.locks, seen),
            "GET /configurations" => page("configurations", &self.configurations, seen),
            "GET /secret_groups" => Reply::ok(format!(
                r#"{{"secret_groups":[{}],"total_count":{}}}"#,
                self.groups.join(","),
                self.groups.len()
            )),
            "GET /notifications/registration" => self.registration.clone().map_or_else(|| Reply::error(404), Reply::ok),
            _ => Reply::error(404),
        }
    }
}
