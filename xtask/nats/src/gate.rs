//! The way from one node to another, which can be closed.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

/// Listens on loopback and passes every connection on to one address. While it is closed, a connection is closed at once.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    is_over: bool,
    /// Both ends of every connection that lasts.
    connections: HashMap<u64, [TcpStream; 2]>,
    next: u64,
}

impl Gate {
    /// An open gate to `target`, where nobody needs to listen yet.
    pub(crate) fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen for a node")?;
        let address = listener.local_addr().context("ask for a port")?;
        let state = Mutex::default();
        let shared = Arc::new(Shared { target, state });
        let accepting = Arc::clone(&shared);
        let thread = thread::spawn(move || accepting.accept(&listener));
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens it for new connections, or closes it for them and ends those that there are.
    pub(crate) fn set_open(&self, is_open: bool) {
        let mut state = self.shared.state();
        state.is_closed = !is_open;
        if state.is_closed {
            state.end_all();
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_over = true;
        state.end_all();
        drop(state);
        // Wakes the thread; should that fail, it is left to end with the process.
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for connection in listener.incoming() {
            if self.state().is_over {
                return;
            }
            // A connection that fails is closed, and whoever made it tries again.
            if let Ok(connection) = connection {
                let _ = self.pass_on(connection);
            }
        }
    }

    fn pass_on(self: &Arc<Self>, from: TcpStream) -> io::Result<()> {
        if self.state().is_closed {
            return Ok(());
        }
        let to = TcpStream::connect_timeout(&self.target, TIMEOUT)?;
        from.set_nodelay(true)?;
        to.set_nodelay(true)?;
        let ways = [
            (from.try_clone()?, to.try_clone()?),
            (to.try_clone()?, from.try_clone()?),
        ];
        let Some(id) = self.state().add([from, to]) else {
            return Ok(());
        };
        for (mut from, mut to) in ways {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                // Whichever end it was, the connection is over.
                let _ = io::copy(&mut from, &mut to);
                shared.state().end(id);
            });
        }
        Ok(())
    }

    /// Nothing is left half done by a thread that panics.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// `None` when the gate was closed meanwhile.
    fn add(&mut self, ends: [TcpStream; 2]) -> Option<u64> {
        if self.is_closed || self.is_over {
            return None;
        }
        self.next += 1;
        self.connections.insert(self.next, ends);
        Some(self.next)
    }

    fn end(&mut self, id: u64) {
        for end in self.connections.remove(&id).into_iter().flatten() {
            // It may have ended already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn end_all(&mut self) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            self.end(id);
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    /// A gate, and one connection through it with both its ends.
    fn passed() -> (Gate, TcpListener, [TcpStream; 2]) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Gate::to(listener.local_addr().unwrap()).unwrap();
        let near = TcpStream::connect(gate.address()).unwrap();
        let (far, _) = listener.accept().unwrap();
        (gate, listener, [near, far])
    }

    #[track_caller]
    fn check_is_closed(stream: &mut TcpStream) {
        // Closed in order, or because of bytes that nobody has read.
        assert!(!matches!(stream.read(&mut [0]), Ok(1)));
    }

    #[test]
    fn bytes_pass_both_ways() {
        let (_gate, _listener, [mut near, mut far]) = passed();
        let mut byte = [0];
        near.write_all(b"a").unwrap();
        far.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"a");
        far.write_all(b"b").unwrap();
        near.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"b");
        drop(near);
        check_is_closed(&mut far);
    }

    #[test]
    fn a_closed_gate_ends_connections_and_lets_none_in() {
        let (gate, listener, [mut near, mut far]) = passed();
        gate.set_open(false);
        check_is_closed(&mut near);
        check_is_closed(&mut far);
        let mut turned_away = TcpStream::connect(gate.address()).unwrap();
        check_is_closed(&mut turned_away);
        gate.set_open(true);
        let mut near = TcpStream::connect(gate.address()).unwrap();
        // The first that arrives is this one: the one before was not passed on.
        let (mut far, _) = listener.accept().unwrap();
        near.write_all(b"a").unwrap();
        let mut byte = [0];
        far.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"a");
    }

    #[test]
    fn nothing_is_left_of_a_dropped_gate() {
        let (gate, _listener, [mut near, mut far]) = passed();
        let address = gate.address();
        drop(gate);
        check_is_closed(&mut near);
        check_is_closed(&mut far);
        assert!(TcpStream::connect(address).is_err());
    }
}
