//! What systemd hears of a `serve` that it starts with `Type=notify`.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::{SECRET, Serve, Workdir, with_free_ports};

/// Starts a `serve` that has a watchdog of so many microseconds, and the socket on which systemd would listen.
fn serve(workdir: &Workdir, watchdog: &str, arguments: &[&str]) -> (UnixDatagram, Serve) {
    let path = workdir.path().join("notify");
    let systemd = UnixDatagram::bind(&path).expect("a socket");
    let patience = Some(Duration::from_secs(60));
    systemd.set_read_timeout(patience).expect("a timeout");
    let mut command = workdir.command(&with_free_ports(arguments));
    command
        .env("NOTIFY_SOCKET", path)
        .env("WATCHDOG_USEC", watchdog);
    let serving = workdir.begin(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)]);
    (systemd, serving)
}

fn heard(systemd: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let len = systemd.recv(&mut bytes).expect("a notice");
    String::from_utf8(bytes[..len].to_vec()).expect("text")
}

/// The next notice that is not the watchdog's.
fn next(systemd: &UnixDatagram) -> String {
    loop {
        let notice = heard(systemd);
        if notice.trim() != "WATCHDOG=1" {
            return notice;
        }
    }
}

#[test]
fn systemd_hears_of_the_start_of_reloads_and_of_the_end() {
    let workdir = Workdir::new();
    let (systemd, serving) = serve(&workdir, "4000000", &[]);
    let ready = next(&systemd);
    assert!(
        ready.starts_with("READY=1\nSTATUS=listening on http://127.0.0.1:"),
        "{ready}"
    );
    for _ in 0..3 {
        assert_eq!(heard(&systemd).trim(), "WATCHDOG=1");
    }
    serving.signal("HUP");
    let reloading = next(&systemd);
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(next(&systemd).trim(), "READY=1");
    serving.signal("TERM");
    assert_eq!(next(&systemd).trim(), "STOPPING=1");
    assert_eq!(serving.wait().0, 0);
}

#[test]
fn start_that_fails_is_never_ready() {
    let workdir = Workdir::new();
    workdir.file(
        "no-inbox.db",
        "this is no database, and long enough to be looked at",
    );
    let (systemd, serving) = serve(&workdir, "4000000", &["--inbox", "no-inbox.db"]);
    assert_ne!(serving.wait().0, 0);
    systemd.set_nonblocking(true).expect("a socket");
    let error = systemd.recv(&mut [0; 64]).expect_err("nothing was said");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}
