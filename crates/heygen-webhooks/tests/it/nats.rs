//! An inbox on streams: the built binary against real servers of NATS.

use serde_json::Value;
use xtask_nats::{Options, Program, Server};

use crate::support::{Ended, Serve, Workdir};

mod backfill;
mod check;
mod commands;
mod dashboard;
mod documentation;
mod login;
mod outage;
mod require_sync;
mod transfer;
mod usage_errors;
mod workers;

/// A server, and a folder in which every command finds the inbox on it by the configuration file.
pub(crate) struct World {
    pub(crate) workdir: Workdir,
    server: Server,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(Program::Current, &Options::new())
    }

    fn on(program: Program, options: &Options) -> Self {
        let server = Server::start(program, options).expect("a nats-server");
        let world = Self {
            workdir: Workdir::new(),
            server,
        };
        world.configure("");
        world
    }

    /// The file, with more in it.
    fn configure(&self, more: &str) {
        let text = format!("inbox = \"{}\"\n{more}", self.address("HEYGEN"));
        self.workdir.file("heygen-webhooks.toml", text);
    }

    fn address(&self, stream: &str) -> String {
        format!("{}/{stream}", self.server.url())
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.workdir.run(arguments)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        self.workdir.json(arguments)
    }

    /// Receives alone.
    pub(crate) fn receive(&self, arguments: &[&str]) -> Serve {
        self.workdir
            .serve(&[&["--receive-only"], arguments].concat())
    }

    pub(crate) fn work(&self, arguments: &[&str]) -> Serve {
        work(&self.workdir, arguments)
    }
}

/// A worker, once it works.
fn work(workdir: &Workdir, arguments: &[&str]) -> Serve {
    let work = ["work", "--admin", "127.0.0.1:0", "--log-format", "json"];
    let command = workdir.command(&[&work, arguments].concat());
    let work = workdir.begin(
        command,
        &[("HEYGEN_WEBHOOK_SECRET", crate::support::SECRET)],
    );
    work.log_line(r#""message":"working""#);
    work
}

/// How many deliveries there are of each state, in the words of `inbox stats`.
fn counts(workdir: &Workdir, arguments: &[&str]) -> [u64; 4] {
    let stats = workdir.json(&[&["inbox", "stats", "--json"], arguments].concat());
    ["pending", "claimed", "acknowledged", "dead_lettered"]
        .map(|state| count(&stats["states"], state))
}

fn count(states: &Value, state: &str) -> u64 {
    states[state].as_u64().expect("a number")
}

/// Whatever is left of a worker's lines when it ends well, as the videos that they are about.
fn videos(worker: Serve) -> Vec<String> {
    worker.signal("TERM");
    let (status, lines, log) = worker.wait();
    assert_eq!(status, 0, "{log:?}");
    let video = |line: &String| {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        let video = line["event"]["event_data"]["video_id"].as_str();
        video.expect("a video").to_owned()
    };
    lines.iter().map(video).collect()
}
