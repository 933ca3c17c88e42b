//! Both at once: receivers under load while workers hand out what comes in.

use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};

use super::found::Found;
use super::place::{ONE, Place, Setup, THREE};
use super::processes::{Process, all_done, receiver, stop_all, workers};
use crate::bench::ground::Ground;
use crate::bench::serving::audit;
use crate::bench::wrk::{Measured, Part};
use crate::table::Table;

/// Receivers and workers.
type Processes = (usize, usize);

pub(super) fn measure(ground: &Ground, found: &mut Found) {
    for (setup, processes) in rows() {
        let row = row(setup, processes);
        if !found.has_failed(&row) {
            found.take(&row, run(ground, setup, processes));
        }
    }
}

pub(super) fn table(found: &Found) -> Table {
    let columns = [
        "servers",
        "receivers",
        "workers",
        "in/s",
        "of one's",
        "out/s meanwhile",
        "of one's",
    ];
    let mut table = Table::new(1, &columns);
    for (setup, processes) in rows() {
        let one = row(setup, PROCESSES[0]);
        let row = row(setup, processes);
        let (receivers, workers) = processes;
        table.row([
            setup.name.to_owned(),
            receivers.to_string(),
            workers.to_string(),
            found.median(&row, IN, 0),
            found.ratio((&row, IN), (&one, IN)),
            found.median(&row, OUT, 0),
            found.ratio((&row, OUT), (&one, OUT)),
        ]);
    }
    table
}

fn run(
    ground: &Ground,
    setup: &Setup,
    (receivers, workers_count): Processes,
) -> Result<[(&'static str, f64); 2]> {
    let home = ground.home("nats")?;
    let place = Place::start(setup, &home)?;
    let receivers = (0..receivers)
        .map(|number| receiver(ground, &place, &format!("receiver-{number}")))
        .collect::<Result<Vec<_>>>()?;
    let workers = workers(ground, &place, workers_count, CONCURRENCY)?;
    let load = ground.load()?;
    let warming = send(ground, &receivers, 1, load.warm_up())?;
    let (before, clock) = (place.state()?.recorded, Instant::now());
    let seconds = ground.options.seconds;
    let measured = send(ground, &receivers, seconds, load.measured())?;
    let (after, took) = (place.state()?.recorded, clock.elapsed());
    let loads: Vec<&Measured> = warming.iter().chain(&measured).collect();
    if let Some(wrong) = loads.iter().find_map(|load| load.wrong()) {
        bail!("{wrong}");
    }
    stop_all(receivers)?;
    let done = all_done(ground, &place)?;
    stop_all(workers)?;
    audit(done, 0, &loads, CONNECTIONS)?;
    Ok([
        (IN, measured.iter().map(Measured::per_second).sum()),
        (OUT, (after - before) as f64 / took.as_secs_f64()),
    ])
}

/// To all of them at once, each with its share of the connections and of the requests.
fn send(ground: &Ground, receivers: &[Process], seconds: u64, part: Part) -> Result<Vec<Measured>> {
    let load = ground.load()?;
    let each = CONNECTIONS / receivers.len();
    thread::scope(|scope| {
        let sending: Vec<_> = shares(part, receivers.len())
            .zip(receivers)
            .map(|(share, receiver)| {
                let address = receiver.process.address;
                scope.spawn(move || load.send(address, each, seconds, share))
            })
            .collect();
        sending
            .into_iter()
            .map(|sent| sent.join().map_err(|_| anyhow!("sending panicked"))?)
            .collect::<Result<Vec<_>>>()
            .context("send to receivers")
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

fn rows() -> impl Iterator<Item = (&'static Setup, Processes)> {
    let setups = [&ONE, &THREE].into_iter();
    setups.flat_map(|setup| PROCESSES.map(|processes| (setup, processes)))
}

fn row(setup: &Setup, (receivers, workers): Processes) -> String {
    let name = setup.name;
    format!("{name}, {receivers} receiving and {workers} working")
}

const PROCESSES: [Processes; 2] = [(1, 1), (2, 4)];

/// Of all receivers together.
pub(super) const CONNECTIONS: usize = 256;

/// How many deliveries a worker has at a time.
pub(super) const CONCURRENCY: usize = 64;

const IN: &str = "in/s";
const OUT: &str = "out/s";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_do_not_overlap() {
        let part = Part {
            first: 100,
            count: 21,
        };
        let shares: Vec<(u64, u64)> = shares(part, 2)
            .map(|part| (part.first, part.count))
            .collect();
        assert_eq!(shares, [(100, 10), (110, 10)]);
    }

    #[test]
    fn one_of_each_comes_before_more() {
        let rows: Vec<String> = rows()
            .map(|(setup, processes)| row(setup, processes))
            .collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[0], "one, 1 receiving and 1 working");
        assert_eq!(rows[3], "three, 2 receiving and 4 working");
    }
}
