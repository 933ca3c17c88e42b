//! [`Setting`]: three nodes, two receivers, two workers, and what can be done to each of these processes.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask_harness::event::Events;
use xtask_harness::server::{Output, Server};
use xtask_harness::testbed::Home;
use xtask_nats::{Cluster, Options, PATIENCE, Program, until};

use super::RECEIVERS;
use super::application::Application;
use super::senders::Senders;
use crate::Testbed;

/// All that runs. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) application: Application,
    pub(super) senders: Senders,
    /// In the order of [`USERS`]; `None` while one is down.
    servers: [Option<Server>; USERS.len()],
    /// What `--inbox` is.
    inbox: String,
    /// Of every process that stays.
    options: Vec<String>,
    pub(super) cluster: Cluster,
    /// Where all of them run, and nodes keep their data.
    home: Home,
    /// How many processes got a SIGKILL.
    pub(super) kills: u64,
}

/// What is done to a node or to all, or to one of [`USERS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Blow {
    Nothing,
    Kill(usize),
    KillNode,
    CutNode,
    PauseNode,
    KillAll,
}

impl Setting {
    pub(super) fn start(testbed: &Testbed, events: &Events, connections: usize) -> Result<Self> {
        let home = testbed.home("cluster")?;
        let users: String = USERS
            .iter()
            .map(|user| format!("{{ user: {user}, password: {PASSWORD} }}\n"))
            .collect();
        let settings = Options::new()
            .below(home.folder())
            .config(&format!("authorization {{\nusers: [\n{users}]\n}}"));
        let cluster = Cluster::start(testbed.options.nats, 3, &settings)?;
        let urls = cluster.urls().join(",").replace(",nats://", ",");
        let options = ["--replicas", "3", "--ack-wait", ACK_WAIT];
        let mut options = options.map(str::to_owned).to_vec();
        if testbed.options.nats == Program::Current {
            options.push("--require-sync".to_owned());
            let monitors = (0..cluster.size()).map(|node| cluster.node(node).monitor_url());
            options.extend(monitors.map(|url| format!("--nats-monitor={url}")));
        }
        for (file, text) in [
            (PASSWORD_FILE, PASSWORD),
            (FORWARD_SECRET_FILE, FORWARD_SECRET),
        ] {
            fs::write(home.folder().join(file), text).context("write a secret")?;
        }
        let mut setting = Self {
            application: Application::start(events)?,
            senders: Senders::start(connections, events),
            servers: [const { None }; USERS.len()],
            inbox: format!("{urls}/{STREAM}"),
            options,
            cluster,
            home,
            kills: 0,
        };
        (0..USERS.len()).try_for_each(|process| setting.start_process(process))?;
        setting.senders.begin();
        Ok(setting)
    }

    /// Does it. A worker is killed while handlers of it are at work, and what these had is returned.
    pub(super) fn strike(&mut self, blow: Blow, node: usize) -> Result<BTreeSet<u64>> {
        match blow {
            Blow::Nothing => {}
            Blow::KillNode => {
                self.cluster.kill(node)?;
                self.kills += 1;
            }
            Blow::KillAll => {
                self.cluster.kill_all()?;
                self.kills += u64::try_from(self.cluster.size())?;
            }
            Blow::CutNode => self.cluster.cut(node)?,
            Blow::PauseNode => self.cluster.node_mut(node).pause()?,
            Blow::Kill(process) => {
                let is_worker = process >= RECEIVERS;
                if is_worker {
                    self.application.hold(process);
                }
                let is_at_work =
                    !is_worker || wait(|| !self.application.state().waiting.is_empty());
                let server = self.servers[process].take();
                server.context("no process to kill")?.kill()?;
                self.kills += 1;
                let in_hand = self.application.let_go();
                if !is_at_work {
                    bail!("the worker had nothing to do");
                }
                return Ok(in_hand);
            }
        }
        Ok(BTreeSet::new())
    }

    /// Undoes it: starts again what was killed, as an init system would.
    pub(super) fn undo(&mut self, blow: Blow, node: usize) -> Result<()> {
        match blow {
            Blow::Nothing => Ok(()),
            Blow::KillNode => self.cluster.restart(node),
            Blow::KillAll => self.cluster.restart_all(),
            Blow::CutNode => self.cluster.heal(node),
            Blow::PauseNode => self.cluster.node_mut(node).resume(),
            Blow::Kill(process) => self.start_process(process),
        }
    }

    /// Waits until some receiver has taken something that was sent after `since`.
    pub(super) fn wait_until_taken(&self, since: Instant) -> bool {
        wait(|| (0..RECEIVERS).any(|receiver| self.senders.were_taken_by(receiver, since)))
    }

