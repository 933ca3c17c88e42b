//! `backfill`: missed events come from HeyGen's log exactly once, also after a crash.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use heygen_testkit::EventBuilder;
use heygen_testkit::sandbox::{
    Endpoint, Fault, LogOrder, Misbehaviour, Operation, Outgoing, Sandbox,
};
use serde_json::{Value, json};

use crate::support::{Ended, Serve, Workdir};

const KEY: &str = "key-of-the-tests";

/// HeyGen, which gives up at once, and an inbox.
struct World {
    workdir: Workdir,
    heygen: Sandbox,
}

/// A running `backfill`. Dropped, it is killed.
struct UnderWay(Option<Child>);

impl World {
    async fn new() -> Self {
        let builder = Sandbox::builder().api_key(KEY).probe(false).time_scale(0.0);
        Self {
            workdir: Workdir::new(),
            heygen: builder.start().await.expect("a sandbox"),
        }
    }

    /// An endpoint at an address where nobody listens.
    async fn endpoint(&self) -> Endpoint {
        let nobody = self.heygen.register("http://127.0.0.1:1/webhooks/heygen");
        nobody.await.expect("registered")
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [
            ("HEYGEN_API_KEY", KEY),
            ("HEYGEN_WEBHOOKS_BASE_URL", self.heygen.url()),
        ]
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.workdir.run_with(arguments, b"", &self.environment())
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        self.run(arguments).ok().json()
    }

    /// What a run to the end counted.
    #[track_caller]
    fn backfill(&self, arguments: &[&str]) -> Value {
        self.json(&[&["backfill", "--json"], arguments].concat())
    }

    /// A server to which HeyGen sends from now on.
    fn serve(&self, endpoint: &Endpoint) -> Serve {
        let secret = ("HEYGEN_WEBHOOK_SECRET", endpoint.secret.expose());
        let serve = self.workdir.serve_with(&["--json"], &[secret]);
        self.run(&[
            "endpoints",
            "update",
            &endpoint.endpoint_id,
            "--url",
            &serve.url,
        ])
        .ok();
        serve
    }

    /// Events about videos of these numbers, and waits until they are accepted or given up.
    async fn send(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let video_id = format!("video-{number}");
            self.heygen
                .send(EventBuilder::new("avatar_video.success").set("video_id", video_id));
        }
        self.heygen.settled().await;
    }

    /// How often each subject is in the inbox.
    fn stored(&self) -> BTreeMap<String, usize> {
        self.workdir.by_subject()
    }

    fn fault(&self, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().map(|fault| fault.on(Operation::Events));
        self.heygen
            .misbehave(faults.fold(Misbehaviour::default(), Misbehaviour::fault));
    }

    /// A back-filling under way that has stored one page, and waits for the second.
    fn under_way(&self) -> UnderWay {
        let forever = Fault::slow(Duration::from_secs(600)).times(9);
        self.fault([Fault::slow(Duration::ZERO), forever]);
        let mut command = self.workdir.command(&["backfill"]);
        command.envs(self.environment()).stdin(Stdio::null());
        let pipes = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = UnderWay(Some(pipes.spawn().expect("the binary starts")));
        let begun = Instant::now();
        let list = ["inbox", "list", "--json", "--limit", "0"];
        // Before there is an inbox it cannot be listed.
        while self.workdir.run(&list).stdout.matches("\"id\"").count() < 100 {
            assert!(begun.elapsed() < PATIENCE, "no page is stored");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    }
}

impl UnderWay {
    fn signal(&self, name: &str) {
        let id = self.0.as_ref().expect("it runs").id();
        let kill = format!("kill -{name} {id}");
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.expect("a shell").success(), "{kill}");
    }

    fn wait(mut self) -> Output {
        let child = self.0.take().expect("it runs");
        child.wait_with_output().expect("it ends")
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Far beyond what anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn count<'a>(events: impl Iterator<Item = &'a Value>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        let subject = event["subject_id"].as_str().expect("a subject").to_owned();
        *counts.entry(subject).or_default() += 1;
    }
    counts
}

fn once_each(numbers: std::ops::Range<u32>) -> BTreeMap<String, usize> {
    numbers
        .map(|number| (format!("video-{number}"), 1))
        .collect()
}

fn counts(new: u64, known: u64, pages: u64) -> Value {
    json!({"complete": true, "dry_run": false, "new": new, "known": known, "unreadable": 0, "skipped": 0, "pages": pages})
}

