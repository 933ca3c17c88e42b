//! The inbox on NATS JetStream: receivers and workers beside what async-nats alone does with the same streams.
//!
//! [`place`] starts servers, new and empty for every measurement. There are three tables: taking in, both at once, and dispatching.
//! Whatever was answered 200 is counted in the stream afterwards, and what was dispatched in the stream of records.

mod place;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;
use xtask_harness::ground::Home;
use xtask_harness::report::{Report, Table};
use xtask_harness::server::{Output, Server, free_address};
use xtask_harness::workspace;

use crate::found::{Found, Measured, WRONG};
use crate::ground::Ground;
use crate::serving::audit;
use crate::wrk::{self, Part};
use place::{ONE, ONE_RELAXED, Place, STREAM, Setup, THREE, THREE_RELAXED, version};

pub(super) const WHAT: &str = "the inbox on NATS JetStream, one server and three: storing and dispatching, and async-nats alone";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    workspace::bring_nats()?;
    // Made before anything is measured.
    ground.load()?;
    let mut found = Found::default();
    for round in 1..=ground.options.rounds() {
        eprintln!("round {round} of {}", ground.options.rounds());
        take_in(ground, &mut found);
        for setup in [&ONE, &THREE] {
            for processes in PROCESSES {
                found.measure(&both_row(setup, processes), || {
                    both(ground, setup, processes)
                });
            }
            found.measure(&direct_row(setup), || hand_out_directly(ground, setup));
            for hands in HANDS {
                found.measure(&hands_row(setup, hands), || hand_out(ground, setup, hands));
            }
        }
    }
    let mut report = Report::default();
    report.table(&taken_table(&found));
    report.table(&both_table(&found));
    report.table(&handed_table(&found));
    report.note(format!(
        "nats-server {}; three are a cluster on this machine and this disk, each with every message",
        version()?
    ));
    report.note(
        "async-nats: publishing is the same bodies, headers and settings of the stream; dispatching writes a record for each and \
         then acknowledges it, as a worker does; one connection",
    );
    report.note(format!(
        "receiver: `serve --receive-only`; worker: `work --on '*=ignore'`; in the second table workers have --concurrency {CONCURRENCY}, and \
         the receivers share the {CONNECTIONS} connections of the load"
    ));
    found.tell_failures(&mut report);
    Ok(report)
}

fn take_in(ground: &Ground, found: &mut Found) {
    for at_a_time in AT_A_TIME {
        found.measure(&taker_row(FILE, "", at_a_time), || {
            into_a_file(ground, at_a_time)
        });
        for (setup, taker) in takers(at_a_time) {
            found.measure(&taker_row(setup.name, taker, at_a_time), || {
                into_streams(ground, setup, taker, at_a_time)
            });
        }
    }
}

/// The store by itself, and servers that do not sync, only with the larger number: each row is seconds.
fn takers(at_a_time: usize) -> impl Iterator<Item = (&'static Setup, &'static str)> {
    let is_larger = at_a_time == AT_A_TIME[1];
    let all = SETUPS
        .iter()
        .flat_map(|setup| [DIRECT, STORE, RECEIVER].map(|taker| (setup, taker)));
    all.filter(move |(setup, taker)| match *taker {
        STORE => is_larger && setup.is_synced,
        _ => is_larger || setup.is_synced,
    })
}

fn into_streams(ground: &Ground, setup: &Setup, taker: &str, at_a_time: usize) -> Measured {
    let home = ground.home("nats")?;
    let place = Place::start(setup, &home)?;
    let (servers, at_once) = (place.servers(), at_a_time.to_string());
    let seconds = ground.options.seconds().to_string();
    let replicas = setup.nodes.to_string();
    match taker {
        DIRECT => {
            let words = ["publish", &servers, &replicas, &at_once, &seconds];
            acknowledged(&ground.measure(&words)?)
        }
        STORE => acknowledged(&ground.measure(&["append-stream", &servers, &at_once, &seconds])?),
        _ => {
            let receiver = Process::receiver(ground, &place, "receiver")?;
            let (figures, loads) = load(ground, &receiver.server, at_a_time)?;
            receiver.server.end()?;
            audit(place.state()?.kept, 0, &loads.each_ref(), at_a_time)?;
            Ok(figures)
        }
    }
}

