//! A public address in front of a server that is not there yet, as a tunnel gives one.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::support::{Serve, Workdir};

pub(crate) const KEY: (&str, &str) = ("HEYGEN_API_KEY", "key-of-the-tests");

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

    /// A server behind it, which registers at `base_url`.
    pub(crate) fn serve(&self, workdir: &Workdir, base_url: &str, arguments: &[&str]) -> Serve {
        let url = self.url();
        let first = ["--json", "--public-url", &url, "--base-url", base_url];
        let serve = workdir.serve_with(&[&first, arguments].concat(), &[KEY]);
        self.lead_to(&serve.url);
        serve
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

/// A connection that breaks off breaks off on both sides.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    if io::copy(&mut from, &mut to).is_ok() {
        let _ = to.shutdown(Shutdown::Write);
    }
}
