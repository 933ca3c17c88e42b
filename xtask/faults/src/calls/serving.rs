//! `serve` while the n-th call fails: at its start, while it answers, and while it brings the log into the file.

use std::collections::BTreeSet;

use anyhow::Result;
use xtask_harness::audit::Ledger;
use xtask_harness::client::Client;
use xtask_harness::server::Server;

use super::{every_call, stage};
use crate::shim::{Failure, Shim};
use crate::{Row, Testbed, Trial};

/// A start that fails must be an end with an error, and the next start find everything.
pub(super) fn starts(testbed: &Testbed, failure: Failure) -> Result<Row> {
    let (mut trial, mut shim) = stage(testbed, &format!("start {}", failure.name))?;
    let (mut row, mut ended) = (Row::default(), 0);
    let tried = every_call(testbed, "start of `serve`", failure, |n, when| {
        trial.home.empty()?;
        trial.ledger = Ledger::default();
        let server = trial.home.serve(&[])?;
        trial.deliver(&server, 1..=4);
        server.kill()?;

        shim.fail(failure, n, "any", "*")?;
        let started = serve(&trial, &shim);
        let has_failed = shim.has_failed()?;
        shim.relent()?;
        let server = match started {
            Err(_) if has_failed => {
                ended += 1;
                serve(&trial, &shim)?
            }
            started => started?,
        };
        trial.deliver(&server, 5..=6);
        server.stop()?;
        row.add(trial.look()?.at(when));
        Ok(has_failed)
    })?;
    row.report.note(format!(
        "{tried}; {ended} times it ended with an error, and started the next time"
    ));
    Ok(row)
}

pub(super) fn answers(testbed: &Testbed, failure: Failure) -> Result<Row> {
    let mut serving = Serving::start(testbed, &format!("answer {}", failure.name))?;
    let tried = every_call(testbed, "answers of `serve`", failure, |n, when| {
        serving.fail(failure, n, "any", "*", when)
    })?;
    serving.end(Server::stop, |refused| {
        format!("{tried}, {refused} posts 503; one process for all of it")
    })
}

/// Bodies so long that the log is brought into the file after a few of them; that is made to fail.
pub(super) fn checkpoints(testbed: &Testbed) -> Result<Row> {
    let mut serving = Serving::start(testbed, "checkpoint")?;
    serving.most_posts = 60;
    serving.trial.request = |events, number| events.large_request(number, LONG);
    let cases = testbed.size(&CHECKPOINTS[..], &CHECKPOINTS[..3]);
    for &(calls, n, failure) in cases {
        let when = format!("checkpoint, {calls} {n}");
        if !serving.fail(failure, n, calls, "/inbox.db", &when)? {
            let wrong = format!("{when}: the log was not brought into the file");
            serving.trial.report.wrong(wrong);
        }
    }
    let failures = cases.len();
    serving.end(Server::kill, |refused| {
        format!(
            "the log brought into the file: {failures} failures of writing and of fsync, {refused} posts 503"
        )
    })
}

/// One server for all failures: it is never started again.
struct Serving {
    trial: Trial,
    shim: Shim,
    server: Server,
    posts: u64,
    /// With so many at the most, a call that is to fail is reached.
    most_posts: usize,
}

impl Serving {
    fn start(testbed: &Testbed, name: &str) -> Result<Self> {
        let (trial, shim) = stage(testbed, name)?;
        Ok(Self {
            server: serve(&trial, &shim)?,
            trial,
            shim,
            posts: 0,
            most_posts: 3,
        })
    }

    /// Has calls fail, posts until one has, and a few times more; then the next post must be taken. Says whether a call has failed.
    fn fail(
        &mut self,
        failure: Failure,
        n: u64,
        calls: &str,
        of: &str,
        when: &str,
    ) -> Result<bool> {
        self.shim.fail(failure, n, calls, of)?;
        let mut client = Client::new(self.server.address);
        let mut has_failed = false;
        for _ in 0..self.most_posts {
            self.post(&mut client);
            has_failed = self.shim.has_failed()?;
            if has_failed {
                break;
            }
        }
        // What failed once needs no help from us.
        if failure.is_for_good {
            (0..MORE_POSTS).for_each(|_| self.post(&mut client));
            self.shim.relent()?;
        }
        self.posts += 1;
        self.trial.deliver(&self.server, [self.posts]);
        if !self.trial.ledger.answered.contains(&self.posts) {
            let wrong = format!("{when}: nothing was taken afterwards");
            self.trial.report.wrong(wrong);
        }
        Ok(has_failed)
    }

    fn post(&mut self, client: &mut Client) {
        self.posts += 1;
        let request = (self.trial.request)(&self.trial.events, self.posts);
        let status = client.exchange(&request);
        self.trial.ledger.note(self.posts, &status);
    }

    /// Delivers what had no 2xx, waits until all is dispatched, ends the server, and looks.
    fn end(
        mut self,
        end: fn(Server) -> Result<BTreeSet<String>>,
        note: impl FnOnce(u64) -> String,
    ) -> Result<Row> {
        self.shim.relent()?;
        let trial = &mut self.trial;
        trial.report.wrong.extend(trial.ledger.unexpected());
        trial.report.note(note(trial.ledger.refused.values().sum()));
        trial.deliver_again(&self.server);
        let left = trial.home.left()?;
        trial.report.wrong_if(left, "were not dispatched");
        end(self.server)?;
        trial.look()
    }
}

fn serve(trial: &Trial, shim: &Shim) -> Result<Server> {
    trial.home.serve_with(shim.command(&trial.home), &[])
}

const MORE_POSTS: usize = 3;

/// What fails on the file itself, from which call on, and how.
const CHECKPOINTS: [(&str, u64, Failure); 7] = [
    ("sync", 1, Failure::EIO_ONCE),
    ("sync", 1, Failure::EIO_FOR_GOOD),
    ("write", 1, Failure::EIO_ONCE),
    ("write", 100, Failure::EIO_FOR_GOOD),
    ("write", 1000, Failure::EIO_ONCE),
    ("write", 3000, Failure::EIO_FOR_GOOD),
    ("truncate,write", 3500, Failure::EIO_ONCE),
];

/// A few of them fill the 4,000 pages after which the log goes into the file.
const LONG: usize = 900_000;
