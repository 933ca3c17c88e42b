//! [`Viewers`]: open pages of the dashboard, as browsers have them: each listens for changes, and fetches itself again at each.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use xtask_harness::client::connect;

/// Half of them show the overview, half the list of deliveries.
#[derive(Debug)]
pub(super) struct Viewers {
    stop: Arc<AtomicBool>,
    viewers: Vec<JoinHandle<u64>>,
}

impl Viewers {
    /// Opens so many pages of the dashboard at `admin`.
    pub(super) fn start(admin: SocketAddr, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let view = |number: usize| {
            let stop = Arc::clone(&stop);
            let page = ["/", "/deliveries"][number % 2];
            thread::spawn(move || {
                let (mut seen, mut fetched) = (String::new(), 0);
                while !stop.load(Ordering::Relaxed) {
                    // The server ends each stream after some seconds; a browser opens the next.
                    if view(admin, page, &stop, &mut seen, &mut fetched).is_none() {
                        thread::sleep(Duration::from_millis(500));
                    }
                }
                fetched
            })
        };
        let viewers = (0..count).map(view).collect();
        Self { stop, viewers }
    }

    /// How many pages were fetched; an error when one that was open did not change.
    pub(super) fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = 0;
        for viewer in self.viewers {
            match viewer.join().map_err(|_| anyhow!("a viewer panicked"))? {
                0 => bail!("a page of the dashboard did not change under load"),
                fetched => all += fetched,
            }
        }
        Ok(all)
    }
}

/// One stream of changes, to its end; `None` when it broke.
fn view(
    admin: SocketAddr,
    page: &str,
    stop: &AtomicBool,
    seen: &mut String,
    fetched: &mut u64,
) -> Option<()> {
    let mut changes = get(admin, "/changes", &format!("Last-Event-ID: {seen}\r\n"))?;
    let mut line = String::new();
    while !stop.load(Ordering::Relaxed) && changes.read_line(&mut line).ok()? > 0 {
        if let Some(id) = line.strip_prefix("id: ") {
            id.trim().clone_into(seen);
        }
        if line.starts_with("event: change") {
            let mut answer = Vec::new();
            let mut fetch = get(admin, page, "X-Refresh: 1\r\n")?;
            fetch.read_to_end(&mut answer).ok()?;
            *fetched += u64::from(answer.starts_with(b"HTTP/1.1 200"));
        }
        line.clear();
    }
    Some(())
}

fn get(admin: SocketAddr, path: &str, header: &str) -> Option<BufReader<std::net::TcpStream>> {
    let mut stream = connect(admin).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    Some(BufReader::new(stream))
}
