//! [`Setting`]: three nodes, two receivers, two workers, and what can be done to each of these processes.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask_harness::event::Events;
use xtask_harness::ground::{Home, told};
use xtask_harness::server::{Output, Server, free_address};
use xtask_nats::{Cluster, Options, PATIENCE, Program, until};

use super::application::Application;
use super::senders::Senders;
use super::{RECEIVERS, WORKERS};
use crate::Ground;

/// All that runs. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) application: Application,
    pub(super) senders: Senders,
    /// An index for each; `None` while one is down.
    receivers: [Option<Server>; RECEIVERS],
    workers: [Option<Server>; WORKERS],
    machines: Machines,
    pub(super) cluster: Cluster,
    /// Where its nodes keep their data, as long as they run.
    _nodes: Home,
    /// How many processes got a SIGKILL.
    pub(super) kills: u64,
}

/// Where the processes run, and how they are started.
#[derive(Debug)]
struct Machines {
    receivers: [Home; RECEIVERS],
    workers: [Home; WORKERS],
    urls: Vec<String>,
    monitors: Vec<String>,
    keeps_promise: bool,
}

/// What is done to one process, or to all nodes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blow {
    Nothing,
    KillNode(usize),
    KillReceiver(usize),
    KillWorker(usize),
    CutNode(usize),
    PauseNode(usize),
    KillAllNodes,
}

impl Setting {
    pub(super) fn start(ground: &Ground, events: &Events, connections: usize) -> Result<Self> {
        let home = |role: &str, number| ground.home(&format!("cluster-{role}-{number}"));
        let servers = home("nodes", 0)?;
        let users: String = USERS
            .iter()
            .map(|user| format!("{{ user: {user}, password: {PASSWORD} }}\n"))
            .collect();
        let options = Options::new()
            .below(servers.folder())
            .config(&format!("authorization {{\nusers: [\n{users}]\n}}"));
        let cluster = Cluster::start(ground.nats, 3, &options)?;
        let nodes = || (0..cluster.size()).map(|node| cluster.node(node));
        let machines = Machines {
            receivers: [home("receiver", 0)?, home("receiver", 1)?],
            workers: [home("worker", 0)?, home("worker", 1)?],
            urls: cluster.urls(),
            monitors: nodes().map(xtask_nats::Server::monitor_url).collect(),
            keeps_promise: ground.nats == Program::Current,
        };
        for home in machines.receivers.iter().chain(&machines.workers) {
            fs::write(home.folder().join(PASSWORD_FILE), PASSWORD).context("write a password")?;
            fs::write(home.folder().join(FORWARD_SECRET_FILE), FORWARD_SECRET)
                .context("write a secret")?;
        }
        let application = Application::start(events)?;
        let receivers = [machines.receiver(0)?, machines.receiver(1)?];
        let workers = [
            machines.worker(0, &application)?,
            machines.worker(1, &application)?,
        ];
        let addresses = receivers.each_ref().map(|receiver| receiver.address);
        Ok(Self {
            senders: Senders::start(addresses, connections, events),
            application,
            receivers: receivers.map(Some),
            workers: workers.map(Some),
            machines,
            cluster,
            _nodes: servers,
            kills: 0,
        })
    }

    /// Does it. A worker is killed while handlers of it are at work, and what these had is returned.
    pub(super) fn strike(&mut self, blow: Blow) -> Result<Vec<u64>> {
        match blow {
            Blow::Nothing => {}
            Blow::KillNode(node) => {
                self.cluster.kill(node)?;
                self.kills += 1;
            }
            Blow::KillAllNodes => {
                self.cluster.kill_all()?;
                self.kills += u64::try_from(self.cluster.size())?;
            }
            Blow::CutNode(node) => self.cluster.cut(node)?,
            Blow::PauseNode(node) => self.cluster.node_mut(node).pause()?,
            Blow::KillReceiver(receiver) => {
                let server = self.receivers[receiver].take();
                server.context("no receiver to kill")?.kill()?;
                self.kills += 1;
            }
            Blow::KillWorker(worker) => {
                self.application.hold(worker);
                let has_some = until("a worker to be in the middle of its work", || {
                    let waiting = self.application.waiting();
                    Ok((waiting > 0).then_some(()).ok_or(format!("{waiting}")))
                });
                let server = self.workers[worker].take();
                server.context("no worker to kill")?.kill()?;
                self.kills += 1;
                let waiting = self.application.let_go();
                has_some?;
                return Ok(waiting.into_iter().collect());
            }
        }
        Ok(Vec::new())
    }

