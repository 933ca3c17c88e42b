//! `--forward-ca` and `--forward-proxy`: what is trusted, what goes through the proxy, and which variables count.

use std::fs;

use crate::forward::{Application, event, header};
use crate::http::post;
use crate::identity::Identity;
use crate::support::{SECRET, Workdir};

const AWAY: &str = "http://app.invalid:3000/x";

/// Where an event for this address goes with these options and variables: the `Host` that the proxy is asked for, or `None`
/// when the attempt failed without it.
fn asked_of_proxy(to: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Option<String> {
    let proxy = Application::start(200);
    let address = proxy.url.trim_end_matches("/webhook");
    let fill = |text: &&str| text.replace("PROXY", address);
    let arguments: Vec<_> = ["--forward", to]
        .iter()
        .chain(arguments)
        .map(fill)
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, fill(value)))
        .chain([("HEYGEN_WEBHOOK_SECRET", SECRET.to_owned())])
        .collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let workdir = Workdir::new();
    let serve = workdir.serve_with(&arguments, &variables);
    post(&serve, event("a"));
    // Whichever comes first, it has asked or it has failed.
    let line = serve.log_line(r#""attempt":1"#);
    let asked = proxy.requests.try_recv().ok();
    assert_eq!(asked.is_none(), line.contains("attempt failed"), "{line}");
    asked.and_then(|request| header(&request, "host").map(str::to_owned))
}

#[test]
fn only_the_option_sets_a_proxy_and_no_proxy_excepts_from_it() {
    let debug = ["--log", "debug"];
    let with_option = [&debug[..], &["--forward-proxy", "PROXY"]].concat();
    let through = Some("app.invalid:3000".to_owned());
    assert_eq!(asked_of_proxy(AWAY, &with_option, &[]), through);
    let variable = [("HEYGEN_WEBHOOKS_FORWARD_PROXY", "PROXY")];
    assert_eq!(asked_of_proxy(AWAY, &debug, &variable), through);
    let of_everyone = [
        ("HTTP_PROXY", "PROXY"),
        ("http_proxy", "PROXY"),
        ("HTTPS_PROXY", "PROXY"),
        ("ALL_PROXY", "PROXY"),
    ];
    assert_eq!(asked_of_proxy(AWAY, &debug, &of_everyone), None);
    for name in ["NO_PROXY", "no_proxy"] {
        let excepted = asked_of_proxy(AWAY, &with_option, &[(name, "x.example, .invalid")]);
        assert_eq!(excepted, None, "{name}");
    }
}

#[test]
fn this_machine_is_never_asked_of_the_proxy() {
    let with_option = ["--log", "debug", "--forward-proxy", "PROXY"];
    for here in ["http://127.0.0.1:1/x", "http://localhost:1/x"] {
        assert_eq!(asked_of_proxy(here, &with_option, &[]), None);
    }
}

#[test]
fn password_of_a_proxy_is_refused_on_the_command_line_and_shown_nowhere() {
    let workdir = Workdir::new();
    let with = "http://me:hush@127.0.0.1:1";
    let ended = workdir.run(&[
        "serve",
        "--check",
        "--forward",
        AWAY,
        "--forward-proxy",
        with,
    ]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("HEYGEN_WEBHOOKS_FORWARD_PROXY") && !ended.stderr.contains("hush"),
        "{}",
        ended.stderr
    );
    let variables = [
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
        ("HEYGEN_WEBHOOKS_FORWARD_PROXY", with),
    ];
    let shown = workdir.run_with(&["config", "show"], b"", &variables).ok();
    assert!(
        shown.stdout.contains("http://127.0.0.1:1") && !shown.stdout.contains("hush"),
        "{}",
        shown.stdout
    );
    let serve = workdir.serve_with(&["--forward", AWAY], &variables);
    post(&serve, event("a"));
    let failed = serve.log_line("attempt failed");
    assert!(
        failed.contains("through") || failed.contains("gave no answer"),
        "{failed}"
    );
    serve.signal("TERM");
    let (_, _, log) = serve.wait();
    assert!(!failed.contains("hush") && !log.concat().contains("hush"));
    let listed = workdir.run(&["inbox", "list", "--json"]).ok();
    assert!(!listed.stdout.contains("hush"));
}

