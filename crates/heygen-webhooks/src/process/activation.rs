//! Sockets that systemd, or another program that starts this process, has opened for it: `LISTEN_FDS`.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::sync::{Mutex, PoisonError};

use heygen_receiver::Listener;
use listenfd::ListenFd;

static PASSED: Mutex<Vec<Passed>> = Mutex::new(Vec::new());

struct Passed {
    name: String,
    socket: Socket,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
    /// A datagram socket, a connection, a pipe, or whatever else accepts no connections.
    Other,
}

/// Takes all of them, so that no program that is run inherits one. Before there are threads: it changes the environment.
pub(crate) fn take_over() {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let mut sockets = ListenFd::from_env();
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    for index in 0..sockets.len() {
        let name = names.next().unwrap_or_default();
        // The types say that they listen; only the system knows.
        let socket = if let Ok(Some(socket)) = sockets.take_unix_listener(index) {
            listens(&socket).then_some(Socket::Unix(socket))
        } else if let Ok(Some(socket)) = sockets.take_tcp_listener(index) {
            listens(&socket).then_some(Socket::Tcp(socket))
        } else {
            None
        };
        let socket = socket.unwrap_or(Socket::Other);
        passed.push(Passed { name, socket });
    }
}

/// The one of this name (`FileDescriptorName=` of the socket unit), or the only one.
pub(crate) fn take(name: Option<&str>) -> io::Result<Listener> {
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_meant = |socket: &Passed| name.is_none_or(|name| socket.name == name);
    let mut found = passed.iter().enumerate().filter(|(_, it)| is_meant(it));
    let found = match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (None, _) => Err(problem("passed no such socket", name, &passed)),
        (Some(_), Some(_)) => Err(problem(
            "passed several; each needs its name",
            name,
            &passed,
        )),
    };
    match passed.swap_remove(found?).socket {
        Socket::Tcp(socket) => Listener::try_from(socket),
        Socket::Unix(socket) => Listener::try_from(socket),
        Socket::Other => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "what was passed accepts no connections; it needs ListenStream= and Accept=no",
        )),
    }
}

/// Warns of those that no option has taken: the system accepts connections to them, and no one answers.
pub(crate) fn warn_of_unserved() {
    let passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    for socket in passed.iter() {
        tracing::warn!(
            socket = socket.name,
            "systemd passes a socket that no option names, and connections to it are not answered: name it with --listen systemd or --admin systemd (systemd:NAME where several are passed), or take it out of the .socket unit"
        );
    }
}

/// Whether it listens: a connection, or a socket that was only bound, has the same type.
#[cfg(not(target_vendor = "apple"))]
fn listens(socket: &impl AsFd) -> bool {
    rustix::net::sockopt::socket_acceptconn(socket).unwrap_or(true)
}

/// The system does not say.
#[cfg(target_vendor = "apple")]
fn listens(_: &impl AsFd) -> bool {
    true
}

fn problem(what: &str, name: Option<&str>, passed: &[Passed]) -> io::Error {
    let names: Vec<_> = passed.iter().map(|socket| socket.name.as_str()).collect();
    let names = match names.is_empty() {
        true => "none; start the service by its .socket unit".to_owned(),
        false => format!("`{}`", names.join("`, `")),
    };
    let wanted = name.map_or_else(String::new, |name| format!(" called `{name}`"));
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("systemd {what}{wanted} (passed: {names})"),
    )
}
