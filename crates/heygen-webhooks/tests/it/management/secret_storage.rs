//! HeyGen shows a secret once: the checks before a request, and the fate of the secret when storing it fails.

use std::fs::File;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use heygen_testkit::sandbox::{Fault, Operation};
use serde_json::Value;

use super::{Heygen, KEY, URL};
use crate::support::eventually;

const FILE: &str = "heygen-inbox.db.secrets.json";

impl Heygen {
    /// The new content is written beside the file and renamed, which a folder in the way prevents.
    fn put_in_the_way(&self) {
        let new = self.workdir.path().join(format!("{FILE}.new"));
        std::fs::create_dir(new).expect("a folder");
    }
}

#[test]
fn create_fails_before_registering_if_the_secret_cannot_be_stored() {
    let heygen = Heygen::start();
    let old = heygen.create();
    heygen.workdir.file("heygen-inbox.db", "");
    heygen.put_in_the_way();
    heygen
        .run(&["endpoints", "create", URL, "--keep"])
        .fails_with(1, &["cannot write", FILE]);
    assert_eq!(heygen.sandbox.endpoints().len(), 1);
    heygen
        .run(&["endpoints", "rotate-secret", &old.endpoint_id, "--apply"])
        .fails_with(1, &["cannot write", FILE]);
    assert_eq!(heygen.first().secret.expose(), old.secret.expose());
}

#[test]
fn secret_that_cannot_be_stored_is_printed() {
    let heygen = Heygen::start();
    let late = Fault::slow(Duration::from_secs(1)).on(Operation::Create);
    heygen.refuse(late);
    let made = thread::scope(|scope| {
        let running = scope.spawn(|| heygen.run(&["endpoints", "create", URL, "--keep"]));
        // Made, and not answered yet.
        eventually(|| !heygen.sandbox.endpoints().is_empty());
        heygen.put_in_the_way();
        running.join().expect("it ran")
    });
    assert_eq!(made.status, 1);
    made.prints(heygen.first().secret.expose());
    made.says("could not store the secret");
}

#[cfg(target_os = "linux")]
#[test]
fn a_secret_that_could_not_be_printed_is_to_be_replaced() {
    let heygen = Heygen::start();
    let old = heygen.create();
    let id = old.endpoint_id.as_str();
    for arguments in [
        &["endpoints", "create", URL][..],
        &["endpoints", "create", URL, "--json"],
        &["endpoints", "rotate-secret", id],
        &["endpoints", "rotate-secret", id, "--json"],
    ] {
        let full = File::options()
            .write(true)
            .open("/dev/full")
            .expect("a file without room");
        let output = heygen
            .workdir
            .command(arguments)
            .env("HEYGEN_API_KEY", KEY)
            .env("HEYGEN_WEBHOOKS_BASE_URL", heygen.sandbox.url())
            .stdout(Stdio::from(full))
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("endpoints rotate-secret"), "{said}");
    }
}

#[test]
fn secret_rotated_elsewhere_retires_the_stored_one() {
    let heygen = Heygen::start();
    heygen.run(&["endpoints", "create", URL, "--keep"]).ok();
    let old = heygen.first();
    heygen
        .run(&["endpoints", "rotate-secret", &old.endpoint_id])
        .ok();
    let kept = heygen.secrets_file();
    assert_eq!(kept["secrets"][0]["secret"], old.secret.expose());
    assert!(kept["secrets"][0]["accepted_until"].is_string(), "{kept}");
}

#[test]
fn last_secret_of_a_running_serve_can_be_removed() {
    let heygen = Heygen::start();
    heygen.run(&["endpoints", "create", URL, "--keep"]).ok();
    let endpoint = heygen.first();
    let serve = heygen.workdir.serve_with(&[], &[]);
    let trigger = ["trigger", "batch.finished", "--json", "--to", &serve.url];
    let known = [("HEYGEN_WEBHOOK_SECRET", endpoint.secret.expose())];
    heygen.workdir.run_with(&trigger, b"", &known).ok();
    let delete = ["endpoints", "delete", &endpoint.endpoint_id, "--yes"];
    heygen.run(&delete).ok();
    serve.log_line("no signing secret is left");
    let refused = heygen.workdir.run_with(&trigger, b"", &known);
    assert_eq!(refused.json()["status"], 503);
}

#[test]
fn tokens_in_addresses_are_shown_to_programs_alone() {
    let heygen = Heygen::start();
    let url = "https://me:hunter2@hooks.example/h?token=hidden";
    let made = heygen.run(&["endpoints", "create", url]).ok();
    let listed = heygen.run(&["endpoints", "list"]).ok();
    for shown in [&made.stdout, &listed.stdout] {
        assert!(shown.contains("https://hooks.example/h?…"), "{shown}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("hidden"),
            "{shown}"
        );
    }
    let listed = heygen.json(&["endpoints", "list", "--json"]);
    assert_eq!(listed[0]["url"], Value::from(url));
}
