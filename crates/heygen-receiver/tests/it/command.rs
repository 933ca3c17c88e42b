//! Programs that take deliveries, refuse them, hang, and leave things behind.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use heygen_inbox::AttemptOutcome;
use heygen_receiver::handlers::Command;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::handler_run::HandlerRun;
use crate::support::{PATIENCE, body, until, within_patience};

/// What `script` runs in finds its folder in `$DIR`.
fn sh(folder: &TempDir, script: &str) -> Command {
    Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .env("DIR", folder.path())
}

/// Tells when nothing has it open for writing any more: a process that is gone has nothing open.
struct Held {
    path: PathBuf,
    released: oneshot::Receiver<()>,
}

impl Held {
    fn new(folder: &TempDir) -> Self {
        let path = folder.path().join("held");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let (tell, released) = oneshot::channel();
        let ours = path.clone();
        // No thread of the runtime, which would wait for it.
        std::thread::spawn(move || {
            let mut file = fs::File::open(ours).unwrap();
            file.read_to_end(&mut Vec::new()).unwrap();
            // A test that has failed does not listen.
            let _ = tell.send(());
        });
        Self { path, released }
    }

    async fn released(self) {
        within_patience(self.released).await.unwrap();
        assert!(self.path.exists());
    }
}

async fn is_written(path: &Path) -> String {
    let read = || fs::read_to_string(path).unwrap_or_default();
    until(async || read().ends_with('\n')).await;
    read()
}

/// How the first attempt of such a script ends.
async fn ends(script: &str, sent: &[u8]) -> (AttemptOutcome, String) {
    let folder = tempfile::tempdir().unwrap();
    let run = HandlerRun::start(sh(&folder, script));
    within_patience(run.ends(sent)).await
}

#[tokio::test]
async fn the_body_is_on_standard_input_byte_for_byte() {
    let everything: Vec<u8> = (0..=255).collect();
    let folder = tempfile::tempdir().unwrap();
    let run = HandlerRun::start(sh(&folder, r#"cat > "$DIR/body""#));
    for sent in [everything.repeat(2000), everything, Vec::new()] {
        let (result, reason) = run.ends(&sent).await;
        assert_eq!(result, AttemptOutcome::Acknowledged, "{reason}");
        assert!(fs::read(folder.path().join("body")).unwrap() == sent);
    }
}

#[tokio::test]
async fn environment_has_the_values_of_the_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"env | grep ^HEYGEN_ | sort > "$DIR/env""#;
    let run = HandlerRun::start(sh(&folder, script).env("HEYGEN_EVENT_ID", "given"));
    let seen = || fs::read_to_string(folder.path().join("env")).unwrap();

    let sent = br#"{"event_type":"avatar_video.success","event_id":"evt_1","event_data":{"video_id":"v\u00001"}}"#;
    let id = run.append(&[], sent).await;
    let stored = run.after(id, 1).await;
    assert_eq!(stored.attempts[0].result, AttemptOutcome::Acknowledged);
    let seen_first = seen();
    let (received, others): (Vec<_>, Vec<_>) = seen_first
        .lines()
        .partition(|line| line.starts_with("HEYGEN_RECEIVED_AT=20") && line.ends_with('Z'));
    assert_eq!(received.len(), 1);
    assert_eq!(
        others,
        [
            "HEYGEN_ATTEMPT=1",
            "HEYGEN_AUTHENTICITY=signature",
            &format!("HEYGEN_DELIVERY_ID={id}"),
            "HEYGEN_EVENT_ID=given",
            "HEYGEN_EVENT_TYPE=avatar_video.success",
            "HEYGEN_SUBJECT_ID=v\u{fffd}1",
        ]
    );

    let (result, _) = run.ends(b"no event").await;
    assert_eq!(result, AttemptOutcome::Acknowledged);
    let seen = seen();
    assert!(
        !seen.contains("EVENT_TYPE") && !seen.contains("SUBJECT_ID"),
        "{seen}"
    );
}

#[tokio::test]
async fn overlong_value_is_left_out_of_the_environment() {
    let name = "x".repeat(500_000);
    let sent = format!(r#"{{"event_type":"{name}","event_data":{{}}}}"#);
    let script = r#"test -z "${HEYGEN_EVENT_TYPE+set}""#;
    let (result, reason) = ends(script, sent.as_bytes()).await;
    assert_eq!(result, AttemptOutcome::Acknowledged, "{reason}");
}

/// In a process of its own, because this one's environment is shared by all tests.
#[tokio::test]
async fn our_settings_and_credentials_are_not_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "command::writes_its_environment"])
        .env("TEST_FOLDER", folder.path())
        .env("HEYGEN_WEBHOOK_SECRET", "hush")
        .env("HEYGEN_API_KEY", "hush")
        .env("HEYGEN_WEBHOOKS_FORWARD_SECRET", "hush")
        .env("HEYGEN_EVENT_ID", "somebody else's")
        .env("HEYGEN_WEBHOOKS_INBOX", "nats://ann:hush@n1/HEYGEN")
        .env("NATS_PASSWORD", "hush")
        .env("HTTPS_PROXY", "http://me:hush@proxy.example:3128")
        .env("NOT_OURS", "yes")
        .output()
        .await
        .unwrap();
    let env = fs::read_to_string(folder.path().join("env"))
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    for inherited in ["NOT_OURS=yes", "HTTPS_PROXY=http://proxy.example:3128"] {
        assert!(env.contains(inherited), "{inherited}: {env}");
    }
    assert!(!env.contains("hush") && !env.contains("somebody"), "{env}");
}

