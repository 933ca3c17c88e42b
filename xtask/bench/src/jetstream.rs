//! The inbox on NATS JetStream: receivers and workers, beside the inbox file.
//!
//! Servers are new and empty for every measurement. There are three tables: storing, both at once, and dispatching. Whatever was
//! answered 200 is counted in the stream afterwards, and what was dispatched in the stream of records.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use heygen_inbox::Inbox as _;
use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
use xtask_harness::report::Report;
use xtask_harness::server::{Output, Server};
use xtask_harness::testbed::Home;
use xtask_harness::workspace;
use xtask_nats::{Cluster, Options, Program};

use crate::backlog::append_all;
use crate::rounds::{self, Column, Measured, Rows, WRONG};
use crate::serving::{self, audit};
use crate::testbed::{Testbed, load};
use crate::wrk::{P50, P99};

pub(super) const WHAT: &str =
    "the inbox on NATS JetStream, one server and three: storing and dispatching";

pub(super) fn run(testbed: &Testbed) -> Result<Report> {
    workspace::bring_nats()?;
    // Made before anything is measured.
    load(testbed)?;
    let mut tables = [storing(testbed), both(testbed), dispatching(testbed)];
    let mut report = rounds::report(testbed.options.rounds, &mut tables);
    report.note(format!(
        "nats-server {}; three are a cluster on this machine and this disk, each with every message",
        Program::Current.version()?
    ));
    report.note(format!(
        "receiver: `serve --receive-only`; worker: `work --on '*=ignore'`; in the second table workers have --concurrency {CONCURRENCY}, and \
         the receivers share the {CONNECTIONS} connections of the load"
    ));
    Ok(report)
}

/// So many requests wait for their answer.
fn storing(testbed: &Testbed) -> Rows<'_> {
    let mut rows = Rows::new(2, &["servers", "what takes in", "at a time"], &STORING);
    for (at_a_time, label) in [(64, "64"), (CONNECTIONS, "256")] {
        rows.add(&["none", FILE, label], move || {
            serving::measure(testbed, "durable", at_a_time, IN)
        });
        for (servers, size) in SERVERS {
            rows.add(&[servers, "a receiver", label], move || {
                let servers = Servers::start(testbed, size)?;
                receive(testbed, &servers, 1, 0, at_a_time)
            });
        }
    }
    rows
}

/// Receivers under load while workers dispatch what comes in.
fn both(testbed: &Testbed) -> Rows<'_> {
    let mut rows = Rows::new(1, &["servers", "receivers", "workers"], &BOTH);
    for (servers, size) in SERVERS {
        for (receivers, workers) in [(1, 1), (2, 4)] {
            let labels = [receivers, workers].map(|count: usize| count.to_string());
            rows.add(&[servers, &labels[0], &labels[1]], move || {
                let servers = Servers::start(testbed, size)?;
                receive(testbed, &servers, receivers, workers, CONNECTIONS)
            });
        }
    }
    rows
}

/// Fills streams and lets workers empty them; what is done in a second, by the records.
fn dispatching(testbed: &Testbed) -> Rows<'_> {
    let labels = &["servers", "what dispatches", "at a time each"];
    let mut rows = Rows::new(2, labels, &DISPATCHING);
    let seconds = testbed.options.seconds;
    let events = seconds * EVENTS_A_SECOND;
    for (servers, size) in SERVERS {
        // 16 is the default of `work`.
        for (count, what, each) in [
            (1, ONE_WORKER, "16"),
            (1, ONE_WORKER, CONCURRENCY),
            (4, "4 workers", CONCURRENCY),
        ] {
            rows.add(&[servers, what, each], move || {
                let servers = Servers::start(testbed, size)?;
                fill(&servers.inbox(), events)?;
                let _workers = workers(testbed, &servers, count, each)?;
                let rate = rate(&servers, seconds)?;
                match all_done(testbed, &servers)? {
                    done if done == events => Ok(vec![(OUT, rate)]),
                    done => bail!("{events} were to be in the stream, and {done} are"),
                }
            });
        }
    }
    rows
}

