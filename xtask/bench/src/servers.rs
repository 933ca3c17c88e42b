//! [`SERVERS`]: what is compared, how each is started, and how many requests it says it has kept.
//!
//! A peer is a script of its own, `xtask/bench/peers/NAME.sh`, which installs what it needs into the folder in which it is run. Its words:
//! `version` tells what was installed, `serve` becomes the server, `kept` tells how many requests are in its file.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use xtask_harness::client::Client;
use xtask_harness::event::{Events, SECRET};
use xtask_harness::process::dying_with_us;
use xtask_harness::server::{Output, Server, free_address};
use xtask_harness::testbed::Home;
use xtask_harness::workspace;

use crate::testbed::start_measured;

/// What `--server` takes, and what it is. In the order in which they take turns; the limit comes first, because the others are
/// compared with it.
pub(super) const SERVERS: [(&str, &str); 9] = [
    (
        "limit",
        "bare hyper 1 on tokio, with the runtime settings of `serve`: reads the body, answers 200",
    ),
    (
        "verified",
        "our receiver and server, counting for Prometheus as `serve` does: verified, parsed, and thrown away instead of kept",
    ),
    (
        "durable",
        "`heygen-webhooks serve` with its default options: kept in a new inbox file before it is answered, and dispatched \
         meanwhile, printed to /dev/null",
    ),
    (
        "watched",
        "the same with ten pages of its dashboard open, which fetch themselves at each change",
    ),
    (
        "flask",
        "Flask under gunicorn, 2 workers of 8 threads: verified, nothing kept",
    ),
    (
        "flask-durable",
        "the same with an insert into SQLite (WAL, synchronous FULL) a request; no duplicates are looked for, and nothing is \
         dispatched",
    ),
    (
        "node",
        "Node's own http server, one process: verified, nothing kept",
    ),
    (
        "fastify",
        "Fastify on Node, one process: verified, nothing kept",
    ),
    (
        "webhook",
        "the program `webhook` as Debian packages it: verified by its HMAC rule, nothing kept. It is made to start a command a \
         request and has no option not to; the command is `/bin/true`, and the answer does not wait for it",
    ),
];

/// Whether it is written here, and in Rust.
pub(super) fn is_ours(name: &str) -> bool {
    ["limit", "verified", "durable", "watched"].contains(&name)
}

/// Whether a rate has to be audited.
pub(super) fn keeps(name: &str) -> bool {
    ["durable", "watched", "flask-durable"].contains(&name)
}

/// Starts it, and makes sure that it does what it is here for: a rightly signed request gets 2xx, another does not. The one that is
/// watched has its dashboard at `admin`.
pub(super) fn start(name: &str, home: &Home, admin: SocketAddr) -> Result<Server> {
    let serve = |options: &[&str]| {
        let serve = ["serve", "--listen"];
        home.begin(home.command(), serve, home.inbox(), options, Output::Null)
    };
    let server = match name {
        // It answers everything.
        "limit" => return start_measured(name, home),
        "verified" => start_measured(name, home)?,
        "durable" => serve(&[])?,
        "watched" => serve(&["--admin", &admin.to_string()])?,
        peer => {
            // What it has to install is no part of its start.
            said(peer, "version", home)?;
            let address = free_address()?;
            let mut command = script(peer, "serve", home)?;
            command.env("PORT", address.port().to_string());
            Server::start(command, address, home.folder(), Output::Null)?
        }
    };
    let signed = Events::new("trial")?.request(0);
    let mut spoiled = signed.clone();
    // The end of the body.
    spoiled.pop();
    spoiled.push(b' ');
    let ask = |request: &[u8]| Client::new(server.address).exchange(request);
    match [ask(&signed), ask(&spoiled)] {
        [Ok(200..=299), Ok(400..=599)] => Ok(server),
        [right, wrong] => bail!(
            "{name} answers a rightly signed request with {right:?} and a wrongly signed one with {wrong:?}"
        ),
    }
}

/// How many requests are in its file, the one of the trial included; of one that [`keeps`].
pub(super) fn kept(name: &str, home: &Home) -> Result<u64> {
    match is_ours(name) {
        true => home.kept(home.inbox(), &[]),
        false => {
            let kept = said(name, "kept", home)?;
            kept.trim().parse().context("count what a peer has kept")
        }
    }
}

/// What was measured, in which version: a line for the page. What is not there is named where it is measured.
pub(super) fn versions(names: &[&str], home: &Home) -> String {
    let peers = names.iter().filter(|name| !is_ours(name));
    let texts = peers.filter_map(|name| said(name, "version", home).ok());
    let texts = texts.collect::<Vec<_>>().join("\n");
    let lines = texts.lines().filter(|line| !line.is_empty());
    let lines: BTreeSet<&str> = lines.collect();
    lines.into_iter().collect::<Vec<_>>().join(", ")
}

fn said(peer: &str, word: &str, home: &Home) -> Result<String> {
    let output = script(peer, word, home)?.stdin(Stdio::null()).output();
    let output = output.context("start sh")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        bail!("{}", last.unwrap_or("no word of why"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn script(peer: &str, word: &str, home: &Home) -> Result<Command> {
    let folder = workspace::target()?.join("bench-peers");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let peers = workspace::root().join("xtask/bench/peers");
    let mut command = dying_with_us("sh");
    command
        .arg(peers.join(format!("{peer}.sh")))
        .arg(word)
        .current_dir(folder)
        .env("PEERS", peers)
        .env("FILE", home.inbox())
        .env("HEYGEN_WEBHOOK_SECRET", SECRET);
    Ok(command)
}
