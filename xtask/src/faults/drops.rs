//! Clients that are gone before they have their answer.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::audit::count;
use super::event::Events;
use super::ground::Ground;
use super::load::{Ledger, deliver_all};
use super::random::Random;
use super::table::Row;
use crate::client::connect;

pub(super) const WHAT: &str = "clients that close the connection at once, in the middle of the body, or a moment after sending; \
what was kept is handed out, and what they send again is taken once";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let clients = ground.size(8000, 800);
    let home = ground.home("drops")?;
    let events = Events::new(format!("drops-{}", ground.seed()))?;
    let mut random = ground.random("drops");
    let server = home.serve(&[])?;
    let address = server.address;
    let numbers: Vec<(u64, u64)> = (0..clients).map(|number| (number, random.next())).collect();
    let mut ledger = Ledger::default();
    let events_ref = &events;
    let dropped = thread::scope(|scope| {
        let droppers: Vec<_> = numbers
            .chunks(numbers.len().div_ceil(CONNECTIONS))
            .map(|chunk| {
                scope.spawn(move || {
                    let mut ledger = Ledger::default();
                    for &(number, seed) in chunk {
                        // However the sending went: nobody waits for an answer.
                        let _ = send_and_drop(address, &events_ref.request(number), seed);
                        ledger.note(number, &Err(io::ErrorKind::NotConnected.into()));
                    }
                    ledger
                })
            })
            .collect();
        droppers
            .into_iter()
            .map(|dropper| dropper.join().map_err(|_| anyhow!("a client panicked")))
            .collect::<Result<Vec<_>>>()
    })?;
    for dropped in dropped {
        ledger.add(dropped);
    }
    // It ends after what is under way was kept, and everything that waits is handed out by the next one at the latest.
    let mut handed_out = server.stop()?;
    let server = home.serve(&[])?;
    let left = home.left_to_hand_out()?;
    let kept: BTreeSet<u64> = home
        .subjects()?
        .iter()
        .filter_map(|subject| events.number(subject))
        .collect();
    let before = home.audit(&ledger, &events)?;

    let again = ledger.unanswered();
    ledger.add(deliver_all(server.address, &again, |number| {
        events.request(number)
    }));
    let left = left + home.left_to_hand_out()?;
    handed_out.extend(server.stop()?);
    let handed_out: BTreeSet<u64> = handed_out
        .iter()
        .filter_map(|subject| events.number(subject))
        .collect();

    let mut row = Row::new("drops", 0, home.audit(&ledger, &events)?);
    row.note(format!(
        "of {clients} posts whose client was gone {} were kept, each of them handed out; then all were sent again",
        kept.len()
    ));
    if before.duplicated + before.invented > 0 {
        row.wrong(format!("before they were sent again: {before:?}"));
    }
    if kept.is_empty() || count(kept.len()) == clients {
        row.wrong("the clients were too slow or too fast: all or none of the posts were kept");
    }
    let unanswered = ledger.unanswered().len();
    if unanswered > 0 {
        row.wrong(format!("{unanswered} events were never taken"));
    }
    let missing = kept
        .union(&ledger.answered)
        .filter(|number| !handed_out.contains(number))
        .count();
    if missing + left > 0 {
        row.wrong(format!(
            "{missing} events reached no handler, {left} still wait"
        ));
    }
    if let Some(what) = ledger.unexpected() {
        row.wrong(what);
    }
    if let Some(flaws) = home.flaws()? {
        row.wrong(flaws);
    }
    Ok(row)
}

/// One connection: the request or a part of it, and away.
fn send_and_drop(address: SocketAddr, request: &[u8], seed: u64) -> io::Result<()> {
    let mut random = Random::new(seed);
    let mut stream = connect(address)?;
    match random.below(4) {
        0 => stream.write_all(request),
        1 => {
            let part = usize::try_from(random.below(request.len() as u64)).unwrap_or_default();
            stream.write_all(request.get(..part).unwrap_or_default())
        }
        2 => {
            stream.write_all(request)?;
            stream.shutdown(Shutdown::Write)
        }
        _ => {
            stream.write_all(request)?;
            thread::sleep(Duration::from_micros(random.below(LONGEST_STAY_MICROS)));
            Ok(())
        }
    }
}

const CONNECTIONS: usize = 16;

/// About as long as a commit takes.
const LONGEST_STAY_MICROS: u64 = 4000;