/// Servers that run, and where they keep their data. They are killed when this is dropped.
struct Servers {
    cluster: Cluster,
    _home: Home,
}

/// How far a stream has been dispatched.
#[derive(Debug, Default)]
struct State {
    /// Events in the stream.
    stored: u64,
    /// The events of which a record tells what became of them.
    recorded: u64,
}

impl Servers {
    /// One, or a cluster of so many, each with everything.
    fn start(testbed: &Testbed, size: usize) -> Result<Self> {
        let home = testbed.home("nats")?;
        let options = Options::new().below(home.folder()).direct_routes();
        Ok(Self {
            cluster: Cluster::start(Program::Current, size, &options)?,
            _home: home,
        })
    }

    /// What `--inbox` takes.
    fn inbox(&self) -> String {
        let urls = self.cluster.urls().join(",").replace(",nats://", ",");
        format!("{urls}/{STREAM}")
    }

    /// By what the furthest server says: a replica may be behind.
    fn state(&self) -> Result<State> {
        let mut state = State::default();
        for node in 0..self.cluster.size() {
            let answer = self
                .cluster
                .node(node)
                .monitor("/jsz?accounts=true&streams=true")?;
            let accounts = answer["account_details"].as_array().into_iter().flatten();
            let streams = accounts.filter_map(|account| account["stream_detail"].as_array());
            for stream in streams.flatten() {
                let messages = stream["state"]["messages"].as_u64().unwrap_or_default();
                match stream["name"].as_str() {
                    Some(STREAM) => state.stored = state.stored.max(messages),
                    Some(RECORDS) => state.recorded = state.recorded.max(messages),
                    _ => {}
                }
            }
        }
        match state.stored {
            0 => bail!("no server tells of the stream {STREAM}"),
            _ => Ok(state),
        }
    }

    /// Waits until the streams are in such a state.
    fn wait(&self, is_so: impl Fn(&State) -> bool) -> Result<State> {
        let started = Instant::now();
        loop {
            let state = self.state()?;
            if is_so(&state) {
                return Ok(state);
            }
            if started.elapsed() > LONGEST {
                bail!("the workers are not further after {LONGEST:?}: {state:?}");
            }
            thread::sleep(BETWEEN_LOOKS);
        }
    }
}

/// Appends so many events to streams that are new, for workers to dispatch.
#[tokio::main]
async fn fill(inbox: &str, events: u64) -> Result<()> {
    let address = inbox.parse().context("read the address")?;
    let inbox = JetStreamInbox::open(&address, JetStreamOptions::default()).await;
    let inbox = inbox.context("open the inbox")?;
    append_all(&inbox, 0..events).await?;
    inbox.close().await.context("close the inbox")
}

/// Receivers under load, which share the connections, and workers beside them, if any.
fn receive(
    testbed: &Testbed,
    servers: &Servers,
    receivers: usize,
    workers: usize,
    connections: usize,
) -> Measured {
    let options = ["--receive-only", "--admin", "off"];
    let receivers = start(testbed, servers, receivers, ["serve", "--listen"], &options)?;
    let workers = self::workers(testbed, servers, workers, CONCURRENCY)?;
    let to: Vec<_> = receivers.iter().map(|(server, _)| server.address).collect();
    let load = load(testbed)?;
    let warming = load.warm_up(&to, connections)?;
    // On a slow disk the first answer takes longer than that, and until then the stream may be empty.
    let before = match warming.requests {
        0 => 0,
        _ => servers.state()?.recorded,
    };
    let clock = Instant::now();
    let measured = load.measure(&to, connections)?;
    let (after, took) = (servers.state()?.recorded, clock.elapsed());
    drop(receivers);
    let mut figures = measured.figures(IN);
    let mut stored = servers.state()?.stored;
    if !workers.is_empty() {
        figures.push((MEANWHILE, (after - before) as f64 / took.as_secs_f64()));
        stored = all_done(testbed, servers)?;
    }
    let answered = warming.requests + measured.requests;
    audit(stored, 0, answered, 2 * connections)?;
    Ok(figures)
}

