//! The inbox on NATS JetStream: receivers and workers beside what async-nats alone does with the same streams.
//!
//! [`place`] starts servers, new and empty for every measurement. There are three tables: storing, both at once, and dispatching.
//! Whatever was answered 200 is counted in the stream afterwards, and what was dispatched in the stream of records.

mod direct;
mod place;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use xtask_harness::ground::Home;
use xtask_harness::report::Report;
use xtask_harness::server::{Output, Server};
use xtask_harness::workspace;
use xtask_nats::Program;

use crate::ground::{self, Ground};
use crate::rounds::{self, Column, Measured, Rows, WRONG};
use crate::serving::{self, audit};
use crate::wrk::{P50, P99};
use direct::IN;
use place::{Place, SETUPS, STREAM, Setup, State};

pub(super) const WHAT: &str = "the inbox on NATS JetStream, one server and three: storing and dispatching, and async-nats alone";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    workspace::bring_nats()?;
    // Made before anything is measured.
    ground.load()?;
    let mut tables = [storing(ground), both(ground), dispatching(ground)];
    let mut report = rounds::report(ground.options.rounds(), &mut tables);
    report.note(format!(
        "nats-server {}; three are a cluster on this machine and this disk, each with every message",
        Program::Current.version()?
    ));
    report.note(
        "async-nats: publishing is the same bodies, headers and settings of the stream; dispatching writes a record for each and \
         then acknowledges it, as a worker does; one connection",
    );
    report.note(format!(
        "receiver: `serve --receive-only`; worker: `work --on '*=ignore'`; in the second table workers have --concurrency {CONCURRENCY}, and \
         the receivers share the {CONNECTIONS} connections of the load"
    ));
    Ok(report)
}

/// So many requests or messages wait for their answer.
fn storing(ground: &Ground) -> Rows<'_> {
    let mut rows = Rows::new(2, &["servers", "what takes in", "at a time"], &STORING);
    let seconds = ground.options.seconds() as f64;
    for (at_a_time, label) in [(64, "64"), (CONNECTIONS, "256")] {
        rows.add(&["none", FILE, label], move || {
            serving::measure(ground, "durable", at_a_time, IN)
        });
        // The store by itself, and servers that do not sync, only with the larger number: each row is seconds.
        let is_larger = at_a_time == CONNECTIONS;
        for setup in SETUPS.iter().filter(|setup| is_larger || setup.is_synced) {
            rows.add(&[setup.name, DIRECT, label], move || {
                with_place(ground, setup, |place| {
                    direct::publish(&place.servers(), setup.nodes, at_a_time, seconds)
                })
            });
            if is_larger && setup.is_synced {
                rows.add(&[setup.name, "the store alone", label], move || {
                    with_place(ground, setup, |place| {
                        direct::append(&place.servers(), at_a_time, seconds)
                    })
                });
            }
            rows.add(&[setup.name, "a receiver", label], move || {
                with_place(ground, setup, |place| {
                    receive(ground, place, 1, 0, at_a_time)
                })
            });
        }
    }
    rows
}

/// Receivers under load while workers dispatch what comes in.
fn both(ground: &Ground) -> Rows<'_> {
    let mut rows = Rows::new(1, &["servers", "receivers", "workers"], &BOTH);
    for setup in SETUPS.iter().filter(|setup| setup.is_synced) {
        for (receivers, workers) in [(1, 1), (2, 4)] {
            let labels = [receivers, workers].map(|count: usize| count.to_string());
            rows.add(&[setup.name, &labels[0], &labels[1]], move || {
                with_place(ground, setup, |place| {
                    receive(ground, place, receivers, workers, CONNECTIONS)
                })
            });
        }
    }
    rows
}

/// Fills streams and lets workers empty them; what is done in a second, by the records.
fn dispatching(ground: &Ground) -> Rows<'_> {
    let labels = &["servers", "what dispatches", "at a time each"];
    let mut rows = Rows::new(2, labels, &DISPATCHING);
    let seconds = ground.options.seconds();
    let events = seconds * EVENTS_A_SECOND;
    for setup in SETUPS.iter().filter(|setup| setup.is_synced) {
        rows.add(&[setup.name, DIRECT, "256"], move || {
            with_place(ground, setup, |place| {
                let rate = direct::take(&place.servers(), setup.nodes, AT_ONCE, events)?;
                Ok(vec![(OUT, rate)])
            })
        });
        // 16 is the default of `work`.
        for (count, what, each) in [
            (1, ONE_WORKER, "16"),
            (1, ONE_WORKER, CONCURRENCY),
            (4, "4 workers", CONCURRENCY),
        ] {
            rows.add(&[setup.name, what, each], move || {
                with_place(ground, setup, |place| {
                    direct::fill(&place.servers(), events)?;
                    let _workers = workers(ground, place, count, each)?;
                    let rate = rate(place, seconds)?;
                    match all_done(ground, place)? {
                        done if done == events => Ok(vec![(OUT, rate)]),
                        done => bail!("{events} were to be in the stream, and {done} are"),
                    }
                })
            });
        }
    }
    rows
}

/// Servers and their folder for one measurement.
fn with_place(
    ground: &Ground,
    setup: &Setup,
    measure: impl FnOnce(&Place) -> Measured,
) -> Measured {
    let home = ground.home("nats")?;
    measure(&Place::start(setup, &home)?)
}

