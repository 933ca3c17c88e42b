//! Unix sockets, and sockets that systemd passes: what `serve` receives over them, and what stays behind.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use heygen_signature::Secret;

use crate::support::{Ended, SECRET, Serve, Workdir};

const LISTEN: &str = "unix:x.sock,mode=600";

fn serve(workdir: &Workdir, listen: &str, admin: &str) -> Serve {
    let arguments = ["serve", "--log-format", "json", "--listen", listen];
    let command = workdir.command(&[&arguments[..], &["--admin", admin]].concat());
    workdir.start(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)])
}

/// How a `serve` ends that cannot listen.
fn refused(workdir: &Workdir, arguments: &[&str]) -> Ended {
    let ended = workdir.run(&[&["serve", "--admin", "off"], arguments].concat());
    assert_ne!(ended.status, 0, "{}", ended.stdout);
    assert!(!workdir.path().join("heygen-inbox.db").exists());
    ended
}

/// A signed delivery that ends its connection.
pub(crate) fn delivery(number: u32) -> String {
    let body = format!(
        r#"{{"event_type":"avatar_video.success","event_data":{{"video_id":"v{number}"}}}}"#
    );
    let signature = Secret::new(SECRET).expect("a secret").sign(body.as_bytes());
    format!(
        "POST /webhooks/heygen HTTP/1.1\r\nHost: x\r\nSignature: {signature}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(mut stream: impl std::io::Read) -> String {
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        // A connection that was closed unread.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        read => drop(read.expect("an answer")),
    }
    answer
}

pub(crate) fn ask(path: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("a connection");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("sent");
    answer(stream)
}

fn pending(workdir: &Workdir) -> usize {
    workdir.list().len()
}

#[test]
fn serve_receives_over_a_unix_socket_and_removes_it() {
    let workdir = Workdir::new();
    let (receiver, admin) = (
        workdir.path().join("x.sock"),
        workdir.path().join("admin.sock"),
    );
    let serving = serve(&workdir, LISTEN, "unix:admin.sock");
    let place = fs::canonicalize(workdir.path()).expect("a folder");
    let url = format!("http://unix:{}/x.sock:/webhooks/heygen", place.display());
    assert_eq!(serving.line(), format!("listening on {url}"));
    assert_eq!(serving.url, url);
    let admin_url = format!("http://unix:{}/admin.sock", place.display());
    assert_eq!(serving.admin(), admin_url);
    for (path, mode) in [(&receiver, 0o600), (&admin, 0o660)] {
        let permissions = fs::metadata(path).expect("a socket").permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{path:?}");
    }
    let stored = ask(&receiver, &delivery(1));
    assert!(stored.starts_with("HTTP/1.1 200"), "{stored}");
    let unsigned = delivery(2).replace("Signature:", "X-Other:");
    let rejected = ask(&receiver, &unsigned);
    assert!(rejected.starts_with("HTTP/1.1 401"), "{rejected}");
    let ready = ask(&admin, "GET /readyz HTTP/1.1\r\nHost: any.name\r\n\r\n");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    let health = |admin: &str| workdir.run(&["health", "--ready", "--admin", admin]);
    health("unix:admin.sock").ok();
    health("systemd:admin").fails(2, "curl --unix-socket");
    serving.signal("TERM");
    assert_eq!(serving.wait().0, 0);
    health("unix:admin.sock").fails(1, "no answer from unix:admin.sock");
    assert!(!receiver.exists() && !admin.exists());
    assert_eq!(pending(&workdir), 1);
    let rejected = workdir.run(&["inbox", "rejected", "list", "--json"]).ok();
    let rejected = rejected.json();
    assert_eq!(rejected.as_array().map(Vec::len), Some(1), "{rejected}");
}

#[test]
fn socket_of_a_killed_serve_is_replaced_and_that_of_a_running_one_is_not() {
    let workdir = Workdir::new();
    let path = workdir.path().join("x.sock");
    serve(&workdir, LISTEN, "off").kill();
    assert!(path.exists());
    let serving = serve(&workdir, LISTEN, "off");
    let other = Workdir::new();
    let listen = format!("unix:{}", path.display());
    let ended = refused(&other, &["--listen", &listen]);
    ended.says("another process serves this socket");
    let stored = ask(&path, &delivery(1));
    assert!(stored.starts_with("HTTP/1.1 200"), "{stored}");
    drop(serving);
}

