//! `serve` while the n-th call fails: at its start, while it answers, and while it brings the log into the file.

use anyhow::{Context, Result, bail};

use xtask_harness::audit::Ledger;
use xtask_harness::client::Client;
use xtask_harness::event::Events;
use xtask_harness::ground::Home;
use xtask_harness::load::deliver_all;
use xtask_harness::server::Server;

use super::{MOST_CALLS, QUICK_STEP, Sum, Way, calls_told};
use crate::Ground;
use crate::shim::{EIO, Failing, Lasting, Shim};

/// A start that fails must be an end with an error, and the next start find everything.
pub(super) fn starts(ground: &Ground, way: Way) -> Result<Sum> {
    let Stage { home, mut shim } = Stage::new(ground, &format!("start {}", way.told()))?;
    let events = Events::new("start")?;
    let mut sum = Sum::default();
    let mut ended = 0;
    let step = ground.size(1, QUICK_STEP);
    for n in (1..=MOST_CALLS).step_by(step) {
        let when = || format!("start, {} at call {n}", way.told());
        home.empty()?;
        let mut ledger = Ledger::default();
        let server = home.serve(&[])?;
        ledger.add(deliver(&server, &events, &[1, 2, 3, 4]));
        server.kill()?;

        shim.fail(way.at(n))?;
        let started = serve(&home, &shim);
        let failed = shim.failed()?;
        shim.relent()?;
        let server = match started {
            Ok(server) => server,
            Err(error) if failed.is_empty() => return Err(error).with_context(when),
            Err(_) => {
                ended += 1;
                serve(&home, &shim).with_context(when)?
            }
        };
        ledger.add(deliver(&server, &events, &[5, 6]));
        server.stop().with_context(when)?;
        if !ledger.unanswered().is_empty() {
            sum.report
                .wrong(format!("{}: nothing was taken afterwards", when()));
        }
        sum.look(&home, &ledger, &events, when)?;
        if failed.is_empty() {
            sum.report.note(format!(
                "start of `serve`: {} at {}; {ended} times it ended with an error, and started the next time",
                way.told(),
                calls_told(n - 1, step)
            ));
            return Ok(sum);
        }
    }
    bail!("the start still fails after {MOST_CALLS} calls")
}

/// One server for all of it: it is never started again.
pub(super) fn answers(ground: &Ground, way: Way) -> Result<Sum> {
    let Stage { home, mut shim } = Stage::new(ground, &format!("answer {}", way.told()))?;
    let events = Events::new("answer")?;
    let server = serve(&home, &shim)?;
    let mut sum = Sum::default();
    let mut ledger = Ledger::default();
    let mut next = 0;
    let mut calls = 0;
    let step = ground.size(1, QUICK_STEP);
    for n in (1..=MOST_CALLS).step_by(step) {
        shim.fail(way.at(n))?;
        let mut client = Client::new(server.address);
        for _ in 0..POSTS {
            next += 1;
            ledger.note(next, &client.exchange(&events.request(next)));
            if !shim.failed()?.is_empty() && way.lasting == Lasting::Once {
                break;
            }
        }
        let failed = shim.failed()?;
        // What failed once needs no help from us.
        if way.lasting == Lasting::ForGood {
            shim.relent()?;
        }
        next += 1;
        let after = deliver(&server, &events, &[next]);
        if after.answered.is_empty() {
            sum.report.wrong(format!(
                "{} at call {n} of answering: nothing was taken afterwards",
                way.told()
            ));
        }
        ledger.add(after);
        if failed.is_empty() {
            calls = n - 1;
            break;
        }
    }
    shim.relent()?;
    let refused: u64 = ledger.refused.values().sum();
    sum.report.wrong.extend(ledger.unexpected());
    finish(&home, server, &events, ledger, &mut sum)?;
    if calls == 0 {
        bail!("answering still fails after {MOST_CALLS} calls");
    }
    sum.report.note(format!(
        "answers of `serve`: {} at {}, {refused} posts 503; one process for all of it",
        way.told(),
        calls_told(calls, step)
    ));
    Ok(sum)
}

