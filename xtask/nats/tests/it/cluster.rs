//! A cluster.

use std::thread;

use anyhow::Result;
use xtask_nats::{Cluster, Options, Program, until};

use crate::client::{create_stream, messages, publish, request};

#[test]
fn it_survives_the_end_of_its_leader_and_of_all() {
    with_each_program(check_ends);
}

#[test]
fn a_node_is_cut_off_and_comes_back() {
    with_each_program(check_cut);
}

#[test]
fn with_direct_routes_no_node_can_be_cut_off() {
    let options = Options::new().direct_routes();
    let mut cluster = Cluster::start(Program::Current, 2, &options).unwrap();
    assert_eq!(cluster.routes_of(0).unwrap(), [1]);
    assert!(cluster.cut(0).is_err());
}

/// With all of them at once: most of the time a cluster waits for its own timers.
fn with_each_program(check: fn(Program) -> Result<()>) {
    thread::scope(|scope| {
        for program in Program::ALL {
            scope.spawn(move || {
                if let Err(error) = check(program) {
                    panic!("with {program:?}: {error:?}");
                }
            });
        }
    });
}

fn check_ends(program: Program) -> Result<()> {
    let mut cluster = Cluster::start(program, 3, &Options::new())?;
    let [first, second, third] = [0, 1, 2].map(|node| cluster.node(node).address());
    let created = create_stream(first, 3)?;
    assert_eq!(created["config"]["num_replicas"], 3, "{created}");
    let before = publish(second)?;

    let leader = cluster.leader_of_stream("KEPT")?;
    cluster.kill(leader)?;
    let next = cluster.leader_of_stream("KEPT")?;
    assert_ne!(next, leader);
    let last = publish(cluster.node(next).address())?;
    assert!(last > before, "{last}");

    cluster.restart(leader)?;
    cluster.wait_until_ready()?;
    cluster.kill_all()?;
    cluster.restart_all()?;
    cluster.leader_of_stream("KEPT")?;
    assert_eq!(messages(third)?, last);
    Ok(())
}

fn check_cut(program: Program) -> Result<()> {
    let mut cluster = Cluster::start(program, 3, &Options::new())?;
    let leader = cluster.meta_leader()?;
    let others: Vec<usize> = (0..3).filter(|&node| node != leader).collect();
    assert_eq!(cluster.routes_of(leader)?, others);
    cluster.cut(leader)?;
    until("the others to have one route less", || {
        let routes = (0..3).map(|node| cluster.routes_of(node));
        let routes = routes.collect::<Result<Vec<_>>>()?;
        let are_cut = routes[leader].is_empty()
            && routes[others[0]] == [others[1]]
            && routes[others[1]] == [others[0]];
        Ok(are_cut.then_some(()).ok_or(format!("{routes:?}")))
    })?;
    until("the one that was cut off to see no leader", || {
        let seen = cluster.meta_leader_seen_by(leader)?;
        Ok(seen.is_none().then_some(()).ok_or(format!("{seen:?}")))
    })?;
    // It still answers to clients, and has found no other way meanwhile.
    let told = request(cluster.node(leader).address(), "answer", "{}")?;
    assert_eq!(told, serde_json::json!({}));
    assert!(cluster.routes_of(leader)?.is_empty());
    assert_ne!(cluster.meta_leader()?, leader);

    cluster.heal(leader)?;
    cluster.wait_until_ready()?;
    assert_eq!(cluster.routes_of(leader)?, others);
    Ok(())
}
