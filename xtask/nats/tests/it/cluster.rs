//! A cluster.

use std::io::Read as _;
use std::net::TcpStream;
use std::thread;

use anyhow::Result;
use xtask_nats::{Cluster, Options, Program, until};

#[test]
fn a_node_is_cut_off_and_comes_back() {
    // With all of them at once: most of the time a cluster waits for its own timers.
    thread::scope(|scope| {
        for program in Program::ALL {
            scope.spawn(move || {
                if let Err(error) = check_cut(program) {
                    panic!("with {program:?}: {error:?}");
                }
            });
        }
    });
}

#[test]
fn with_direct_routes_no_node_can_be_cut_off() {
    let options = Options::new().direct_routes();
    let mut cluster = Cluster::start(Program::Current, 2, &options).unwrap();
    assert_eq!(cluster.routes_of(0).unwrap(), [1]);
    assert!(cluster.cut(0).is_err());
}

fn check_cut(program: Program) -> Result<()> {
    let mut cluster = Cluster::start(program, 3, &Options::new())?;
    let cut_off = 1;
    assert_eq!(cluster.routes_of(cut_off)?, [0, 2]);
    cluster.cut(cut_off)?;
    until("the others to have one route less", || {
        let routes = (0..3).map(|node| cluster.routes_of(node));
        let routes = routes.collect::<Result<Vec<_>>>()?;
        let are_cut = routes == [vec![2], vec![], vec![0]];
        Ok(are_cut.then_some(()).ok_or(format!("{routes:?}")))
    })?;
    until("the one that was cut off to see no leader", || {
        let told = cluster.node(cut_off).monitor("/jsz")?;
        let leader = told["meta_cluster"]["leader"].as_str();
        let sees_none = leader.unwrap_or_default().is_empty();
        Ok(sees_none.then_some(()).ok_or(format!("{leader:?}")))
    })?;
    // It still greets clients, and has found no other way meanwhile.
    let mut first = [0; 4];
    TcpStream::connect(cluster.node(cut_off).address())?.read_exact(&mut first)?;
    assert_eq!(&first, b"INFO");
    assert!(cluster.routes_of(cut_off)?.is_empty());

    cluster.heal(cut_off)?;
    cluster.wait_until_ready()?;
    assert_eq!(cluster.routes_of(cut_off)?, [0, 2]);

    cluster.kill_all()?;
    assert!(TcpStream::connect(cluster.node(0).address()).is_err());
    cluster.restart_all()
}
