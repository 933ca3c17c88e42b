//! [`Process`]: receivers and workers on the streams, and waiting until the workers have ended everything.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::place::{Place, State};
use crate::bench::child::{Running, free_address};
use crate::bench::figures::WRONG;
use crate::bench::ground::{Ground, Home};

/// A receiver or a worker, in a folder of its own.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) process: Running,
    _home: Home,
}

impl Process {
    pub(super) fn stop(self) -> Result<()> {
        self.process.stop()
    }
}

/// `serve --no-work`.
pub(super) fn receiver(ground: &Ground, place: &Place, name: &str) -> Result<Process> {
    let home = ground.home(name)?;
    let address = free_address()?;
    let mut command = ground.program(&home);
    command.args(["serve", "--no-work", "--admin", "off", "--listen"]);
    command.args([&address.to_string(), "--inbox", &place.inbox()]);
    let process = Running::start(command, address, &home.log())?;
    Ok(Process {
        process,
        _home: home,
    })
}

/// `work` with a handler that does nothing.
pub(super) fn worker(
    ground: &Ground,
    place: &Place,
    name: &str,
    concurrency: usize,
) -> Result<Process> {
    let home = ground.home(name)?;
    // The only address on which a worker listens: then it is known to have begun.
    let address = free_address()?;
    let mut command = ground.program(&home);
    command.args(["work", "--on", "*=ignore", "--inbox", &place.inbox()]);
    command.args(["--concurrency", &concurrency.to_string()]);
    command.args(["--admin", &address.to_string()]);
    let process = Running::start(command, address, &home.log())?;
    Ok(Process {
        process,
        _home: home,
    })
}

/// So many workers.
pub(super) fn workers(
    ground: &Ground,
    place: &Place,
    count: usize,
    concurrency: usize,
) -> Result<Vec<Process>> {
    (0..count)
        .map(|number| worker(ground, place, &format!("worker-{number}"), concurrency))
        .collect()
}

pub(super) fn stop_all(processes: Vec<Process>) -> Result<()> {
    processes.into_iter().try_for_each(Process::stop)
}

/// Waits until the workers have ended all that is in the stream, and makes sure of it: everything is done by `inbox stats`,
/// and nothing is left that a worker has not acknowledged. Tells how much that is.
pub(super) fn all_done(ground: &Ground, place: &Place) -> Result<u64> {
    let started = Instant::now();
    let state = loop {
        let state = place.state()?;
        if is_ended(state) {
            break state;
        }
        if started.elapsed() > LONGEST {
            bail!("after {LONGEST:?} the workers still have to do with the stream: {state:?}");
        }
        thread::sleep(BETWEEN_LOOKS);
    };
    let home = ground.home("stats")?;
    let inbox = place.inbox();
    let count = || ground.kept_in(&home, inbox.as_ref(), &["done"]);
    // A cluster may answer 503 in the moment in which it makes the consumer that reads; an audit is worth asking again.
    let done = (1..ASKED_MOST).find_map(|_| count().ok());
    let done = done.map_or_else(count, Ok)?;
    if done != state.kept {
        bail!(
            "{WRONG}: {} are in the stream and {done} are done",
            state.kept
        );
    }
    Ok(state.kept)
}

fn is_ended(state: State) -> bool {
    state.recorded == state.kept && state.ended_to == state.kept && state.out == 0
}

pub(super) const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

const ASKED_MOST: usize = 5;

const LONGEST: Duration = Duration::from_secs(180);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(recorded: u64, ended_to: u64, out: u64, expected: bool) {
        let state = State {
            kept: 9,
            recorded,
            ended_to,
            out,
        };
        assert_eq!(is_ended(state), expected);
    }

    #[test]
    fn it_is_ended_when_all_is_recorded_and_acknowledged() {
        check(9, 9, 0, true);
        check(8, 9, 0, false);
        check(9, 8, 1, false);
        check(9, 9, 1, false);
    }
}