/// Bodies so long that the log is brought into the file after a few of them; that is made to fail.
pub(super) fn checkpoints(ground: &Ground) -> Result<Sum> {
    let Stage { home, mut shim } = Stage::new(ground, "checkpoint")?;
    let events = Events::new("checkpoint")?;
    let long = |number| events.large_request(number, LONG);
    let server = serve(&home, &shim)?;
    let mut sum = Sum::default();
    let mut ledger = Ledger::default();
    let mut next = 0;
    let mut met = 0;
    let cases = CHECKPOINTS.get(..ground.size(CHECKPOINTS.len(), 3));
    for &(calls, from, lasting) in cases.unwrap_or_default() {
        shim.fail(Failing {
            calls,
            from,
            lasting,
            error: EIO,
            of: "/inbox.db",
        })?;
        let mut client = Client::new(server.address);
        for _ in 0..LONG_POSTS {
            next += 1;
            ledger.note(next, &client.exchange(&long(next)));
            if !shim.failed()?.is_empty() {
                break;
            }
        }
        if shim.failed()?.is_empty() {
            sum.report.wrong(format!(
                "{calls} {from}: the log was not brought into the file"
            ));
        }
        met += 1;
        for _ in 0..POSTS {
            next += 1;
            ledger.note(next, &client.exchange(&long(next)));
        }
        shim.relent()?;
        next += 1;
        let after = deliver_all(server.address, [next], long);
        if after.answered.is_empty() {
            sum.report
                .wrong(format!("{calls} {from}: nothing was taken afterwards"));
        }
        ledger.add(after);
    }
    let refused: u64 = ledger.refused.values().sum();
    sum.report.wrong.extend(ledger.unexpected());
    ledger.add(deliver_all(server.address, ledger.unanswered(), long));
    server.kill()?;
    sum.look(&home, &ledger, &events, || "checkpoint".to_owned())?;
    sum.report.note(format!(
        "the log brought into the file: {met} failures of writing and of fsync, {refused} posts 503"
    ));
    Ok(sum)
}

/// A folder for the file, and a shim that looks at it.
struct Stage {
    home: Home,
    shim: Shim,
}

impl Stage {
    fn new(ground: &Ground, name: &str) -> Result<Self> {
        let name = format!("calls-{}", name.replace(' ', "-"));
        let (home, tools) = (ground.home(&name)?, ground.home(&format!("{name}-shim"))?);
        let shim = Shim::of(tools, home.inbox())?;
        Ok(Self { home, shim })
    }
}

fn serve(home: &Home, shim: &Shim) -> Result<Server> {
    home.serve_with(shim.command(home), &[])
}

fn deliver(server: &Server, events: &Events, numbers: &[u64]) -> Ledger {
    deliver_all(server.address, numbers.iter().copied(), |number| {
        events.request(number)
    })
}

/// Sends again what had no answer, ends the server, and looks.
fn finish(
    home: &Home,
    server: Server,
    events: &Events,
    mut ledger: Ledger,
    sum: &mut Sum,
) -> Result<()> {
    ledger.add(deliver(&server, events, &ledger.unanswered()));
    let unanswered = ledger.unanswered().len();
    sum.report.wrong_if(unanswered, "events were never taken");
    sum.report.wrong_if(home.left()?, "were not dispatched");
    server.stop()?;
    sum.look(home, &ledger, events, || "answering".to_owned())
}

const POSTS: usize = 3;

/// What fails on the file itself, and from which call on.
const CHECKPOINTS: [(&str, u64, Lasting); 7] = [
    ("sync", 1, Lasting::Once),
    ("sync", 1, Lasting::ForGood),
    ("write", 1, Lasting::Once),
    ("write", 100, Lasting::ForGood),
    ("write", 1000, Lasting::Once),
    ("write", 3000, Lasting::ForGood),
    ("truncate,write", 3500, Lasting::Once),
];

/// A few of them fill the 4,000 pages after which the log goes into the file.
const LONG: usize = 900_000;
const LONG_POSTS: usize = 60;
