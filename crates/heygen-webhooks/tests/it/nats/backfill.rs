//! `backfill` into streams.

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
