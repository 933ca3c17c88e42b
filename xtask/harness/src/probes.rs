//! [`Prober`]: HeyGen's probe, again and again while something else goes on; [`Probes`]: how long it took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::client::Client;
use crate::report::quantile;

/// Probes until it is stopped.
#[derive(Debug)]
pub struct Prober {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Probes>,
}

/// How long each took.
#[derive(Debug, Default)]
pub struct Probes {
    times: Vec<Duration>,
    failed: usize,
}

impl Prober {
    /// Each probe takes a new connection, as HeyGen's do. The first has been answered, or has failed, when this returns.
    #[must_use]
    pub fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let mut probes = Probes::default();
        probes.probe(address);
        let thread = thread::spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                probes.probe(address);
                thread::sleep(BETWEEN);
            }
            probes
        });
        Self { stop, thread }
    }

    /// Lets the probe that is under way come to its end.
    pub fn stop(self) -> Result<Probes> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the prober panicked"))
    }
}

impl Probes {
    /// How many there were.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// The 99th percentile and the longest.
    #[must_use]
    pub fn times(&self) -> [Duration; 2] {
        let mut times = self.times.clone();
        [99, 100].map(|percent| quantile(&mut times, percent))
    }

    /// `OPTIONS p99 3.1 ms, longest 4.0 ms, of 400`.
    #[must_use]
    pub fn summary(&self) -> String {
        let [p99, longest] = self.times().map(|time| time.as_secs_f64() * 1000.0);
        let count = self.times.len();
        format!("OPTIONS p99 {p99:.1} ms, longest {longest:.1} ms, of {count}")
    }

    /// What is wrong: a probe that failed, or took longer than HeyGen waits.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        let late = self
            .times
            .iter()
            .filter(|time| **time > HEYGEN_WAITS)
            .count();
        let (failed, count) = (self.failed, self.times.len());
        (failed + late > 0 || count == 0)
            .then(|| format!("of {count} probes {failed} failed and {late} took more than 1 s"))
    }

    fn probe(&mut self, address: SocketAddr) {
        let started = Instant::now();
        let status = Client::new(address).probe();
        self.times.push(started.elapsed());
        if !matches!(status, Ok(200..=299)) {
            self.failed += 1;
        }
    }
}

const BETWEEN: Duration = Duration::from_millis(5);

/// For the answer to OPTIONS when an endpoint is registered.
const HEYGEN_WAITS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_failures_are_told() {
        let mut probes = Probes {
            times: (1..=200).map(Duration::from_millis).collect(),
            failed: 0,
        };
        assert_eq!(
            probes.summary(),
            "OPTIONS p99 198.0 ms, longest 200.0 ms, of 200"
        );
        assert_eq!(probes.wrong(), None);
        probes.times.push(Duration::from_secs(2));
        assert!(probes.wrong().unwrap().contains("1 took more"));
        assert!(Probes::default().wrong().is_some());
    }
}