#[test]
fn wrong_values_end_the_start() {
    let workdir = Workdir::new();
    let identity = Identity::new();
    workdir.file("key.pem", &identity.key);
    workdir.file("ca.pem", &identity.certificate);
    #[track_caller]
    fn check(workdir: &Workdir, arguments: &[&str], expected: &str) {
        let start = [
            "serve",
            "--check",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "off",
        ];
        let ended = workdir.run(&[&start[..], &["--forward", AWAY], arguments].concat());
        let said = ended.stdout + &ended.stderr;
        assert_eq!(ended.status == 0, expected.is_empty(), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    check(&workdir, &["--forward-ca", "ca.pem"], "");
    check(
        &workdir,
        &["--forward-ca", "gone.pem"],
        "--forward-ca: gone.pem",
    );
    check(&workdir, &["--forward-ca", "key.pem"], "--forward-ca");
    check(
        &workdir,
        &["--forward-proxy", "proxy:3128"],
        "--forward-proxy",
    );
    check(&workdir, &["--forward-proxy", "http://127.0.0.1:1"], "");
}

#[test]
fn application_with_a_certificate_of_its_own_is_reached_once_that_is_trusted() {
    let identity = Identity::new();
    let application = Workdir::new();
    application.file("chain.pem", &identity.certificate);
    application.file("key.pem", &identity.key);
    let tls = ["--tls-cert", "chain.pem", "--tls-key", "key.pem"];
    let receiving = application.serve(&tls);
    let port = receiving.url.split(':').nth(2).expect("a port");
    let to = format!("https://localhost:{port}");
    let workdir = Workdir::new();
    workdir.file("ca.pem", &identity.certificate);
    // The application verifies with this secret.
    workdir.file("theirs", SECRET);
    let forward = ["--forward", &to, "--forward-secret-file", "theirs"];
    let serve = workdir.serve(&forward);
    post(&serve, event("a"));
    let failed = serve.log_line("attempt failed");
    assert!(failed.contains("certificate"), "{failed}");
    drop(serve);
    fs::remove_file(workdir.path().join("heygen-inbox.db")).expect("the inbox");
    let trusting = [&forward[..], &["--forward-ca", "ca.pem", "--log", "debug"]].concat();
    let serve = workdir.serve(&trusting);
    post(&serve, event("b"));
    let handled = serve.log_line(r#""attempt":1"#);
    assert!(handled.contains("acknowledged"), "{handled}");
}

#[test]
fn heygens_api_is_asked_through_the_proxy_of_the_environment() {
    let workdir = Workdir::new();
    let asked = |base_url: &str, no_proxy: &str| {
        let proxy = Application::start(403);
        let address = proxy.url.trim_end_matches("/webhook").to_owned();
        let variables = [
            ("HEYGEN_API_KEY", "hush"),
            ("HTTPS_PROXY", address.as_str()),
            ("HTTP_PROXY", address.as_str()),
            ("NO_PROXY", no_proxy),
        ];
        let arguments = ["endpoints", "list", "--base-url", base_url];
        let ended = workdir.run_with(&arguments, b"", &variables);
        assert_eq!(ended.status, 1, "{}", ended.stderr);
        let asked = proxy.requests.try_recv().ok()?;
        // In a tunnel the proxy does not see the key.
        assert_eq!(header(&asked, "x-api-key"), None);
        let host = header(&asked, "host").unwrap_or_default();
        Some(format!("{} {host}", asked.method))
    };
    let tunnel = Some("CONNECT api.invalid:443".to_owned());
    assert_eq!(asked("https://api.invalid", ""), tunnel);
    assert_eq!(asked("https://api.invalid", "invalid"), None);
    assert_eq!(asked("http://127.0.0.1:1", ""), None);
}