    /// Waits until all receivers have taken, and all workers handed over, something after `since`.
    pub(super) fn wait_until_well(&self, since: Instant) -> bool {
        wait(|| {
            (0..USERS.len()).all(|process| match process < RECEIVERS {
                true => self.senders.were_taken_by(process, since),
                false => self.application.has_taken_from(process, since),
            })
        })
    }

    /// Waits until these were handed over.
    pub(super) fn wait_until_handed(&self, numbers: &BTreeSet<u64>) -> bool {
        wait(|| self.application.missing(numbers) == 0)
    }

    /// Who of ours ended without having been killed.
    pub(super) fn ended(&mut self) -> Result<Vec<String>> {
        let mut ended = Vec::new();
        for (server, name) in self.servers.iter_mut().zip(USERS) {
            if let Some(server) = server
                && let Some(status) = server.ended()?
            {
                ended.push(format!("{name} ended by itself ({status})"));
            }
        }
        Ok(ended)
    }

    pub(super) fn leader(&self) -> Result<usize> {
        self.cluster.leader_of_stream(STREAM)
    }

    /// Sees to it that receiver 0 speaks to this node, and receiver 1 to another, by starting them again until chance has it so.
    pub(super) fn place_receivers(&mut self, node: usize) -> Result<()> {
        for (receiver, user) in USERS.iter().enumerate().take(RECEIVERS) {
            until("a receiver to be at the right node", || {
                let found = self.node_of(user)?;
                let is_right = found.is_some_and(|found| (found == node) == (receiver == 0));
                if !is_right {
                    let server = self.servers[receiver].take();
                    server.context("no receiver to start again")?.stop()?;
                    self.start_process(receiver)?;
                }
                Ok(is_right.then_some(()).ok_or(format!("{found:?}")))
            })?;
        }
        Ok(())
    }

    /// Which node a user is connected to.
    fn node_of(&self, user: &str) -> Result<Option<usize>> {
        for node in 0..self.cluster.size() {
            let answer = self.cluster.node(node).monitor("/connz?auth=true")?;
            let mut connections = answer["connections"].as_array().into_iter().flatten();
            if connections.any(|connection| connection["authorized_user"] == user) {
                return Ok(Some(node));
            }
        }
        Ok(None)
    }

    fn start_process(&mut self, process: usize) -> Result<()> {
        let (user, url) = (USERS[process], self.application.url(process));
        let mut options = vec!["--log-format", "json"];
        options.extend(self.options.iter().map(String::as_str));
        options.extend(login(user));
        let words = if process < RECEIVERS {
            options.extend(["--receive-only", "--admin", "off"]);
            ["serve", "--listen"]
        } else {
            options.extend(["--forward", &url]);
            options.extend(["--forward-secret-file", FORWARD_SECRET_FILE]);
            options.extend(["--retry-initial-delay", "0.5", "--retry-max-delay", "2"]);
            options.extend(["--retry-max-attempts", "1000"]);
            ["work", "--admin"]
        };
        let (home, inbox) = (&self.home, &self.inbox);
        let server = home.begin(home.command(), words, inbox, &options, Output::Null);
        let server = server.with_context(|| format!("start {user}"))?;
        if process < RECEIVERS {
            self.senders.redirect(process, server.address);
        }
        self.servers[process] = Some(server);
        Ok(())
    }

    /// What the stream holds, as `inbox export` tells it.
    pub(super) fn export(&self) -> Result<Vec<Value>> {
        let words = [&["inbox", "export"], &login(USERS[0])[..]].concat();
        let lines = self.home.succeed(&words, &self.inbox)?;
        let lines = serde_json::Deserializer::from_slice(&lines).into_iter();
        lines.collect::<Result<_, _>>().context("read inbox export")
    }
}

fn login(user: &str) -> [&str; 4] {
    ["--nats-user", user, "--nats-password-file", PASSWORD_FILE]
}

/// Waits until it is so; `false` when that takes too long.
fn wait(is_so: impl Fn() -> bool) -> bool {
    crate::trial::wait(LONGEST, is_so)
}

/// How long anything may take to be well again.
pub(super) const LONGEST: Duration = PATIENCE;

pub(super) const STREAM: &str = "HEYGEN";

/// Receivers first. By these names the servers tell who is connected to which of them.
const USERS: [&str; 4] = ["receiver-0", "receiver-1", "worker-0", "worker-1"];

/// Known only to these servers, which listen on loopback for minutes.
const PASSWORD: &str = "password-of-the-faults";
const PASSWORD_FILE: &str = "nats-password";

/// What all workers sign with; the application does not look at it.
const FORWARD_SECRET: &str = "whsec_forwarding_of_the_faults";
const FORWARD_SECRET_FILE: &str = "forward-secret";

/// Seconds after which what a dead worker had goes to the other.
const ACK_WAIT: &str = "3";