/// A receiver or a worker, in a folder of its own.
type Process = (Server, Home);

fn workers(
    testbed: &Testbed,
    servers: &Servers,
    count: usize,
    concurrency: &str,
) -> Result<Vec<Process>> {
    let options = ["--on", "*=ignore", "--concurrency", concurrency];
    start(testbed, servers, count, ["work", "--admin"], &options)
}

fn start(
    testbed: &Testbed,
    servers: &Servers,
    count: usize,
    what: [&str; 2],
    options: &[&str],
) -> Result<Vec<Process>> {
    let start = |number: usize| {
        let home = testbed.home(&format!("{}-{number}", what[0]))?;
        let server = home.begin(home.command(), what, servers.inbox(), options, Output::Null)?;
        Ok((server, home))
    };
    (0..count).map(start).collect()
}

/// From the first record that is seen until the time is over or the stream is empty: who starts has to find its streams
/// first.
fn rate(servers: &Servers, seconds: u64) -> Result<f64> {
    let first = servers.wait(|state| state.recorded > 0)?.recorded;
    let clock = Instant::now();
    let time = Duration::from_secs(seconds);
    let last = servers
        .wait(|state| state.recorded == state.stored || clock.elapsed() > time)?
        .recorded;
    Ok((last - first) as f64 / clock.elapsed().as_secs_f64())
}

/// Waits until there is a record of all that is in the stream, and makes sure that it is done by `inbox stats`. Tells how much that
/// is.
fn all_done(testbed: &Testbed, servers: &Servers) -> Result<u64> {
    let stored = servers.wait(|state| state.recorded == state.stored)?.stored;
    let home = testbed.home("stats")?;
    let count = || home.kept(servers.inbox(), &["acknowledged"]);
    // A cluster may answer 503 in the moment in which it makes the consumer that reads; an audit is worth asking again.
    let done = (1..ASKED_MOST).find_map(|_| count().ok());
    let done = done.map_or_else(count, Ok)?;
    if done != stored {
        bail!("{WRONG}: {stored} are in {STREAM} and {done} are done");
    }
    Ok(done)
}

const SERVERS: [(&str, usize); 2] = [("one", 1), ("three", 3)];
const STREAM: &str = "HEYGEN";
const RECORDS: &str = "HEYGEN_RECORDS";
const FILE: &str = "`durable`, a SQLite file";
const ONE_WORKER: &str = "1 worker";

/// Of all receivers together.
const CONNECTIONS: usize = 256;

/// How many deliveries a worker has at a time.
const CONCURRENCY: &str = "64";

/// About as many as workers take out.
const EVENTS_A_SECOND: u64 = 5_000;

const ASKED_MOST: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(180);

const IN: &str = "in/s";
const OUT: &str = "out/s";
const MEANWHILE: &str = "out/s meanwhile";

const STORING: [Column; 4] = [
    Column::Median(IN, 0),
    Column::Median(P50, 2),
    Column::Median(P99, 2),
    Column::Share("of `durable`", IN, &["none", FILE, "*"]),
];

const BOTH: [Column; 4] = [
    Column::Median(IN, 0),
    Column::Share("of one's", IN, &["*", "1", "1"]),
    Column::Median(MEANWHILE, 0),
    Column::Share("of one's", MEANWHILE, &["*", "1", "1"]),
];

const DISPATCHING: [Column; 2] = [
    Column::Median(OUT, 0),
    Column::Share("of one worker", OUT, &["*", ONE_WORKER, CONCURRENCY]),
];
