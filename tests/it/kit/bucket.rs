//! A bucket that a test looks into: in memory, with as much S3 as the store speaks, or a pane of glass before a real one.
//! It writes down what it is asked, and holds requests for as long as a test wants.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use tokio::sync::Semaphore;

use super::bucket_faults::{BucketFault, BucketFaults};
use super::files::files;
use super::program::Machine;

/// The bucket and the prefix in it that a repository has here.
const PLACE: &str = "backups/house";
const LARGEST: usize = 64 << 20;
const PAGE: usize = 1_000;
/// Number of requests for which a write is recent.
const RECENT: usize = 4;

/// A bucket behind an address of this host; it ends when it is dropped.
pub(crate) struct Bucket {
    address: SocketAddr,
    shared: Arc<Shared>,
    place: String,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Shared {
    /// By the path below the place.
    objects: Mutex<BTreeMap<String, Object>>,
    asked: Mutex<Vec<(Method, String)>>,
    gate: Mutex<Option<Arc<Gate>>>,
    behind: Option<(reqwest::Client, String)>,
    place: String,
    /// What it does otherwise than a bucket that behaves.
    oddity: Mutex<Option<Oddity>>,
    /// What goes wrong now and then.
    faults: Mutex<Option<Arc<BucketFaults>>>,
    /// Number of requests so far.
    requests: AtomicUsize,
}

/// A habit of real stores and of what stands before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// Listings are answered with status 200 and this.
    Listing(&'static str),
    /// The first so many requests are answered with status 200 and an error that passes.
    ErrorInside(usize),
    /// No ETag in any answer.
    NoEtag,
    /// No Content-Length in any answer with a body, nor to a HEAD.
    NoLength,
    /// Writes with an `x-amz-checksum-…` header are refused.
    RefusesChecksum,
    /// Writes without `Content-MD5` are refused.
    WantsMd5,
    /// Writes with a checksum and without the header that names its algorithm are refused.
    WantsAlgorithm,
    /// The bucket is in another region, and the answer names it.
    OtherRegion,
    /// The same, as a redirect without a place to go to.
    Redirect,
    /// Objects below this are archived.
    Archived(&'static str),
    /// New objects are not listed.
    ListingLags,
}

#[derive(Clone)]
struct Object {
    bytes: Bytes,
    modified: SystemTime,
    /// Whether a listing that lags shows it.
    listed: bool,
    /// The request that wrote it.
    written: usize,
    before: Option<Bytes>,
}

impl Object {
    fn new(bytes: Bytes) -> Self {
        Self { bytes, modified: SystemTime::now(), listed: false, written: 0, before: None }
    }
}

/// Where requests of one method wait, for paths that begin with this.
struct Gate {
    method: Method,
    below: &'static str,
    /// How many still pass.
    pass: Mutex<usize>,
    held: mpsc::Sender<()>,
    open: Semaphore,
}

/// Requests that are held. The first that waits can be waited for; all go on when this is dropped.
pub(crate) struct Held {
    gate: Arc<Gate>,
    held: mpsc::Receiver<()>,
}

impl Held {
    /// Waits until a request of the program waits; fails when the program ends before.
    pub(crate) fn arrived(&self, child: &mut Child) {
        while self.held.recv_timeout(Duration::from_millis(50)).is_err() {
            assert_eq!(child.try_wait().unwrap(), None, "it ended and asked for nothing of the sort");
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.open.close();
    }
}

impl Bucket {
    /// An empty one in memory.
    pub(crate) fn new() -> Self {
        Self::start(None, PLACE)
    }

    /// A pane of glass before the server at `endpoint`; `place` is bucket and prefix.
    pub(crate) fn before(endpoint: &str, place: &str) -> Self {
        Self::start(Some((reqwest::Client::new(), endpoint.to_owned())), place)
    }

    fn start(behind: Option<(reqwest::Client, String)>, place: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let shared = Arc::new(Shared { behind, place: place.to_owned(), ..Shared::default() });
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let address = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move { axum::serve(listener, router).await });
            address
        });
        Self { address, shared, place: place.to_owned(), _runtime: runtime }
    }

