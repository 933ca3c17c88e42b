//! [`IoGuard`]: observes the bytes of a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::activity::Activity;
use crate::not_http::NotHttp;

/// The stream under hyper. Reports arriving bytes to [`Activity`], and closes gracefully after a
/// request that was not read to its end.
///
/// With TLS it sees decrypted bytes: those of a handshake or of half a record extend no deadline.
pub(super) struct IoGuard<S> {
    stream: S,
    activity: Arc<Activity>,
    closing: Option<Closing>,
    protocol: Protocol,
}

/// The protocol, known from the first bytes. On HTTP/2 bytes may arrive at any time that are not
/// headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    /// This many bytes of the HTTP/2 preface have arrived.
    Preface(usize),
    Http1,
    Http2,
}

/// Closing after the response to a request that was not read to its end. With unread bytes the
/// system would reset the connection, and the client would lose the response, so further bytes are
/// discarded for a while.
struct Closing {
    until: Pin<Box<Sleep>>,
    left: usize,
    shut: bool,
}

impl<S> IoGuard<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            closing: None,
            protocol: Protocol::Preface(0),
        }
    }

    fn observe(&mut self, bytes: &[u8]) {
        if let Protocol::Preface(seen) = self.protocol {
            if let Some(found) = NotHttp::of(bytes).filter(|_| seen == 0) {
                self.activity.is_not_http(found);
            }
            let expected = &PREFACE[seen..PREFACE.len().min(seen + bytes.len())];
            let seen = seen + expected.len();
            self.protocol = if !bytes.starts_with(expected) {
                Protocol::Http1
            } else if seen == PREFACE.len() {
                Protocol::Http2
            } else {
                Protocol::Preface(seen)
            };
        }
        if self.protocol != Protocol::Http2 {
            self.activity.bytes_arrived();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IoGuard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            this.observe(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for IoGuard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.activity.lingers() {
            return Pin::new(&mut this.stream).poll_shutdown(cx);
        }
        let closing = this.closing.get_or_insert_with(|| Closing {
            until: Box::pin(tokio::time::sleep(LINGER_TIME)),
            left: LINGER_BYTES,
            shut: false,
        });
        if !closing.shut {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            closing.shut = true;
        }
        let mut scrap = [0; 4096];
        while closing.left > 0 && closing.until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut scrap);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf))?;
            let read = buf.filled().len();
            if read == 0 {
                break;
            }
            closing.left = closing.left.saturating_sub(read);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 8 * 1024 * 1024;
