//! [`Command`]: runs a program for each delivery.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use heygen_events::text::one_line;

use crate::delivery::Delivery;
use crate::handler::{Disposition, Handler};

mod environment;
mod process;
mod talk;

use process::{Process, Programs};
use talk::{Tail, talk};

/// Runs a program for each delivery: no shell, the body on its standard input, the rest in its environment.
///
/// # What the program is given
///
/// Standard input is the body, byte for byte; a program that does not read it is none the worse. In the environment, and absent
/// where the delivery has no such thing:
///
/// | variable | |
/// |---|---|
/// | `HEYGEN_EVENT_TYPE` | the event's name |
/// | `HEYGEN_EVENT_ID` | `event_id` of the body |
/// | `HEYGEN_SUBJECT_ID` | what it is about, such as the video |
/// | `HEYGEN_DELIVERY_ID` | the [id](Delivery::id), the same on every attempt |
/// | `HEYGEN_ATTEMPT` | 1 the first time |
/// | `HEYGEN_AUTHENTICITY` | what vouches for it: `signature` where HeyGen signed it |
/// | `HEYGEN_RECEIVED_AT` | when it came in: RFC 3339, UTC, microseconds |
///
/// A value of more than 32 KiB is absent too, and a NUL in one is replaced. The rest of the environment is ours, without our
/// settings and credentials: every other variable that begins with `HEYGEN_` or `NATS_` is left out, and the user and password
/// of a proxy (`HTTPS_PROXY` and whatever else ends in `_PROXY`) are cut out of its address. [`env`](Self::env) gives one back.
///
/// # What it says
///
/// | exit status | |
/// |---|---|
/// | 0 | done |
/// | 65 (`EX_DATAERR`) | dead: trying again would not help |
/// | anything else, also 75 (`EX_TEMPFAIL`), or a signal | a retry |
///
/// The last 4 KiB of standard error go on record with the attempt, however it ended. Standard output is thrown away: ours is
/// for data.
///
/// # Time
///
/// A program that takes longer than [`timeout`](Self::timeout) is ended with everything it has started: on Unix it has a process
/// group of its own, which gets SIGTERM and, if something of it is left 2 s later, SIGKILL. The same happens when the
/// dispatcher lets go of it, and when the runtime ends there is only SIGKILL. Elsewhere the program alone is ended. What the
/// program has left running after its own end is let be, and must not count on its standard error being read.
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
/// // Before the process ends: what the dispatcher let go of may still be getting its two seconds.
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
    /// Runs this program: a path, or a name that is looked for in `PATH`.
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

    /// Gives it an argument behind those it has. No shell looks at it.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Gives it arguments behind those it has.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment, whatever we have there.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// How long it may run. Default: 55 s, so that it is ended before the dispatcher's
    /// [`handler_timeout`](crate::DispatchOptions::handler_timeout) of 60 s is over and its last words get on record.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the soft limit of open files of the program, for a process that has raised its own: there are programs that go
    /// over every possible one at their start. It is set right after the start and before the body is written; on Linux alone,
    /// and elsewhere the program has ours. Default: ours.
    #[must_use]
    pub fn descriptors(mut self, soft_limit: u64) -> Self {
        self.descriptors = Some(soft_limit);
        self
    }

    /// Returns once none of the programs it has started runs any more. Clones count together.
    ///
    /// To be waited for between the end of the [`Dispatcher`](crate::Dispatcher) and that of the process, for 3 s at the most:
    /// else what ignores SIGTERM may outlive us.
    pub async fn all_ended(&self) {
        self.running.all_ended().await;
    }

    /// Ends at once what runs of all these commands and of their clones, and starts no more: for a
    /// process that is about to end without its runtime. On Unix each process group gets SIGTERM,
    /// and SIGKILL after `grace`, for which this blocks at the most. Elsewhere it does nothing.
    pub fn end_all<'a>(commands: impl IntoIterator<Item = &'a Self>, grace: Duration) {
        process::end_all(commands.into_iter().map(|command| &command.running), grace);
    }

    fn build(&self, delivery: &Delivery) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        environment::set(&mut command, delivery);
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }

    /// How it ended, or `None` when it took too long.
    async fn run(
        &self,
        mut process: Process,
        delivery: Delivery,
        tail: &mut Tail,
    ) -> Option<io::Result<ExitStatus>> {
        let mut talk = Talk {
            talk: pin!(talk(process.pipes(), delivery.body().clone(), tail)),
            is_over: false,
        };
        let waited = tokio::time::timeout(self.timeout, talk.during(process.wait())).await;
        match waited {
            Ok(status) => {
                // What it has said is in the pipe by now; but a program of its own that it left behind may keep that open.
                let _ = tokio::time::timeout(LINGER, talk.rest()).await;
                Some(status)
            }
            Err(_) => {
                // A task that ends badly has ended the process too.
                let _ = talk.during(process.end()).await;
                None
            }
        }
    }

    fn judge(&self, end: Option<io::Result<ExitStatus>>, tail: &Tail) -> Disposition {
        let name = self.name();
        let said = tail.text();
        let told = |what: String| match said.is_empty() {
            true => format!("{name} {what}"),
            false => format!("{name} {what}: {said}"),
        };
        match end {
            Some(Ok(status)) if status.success() && said.is_empty() => Disposition::Ack,
            Some(Ok(status)) if status.success() => Disposition::AckWithNote { note: said },
            Some(Ok(status)) if status.code() == Some(EX_DATAERR) => {
                Disposition::dead_letter(told(describe(status)))
            }
            Some(Ok(status)) => Disposition::retry(told(describe(status))),
            Some(Err(error)) => {
                Disposition::retry(told(format!("could not be waited for: {error}")))
            }
            None => Disposition::retry(told(format!(
                "was ended: it took longer than {:?}",
                self.timeout
            ))),
        }
    }

    fn not_started(&self, error: &io::Error) -> Disposition {
        let program = one_line(&self.program.to_string_lossy());
        Disposition::retry(match error.kind() {
            io::ErrorKind::NotFound => format!(
                "{program} was not found: give its whole path, and if it is a script look whether what its first line names is installed"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("{program} may not be run: make it executable for the user we run as")
            }
            _ => format!("{program} could not be started: {error}"),
        })
    }

    /// The program without the folders: arguments may hold what is not for a record.
    fn name(&self) -> String {
        let name = Path::new(&self.program).file_name();
        one_line(&name.unwrap_or(&self.program).to_string_lossy())
    }
}

impl Handler for Command {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        let process = match Process::spawn(self.build(&delivery), &self.running) {
            Ok(process) => process,
            Err(error) => return self.not_started(&error),
        };
        if let Some(soft_limit) = self.descriptors {
            process.limit_descriptors(soft_limit);
        }
        let mut tail = Tail::default();
        let end = self.run(process, delivery, &mut tail).await;
        self.judge(end, &tail)
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

/// What goes through the pipes, while something else is waited for.
struct Talk<'a, F> {
    talk: Pin<&'a mut F>,
    is_over: bool,
}

impl<F: Future<Output = ()>> Talk<'_, F> {
    async fn during<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = pin!(what);
        loop {
            tokio::select! {
                biased;
                result = &mut what => return result,
                () = self.rest() => {}
            }
            if self.is_over {
                return what.await;
            }
        }
    }

    async fn rest(&mut self) {
        if !self.is_over {
            self.talk.as_mut().await;
            self.is_over = true;
        }
    }
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
/// `sysexits.h`: it did not work this time.
const EX_TEMPFAIL: i32 = 75;

const LINGER: Duration = Duration::from_millis(100);
