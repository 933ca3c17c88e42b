//! [`Process`]: a program that runs, with all it starts, and never without somebody who ends it.

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A program that runs. Dropping it ends it, gently where there is a runtime to wait in.
#[derive(Debug)]
pub(super) struct Process {
    /// `None` once somebody else sees to its end.
    running: Option<Running>,
}

impl Process {
    pub(super) fn spawn(mut command: Command, count: &watch::Sender<usize>) -> io::Result<Self> {
        #[cfg(unix)]
        command.process_group(0);
        let child = command.kill_on_drop(true).spawn()?;
        Ok(Self {
            running: Some(Running {
                group: Group::of(&child),
                child,
                is_over: false,
                _counted: Counted::new(count),
            }),
        })
    }

    /// Sets how many files it may have open, up to its hard limit, which stays.
    #[cfg(target_os = "linux")]
    pub(super) fn limit_descriptors(&self, soft: u64) {
        use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
        let Some(Group(Some(leader))) = self.running.as_ref().map(|running| &running.group) else {
            return;
        };
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: Some(maximum.map_or(soft, |maximum| maximum.min(soft))),
            maximum,
        };
        // It may be gone already, or be somebody else by its own will; it is none the worse for the higher limit.
        let _ = prlimit(Some(*leader), Resource::Nofile, limit);
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "the other one does something")]
    pub(super) fn limit_descriptors(&self, _: u64) {}

    /// Its standard input and standard error, the first time it is asked for them.
    pub(super) fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStderr>) {
        match &mut self.running {
            Some(running) => (running.child.stdin.take(), running.child.stderr.take()),
            None => (None, None),
        }
    }

    /// Returns when it ends by itself. What it has started may go on.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let Some(running) = &mut self.running else {
            return Err(io::Error::other("it was ended"));
        };
        let status = running.child.wait().await?;
        running.is_over = true;
        Ok(status)
    }

    /// Ends it, and returns when nothing of it is left.
    pub(super) async fn end(mut self) {
        if let Some(ended) = self.hand_over() {
            // It panics for no reason that we know; if it did, what it held was ended on the way.
            let _ = ended.await;
        }
    }

    /// To a thread that may wait, and which the runtime waits for when it ends. Where there is none, or none any more, `Running`
    /// is dropped, and that ends it too.
    fn hand_over(&mut self) -> Option<JoinHandle<()>> {
        let running = self.running.take().filter(|running| !running.is_over)?;
        let runtime = Handle::try_current().ok()?;
        Some(runtime.spawn_blocking(move || running.end()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.hand_over();
    }
}

#[derive(Debug)]
struct Running {
    child: Child,
    group: Group,
    is_over: bool,
    _counted: Counted,
}

impl Running {
    /// Gently, for as long as that may take.
    fn end(mut self) {
        self.group.ask();
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            // In this order: as long as the first process has not been waited for, the group has somebody in it.
            if self.is_reaped() && !self.group.lives() {
                self.is_over = true;
                return;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn is_reaped(&mut self) -> bool {
        // An error says that it was waited for elsewhere.
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    /// At once, and waits only for the kernel: nothing can refuse SIGKILL.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.group.kill();
        // For where there are no groups. Of a process that has been waited for it does nothing, and that is no failure.
        let _ = self.child.start_kill();
        let killed = Instant::now();
        while !self.is_reaped() && killed.elapsed() < REAPING {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// The process group that a program leads.
#[cfg(unix)]
#[derive(Debug)]
struct Group(Option<rustix::process::Pid>);

#[cfg(unix)]
impl Group {
    fn of(leader: &Child) -> Self {
        let id = leader.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }

    /// What is asked may refuse, and may be gone already.
    fn ask(&self) {
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

/// Where there are no process groups, nothing can be asked either.
#[cfg(not(unix))]
#[derive(Debug)]
struct Group;

#[cfg(not(unix))]
impl Group {
    fn of(_: &Child) -> Self {
        Self
    }

    fn ask(&self) {}

    fn kill(&self) {}

    fn lives(&self) -> bool {
        false
    }
}

/// One in a count of those that run.
#[derive(Debug)]
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Between being asked and being made to end. Where nothing can be asked, there is nothing to wait for.
const GRACE: Duration = match cfg!(unix) {
    true => Duration::from_secs(2),
    false => Duration::ZERO,
};
const REAPING: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
