//! HTTP interface: connections, tokens, faults, and dispatch of requests to the state.

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

/// A running HTTP server for an instance: the API and its identity service at one address.
///
/// One process may run several, for one instance or several. Dropping it also stops it, as [`Server::stop`] does.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds `address` (port 0 picks a free one) and serves.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(instance: EmbeddedInstance, address: SocketAddr) -> io::Result<Self> {
        Self::over(instance, TcpListener::bind(address).await?)
    }

    /// Serves on a listener that is already bound.
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
        // Serving never fails: accept is retried, and a broken connection ends only itself.
        let task = tokio::spawn(async move { drop(serving.await) });
        Ok(Self { address, stop, task: Some(task) })
    }

    /// Returns the listen address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL of the API, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the base URL of the identity service; tokens are at `/identity/token` below it.
    #[must_use]
    pub fn iam_url(&self) -> String {
        self.base_url()
    }

    /// Closes every connection, answered or not, and waits until serving has ended.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // The task fails only if the server panicked, and then it has ended as well.
            drop(task.await);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