#[tokio::test(flavor = "multi_thread")]
async fn backfilled_event_is_dispatched_once_by_a_running_serve() {
    let world = World::new().await;
    let endpoint = world.endpoint().await;
    let first = world.serve(&endpoint);
    world.send(0..3).await;
    first.signal("TERM");
    let (_, mut lines, _) = first.wait();

    world.send(3..7).await;
    assert!(
        world
            .heygen
            .deliveries()
            .iter()
            .all(|delivery| delivery.ended())
    );
    assert_eq!(
        world.stored(),
        once_each(0..3),
        "the night's events are lost so far"
    );

    let serve = world.serve(&endpoint);
    world.send(7..9).await;
    assert_eq!(world.backfill(&[]), counts(4, 5, 1));
    assert_eq!(world.backfill(&[]), counts(0, 9, 1));
    lines.extend((0..6).map(|_| serve.line()));
    serve.signal("TERM");
    let (status, rest, _) = serve.wait();
    lines.extend(rest);
    assert_eq!(status, 0);
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(count(lines.iter()), once_each(0..9), "handed out");
    assert_eq!(world.stored(), once_each(0..9), "stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn next_serve_dispatches_backfilled_events() {
    let world = World::new().await;
    world.send(0..5).await;
    let ended = world.run(&["backfill"]).ok();
    ended.prints("new               5  a running `serve` dispatches them");
    assert_eq!(ended.stderr, "", "no progress where there is no terminal");
    let endpoint = world.endpoint().await;
    let serve = world.serve(&endpoint);
    let lines: Vec<Value> = (0..5)
        .map(|_| serde_json::from_str(&serve.line()).expect("JSON"))
        .collect();
    assert_eq!(count(lines.iter()), once_each(0..5));
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_reads_a_long_log_and_a_dry_run_stores_nothing() {
    let world = World::new().await;
    world.send(0..257).await;
    let mut trial = counts(257, 0, 3);
    trial["dry_run"] = true.into();
    assert_eq!(world.backfill(&["--dry-run"]), trial);
    assert!(!world.workdir.path().join("heygen-inbox.db").exists());
    assert_eq!(world.backfill(&[]), counts(257, 0, 3));
    assert_eq!(world.backfill(&[]), counts(0, 257, 3));
    assert_eq!(world.stored(), once_each(0..257));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_the_log_does_not_matter() {
    for order in [
        LogOrder::NewestFirst,
        LogOrder::OldestFirst,
        LogOrder::Shuffled,
    ] {
        let world = World::new().await;
        world
            .heygen
            .misbehave(Misbehaviour::default().log_order(order));
        world.send(0..150).await;
        assert_eq!(world.backfill(&[]), counts(150, 0, 2), "{order:?}");
        world.send(150..253).await;
        assert_eq!(world.backfill(&[]), counts(103, 150, 3), "{order:?}");
        assert_eq!(
            world.backfill(&["--since", "1h"]),
            counts(0, 253, 3),
            "{order:?}"
        );
        assert_eq!(world.stored(), once_each(0..253), "{order:?}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn killed_backfill_resumes_at_its_page() {
    let world = World::new().await;
    world.send(0..250).await;
    let child = world.under_way();
    child.signal("KILL");
    child.wait();
    world.heygen.misbehave(Misbehaviour::default());
    world.send(250..255).await;
    // The two pages that were left, then the first one and the next again for what came meanwhile.
    let counted = world.backfill(&[]);
    assert_eq!(
        (&counted["complete"], &counted["new"]),
        (&json!(true), &json!(155))
    );
    assert_eq!(world.stored(), once_each(0..255));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_backfill_reports_its_progress() {
    let world = World::new().await;
    world.send(0..250).await;
    let child = world.under_way();
    child.signal("INT");
    let output = child.wait();
    assert_eq!(output.status.code(), Some(1));
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(stdout.contains("new             100"), "{stdout}");
    assert!(stderr.contains("resumes from here"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_reports_heygens_error_and_the_progress() {
    let world = World::new().await;
    world.send(0..150).await;
    let fine = || Fault::slow(Duration::ZERO);
    // One failure is repeated by the client, and so is one limit.
    world.fault([
        fine(),
        Fault::refuse(500),
        Fault::refuse(429).retry_after(0),
    ]);
    assert_eq!(world.backfill(&["--inbox", "other.db"]), counts(150, 0, 2));

    world.fault([fine(), Fault::refuse(503).times(3)]);
    let failed = world.run(&["backfill", "--json"]);
    assert_eq!(failed.status, 1);
    assert!(
        failed.stderr.contains("resumes from here")
            && failed.stderr.contains("HTTP 503")
            && failed.stderr.contains("try again later"),
        "{}",
        failed.stderr
    );
    let counted = failed.json();
    assert_eq!(
        (&counted["complete"], &counted["new"]),
        (&json!(false), &json!(100))
    );
    assert_eq!(world.backfill(&[])["new"], 50);
    assert_eq!(world.stored(), once_each(0..150));

    world.fault([Fault::refuse(401)]);
    let refused = world.run(&["backfill"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (1, ""));
    refused.says("check HEYGEN_API_KEY");
    let keyless = world
        .workdir
        .run_with(&["backfill", "--inbox", "none.db"], b"", &[]);
    assert_eq!(keyless.status, 2, "{}", keyless.stderr);
    assert!(
        !world.workdir.path().join("none.db").exists(),
        "nothing is made without a key"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_log_can_be_chosen() {
    let world = World::new().await;
    world.send(0..4).await;
    let failed = EventBuilder::new("avatar_video.fail").set("video_id", "video-4");
    world
        .heygen
        .send(Outgoing::new(failed).entity_id("project-7"));
    assert_eq!(
        world.backfill(&["--event-type", "avatar_video.fail"]),
        counts(1, 0, 1)
    );
    assert_eq!(world.stored(), once_each(4..5));
    assert_eq!(
        world.backfill(&["--entity-id", "project-7"]),
        counts(0, 1, 1)
    );
    let future = world.backfill(&["--since", "2999-01-01"]);
    assert_eq!(
        (&future["new"], &future["known"], &future["skipped"]),
        (&json!(0), &json!(0), &json!(5))
    );
    assert_eq!(world.backfill(&["--since", "1h"]), counts(4, 1, 1));
    let unknown = world.run(&["backfill", "--event-type", "video.failed"]);
    unknown.fails(1, "with `event-types`");
}
