//! `dashboard` over streams, beside the receiver that fills them.

use super::World;
use crate::dashboard::{address, overview_and_delivery};
use crate::http::{ask, get};

#[test]
fn dashboard_shows_and_changes_what_is_on_streams() {
    let world = World::new();
    let serve = world.receive(&[]);
    for event in ["avatar_video.fail", "avatar_video.success"] {
        world.run(&["trigger", event, "--to", &serve.url]).ok();
    }
    let arguments = [
        "dashboard",
        "--admin",
        "127.0.0.1:0",
        "--log-format",
        "json",
    ];
    let dashboard = world.workdir.start(world.workdir.command(&arguments), &[]);
    let url = dashboard.url.trim_end_matches('/');
    let page = |path: &str| {
        let answer = get(&format!("{url}{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    };
    let overview = page("/");
    for wanted in ["accepted: failure", "avatar_video.success", "nats://"] {
        assert!(overview.contains(wanted), "{wanted}: {overview}");
    }
    let list = page("/deliveries?event=*.fail");
    assert!(!list.contains(">avatar_video.success</a>"), "{list}");
    let (_, link) = list
        .split_once("href=\"/deliveries/")
        .expect("a link to it");
    let (id, _) = link.split_once('"').expect("its end");
    let delivery = format!("/deliveries/{id}");
    assert!(page(&delivery).contains("could not be rendered"));
    for path in [
        "/rejected",
        "/drift",
        "/replay",
        "/deliveries?text=video_id",
    ] {
        page(path);
    }
    let change = |path: &str| {
        let answer = ask(&format!("{url}{path}"), "POST", &[("Origin", url)], b"");
        assert_eq!(answer.status, 303, "{path}: {}", answer.body);
    };
    change(&format!("{delivery}/dead-letter"));
    assert!(page("/deliveries?state=dead_lettered").contains(id));
    change(&format!("{delivery}/replay"));
    assert!(page("/deliveries?state=pending").contains(id));
    change("/pause");
    assert!(page("/").contains("Dispatch is paused"));
    change("/resume");
    let work = world.work(&[]);
    // It says first what it dispatches from; the two events come in any order.
    let handled = [work.line(), work.line(), work.line()].concat();
    assert!(handled.contains("avatar_video.fail"), "{handled}");
}

#[test]
fn work_shows_what_it_dispatches() {
    let world = World::new();
    let serve = world.receive(&[]);
    world
        .run(&["trigger", "avatar_video.fail", "--to", &serve.url])
        .ok();
    let work = world.work(&["--json"]);
    let url = address(&work);
    assert!(work.line().contains("avatar_video.fail"));
    let (overview, delivery) = overview_and_delivery(&url);
    assert!(overview.contains("nats://"), "{overview}");
    assert!(delivery.contains("could not be rendered"), "{delivery}");
}
