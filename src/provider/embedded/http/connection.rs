//! Connections that the server can cut at any time, for faults and for an immediate stop.

use std::io;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::net::{self, BoundedStream};

/// Handle with which a handler can cut its connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionHandle(CancellationToken);

impl ConnectionHandle {
    /// Cuts the connection: nothing further is sent or received.
    pub(crate) fn cut(&self) {
        self.0.cancel();
    }
}

/// Listener whose connections are cut when it stops.
pub(crate) struct Gate {
    listener: TcpListener,
    stop: CancellationToken,
}

impl Gate {
    pub(crate) fn new(listener: TcpListener, stop: CancellationToken) -> Self {
        Self { listener, stop }
    }
}

impl Listener for Gate {
    type Io = BoundedStream;
    type Addr = ConnectionHandle;

    async fn accept(&mut self) -> (BoundedStream, ConnectionHandle) {
        let (stream, _) = net::accept(&self.listener).await;
        // Small answers over one connection would wait for each other otherwise.
        drop(stream.set_nodelay(true));
        let token = self.stop.child_token();
        (BoundedStream::new(stream, token.clone().cancelled_owned()), ConnectionHandle(token))
    }

    fn local_addr(&self) -> io::Result<ConnectionHandle> {
        Ok(ConnectionHandle(self.stop.clone()))
    }
}

impl Connected<IncomingStream<'_, Gate>> for ConnectionHandle {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Self {
        stream.remote_addr().clone()
    }
}
