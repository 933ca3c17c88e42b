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
    pub(super) fn spawn(mut command: Command, programs: &Programs) -> io::Result<Self> {
        #[cfg(unix)]
        command.process_group(0);
        let (child, listed) = programs.spawn(command.kill_on_drop(true))?;
        Ok(Self {
            running: Some(Running {
                child,
                is_over: false,
                listed,
            }),
        })
    }

    /// Sets how many files it may have open, up to its hard limit, which stays.
    #[cfg(target_os = "linux")]
    pub(super) fn limit_descriptors(&self, soft: u64) {
        use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
        let group = self.running.as_ref().map(|running| running.listed.group);
        let Some(Group(Some(leader))) = group else {
            return;
        };
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: Some(maximum.map_or(soft, |maximum| maximum.min(soft))),
            maximum,
        };
        // It may be gone already, or be somebody else by its own will; it is none the worse for the higher limit.
        let _ = prlimit(Some(leader), Resource::Nofile, limit);
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
    is_over: bool,
    listed: Listed,
}

impl Running {
    /// Gently, for as long as that may take.
    fn end(mut self) {
        self.listed.group.ask();
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            // In this order: as long as the first process has not been waited for, the group has somebody in it.
            if self.is_reaped() && !self.listed.group.lives() {
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
        self.listed.group.kill();
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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

/// The programs that run. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs(watch::Sender<List>);

#[derive(Debug, Default)]
struct List {
    groups: Vec<Group>,
    /// Whether no more are started.
    is_closed: bool,
}

/// The place of a program in the list, until it is dropped.
#[derive(Debug)]
struct Listed {
    group: Group,
    programs: Programs,
}

impl Programs {
    /// Returns once none runs any more.
    pub(super) async fn all_ended(&self) {
        // We hold a sender ourselves, so that the channel does not close.
        let is_over = |list: &List| list.groups.is_empty();
        let _ = self.0.subscribe().wait_for(is_over).await;
    }

    /// Under the lock of the list, so that none is missed by who closes it.
    fn spawn(&self, command: &mut Command) -> io::Result<(Child, Listed)> {
        let mut spawned = Err(io::Error::other("no more programs are started"));
        self.0.send_if_modified(|list| {
            if !list.is_closed {
                spawned = command.spawn().map(|child| (Group::of(&child), child));
            }
            if let Ok((group, _)) = &spawned {
                list.groups.push(*group);
            }
            spawned.is_ok()
        });
        let (group, child) = spawned?;
        let programs = self.clone();
        Ok((child, Listed { group, programs }))
    }

    /// Starts no more, and gives those that run.
    fn close(&self) -> Vec<Group> {
        let mut groups = Vec::new();
        self.0.send_modify(|list| {
            list.is_closed = true;
            groups.clone_from(&list.groups);
        });
        groups
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.programs.0.send_modify(|list| {
            let place = list.groups.iter().position(|group| *group == self.group);
            if let Some(place) = place {
                list.groups.swap_remove(place);
            }
        });
    }
}

/// Ends what runs of all of these, without the runtime: asks, waits for `grace` at the most, then
/// kills.
pub(super) fn end_all<'a>(all: impl Iterator<Item = &'a Programs>, grace: Duration) {
    let groups: Vec<Group> = all.flat_map(Programs::close).collect();
    groups.iter().for_each(Group::ask);
    let asked = Instant::now();
    while asked.elapsed() < grace && groups.iter().any(Group::lives) {
        std::thread::sleep(LOOK_AGAIN);
    }
    groups.iter().for_each(Group::kill);
}

/// Between being asked and being made to end. Where nothing can be asked, there is nothing to wait for.
const GRACE: Duration = match cfg!(unix) {
    true => Duration::from_secs(2),
    false => Duration::ZERO,
};
const REAPING: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
