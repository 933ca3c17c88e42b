//! [`Command`]: runs a program for each delivery.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::future::pending;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use heygen_events::text::one_line;

use crate::delivery::Delivery;
use crate::dispatcher::AbortOnDrop;
use crate::handler::{Disposition, Handler};
use crate::panics::locked;
use crate::running_time;

mod environment;
mod pipes;
mod process;

use pipes::{Tails, pump};
use process::{Process, Programs};

/// Runs a program for each delivery: no shell, the body on its standard input, the rest in its
/// environment.
///
/// # Input
///
/// Standard input is the body, byte for byte; a program need not read it. The environment has these
/// variables, unless the delivery lacks the value:
///
/// | variable | |
/// |---|---|
/// | `HEYGEN_EVENT_TYPE` | the event's name |
/// | `HEYGEN_EVENT_ID` | `event_id` of the body |
/// | `HEYGEN_SUBJECT_ID` | the id of the video or other job |
/// | `HEYGEN_DELIVERY_ID` | the [id](Delivery::id), the same on every attempt |
/// | `HEYGEN_ATTEMPT` | the number of the attempt, from 1 |
/// | `HEYGEN_AUTHENTICITY` | what proves its origin: `signature` if HeyGen signed it |
/// | `HEYGEN_RECEIVED_AT` | when it was received: RFC 3339, UTC, microseconds |
/// | `HEYGEN_DEAD_LETTER_REASON` | in a [`DeadLetterHook`](crate::DeadLetterHook): why it was given up |
///
/// A value of more than 32 KiB is absent too, and a NUL in a value is replaced. The rest of the
/// environment is inherited, without our settings and credentials: every other variable that begins
/// with `HEYGEN_` or `NATS_` is removed, and the user and password of a proxy (`HTTPS_PROXY` and
/// other names that end in `_PROXY`) are cut from its address. [`env`](Self::env) sets one again.
///
/// # Result
///
/// | exit status | |
/// |---|---|
/// | 0 | acknowledged |
/// | 65 (`EX_DATAERR`) | dead-lettered: retrying would not help |
/// | anything else, also 75 (`EX_TEMPFAIL`), or a signal | a retry |
///
/// The last 4 KiB of standard error are recorded with the attempt, however it ended. Standard
/// output is for those who look for it: where the level debug is logged, its last 4 KiB are, and
/// otherwise it is discarded.
///
/// # Time
///
/// A program that takes longer than [`timeout`](Self::timeout) is ended with everything it started:
/// on Unix it has its own process group, which gets SIGTERM and, if a process of it is left 2 s
/// later, SIGKILL. The same happens when the dispatcher drops the attempt; at the end of the
/// runtime there is only SIGKILL. On other systems only the program itself is ended. Processes that
/// the program leaves running after its own end are not ended, and their standard error is not
/// read.
///
/// # Examples
///
/// ```
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::Dispatcher;
/// use heygen_receiver::handlers::Command;
///
/// let handler = Command::new("/usr/local/bin/publish-video").arg("--channel").arg("demo");
/// let dispatcher = Dispatcher::new(MemoryInbox::new(), handler.clone());
/// # let _ = dispatcher;
/// # let after_the_dispatcher = async move {
/// // Before the process ends: programs of dropped attempts may still have their two seconds.
/// handler.all_ended().await;
/// # };
/// ```
#[derive(Clone)]
pub struct Command {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    timeout: Duration,
    descriptors: Option<u64>,
    running: Programs,
}

