//! Secrets: shown once, stored on request, and nowhere else.

use serde_json::{Value, json};

use super::{BOTH, Heygen, URL};

#[test]
fn a_created_endpoint_shows_its_secret_once() {
    for api in BOTH {
        let heygen = Heygen::start();
        let made = heygen.run(&["endpoints", "create", URL, "--api", api]).ok();
        let endpoint = heygen.first();
        let secret = endpoint.secret.expose();
        assert_eq!(made.stdout.matches(secret).count(), 1, "{}", made.stdout);
        for part in [
            &endpoint.endpoint_id,
            URL,
            "shown only once",
            "HEYGEN_WEBHOOK_SECRET",
        ] {
            made.prints(part);
        }
        assert_eq!(endpoint.events, None);

        for arguments in [&[][..], &["--json"]] {
            let list = ["endpoints", "list", "--api", api];
            let listed = heygen.run(&[&list, arguments].concat()).ok();
            assert!(!listed.stdout.contains(secret), "{}", listed.stdout);
            listed.prints(URL);
        }
        assert!(
            !heygen
                .workdir
                .path()
                .join("heygen-inbox.db.secrets.json")
                .exists()
        );
    }
}

#[test]
fn programs_get_the_secret_in_its_field() {
    for api in BOTH {
        let heygen = Heygen::start();
        let names = "avatar_video.success, avatar_video.fail";
        let made = heygen
            .run(&[
                "endpoints",
                "create",
                URL,
                "--events",
                names,
                "--api",
                api,
                "--json",
            ])
            .ok();
        let endpoint = heygen.first();
        let value = made.json();
        assert_eq!(value["secret"], endpoint.secret.expose());
        assert_eq!(value["endpoint_id"], endpoint.endpoint_id);
        assert_eq!(value["kept_in"], Value::Null);
        let events = json!(["avatar_video.success", "avatar_video.fail"]);
        assert_eq!(value["events"], events);
        assert_eq!(json!(endpoint.events), events);

        let listed = heygen.json(&["endpoints", "list", "--json", "--api", api]);
        assert_eq!(listed[0]["url"], URL);
        assert_eq!(listed[0]["events"], events);
        assert_eq!(listed[0]["status"], "enabled");
        assert_eq!(listed[0].get("secret"), Some(&Value::Null));
        assert_eq!(listed[0]["username"].is_string(), api == "v1");
    }
}

#[test]
fn stored_secret_is_not_printed() {
    for api in BOTH {
        let heygen = Heygen::start();
        let made = heygen
            .run(&["endpoints", "create", URL, "--keep", "--api", api])
            .ok();
        let secret = heygen.first().secret.expose().to_owned();
        assert!(!made.stdout.contains(&secret), "{}", made.stdout);
        made.prints("stored in ./heygen-inbox.db.secrets.json");
        let kept = &heygen.secrets_file()["secrets"][0];
        assert_eq!(kept["secret"], secret);
        assert_eq!(kept["url"], URL);

        let shown = heygen.json(&[
            "endpoints",
            "create",
            URL,
            "--keep",
            "--show",
            "--json",
            "--api",
            api,
        ]);
        assert_eq!(
            shown["secret"],
            heygen.sandbox.endpoints()[1].secret.expose()
        );
    }
}

#[test]
fn a_damaged_secrets_file_is_seen_before_anything_is_done() {
    let heygen = Heygen::start();
    heygen
        .workdir
        .file("heygen-inbox.db.secrets.json", "no JSON");
    let made = heygen.run(&["endpoints", "create", URL, "--keep"]);
    made.fails_with(1, &["is not a secrets file"]);
    assert!(heygen.sandbox.endpoints().is_empty());
}

#[test]
fn a_deleted_endpoint_leaves_no_secret() {
    let heygen = Heygen::start();
    heygen.run(&["endpoints", "create", URL, "--keep"]).ok();
    let id = heygen.first().endpoint_id;
    let deleted = heygen.json(&["endpoints", "delete", &id, "--yes", "--json"]);
    let expected =
        json!({"endpoint_id": id, "url": URL, "deleted": true, "secret_forgotten": true});
    assert_eq!(deleted, expected);
    assert_eq!(heygen.secrets_file()["secrets"], json!([]));
}