/// Receivers under load, which share the connections, and workers beside them, if any.
fn receive(
    ground: &Ground,
    place: &Place,
    receivers: usize,
    workers: usize,
    connections: usize,
) -> Measured {
    let options = ["--receive-only", "--admin", "off"];
    let receivers = start(ground, place, receivers, ["serve", "--listen"], &options)?;
    let workers = self::workers(ground, place, workers, CONCURRENCY)?;
    let to: Vec<_> = receivers.iter().map(|(server, _)| server.address).collect();
    let load = ground.load()?;
    let warming = load.warm_up(&to, connections)?;
    // On a slow disk the first answer takes longer than that, and until then the stream may be empty.
    let before = match warming.requests {
        0 => 0,
        _ => place.state()?.recorded,
    };
    let clock = Instant::now();
    let measured = load.measure(&to, connections)?;
    let (after, took) = (place.state()?.recorded, clock.elapsed());
    drop(receivers);
    let mut figures = measured.figures(IN);
    let mut kept = place.state()?.kept;
    if !workers.is_empty() {
        figures.push((MEANWHILE, (after - before) as f64 / took.as_secs_f64()));
        kept = all_done(ground, place)?;
    }
    let answered = warming.requests + measured.requests;
    audit(kept, 0, answered, 2 * connections)?;
    Ok(figures)
}

/// A receiver or a worker, in a folder of its own.
type Process = (Server, Home);

fn workers(
    ground: &Ground,
    place: &Place,
    count: usize,
    concurrency: &str,
) -> Result<Vec<Process>> {
    let options = ["--on", "*=ignore", "--concurrency", concurrency];
    start(ground, place, count, ["work", "--admin"], &options)
}

fn start(
    ground: &Ground,
    place: &Place,
    count: usize,
    what: [&str; 2],
    options: &[&str],
) -> Result<Vec<Process>> {
    let start = |number: usize| {
        let home = ground.home(&format!("{}-{number}", what[0]))?;
        let server = home.begin(home.command(), what, place.inbox(), options, Output::Null)?;
        Ok((server, home))
    };
    (0..count).map(start).collect()
}

/// From the first record that is seen until the time is over or the stream is empty: whoever starts has to find its streams
/// first.
fn rate(place: &Place, seconds: u64) -> Result<f64> {
    let first = wait(place, |state| state.recorded > 0)?.recorded;
    let clock = Instant::now();
    let time = Duration::from_secs(seconds);
    let last = wait(place, |state| {
        state.recorded == state.kept || clock.elapsed() > time
    })?
    .recorded;
    Ok((last - first) as f64 / clock.elapsed().as_secs_f64())
}

/// Waits until the workers have ended all that is in the stream, and makes sure of it: everything is done by `inbox stats`,
/// and nothing is left that a worker has not acknowledged. Tells how much that is.
fn all_done(ground: &Ground, place: &Place) -> Result<u64> {
    let kept = wait(place, State::is_ended)?.kept;
    let home = ground.home("stats")?;
    let count = || ground::kept(&home, place.inbox(), &["acknowledged"]);
    // A cluster may answer 503 in the moment in which it makes the consumer that reads; an audit is worth asking again.
    let done = (1..ASKED_MOST).find_map(|_| count().ok());
    let done = done.map_or_else(count, Ok)?;
    if done != kept {
        bail!("{WRONG}: {kept} are in {STREAM} and {done} are done");
    }
    Ok(done)
}

/// Waits until the streams are in such a state.
fn wait(place: &Place, is_so: impl Fn(&State) -> bool) -> Result<State> {
    let started = Instant::now();
    loop {
        let state = place.state()?;
        if is_so(&state) {
            return Ok(state);
        }
        if started.elapsed() > LONGEST {
            bail!("the workers are not further after {LONGEST:?}: {state:?}");
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

const DIRECT: &str = "async-nats alone";
const FILE: &str = "`durable`, a SQLite file";
const ONE_WORKER: &str = "1 worker";

/// Of all receivers together.
const CONNECTIONS: usize = 256;

/// How many deliveries a worker has at a time.
const CONCURRENCY: &str = "64";

/// How many async-nats alone has at a time.
const AT_ONCE: usize = 256;

/// About as many as workers take out.
const EVENTS_A_SECOND: u64 = 5_000;

const ASKED_MOST: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(180);

const OUT: &str = "out/s";
const MEANWHILE: &str = "out/s meanwhile";

const STORING: [Column; 5] = [
    Column::Median(IN, 0),
    Column::Median(P50, 2),
    Column::Median(P99, 2),
    Column::Share("of async-nats", IN, &["*", DIRECT, "*"]),
    Column::Share("of `durable`", IN, &["none", FILE, "*"]),
];

const BOTH: [Column; 4] = [
    Column::Median(IN, 0),
    Column::Share("of one's", IN, &["*", "1", "1"]),
    Column::Median(MEANWHILE, 0),
    Column::Share("of one's", MEANWHILE, &["*", "1", "1"]),
];

const DISPATCHING: [Column; 3] = [
    Column::Median(OUT, 0),
    Column::Share("of async-nats", OUT, &["*", DIRECT, "256"]),
    Column::Share("of one worker", OUT, &["*", ONE_WORKER, CONCURRENCY]),
];