impl Command {
    /// Runs this program: a path, or a name that is searched for in `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            timeout: Duration::from_secs(55),
            descriptors: None,
            running: Programs::default(),
        }
    }

    /// Adds an argument. No shell interprets it.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment, instead of an inherited one.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// How long it may take, from the wait for its start to its end. Default: 55 s, so that it ends
    /// before the dispatcher's [`handler_timeout`](crate::DispatchOptions::handler_timeout) of 60 s
    /// and its standard error is recorded.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the soft limit of open files of the program, for a process that has raised its own:
    /// some programs close every possible descriptor at their start. It is set right after the
    /// start and before the body is written, on Linux only. Default: inherited.
    #[must_use]
    pub fn descriptors(mut self, soft_limit: u64) -> Self {
        self.descriptors = Some(soft_limit);
        self
    }

    /// Returns when none of the programs that it or its clones started runs any more.
    ///
    /// Wait for it between the end of the [`Dispatcher`](crate::Dispatcher) and that of the
    /// process, for at most 3 s. Otherwise a program that ignores SIGTERM may outlive the process.
    pub async fn all_ended(&self) {
        self.running.all_ended().await;
    }

    /// Ends all running programs of these commands and of their clones, and starts no more: for a
    /// process that is about to end without its runtime. On Unix each process group gets SIGTERM,
    /// and SIGKILL after `grace`; this blocks for up to `grace`. On other systems it does nothing.
    pub fn end_all<'a>(commands: impl IntoIterator<Item = &'a Self>, grace: Duration) {
        process::end_all(commands.into_iter().map(|command| &command.running), grace);
    }

    fn build(&self, delivery: &Delivery) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(match is_stdout_logged() {
                true => Stdio::piped(),
                false => Stdio::null(),
            })
            .stderr(Stdio::piped());
        environment::set(&mut command, delivery);
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }

    /// Its exit status, or `None` when it took longer than `limit`.
    async fn run(
        mut process: Process,
        body: Bytes,
        tails: &Arc<Tails>,
        limit: impl Future,
    ) -> Option<io::Result<ExitStatus>> {
        let pumping = pump(process.pipes(), body, Arc::clone(tails));
        let mut pumping = AbortOnDrop(tokio::spawn(pumping));
        let ended = tokio::select! {
            biased;
            status = process.wait() => Some(status),
            _ = limit => None,
        };
        if ended.is_none() {
            process.end().await;
        }
        // All its output is in the pipe by now, but a process that it left behind may hold the pipe
        // open.
        let _ = tokio::time::timeout(LINGER, &mut pumping.0).await;
        ended
    }

    fn disposition(&self, end: Option<io::Result<ExitStatus>>, stderr: String) -> Disposition {
        let name = self.name();
        let reason = |what: String| match stderr.is_empty() {
            true => format!("{name} {what}"),
            false => format!("{name} {what}: {stderr}"),
        };
        match end {
            Some(Ok(status)) if status.success() && stderr.is_empty() => Disposition::Ack,
            Some(Ok(status)) if status.success() => Disposition::AckWithNote { note: stderr },
            Some(Ok(status)) if status.code() == Some(EX_DATAERR) => {
                Disposition::dead_letter(reason(describe(status)))
            }
            Some(Ok(status)) => Disposition::retry(reason(describe(status))),
            Some(Err(error)) => {
                Disposition::retry(reason(format!("could not be waited for: {error}")))
            }
            None => Disposition::retry(reason(format!(
                "was ended: it took longer than {:?}",
                self.timeout
            ))),
        }
    }

    fn not_started(&self, error: &io::Error) -> Disposition {
        let program = one_line(&self.program.to_string_lossy());
        Disposition::retry(match error.kind() {
            io::ErrorKind::NotFound => format!(
                "{program} was not found: give its whole path; if it is a script, check that its interpreter is installed"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("{program} may not be run: make it executable for the user of this process")
            }
            _ => format!("{program} could not be started: {error}"),
        })
    }

    /// The file name of the program: arguments may hold secrets.
    fn name(&self) -> String {
        let name = Path::new(&self.program).file_name();
        one_line(&name.unwrap_or(&self.program).to_string_lossy())
    }
}

impl Handler for Command {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        let command = self.build(&delivery);
        let starting = Process::spawn(command, &self.running, self.descriptors);
        // One for the start and the run: with two, the attempt would end before the program does,
        // and without its standard error.
        let mut limit = pin!(running_time::timeout(self.timeout, pending::<()>()));
        let started = tokio::select! {
            biased;
            started = starting => Some(started),
            _ = &mut limit => None,
        };
        let process = match started {
            Some(Ok(process)) => process,
            Some(Err(error)) => return self.not_started(&error),
            None => {
                let name = self.name();
                return Disposition::retry(format!(
                    "{name} was not started within {:?}: the file system that it is on may not answer",
                    self.timeout
                ));
            }
        };
        let tails = Arc::<Tails>::default();
        let end = Self::run(process, delivery.body().clone(), &tails, limit).await;
        let stdout = locked(&tails.stdout).text();
        if !stdout.is_empty() {
            let stdout = stdout.replace('\n', " | ");
            tracing::debug!(delivery = %delivery.id(), program = self.name(), stdout, "output of a program");
        }
        self.disposition(end, locked(&tails.stderr).text())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&OsStr> = self.environment.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.arguments.len())
            .field("environment", &names)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn is_stdout_logged() -> bool {
    tracing::enabled!(tracing::Level::DEBUG)
}

fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("was ended by signal {signal}");
    }
    match status.code() {
        Some(EX_TEMPFAIL) => {
            format!("exited with status {EX_TEMPFAIL}, which asks for another attempt")
        }
        Some(EX_DATAERR) => {
            format!("exited with status {EX_DATAERR}, which asks for no other attempt")
        }
        Some(code) => format!("exited with status {code}"),
        None => "ended without a status".to_owned(),
    }
}

/// `sysexits.h`: the input was wrong.
const EX_DATAERR: i32 = 65;
/// `sysexits.h`: a temporary failure.
const EX_TEMPFAIL: i32 = 75;

const LINGER: Duration = Duration::from_millis(100);
