//! The daemon's HTTP server: `/metrics`, `/healthz`, `/readyz`, and nothing else.
//!
//! It only reads the [`DaemonState`], so requests cannot slow the run loop. A connection serves one request, lives for
//! a few seconds at most, and their number is limited. When all are in use, the oldest one that was not answered yet is
//! closed, so idle clients cannot block others.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::daemon_state::DaemonState;
use super::metrics;
use crate::net::{self, BoundedStream};

/// Maximum number of concurrent connections; a further one displaces an existing one.
const CONNECTIONS: usize = 32;
/// Maximum lifetime of a connection.
const LIFE: Duration = Duration::from_secs(10);
/// Prometheus's classic text format.
const TEXT_FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Serves the daemon state until `stop` is cancelled.
///
/// # Errors
/// When the listener fails permanently.
pub async fn serve(listener: TcpListener, daemon_state: DaemonState, stop: CancellationToken) -> io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(daemon_state)
        .layer(axum::middleware::map_response(closing));
    let bounded = BoundedListener { listener, free: Arc::new(Semaphore::new(CONNECTIONS)), open: VecDeque::new() };
    axum::serve(bounded, routes).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn show_metrics(State(daemon_state): State<DaemonState>) -> Response {
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], metrics::render_board(&daemon_state)).into_response()
}

/// Returns whether the loop is alive. External failures are ignored: a restart fixes neither a bucket nor a network.
async fn healthz(State(daemon_state): State<DaemonState>) -> Response {
    let alive = daemon_state.is_alive();
    let word = if alive { "ok" } else { "stalled" };
    let status = if alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &serde_json::json!({ "status": word, "role": daemon_state.role().as_str() }))
}

/// Returns whether the daemon is ready.
async fn readyz(State(daemon_state): State<DaemonState>) -> Response {
    let readiness = daemon_state.readiness();
    let ready = readiness.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({
        "status": if ready { "ok" } else { "not_ready" },
        "configuration_valid": readiness.configured,
        "repository_reached": readiness.reached,
    });
    json(status, &body)
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], format!("{body}\n")).into_response()
}

/// Allows one request per connection: the next one needs a new connection and waits for a free place.
async fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A listener that serves a limited number of connections at a time.
struct BoundedListener {
    listener: TcpListener,
    free: Arc<Semaphore>,
    /// Connections that may still be open, oldest first.
    open: VecDeque<OpenConnection>,
}

/// A connection as the listener knows it.
#[derive(Debug)]
struct OpenConnection {
    /// Set when the connection began to answer; gone when it is closed.
    answered: Weak<AtomicBool>,
    cut: CancellationToken,
}

