//! Connections that can be cut from our side at any moment, for faults and for stopping at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What a handler needs to know of its connection: how to cut it.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionHandle(CancellationToken);

impl ConnectionHandle {
    /// Cuts the connection: nothing is sent or received any more.
    pub(crate) fn cut(&self) {
        self.0.cancel();
    }
}

/// A listener whose connections end with it.
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
    type Io = Stream;
    type Addr = ConnectionHandle;

    async fn accept(&mut self) -> (Stream, ConnectionHandle) {
        loop {
            match self.listener.accept().await {
                Ok((inner, _)) => {
                    // Small answers over one connection would wait for each other otherwise.
                    drop(inner.set_nodelay(true));
                    let token = self.stop.child_token();
                    let cut = Box::pin(token.clone().cancelled_owned());
                    return (Stream { inner, cut, gone: false }, ConnectionHandle(token));
                }
                // Out of file descriptors, or the peer is gone already: a moment later it may work.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
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

/// A TCP connection that fails once it was cut.
pub(crate) struct Stream {
    inner: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    gone: bool,
}

impl Stream {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if !self.gone && self.cut.as_mut().poll(context).is_ready() {
            self.gone = true;
        }
        if self.gone { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