#[test]
fn file_that_is_no_socket_stays() {
    let workdir = Workdir::new();
    workdir.file("x.sock", "mine");
    let ended = refused(&workdir, &["--listen", LISTEN]);
    ended.says("no socket");
    let kept = fs::read_to_string(workdir.path().join("x.sock"));
    assert_eq!(kept.expect("the file"), "mine");
    let ended = refused(&workdir, &["--listen", "unix:x.sock,mode=9"]);
    ended.fails(2, "--listen");
    let ended = refused(&workdir, &["--listen", "unix:gone/x.sock"]);
    ended.says("cannot listen");
}

#[test]
fn check_leaves_no_socket_and_trigger_says_what_to_do() {
    let workdir = Workdir::new();
    workdir.file(
        "heygen-webhooks.toml",
        "listen = \"unix:x.sock\"\nadmin = \"off\"\n",
    );
    let checked = workdir.run(&["serve", "--check"]).ok();
    checked.prints("unix:x.sock is free");
    assert!(!workdir.path().join("x.sock").exists());
    let ended = workdir.run(&["trigger", "avatar_video.success"]);
    ended.fails(2, "--to");
    let ended = workdir.run(&["doctor", "--json"]);
    ended.prints("nothing listens at unix:x.sock");
    let _serving = workdir.start(
        workdir.command(&["serve", "--log-format", "json"]),
        &[("HEYGEN_WEBHOOK_SECRET", SECRET)],
    );
    let ended = workdir.run(&["doctor", "--json"]);
    ended.prints("a server listens at unix:x.sock");
}

/// A `serve` to which these sockets are passed as systemd does: from descriptor 3 on.
fn activated(workdir: &Workdir, names: &str, sockets: [OwnedFd; 2], arguments: &[&str]) -> Command {
    const PASS: &str = r#"
exec 3<&0 4<&1 </dev/null >/dev/null
export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES="$NAMES"
exec "$@""#;
    let serve = workdir.command(&[&["serve", "--log-format", "json"], arguments].concat());
    let mut command = Command::new("sh");
    command.args(["-c", PASS, "sh"]);
    command.arg(serve.get_program()).args(serve.get_args());
    let [first, second] = sockets;
    command
        .current_dir(workdir.path())
        .env("NAMES", names)
        .env("HEYGEN_WEBHOOK_SECRET", SECRET)
        .stdin(Stdio::from(first))
        .stdout(Stdio::from(second))
        .stderr(Stdio::piped());
    command
}

