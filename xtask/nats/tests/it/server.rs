//! A single server.

use std::io::Read as _;
use std::net::TcpStream;

use xtask_nats::{Options, Program, Server};

#[test]
fn it_stops_in_order_also_when_it_is_paused() {
    let mut server = Server::start(Program::Current, &Options::new()).unwrap();
    server.pause().unwrap();
    // The system takes the connection, and no one greets.
    let mut stream = TcpStream::connect(server.address()).unwrap();
    server.resume().unwrap();
    let mut first = [0; 4];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"INFO");
    server.pause().unwrap();
    server.stop().unwrap();
    assert!(server.log().unwrap().contains("Server Exiting"));
    let error = server.pause().unwrap_err().to_string();
    assert_eq!(error, "nats-server single has ended");
}

#[test]
fn a_server_that_ends_shows_its_log() {
    let options = Options::new().config("no_such_setting: 1");
    let error = Server::start(Program::Current, &options).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("nats-server single has ended"), "{error}");
    assert!(error.contains("no_such_setting"), "{error}");
}

#[test]
fn nothing_is_left_when_it_is_dropped() {
    let below = tempfile::tempdir().unwrap();
    let entries = || std::fs::read_dir(below.path()).unwrap().count();
    let server = Server::start(Program::Current, &Options::new().below(below.path())).unwrap();
    let address = server.address();
    assert_eq!(entries(), 1);
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(entries(), 0);
}
