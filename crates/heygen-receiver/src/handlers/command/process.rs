//! [`Process`]: a running program with all it started, which is always ended.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::pipes::Streams;

/// A running program. Dropping it ends it, gracefully if there is a runtime to wait in.
#[derive(Debug)]
pub(super) struct Process {
    /// `None` once a blocking task ends it.
    running: Option<Running>,
}

impl Process {
    /// Starts it on a blocking thread: the system does not return before it has read the program's
    /// file, which may be on a disk or server that does not answer.
    pub(super) async fn spawn(
        mut command: Command,
        programs: &Programs,
        descriptors: Option<u64>,
    ) -> io::Result<Self> {
        #[cfg(unix)]
        command.process_group(0);
        command.kill_on_drop(true);
        // Held until it is started, so that no more than one thread waits for such a file.
        let turn = Arc::clone(&programs.turn).lock_owned().await;
        let programs = programs.clone();
        let attempt = Arc::new(());
        let waiting = Arc::downgrade(&attempt);
        let spawning = tokio::task::spawn_blocking(move || {
            read_beginning(command.as_std().get_program());
            if waiting.strong_count() == 0 {
                return Err(io::Error::other("its attempt has ended"));
            }
            let process = programs.spawn(command)?;
            drop(turn);
            if let Some(soft_limit) = descriptors {
                process.limit_descriptors(soft_limit);
            }
            Ok(process)
        });
        let spawned = spawning.await.map_err(io::Error::other)?;
        drop(attempt);
        spawned
    }

