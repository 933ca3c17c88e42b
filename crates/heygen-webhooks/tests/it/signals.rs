//! A second Ctrl-C ends everything at once, with the programs that handlers started.

use std::thread;
use std::time::Duration;

use heygen_testkit::EventBuilder;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process_group, waitpid};

use crate::endpoint;
use crate::http::post;
use crate::nats::World;
use crate::promises::event;
use crate::support::{Serve, Workdir, eventually, sandbox};

/// Says which process group it is, once all of it runs.
const HANDLER: [&str; 4] = [
    "--exec",
    "sh",
    "-c",
    "trap '' INT; sleep 33 & echo $$ > group.new; mv group.new group; wait",
];

/// The same, of which one part refuses to end, and the other is done at once.
const STUBBORN: [&str; 4] = [
    "--exec",
    "sh",
    "-c",
    "(trap '' TERM; sleep 33) & echo $$ > group.new; mv group.new group; wait",
];

fn runs(group: Pid) -> bool {
    test_kill_process_group(group).is_ok()
}

#[track_caller]
fn check(process: Serve, workdir: &Workdir, second: &str, expected: i32) {
    let path = workdir.path().join("group");
    eventually(|| path.exists());
    let group = std::fs::read_to_string(&path).expect("a file");
    let group = group.trim().parse().expect("a number");
    let group = Pid::from_raw(group).expect("a process group");
    assert!(runs(group), "{group:?}");
    process.signal("INT");
    process.log_line("stopping after running requests");
    assert!(runs(group), "the first one lets handlers end");
    // Later than what passes a signal on repeats it.
    thread::sleep(Duration::from_secs(1));
    process.signal(second);
    let (status, _, log) = process.wait();
    assert_eq!(status, expected, "{log:?}");
    assert!(
        log.iter().any(|line| line.contains("stopping at once")),
        "{log:?}"
    );
    // Whoever took over its children may take a moment to see that they are gone.
    for _ in 0..1000 {
        if !runs(group) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("process group {group:?} lives on");
}

#[test]
fn second_signal_ends_serve_and_its_handlers() {
    for handler in [&HANDLER, &STUBBORN] {
        for (second, expected) in [("INT", 130), ("TERM", 143)] {
            let workdir = Workdir::new();
            let serve = workdir.serve(handler);
            post(&serve, event("order.new", "a"));
            check(serve, &workdir, second, expected);
        }
    }
}

/// As from a terminal and from npm, to which a terminal sends it too.
#[test]
fn signal_that_is_passed_on_too_lets_handlers_end() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--exec", "sh", "-c", "touch runs; sleep 1"]);
    post(&serve, event("order.new", "a"));
    eventually(|| workdir.path().join("runs").exists());
    let process = Pid::from_raw(serve.process_id().cast_signed()).expect("an id");
    kill_process(process, Signal::STOP).expect("it is stopped");
    waitpid(Some(process), WaitOptions::UNTRACED).expect("it is our child");
    // While it is stopped, so that it finds both at once, however long this takes here.
    for signal in [Signal::INT, Signal::TERM, Signal::CONT] {
        kill_process(process, signal).expect("it is asked");
    }
    let (status, _, log) = serve.wait();
    assert_eq!(status, 0, "{log:?}");
}

#[test]
fn second_signal_ends_work_and_its_handlers() {
    let world = World::new();
    let receiver = world.receive(&[]);
    let work = world.work(&HANDLER);
    post(&receiver, event("order.new", "a"));
    check(work, &world.workdir, "INT", 130);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_signal_ends_dev_and_its_handlers() {
    let heygen = sandbox("key").await;
    let elsewhere = endpoint::start(|_| 200);
    heygen.register(&elsewhere).await.expect("registered");
    let workdir = Workdir::new();
    let fixed = [
        "dev",
        "--interval",
        "0.1",
        "--since",
        "1h",
        "--log-format",
        "json",
    ];
    let command = workdir.command(&[&fixed[..], &HANDLER].concat());
    let environment = [
        ("HEYGEN_API_KEY", "key"),
        ("HEYGEN_WEBHOOKS_BASE_URL", heygen.url()),
    ];
    let dev = workdir.begin(command, &environment);
    heygen.send(EventBuilder::new("avatar_video.success").set("video_id", "a"));
    heygen.settled().await;
    check(dev, &workdir, "INT", 130);
}
