//! Starts the binary, in a folder of its own, and reads what it says.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use heygen_testkit::sandbox::Sandbox;
use tempfile::TempDir;

pub(crate) const SECRET: &str = "whsec_of_the_tests";

/// A folder to run in; whatever commands leave behind goes with it.
pub(crate) struct Workdir {
    folder: TempDir,
}

/// A running `serve`. Dropped, it is killed.
pub(crate) struct Serve {
    child: Child,
    pub(crate) url: String,
    lines: Receiver<String>,
    log: Receiver<String>,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) raw: Vec<u8>,
}

impl Workdir {
    pub(crate) fn new() -> Self {
        Self {
            folder: xtask_nats::folder().expect("a temporary folder"),
        }
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The command in this folder, without anything of the tests' own environment that could change what it does.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heygen-webhooks"));
        command.args(arguments).current_dir(self.path());
        let ours = std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.to_str().is_some_and(|name| name.starts_with("HEYGEN")));
        ours.for_each(|name| {
            command.env_remove(name);
        });
        command
    }

    /// Runs a command that knows the secret to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, b"", &[("HEYGEN_WEBHOOK_SECRET", SECRET)])
    }

    /// Runs it as [`run`](Self::run) does; it succeeds, and prints one JSON document.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        self.run(arguments).ok().json()
    }

    /// Every delivery of its inbox, newest first.
    #[track_caller]
    pub(crate) fn list(&self) -> Vec<serde_json::Value> {
        let list = self.json(&["inbox", "list", "--json", "--limit", "0"]);
        list.as_array().expect("an array").clone()
    }

    /// How often each subject is in its inbox.
    #[track_caller]
    pub(crate) fn by_subject(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for delivery in self.list() {
            let subject = delivery["subject_id"].as_str().expect("a subject");
            *counts.entry(subject.to_owned()).or_default() += 1;
        }
        counts
    }

    /// Runs it as [`run`](Self::run) does, where no file may grow beyond so many bytes: a write past that fails as on a full disk.
    #[cfg(unix)]
    pub(crate) fn run_limited(&self, bytes: u64, arguments: &[&str]) -> Ended {
        let plain = self.command(arguments);
        let mut command = Command::new("sh");
        let limit = format!(r#"trap '' XFSZ; exec prlimit --fsize={bytes} "$@""#);
        command
            .args(["-c", &limit, "sh"])
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(self.path())
            .env("HEYGEN_WEBHOOK_SECRET", SECRET);
        for (name, _) in plain.get_envs() {
            command.env_remove(name);
        }
        Ended::of(command.output().expect("its output"))
    }

    pub(crate) fn run_with(
        &self,
        arguments: &[&str],
        input: &[u8],
        environment: &[(&str, &str)],
    ) -> Ended {
        let mut child = self
            .command(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        // A command that does not read its input closes it early.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        Ended::of(child.wait_with_output().expect("its output"))
    }

    /// Starts `serve` with the secret, on a free port.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Serve {
        self.serve_with(arguments, &[("HEYGEN_WEBHOOK_SECRET", SECRET)])
    }

    pub(crate) fn serve_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Serve {
        self.start(self.command(&with_free_ports(arguments)), environment)
    }

    /// Starts what is or becomes a `serve` that logs JSON.
    pub(crate) fn start(&self, command: Command, environment: &[(&str, &str)]) -> Serve {
        let mut serve = self.begin(command, environment);
        serve.url = loop {
            let line = serve
                .log
                .recv_timeout(PATIENCE)
                .expect("a log line that says where it listens");
            let line: serde_json::Value = serde_json::from_str(&line).expect("a log line is JSON");
            if let Some(url) = line["url"].as_str() {
                break url.to_owned();
            }
        };
        serve
    }

    /// As [`serve`](Self::serve), with its log still to be read from the start.
    #[cfg(unix)]
    pub(crate) fn serve_logging(&self, arguments: &[&str]) -> Serve {
        let environment = [("HEYGEN_WEBHOOK_SECRET", SECRET)];
        self.begin(self.command(&with_free_ports(arguments)), &environment)
    }

    /// Starts what goes on, and does not wait for anything.
    pub(crate) fn begin(&self, mut command: Command, environment: &[(&str, &str)]) -> Serve {
        let mut child = command
            .current_dir(self.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        Serve {
            url: String::new(),
            lines: lines_of(child.stdout.take().expect("a pipe")),
            log: lines_of(child.stderr.take().expect("a pipe")),
            child,
        }
    }
}

impl Serve {
    /// The next line on standard output.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }

    /// The next log line that holds `text`.
    pub(crate) fn log_line(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).expect("another log line");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Where health, readiness and metrics are. Asked before anything else is read of the log.
    pub(crate) fn admin(&self) -> String {
        let line = self.log_line(r#""admin":"http"#);
        let line: serde_json::Value = serde_json::from_str(&line).expect("a log line is JSON");
        line["admin"].as_str().expect("an address").to_owned()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no goodbye.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        self.lines.iter().collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh")
            .args(["-c", &kill])
            .status()
            .expect("a shell");
        assert!(status.success(), "{kill}");
    }

    /// Waits for its end: exit status, the rest of its lines, and its log.
    pub(crate) fn wait(mut self) -> (i32, Vec<String>, Vec<String>) {
        let status = self.child.wait().expect("it ends");
        (
            status.code().unwrap_or(-1),
            self.lines.iter().collect(),
            self.log.iter().collect(),
        )
    }

    pub(crate) fn trigger(&self, workdir: &Workdir, arguments: &[&str]) -> Ended {
        workdir.run(&[&["trigger", "--to", &self.url], arguments].concat())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            raw: output.stdout,
        }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(
            self.status, 0,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }

    /// What is on standard output has this in it.
    #[track_caller]
    pub(crate) fn prints(&self, part: &str) {
        assert!(self.stdout.contains(part), "{part}: {}", self.stdout);
    }

    /// What is on standard error has this in it.
    #[track_caller]
    pub(crate) fn says(&self, part: &str) {
        assert!(self.stderr.contains(part), "{part}: {}", self.stderr);
    }

    /// It ends with this status, and says this.
    #[track_caller]
    pub(crate) fn fails(&self, status: i32, part: &str) {
        assert_eq!(self.status, status, "{}{}", self.stdout, self.stderr);
        self.says(part);
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("one JSON document")
    }
}

/// The arguments of a `serve` that any number of tests can run at a time.
pub(crate) fn with_free_ports<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--log-format",
        "json",
    ];
    [&serve, arguments].concat()
}

/// The arguments of a command line in which none has a space in it.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn eventually(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    loop {
        let asked = Instant::now();
        if is_so() {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "it never came to be");
        // Many ask by a command, which must not take all the time from what they wait for.
        thread::sleep(Duration::from_millis(5).max(asked.elapsed() * 2));
    }
}

/// A sandbox that takes this API key.
pub(crate) async fn sandbox(key: &str) -> Sandbox {
    let sandbox = Sandbox::builder().api_key(key).start().await;
    sandbox.expect("a sandbox")
}

/// In a thread of its own, for those who wait inside a runtime as much as for those who have none.
pub(crate) fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(future)
    };
    thread::scope(|scope| scope.spawn(run).join().expect("it ends"))
}

fn lines_of(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Far beyond what anything takes: a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