#[tokio::test]
#[ignore = "another test runs it, in an environment with secrets"]
async fn writes_its_environment() {
    let folder = std::env::var_os("TEST_FOLDER").unwrap();
    let script = r#"env > "$TEST_FOLDER/env.new"; mv "$TEST_FOLDER/env.new" "$TEST_FOLDER/env""#;
    let program = Command::new("/bin/sh").args(["-c", script]);
    HandlerRun::start(program).attempt(b"{}").await;
    assert!(Path::new(&folder).join("env").exists());
}

#[tokio::test]
async fn exit_status_decides_the_disposition() {
    use AttemptOutcome::{Acknowledged, DeadLettered, Retry};
    for (script, result, reason) in [
        ("exit 0", Acknowledged, ""),
        ("echo all well >&2", Acknowledged, "all well"),
        ("exit 1", Retry, "sh exited with status 1"),
        (
            "echo no disk >&2; exit 75",
            Retry,
            "sh exited with status 75, which asks for another attempt: no disk",
        ),
        (
            "exit 65",
            DeadLettered,
            "sh exited with status 65, which asks for no other attempt",
        ),
        ("kill -9 $$", Retry, "sh was ended by signal 9"),
        ("kill -TERM $$", Retry, "sh was ended by signal 15"),
        (
            r"printf 'a\r\n\033[31mb\377\n' >&2; exit 3",
            Retry,
            "sh exited with status 3: a\n\u{fffd}[31mb\u{fffd}",
        ),
    ] {
        let found = ends(script, b"{}").await;
        assert_eq!(found, (result, reason.to_owned()), "{script}");
    }
}

#[tokio::test]
async fn arguments_are_not_interpreted_by_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"printf '%s|' "$@" > "$DIR/arguments""#;
    let program = sh(&folder, script).arg("$HOME; exit 1").args(["*", ""]);
    let debug = format!("{program:?}");
    assert!(!debug.contains("exit 1"), "{debug}");
    let (result, _) = HandlerRun::start(program).ends(b"{}").await;
    assert_eq!(result, AttemptOutcome::Acknowledged);
    let arguments = fs::read_to_string(folder.path().join("arguments")).unwrap();
    assert_eq!(arguments, "$HOME; exit 1|*||");
}

