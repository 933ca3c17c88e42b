//! A cluster.

use xtask_nats::{Cluster, Options, Program};

use crate::client::{create_stream, messages, request};

#[test]
fn it_survives_the_leader_of_a_stream_and_a_restart_of_all() {
    for program in Program::ALL {
        let mut cluster = Cluster::start(program, 3, &Options::new()).unwrap();
        let [first, second, third] = [0, 1, 2].map(|node| cluster.node(node).address());
        assert_eq!(cluster.routes_of(0).unwrap(), [1, 2]);
        let created = create_stream(first, 3).unwrap();
        assert_eq!(created["config"]["num_replicas"], 3, "{created}");
        let acknowledged = request(second, "kept.one", "one").unwrap();
        assert_eq!(acknowledged["seq"], 1, "{acknowledged}");

        let leader = cluster.leader_of_stream("KEPT").unwrap();
        cluster.kill(leader).unwrap();
        let next = cluster.leader_of_stream("KEPT").unwrap();
        assert_ne!(next, leader);
        let acknowledged = request(cluster.node(next).address(), "kept.two", "two").unwrap();
        assert_eq!(acknowledged["seq"], 2, "{acknowledged}");

        cluster.restart(leader).unwrap();
        cluster.wait_until_ready().unwrap();
        cluster.kill_all().unwrap();
        cluster.restart_all().unwrap();
        cluster.leader_of_stream("KEPT").unwrap();
        assert_eq!(messages(third).unwrap(), 2);
    }
}
