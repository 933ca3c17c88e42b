//! [`SERVERS`]: what is compared, how each is started, and how many requests it says it has kept.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::child::{Running, dying_with_us};
use super::ground::{Ground, Home, SECRET};
use super::peers::Peers;
use crate::client::{Client, PATH};

/// One row of the table for each number of connections.
#[derive(Debug)]
pub(super) struct Server {
    /// What `--server` takes.
    pub(super) name: &'static str,
    /// What it is, for the page.
    pub(super) what: &'static str,
    program: Program,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Program {
    Limit,
    Verified,
    Durable,
    Flask,
    FlaskDurable,
    Node,
    Fastify,
    Webhook,
}

/// In the order in which they take turns; the limit comes first, because the others are compared with it.
pub(super) const SERVERS: &[Server] = &[
    Server {
        name: "limit",
        what: "bare hyper 1 on tokio, with the runtime settings of `serve`: reads the body, answers 200",
        program: Program::Limit,
    },
    Server {
        name: "verified",
        what: "our receiver and server, counting for Prometheus as `serve` does: verified, parsed, and thrown away instead of kept",
        program: Program::Verified,
    },
    Server {
        name: "durable",
        what: "`heygen-webhooks serve` with its default options: kept in a new inbox file before it is answered, and \
               handed out meanwhile, printed to /dev/null",
        program: Program::Durable,
    },
    Server {
        name: "flask",
        what: "Flask under gunicorn, 2 workers of 8 threads: verified, nothing kept",
        program: Program::Flask,
    },
    Server {
        name: "flask-durable",
        what: "the same with an insert into SQLite (WAL, synchronous FULL) a request; no duplicates are looked for, and \
               nothing is handed out",
        program: Program::FlaskDurable,
    },
    Server {
        name: "node",
        what: "Node's own http server, one process: verified, nothing kept",
        program: Program::Node,
    },
    Server {
        name: "fastify",
        what: "Fastify on Node, one process: verified, nothing kept",
        program: Program::Fastify,
    },
    Server {
        name: "webhook",
        what: "the program `webhook` as Debian packages it: verified by its HMAC rule, nothing kept. It is made to start a \
               command a request and has no option not to; the command is `/bin/true`, and the answer does not wait for it",
        program: Program::Webhook,
    },
];

impl Server {
    /// Starts it, and makes sure that it does what it is here for: a rightly signed request gets 2xx, another does not.
    pub(super) fn start(&self, ground: &Ground, peers: &Peers, home: &Home) -> Result<Running> {
        let address = super::child::free_address()?;
        let command = self.command(ground, peers, home, address)?;
        let running = Running::start(command, address, &home.log())?;
        if !self.looks_at_requests() {
            return Ok(running);
        }
        let statuses =
            [trial(true), trial(false)].map(|request| Client::new(address).exchange(&request));
        match statuses {
            [Ok(200..=299), Ok(400..=599)] => Ok(running),
            _ => bail!(
                "{} answers a rightly signed request with {:?} and a wrongly signed one with {:?}",
                self.name,
                statuses[0],
                statuses[1]
            ),
        }
    }

    /// Whether one request differs from another to it.
    pub(super) fn looks_at_requests(&self) -> bool {
        self.program != Program::Limit
    }

    /// Whether a rate has to be audited.
    pub(super) fn keeps(&self) -> bool {
        matches!(self.program, Program::Durable | Program::FlaskDurable)
    }

    /// How many requests are in its file, the one of the trial included; of one that [`keeps`](Self::keeps).
    pub(super) fn kept(&self, ground: &Ground, peers: &Peers, home: &Home) -> Result<u64> {
        match self.program {
            Program::Durable => ground.kept(home, &[]),
            _ => {
                let script = "import sqlite3, sys\n\
                              print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM delivery').fetchone()[0])";
                let output = Command::new(peers.python()?)
                    .args(["-c", script])
                    .arg(home.inbox())
                    .stdin(Stdio::null())
                    .output()
                    .context("start python")?;
                let text = String::from_utf8_lossy(&output.stdout);
                text.trim().parse().context("count what Flask has kept")
            }
        }
    }

    fn command(
        &self,
        ground: &Ground,
        peers: &Peers,
        home: &Home,
        address: SocketAddr,
    ) -> Result<Command> {
        let listen = address.to_string();
        let command = match self.program {
            Program::Limit => ground.bench(&["limit", &listen]),
            Program::Verified => ground.bench(&["verified", &listen]),
            Program::Durable => ground.serve(home, &listen),
            Program::Flask => gunicorn(peers, "flask_app:app", &listen)?,
            Program::FlaskDurable => {
                let mut command = gunicorn(peers, "flask_durable_app:app", &listen)?;
                command.env("FILE", home.inbox());
                command
            }
            Program::Node => node(peers, "node_http.js", address)?,
            Program::Fastify => node(peers, "node_fastify.js", address)?,
            Program::Webhook => {
                let mut command = dying_with_us(peers.webhook()?);
                command
                    .args(["-template", "-nopanic", "-ip", "127.0.0.1", "-port"])
                    .arg(address.port().to_string())
                    // The hook is called `heygen`: together they are the path of all.
                    .args(["-urlprefix", "webhooks", "-hooks"])
                    .arg(peers.folder().join("hooks.json"));
                command
            }
        };
        let mut command = command;
        command.env("HEYGEN_WEBHOOK_SECRET", SECRET);
        Ok(command)
    }
}

fn gunicorn(peers: &Peers, app: &str, listen: &str) -> Result<Command> {
    let mut command = dying_with_us(peers.python()?);
    command
        .args([
            "-m",
            "gunicorn",
            "--workers",
            "2",
            "--threads",
            "8",
            "--bind",
            listen,
        ])
        .args(["--log-level", "warning", app])
        .current_dir(peers.folder());
    Ok(command)
}

fn node(peers: &Peers, script: &str, address: SocketAddr) -> Result<Command> {
    let mut command = dying_with_us(peers.node(script)?);
    command
        .arg(script)
        .current_dir(peers.folder())
        .env("PORT", address.port().to_string())
        .env("NODE_ENV", "production");
    Ok(command)
}

/// A request of an event that none of the load is.
fn trial(is_signed: bool) -> Vec<u8> {
    let body =
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"trial","msg":"no credit"}}"#;
    let signature = match heygen_signature::Secret::new(SECRET) {
        Ok(secret) if is_signed => secret.sign(body.as_bytes()).to_string(),
        _ => "0".repeat(64),
    };
    let length = body.len();
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nSignature: {signature}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_comes_first_and_no_name_comes_twice() {
        let mut names: Vec<&str> = SERVERS.iter().map(|server| server.name).collect();
        assert_eq!(names[0], "limit");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SERVERS.len());
    }

    #[test]
    fn a_trial_is_signed_or_not() {
        let [right, wrong] =
            [trial(true), trial(false)].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(right.len(), wrong.len());
        assert_ne!(right, wrong);
        assert!(wrong.contains(&"0".repeat(64)));
    }
}