#[test]
fn no_connection_is_refused_while_a_serve_with_passed_sockets_restarts() {
    let workdir = Workdir::new();
    let web = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let path = workdir.path().join("admin.sock");
    let admin = UnixListener::bind(&path).expect("a socket");
    let address = web.local_addr().expect("an address");
    let passed = || {
        [
            web.try_clone().expect("a descriptor").into(),
            admin.try_clone().expect("a descriptor").into(),
        ]
    };
    let arguments = ["--listen", "systemd:web", "--admin", "systemd:admin"];
    let mut first = activated(&workdir, "web:admin", passed(), &arguments)
        .spawn()
        .expect("it starts");
    let connect = |number| {
        let mut stream = TcpStream::connect(address).expect("nothing is refused");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a timeout");
        stream
            .write_all(delivery(number).as_bytes())
            .expect("it is sent");
        stream
    };
    // The queue holds it until the process is there.
    let stored = answer(connect(0));
    assert!(stored.starts_with("HTTP/1.1 200"), "{stored}");
    let ready = ask(&path, "GET /readyz HTTP/1.1\r\nHost: any.name\r\n\r\n");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    let mut under_way = TcpStream::connect(address).expect("a connection");
    let request = delivery(1).replacen("Host: x", "Host: x\r\nExpect: 100-continue", 1);
    let (head, body) = request.split_once("\r\n\r\n").expect("a body");
    under_way
        .write_all(format!("{head}\r\n\r\n").as_bytes())
        .expect("it is sent");
    let mut go_on = [0; 25];
    under_way.read_exact(&mut go_on).expect("an answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let kill = Command::new("kill").arg(first.id().to_string()).status();
    assert!(kill.expect("a signal").success());
    let while_it_ends: Vec<_> = (2..12).map(|number| (number, connect(number))).collect();
    under_way.write_all(body.as_bytes()).expect("it is sent");
    let stored = answer(under_way);
    assert!(stored.starts_with("HTTP/1.1 200"), "{stored}");
    assert!(first.wait().expect("it ends").success());
    let queued: Vec<_> = (12..22).map(connect).collect();
    let mut second = activated(&workdir, "web:admin", passed(), &arguments)
        .spawn()
        .expect("it starts");
    for stream in queued {
        let stored = answer(stream);
        assert!(stored.starts_with("HTTP/1.1 200"), "{stored}");
    }
    for (number, stream) in while_it_ends {
        let mut stored = answer(stream);
        // Accepted in the last moment and closed unread: HeyGen would send it again.
        if stored.is_empty() {
            stored = answer(connect(number));
        }
        assert!(stored.starts_with("HTTP/1.1 200"), "{stored}");
    }
    assert_eq!(pending(&workdir), 22);
    let kind = fs::symlink_metadata(&path).expect("it stays").file_type();
    assert!(kind.is_socket());
    second.kill().expect("it runs");
    second.wait().expect("it ends");
}

#[test]
fn sockets_that_do_not_fit_the_options_are_named() {
    let workdir = Workdir::new();
    #[track_caller]
    fn check(workdir: &Workdir, names: &str, listen: &str, expected: &str) {
        let socket = || TcpListener::bind(("127.0.0.1", 0)).expect("a port").into();
        check_refused(workdir, names, [socket(), socket()], listen, expected);
    }
    check(&workdir, "web:admin", "systemd", "`web`, `admin`");
    check(&workdir, "web:admin", "systemd:wbe", "called `wbe`");
    check(&workdir, "web:web", "systemd:web", "passed several");
    let ended = refused(&workdir, &["--listen", "systemd"]);
    ended.says(".socket unit");
}

#[test]
fn passed_socket_that_does_not_listen_ends_the_start() {
    let workdir = Workdir::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let client = TcpStream::connect(address).expect("a connection");
    let (connected, _peer) = UnixStream::pair().expect("a connection");
    for listen in ["systemd:tcp", "systemd:unix"] {
        let tcp = client.try_clone().expect("a descriptor").into();
        let unix = connected.try_clone().expect("a descriptor").into();
        let expected = "accepts no connections; it needs ListenStream=";
        check_refused(&workdir, "tcp:unix", [tcp, unix], listen, expected);
    }
}

/// The system accepts connections to it, so that nothing else tells that no one answers.
#[test]
fn passed_socket_that_no_option_names_is_reported() {
    let workdir = Workdir::new();
    let socket = || TcpListener::bind(("127.0.0.1", 0)).expect("a port").into();
    let arguments = ["--admin", "off", "--check", "--listen", "systemd:web"];
    let sockets = [socket(), socket()];
    let child = activated(&workdir, "web:forgotten", sockets, &arguments).spawn();
    let ended = child.expect("it starts").wait_with_output();
    let ended = ended.expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    let warned: Vec<_> = said
        .lines()
        .filter(|line| line.contains("no option names"))
        .collect();
    assert_eq!(warned.len(), 1, "{said}");
    assert!(warned[0].contains(r#""socket":"forgotten""#), "{said}");
}

/// A `serve` to which these sockets are passed does not start, and says why.
#[track_caller]
fn check_refused(
    workdir: &Workdir,
    names: &str,
    sockets: [OwnedFd; 2],
    listen: &str,
    expected: &str,
) {
    let arguments = ["--admin", "off", "--check", "--listen", listen];
    let mut child = activated(workdir, names, sockets, &arguments)
        .spawn()
        .expect("it starts");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut said).expect("text");
    assert!(said.contains(expected), "{said}");
}

/// A program that is run for a delivery gets neither the sockets nor the variables that tell of them.
#[test]
fn program_inherits_nothing_of_systemd() {
    let workdir = Workdir::new();
    let [web, other] = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a port"));
    let address = web.local_addr().expect("an address");
    let program = workdir.file(
        "program",
        "#!/bin/sh\n(env; ls -l /proc/self/fd) >seen.new 2>&1; mv seen.new seen\n",
    );
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&program, executable).expect("executable");
    let program = program.display().to_string();
    let arguments = [
        "--admin",
        "off",
        "--listen",
        "systemd:web",
        "--exec",
        program.as_str(),
    ];
    let mut child = activated(
        &workdir,
        "web:other",
        [web.into(), other.into()],
        &arguments,
    )
    .env("NOTIFY_SOCKET", "/nowhere")
    .env("WATCHDOG_USEC", "60000000")
    .spawn()
    .expect("it starts");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(delivery(0).as_bytes()).expect("sent");
    assert!(answer(stream).starts_with("HTTP/1.1 200"));
    let seen = workdir.path().join("seen");
    crate::support::eventually(|| seen.exists());
    let seen = fs::read_to_string(seen).expect("what it saw");
    assert!(seen.contains("HEYGEN_ATTEMPT=1"), "{seen}");
    for hidden in ["LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_"] {
        assert!(!seen.contains(hidden), "{seen}");
    }
    let sockets = seen.lines().filter(|line| line.contains("socket:"));
    assert_eq!(sockets.count(), 0, "{seen}");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}
