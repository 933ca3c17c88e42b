//! Several servers that form a cluster.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::gate::Gate;
use crate::options::Options;
use crate::program::Program;
use crate::server::{Server, with_other_ports_on_a_clash};
use crate::{ports, wait};

/// A cluster on loopback, or a single server, with JetStream. Its nodes are `n0`, `n1` and so on, and go by these numbers.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    /// From each node to each other; none with direct routes.
    gates: Vec<(usize, usize, Gate)>,
    is_cut: Vec<bool>,
}

impl Cluster {
    /// Starts a cluster of `size` nodes and waits until it is [ready](Self::wait_until_ready).
    pub fn start(program: Program, size: usize, options: &Options) -> Result<Self> {
        with_other_ports_on_a_clash(|| {
            let mut cluster = Self::new(program, size, options)?;
            cluster.restart_all()?;
            Ok(cluster)
        })
    }

    fn new(program: Program, size: usize, options: &Options) -> Result<Self> {
        let listens = (0..size)
            .map(|_| ports::free())
            .collect::<Result<Vec<_>>>()?;
        // Another cluster may get a port of this one after it: with the same name they would become one.
        let name = format!("test-{}-{}", std::process::id(), listens[0].port());
        let advertise = match options.has_direct_routes {
            true => "",
            false => NOWHERE,
        };
        let mut cluster = Self {
            nodes: Vec::new(),
            gates: Vec::new(),
            is_cut: vec![false; size],
        };
        for (from, listen) in listens.iter().enumerate() {
            let mut routes = Vec::new();
            for (to, &direct) in listens.iter().enumerate().filter(|(to, _)| *to != from) {
                let mut address = direct;
                if !options.has_direct_routes {
                    let gate = Gate::to(direct)?;
                    address = gate.address();
                    cluster.gates.push((from, to, gate));
                }
                routes.push(format!("\"nats-route://{address}\""));
            }
            let routes = routes.join(", ");
            // A server without others is a cluster of none.
            let block = match size {
                1 => String::new(),
                _ => format!(
                    "cluster {{\nname: \"{name}\"\nlisten: \"{listen}\"\n{advertise}routes: [{routes}]\n}}\n"
                ),
            };
            let server = Server::new(program, options, &format!("n{from}"), &block)?;
            cluster.nodes.push(server);
        }
        Ok(cluster)
    }

    /// How many nodes it has, those included that do not run.
    #[must_use]
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// A node.
    #[must_use]
    pub fn node(&self, node: usize) -> &Server {
        &self.nodes[node]
    }

    /// A node, to pause it, or to stop it in order.
    pub fn node_mut(&mut self, node: usize) -> &mut Server {
        &mut self.nodes[node]
    }

    /// The URL of each node.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// Ends a node at once, with SIGKILL.
    pub fn kill(&mut self, node: usize) -> Result<()> {
        self.nodes[node].kill()
    }

    /// Starts a node again, on the same ports and data, and waits until it listens; one that still runs is stopped first.
    pub fn restart(&mut self, node: usize) -> Result<()> {
        self.nodes[node].restart()
    }

    /// Cuts a node off from all other nodes: connections between them are closed, and new ones too. Clients still reach it.
    ///
    /// Nothing is waited for. The others notice at once; that there is no meta leader any more it notices after seconds.
    pub fn cut(&mut self, node: usize) -> Result<()> {
        self.set_cut(node, true)
    }

    /// Lets a node that was cut off reach the others again, but those that are still cut off themselves.
    ///
    /// Nothing is waited for: [`wait_until_ready`](Self::wait_until_ready) does that.
    pub fn heal(&mut self, node: usize) -> Result<()> {
        self.set_cut(node, false)
    }