    /// What has to be in the environment of a program that shall use it; `key` files are written for it.
    pub(crate) fn environment(&self, machine: &Machine, id: &str, secret: &str) -> Vec<(&'static str, String)> {
        machine.write("s3-id", id);
        machine.write("s3-secret", secret);
        vec![
            ("KEYHAVEN_REPOSITORY_URL", format!("s3://{}", self.place)),
            ("KEYHAVEN_REPOSITORY_ENDPOINT", format!("http://{}", self.address)),
            ("KEYHAVEN_REPOSITORY_REGION", "us-east-1".to_owned()),
            ("KEYHAVEN_REPOSITORY_ACCESS_KEY_ID", "file:s3-id".to_owned()),
            ("KEYHAVEN_REPOSITORY_SECRET_ACCESS_KEY", "file:s3-secret".to_owned()),
        ]
    }

    /// Takes every file of a folder in.
    pub(crate) fn fill(&self, folder: &Path) {
        for path in files(folder) {
            self.put(&path, std::fs::read(folder.join(&path)).unwrap());
        }
    }

    pub(crate) fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.shared.objects.lock().unwrap().insert(path.to_owned(), Object::new(bytes.into()));
    }

    /// Everything is older by this.
    pub(crate) fn age(&self, by: Duration) {
        self.shared.objects.lock().unwrap().values_mut().for_each(|object| object.modified -= by);
    }

    /// From now on it is odd, or not any more.
    pub(crate) fn is_odd(&self, oddity: Option<Oddity>) {
        if oddity == Some(Oddity::ListingLags) {
            self.shared.objects.lock().unwrap().values_mut().for_each(|object| object.listed = true);
        }
        *self.shared.oddity.lock().unwrap() = oddity;
    }

    /// From now on things go wrong, or not any more.
    pub(crate) fn is_faulty(&self, faults: Option<BucketFaults>) {
        *self.shared.faults.lock().unwrap() = faults.map(Arc::new);
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The paths below a folder.
    pub(crate) fn paths(&self, folder: &str) -> Vec<String> {
        let objects = self.shared.objects.lock().unwrap();
        objects.keys().filter(|path| path.starts_with(&format!("{folder}/"))).cloned().collect()
    }

    /// The paths that requests of this method were for since the last call; all others are forgotten, too.
    pub(crate) fn asked(&self, method: &Method) -> Vec<String> {
        let asked = std::mem::take(&mut *self.shared.asked.lock().unwrap());
        asked.into_iter().filter(|(of, path)| of == method && !path.is_empty()).map(|(_, path)| path).collect()
    }

    /// Lets so many more requests of a method pass; the rest waits.
    pub(crate) fn hold(&self, method: Method, pass: usize) -> Held {
        self.hold_gate(method, "", pass)
    }

    /// Lets no more requests of a method for what lies in a folder pass.
    pub(crate) fn hold_below(&self, method: Method, folder: &'static str) -> Held {
        self.hold_gate(method, folder, 0)
    }

    fn hold_gate(&self, method: Method, below: &'static str, pass: usize) -> Held {
        let (sender, held) = mpsc::channel();
        let gate = Arc::new(Gate { method, below, pass: Mutex::new(pass), held: sender, open: Semaphore::new(0) });
        *self.shared.gate.lock().unwrap() = Some(Arc::clone(&gate));
        Held { gate, held }
    }
}

