//! `backfill` into streams.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::time::Duration;

use heygen_testkit::EventBuilder;
use heygen_testkit::sandbox::Sandbox;
use serde_json::Value;

use super::{World, videos};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn backfill_on_nats_stores_a_missed_event_once_after_the_duplicate_window() {
    let heygen = Sandbox::builder()
        .api_key("key")
        .probe(false)
        .time_scale(0.0);
    let heygen = heygen.start().await.expect("a sandbox");
    let world = World::new();
    let serve = world.receive(&["--duplicate-window", "1s"]);
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    let nobody = heygen.register("http://127.0.0.1:1/webhooks/heygen");
    nobody.await.expect("an endpoint");
    let send = async |numbers: std::ops::Range<u32>| {
        for number in numbers {
            let event = EventBuilder::new("avatar_video.success").set("brand_new", true);
            heygen.send(event.set("video_id", format!("v{number:02}")));
        }
        heygen.settled().await;
    };
    let url = heygen.url().to_owned();
    let backfill = |arguments: &[&str]| -> [Value; 2] {
        let environment = [
            ("HEYGEN_API_KEY", "key"),
            ("HEYGEN_WEBHOOKS_BASE_URL", &url),
        ];
        let arguments = [&["backfill", "--json"], arguments].concat();
        let counts = world
            .workdir
            .run_with(&arguments, b"", &environment)
            .ok()
            .json();
        [counts["new"].clone(), counts["known"].clone()]
    };
    send(0..12).await;
    assert_eq!(backfill(&["--dry-run"]), [12, 0]);
    assert_eq!(backfill(&[]), [12, 0]);
    // It has ended before such counts are written by themselves.
    let drift = world.workdir.json(&["inbox", "drift", "--json"]);
    assert_eq!(drift[0]["count"], 12, "{drift}");
    // The servers know no duplicate of it any more: the inbox itself does.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(backfill(&["--since", "1d"]), [0, 12]);
    send(12..15).await;
    assert_eq!(backfill(&["--since", "1d"]), [3, 12]);
    let worker = world.work(&["--json"]);
    eventually(|| super::counts(&world.workdir, &[]) == [0, 0, 15, 0]);
    let mut handed = videos(worker);
    handed.sort();
    let expected: Vec<_> = (0..15).map(|number| format!("v{number:02}")).collect();
    assert_eq!(handed, expected);
}

#[test]
fn backfill_on_nats_stops_while_the_servers_are_away() {
    let mut world = World::new();
    let heygen = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", heygen.local_addr().expect("its address"));
    let command = world.workdir.command(&["backfill"]);
    let environment = [
        ("HEYGEN_API_KEY", "key"),
        ("HEYGEN_WEBHOOKS_BASE_URL", &url),
    ];
    let backfill = world.workdir.begin(command, &environment);
    let (stream, _) = heygen.accept().expect("a request");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).expect("a line");
    }
    // The inbox is open, and has not read yet which events there are.
    world.server.kill().expect("it is killed");
    let page = r#"{"data":[{"event_type":"order.new","event_data":{"id":"1"}}],"has_more":false}"#;
    let length = page.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{page}");
    let client = stream.get_mut();
    client.write_all(answer.as_bytes()).expect("it reads");
    // It has read the page when it closes.
    client.read_to_end(&mut Vec::new()).expect("its end");
    backfill.signal("TERM");
    let (ended, end) = channel();
    std::thread::spawn(move || ended.send(backfill.wait()));
    let (status, _, log) = end
        .recv_timeout(Duration::from_secs(60))
        .expect("it ends although the servers are away");
    assert_eq!(status, 1, "{log:?}");
}
