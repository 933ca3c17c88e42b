//! `serve --public-url` while something is wrong with HeyGen's API, with the disk, or with the time to stop.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use heygen_signature::Secret;
use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation, Sandbox};
use heygen_testkit::{EventBuilder, Sender};
use serde_json::{Value, json};

use crate::http::ask;
use crate::support::{Serve, Workdir, eventually};
use crate::tunnel::{KEY, Tunnel};

const FILE: &str = "heygen-inbox.db.secrets.json";

async fn sandbox_with(fault: Fault) -> Sandbox {
    Sandbox::builder()
        .misbehaviour(Misbehaviour::default().fault(fault))
        .start()
        .await
        .expect("a sandbox")
}

fn kept(workdir: &Workdir) -> Value {
    let text = std::fs::read(workdir.path().join(FILE)).expect("a secrets file");
    serde_json::from_slice(&text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_receives_with_a_stored_secret_while_the_api_is_down() {
    let (workdir, tunnel) = (Workdir::new(), Tunnel::new());
    // An endpoint that was registered before.
    let before = json!({"secrets": [{
        "endpoint_id": "before",
        "url": tunnel.url(),
        "secret": "whsec_kept",
        "kept_at": "2026-11-01T00:00:00Z",
        "accepted_until": null,
    }]});
    workdir.file(FILE, before.to_string());
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address: SocketAddr = nobody.local_addr().expect("its address");
    drop(nobody);

    let serve = tunnel.serve(&workdir, &format!("http://{address}"), &[]);
    let warning = serve.log_line("registration failed and is retried");
    assert!(warning.contains("signed with a known secret"), "{warning}");
    let trigger = ["trigger", "batch.finished", "--to", &serve.url];
    workdir
        .run_with(&trigger, b"", &[("HEYGEN_WEBHOOK_SECRET", "whsec_kept")])
        .ok();
    assert!(serve.line().contains("batch.finished"));

    // It comes back, and knows nothing of the endpoint.
    let heygen = Sandbox::builder().listen(address).start().await;
    let heygen = heygen.expect("a sandbox where nobody was");
    serve.log_line("registered at HeyGen");
    let kept = kept(&workdir);
    assert_eq!(kept["secrets"][0]["endpoint_id"], "before");
    assert!(kept["secrets"][0]["accepted_until"].is_string(), "{kept}");
    heygen.send(EventBuilder::new("avatar_video.fail"));
    assert!(serve.line().contains("avatar_video.fail"));
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_it_waits_for_the_api_and_answers_probes() {
    let (workdir, tunnel) = (Workdir::new(), Tunnel::new());
    let down = Fault::refuse(503).times(3).retry_after(1);
    let heygen = sandbox_with(down).await;
    let serve = tunnel.serve(&workdir, heygen.url(), &[]);
    let warning = serve.log_line("registration failed and is retried");
    assert!(warning.contains("503 until a secret is known"), "{warning}");
    let probe = Sender::new(&serve.url).probe().await.expect("a request");
    assert!(probe.passed());
    serve.log_line("registered at HeyGen");
    heygen.send(EventBuilder::new("batch.finished"));
    assert!(serve.line().contains("batch.finished"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_answer_never_came_is_made_once() {
    let (workdir, tunnel) = (Workdir::new(), Tunnel::new());
    // As often as the client itself asks again.
    let cut_off = Fault::cut_off().on(Operation::Create).times(3);
    let heygen = sandbox_with(cut_off).await;
    let serve = tunnel.serve(&workdir, heygen.url(), &[]);
    serve.log_line("registration failed and is retried");
    serve.log_line("registered at HeyGen");
    assert_eq!(heygen.endpoints().len(), 1);
    heygen.send(EventBuilder::new("batch.finished"));
    assert!(serve.line().contains("batch.finished"));
}

#[test]
fn it_stops_while_the_api_does_not_answer() {
    for signal in ["TERM", "INT"] {
        let (workdir, tunnel) = (Workdir::new(), Tunnel::new());
        let mute = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", mute.local_addr().expect("its address"));
        let serve = tunnel.serve(&workdir, &url, &[]);
        let _asked = mute.accept().expect("it asks");
        serve.signal(signal);
        let (status, _, log) = serve.wait();
        assert_eq!(status, 0, "{log:?}");
    }
}

#[test]
fn a_signal_right_after_the_first_line_finds_it_ready() {
    let workdir = Workdir::new();
    let serve = workdir.serve_with(&[], &[]);
    serve.signal("HUP");
    serve.log_line("secrets reloaded");
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_waits_for_a_secret_that_heygen_is_sending() {
    let (workdir, tunnel) = (Workdir::new(), Tunnel::new());
    let heygen = sandbox_with(Fault::slow(Duration::from_secs(1)).on(Operation::Create)).await;
    let serve = tunnel.serve(&workdir, heygen.url(), &[]);
    eventually(|| !heygen.endpoints().is_empty());
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    assert_eq!(
        kept(&workdir)["secrets"][0]["secret"],
        heygen.endpoints()[0].secret.expose()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_that_cannot_be_stored_is_used_until_the_end() {
    let (workdir, tunnel) = (Workdir::new(), Tunnel::new());
    let heygen = sandbox_with(Fault::slow(Duration::from_secs(1)).on(Operation::Create)).await;
    let serve = tunnel.serve(&workdir, heygen.url(), &[]);
    // Made, and not answered yet: a folder in the way prevents that the new file is written.
    eventually(|| !heygen.endpoints().is_empty());
    std::fs::create_dir(workdir.path().join(format!("{FILE}.new"))).expect("a folder");
    let error = serve.log_line("could not store the secret");
    assert!(error.contains("endpoints rotate-secret"), "{error}");
    heygen.send(EventBuilder::new("batch.finished"));
    assert!(serve.line().contains("batch.finished"));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_registers_nothing_if_the_secret_cannot_be_stored() {
    let (workdir, tunnel) = (Workdir::new(), Tunnel::new());
    let heygen = Sandbox::start().await.expect("a sandbox");
    std::fs::create_dir(workdir.path().join(format!("{FILE}.new"))).expect("a folder");
    let (status, _, log) = tunnel.serve(&workdir, heygen.url(), &[]).wait();
    assert_eq!(status, 1, "{log:?}");
    assert!(heygen.endpoints().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_start_after_registration_deregisters_the_endpoint() {
    let (workdir, tunnel) = (Workdir::new(), Tunnel::new());
    let heygen = sandbox_with(Fault::refuse(400).on(Operation::Update)).await;
    let serve = tunnel.serve(&workdir, heygen.url(), &[]);
    serve.log_line("registered at HeyGen");
    serve.signal("TERM");
    serve.wait();
    let url = tunnel.url();
    let again = [
        "--public-url",
        &url,
        "--base-url",
        heygen.url(),
        "--events",
        "batch.finished",
        "--deregister-on-exit",
    ];
    let (status, _, log) = workdir.serve_with(&again, &[KEY]).wait();
    assert_eq!(status, 1, "{log:?}");
    assert!(heygen.endpoints().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unreadable_source_takes_nothing_from_the_others() {
    let workdir = Workdir::new();
    let file = workdir.file("secret", "whsec_of_a_file\n");
    let serve = workdir.serve_with(&["--secret-file", "secret"], &[]);
    std::fs::remove_file(file).expect("it was there");
    let new = json!({"secrets": [{
        "endpoint_id": "e1",
        "url": "https://a.example/",
        "secret": "whsec_kept",
        "kept_at": "2026-11-01T00:00:00Z",
        "accepted_until": null,
    }]});
    workdir.file(FILE, new.to_string());
    serve.log_line("could not reload secrets");
    serve.log_line("secrets reloaded");
    for secret in ["whsec_of_a_file", "whsec_kept"] {
        let trigger = ["trigger", "batch.finished", "--to", &serve.url];
        workdir
            .run_with(&trigger, b"", &[("HEYGEN_WEBHOOK_SECRET", secret)])
            .ok();
    }
}

#[test]
fn emptied_secret_file_revokes_its_secrets_on_sighup() {
    for revoke in [
        |file: &Path| std::fs::write(file, "# none\n").expect("emptied"),
        |file: &Path| std::fs::write(file, "").expect("emptied"),
        |file: &Path| std::fs::remove_file(file).expect("it was there"),
    ] {
        let workdir = Workdir::new();
        let (first, second) = (
            workdir.file("first", "whsec_of_the_first\n"),
            workdir.file("second", "whsec_of_the_second\n"),
        );
        let serve = workdir.serve_with(&["--secret-file", "first", "--secret-file", "second"], &[]);
        let status = |secret: &str| {
            let trigger = ["trigger", "batch.finished", "--json", "--to", &serve.url];
            let environment = [("HEYGEN_WEBHOOK_SECRET", secret)];
            workdir.run_with(&trigger, b"", &environment).json()["status"].clone()
        };
        assert_eq!(status("whsec_of_the_first"), 200);
        revoke(&first);
        serve.signal("HUP");
        serve.log_line("secret file is empty now");
        serve.log_line("secrets reloaded");
        assert_eq!(status("whsec_of_the_first"), 401);
        assert_eq!(status("whsec_of_the_second"), 200);
        // The last one too: fail closed.
        revoke(&second);
        serve.signal("HUP");
        serve.log_line("no signing secret is left");
        assert_eq!(status("whsec_of_the_second"), 503);
        workdir.file("second", "whsec_of_the_second\n");
        serve.signal("HUP");
        serve.log_line("secrets reloaded");
        assert_eq!(status("whsec_of_the_second"), 200);
    }
}

#[test]
fn unreadable_token_file_keeps_the_previous_tokens() {
    let workdir = Workdir::new();
    let file = workdir.file("secret", "whsec_of_a_file\n");
    let serve = workdir.serve_with(&["--secret-file", "secret"], &[]);
    // A folder in its workdir: also root cannot read that as a file.
    std::fs::remove_file(&file).expect("it was there");
    std::fs::create_dir(&file).expect("a folder");
    serve.signal("HUP");
    serve.log_line("could not reload secrets");
    let trigger = ["trigger", "batch.finished", "--to", &serve.url];
    let environment = [("HEYGEN_WEBHOOK_SECRET", "whsec_of_a_file")];
    workdir.run_with(&trigger, b"", &environment).ok();
}

#[test]
fn a_store_that_is_emptied_takes_its_secrets_back() {
    let workdir = Workdir::new();
    let kept = json!({"secrets": [{
        "endpoint_id": "e1",
        "url": "https://a.example/",
        "secret": "whsec_kept",
        "kept_at": "2026-11-01T00:00:00Z",
        "accepted_until": null,
    }]});
    for text in ["", "\n"] {
        workdir.file(FILE, kept.to_string());
        let serve = workdir.serve_with(&[], &[]);
        let status = || {
            let trigger = ["trigger", "batch.finished", "--json", "--to", &serve.url];
            let environment = [("HEYGEN_WEBHOOK_SECRET", "whsec_kept")];
            workdir.run_with(&trigger, b"", &environment).json()["status"].clone()
        };
        assert_eq!(status(), 200);
        workdir.file(FILE, text);
        serve.log_line("no signing secret is left");
        assert_eq!(status(), 503);
    }
}

#[test]
fn expired_secret_is_rejected_wherever_it_was_configured() {
    let workdir = Workdir::new();
    let store = |over: bool| {
        let until = over.then_some("2026-11-02T00:00:00Z");
        json!({"secrets": [
            {
                "endpoint_id": "e1", "url": "https://a.example/", "secret": "whsec_old",
                "kept_at": "2026-11-01T00:00:00Z", "accepted_until": until,
            },
            {
                "endpoint_id": "e2", "url": "https://b.example/", "secret": "whsec_new",
                "kept_at": "2026-11-02T00:00:00Z", "accepted_until": null,
            },
        ]})
        .to_string()
    };
    workdir.file("secret", "whsec_old\n");
    workdir.file(FILE, store(false));
    let environment = [("HEYGEN_WEBHOOK_SECRET", "whsec_old,whsec_other")];
    let mut serve = workdir.serve_with(&["--secret-file", "secret"], &environment);
    // `trigger` itself would sign with none that is over.
    let status = |serve: &Serve, secret: &str| {
        let signature = Secret::new(secret)
            .expect("a secret")
            .sign(b"{}")
            .to_string();
        ask(&serve.url, "POST", &[("Signature", &signature)], b"{}").status
    };
    assert_eq!(status(&serve, "whsec_old"), 200);
    workdir.file(FILE, store(true));
    serve.log_line("has expired");
    for again in [false, true] {
        if again {
            // Nor is it accepted after a restart.
            drop(serve);
            serve = workdir.serve_with(&["--secret-file", "secret"], &environment);
        }
        assert_eq!(status(&serve, "whsec_old"), 401);
        assert_eq!(status(&serve, "whsec_new"), 200);
        assert_eq!(status(&serve, "whsec_other"), 200);
    }
}

#[test]
fn endpoint_options_of_serve_need_a_public_url() {
    let workdir = Workdir::new();
    for option in [
        "--rotate-secret",
        "--deregister-on-exit",
        "--events=avatar_video.fail",
    ] {
        let ended = workdir.run(&["serve", "--listen", "127.0.0.1:0", option]);
        ended.fails(2, "--public-url");
    }
    workdir.file("heygen-webhooks.toml", "events = [\"avatar_video.fail\"]");
    let ended = workdir.run(&["serve", "--listen", "127.0.0.1:0"]);
    ended.fails(2, "`events` in ");
}