    /// Sets its soft limit of open files, up to the hard limit, which stays.
    #[cfg(target_os = "linux")]
    fn limit_descriptors(&self, soft: u64) {
        use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
        let group = self.running.as_ref().map(|running| running.entry.group);
        let Some(Group(Some(leader))) = group else {
            return;
        };
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: Some(maximum.map_or(soft, |maximum| maximum.min(soft))),
            maximum,
        };
        // It may have ended, or have changed its user; the higher limit does no harm.
        let _ = prlimit(Some(leader), Resource::Nofile, limit);
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "as on Linux")]
    fn limit_descriptors(&self, _: u64) {}

    /// Its standard streams, at the first call.
    pub(super) fn pipes(&mut self) -> Streams {
        let child = self.running.as_mut().map(|running| &mut running.child);
        let (stdin, stdout, stderr) = match child {
            Some(child) => (child.stdin.take(), child.stdout.take(), child.stderr.take()),
            None => (None, None, None),
        };
        Streams {
            stdin,
            stdout,
            stderr,
        }
    }

    /// Returns when it ends by itself. Processes that it started may continue.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let Some(running) = &mut self.running else {
            return Err(io::Error::other("it was ended"));
        };
        let status = running.child.wait().await?;
        running.is_over = true;
        Ok(status)
    }

    /// Ends it, and returns when no process of it is left.
    pub(super) async fn end(mut self) {
        if let Some(ended) = self.end_in_background() {
            // If it panics, dropping what it held ends the processes.
            let _ = ended.await;
        }
    }

    /// Ends it on a blocking thread, which the runtime waits for at its end. Without a runtime,
    /// dropping `Running` ends it too.
    fn end_in_background(&mut self) -> Option<JoinHandle<()>> {
        let running = self.running.take().filter(|running| !running.is_over)?;
        let runtime = Handle::try_current().ok()?;
        Some(runtime.spawn_blocking(move || running.end()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end_in_background();
    }
}

#[derive(Debug)]
struct Running {
    child: Child,
    is_over: bool,
    entry: Entry,
}

impl Running {
    /// Gracefully, within [`GRACE`].
    fn end(mut self) {
        self.entry.group.terminate();
        let terminated_at = Instant::now();
        while terminated_at.elapsed() < GRACE {
            // In this order: until the first process is reaped, the group is not empty.
            if self.is_reaped() && !self.entry.group.lives() {
                self.is_over = true;
                return;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn is_reaped(&mut self) -> bool {
        // An error means that it was reaped elsewhere.
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    /// At once, and waits only for the kernel: SIGKILL cannot be ignored.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.entry.group.kill();
        // For systems without process groups. It does nothing to a process that was reaped.
        let _ = self.child.start_kill();
        let killed = Instant::now();
        while !self.is_reaped() && killed.elapsed() < REAPING {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// The process group that a program leads.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Group(Option<rustix::process::Pid>);

#[cfg(unix)]
impl Group {
    fn of(leader: &Child) -> Self {
        let id = leader.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }

    /// A process may ignore it, and may have ended already.
    fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    fn lives(&self) -> bool {
        self.0.is_some_and(|group| {
            let tested = rustix::process::test_kill_process_group(group);
            tested != Err(rustix::io::Errno::SRCH)
        })
    }
}

/// For systems without process groups and SIGTERM.
#[cfg(not(unix))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Group;

#[cfg(not(unix))]
impl Group {
    fn of(_: &Child) -> Self {
        Self
    }

    fn terminate(&self) {}

    fn kill(&self) {}

    fn lives(&self) -> bool {
        false
    }
}

/// The running programs. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    list: watch::Sender<List>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct List {
    groups: Vec<Group>,
    /// How many are being started.
    starting: usize,
    /// Whether no more may be started.
    is_closed: bool,
}

/// The entry of a program in the list, removed on drop.
#[derive(Debug)]
struct Entry {
    group: Group,
    programs: Programs,
}

impl List {
    fn is_over(&self) -> bool {
        self.groups.is_empty() && self.starting == 0
    }
}

impl Programs {
    /// Returns when none runs any more.
    pub(super) async fn all_ended(&self) {
        // `self` holds a sender, so the channel does not close.
        let _ = self.list.subscribe().wait_for(List::is_over).await;
    }

    /// A program that is started while [`close`](Self::close) is called is ended at once.
    fn spawn(&self, mut command: Command) -> io::Result<Process> {
        let mut is_closed = false;
        self.list.send_modify(|list| {
            is_closed = list.is_closed;
            list.starting += usize::from(!is_closed);
        });
        let refused = || io::Error::other("no more programs are started");
        if is_closed {
            return Err(refused());
        }
        let spawned = command.spawn();
        let group = spawned.as_ref().ok().map(Group::of);
        self.list.send_modify(|list| {
            list.starting -= 1;
            list.groups.extend(group);
            is_closed = list.is_closed;
        });
        let (child, group) = (spawned?, group.ok_or_else(refused)?);
        let programs = self.clone();
        let running = Running {
            child,
            is_over: false,
            entry: Entry { group, programs },
        };
        match is_closed {
            true => Err(refused()),
            false => Ok(Process {
                running: Some(running),
            }),
        }
    }

    /// Starts no more.
    fn close(&self) {
        self.list.send_modify(|list| list.is_closed = true);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.programs.list.send_modify(|list| {
            let index = list.groups.iter().position(|group| *group == self.group);
            if let Some(index) = index {
                list.groups.swap_remove(index);
            }
        });
    }
}

/// Reads the beginning of the program's file, as its start does. If the file does not answer, this
/// thread waits, which ends with our process; a new process that waits would outlive ours, and run
/// the program later without its input.
fn read_beginning(program: &OsStr) {
    let is_file = |path: &PathBuf| path.metadata().is_ok_and(|found| found.is_file());
    let program = Path::new(program);
    let is_name = program.parent() == Some(Path::new(""));
    let found = match std::env::var_os("PATH").filter(|_| is_name) {
        Some(folders) => {
            let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(program));
            paths.find(is_file)
        }
        None => Some(program.to_owned()).filter(is_file),
    };
    if let Some(mut file) = found.and_then(|path| File::open(path).ok()) {
        // The start itself finds out what is wrong with it.
        let _ = file.read(&mut [0; 256]);
    }
}

/// Ends all running programs without the runtime: SIGTERM, a wait of up to `grace`, then SIGKILL.
pub(super) fn end_all<'a>(all: impl Iterator<Item = &'a Programs>, grace: Duration) {
    let all: Vec<&Programs> = all.inspect(|programs| programs.close()).collect();
    let groups = || {
        let groups = all
            .iter()
            .map(|programs| programs.list.borrow().groups.clone());
        Vec::from_iter(groups.flatten())
    };
    let running = groups();
    running.iter().for_each(Group::terminate);
    let terminated_at = Instant::now();
    let is_starting = || {
        all.iter()
            .any(|programs| programs.list.borrow().starting > 0)
    };
    while terminated_at.elapsed() < grace && (running.iter().any(Group::lives) || is_starting()) {
        std::thread::sleep(LOOK_AGAIN);
    }
    running.iter().chain(&groups()).for_each(Group::kill);
}

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = match cfg!(unix) {
    true => Duration::from_secs(2),
    false => Duration::ZERO,
};
const REAPING: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