#[tokio::test]
async fn last_bytes_of_standard_error_are_recorded() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done >&2; exit 1";
    let (_, reason) = ends(script, b"{}").await;
    assert!(reason.len() < 4200, "{}", reason.len());
    assert!(reason.starts_with("sh exited with status 1: …"), "{reason}");
    assert!(reason.ends_with("line 19998\nline 19999"), "{reason}");
}

#[tokio::test]
async fn unused_pipes_do_not_block() {
    let large = vec![b'x'; 1_000_000];
    for (script, result) in [
        ("exit 0", AttemptOutcome::Acknowledged),
        ("exec <&-; exit 0", AttemptOutcome::Acknowledged),
        ("exec 2>&-; cat > /dev/null", AttemptOutcome::Acknowledged),
        ("exec 2>&- <&-; exit 1", AttemptOutcome::Retry),
        // Speaks more than a pipe holds before it listens, and elsewhere too.
        (
            "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; cat > /dev/null",
            AttemptOutcome::Acknowledged,
        ),
    ] {
        let (found, reason) = ends(script, &large).await;
        assert_eq!(found, result, "{script}: {reason}");
    }
}

#[tokio::test]
async fn processes_left_behind_are_neither_awaited_nor_ended() {
    let folder = tempfile::tempdir().unwrap();
    let held = Held::new(&folder);
    // It keeps standard error and standard input open until somebody opens `gate`.
    let script = r#"
        mkfifo "$DIR/gate"; exec 9>"$DIR/held"
        { read line < "$DIR/gate"; echo "let be" > "$DIR/left"; } &
        exec 9>&-; echo gone >&2; exit 3"#;
    let program = sh(&folder, script);
    let run = HandlerRun::start(program.clone());
    let (result, reason) = within_patience(run.ends(&vec![0; 1_000_000])).await;
    assert_eq!(result, AttemptOutcome::Retry);
    assert_eq!(reason, "sh exited with status 3: gone");
    within_patience(program.all_ended()).await;
    let gate = folder.path().join("gate");
    tokio::task::spawn_blocking(move || fs::write(gate, "\n"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(is_written(&folder.path().join("left")).await, "let be\n");
    held.released().await;
}

/// Nobody is left of a program that wrote its process id first: it is not even waited for.
#[cfg(target_os = "linux")]
fn assert_reaped(id: &str) {
    let process = Path::new("/proc").join(id.trim());
    assert!(!process.exists(), "{process:?}");
}

#[cfg(not(target_os = "linux"))]
fn assert_reaped(_: &str) {}

#[tokio::test]
async fn program_that_takes_too_long_is_ended_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let held = Held::new(&folder);
    let script = r#"
        exec 9>"$DIR/held"; trap 'echo asked to end >&2; exit 1' TERM
        echo $$ > "$DIR/id"; echo at work >&2
        sh -c 'sleep 1000; true' & wait"#;
    let program = sh(&folder, script).timeout(Duration::from_secs(3));
    let run = HandlerRun::start(program.clone());
    let (result, reason) = within_patience(run.ends(b"{}")).await;
    assert_eq!(result, AttemptOutcome::Retry);
    assert_eq!(
        reason,
        "sh was ended: it took longer than 3s: at work\nasked to end"
    );
    assert_reaped(&is_written(&folder.path().join("id")).await);
    within_patience(program.all_ended()).await;
    held.released().await;
}

/// Its own end is refused, and so is that of what it starts.
const STUBBORN: &str = r#"
    trap '' TERM; exec 9>"$DIR/held"; sleep 1000 &
    echo $$ > "$DIR/id"; wait; sleep 1000"#;

#[tokio::test]
async fn program_that_ignores_sigterm_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let held = Held::new(&folder);
    let program = sh(&folder, STUBBORN).timeout(Duration::from_secs(3));
    let run = HandlerRun::start(program);
    let (result, reason) = within_patience(run.ends(b"{}")).await;
    assert_eq!(result, AttemptOutcome::Retry);
    assert_eq!(reason, "sh was ended: it took longer than 3s");
    assert_reaped(&is_written(&folder.path().join("id")).await);
    held.released().await;
}

