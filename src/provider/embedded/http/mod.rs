//! The HTTP edge: connections, tokens, faults, and the way from a request to the state and back.

mod answer;
mod body;
mod connection;
mod handler;
mod identity;

use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::instance::EmbeddedInstance;
use connection::{ConnectionHandle, Gate};

/// A running HTTP server over an instance: the API and its identity service at one address.
///
/// Several may run in one process, over one instance or several. Dropped without [`Server::stop`], it stops too.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds `address` (port 0 for any free one) and serves.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(instance: EmbeddedInstance, address: SocketAddr) -> io::Result<Self> {
        Self::over(instance, TcpListener::bind(address).await?)
    }

    /// Serves on a listener that is bound already.
    ///
    /// # Errors
    /// When the listener has no address.
    #[expect(clippy::disallowed_methods, reason = "the server keeps the handle and waits for it in `stop`")]
    pub fn over(instance: EmbeddedInstance, listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let app = Router::new().fallback(handler::handle).with_state(instance);
        let service = app.into_make_service_with_connect_info::<ConnectionHandle>();
        let serving = axum::serve(Gate::new(listener, stop.clone()), service);
        let serving = serving.with_graceful_shutdown(stop.clone().cancelled_owned());
        // Serving never fails: accepting tries again, and a broken connection ends only itself.
        let task = tokio::spawn(async move { drop(serving.await) });
        Ok(Self { address, stop, task: Some(task) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The base URL of the API, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The base URL of the identity service; tokens are at `/identity/token` below it.
    #[must_use]
    pub fn iam_url(&self) -> String {
        self.base_url()
    }

    /// Closes every connection, answered or not, and waits until nothing is served any more.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // Only a panic of the server ends it otherwise, and then it is stopped as well.
            drop(task.await);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
