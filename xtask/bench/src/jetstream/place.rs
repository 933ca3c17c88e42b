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
    pub(super) fn is_ended(&self) -> bool {
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
        let nodes = self.nodes().into_iter();
        let addresses: Vec<String> = nodes.map(|node| node.address().to_string()).collect();
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

/// What one server tells of the streams of the inbox; nothing of what it does not have.
fn state_of(told: &Value) -> State {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let accounts = list(&told["account_details"]).into_iter();
    let streams: Vec<Value> = accounts
        .flat_map(|told| list(&told["stream_detail"]))
        .collect();
    let named = |all: &[Value], name: &str| {
        let found = all.iter().find(|told| told["name"] == name);
        found.cloned().unwrap_or_default()
    };
    let [events, records] = [STREAM, RECORDS].map(|name| named(&streams, name));
    let workers = named(&list(&events["consumer_detail"]), "workers");
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    State {
        kept: number(&events["state"]["messages"]),
        recorded: number(&records["state"]["messages"]),
        ended_to: number(&workers["ack_floor"]["stream_seq"]),
        out: number(&workers["num_ack_pending"]),
    }
}

pub(super) const STREAM: &str = "HEYGEN";
pub(super) const RECORDS: &str = "HEYGEN_RECORDS";

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