impl Gate {
    async fn pass(&self, method: &Method, path: &str) {
        if self.method != *method || !path.starts_with(self.below) {
            return;
        }
        {
            let mut pass = self.pass.lock().unwrap();
            if *pass > 0 {
                *pass -= 1;
                return;
            }
        }
        // Nobody may listen any more.
        self.held.send(()).ok();
        drop(self.open.acquire().await);
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches('/');
    let path = path.strip_prefix(&shared.place).unwrap_or_default().trim_start_matches('/').to_owned();
    shared.asked.lock().unwrap().push((parts.method.clone(), path.clone()));
    let gate = shared.gate.lock().unwrap().clone();
    if let Some(gate) = gate {
        gate.pass(&parts.method, &path).await;
    }
    let body = to_bytes(body, LARGEST).await.unwrap();
    if let Some(answer) = shared.instead(&parts, &path) {
        return answer;
    }
    let answer = match &shared.behind {
        Some((client, endpoint)) => forward(client, endpoint, parts, body).await,
        None => shared.faulty(&parts.method, &path, parts.uri.query().unwrap_or_default(), body).await,
    };
    shared.stripped(answer)
}

/// Everything as it came: the signature covers the name of the host, too.
async fn forward(client: &reqwest::Client, endpoint: &str, parts: axum::http::request::Parts, body: Bytes) -> Response {
    let url = format!("{endpoint}{}", parts.uri);
    let got = client.request(parts.method, url).headers(parts.headers).body(body).send().await.unwrap();
    let (status, headers) = (got.status(), got.headers().clone());
    let mut response = Response::new(Body::from(got.bytes().await.unwrap()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    response
}

impl Shared {
    /// What an odd store answers in place of what was asked for.
    fn instead(&self, parts: &axum::http::request::Parts, path: &str) -> Option<Response> {
        let refused = |status: u16, code: &str, more: &str| {
            let body = format!("<Error><Code>{code}</Code>{more}</Error>");
            Some(plain(StatusCode::from_u16(status).unwrap(), Body::from(body)))
        };
        let has = |header: &str| parts.headers.contains_key(header);
        let (is_put, is_list) = (parts.method == Method::PUT, path.is_empty() && parts.method == Method::GET);
        let mut oddity = self.oddity.lock().unwrap();
        match (*oddity)? {
            Oddity::Listing(text) if is_list => Some(plain(StatusCode::OK, Body::from(text))),
            Oddity::ErrorInside(left @ 1..) if is_list => {
                *oddity = Some(Oddity::ErrorInside(left - 1));
                refused(200, "InternalError", "")
            }
            Oddity::RefusesChecksum if is_put && has("x-amz-checksum-sha256") => {
                refused(400, "InvalidRequest", "<Message>Unsupported header x-amz-checksum-sha256</Message>")
            }
            Oddity::WantsMd5 if is_put && !has("content-md5") => {
                refused(400, "InvalidRequest", "<Message>Content-MD5 is required with Object Lock</Message>")
            }
            Oddity::WantsAlgorithm if is_put && !has("x-amz-sdk-checksum-algorithm") => {
                refused(400, "InvalidRequest", "<Message>No checksum algorithm is named</Message>")
            }
            Oddity::OtherRegion => refused(400, "AuthorizationHeaderMalformed", "<Region>eu-gb</Region>"),
            Oddity::Redirect => {
                let mut answer = refused(301, "PermanentRedirect", "")?;
                answer.headers_mut().insert("x-amz-bucket-region", "eu-gb".parse().unwrap());
                Some(answer)
            }
            Oddity::Archived(below) if path.starts_with(below) && parts.method == Method::GET => {
                refused(403, "InvalidObjectState", "<StorageClass>GLACIER</StorageClass>")
            }
            _ => None,
        }
    }

    fn stripped(&self, mut answer: Response) -> Response {
        match *self.oddity.lock().unwrap() {
            Some(Oddity::NoEtag) => drop(answer.headers_mut().remove(header::ETAG)),
            Some(Oddity::NoLength) => {
                answer.headers_mut().remove(header::CONTENT_LENGTH);
                let body = std::mem::take(answer.body_mut());
                // Of a stream nobody knows how long it is.
                *answer.body_mut() = Body::from_stream(body.into_data_stream());
            }
            _ => {}
        }
        answer
    }

    /// The answer to a request with which something may go wrong.
    async fn faulty(&self, method: &Method, path: &str, query: &str, body: Bytes) -> Response {
        let now = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let faults = self.faults.lock().unwrap().clone();
        let fault = faults.and_then(|faults| faults.draw());
        let error = |status: u16, code: &str| {
            let body = Body::from(format!("<Error><Code>{code}</Code></Error>"));
            plain(StatusCode::from_u16(status).unwrap(), body)
        };
        let (is_get, is_put) = (method == Method::GET && !path.is_empty(), method == Method::PUT);
        match fault {
            Some(BucketFault::Busy) => return error(503, "SlowDown"),
            Some(BucketFault::ErrorInside) if method != Method::HEAD => return error(200, "InternalError"),
            Some(BucketFault::Stale) if is_get || method == Method::HEAD => {
                let mut objects = self.objects.lock().unwrap();
                match objects.get_mut(path).filter(|object| now - object.written < RECENT) {
                    Some(Object { before: None, .. }) => return error(404, "NoSuchKey"),
                    Some(Object { before: Some(before), .. }) if is_get => {
                        return plain(StatusCode::OK, Body::from(before.clone()));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        let answer = self.answer(method, path, query, body, fault);
        match fault {
            Some(BucketFault::LostAnswer) if is_put => error(500, "InternalError"),
            Some(BucketFault::CutOff | BucketFault::Short) if is_get && answer.status().is_success() => {
                let (mut parts, body) = answer.into_parts();
                let whole = to_bytes(body, LARGEST).await.unwrap();
                let half = whole.slice(..whole.len() / 2);
                if fault == Some(BucketFault::Short) {
                    parts.headers.insert(header::CONTENT_LENGTH, half.len().into());
                    return Response::from_parts(parts, Body::from(half));
                }
                let cut = [Ok(half), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
                Response::from_parts(parts, Body::from_stream(futures_util::stream::iter(cut)))
            }
            Some(BucketFault::Bare) => {
                let (mut parts, body) = answer.into_parts();
                parts.headers.remove(header::ETAG);
                parts.headers.remove(header::CONTENT_LENGTH);
                Response::from_parts(parts, Body::from_stream(body.into_data_stream()))
            }
            _ => answer,
        }
    }

    fn answer(&self, method: &Method, path: &str, query: &str, body: Bytes, fault: Option<BucketFault>) -> Response {
        let mut objects = self.objects.lock().unwrap();
        let found = objects.get(path).cloned();
        match (method, found) {
            (&Method::GET, _) if path.is_empty() => self.list(&objects, query, fault),
            (&Method::PUT, before) => {
                let before = before.map(|object| object.bytes);
                let written = self.requests.load(Ordering::Relaxed);
                objects.insert(path.to_owned(), Object { written, before, ..Object::new(body) });
                plain(StatusCode::OK, Body::empty())
            }
            (&Method::DELETE, _) => {
                objects.remove(path);
                plain(StatusCode::NO_CONTENT, Body::empty())
            }
            (&Method::GET | &Method::HEAD, Some(object)) => {
                let length = object.bytes.len();
                let body = if method == Method::GET { Body::from(object.bytes) } else { Body::empty() };
                let mut response = plain(StatusCode::OK, body);
                let modified = DateTime::<Utc>::from(object.modified).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
                response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
                response.headers_mut().insert(header::LAST_MODIFIED, modified.parse().unwrap());
                response
            }
            _ => plain(StatusCode::NOT_FOUND, Body::from("<Error><Code>NoSuchKey</Code></Error>")),
        }
    }

    fn list(&self, objects: &BTreeMap<String, Object>, query: &str, fault: Option<BucketFault>) -> Response {
        let (_, prefix) = self.place.split_once('/').unwrap();
        let asked: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let of = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
        let after = of("start-after").max(of("continuation-token"));
        let lags = *self.oddity.lock().unwrap() == Some(Oddity::ListingLags);
        let now = self.requests.load(Ordering::Relaxed);
        let lagging = fault == Some(BucketFault::Lagging);
        let shown = objects.iter().filter(|(_, object)| object.listed || !lags);
        let shown = shown.filter(|(_, object)| !lagging || object.written == 0 || now - object.written >= RECENT);
        let all: Vec<(String, &Object)> = shown.map(|(path, object)| (format!("{prefix}/{path}"), object)).collect();
        let mut wanted = all.iter().filter(|(key, _)| key.starts_with(of("prefix")) && key.as_str() > after).peekable();
        let mut rows = String::new();
        let mut last = "";
        for (key, object) in wanted.by_ref().take(PAGE) {
            let modified = DateTime::<Utc>::from(object.modified).to_rfc3339_opts(SecondsFormat::Millis, true);
            let size = object.bytes.len();
            rows += &format!(
                "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>\"e\"</ETag><Size>{size}</Size>\
                 </Contents>"
            );
            if fault == Some(BucketFault::Repeated) {
                let again = rows.rfind("<Contents>").unwrap();
                let again = rows[again..].to_owned();
                rows += &again;
            }
            last = key;
        }
        let more = wanted.peek().is_some();
        let next = if more { format!("<NextContinuationToken>{last}</NextContinuationToken>") } else { String::new() };
        let text = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{next}{rows}</ListBucketResult>");
        plain(StatusCode::OK, Body::from(text))
    }
}

fn plain(status: StatusCode, body: Body) -> Response {
    Response::builder().status(status).header(header::ETAG, "\"e\"").body(body).unwrap()
}
