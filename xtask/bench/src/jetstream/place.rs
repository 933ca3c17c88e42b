//! [`Setup`]: what servers a measurement runs on, and [`Place`]: those servers, new and empty for each.

use anyhow::{Context as _, Result, bail};
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

pub(super) const ONE: Setup = Setup {
    name: "one",
    nodes: 1,
    is_synced: true,
};

pub(super) const THREE: Setup = Setup {
    name: "three",
    nodes: 3,
    is_synced: true,
};

pub(super) const ONE_RELAXED: Setup = Setup {
    name: "one, not synced",
    nodes: 1,
    is_synced: false,
};

pub(super) const THREE_RELAXED: Setup = Setup {
    name: "three, not synced",
    nodes: 3,
    is_synced: false,
};

/// Servers that run. They are killed when this is dropped.
#[derive(Debug)]
pub(super) enum Place {
    One(Server),
    Cluster(Cluster),
}

/// How far the handing-out of a stream has come, by what the servers tell.
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
    pub(super) fn is_ended(self) -> bool {
        self.recorded == self.kept && self.ended_to == self.kept && self.out == 0
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
        let addresses: Vec<String> = self
            .nodes()
            .iter()
            .map(|node| node.address().to_string())
            .collect();
        addresses.join(",")
    }

    /// What `--inbox` takes.
    pub(super) fn inbox(&self) -> String {
        format!("nats://{}/{STREAM}", self.servers())
    }

    /// A replica that is behind tells less than is there, so what the furthest tells is taken.
    pub(super) fn state(&self) -> Result<State> {
        let mut furthest = State::default();
        for node in self.nodes() {
            let told = node.monitor("/jsz?accounts=true&streams=true&consumers=true")?;
            let state = state_of(&told);
            furthest.kept = furthest.kept.max(state.kept);
            furthest.recorded = furthest.recorded.max(state.recorded);
            if state.ended_to >= furthest.ended_to {
                furthest.ended_to = state.ended_to;
                furthest.out = state.out;
            }
        }
        match furthest.kept {
            0 => bail!("no server tells of the stream {STREAM}"),
            _ => Ok(furthest),
        }
    }

    fn nodes(&self) -> Vec<&Server> {
        match self {
            Self::One(server) => vec![server],
            Self::Cluster(cluster) => (0..cluster.size()).map(|node| cluster.node(node)).collect(),
        }
    }
}

/// The version of the servers, for the page.
pub(super) fn version() -> Result<String> {
    Program::Current.version().context("nats-server")
}

/// What one server tells of the streams of the inbox; nothing of what it does not have.
fn state_of(told: &Value) -> State {
    let stream = |name: &str| {
        let accounts = told["account_details"].as_array().into_iter().flatten();
        let mut streams = accounts
            .filter_map(|account| account["stream_detail"].as_array())
            .flatten();
        streams.find(|stream| stream["name"] == name)
    };
    let messages = |stream: &Value| stream["state"]["messages"].as_u64().unwrap_or_default();
    let workers = stream(STREAM).and_then(|stream| {
        let mut consumers = stream["consumer_detail"].as_array()?.iter();
        consumers.find(|consumer| consumer["name"] == "workers")
    });
    let ack_floor = workers.and_then(|told| told["ack_floor"]["stream_seq"].as_u64());
    State {
        kept: stream(STREAM).map(messages).unwrap_or_default(),
        recorded: stream(RECORDS).map(messages).unwrap_or_default(),
        ended_to: ack_floor.unwrap_or_default(),
        out: workers
            .and_then(|told| told["num_ack_pending"].as_u64())
            .unwrap_or_default(),
    }
}

/// xtask/bench/src/measured/stream.rs fills the same.
pub(super) const STREAM: &str = "HEYGEN";
const RECORDS: &str = "HEYGEN_RECORDS";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_server_tells_is_read() {
        let told = json!({ "account_details": [
            { "name": "SYS" },
            { "name": "$G", "stream_detail": [
                { "name": "HEYGEN_RECORDS", "state": { "messages": 6 } },
                { "name": "HEYGEN", "state": { "messages": 9 }, "consumer_detail": [
                    { "name": "another", "ack_floor": { "stream_seq": 1 } },
                    { "name": "workers", "ack_floor": { "stream_seq": 5 }, "num_ack_pending": 2 },
                ] },
            ] },
        ] });
        let expected = State {
            kept: 9,
            recorded: 6,
            ended_to: 5,
            out: 2,
        };
        assert_eq!(state_of(&told), expected);
        assert_eq!(state_of(&json!({})), State::default());
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
