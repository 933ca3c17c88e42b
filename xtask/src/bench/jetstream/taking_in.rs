//! Taking in: async-nats alone, the store alone, a receiver, and the same receiver with a SQLite file.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::found::Found;
use super::place::{ONE, ONE_RELAXED, Place, Setup, THREE, THREE_RELAXED};
use super::processes::receiver;
use crate::bench::child::{Running, free_address};
use crate::bench::figures::WRONG;
use crate::bench::ground::Ground;
use crate::bench::serving::audit;
use crate::table::Table;

/// What takes in.
#[derive(Clone, Copy, Debug)]
enum Taker {
    Direct,
    Store,
    Receiver,
}

impl Taker {
    const ALL: [Self; 3] = [Self::Direct, Self::Store, Self::Receiver];

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "async-nats alone",
            Self::Store => "the store alone",
            Self::Receiver => "a receiver",
        }
    }
}

pub(super) fn measure(ground: &Ground, found: &mut Found) {
    for at_a_time in AT_A_TIME {
        let file = row(FILE, "", at_a_time);
        if !found.has_failed(&file) {
            found.take(&file, into_a_file(ground, at_a_time));
        }
        for (setup, taker) in rows(at_a_time) {
            let row = row(setup.name, taker.name(), at_a_time);
            if !found.has_failed(&row) {
                found.take(&row, into_streams(ground, setup, taker, at_a_time));
            }
        }
    }
}

pub(super) fn table(found: &Found) -> Table {
    let columns = [
        "servers",
        "what takes in",
        "at a time",
        "in/s",
        "p50 ms",
        "p99 ms",
        "of async-nats",
        "of `durable`",
    ];
    let mut table = Table::new(2, &columns);
    for at_a_time in AT_A_TIME {
        let file = row(FILE, "", at_a_time);
        let mut add = |servers: &str, what: &str, row: &str, direct: &str| {
            table.row([
                servers.to_owned(),
                what.to_owned(),
                at_a_time.to_string(),
                found.median(row, IN, 0),
                found.median(row, P50, 2),
                found.median(row, P99, 2),
                found.ratio((row, IN), (direct, IN)),
                found.ratio((row, IN), (&file, IN)),
            ]);
        };
        add("none", FILE, &file, "");
        for (setup, taker) in rows(at_a_time) {
            let direct = row(setup.name, Taker::Direct.name(), at_a_time);
            let row = row(setup.name, taker.name(), at_a_time);
            add(setup.name, taker.name(), &row, &direct);
        }
    }
    table
}

/// The store by itself, and servers that do not sync, only with the larger number: each row is seconds.
fn rows(at_a_time: usize) -> impl Iterator<Item = (&'static Setup, Taker)> {
    let is_larger = at_a_time == AT_A_TIME[1];
    let takers = SETUPS
        .iter()
        .flat_map(|setup| Taker::ALL.map(|taker| (setup, taker)));
    takers.filter(move |(setup, taker)| match taker {
        Taker::Direct | Taker::Receiver => is_larger || setup.is_synced,
        Taker::Store => is_larger && setup.is_synced,
    })
}

type Taken = Result<[(&'static str, f64); 3]>;

fn into_streams(ground: &Ground, setup: &Setup, taker: Taker, at_a_time: usize) -> Taken {
    let home = ground.home("nats")?;
    let place = Place::start(setup, &home)?;
    let (servers, at_once) = (place.servers(), at_a_time.to_string());
    let seconds = ground.options.seconds.to_string();
    match taker {
        Taker::Direct => {
            let replicas = setup.nodes.to_string();
            let words = ["publish", &servers, &replicas, &at_once, &seconds];
            acknowledged(&ground.measure(&words)?)
        }
        Taker::Store => {
            acknowledged(&ground.measure(&["append-stream", &servers, &at_once, &seconds])?)
        }
        Taker::Receiver => {
            let running = receiver(ground, &place, "receiver")?;
            let (figures, loads) = load(ground, &running.process, at_a_time)?;
            running.stop()?;
            let loads: Vec<_> = loads.iter().collect();
            audit(place.state()?.kept, 0, &loads, at_a_time)?;
            Ok(figures)
        }
    }
}

/// `serve` as the table of servers has it.
fn into_a_file(ground: &Ground, connections: usize) -> Taken {
    let home = ground.home("file")?;
    let address = free_address()?;
    let command = ground.serve(&home, &address.to_string());
    let running = Running::start(command, address, &home.log())?;
    let (figures, loads) = load(ground, &running, connections)?;
    running.stop()?;
    let loads: Vec<_> = loads.iter().collect();
    audit(ground.kept(&home, &[])?, 0, &loads, connections)?;
    Ok(figures)
}

type Loads = [crate::bench::wrk::Measured; 2];

fn load(
    ground: &Ground,
    running: &Running,
    connections: usize,
) -> Result<([(&'static str, f64); 3], Loads)> {
    let load = ground.load()?;
    let warming = load.send(running.address, connections, 1, load.warm_up())?;
    let seconds = ground.options.seconds;
    let measured = load.send(running.address, connections, seconds, load.measured())?;
    if let Some(wrong) = warming.wrong().or_else(|| measured.wrong()) {
        bail!("{wrong}");
    }
    let figures = [
        (IN, measured.per_second()),
        (P50, measured.p50.as_secs_f64() * 1000.0),
        (P99, measured.p99.as_secs_f64() * 1000.0),
    ];
    Ok((figures, [warming, measured]))
}

/// Of one of our programs, which has counted what is in the stream.
fn acknowledged(measured: &Value) -> Taken {
    let figure = |name: &str| {
        measured[name]
            .as_f64()
            .with_context(|| format!("no {name}"))
    };
    let (acknowledged, kept) = (&measured["acknowledged"], &measured["kept"]);
    if acknowledged != kept {
        bail!("{WRONG}: {acknowledged} were acknowledged and {kept} are in the stream");
    }
    Ok([
        (IN, figure("per_second")?),
        (P50, figure("p50_micros")? / 1000.0),
        (P99, figure("p99_micros")? / 1000.0),
    ])
}

fn row(servers: &str, what: &str, at_a_time: usize) -> String {
    let words = [servers, what].join(", ");
    format!("{}, {at_a_time} at a time", words.trim_end_matches(", "))
}

static SETUPS: [Setup; 4] = [ONE, THREE, ONE_RELAXED, THREE_RELAXED];

/// Requests or messages that wait for their answer.
const AT_A_TIME: [usize; 2] = [64, 256];

const FILE: &str = "`durable`, a SQLite file";

const IN: &str = "in/s";
const P50: &str = "ms p50";
const P99: &str = "ms p99";

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
            let rows: Vec<_> = rows(at_a_time)
                .map(|(setup, taker)| (setup.name, taker.name()))
                .collect();
            assert_eq!(rows.len(), expected);
            for (setup, _) in &rows {
                assert!(rows.contains(&(setup, Taker::Direct.name())), "{setup}");
            }
        }
    }

    #[test]
    fn rows_differ_and_the_file_is_one() {
        assert_eq!(
            row("one", "a receiver", 64),
            "one, a receiver, 64 at a time"
        );
        assert_eq!(row("a file", "", 64), "a file, 64 at a time");
    }
}
