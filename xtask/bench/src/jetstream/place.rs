//! [`Setup`]: what servers a measurement runs on, and [`Place`]: those servers, new and empty for each.

use anyhow::{Result, bail};
use serde_json::Value;
use xtask_nats::{Cluster, Options, Program, Server};

use xtask_harness::ground::Home;

/// What servers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) name: &'static str,
    /// 1, or a cluster of so many, each with everything.
    pub(super) nodes: usize,
    /// Whether a message is on the disk before it is acknowledged.
    pub(super) is_synced: bool,
}

impl Setup {
    const fn new(name: &'static str, nodes: usize, is_synced: bool) -> Self {
        Self {
            name,
            nodes,
            is_synced,
        }
    }
}

pub(super) static SETUPS: [Setup; 4] = [
    Setup::new("one", 1, true),
    Setup::new("three", 3, true),
    Setup::new("one, not synced", 1, false),
    Setup::new("three, not synced", 3, false),
];

/// Servers that run. They are killed when this is dropped.
#[derive(Debug)]
pub(super) enum Place {
    One(Server),
    Cluster(Cluster),
}

/// How far a stream has been dispatched, by what the servers tell.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct State {
    /// Events in the stream.
    pub(super) kept: u64,
    /// The events of which a record tells what became of them.
    pub(super) recorded: u64,
    /// The last event up to which all have been acknowledged by workers.
    pub(super) ended_to: u64,
    /// Given out and not acknowledged.
    pub(super) out: u64,
}

impl State {
    /// Whether workers have nothing to do with it any more.
    pub(super) fn is_ended(&self) -> bool {
        self.recorded == self.kept && self.ended_to == self.kept && self.out == 0
    }

    /// Adds what one server tells. A replica that is behind tells less than is there, so what the furthest tells is taken.
    fn add(&mut self, told: &Value) {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let accounts = list(&told["account_details"]).into_iter();
        for stream in accounts.flat_map(|account| list(&account["stream_detail"])) {
            let messages = number(&stream["state"]["messages"]);
            match stream["name"].as_str() {
                Some(STREAM) => self.kept = self.kept.max(messages),
                Some(RECORDS) => self.recorded = self.recorded.max(messages),
                _ => continue,
            }
            let consumers = list(&stream["consumer_detail"]).into_iter();
            for workers in consumers.filter(|consumer| consumer["name"] == "workers") {
                let ended_to = number(&workers["ack_floor"]["stream_seq"]);
                if ended_to >= self.ended_to {
                    (self.ended_to, self.out) = (ended_to, number(&workers["num_ack_pending"]));
                }
            }
        }
    }
}

impl Place {
    /// Starts servers with their data in `home`.
    pub(super) fn start(setup: &Setup, home: &Home) -> Result<Self> {
        let mut options = Options::new().below(home.folder()).direct_routes();
        if !setup.is_synced {
            options = options.sync_interval("2m");
        }
        match setup.nodes {
            1 => Ok(Self::One(Server::start(Program::Current, &options)?)),
            nodes => {
                let cluster = Cluster::start(Program::Current, nodes, &options)?;
                Ok(Self::Cluster(cluster))
            }
        }
    }

    /// `host:port,host:port`.
    pub(super) fn servers(&self) -> String {
        let nodes = self.nodes().into_iter();
        let addresses: Vec<String> = nodes.map(|node| node.address().to_string()).collect();
        addresses.join(",")
    }

    /// What `--inbox` takes.
    pub(super) fn inbox(&self) -> String {
        format!("nats://{}/{STREAM}", self.servers())
    }

    /// By what all servers tell.
    pub(super) fn state(&self) -> Result<State> {
        let mut state = State::default();
        for node in self.nodes() {
            state.add(&node.monitor("/jsz?accounts=true&streams=true&consumers=true")?);
        }
        match state.kept {
            0 => bail!("no server tells of the stream {STREAM}"),
            _ => Ok(state),
        }
    }

    fn nodes(&self) -> Vec<&Server> {
        match self {
            Self::One(server) => vec![server],
            Self::Cluster(cluster) => (0..cluster.size()).map(|node| cluster.node(node)).collect(),
        }
    }
}

pub(super) const STREAM: &str = "HEYGEN";
pub(super) const RECORDS: &str = "HEYGEN_RECORDS";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_furthest_server_tells_is_read() {
        let told = |messages: u64, ended_to: u64, out: u64| {
            json!({ "account_details": [
                { "name": "SYS" },
                { "name": "$G", "stream_detail": [
                    { "name": "HEYGEN_RECORDS", "state": { "messages": messages - 3 } },
                    { "name": "HEYGEN", "state": { "messages": messages }, "consumer_detail": [
                        { "name": "another", "ack_floor": { "stream_seq": 100 } },
                        { "name": "workers", "ack_floor": { "stream_seq": ended_to }, "num_ack_pending": out },
                    ] },
                ] },
            ] })
        };
        let mut state = State::default();
        for told in [told(8, 4, 3), told(9, 5, 2), json!({}), told(7, 3, 4)] {
            state.add(&told);
        }
        let expected = State {
            kept: 9,
            recorded: 6,
            ended_to: 5,
            out: 2,
        };
        assert_eq!(state, expected);
    }

    #[track_caller]
    fn check(recorded: u64, ended_to: u64, out: u64, expected: bool) {
        let state = State {
            kept: 9,
            recorded,
            ended_to,
            out,
        };
        assert_eq!(state.is_ended(), expected);
    }

    #[test]
    fn it_is_ended_when_all_is_recorded_and_acknowledged() {
        check(9, 9, 0, true);
        check(8, 9, 0, false);
        check(9, 8, 1, false);
        check(9, 9, 1, false);
    }
}