    /// Undoes it: starts again what was killed, as an init system would.
    pub(super) fn mend(&mut self, blow: Blow) -> Result<()> {
        match blow {
            Blow::Nothing => {}
            Blow::KillNode(node) => self.cluster.restart(node)?,
            Blow::KillAllNodes => self.cluster.restart_all()?,
            Blow::CutNode(node) => self.cluster.heal(node)?,
            Blow::PauseNode(node) => self.cluster.node_mut(node).resume()?,
            Blow::KillReceiver(receiver) => self.start_receiver(receiver)?,
            Blow::KillWorker(worker) => {
                self.workers[worker] = Some(self.machines.worker(worker, &self.application)?);
            }
        }
        Ok(())
    }

    /// Waits until some receiver has taken something that was sent after `since`.
    pub(super) fn wait_until_taken(&self, since: Instant) -> Option<Duration> {
        let is_taken =
            || (0..RECEIVERS).any(|receiver| self.senders.were_taken_by(receiver, since));
        wait(since, is_taken)
    }

    /// Waits until both receivers have taken, and both workers handed over, something after `since`.
    pub(super) fn wait_until_well(&self, since: Instant) -> Option<Duration> {
        let is_well = || {
            (0..RECEIVERS).all(|receiver| self.senders.were_taken_by(receiver, since))
                && (0..WORKERS).all(|worker| self.application.has_taken_from(worker, since))
        };
        wait(since, is_well)
    }

    /// Waits until these were handed over.
    pub(super) fn wait_until_handed(&self, numbers: &[u64], since: Instant) -> Option<Duration> {
        wait(since, || self.application.missing(numbers) == 0)
    }

    /// Who of ours ended without having been killed.
    pub(super) fn ended(&mut self) -> Result<Vec<String>> {
        let mut ended = Vec::new();
        let receivers = self.receivers.iter_mut().zip(&USERS);
        let workers = self.workers.iter_mut().zip(&USERS[RECEIVERS..]);
        for (server, name) in receivers.chain(workers) {
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
                    let server = self.receivers[receiver].take();
                    server.context("no receiver to start again")?.stop()?;
                    self.start_receiver(receiver)?;
                }
                Ok(is_right.then_some(()).ok_or(format!("{found:?}")))
            })?;
        }
        Ok(())
    }

    /// Which node a user is connected to.
    fn node_of(&self, user: &str) -> Result<Option<usize>> {
        for node in 0..self.cluster.size() {
            let told = self.cluster.node(node).monitor("/connz?auth=true")?;
            let connections = told["connections"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            if connections
                .iter()
                .any(|connection| connection["authorized_user"] == user)
            {
                return Ok(Some(node));
            }
        }
        Ok(None)
    }

    fn start_receiver(&mut self, receiver: usize) -> Result<()> {
        let server = self.machines.receiver(receiver)?;
        self.senders.redirect(receiver, server.address);
        self.receivers[receiver] = Some(server);
        Ok(())
    }

    /// What the stream holds, as `inbox export` tells it.
    pub(super) fn export(&self) -> Result<Vec<Value>> {
        self.machines.export()
    }
}

impl Machines {
    /// What `--inbox` is.
    fn inbox(&self) -> String {
        let hosts: Vec<&str> = self
            .urls
            .iter()
            .map(|url| url.trim_start_matches("nats://"))
            .collect();
        format!("nats://{}/{STREAM}", hosts.join(","))
    }

