//! `inbox rejected`: lists rejected requests, and accepts them once the secret is fixed.

use serde_json::{Value, json};

use super::ids;
use crate::http::{ask, ask_signed};
use crate::support::{SECRET, Serve, Workdir, eventually};

/// Spelled as no JSON library would, so that a body that was written anew shows.
const BODY: &str = "{ \"event_type\" : \"avatar_video.fail\",\n\t\"event_data\":{\"video_id\":\"a\",\"msg\":\"\\u00e9é\"} }\r\n";

/// A server that was given a wrong secret.
fn misled(workdir: &Workdir) -> Serve {
    workdir.file("secret", "whsec_wrong");
    workdir.serve_with(&["--json", "--secret-file", "secret"], &[])
}

/// The answer to a signed body, whatever it is.
fn post(serve: &Serve, body: impl AsRef<[u8]>) -> Value {
    let answer = ask_signed(&serve.url, body);
    serde_json::from_str(&answer.body).expect("JSON")
}

fn correct_secret(workdir: &Workdir, serve: &Serve) {
    workdir.file("secret", SECRET);
    serve.signal("HUP");
    serve.log_line("secrets reloaded");
}

/// What was rejected, as soon as there are so many.
fn rejected(workdir: &Workdir, number: usize) -> Vec<Value> {
    let mut found = Vec::new();
    eventually(|| {
        let list = workdir.run_with(&["inbox", "rejected", "list", "--json"], b"", &[]);
        found = list.ok().json().as_array().expect("an array").clone();
        found.len() == number
    });
    found
}

fn reverify(workdir: &Workdir, arguments: &[&str]) -> Value {
    let command = ["inbox", "rejected", "reverify", "--json"];
    let arguments = [&command[..], &["--secret-file", "secret"], arguments].concat();
    workdir.run_with(&arguments, b"", &[]).ok().json()
}

fn counts(json: &Value) -> [&Value; 4] {
    ["checked", "verified", "new", "duplicate"].map(|key| &json[key])
}

#[test]
fn reverify_accepts_deliveries_rejected_under_a_wrong_secret() {
    let workdir = Workdir::new();
    let serve = misled(&workdir);
    post(&serve, BODY);
    serve.trigger(&workdir, &["batch.finished", "--tamper"]);
    serve.trigger(&workdir, &["batch.finished", "--unsigned"]);
    let found = rejected(&workdir, 3);
    let json = reverify(&workdir, &[]);
    assert_eq!(counts(&json), [&json!(3), &json!(0), &json!(0), &json!(0)]);
    assert_eq!(
        json["not_verified"],
        json!({"matches-no-secret": 2, "no-signature-header": 1})
    );

    correct_secret(&workdir, &serve);
    serve.log_line("may verify now");
    let dry = reverify(&workdir, &["--dry-run"]);
    assert_eq!(counts(&dry), [&json!(3), &json!(1), &json!(0), &json!(0)]);
    assert_eq!(rejected(&workdir, 3), found, "a dry run changes nothing");
    assert_eq!(ids(&workdir, &[]), Vec::<String>::new());

    let json = reverify(&workdir, &[]);
    assert_eq!(counts(&json), [&json!(3), &json!(1), &json!(1), &json!(0)]);
    let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
    assert_eq!(line["event_type"], "avatar_video.fail");
    let id = json["deliveries"][0]["id"].as_str().expect("an id");
    assert_eq!(
        workdir.run(&["inbox", "show", id, "--raw"]).ok().raw,
        BODY.as_bytes()
    );
    let shown = workdir.json(&["inbox", "show", id, "--json"]);
    let first = found
        .iter()
        .find(|post| post["id"] == json["deliveries"][0]["request"]);
    assert_eq!(
        shown["received_at"],
        first.expect("it was listed")["first_at"]
    );
    assert_eq!(shown["source"], "webhook");
    assert_eq!(shown["headers"][0][0], "signature");

    let again = reverify(&workdir, &[]);
    assert_eq!(counts(&again), [&json!(2), &json!(0), &json!(0), &json!(0)]);
    let left = rejected(&workdir, 2);
    assert!(left.iter().all(|post| found.contains(post)), "{left:?}");
    assert_eq!(ids(&workdir, &[]), [id]);
}

#[test]
fn reverify_works_without_serve_and_recognises_duplicates() {
    let workdir = Workdir::new();
    let serve = misled(&workdir);
    post(&serve, BODY);
    post(&serve, BODY.replace("\"a\"", "\"b\""));
    rejected(&workdir, 2);
    correct_secret(&workdir, &serve);
    // HeyGen tries again, and is heard this time.
    assert_eq!(post(&serve, BODY)["status"], "accepted");
    serve.line();
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    let json = reverify(&workdir, &[]);
    assert_eq!(counts(&json), [&json!(2), &json!(2), &json!(1), &json!(1)]);
    assert_eq!(rejected(&workdir, 0), Vec::<Value>::new());
    assert_eq!(ids(&workdir, &[]).len(), 2);

    let serve = workdir.serve_with(&["--json", "--secret-file", "secret"], &[]);
    let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
    assert_eq!(line["subject_id"], "b", "{line}");
    let again = post(&serve, BODY.replace("\"a\"", "\"b\""));
    assert_eq!(again["status"], "duplicate");
}

