//! Handing out alone: a stream that was filled before, emptied by one worker, by several, and by async-nats alone.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::found::Found;
use super::place::{ONE, Place, Setup, THREE};
use super::processes::{BETWEEN_LOOKS, all_done, stop_all, workers};
use crate::bench::ground::Ground;
use crate::table::Table;

/// Workers, and how many deliveries each has at a time.
type Hands = (usize, usize);

type Handed = Result<[(&'static str, f64); 1]>;

pub(super) fn measure(ground: &Ground, found: &mut Found) {
    for setup in SETUPS {
        let direct = direct(setup);
        if !found.has_failed(&direct) {
            found.take(&direct, take_directly(ground, setup));
        }
        for hands in HANDS {
            let row = row(setup, hands);
            if !found.has_failed(&row) {
                found.take(&row, run(ground, setup, hands));
            }
        }
    }
}

pub(super) fn table(found: &Found) -> Table {
    let columns = [
        "servers",
        "what hands out",
        "at a time each",
        "out/s",
        "of async-nats",
        "of one worker",
    ];
    let mut table = Table::new(2, &columns);
    for setup in SETUPS {
        let (direct, one) = (direct(setup), row(setup, ONE_WORKER));
        let mut add = |what: String, each: usize, row: &str| {
            table.row([
                setup.name.to_owned(),
                what,
                each.to_string(),
                found.median(row, OUT, 0),
                found.ratio((row, OUT), (&direct, OUT)),
                found.ratio((row, OUT), (&one, OUT)),
            ]);
        };
        add("async-nats alone".to_owned(), DIRECT, &direct);
        for hands in HANDS {
            let (count, each) = hands;
            let plural = if count == 1 { "" } else { "s" };
            add(format!("{count} worker{plural}"), each, &row(setup, hands));
        }
    }
    table
}

/// Fills streams and lets workers empty them; what is done in a second, by the records.
fn run(ground: &Ground, setup: &Setup, (count, each): Hands) -> Handed {
    let home = ground.home("nats")?;
    let place = Place::start(setup, &home)?;
    let events = events(ground);
    ground.measure(&["fill-stream", &place.servers(), &events.to_string()])?;
    let workers = workers(ground, &place, count, each)?;
    let rate = rate(&place, ground.options.seconds)?;
    let done = all_done(ground, &place)?;
    stop_all(workers)?;
    match done == events {
        true => Ok([(OUT, rate)]),
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
        if waiting.elapsed() > LONGEST_WAIT {
            bail!("nothing was handed out");
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

fn take_directly(ground: &Ground, setup: &Setup) -> Handed {
    let home = ground.home("nats")?;
    let place = Place::start(setup, &home)?;
    let (replicas, at_a_time) = (setup.nodes.to_string(), DIRECT.to_string());
    let count = events(ground).to_string();
    let words = ["take", &place.servers(), &replicas, &at_a_time, &count];
    let measured = ground.measure(&words)?;
    let rate = measured["done_per_second"].as_f64().context("no rate")?;
    Ok([(OUT, rate)])
}

fn events(ground: &Ground) -> u64 {
    ground.options.seconds * EVENTS_A_SECOND
}

fn row(setup: &Setup, (count, each): Hands) -> String {
    format!("{}, {count} working, {each} at a time each", setup.name)
}

fn direct(setup: &Setup) -> String {
    format!("{}, async-nats handing out", setup.name)
}

const SETUPS: [&Setup; 2] = [&ONE, &THREE];

const ONE_WORKER: Hands = (1, 64);

/// 16 at a time is the default of `work`.
const HANDS: [Hands; 3] = [(1, 16), ONE_WORKER, (4, 64)];

/// How many async-nats alone has at a time.
const DIRECT: usize = 256;

/// About as many as workers take out.
const EVENTS_A_SECOND: u64 = 5_000;

const LONGEST_WAIT: Duration = Duration::from_secs(30);

const OUT: &str = "out/s";