#[test]
fn a_replaced_secret_is_shown_once() {
    let heygen = Heygen::start();
    let old = heygen.create();
    let rotate = ["endpoints", "rotate-secret", &old.endpoint_id];
    let rotated = heygen.run(&rotate).ok();
    let new = heygen.first().secret;
    assert_ne!(new.expose(), old.secret.expose());
    assert_eq!(
        rotated.stdout.matches(new.expose()).count(),
        1,
        "{}",
        rotated.stdout
    );
    rotated.prints("shown only once");

    let rotated = heygen.json(&[&rotate[..], &["--json"]].concat());
    assert_eq!(rotated["secret"], heygen.first().secret.expose());
    assert_eq!(rotated["endpoint_id"], old.endpoint_id);

    heygen
        .run(&[&rotate[..], &["--api", "v1"]].concat())
        .fails_with(2, &["v1 cannot rotate a secret"]);
    heygen
        .run(&["endpoints", "rotate-secret", "nobody"])
        .fails_with(1, &["webhook_not_found", "endpoints list"]);
}

#[test]
fn rotated_secret_is_accepted_beside_the_old_one() {
    let heygen = Heygen::start();
    heygen.run(&["endpoints", "create", URL, "--keep"]).ok();
    let old = heygen.first();
    let serve = heygen.workdir.serve_with(&[], &[]);
    let rotate = ["endpoints", "rotate-secret", &old.endpoint_id, "--apply"];
    let rotated = heygen.run(&rotate).ok();
    let new = heygen.first().secret;
    for secret in [&old.secret, &new] {
        assert!(
            !rotated.stdout.contains(secret.expose()),
            "{}",
            rotated.stdout
        );
    }
    rotated.prints("The old one is accepted until");
    serve.log_line("secrets reloaded");
    for secret in [&old.secret, &new] {
        let trigger = ["trigger", "avatar_video.success", "--to", &serve.url];
        let known = [("HEYGEN_WEBHOOK_SECRET", secret.expose())];
        heygen.workdir.run_with(&trigger, b"", &known).ok();
    }
    let kept = heygen.secrets_file();
    assert_eq!(kept["secrets"][0]["secret"], old.secret.expose());
    assert!(kept["secrets"][0]["accepted_until"].is_string(), "{kept}");
    assert_eq!(kept["secrets"][1]["secret"], new.expose());
    assert_eq!(kept["secrets"][1]["url"], URL);
    assert_eq!(kept["secrets"][1]["accepted_until"], Value::Null);

    // Without any overlap the one before is forgotten at once.
    let rotated = heygen.run(&[&rotate[..], &["--overlap", "0s", "--show", "--json"]].concat());
    let rotated = rotated.ok().json();
    assert_eq!(rotated["secret"], heygen.first().secret.expose());
    assert_eq!(rotated["kept_in"], "./heygen-inbox.db.secrets.json");
    assert!(rotated["old_accepted_until"].is_string(), "{rotated}");

    // Also one that only expires because HeyGen did not list its endpoint, as with another account's key.
    let mut kept = heygen.secrets_file();
    let last = kept["secrets"].as_array().expect("a list").len() - 1;
    kept["secrets"][last]["accepted_until"] = json!("2999-01-01T00:00:00Z");
    kept["secrets"][last]["is_unlisted"] = json!(true);
    let file = "heygen-inbox.db.secrets.json";
    heygen.workdir.file(file, kept.to_string());
    let rotated = heygen.run(&[&rotate[..], &["--overlap", "0s"]].concat());
    rotated.ok().prints("The old one is no longer accepted.");
    let unlisted = &heygen.secrets_file()["secrets"][last];
    assert_eq!(unlisted["secret"], kept["secrets"][last]["secret"]);
    assert_ne!(
        unlisted["accepted_until"],
        kept["secrets"][last]["accepted_until"]
    );
    assert_eq!(unlisted["is_unlisted"], Value::Null);
}

#[test]
fn a_secret_is_not_replaced_for_an_inbox_that_is_not_there() {
    let heygen = Heygen::start();
    let old = heygen.create();
    let rotate = ["endpoints", "rotate-secret", &old.endpoint_id, "--apply"];
    heygen
        .run(&rotate)
        .fails_with(1, &["no inbox at ./heygen-inbox.db", "--inbox"]);
    assert_eq!(heygen.first().secret.expose(), old.secret.expose());

    heygen.workdir.file("other.db", "");
    let rotated = heygen
        .run(&[&rotate[..], &["--inbox", "other.db"]].concat())
        .ok();
    rotated.prints("The old one was not stored there");
    assert!(heygen.workdir.path().join("other.db.secrets.json").exists());
    heygen
        .run(&[&rotate[..3], &["--overlap", "1h"]].concat())
        .fails_with(2, &["--apply"]);
}
