//! A cluster.

use std::io::Read as _;
use std::net::TcpStream;

use anyhow::Result;
use xtask_nats::{Cluster, Options, Program, until};

#[test]
fn a_node_is_cut_off_and_comes_back() -> Result<()> {
    let mut cluster = Cluster::start(Program::Current, 3, &Options::new())?;
    cluster.cut(1)?;
    until("the others to have one route less", || {
        let routes = (0..3).map(|node| cluster.routes_of(node));
        let routes = routes.collect::<Result<Vec<_>>>()?;
        let are_cut = routes == [vec![2], vec![], vec![0]];
        Ok(are_cut.then_some(()).ok_or(format!("{routes:?}")))
    })?;
    // It still greets clients, and has found no other way meanwhile.
    let mut first = [0; 4];
    TcpStream::connect(cluster.node(1).address())?.read_exact(&mut first)?;
    assert_eq!(&first, b"INFO");
    assert!(cluster.routes_of(1)?.is_empty());

    cluster.heal(1)?;
    cluster.wait_until_ready()?;
    assert_eq!(cluster.routes_of(1)?, [0, 2]);
    Ok(())
}

#[test]
fn with_direct_routes_no_node_can_be_cut_off() {
    let options = Options::new().direct_routes();
    let mut cluster = Cluster::start(Program::Current, 2, &options).unwrap();
    assert!(cluster.cut(0).is_err());
}
