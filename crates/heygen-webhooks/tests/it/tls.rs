//! `serve` behind its own TLS.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use jiff::{ToSpan as _, ZonedDateTime};

use crate::identity::Identity;
use crate::support::{Ended, SECRET, Serve, Workdir};

const FILES: [&str; 4] = ["--tls-cert", "chain.pem", "--tls-key", "key.pem"];

/// Puts it into the files that [`FILES`] names.
fn write(workdir: &Workdir, identity: &Identity) {
    workdir.file("chain.pem", &identity.certificate);
    let key = workdir.file("key.pem", &identity.key);
    fs::set_permissions(key, Permissions::from_mode(0o600)).expect("its owner's alone");
}

/// A delivery from somebody who trusts this certificate and no other.
fn trigger(workdir: &Workdir, serve: &Serve, trusted: &Identity) -> Ended {
    let url = serve.url.replace("127.0.0.1", "localhost");
    let trusted = workdir.file("trusted.pem", &trusted.certificate);
    let environment = [
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
        ("SSL_CERT_FILE", trusted.to_str().expect("UTF-8")),
    ];
    let arguments = ["trigger", "avatar_video.success", "--to", &url];
    workdir.run_with(&arguments, b"", &environment)
}

#[test]
fn https_delivers_and_reloads_a_renewed_certificate() {
    let (workdir, old, new) = (Workdir::new(), Identity::new(), Identity::new());
    write(&workdir, &old);
    let serve = workdir.serve(&FILES);
    assert!(serve.url.starts_with("https://127.0.0.1:"), "{}", serve.url);
    assert!(serve.line().contains(&serve.url));
    trigger(&workdir, &serve, &old).ok();
    assert!(serve.line().contains("avatar_video.success"));

    write(&workdir, &new);
    serve.signal("HUP");
    serve.log_line("certificate reloaded");
    trigger(&workdir, &serve, &new).ok();
    assert_ne!(trigger(&workdir, &serve, &old).status, 0);
    serve.log_line("certificate-distrusted");

    // Half of a renewal: the key is that of another certificate.
    workdir.file("key.pem", &old.key);
    serve.signal("HUP");
    let line = serve.log_line("the previous one stays in effect");
    assert!(
        line.contains("the key is not that of the first certificate: key.pem"),
        "{line}"
    );
    trigger(&workdir, &serve, &new).ok();

    write(&workdir, &old);
    serve.signal("HUP");
    serve.log_line("certificate reloaded");
    trigger(&workdir, &serve, &old).ok();
}

/// As of a load balancer that was set up for plain http, or with the PROXY protocol.
#[test]
fn what_is_not_tls_is_logged() {
    for sent in [
        &b"POST /webhooks/heygen HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"PROXY TCP4 192.0.2.1 192.0.2.2 5 443\r\n",
    ] {
        let (workdir, me) = (Workdir::new(), Identity::new());
        write(&workdir, &me);
        let serve = workdir.serve(&FILES);
        let address = serve.url.split('/').nth(2).expect("an address");
        let mut client = TcpStream::connect(address).expect("it listens");
        client.write_all(sent).expect("a connection");
        let line = serve.log_line("not-tls");
        assert!(line.contains("connect with https"), "{line}");
    }
}

#[test]
fn the_configuration_file_names_the_files_too() {
    let (workdir, me) = (Workdir::new(), Identity::new());
    write(&workdir, &me);
    workdir.file(
        "heygen-webhooks.toml",
        "tls-cert = \"chain.pem\"\ntls-key = \"key.pem\"\n",
    );
    let serve = workdir.serve(&[]);
    assert!(serve.url.starts_with("https://"), "{}", serve.url);
    trigger(&workdir, &serve, &me).ok();
}

#[test]
fn mistakes_are_told() {
    let (workdir, me) = (Workdir::new(), Identity::new());
    write(&workdir, &me);
    workdir.file("empty.pem", "");
    #[track_caller]
    fn check(workdir: &Workdir, arguments: &[&str], status: i32, message: &str) {
        let ended = workdir.run(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        ended.fails(status, message);
    }
    let files = |chain, key| ["--tls-cert", chain, "--tls-key", key];
    check(&workdir, &FILES[..2], 2, "--tls-key");
    check(&workdir, &FILES[2..], 2, "--tls-cert");
    check(
        &workdir,
        &[&FILES[..], &["--sandbox"]].concat(),
        2,
        "--sandbox",
    );
    check(
        &workdir,
        &files("none.pem", "key.pem"),
        1,
        "cannot be read: none.pem",
    );
    check(
        &workdir,
        &files("empty.pem", "key.pem"),
        1,
        "no certificate in PEM: empty.pem",
    );
    check(&workdir, &files("chain.pem", "empty.pem"), 1, "empty.pem");
    workdir.file("half.toml", "tls-key = \"key.pem\"\n");
    check(&workdir, &["--config", "half.toml"], 2, "--tls-cert");
    let environment = [("HEYGEN_WEBHOOKS_TLS_CERT", "chain.pem")];
    let ended = workdir.run_with(&["serve", "--listen", "127.0.0.1:0"], b"", &environment);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
}

#[test]
fn doctor_warns_of_upcoming_problems() {
    let ends = |date: jiff::civil::Date| {
        Identity::with(|certificate| {
            let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
            certificate.not_after = rcgen::date_time_ymd(date.year().into(), month, day);
        })
    };
    let today = ZonedDateTime::now().date();
    let cases = [
        (today.saturating_sub(3.days()), "expired on"),
        (today.saturating_add(5.days()), "expires on"),
    ];
    for (date, expected) in cases {
        let workdir = Workdir::new();
        write(&workdir, &ends(date));
        let serve = workdir.serve_logging(&FILES);
        let line = serve.log_line("chain.pem");
        assert!(line.contains(expected) && line.contains("WARN"), "{line}");
    }

    let workdir = Workdir::new();
    let me = ends(today.saturating_add(30.days()));
    write(&workdir, &me);
    workdir.file("key.pem", &me.key);
    let open = Permissions::from_mode(0o644);
    fs::set_permissions(workdir.path().join("key.pem"), open).expect("ours");
    let serve = workdir.serve_logging(&FILES);
    serve.log_line("other users can read key file key.pem");
    serve.log_line("listening");
    serve.signal("TERM");
    let (_, _, log) = serve.wait();
    assert!(!log.iter().any(|line| line.contains("expire")), "{log:?}");
}