    fn receiver(&self, receiver: usize) -> Result<Server> {
        let listen = ["--receive-only", "--admin", "off", "--listen"];
        self.start("serve", &listen, receiver, &self.receivers[receiver])
    }

    fn worker(&self, worker: usize, application: &Application) -> Result<Server> {
        let url = application.url(worker);
        let forward = [
            "--forward",
            &url,
            "--forward-secret-file",
            FORWARD_SECRET_FILE,
        ];
        let retry = [
            "--retry-initial-delay",
            "0.5",
            "--retry-max-delay",
            "2",
            "--retry-max-attempts",
            "1000",
        ];
        let words = [&forward[..], &retry, &["--admin"]].concat();
        self.start("work", &words, RECEIVERS + worker, &self.workers[worker])
    }

    /// The last of `words` takes the address.
    fn start(&self, what: &str, words: &[&str], user: usize, home: &Home) -> Result<Server> {
        let address = free_address()?;
        let mut command = home.command();
        command
            .args([what, "--log-format", "json", "--inbox", &self.inbox()])
            .args(words)
            .arg(address.to_string())
            .args(self.options(USERS[user]));
        let begin = || -> Result<Server> {
            let mut server = Server::start(command, address, home.folder(), Output::Null)?;
            server.wait_until_begun()?;
            Ok(server)
        };
        begin().with_context(|| format!("start {}", USERS[user]))
    }

    /// Those of every process that stays.
    fn options(&self, user: &str) -> Vec<String> {
        let mut options: Vec<String> = [
            "--replicas",
            "3",
            "--ack-wait",
            ACK_WAIT,
            "--nats-user",
            user,
        ]
        .iter()
        .chain(&["--nats-password-file", PASSWORD_FILE])
        .map(|&word| word.to_owned())
        .collect();
        if self.keeps_promise {
            options.push("--require-sync".to_owned());
            for monitor in &self.monitors {
                options.extend(["--nats-monitor".to_owned(), monitor.clone()]);
            }
        }
        options
    }

    fn export(&self) -> Result<Vec<Value>> {
        let output = self.receivers[0]
            .command()
            .args(["inbox", "export", "--inbox", &self.inbox()])
            .args([
                "--nats-user",
                USERS[0],
                "--nats-password-file",
                PASSWORD_FILE,
            ])
            .output()
            .context("start heygen-webhooks inbox export")?;
        if !output.status.success() {
            bail!("`inbox export` failed: {}", told(&output));
        }
        let text = String::from_utf8(output.stdout).context("read what inbox export printed")?;
        text.lines()
            .map(|line| serde_json::from_str(line).context("read a line of inbox export"))
            .collect()
    }
}

/// How long it took until it was so; `None` when that took too long.
fn wait(since: Instant, is_so: impl Fn() -> bool) -> Option<Duration> {
    until("what is to come", || {
        Ok(is_so().then_some(()).ok_or_else(String::new))
    })
    .is_ok()
    .then(|| since.elapsed())
}

/// How long anything may take to be well again, for whoever says that it was not.
pub(super) const LONGEST: Duration = PATIENCE;

pub(super) const STREAM: &str = "HEYGEN";

/// Receivers first. By these names the servers tell who is connected to which of them.
const USERS: [&str; RECEIVERS + WORKERS] = ["receiver-0", "receiver-1", "worker-0", "worker-1"];

/// Known to nobody but these servers, which listen on loopback for minutes.
const PASSWORD: &str = "password-of-the-faults";
const PASSWORD_FILE: &str = "nats-password";

/// What all workers sign with; the application does not look at it.
const FORWARD_SECRET: &str = "whsec_forwarding_of_the_faults";
const FORWARD_SECRET_FILE: &str = "forward-secret";

/// Seconds after which what a dead worker had goes to the other.
const ACK_WAIT: &str = "3";
