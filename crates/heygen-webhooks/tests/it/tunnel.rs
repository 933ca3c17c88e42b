//! A public address in front of a server that is not there yet, as a tunnel gives one.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::thread;

/// Listens at once; what connects waits until the address behind is known.
pub(crate) struct Tunnel {
    address: SocketAddr,
    behind: Arc<OnceLock<SocketAddr>>,
}

impl Tunnel {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let behind = Arc::new(OnceLock::new());
        let target = Arc::clone(&behind);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let target = Arc::clone(&target);
                thread::spawn(move || pass(stream, *target.wait()));
            }
        });
        Self { address, behind }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhooks/heygen", self.address)
    }

    /// Leads to the server that answers at `url`.
    pub(crate) fn lead_to(&self, url: &str) {
        let authority = url
            .trim_start_matches("http://")
            .split('/')
            .next()
            .expect("a host");
        self.behind
            .set(authority.parse().expect("an address"))
            .expect("set once");
    }
}

fn pass(front: TcpStream, behind: SocketAddr) {
    let Ok(back) = TcpStream::connect(behind) else {
        return;
    };
    let (Ok(front_too), Ok(back_too)) = (front.try_clone(), back.try_clone()) else {
        return;
    };
    thread::spawn(move || copy(front, back));
    copy(back_too, front_too);
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    let all = || -> io::Result<()> {
        loop {
            match from.read(&mut bytes)? {
                0 => return to.shutdown(Shutdown::Write),
                len => to.write_all(&bytes[..len])?,
            }
        }
    };
    // A connection that breaks off breaks off on both sides.
    let mut all = all;
    let _ = all();
}
