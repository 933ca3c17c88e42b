//! The log cannot be written: its reader is gone, reads no more, or the disk is full.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::audit::Audit;
use super::event::{Events, subject};
use super::ground::{Ground, Home};
use super::listener::{Answer, Listener};
use super::load::{Load, deliver_all};
use super::table::Row;
use crate::client::Client;
use crate::probes::{Connection, Prober};
use crate::process;

pub(super) const WHAT: &str = "the log cannot be written (its reader is gone, reads no more, a full disk), in text and in JSON, while 16 \
connections deliver and every attempt fails and is logged for a while: posts and probes are answered, and every delivery reaches \
the application once it is well";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let lasting = Duration::from_secs(ground.size(10, 2));
    let mut audit = Audit::default();
    let mut rows = Vec::new();
    for trouble in [
        Trouble::ReaderGone,
        Trouble::ReaderStalled,
        Trouble::DiskFull,
    ] {
        for format in ["text", "json"] {
            let outcome = run_one(ground, trouble, format, lasting)?;
            audit.add(&outcome.audit);
            rows.push(outcome);
        }
    }
    let mut row = Row::new("log", 0, audit);
    for outcome in rows {
        row.note(outcome.note);
        outcome.wrong.into_iter().for_each(|wrong| row.wrong(wrong));
    }
    Ok(row)
}

/// What is the matter with the log.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    ReaderGone,
    ReaderStalled,
    DiskFull,
}

impl Trouble {
    fn name(self) -> &'static str {
        match self {
            Self::ReaderGone => "reader gone",
            Self::ReaderStalled => "reader stalled",
            Self::DiskFull => "disk full",
        }
    }
}

struct Outcome {
    audit: Audit,
    note: String,
    wrong: Vec<String>,
}

fn run_one(ground: &Ground, trouble: Trouble, format: &str, lasting: Duration) -> Result<Outcome> {
    let name = format!("log-{}-{format}", trouble.name().replace(' ', "-"));
    let home = ground.home(&name)?;
    let events = Events::new(format!("{name}-{}", ground.seed()))?;
    let application = Application::start()?;
    let mut server = Server::start(&home, trouble, format, application.listener.address())?;

    let next = Arc::new(AtomicU64::new(0));
    let load = Load::start(server.address, CONNECTIONS, &events, &next, Vec::new());
    let prober = Prober::start(server.address, Connection::New);
    thread::sleep(lasting);
    let probes = prober.stop()?;
    let mut ledger = load.stop()?;
    let refused = ledger.refused.values().sum::<u64>() + ledger.broken;
    ledger.add(deliver_all(
        server.address,
        &ledger.unanswered(),
        |number| events.request(number),
    ));
    let failed = application.failed.load(Ordering::Relaxed);
    application.is_well.store(true, Ordering::Relaxed);
    let left = home.left_to_hand_out()?;
    let ended = server
        .child
        .try_wait()
        .context("look after heygen-webhooks")?;
    let stopped = process::terminate(&mut server.child, LONGEST_STOP)?;

    let mut wrong = Vec::new();
    wrong.extend(probes.wrong());
    wrong.extend(ledger.unexpected());
    if let Some(status) = ended {
        wrong.push(format!("the process ended ({status})"));
    } else if !stopped.is_some_and(|status| status.success()) {
        wrong.push(format!("SIGTERM ended it with {stopped:?}"));
    }
    if failed == 0 {
        wrong.push("no attempt failed, so that nothing was logged".to_owned());
    }
    let reached = application.reached(&events);
    let missing = ledger.answered.difference(&reached).count();
    if left + missing > 0 {
        wrong.push(format!(
            "{left} were not acknowledged, {missing} never reached the application"
        ));
    }
    wrong.extend(home.flaws()?);
    let case = format!("{} ({format})", trouble.name());
    Ok(Outcome {
        audit: home.audit(&ledger, &events)?,
        note: format!(
            "{case}: {failed} failed attempts logged meanwhile, {refused} posts not taken at once; {}",
            probes.told()
        ),
        wrong: wrong
            .into_iter()
            .map(|wrong| format!("{case}: {wrong}"))
            .collect(),
    })
}

/// A receiver whose log goes where it cannot be written. Dropped, it is killed.
struct Server {
    child: Child,
    address: SocketAddr,
    /// Kept open and not read.
    _log: Option<ChildStderr>,
}

impl Server {
    fn start(home: &Home, trouble: Trouble, format: &str, application: SocketAddr) -> Result<Self> {
        let address = free_address()?;
        let log = match trouble {
            Trouble::DiskFull => {
                let full = OpenOptions::new().write(true).open("/dev/full");
                Stdio::from(full.context("open /dev/full")?)
            }
            Trouble::ReaderGone | Trouble::ReaderStalled => Stdio::piped(),
        };
        let mut command: Command = home.command();
        command
            .args(["serve", "--log-format", format, "--admin", "off", "--inbox"])
            .arg(home.inbox())
            .args(["--listen", &address.to_string()])
            .args(["--forward", &format!("http://{application}/")])
            .args(["--retry-first", "0.2", "--retry-longest", "0.5"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut child = command.spawn().context("start heygen-webhooks")?;
        let log = child.stderr.take();
        let server = Self {
            child,
            address,
            _log: log.filter(|_| matches!(trouble, Trouble::ReaderStalled)),
        };
        let started = Instant::now();
        while !matches!(Client::new(address).probe(), Ok(200..=299)) {
            if started.elapsed() > LONGEST_START {
                bail!("it did not begin to listen");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fails until it is well.
struct Application {
    listener: Listener,
    is_well: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
    taken: Arc<Mutex<BTreeSet<String>>>,
}

impl Application {
    fn start() -> Result<Self> {
        let is_well = Arc::new(AtomicBool::new(false));
        let failed = Arc::new(AtomicU64::new(0));
        let taken = Arc::new(Mutex::new(BTreeSet::new()));
        let listener = Listener::start({
            let (is_well, failed, taken) = (is_well.clone(), failed.clone(), taken.clone());
            move |request| {
                if !is_well.load(Ordering::Relaxed) {
                    failed.fetch_add(1, Ordering::Relaxed);
                    return Answer::ComeAgain;
                }
                let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                taken.insert(subject(&request.body));
                Answer::Taken
            }
        })?;
        Ok(Self {
            listener,
            is_well,
            failed,
            taken,
        })
    }

    fn reached(&self, events: &Events) -> BTreeSet<u64> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken
            .iter()
            .filter_map(|subject| events.number(subject))
            .collect()
    }
}

/// Free a moment ago: the log, which would say, cannot be read.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen on loopback")?;
    listener.local_addr().context("the address to listen on")
}

const CONNECTIONS: usize = 16;
const LONGEST_START: Duration = Duration::from_secs(60);
const LONGEST_STOP: Duration = Duration::from_secs(60);
