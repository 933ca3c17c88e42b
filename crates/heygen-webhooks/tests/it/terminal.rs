//! What a person sees on a terminal: lines about deliveries and attempts, tables that fit, colours, local time.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::endpoint;
use crate::support::{Ended, SECRET, Workdir, eventually};

/// A terminal of a width, and what was written to it.
struct Terminal {
    /// The side of the program.
    side: File,
    text: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn new(width: u16) -> Self {
        let (other_side, side) = open();
        let size = Winsize {
            ws_row: 24,
            ws_col: width,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&side, size).expect("a size");
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let ours = Arc::clone(&text);
        thread::spawn(move || {
            let mut other_side = File::from(other_side);
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = other_side.read(&mut part) {
                ours.lock().expect("no panic").extend(&part[..length]);
            }
        });
        Self { side, text }
    }

    fn stream(&self) -> Stdio {
        self.side.try_clone().expect("a terminal").into()
    }

    /// With its escape sequences.
    fn raw(&self) -> String {
        let text = self.text.lock().expect("no panic");
        String::from_utf8_lossy(&text).replace("\r\n", "\n")
    }

    /// As it is seen.
    fn text(&self) -> String {
        let raw = self.raw();
        let mut parts = raw.split("\u{1b}[");
        let first = parts.next().unwrap_or_default().to_owned();
        let rest = parts.map(|part| part.split_once('m').map_or("", |(_, rest)| rest));
        first + &rest.collect::<String>()
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        eventually(|| self.text().contains(text));
    }
}

/// Both sides of a new terminal: that of who shows it, and that of the program.
pub(crate) fn open() -> (OwnedFd, File) {
    let other_side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&other_side).expect("a terminal");
    unlockpt(&other_side).expect("a terminal");
    let path = ptsname(&other_side, Vec::new()).expect("its name");
    let path = path.into_string().expect("a name in UTF-8");
    let side = OpenOptions::new().read(true).write(true).open(path);
    (other_side, side.expect("a terminal"))
}

/// A process that is killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const TIME_ZONE: &str = "<+0530>-5:30";

fn start(mut command: Command, stdout: Stdio, stderr: Stdio) -> Running {
    let child = command
        .env("HEYGEN_WEBHOOK_SECRET", SECRET)
        .env("TZ", TIME_ZONE)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn();
    Running(child.expect("the binary starts"))
}

/// Rejects each delivery once.
fn application() -> String {
    let known = Mutex::new(HashSet::new());
    endpoint::start(move |request| {
        let body = request.body.clone();
        match known.lock().expect("no panic").insert(body) {
            true => 401,
            false => 204,
        }
    })
}

const SERVE: [&str; 7] = [
    "serve",
    "--listen",
    "0",
    "--admin",
    "off",
    "--retry-initial-delay",
    "0.05",
];

fn serve(workdir: &Workdir, terminal: &Terminal, more: &[&str]) -> (Running, String) {
    let command = workdir.command(&[&SERVE, more].concat());
    let running = start(command, terminal.stream(), terminal.stream());
    let start = "listening on ";
    terminal.shows("/webhooks/heygen\n");
    eventually(|| {
        let text = terminal.text();
        text.lines().any(|line| line.starts_with(start))
    });
    let text = terminal.text();
    let url = text.lines().find_map(|line| line.strip_prefix(start));
    (running, url.expect("an address").to_owned())
}

fn trigger(workdir: &Workdir, url: &str, event_type: &str) -> String {
    let sent = workdir.run(&["trigger", "--to", url, "--json", event_type]);
    sent.ok().json()["answer"]["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

#[test]
fn serve_shows_each_delivery_and_each_attempt_in_a_line_that_fits() {
    let workdir = Workdir::new();
    let terminal = Terminal::new(80);
    let (_serve, url) = serve(&workdir, &terminal, &["--forward", &application()]);
    let id = trigger(&workdir, &url, "avatar_video.success");
    let long = "interactive_avatar_session_summary.finished";
    let other = trigger(&workdir, &url, long);
    for id in [&id, &other] {
        terminal.shows(&format!("{id}  ✗ 401"));
        terminal.shows(&format!("{id}  → 204 in "));
    }
    let text = terminal.text();
    let lines: Vec<_> = text.lines().filter(|line| line.contains(&id)).collect();
    let [delivery, failed, done] = lines[..] else {
        panic!("{text}");
    };
    for line in [&lines[..], &[first(&text, &other)]].concat() {
        assert!(line.chars().count() <= 80, "{line}");
        assert_eq!(&line[8..14], "+05:30", "{line}");
    }
    assert!(delivery.contains("  avatar_video.success  "), "{delivery}");
    assert!(delivery.contains('…'), "{delivery}");
    assert!(failed.contains(", again in "), "{failed}");
    assert!(failed.ends_with("(attempt 1)"), "{failed}");
    assert!(done.ends_with(" ms"), "{done}");
    // Once is enough, on one clock.
    assert!(!text.contains("attempt failed"), "{text}");
    let log = text.lines().find(|line| line.contains("INFO listening"));
    let log = log.expect("a line of the log");
    assert_eq!(&log[19..25], "+05:30", "{log}");
    let green = "\u{1b}[32m→\u{1b}[0m 204";
    assert!(terminal.raw().contains(green), "{}", terminal.raw());
}

fn first<'a>(text: &'a str, id: &str) -> &'a str {
    let line = text.lines().find(|line| line.contains(id));
    line.expect("a line about it")
}

