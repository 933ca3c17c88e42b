//! A single server.

use std::io::Read as _;
use std::net::TcpStream;

use xtask_nats::{Options, Program, Server};

#[test]
fn it_has_the_same_ports_after_it_was_killed() {
    for program in Program::ALL {
        let mut server = Server::start(program, &Options::new()).unwrap();
        let varz = server.monitor("/varz").unwrap();
        assert_eq!(varz["version"], program.version().unwrap());
        let urls = [server.url(), server.monitor_url()];
        server.kill().unwrap();
        assert!(TcpStream::connect(server.address()).is_err());
        server.restart().unwrap();
        assert_eq!([server.url(), server.monitor_url()], urls);
    }
}

#[test]
fn settings_reach_the_server() {
    for program in Program::ALL {
        let server = Server::start(program, &Options::new()).unwrap();
        let config = &server.monitor("/varz").unwrap()["jetstream"]["config"];
        let knows_sync = program == Program::Current;
        assert_eq!(config["sync_always"] == true, knows_sync);

        let options = Options::new()
            .sync_interval("30s")
            .config("max_payload: 2KB")
            .config("authorization { user: a, password: b }");
        let server = Server::start(program, &options).unwrap();
        let varz = server.monitor("/varz").unwrap();
        let config = &varz["jetstream"]["config"];
        assert_eq!(config["sync_always"], serde_json::Value::Null);
        assert_eq!(config["sync_interval"] == 30_000_000_000_u64, knows_sync);
        assert_eq!(varz["max_payload"], 2048);
        assert_eq!(varz["auth_required"], true);
    }
}

#[test]
fn it_stops_in_order_also_when_it_is_paused() {
    let mut server = Server::start(Program::Current, &Options::new()).unwrap();
    server.pause().unwrap();
    // The system takes the connection, and nobody greets.
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
    for program in Program::ALL {
        let options = Options::new().config("no_such_setting: 1");
        let error = Server::start(program, &options).unwrap_err().to_string();
        assert!(error.contains("nats-server single has ended"), "{error}");
        assert!(error.contains("no_such_setting"), "{error}");
    }
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