#[cfg(unix)]
#[test]
fn reverify_reports_what_it_accepted_before_the_disk_was_full() {
    let workdir = Workdir::new();
    let serve = misled(&workdir);
    let filling = "x".repeat(900_000);
    for number in 0..6 {
        let body = BODY.replace("\\u00e9é", &filling);
        post(&serve, body.replace("\"a\"", &number.to_string()));
        rejected(&workdir, number + 1);
    }
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    // Five are a batch, for which there is room.
    let command = ["inbox", "rejected", "reverify", "--json"];
    let ended = workdir.run_limited(5_050_000, &command);
    ended.fails(1, "cannot write to inbox");
    assert_eq!(ended.json()["new"], 5);
    assert_eq!(rejected(&workdir, 1).len(), 1);
    workdir.file("secret", SECRET);
    assert_eq!(reverify(&workdir, &[])["new"], 1);
}

#[test]
fn only_named_deliveries_are_reverified() {
    let workdir = Workdir::new();
    let serve = misled(&workdir);
    for video in ["a", "b"] {
        let body = BODY.replace("\"a\"", &format!("\"{video}\""));
        post(&serve, body);
    }
    let newest = rejected(&workdir, 2)[0]["id"].to_string();
    workdir.file("secret", SECRET);
    let json = reverify(&workdir, &[&newest]);
    assert_eq!(counts(&json), [&json!(1), &json!(1), &json!(1), &json!(0)]);
    assert_ne!(rejected(&workdir, 1)[0]["id"].to_string(), newest);
    // The wrong secret is still in force there: what was taken in is handed out all the same.
    assert!(serve.line().contains("\"b\""));
    let command = ["inbox", "rejected", "reverify", "--secret-file", "secret"];
    let gone = workdir.run_with(&[&command[..], &[&newest]].concat(), b"", &[]);
    assert_eq!(gone.status, 1);
    gone.prints("no request");
    let json = reverify(&workdir, &["last"]);
    assert_eq!(counts(&json), [&json!(1), &json!(1), &json!(1), &json!(0)]);
}

#[test]
fn the_secret_beside_the_inbox_counts_and_none_is_a_mistake() {
    let workdir = Workdir::new();
    let serve = misled(&workdir);
    post(&serve, BODY);
    rejected(&workdir, 1);
    let command = ["inbox", "rejected", "reverify", "--json"];
    let none = workdir.run_with(&command, b"", &[]);
    none.fails(2, "HEYGEN_WEBHOOK_SECRET");
    let kept = json!({"secrets": [{
        "endpoint_id": "e", "url": "https://hooks.example", "secret": SECRET,
        "kept_at": "2026-11-01T00:00:00Z", "accepted_until": null,
    }]});
    workdir.file("heygen-inbox.db.secrets.json", kept.to_string());
    let json = workdir.run_with(&command, b"", &[]).ok().json();
    assert_eq!(json["new"], 1);
}

#[test]
fn lists_and_one_post_for_people_and_programs() {
    let workdir = Workdir::new();
    assert_eq!(workdir.run(&["inbox", "rejected", "list"]).status, 1);
    let serve = misled(&workdir);
    let list = |arguments: &[&str]| {
        let arguments = [&["inbox", "rejected", "list"], arguments].concat();
        workdir.run(&arguments).ok().stdout
    };
    assert_eq!(list(&[]), "no rejected requests\n");
    assert_eq!(list(&["--json"]), "[\n]\n");
    serve.trigger(&workdir, &["batch.finished", "--unsigned"]);
    rejected(&workdir, 1);
    post(&serve, BODY);
    post(&serve, BODY);
    eventually(|| rejected(&workdir, 2)[0]["count"] == 2);
    let newest = &rejected(&workdir, 2)[0];
    assert_eq!(newest["signed"], true);
    assert_eq!(newest["body_bytes"], BODY.len());
    let people = list(&["--limit", "1"]);
    assert!(people.starts_with("ID  LAST"), "{people}");
    for text in ["  2  ", "yes", "reverify", "matches no secret"] {
        assert!(people.contains(text), "{text} is missing:\n{people}");
    }
    assert!(!people.contains("no-signature-header"), "{people}");

    let id = newest["id"].to_string();
    let show = |arguments: &[&str], environment: &[(&str, &str)]| {
        let arguments = [&["inbox", "rejected", "show", &id], arguments].concat();
        workdir.run_with(&arguments, b"", environment).ok()
    };
    assert_eq!(show(&["--raw"], &[]).raw, BODY.as_bytes());
    let signature = show(&["--json"], &[]).json()["signatures"][0][1].clone();
    let signature = signature.as_str().expect("a text");
    assert_eq!(signature.len(), 64);
    let unknown = show(&[], &[]).stdout;
    assert!(unknown.contains("no signing secret is known"), "{unknown}");
    assert!(unknown.contains(&signature[..8]), "{unknown}");
    assert!(!unknown.contains(&signature[..9]), "{unknown}");
    let trimmed = format!("\"{SECRET}\"");
    let wrong = show(&["--json"], &[("HEYGEN_WEBHOOK_SECRET", &trimmed)]).json();
    assert_eq!(wrong["now"]["reason"], "matches-trimmed-secret");
    let corrected = show(&[], &[("HEYGEN_WEBHOOK_SECRET", SECRET)]).stdout;
    assert!(
        corrected.contains("verified") && corrected.contains("reverify"),
        "{corrected}"
    );
    let last = ["inbox", "rejected", "show", "last", "--json"];
    assert_eq!(workdir.json(&last)["id"], newest["id"]);
    assert_eq!(workdir.run(&["inbox", "rejected", "show", "999"]).status, 1);
    assert_eq!(workdir.run(&["inbox", "rejected", "show", "x"]).status, 2);
}