#[test]
fn programs_and_ignored_events_have_their_lines_too() {
    let workdir = Workdir::new();
    let terminal = Terminal::new(120);
    let rule = ["--on", "*.fail=ignore", "--exec", "sh", "-c", "exit 0"];
    let (_serve, url) = serve(&workdir, &terminal, &rule);
    let done = trigger(&workdir, &url, "avatar_video.success");
    terminal.shows(&format!("{done}  → exit 0 in "));
    let ignored = trigger(&workdir, &url, "avatar_video.fail");
    terminal.shows(&format!("{ignored}  → ignored in "));
}

/// Else it would be taken for the delivery's, which was given up.
#[test]
fn success_of_the_dead_letter_hook_is_not_shown() {
    let workdir = Workdir::new();
    let terminal = Terminal::new(120);
    let more = [
        "--retry-max-attempts",
        "1",
        "--on-dead-letter",
        "exec:touch announced",
        "--exec",
        "sh",
        "-c",
        "exit 1",
    ];
    let (mut serve, url) = serve(&workdir, &terminal, &more);
    let id = trigger(&workdir, &url, "avatar_video.success");
    terminal.shows("; dead-lettered: ");
    eventually(|| workdir.path().join("announced").exists());
    let kill = ["-TERM", &serve.0.id().to_string()].map(str::to_owned);
    let status = Command::new("kill").args(kill).status();
    assert!(status.expect("kill").success());
    serve.0.wait().expect("it ends");
    terminal.shows("stopped");
    let text = terminal.text();
    assert!(!text.contains(&format!("{id}  →")), "{text}");
}

/// Programs read it, wherever it goes.
#[test]
fn log_that_was_configured_is_complete_on_a_terminal_too() {
    for more in [["--log-format", "json"], ["--log", "debug"]] {
        let workdir = Workdir::new();
        let terminal = Terminal::new(80);
        let forward = ["--forward", &application()];
        let (_serve, url) = serve(&workdir, &terminal, &[more, forward].concat());
        trigger(&workdir, &url, "avatar_video.success");
        terminal.shows("attempt failed, retry in ");
    }
}

#[test]
fn options_of_the_handler_are_its_own() {
    let workdir = Workdir::new();
    let terminal = Terminal::new(120);
    let exec = ["--exec", "sh", "-c", "exit 0", "--color", "never", "--wide"];
    let (_serve, url) = serve(&workdir, &terminal, &exec);
    trigger(&workdir, &url, "avatar_video.success");
    terminal.shows("→ exit 0 in ");
    let raw = terminal.raw();
    assert!(raw.contains("\u{1b}[32m→"), "{raw}");
}

#[test]
fn what_is_printed_is_its_own_line() {
    let workdir = Workdir::new();
    let terminal = Terminal::new(80);
    let (_serve, url) = serve(&workdir, &terminal, &["--quiet"]);
    let id = trigger(&workdir, &url, "avatar_video.success");
    terminal.shows(&id);
    let other = trigger(&workdir, &url, "avatar_video.fail");
    terminal.shows(&other);
    assert_eq!(terminal.text().matches(&*id).count(), 1);
}

#[test]
fn quiet_leaves_failures_to_the_log() {
    let workdir = Workdir::new();
    let terminal = Terminal::new(80);
    let forward = application();
    let (_serve, url) = serve(&workdir, &terminal, &["--quiet", "--forward", &forward]);
    let id = trigger(&workdir, &url, "avatar_video.success");
    terminal.shows("attempt failed, retry in ");
    assert!(!terminal.text().contains(&format!("{id}  ")));
}

#[test]
fn without_a_terminal_nothing_but_the_log_tells_of_attempts() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--forward", &application(), "--retry-initial-delay", "0.05"]);
    serve.trigger(&workdir, &["avatar_video.success"]).ok();
    serve.log_line("attempt failed, retry in ");
    serve.signal("TERM");
    let (_, lines, _) = serve.wait();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("listening on "), "{lines:?}");
}

/// Runs a command whose output is this terminal to its end.
fn show(workdir: &Workdir, terminal: &Terminal, arguments: &[&str]) -> String {
    let mut running = start(
        workdir.command(arguments),
        terminal.stream(),
        Stdio::inherit(),
    );
    let status = running.0.wait().expect("it ends");
    assert!(status.success(), "{arguments:?}");
    // The end of its output: written here, and so after it.
    (&terminal.side).write_all(b"~\n").expect("a terminal");
    terminal.shows("~\n");
    terminal.text().trim_end_matches("~\n").to_owned()
}

