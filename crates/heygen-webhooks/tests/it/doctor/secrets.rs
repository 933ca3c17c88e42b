//! The secrets: whether they are known, and who else can read them.

use serde_json::json;

use super::{HeyGen, examine};
use crate::support::{SECRET, Workdir};

#[test]
fn doctor_reports_an_unknown_secret() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let (_, secret) = heygen.register(&serve.url);
    let url = ["--public-url", serve.url.as_str()];

    heygen
        .examine(&workdir, &url, None)
        .problems(&["secrets"])
        .is("secrets", "problem", "not known here")
        .is("sample.signed", "skipped", "no secret");
    // With HeyGen's own secret the sample shows that the receiver has another one.
    heygen
        .examine(&workdir, &url, Some(&secret))
        .problems(&["sample.signed"])
        .is("secrets", "ok", "identical to the one HeyGen shows")
        .is("sample.signed", "problem", "401");
    heygen.without_v1();
    heygen
        .examine(&workdir, &url, Some(SECRET))
        .problems(&[])
        .is("secrets", "ok", "possibly")
        .is("sample.signed", "ok", "accepted");
    let missing = heygen.examine(&workdir, &["--secret-file", "nowhere"], None);
    missing
        .problems(&["secrets"])
        .is("secrets", "problem", "nowhere");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let file = workdir.file("secret", SECRET);
    for (mode, level) in [(0o644, "warn"), (0o600, "ok")] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, permissions).expect("a mode");
        heygen
            .examine(&workdir, &["--secret-file", "secret"], None)
            .problems(&[])
            .is("secrets.files", level, "");
    }
}

#[test]
fn secret_that_was_replaced_is_not_known() {
    let workdir = Workdir::new();
    let entry = json!({
        "endpoint_id": "e",
        "url": "https://hooks.example/heygen",
        "secret": SECRET,
        "kept_at": "2026-01-01T00:00:00Z",
        "accepted_until": "2026-01-02T00:00:00Z",
    });
    let stored = json!({ "secrets": [entry] }).to_string();
    workdir.file("heygen-inbox.db.secrets.json", stored);
    let environment = [("HEYGEN_WEBHOOK_SECRET", SECRET)];
    let seen = examine(&workdir, &["--local"], &environment);
    seen.is("secrets", "warn", "no secret is known here");
}

#[test]
fn advice_about_a_secret_that_was_rotated_elsewhere_helps() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let (id, _) = heygen.register("https://hooks.example/heygen");
    let entry = json!({
        "endpoint_id": id,
        "url": "https://hooks.example/heygen",
        "secret": SECRET,
        "kept_at": "2026-01-01T00:00:00Z",
        "accepted_until": null,
    });
    let stored = json!({ "secrets": [entry] }).to_string();
    workdir.file("heygen-inbox.db.secrets.json", stored);
    heygen
        .examine(&workdir, &[], None)
        .is(
            "secrets",
            "problem",
            "HeyGen signs with a secret that is not known here",
        )
        .is("secrets", "problem", "endpoints rotate-secret ID --apply");
    let rotate = [
        "endpoints",
        "rotate-secret",
        &id,
        "--apply",
        "--base-url",
        heygen.sandbox.url(),
    ];
    workdir
        .run_with(&rotate, b"", &[("HEYGEN_API_KEY", super::KEY)])
        .ok();
    heygen
        .examine(&workdir, &[], None)
        .is("secrets", "ok", "identical");
}

/// A pipe that no one writes to stands for a disk that hangs.
#[cfg(unix)]
#[test]
fn secrets_on_a_disk_that_hangs_hold_up_nothing() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    heygen.register("https://hooks.example/heygen");
    let secrets = workdir.path().join("heygen-inbox.db.secrets.json");
    let made = std::process::Command::new("mkfifo").arg(secrets).status();
    assert!(made.expect("mkfifo").success());
    heygen
        .examine(&workdir, &[], Some(SECRET))
        .is("secrets", "problem", "in time")
        .is("secrets.files", "skipped", "in time")
        .is("endpoints", "ok", "1 at HeyGen");
}