#[test]
fn rejected_count_and_bytes_bound_the_stored_requests() {
    let workdir = Workdir::new();
    workdir.file("heygen-webhooks.toml", "rejected-count = 2\n");
    let reject = |serve: &Serve, number: usize| {
        for video in 0..number {
            let body = BODY.replace("\"a\"", &format!("\"{video}\""));
            post(serve, body);
        }
        serve.signal("TERM");
    };
    let serve = misled(&workdir);
    reject(&serve, 9);
    assert_eq!(serve.wait().0, 0);
    assert_eq!(rejected(&workdir, 2)[0]["signed"], true);
    for off in [["--rejected-count", "0"], ["--rejected-bytes", "0"]] {
        let other = Workdir::new();
        let serve = other.serve_with(&off, &[("HEYGEN_WEBHOOK_SECRET", "whsec_wrong")]);
        reject(&serve, 1);
        assert_eq!(serve.wait().0, 0);
        let ring = other.path().join("heygen-inbox.db.rejected");
        assert!(!ring.exists(), "{off:?}");
        assert_eq!(rejected(&other, 0), Vec::<Value>::new());
    }
    let mistake = workdir.run(&["serve", "--rejected-bytes", "much"]);
    assert_eq!(mistake.status, 2);
}

/// `serve` diagnoses only some of a flood; the list tells the cause of all, where a secret is known.
#[test]
fn list_diagnoses_what_serve_did_not() {
    let workdir = Workdir::new();
    let serve = misled(&workdir);
    let mut bodies = Vec::new();
    for number in 0..4 {
        bodies.push(format!(
            r#"{{"event_type":"a.b","event_data":{{"n":{number}}}}}"#
        ));
    }
    for body in &bodies {
        post(&serve, body);
    }
    let found = rejected(&workdir, 4);
    let reasons = |found: &[Value]| -> Vec<String> {
        let reasons = found
            .iter()
            .map(|one| one["reason"].as_str().expect("a word"));
        reasons.map(str::to_owned).collect()
    };
    let recorded = reasons(&found);
    assert!(
        recorded.contains(&"signature-mismatch".to_owned()),
        "{recorded:?}"
    );
    let list = [
        "inbox",
        "rejected",
        "list",
        "--json",
        "--secret-file",
        "secret",
    ];
    let listed = workdir.run_with(&list, b"", &[]).ok().json();
    let listed = listed.as_array().expect("an array");
    assert_eq!(reasons(listed), vec!["matches-no-secret"; 4]);
    // With the right secret: `reverify` takes them.
    workdir.file("secret", SECRET);
    let people = [&list[..3], &list[4..]].concat();
    let people = workdir.run_with(&people, b"", &[]).ok().stdout;
    assert!(people.contains("verifies now"), "{people}");
}

/// What is wrong with a header is named without a secret, under one name, once.
#[test]
fn list_names_each_broken_header_once() {
    let workdir = Workdir::new();
    let serve = misled(&workdir);
    let broken = [("Signature", "zz")];
    let twice = [("Signature", "a"), ("Signature", "b")];
    for body in ["1", "2", "3"] {
        for headers in [&broken[..], &twice, &[]] {
            let answer = ask(&serve.url, "POST", headers, body.as_bytes());
            assert_eq!(answer.status, 401);
        }
    }
    let reasons: Vec<_> = rejected(&workdir, 9)
        .iter()
        .map(|one| one["reason"].as_str().expect("a word").to_owned())
        .collect();
    let expected = ["no-signature-header", "ambiguous-signature", "not-hex"];
    assert_eq!(reasons, expected.repeat(3));
    let list = ["inbox", "rejected", "list"];
    let people = workdir.run_with(&list, b"", &[]).ok().stdout;
    for reason in expected {
        let said = format!("{reason}: ");
        assert_eq!(people.matches(&said).count(), 1, "{people}");
    }
}