impl BoundedListener {
    /// A permit for one more connection. If none is free, a connection is cut: the oldest that has not answered yet.
    async fn permit(&mut self) -> Option<OwnedSemaphorePermit> {
        self.open.retain(|open| open.answered.strong_count() > 0);
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(permit);
        }
        let waits =
            |open: &&OpenConnection| open.answered.upgrade().is_some_and(|answered| !answered.load(Ordering::Relaxed));
        if let Some(oldest) = self.open.iter().find(waits).or_else(|| self.open.front()) {
            oldest.cut.cancel();
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, Self::Addr) {
        let (stream, address) = net::accept(&self.listener).await;
        let end = tokio::time::sleep(LIFE);
        // The semaphore is never closed; if it were, nothing could be served, and waiting is all there is.
        let Some(permit) = self.permit().await else { return std::future::pending().await };
        let cut = CancellationToken::new();
        let cancelled = cut.clone().cancelled_owned();
        let stream = BoundedStream::new(stream, async move {
            let _permit = permit;
            tokio::select! {
                () = end => {}
                () = cancelled => {}
            }
        });
        self.open.push_back(OpenConnection { answered: Arc::downgrade(&stream.written()), cut });
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::task::JoinSet;

    use super::*;
    use crate::daemon::daemon_state::{DaemonRole, InstanceView};
    use crate::model::{Clock, Timestamp};

    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_790_000_000_000)
        }
    }

    struct Server {
        daemon_state: DaemonState,
        address: std::net::SocketAddr,
        stop: CancellationToken,
        tasks: JoinSet<io::Result<()>>,
    }

    impl Server {
        async fn start() -> Self {
            let daemon_state = DaemonState::new(Arc::new(Still), Duration::from_secs(60));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
            let mut tasks = JoinSet::new();
            tasks.spawn(serve(listener, daemon_state.clone(), stop.clone()));
            Self { daemon_state, address, stop, tasks }
        }

        async fn ask(&self, request: &str) -> String {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            // The server closes the connection without a request.
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }

        async fn get(&self, path: &str) -> String {
            self.ask(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await
        }
    }

    #[tokio::test]
    async fn it_is_ready_once_everything_is_there_and_says_what_is_missing() {
        let server = Server::start().await;
        let answer = server.get("/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains(r#""configuration_valid":false"#), "{answer}");
        server.daemon_state.configured(false);
        assert!(server.get("/readyz").await.starts_with("HTTP/1.1 503 "), "the repository was not reached");
        server.daemon_state.reached();
        assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200 "));
        server.daemon_state.configured(true);
        assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200 "), "the one before is still in force");
        assert!(server.get("/metrics").await.contains("\nkeyhaven_config_last_reload_successful 0.0\n"));
    }

    #[tokio::test]
    async fn metrics_are_in_the_classic_format_and_name_the_role() {
        let server = Server::start().await;
        server.daemon_state.set_instance(InstanceView::new("pay"));
        server.daemon_state.set_role(DaemonRole::StandingBy);
        let answer = server.get("/metrics").await;
        assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
        assert!(answer.contains("keyhaven_daemon_role{role=\"standing_by\"} 1.0\n"), "{answer}");
        assert!(answer.contains("keyhaven_daemon_role{role=\"running\"} 0.0\n"), "{answer}");
        assert!(
            answer.contains("keyhaven_backup_last_successful_timestamp_seconds{instance_name=\"pay\"} 0.0\n"),
            "never is 0: {answer}"
        );
        server.daemon_state.keep_only(&[]);
        assert!(!server.get("/metrics").await.contains("pay"));
    }

    #[tokio::test]
    async fn there_is_nothing_else_and_nothing_to_send() {
        let server = Server::start().await;
        for path in ["/", "/metrics/", "/healthz/x", "/debug/pprof", "/../etc/passwd"] {
            let answer = server.get(path).await;
            assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("\r\n\r\n"), "{path}: {answer}");
        }
        let answer = server.ask("POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_send_nothing_are_cut_and_others_get_their_turn() {
        let server = Server::start().await;
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(b"GET /metr").await.unwrap();
            idle.push(stream);
        }
        // Paused time advances only when every task waits. If idle connections did not end, this would never return.
        let answer = server.get("/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }

    /// Time stays paused while a thread blocks, so no connection reaches its age limit here.
    #[tokio::test(start_paused = true)]
    async fn the_oldest_that_sends_nothing_makes_room_at_once() {
        use std::io::{Read as _, Write as _};

        let server = Server::start().await;
        let address = server.address;
        let client = tokio::task::spawn_blocking(move || {
            let connect = || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                stream.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
                stream
            };
            let mut idle: Vec<_> = (0..CONNECTIONS).map(|_| connect()).collect();
            for _ in 0..3 {
                let (mut asking, mut answer) = (connect(), String::new());
                asking.write_all(b"host: x\r\n\r\n").unwrap();
                asking.read_to_string(&mut answer).unwrap();
                assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
            }
            // The first connection made room; the last ones are still served.
            let ended = |mut stream: std::net::TcpStream| {
                stream.set_nonblocking(true).unwrap();
                !matches!(stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            };
            let last = idle.split_off(3);
            assert!(ended(idle.remove(0)) && !last.into_iter().any(ended));
        });
        client.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_tick_is_not_healthy() {
        let server = Server::start().await;
        server.daemon_state.heartbeat();
        assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200 "));
        tokio::time::advance(Duration::from_secs(61)).await;
        let answer = server.get("/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("stalled"), "{answer}");
        server.daemon_state.heartbeat();
        assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn it_ends_when_it_is_told_to() {
        let mut server = Server::start().await;
        server.stop.cancel();
        server.tasks.join_next().await.unwrap().unwrap().unwrap();
    }
}