fn filled() -> Workdir {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    for event_type in [
        "avatar_video.success",
        "interactive_avatar_session_summary.finished",
    ] {
        serve.trigger(&workdir, &[event_type]).ok();
        serve.line();
    }
    serve.trigger(&workdir, &["batch.finished", "--tamper"]);
    serve.signal("TERM");
    serve.wait();
    workdir
}

const LIST: [&str; 2] = ["inbox", "list"];

#[test]
fn tables_fit_the_terminal() {
    let workdir = filled();
    for width in [80, 100, 120, 200] {
        let terminal = Terminal::new(width);
        let text = show(&workdir, &terminal, &LIST);
        assert_eq!(text.lines().count(), 3, "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= usize::from(width), "{line}");
        }
        for head in ["ID ", "RECEIVED ", "EVENT ", "SUBJECT ", "STATE"] {
            assert!(text.contains(head), "{width}: {text}");
        }
        assert!(text.contains("avatar_video.success "), "{text}");
        assert_eq!(text.contains("ATTEMPTS"), width >= 100, "{text}");
        assert_eq!(text.contains('…'), width < 200, "{text}");
        for more in [
            &["inbox", "attempts", "last"][..],
            &["inbox", "stats"],
            &["inbox", "rejected", "list"],
        ] {
            let terminal = Terminal::new(width);
            for line in show(&workdir, &terminal, more).lines() {
                assert!(line.chars().count() <= usize::from(width), "{line}");
            }
        }
    }
    let wide = show(
        &workdir,
        &Terminal::new(80),
        &[&LIST[..], &["--wide"]].concat(),
    );
    let piped = run(&workdir, &LIST);
    assert_eq!(wide, piped.stdout);
    assert!(!wide.contains('…'), "{wide}");
    assert!(wide.contains("+05:30"), "{wide}");
    // The answer of an application may be a whole page.
    let serve = workdir.serve(&[]);
    let trigger = [
        "trigger",
        "avatar_video_caption.success",
        "--to",
        &serve.url,
    ];
    let text = show(&workdir, &Terminal::new(60), &trigger);
    assert!(text.contains('…'), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 60, "{line}");
    }
}

fn run(workdir: &Workdir, arguments: &[&str]) -> Ended {
    workdir.run_with(arguments, b"", &[("TZ", TIME_ZONE)]).ok()
}

/// As `| head -1` does.
#[test]
fn reader_that_has_seen_enough_is_no_failure() {
    let workdir = filled();
    for arguments in [&LIST[..], &["inbox", "show", "last"], &["schema", "--list"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = workdir.command(arguments);
        let ended = command.stdout(writer).output().expect("the binary starts");
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.is_empty(), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let workdir = filled();
    let green = "\u{1b}[32macknowledged\u{1b}[0m";
    let shown = |arguments: &[&str]| {
        let terminal = Terminal::new(120);
        show(&workdir, &terminal, &[&LIST, arguments].concat());
        terminal.raw()
    };
    assert!(shown(&[]).contains(green));
    assert!(!shown(&["--color", "never"]).contains('\u{1b}'));
    let piped = |arguments: &[&str]| run(&workdir, &[&LIST, arguments].concat()).stdout;
    assert!(!piped(&[]).contains('\u{1b}'));
    assert!(piped(&["--color=always"]).contains(green));
    let always = piped(&["--color=always", "--json"]);
    assert!(!always.contains('\u{1b}'), "{always}");
    let terminal = Terminal::new(120);
    let mut command = workdir.command(&LIST);
    command.env("NO_COLOR", "1").env("TERM", "xterm");
    let status = command.stdout(terminal.stream()).status();
    assert!(status.expect("the binary starts").success());
    terminal.shows("acknowledged");
    assert!(!terminal.raw().contains('\u{1b}'), "{}", terminal.raw());
    let wrong = workdir.run(&[&LIST[..], &["--color", "red"]].concat());
    assert_eq!(wrong.status, 2, "{}", wrong.stderr);
}

#[test]
fn command_that_waits_for_input_says_so() {
    let workdir = Workdir::new();
    for command in [
        &["inspect"][..],
        &["verify", "--signature", "abc"],
        &["trigger", "--body", "-"],
    ] {
        let terminal = Terminal::new(80);
        let child = workdir
            .command(command)
            .env("HEYGEN_WEBHOOK_SECRET", SECRET)
            .stdin(terminal.stream())
            .stderr(terminal.stream())
            .spawn();
        let _running = Running(child.expect("the binary starts"));
        terminal.shows("end it with Ctrl-D");
    }
    let empty = workdir.run(&["inspect"]);
    assert_eq!(empty.status, 1);
    assert_eq!(empty.stderr, "error: not an event: the body is empty\n");
}
