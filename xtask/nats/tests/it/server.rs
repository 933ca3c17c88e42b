//! A single server.

use std::io::Read as _;
use std::net::TcpStream;

use xtask_nats::{Options, Program, Server};

use crate::client::{create_stream, messages, publish, request};

#[test]
fn it_answers_and_keeps_its_data_when_it_is_killed() {
    for program in Program::ALL {
        let mut server = Server::start(program, &Options::new()).unwrap();
        let varz = server.monitor("/varz").unwrap();
        assert_eq!(varz["version"], program.version().unwrap());
        let [url, monitor_url] = [server.url(), server.monitor_url()];
        create_stream(server.address(), 1).unwrap();
        let last = publish(server.address()).unwrap();

        let first = server.pid();
        server.kill().unwrap();
        assert_eq!(server.pid(), None);
        assert!(TcpStream::connect(server.address()).is_err());
        server.restart().unwrap();

        assert_ne!(server.pid(), first);
        assert_eq!([server.url(), server.monitor_url()], [url, monitor_url]);
        assert_eq!(messages(server.address()).unwrap(), last);
    }
}

#[test]
fn every_write_is_synced_where_the_server_can() {
    let server = Server::start(Program::Current, &Options::new()).unwrap();
    let varz = server.monitor("/varz").unwrap();
    assert_eq!(varz["jetstream"]["config"]["sync_always"], true);
    let relaxed = Options::new().sync_interval("30s");
    let server = Server::start(Program::Current, &relaxed).unwrap();
    let config = &server.monitor("/varz").unwrap()["jetstream"]["config"];
    assert_eq!(config["sync_always"], serde_json::Value::Null);
    assert_eq!(config["sync_interval"], 30_000_000_000_u64);
}

#[test]
fn settings_reach_the_server() {
    for program in Program::ALL {
        let options = Options::new()
            .config("max_payload: 2KB")
            .config("authorization { user: a, password: b }")
            .jetstream("max_file_store: 1MB");
        let server = Server::start(program, &options).unwrap();
        let varz = server.monitor("/varz").unwrap();
        assert_eq!(varz["max_payload"], 2048);
        assert_eq!(varz["auth_required"], true);
        assert_eq!(varz["jetstream"]["config"]["max_storage"], 1024 * 1024);
        let refused = request(server.address(), "answer", "{}").unwrap_err();
        assert!(refused.to_string().contains("Authorization"), "{refused}");
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
    assert_eq!(server.pid(), None);
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
    let server = Server::start(Program::Current, &Options::new()).unwrap();
    let (address, store) = (server.address(), server.store());
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    assert!(!store.exists());
}