/// `serve` as the table of servers has it.
fn into_a_file(ground: &Ground, connections: usize) -> Measured {
    let home = ground.home("file")?;
    let address = free_address()?;
    let command = ground.serve(&home, &address.to_string());
    let server = Server::start(command, address, home.folder(), Output::Null)?;
    let (figures, loads) = load(ground, &server, connections)?;
    server.end()?;
    audit(ground.kept(&home, &[])?, 0, &loads.each_ref(), connections)?;
    Ok(figures)
}

type Loaded = (Vec<(&'static str, f64)>, [wrk::Measured; 2]);

fn load(ground: &Ground, server: &Server, connections: usize) -> Result<Loaded> {
    let load = ground.load()?;
    let warming = load.send(server.address, connections, 1, load.warm_up())?;
    let seconds = ground.options.seconds();
    let measured = load.send(server.address, connections, seconds, load.measured())?;
    if let Some(wrong) = warming.wrong().or_else(|| measured.wrong()) {
        bail!("{wrong}");
    }
    let figures = vec![
        (IN, measured.per_second()),
        (P50, measured.p50.as_secs_f64() * 1000.0),
        (P99, measured.p99.as_secs_f64() * 1000.0),
    ];
    Ok((figures, [warming, measured]))
}

/// Of one of our programs, which has counted what is in the stream.
fn acknowledged(measured: &Value) -> Measured {
    let figure = |name: &str| {
        let figure = measured[name].as_f64();
        figure.with_context(|| format!("no {name}"))
    };
    let (acknowledged, kept) = (&measured["acknowledged"], &measured["kept"]);
    if acknowledged != kept {
        bail!("{WRONG}: {acknowledged} were acknowledged and {kept} are in the stream");
    }
    Ok(vec![
        (IN, figure("per_second")?),
        (P50, figure("p50_micros")? / 1000.0),
        (P99, figure("p99_micros")? / 1000.0),
    ])
}

fn taken_table(found: &Found) -> Table {
    let columns = [
        "servers",
        "what takes in",
        "at a time",
        IN,
        P50,
        P99,
        "of async-nats",
        "of `durable`",
    ];
    let mut table = Table::new(2, &columns);
    for at_a_time in AT_A_TIME {
        let file = taker_row(FILE, "", at_a_time);
        let mut add = |servers: &str, what: &str, row: &str, direct: &str| {
            table.row([
                servers.to_owned(),
                what.to_owned(),
                at_a_time.to_string(),
                found.cell(row, IN, 0),
                found.cell(row, P50, 2),
                found.cell(row, P99, 2),
                found.share(row, direct, IN),
                found.share(row, &file, IN),
            ]);
        };
        add("none", FILE, &file, "");
        for (setup, taker) in takers(at_a_time) {
            let direct = taker_row(setup.name, DIRECT, at_a_time);
            add(
                setup.name,
                taker,
                &taker_row(setup.name, taker, at_a_time),
                &direct,
            );
        }
    }
    table
}

/// Receivers under load while workers hand out what comes in.
fn both(ground: &Ground, setup: &Setup, (receivers, workers): (usize, usize)) -> Measured {
    let home = ground.home("nats")?;
    let place = Place::start(setup, &home)?;
    let receivers = (0..receivers)
        .map(|number| Process::receiver(ground, &place, &format!("receiver-{number}")))
        .collect::<Result<Vec<_>>>()?;
    let workers = Process::workers(ground, &place, workers, CONCURRENCY)?;
    let load = ground.load()?;
    let warming = send(ground, &receivers, 1, load.warm_up())?;
    let (before, clock) = (place.state()?.recorded, Instant::now());
    let measured = send(
        ground,
        &receivers,
        ground.options.seconds(),
        load.measured(),
    )?;
    let (after, took) = (place.state()?.recorded, clock.elapsed());
    let loads: Vec<&wrk::Measured> = warming.iter().chain(&measured).collect();
    if let Some(wrong) = loads.iter().find_map(|load| load.wrong()) {
        bail!("{wrong}");
    }
    Process::end_all(receivers)?;
    let done = all_done(ground, &place)?;
    Process::end_all(workers)?;
    audit(done, 0, &loads, CONNECTIONS)?;
    Ok(vec![
        (IN, measured.iter().map(wrk::Measured::per_second).sum()),
        (OUT, (after - before) as f64 / took.as_secs_f64()),
    ])
}

/// To all of them at once, each with its share of the connections and of the requests.
fn send(ground: &Ground, to: &[Process], seconds: u64, part: Part) -> Result<Vec<wrk::Measured>> {
    let load = ground.load()?;
    let each = CONNECTIONS / to.len();
    thread::scope(|scope| {
        let sending: Vec<_> = shares(part, to.len())
            .zip(to)
            .map(|(share, receiver)| {
                let address = receiver.server.address;
                scope.spawn(move || load.send(address, each, seconds, share))
            })
            .collect();
        let sent = sending.into_iter().map(|sent| sent.join());
        sent.map(|sent| sent.map_err(|_| anyhow!("sending panicked"))?)
            .collect()
    })
}

/// As many rows for each of so many, none for two.
fn shares(part: Part, count: usize) -> impl Iterator<Item = Part> {
    let each = part.count / count as u64;
    (0..count as u64).map(move |number| Part {
        first: part.first + number * each,
        count: each,
    })
}

fn both_table(found: &Found) -> Table {
    let columns = [
        "servers",
        "receivers",
        "workers",
        IN,
        "of one's",
        "out/s meanwhile",
        "of one's",
    ];
    let mut table = Table::new(1, &columns);
    for setup in [&ONE, &THREE] {
        let one = both_row(setup, PROCESSES[0]);
        for processes in PROCESSES {
            let row = both_row(setup, processes);
            table.row([
                setup.name.to_owned(),
                processes.0.to_string(),
                processes.1.to_string(),
                found.cell(&row, IN, 0),
                found.share(&row, &one, IN),
                found.cell(&row, OUT, 0),
                found.share(&row, &one, OUT),
            ]);
        }
    }
    table
}

/// Fills streams and lets workers empty them; what is done in a second, by the records.
fn hand_out(ground: &Ground, setup: &Setup, (count, each): (usize, usize)) -> Measured {
    let home = ground.home("nats")?;
    let place = Place::start(setup, &home)?;
    let events = ground.options.seconds() * EVENTS_A_SECOND;
    ground.measure(&["fill-stream", &place.servers(), &events.to_string()])?;
    let workers = Process::workers(ground, &place, count, each)?;
    let rate = rate(&place, ground.options.seconds())?;
    let done = all_done(ground, &place)?;
    Process::end_all(workers)?;
    match done == events {
        true => Ok(vec![(OUT, rate)]),
        false => bail!("{events} were to be in the stream, and {done} are"),
    }
}

/// From the first record that is seen until the time is over or the stream is empty: whoever starts has to find its streams
/// first.
fn rate(place: &Place, seconds: u64) -> Result<f64> {
    let waiting = Instant::now();
    let (first, clock) = loop {
        let recorded = place.state()?.recorded;
        if recorded > 0 {
            break (recorded, Instant::now());
        }
        if waiting.elapsed() > LONGEST {
            bail!("nothing was dispatched");
        }
        thread::sleep(BETWEEN_LOOKS);
    };
    loop {
        thread::sleep(BETWEEN_LOOKS);
        let (state, took) = (place.state()?, clock.elapsed());
        if state.recorded == state.kept || took > Duration::from_secs(seconds) {
            return Ok((state.recorded - first) as f64 / took.as_secs_f64());
        }
    }
}

fn hand_out_directly(ground: &Ground, setup: &Setup) -> Measured {
    let home = ground.home("nats")?;
    let place = Place::start(setup, &home)?;
    let count = ground.options.seconds() * EVENTS_A_SECOND;
    let numbers = [setup.nodes as u64, AT_ONCE, count].map(|number| number.to_string());
    let [replicas, at_once, count] = &numbers;
    let measured = ground.measure(&["take", &place.servers(), replicas, at_once, count])?;
    let rate = measured["done_per_second"].as_f64().context("no rate")?;
    Ok(vec![(OUT, rate)])
}

fn handed_table(found: &Found) -> Table {
    let columns = [
        "servers",
        "what dispatches",
        "at a time each",
        OUT,
        "of async-nats",
        "of one worker",
    ];
    let mut table = Table::new(2, &columns);
    for setup in [&ONE, &THREE] {
        let (direct, one) = (direct_row(setup), hands_row(setup, ONE_WORKER));
        let mut add = |what: String, each: u64, row: &str| {
            table.row([
                setup.name.to_owned(),
                what,
                each.to_string(),
                found.cell(row, OUT, 0),
                found.share(row, &direct, OUT),
                found.share(row, &one, OUT),
            ]);
        };
        add(DIRECT.to_owned(), AT_ONCE, &direct);
        for (count, each) in HANDS {
            let plural = if count == 1 { "" } else { "s" };
            let row = hands_row(setup, (count, each));
            add(format!("{count} worker{plural}"), each as u64, &row);
        }
    }
    table
}

/// A receiver or a worker, in a folder of its own.
#[derive(Debug)]
struct Process {
    server: Server,
    _home: Home,
}

impl Process {
    fn receiver(ground: &Ground, place: &Place, name: &str) -> Result<Self> {
        let words = ["serve", "--receive-only", "--admin", "off", "--listen"];
        Self::start(ground, place, name, &words)
    }

    fn workers(ground: &Ground, place: &Place, count: usize, each: usize) -> Result<Vec<Self>> {
        let each = each.to_string();
        let words = [
            "work",
            "--on",
            "*=ignore",
            "--concurrency",
            &each,
            "--admin",
        ];
        let name = |number| format!("worker-{number}");
        let numbers = 0..count;
        numbers
            .map(|number| Self::start(ground, place, &name(number), &words))
            .collect()
    }

    /// The last of `words` takes the only address on which it listens, which it tells when it has begun.
    fn start(ground: &Ground, place: &Place, name: &str, words: &[&str]) -> Result<Self> {
        let home = ground.home(name)?;
        let address = free_address()?;
        let mut command = home.command();
        command.args(words).arg(address.to_string());
        command.args(["--inbox", &place.inbox()]);
        let mut server = Server::start(command, address, home.folder(), Output::Null)?;
        // It listens before it has opened its streams, which a cluster may need longer for than the warm-up takes.
        server.wait_until_begun()?;
        Ok(Self {
            server,
            _home: home,
        })
    }

    fn end_all(processes: Vec<Self>) -> Result<()> {
        let mut processes = processes.into_iter();
        processes.try_for_each(|process| process.server.end())
    }
}

/// Waits until the workers have ended all that is in the stream, and makes sure of it: everything is done by `inbox stats`,
/// and nothing is left that a worker has not acknowledged. Tells how much that is.
fn all_done(ground: &Ground, place: &Place) -> Result<u64> {
    let started = Instant::now();
    let state = loop {
        let state = place.state()?;
        if state.is_ended() {
            break state;
        }
        if started.elapsed() > LONGEST {
            bail!("after {LONGEST:?} the workers still have to do with the stream: {state:?}");
        }
        thread::sleep(BETWEEN_LOOKS);
    };
    let home = ground.home("stats")?;
    let inbox = place.inbox();
    let count = || ground.kept_in(&home, inbox.as_ref(), &["acknowledged"]);
    // A cluster may answer 503 in the moment in which it makes the consumer that reads; an audit is worth asking again.
    let done = (1..ASKED_MOST).find_map(|_| count().ok());
    let done = done.map_or_else(count, Ok)?;
    if done != state.kept {
        bail!(
            "{WRONG}: {} are in {STREAM} and {done} are done",
            state.kept
        );
    }
    Ok(state.kept)
}

fn taker_row(servers: &str, what: &str, at_a_time: usize) -> String {
    format!("{servers}, {what}, {at_a_time} at a time").replace(", ,", ",")
}

fn both_row(setup: &Setup, (receivers, workers): (usize, usize)) -> String {
    format!(
        "{}, {receivers} receiving and {workers} working",
        setup.name
    )
}

fn hands_row(setup: &Setup, (count, each): (usize, usize)) -> String {
    format!("{}, {count} working, {each} at a time each", setup.name)
}

fn direct_row(setup: &Setup) -> String {
    format!("{}, async-nats dispatching", setup.name)
}

static SETUPS: [Setup; 4] = [ONE, THREE, ONE_RELAXED, THREE_RELAXED];

/// What takes in.
const DIRECT: &str = "async-nats alone";
const STORE: &str = "the store alone";
const RECEIVER: &str = "a receiver";
const FILE: &str = "`durable`, a SQLite file";

/// Requests or messages that wait for their answer.
const AT_A_TIME: [usize; 2] = [64, 256];

/// Receivers and workers.
const PROCESSES: [(usize, usize); 2] = [(1, 1), (2, 4)];

/// Of all receivers together.
const CONNECTIONS: usize = 256;

/// How many deliveries a worker has at a time, beside receivers.
const CONCURRENCY: usize = 64;

/// Workers, and how many deliveries each has at a time; 16 is the default of `work`.
const HANDS: [(usize, usize); 3] = [(1, 16), ONE_WORKER, (4, 64)];
const ONE_WORKER: (usize, usize) = (1, 64);

/// How many async-nats alone has at a time.
const AT_ONCE: u64 = 256;

/// About as many as workers take out.
const EVENTS_A_SECOND: u64 = 5_000;

const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const ASKED_MOST: usize = 5;
const LONGEST: Duration = Duration::from_secs(180);

const IN: &str = "in/s";
const OUT: &str = "out/s";
const P50: &str = "p50 ms";
const P99: &str = "p99 ms";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_acknowledged_and_is_not_there_is_wrong() {
        let told = |kept| json!({ "acknowledged": 7, "kept": kept, "per_second": 3.5, "p50_micros": 1500, "p99_micros": 9000 });
        let figures = acknowledged(&told(7)).unwrap();
        assert_eq!(figures, [(IN, 3.5), (P50, 1.5), (P99, 9.0)]);
        let error = acknowledged(&told(6)).unwrap_err().to_string();
        assert!(
            error.contains("WRONG: 7 were acknowledged and 6"),
            "{error}"
        );
        assert!(acknowledged(&json!({ "acknowledged": 7, "kept": 7 })).is_err());
    }

    #[test]
    fn every_row_has_one_of_async_nats_to_be_compared_with() {
        for (at_a_time, expected) in [(64, 4), (256, 10)] {
            let rows: Vec<_> = takers(at_a_time)
                .map(|(setup, taker)| (setup.name, taker))
                .collect();
            assert_eq!(rows.len(), expected);
            for (setup, _) in &rows {
                assert!(rows.contains(&(setup, DIRECT)), "{setup}");
            }
        }
        assert_eq!(taker_row("a file", "", 64), "a file, 64 at a time");
    }

    #[test]
    fn shares_do_not_overlap() {
        let part = Part {
            first: 100,
            count: 21,
        };
        let shares = shares(part, 2).map(|part| (part.first, part.count));
        assert_eq!(shares.collect::<Vec<_>>(), [(100, 10), (110, 10)]);
    }
}