#[tokio::test]
async fn program_of_a_dropped_attempt_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let held = Held::new(&folder);
    let program = sh(&folder, STUBBORN);
    let run = HandlerRun::with(program.clone(), |options| {
        options.shutdown_timeout = Duration::ZERO;
    });
    run.append(&[], b"{}").await;
    let id = is_written(&folder.path().join("id")).await;
    drop(run);
    within_patience(program.all_ended()).await;
    assert_reaped(&id);
    held.released().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_programs_can_be_ended_at_once() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let held = folders.each_ref().map(Held::new);
    let gentle = r#"exec 9>"$DIR/held"; echo $$ > "$DIR/id"; sleep 1000 & wait"#;
    let programs = [sh(&folders[0], gentle), sh(&folders[1], STUBBORN)];
    let run = programs.clone().map(HandlerRun::start);
    for (run, folder) in run.iter().zip(&folders) {
        run.append(&[], b"{}").await;
        is_written(&folder.path().join("id")).await;
    }
    Command::end_all(&programs, Duration::from_millis(100));
    for held in held {
        held.released().await;
    }
    for (program, run) in programs.iter().zip(run) {
        within_patience(program.all_ended()).await;
        let (result, reason) = within_patience(run.ends(b"[]")).await;
        assert_eq!(result, AttemptOutcome::Retry);
        assert!(reason.contains("no more programs are started"), "{reason}");
    }
}

/// Holds a lease of a file: opening it, also to run it, has to wait.
#[cfg(target_os = "linux")]
const LEASE: &str = r#"
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, lambda *_: os.write(1, b"asked\n"))
file = os.open(sys.argv[1], os.O_RDONLY)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
os.write(1, b"held\n")
os.read(0, 1)
"#;

/// A program whose file does not answer, as on a server for files that is gone.
#[cfg(target_os = "linux")]
struct Leased {
    path: PathBuf,
    holder: std::process::Child,
    /// Tells when the file was asked for.
    asked: oneshot::Receiver<(Option<String>, std::time::Instant)>,
}

#[cfg(target_os = "linux")]
impl Leased {
    fn new(folder: &TempDir, script: &str) -> Self {
        use std::io::{BufRead as _, BufReader};
        use std::os::unix::fs::PermissionsExt as _;
        use std::process::Stdio;

        let path = folder.path().join("program");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut holder = std::process::Command::new("python3");
        holder.args(["-c", LEASE]).arg(&path);
        holder.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let mut said = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert_eq!(said.next().unwrap().unwrap(), "held");
        let (tell, asked) = oneshot::channel();
        std::thread::spawn(move || {
            let line = said.next().and_then(Result::ok);
            // A test that has failed does not listen.
            let _ = tell.send((line, std::time::Instant::now()));
        });
        Self {
            path,
            holder,
            asked,
        }
    }

    async fn is_asked_for(&mut self) {
        let (line, at) = within_patience(&mut self.asked).await.unwrap();
        assert_eq!(line.as_deref(), Some("asked"));
        // The system ends the lease after 45 s.
        assert!(at.elapsed() < Duration::from_secs(20), "{:?}", at.elapsed());
    }

    fn answer(mut self) {
        use std::io::Write as _;
        // Not closed: the process that is to become the program has a copy.
        let mut stdin = self.holder.stdin.take().unwrap();
        stdin.write_all(b"\n").unwrap();
        self.holder.wait().unwrap();
    }
}

/// The runtime has one thread here.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn program_whose_file_does_not_answer_holds_no_thread_of_the_runtime() {
    use heygen_inbox::InboxAdmin as _;

    let folder = tempfile::tempdir().unwrap();
    let mut leased = Leased::new(&folder, "#!/bin/sh\nexit 0\n");
    let program = Command::new(&leased.path);
    let run = HandlerRun::start(program.clone());
    let id = run.append(&[], b"{}").await;
    leased.is_asked_for().await;
    let stored = run.inbox.get(id).await.unwrap().unwrap();
    assert!(stored.attempts.is_empty());
    leased.answer();
    let attempt = run.after(id, 1).await.attempts.swap_remove(0);
    assert_eq!(attempt.result, AttemptOutcome::Acknowledged, "{attempt:?}");
    within_patience(program.all_ended()).await;
}