    /// Ends all nodes at once, with SIGKILL.
    pub fn kill_all(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Server::kill)
    }

    /// Starts all nodes, on the same ports and data, and waits until the cluster is [ready](Self::wait_until_ready);
    /// those that still run are stopped first.
    pub fn restart_all(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Server::stop)?;
        self.nodes.iter_mut().try_for_each(Server::spawn)?;
        self.nodes
            .iter_mut()
            .try_for_each(Server::wait_until_ready)?;
        self.wait_until_ready()
    }

    /// Waits until every node runs, is healthy, has routes to all others and knows the same meta leader.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.check_running()
                .map_err(|error| node.with_log(&error))?;
        }
        wait::until("the cluster to be ready", || {
            Ok(self.check_ready().map_err(|error| format!("{error:#}")))
        })
        .map_err(|error| {
            self.nodes
                .iter()
                .fold(error, |error, node| node.with_log(&error))
        })
    }

    /// The node that leads a stream, once the greater part of all nodes agree on it and it says so itself.
    ///
    /// The stream is found by its name in any account.
    pub fn leader_of_stream(&self, stream: &str) -> Result<usize> {
        let path = "/jsz?accounts=true&streams=true&config=true";
        wait::until(&format!("a leader of stream {stream}"), || {
            let seen = self.leaders(path, |answer| leader_of(answer, stream));
            Ok(agreed(&seen).ok_or_else(|| format!("the nodes see {seen:?}")))
        })
    }

    /// The nodes that one node has routes to now. Nodes that do not answer are left out: they are known by what they tell.
    pub fn routes_of(&self, node: usize) -> Result<Vec<usize>> {
        let answer = self.nodes[node].monitor("/routez")?;
        let routes = answer["routes"].as_array().map_or(&[][..], Vec::as_slice);
        // Newer servers have several routes to each other, older ones do not tell whose name is at the other end.
        let has_route_to = |other: &Server| {
            let id = other.monitor("/varz").ok()?["server_id"].clone();
            Some(routes.iter().any(|route| route["remote_id"] == id))
        };
        Ok((0..self.size())
            .filter(|&other| has_route_to(&self.nodes[other]).unwrap_or(false))
            .collect())
    }

    fn set_cut(&mut self, node: usize, is_cut: bool) -> Result<()> {
        if self.gates.is_empty() {
            bail!("the nodes have direct routes: none can be cut off");
        }
        self.is_cut[node] = is_cut;
        for (from, to, gate) in &self.gates {
            gate.set_open(!self.is_cut[*from] && !self.is_cut[*to]);
        }
        Ok(())
    }

    fn check_ready(&self) -> Result<()> {
        for (number, node) in self.nodes.iter().enumerate() {
            node.monitor("/healthz")?;
            let routes = self.routes_of(number)?;
            if routes.len() + 1 != self.size() {
                bail!("n{number} has routes to the nodes {routes:?} alone");
            }
        }
        if self.size() == 1 {
            return Ok(());
        }
        let seen = self.leaders("/jsz", |answer| number(&answer["meta_cluster"]["leader"]));
        if seen.contains(&None) || seen.iter().any(|leader| *leader != seen[0]) {
            bail!("as meta leader the nodes see {seen:?}");
        }
        Ok(())
    }

    /// The leader that each node names now; `None` when it names none, or does not answer.
    fn leaders(&self, path: &str, leader: impl Fn(&Value) -> Option<usize>) -> Vec<Option<usize>> {
        let seen = self.nodes.iter().map(|node| node.monitor(path).ok());
        seen.map(|answer| leader(&answer?)).collect()
    }
}

/// The leader that more than half of the nodes see, itself among them.
fn agreed(seen: &[Option<usize>]) -> Option<usize> {
    (0..seen.len()).find(|&node| {
        let votes = seen.iter().filter(|&&seen| seen == Some(node)).count();
        votes * 2 > seen.len() && seen[node] == Some(node)
    })
}

fn leader_of(answer: &Value, stream: &str) -> Option<usize> {
    let accounts = answer["account_details"].as_array()?;
    let mut streams = accounts
        .iter()
        .filter_map(|account| account["stream_detail"].as_array())
        .flatten();
    let found = streams.find(|detail| detail["name"] == stream)?;
    number(&found["cluster"]["leader"])
}

/// 2 of `n2`.
fn number(name: &Value) -> Option<usize> {
    name.as_str()?.strip_prefix('n')?.parse().ok()
}

/// Where nodes look for each other: no one listens there, so that all they have is their ways through our gates.
/// Without it each would tell the others where the gate leads.
const NOWHERE: &str = "advertise: \"127.0.0.1:1\"\n";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_leader_is_one_that_most_see_and_that_says_so() {
        assert_eq!(agreed(&[Some(1), Some(1), Some(1)]), Some(1));
        assert_eq!(agreed(&[None, Some(1), Some(1)]), Some(1));
        // What was cut off may see itself as the leader for a while.
        assert_eq!(agreed(&[Some(0), Some(2), Some(2)]), Some(2));
        assert_eq!(agreed(&[Some(1), None, Some(1)]), None);
        assert_eq!(agreed(&[None, None, Some(2)]), None);
        assert_eq!(agreed(&[None, Some(1), Some(1), None]), None);
    }

    #[test]
    fn a_stream_is_found_in_any_account() {
        let answer = json!({
            "account_details": [
                { "name": "$G" },
                { "name": "A", "stream_detail": [
                    { "name": "X", "cluster": { "leader": "n0" } },
                    { "name": "Y", "cluster": { "leader": "n2" } },
                    { "name": "Z", "cluster": {} },
                ] },
            ],
        });
        assert_eq!(leader_of(&answer, "Y"), Some(2));
        assert_eq!(leader_of(&answer, "Z"), None);
        assert_eq!(leader_of(&answer, "W"), None);
    }
}
