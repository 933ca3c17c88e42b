//! The way from one node to another, which can be closed.

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
    /// Both ends of every connection since the gate was closed last, of those that have ended too: they are few.
    ends: Vec<TcpStream>,
}

impl Gate {
    /// An open gate to `target`, where no one needs to listen yet.
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
            state.ends.drain(..).for_each(|end| close(&end));
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        self.set_open(false);
        // Wakes the thread; should that fail, it is left to end with the process.
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn accept(&self, listener: &TcpListener) {
        for connection in listener.incoming() {
            if self.state().is_over {
                return;
            }
            // A connection that fails is closed, and the node tries again.
            if let Ok(connection) = connection {
                let _ = self.pass_on(connection);
            }
        }
    }

    fn pass_on(&self, from: TcpStream) -> io::Result<()> {
        if self.state().is_closed {
            return Ok(());
        }
        let to = TcpStream::connect_timeout(&self.target, TIMEOUT)?;
        from.set_nodelay(true)?;
        to.set_nodelay(true)?;
        let ends = [from.try_clone()?, to.try_clone()?];
        let ways = [(from.try_clone()?, to.try_clone()?), (to, from)];
        let mut state = self.state();
        // It may have been closed meanwhile.
        if state.is_closed {
            return Ok(());
        }
        state.ends.extend(ends);
        drop(state);
        for (mut from, mut to) in ways {
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                // Whichever end it was, the connection is over.
                close(&from);
                close(&to);
            });
        }
        Ok(())
    }

    /// Nothing is left half done by a thread that panics.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It may have ended already.
fn close(end: &TcpStream) {
    let _ = end.shutdown(Shutdown::Both);
}

const TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::wait;

    #[test]
    fn nothing_is_left_of_a_dropped_gate() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Gate::to(listener.local_addr().unwrap()).unwrap();
        let address = gate.address();
        let mut near = TcpStream::connect(address).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        drop(gate);
        for end in [&mut near, &mut far] {
            assert!(!matches!(end.read(&mut [0]), Ok(1)));
        }
        // A program that another test is just starting may have the listener for a moment longer.
        let refused = wait::until("the gate to be gone", || {
            let connected = TcpStream::connect(address).map(drop);
            Ok(connected.err().ok_or_else(|| "it still listens".to_owned()))
        });
        refused.unwrap();
    }
}