/// It would outlive a process that is killed, and run the program later without its input.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn program_whose_file_does_not_answer_has_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut leased = Leased::new(&folder, "#!/bin/sh\n");
    let mut runner = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "command::runs_a_program"])
        .env("TEST_PROGRAM", &leased.path)
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    leased.is_asked_for().await;
    let id = runner.id().unwrap();
    let is_child = |stat: &str| {
        // The name of a process, in parentheses, may hold anything.
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1));
        parent == Some(&*id.to_string())
    };
    let processes = fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let stats = processes.filter_map(|process| fs::read_to_string(process.join("stat")).ok());
    let children: Vec<_> = stats.filter(|stat| is_child(stat)).collect();
    assert!(children.is_empty(), "{children:?}");
    runner.kill().await.unwrap();
    leased.answer();
}

#[tokio::test]
#[ignore = "another test runs it, and kills it"]
async fn runs_a_program() {
    let program = std::env::var_os("TEST_PROGRAM").unwrap();
    let run = HandlerRun::start(Command::new(program));
    run.append(&[], b"{}").await;
    std::future::pending::<()>().await;
}

/// Otherwise the dispatcher would end the attempt first, and its standard error would be lost.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn time_until_the_start_is_part_of_the_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\necho at work >&2\nexec sleep 1000\n";
    let mut leased = Leased::new(&folder, script);
    let program = Command::new(&leased.path).timeout(Duration::from_secs(6));
    let run = HandlerRun::start(program.clone());
    let id = run.append(&[], b"{}").await;
    leased.is_asked_for().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    leased.answer();
    let attempt = run.after(id, 1).await.attempts.swap_remove(0);
    assert_eq!(
        attempt.detail.as_deref(),
        Some("program was ended: it took longer than 6s: at work")
    );
    // With a timeout for each it would be 9 s.
    let took = attempt.duration;
    assert!(took < Duration::from_millis(8500), "{took:?}");
    within_patience(program.all_ended()).await;
}

#[test]
fn program_does_not_outlive_the_runtime() {
    for flavor in ["current thread", "multi thread"] {
        let folder = tempfile::tempdir().unwrap();
        let held = Held::new(&folder);
        let mut builder = match flavor {
            "current thread" => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = builder.enable_all().build().unwrap();
        let id = runtime.block_on(async {
            let run = HandlerRun::start(sh(&folder, STUBBORN));
            run.append(&[], b"{}").await;
            let id = is_written(&folder.path().join("id")).await;
            // Nobody lets go of it but the runtime itself.
            std::mem::forget(run);
            id
        });
        drop(runtime);
        assert_reaped(&id);
        let mut released = held.released;
        let start = std::time::Instant::now();
        while released.try_recv().is_err() {
            assert!(start.elapsed() < PATIENCE, "{flavor}: it lives");
            std::thread::yield_now();
        }
    }
}

#[tokio::test]
async fn program_that_cannot_be_started_is_retried_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("plain"), body("a")).unwrap();
    for (program, expected) in [
        (path("missing"), "was not found: give its whole path"),
        (path("plain"), "may not be run: make it executable"),
        (PathBuf::from("a\0b"), "could not be started"),
        (PathBuf::new(), "was not found"),
    ] {
        let run = HandlerRun::start(Command::new(program.clone()).arg("hush"));
        let (result, reason) = run.ends(b"{}").await;
        assert_eq!(result, AttemptOutcome::Retry);
        assert!(reason.contains(expected), "{program:?}: {reason}");
        assert!(!reason.contains("hush"), "{reason}");
    }
}
