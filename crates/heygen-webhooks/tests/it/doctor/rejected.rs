//! Rejected requests, as `doctor` reports them.

use serde_json::{Value, json};

use super::HeyGen;
use crate::support::{SECRET, Workdir, eventually};

fn listed(workdir: &Workdir) -> Vec<Value> {
    let list = ["inbox", "rejected", "list", "--json", "--limit", "0"];
    let list = workdir.json(&list);
    list.as_array().expect("an array").clone()
}

#[test]
fn a_flood_of_strangers_hides_nothing_of_heygen() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--rejected-count", "40"]);
    let look = || heygen.examine(&workdir, &["--no-sample"], Some(SECRET));
    serve.trigger(&workdir, &["batch.finished", "--unsigned"]);
    eventually(|| listed(&workdir).len() == 1);
    let seen = look();
    seen.is("rejected", "ok", "only unsigned requests");
    let item = seen.finding("rejected")["items"][0].as_str();
    assert!(!item.expect("a text").contains("headers: "), "{item:?}");

    serve.trigger(&workdir, &["avatar_video.fail", "--tamper"]);
    let flood = ["batch.finished", "--unsigned", "--count", "60"];
    serve.trigger(&workdir, &flood);
    eventually(|| {
        let listed = listed(&workdir);
        let signed = listed.iter().filter(|post| post["signed"] == true);
        (signed.count(), listed.len()) == (1, 11)
    });
    let seen = look();
    seen.is("rejected", "warn", "signed requests");
    let items = seen.finding("rejected")["items"].as_array().expect("items");
    let first = items[0].as_str().expect("a text");
    assert!(first.ends_with("(headers: signature)"), "{first}");
    // In a flood not every post is looked into: the words of those that are not begin the same way.
    let fix = seen.finding("rejected")["fix"].as_str().expect("a text");
    assert!(fix.starts_with("the signature matches no secret"), "{fix}");
    assert!(fix.contains("inbox rejected reverify"), "{fix}");
}

#[test]
fn doctor_shows_requests_rejected_unread() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--max-body-bytes", "20"]);
    for _ in 0..2 {
        let refused = serve.trigger(&workdir, &["batch.finished", "--keep-ids", "--json"]);
        assert_eq!(refused.json()["status"], json!(413));
    }
    eventually(|| matches!(&listed(&workdir)[..], [post] if post["count"] == 2));
    heygen
        .examine(&workdir, &["--no-sample"], Some(SECRET))
        .is("rejected", "warn", "body-too-large")
        .is("rejected", "warn", "--max-body-bytes")
        .is("rejected", "warn", "2 times");
}
