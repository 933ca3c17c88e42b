//! `serve --public-url` and `serve --sandbox`: the receiver registers itself.

use std::collections::BTreeSet;

use heygen_signature::Secret;
use heygen_testkit::EventBuilder;
use heygen_testkit::sandbox::{Delivery, Fault, Misbehaviour, Operation, Sandbox};
use serde_json::Value;

use crate::http::ask;
use crate::support::{SECRET, Serve, Workdir, eventually, sandbox, words};
use crate::tunnel::{KEY, Tunnel};

/// Runs `serve` until it gives up by itself; its error.
fn refused(workdir: &Workdir, heygen: &Sandbox, tunnel: &Tunnel, arguments: &[&str]) -> String {
    let (status, _, log) = tunnel.serve(workdir, heygen.url(), arguments).wait();
    assert_eq!(status, 1, "{log:?}");
    log.into_iter()
        .find(|line| line.starts_with("error: "))
        .expect("an error on standard error")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_registers_keeps_its_secret_and_finds_itself_again() {
    let (workdir, heygen) = (Workdir::new(), sandbox(KEY.1).await);
    let tunnel = Tunnel::new();
    let url = tunnel.url();
    let first = tunnel.serve(&workdir, heygen.url(), &[]);
    first.log_line("registered at HeyGen");
    heygen.send(EventBuilder::new("avatar_video.success").set("video_id", "v1"));
    heygen.settled().await;
    assert!(first.line().contains("v1"));
    first.signal("TERM");
    assert_eq!(first.wait().0, 0);
    assert_secrets_are_private(&workdir);

    // A new process behind another tunnel of the same address is not to be had here; the address is what counts.
    let endpoint = heygen.endpoints().remove(0);
    assert_eq!(
        (heygen.endpoints().len(), endpoint.url.as_str()),
        (1, url.as_str())
    );
    let serve = workdir.serve_with(
        &["--json", "--public-url", &url, "--base-url", heygen.url()],
        &[KEY],
    );
    serve.log_line("already registered at HeyGen");
    let secret = endpoint.secret.expose();
    let body = ["trigger", "avatar_video.fail", "--to", &serve.url];
    workdir
        .run_with(&body, b"", &[("HEYGEN_WEBHOOK_SECRET", secret)])
        .ok();
    assert!(
        serve.line().contains("avatar_video.fail"),
        "the kept secret is in force"
    );
    assert_eq!(heygen.endpoints().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_secret_of_a_registered_endpoint_is_reported_or_rotated() {
    let (workdir, heygen) = (Workdir::new(), sandbox(KEY.1).await);
    let tunnel = Tunnel::new();
    let first = tunnel.serve(&workdir, heygen.url(), &[]);
    first.log_line("registered at HeyGen");
    let url = heygen.endpoints()[0].url.clone();
    first.signal("TERM");
    first.wait();

    let elsewhere = Workdir::new();
    let again = ["--json", "--public-url", &url, "--base-url", heygen.url()];
    let (status, _, log) = elsewhere.serve_with(&again, &[KEY]).wait();
    assert_eq!(status, 1);
    assert!(
        log.iter().any(|line| line.contains("--rotate-secret")),
        "{log:?}"
    );

    let old = heygen.endpoints()[0].secret.expose().to_owned();
    let serve = elsewhere.serve_with(&[&again[..], &["--rotate-secret"]].concat(), &[KEY]);
    serve.log_line("secret rotated");
    let new = heygen.endpoints()[0].secret.expose().to_owned();
    assert_ne!(old, new);
    serve.log_line("already registered at HeyGen");
    let to = ["trigger", "avatar_video.fail", "--to", &serve.url];
    elsewhere
        .run_with(&to, b"", &[("HEYGEN_WEBHOOK_SECRET", &new)])
        .ok();
    // The commands that sign and verify find it beside the inbox of the configuration.
    let drill = ["drill", &serve.url, "--only", "valid"];
    elsewhere.run_with(&drill, b"", &[]).ok();
    let body = b"{}";
    let signature = heygen_signature::Secret::new(&new).expect("a secret");
    let signature = signature.sign(body).to_string();
    let verify = ["verify", "--signature", &signature];
    elsewhere.run_with(&verify, body, &[]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_ends_no_receiver_that_knows_its_secret() {
    let (workdir, heygen, tunnel) = (Workdir::new(), sandbox(KEY.1).await, Tunnel::new());
    let first = tunnel.serve(&workdir, heygen.url(), &[]);
    first.log_line("registered at HeyGen");
    first.signal("TERM");
    assert_eq!(first.wait().0, 0);

    let other_key = sandbox("another").await;
    let url = tunnel.url();
    let again = ["--public-url", &url, "--base-url", other_key.url()];
    let serve = workdir.serve_with(&again, &[KEY]);
    let line = serve.log_line("not registered at HeyGen");
    assert!(
        line.contains("are accepted meanwhile") && !line.contains(KEY.1),
        "{line}"
    );
    let secret = heygen.endpoints()[0].secret.expose().to_owned();
    let body = ["trigger", "avatar_video.fail", "--to", &serve.url];
    workdir
        .run_with(&body, b"", &[("HEYGEN_WEBHOOK_SECRET", &secret)])
        .ok();
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);

    // One that was never registered is not, with a mistyped key: that has to be seen. Nor is another address of the same inbox.
    let elsewhere = [
        "--public-url",
        "https://elsewhere.example",
        "--base-url",
        other_key.url(),
    ];
    assert_eq!(workdir.serve_with(&elsewhere, &[KEY]).wait().0, 1);
    let configured = [KEY, ("HEYGEN_WEBHOOK_SECRET", SECRET)];
    let fresh = Workdir::new().serve_with(&again, &configured);
    assert_eq!(fresh.wait().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_that_was_rotated_elsewhere_is_reported_with_what_to_do() {
    let (workdir, heygen, tunnel) = (Workdir::new(), sandbox(KEY.1).await, Tunnel::new());
    let serve = tunnel.serve(&workdir, heygen.url(), &[]);
    serve.log_line("registered at HeyGen");
    let id = heygen.endpoints()[0].endpoint_id.clone();
    let rotate = [
        "endpoints",
        "rotate-secret",
        &id,
        "--base-url",
        heygen.url(),
    ];
    Workdir::new().run_with(&rotate, b"", &[KEY]).ok();
    let elsewhere = heygen.endpoints()[0].secret.expose().to_owned();
    let send = |secret: &str| {
        let body = ["trigger", "avatar_video.fail", "--to", &serve.url];
        let ended = workdir.run_with(&body, b"", &[("HEYGEN_WEBHOOK_SECRET", secret)]);
        ended.status
    };
    assert_eq!(send(&elsewhere), 1);
    let advice = format!("endpoints rotate-secret {id} --apply");
    serve.log_line(&advice);
    workdir
        .run_with(&[&rotate[..], &["--apply"]].concat(), b"", &[KEY])
        .ok();
    let secret = heygen.endpoints()[0].secret.expose().to_owned();
    eventually(|| send(&secret) == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_does_not_answer_as_one_ends_no_receiver_that_knows_its_secret() {
    let (workdir, heygen, tunnel) = (Workdir::new(), sandbox(KEY.1).await, Tunnel::new());
    let first = tunnel.serve(&workdir, heygen.url(), &[]);
    first.log_line("registered at HeyGen");
    first.signal("TERM");
    assert_eq!(first.wait().0, 0);
    let secret = heygen.endpoints()[0].secret.expose().to_owned();
    let url = tunnel.url();
    let again = ["--public-url", &url, "--base-url", heygen.url()];
    for answer in [
        Fault::refuse(200).body("<html>maintenance</html>"),
        Fault::refuse(302),
        Fault::refuse(404),
        Fault::refuse(408),
    ] {
        heygen.misbehave(Misbehaviour::default().fault(answer));
        let serve = workdir.serve_with(&again, &[KEY]);
        serve.log_line("not registered at HeyGen");
        let body = ["trigger", "avatar_video.fail", "--to", &serve.url];
        workdir
            .run_with(&body, b"", &[("HEYGEN_WEBHOOK_SECRET", &secret)])
            .ok();
        serve.signal("TERM");
        assert_eq!(serve.wait().0, 0);
    }
    // What was asked for has to be corrected.
    heygen.misbehave(Misbehaviour::default().fault(Fault::refuse(400)));
    assert_eq!(workdir.serve_with(&again, &[KEY]).wait().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_without_overlap_ends_the_old_secret_wherever_it_stands() {
    // Kept beside the inbox too, or known from the environment alone and taken for the endpoint's.
    for is_kept in [true, false] {
        let (workdir, heygen) = (Workdir::new(), sandbox(KEY.1).await);
        let tunnel = Tunnel::new();
        let first = tunnel.serve(&workdir, heygen.url(), &[]);
        first.log_line("registered at HeyGen");
        first.signal("TERM");
        first.wait();
        if !is_kept {
            std::fs::remove_file(workdir.path().join("heygen-inbox.db.secrets.json"))
                .expect("it was kept");
        }
        let endpoint = heygen.endpoints().remove(0);
        let old = endpoint.secret.expose();
        let arguments = [
            "--json",
            "--public-url",
            &endpoint.url,
            "--base-url",
            heygen.url(),
        ];
        let environment = [KEY, ("HEYGEN_WEBHOOK_SECRET", old)];
        let status = |serve: &Serve, secret: &str| {
            let signature = Secret::new(secret).expect("a secret").sign(b"{}");
            let signature = signature.to_string();
            ask(&serve.url, "POST", &[("Signature", &signature)], b"{}").status
        };
        let serve = workdir.serve_with(&arguments, &environment);
        serve.log_line("already registered at HeyGen");
        assert_eq!(status(&serve, old), 200);
        let rotate = [
            &["endpoints", "rotate-secret", &endpoint.endpoint_id],
            &["--apply", "--overlap", "0s", "--base-url", heygen.url()][..],
        ]
        .concat();
        workdir.run_with(&rotate, b"", &[KEY]).ok();
        serve.log_line("has expired");
        let new = heygen.endpoints().remove(0);
        let new = new.secret.expose();
        eventually(|| (status(&serve, old), status(&serve, new)) == (401, 200));
        // After a restart with the same environment, too.
        drop(serve);
        let serve = workdir.serve_with(&arguments, &environment);
        assert_eq!((status(&serve, old), status(&serve, new)), (401, 200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_chosen_and_replaced() {
    let (workdir, heygen) = (Workdir::new(), sandbox(KEY.1).await);
    let serve = Tunnel::new().serve(
        &workdir,
        heygen.url(),
        &["--events", "avatar_video.success,avatar_video.fail"],
    );
    serve.log_line("registered at HeyGen");
    let url = heygen.endpoints()[0].url.clone();
    assert_eq!(
        heygen.endpoints()[0].events.as_deref().map(<[String]>::len),
        Some(2)
    );
    serve.signal("TERM");
    serve.wait();
    // The address is probed only when it changes, so the endpoint can be found without its tunnel.
    let again = [
        "--public-url",
        &url,
        "--base-url",
        heygen.url(),
        "--events",
        "batch.finished",
    ];
    let serve = workdir.serve_with(&again, &[KEY]);
    serve.log_line("subscription replaced");
    assert_eq!(
        heygen.endpoints()[0].events.as_deref(),
        Some(&["batch.finished".to_owned()][..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_tunnel_it_leaves_nothing_behind() {
    let (workdir, heygen) = (Workdir::new(), sandbox(KEY.1).await);
    let serve = Tunnel::new().serve(&workdir, heygen.url(), &["--deregister-on-exit"]);
    serve.log_line("registered at HeyGen");
    assert_eq!(heygen.endpoints().len(), 1);
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    assert_eq!(heygen.endpoints().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_off_half_way_leaves_one_endpoint() {
    let (workdir, heygen) = (Workdir::new(), sandbox(KEY.1).await);
    let create = Operation::ALL.iter().copied().find(|operation| {
        operation.method() == "POST" && operation.path() == "/v3/webhooks/endpoints"
    });
    let cut_off = Fault::cut_off().on(create.expect("an operation")).times(1);
    heygen.misbehave(Misbehaviour::default().fault(cut_off));
    let serve = Tunnel::new().serve(&workdir, heygen.url(), &[]);
    serve.log_line("registered at HeyGen");
    assert_eq!(heygen.endpoints().len(), 1);
    heygen.send(EventBuilder::new("batch.finished"));
    heygen.settled().await;
    assert!(
        serve.line().contains("batch.finished"),
        "and its secret is the one that was kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_blocks_the_start_is_reported() {
    let (workdir, heygen) = (Workdir::new(), sandbox(KEY.1).await);
    let no_key = workdir.run_with(
        &words("serve --listen 127.0.0.1:0 --public-url https://a.example"),
        b"",
        &[],
    );
    no_key.fails(2, "HEYGEN_API_KEY");

    // The tunnel leads nowhere, so the probe fails.
    let nowhere = Tunnel::new();
    let url = nowhere.url();
    nowhere.lead_to("http://127.0.0.1:1/");
    let arguments = ["--public-url", &url, "--base-url", heygen.url()];
    let (status, _, log) = workdir.serve_with(&arguments, &[KEY]).wait();
    assert_eq!(status, 1, "{log:?}");
    assert_eq!(heygen.endpoints().len(), 0);

    let error = {
        let other_key = sandbox("another").await;
        refused(&workdir, &other_key, &Tunnel::new(), &[])
    };
    assert!(!error.contains(KEY.1), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_replaced_under_a_stream_loses_nothing() {
    let workdir = Workdir::new();
    // Five seconds become five milliseconds: what is refused in the moment of the change comes again soon.
    let heygen = Sandbox::builder()
        .api_key(KEY.1)
        .time_scale(0.001)
        .start()
        .await
        .expect("a sandbox");
    let serve = Tunnel::new().serve(&workdir, heygen.url(), &[]);
    serve.log_line("registered at HeyGen");
    let old = heygen.endpoints()[0].clone();
    let mut sent = BTreeSet::new();
    for number in 0..200 {
        let video_id = format!("v{number}");
        heygen.send(EventBuilder::new("avatar_video.success").set("video_id", video_id.as_str()));
        sent.insert(video_id);
        if number == 80 {
            let rotate = [
                "endpoints",
                "rotate-secret",
                &old.endpoint_id,
                "--apply",
                "--base-url",
                heygen.url(),
            ];
            workdir.run_with(&rotate, b"", &[KEY]).ok();
        }
    }
    assert_ne!(heygen.endpoints()[0].secret.expose(), old.secret.expose());
    heygen.settled().await;
    let was_accepted = |delivery: &Delivery| delivery.statuses().last() == Some(&Some(200));
    assert!(heygen.deliveries().iter().all(was_accepted));
    while !sent.is_empty() {
        let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
        assert!(
            sent.remove(line["subject_id"].as_str().expect("a subject")),
            "handed out once: {line}"
        );
    }
    // What HeyGen tries again may still carry the old one.
    let late = ["trigger", "batch.finished", "--to", &serve.url];
    workdir
        .run_with(
            &late,
            b"",
            &[("HEYGEN_WEBHOOK_SECRET", old.secret.expose())],
        )
        .ok();
}

#[test]
fn serve_sandbox_needs_no_setup_and_delivers_thirty_samples() {
    let workdir = Workdir::new();
    let serve = workdir.serve_with(&["--sandbox", "--json"], &[]);
    let mut names: Vec<_> = (0..30)
        .map(|_| {
            let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
            line["event_type"].as_str().expect("a name").to_owned()
        })
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 30);
    serve.signal("INT");
    let (status, rest, log) = serve.wait();
    assert_eq!((status, rest.len()), (0, 0), "{log:?}");
}

#[test]
fn a_hangup_reads_the_secrets_again() {
    let workdir = Workdir::new();
    let file = workdir.file("secret", "whsec_old\n");
    let file = file.to_str().expect("UTF-8").to_owned();
    let serve = workdir.serve_with(&["--secret-file", &file], &[]);
    let to = ["trigger", "avatar_video.fail", "--to", &serve.url];
    let send = |secret: &str| {
        workdir
            .run_with(&to, b"", &[("HEYGEN_WEBHOOK_SECRET", secret)])
            .status
    };
    assert_eq!((send("whsec_old"), send("whsec_new")), (0, 1));
    workdir.file("secret", "whsec_old\nwhsec_new\n");
    serve.signal("HUP");
    serve.log_line("secrets reloaded");
    assert_eq!((send("whsec_old"), send("whsec_new")), (0, 0));
}

#[cfg(unix)]
fn assert_secrets_are_private(workdir: &Workdir) {
    use std::os::unix::fs::PermissionsExt as _;
    let file = workdir.path().join("heygen-inbox.db.secrets.json");
    let mode = std::fs::metadata(file)
        .expect("a file of secrets")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn path_of_the_public_url_is_served_and_reported() {
    let (workdir, heygen) = (Workdir::new(), sandbox(KEY.1).await);
    let tunnel = Tunnel::new();
    let with_slash = format!("{}/", tunnel.url());
    let first = workdir.serve_with(
        &[
            "--json",
            "--public-url",
            &with_slash,
            "--base-url",
            heygen.url(),
        ],
        &[KEY],
    );
    tunnel.lead_to(&first.url);
    let line: Value = serde_json::from_str(&first.log_line("registered at HeyGen")).expect("JSON");
    assert_eq!(line["url"], *with_slash);
    heygen.send(EventBuilder::new("avatar_video.success").set("video_id", "v1"));
    heygen.settled().await;
    assert!(first.line().contains("v1"));
    first.signal("TERM");
    assert_eq!(first.wait().0, 0);

    // Named without the slash it is the same endpoint, and HeyGen's spelling is what is told.
    let url = tunnel.url();
    let again = ["--json", "--public-url", &url, "--base-url", heygen.url()];
    let second = workdir.serve_with(&again, &[KEY]);
    let line: Value =
        serde_json::from_str(&second.log_line("already registered at HeyGen")).expect("JSON");
    assert_eq!(line["url"], *with_slash);
    assert_eq!(heygen.endpoints().len(), 1);
}
