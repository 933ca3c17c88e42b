//! The duties of process 1: it is the parent of every process whose own parent has ended, and must wait for them.
//!
//! A program of `--exec` may leave such processes behind. As process 1, which we are in an image without an init, or as the subreaper
//! of others, we start ourselves once more, and this process only waits for what ends and passes signals on.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, wait};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal as Received, SignalKind, signal};

/// Does what process 1 has to, until the program that it starts for everything else has ended: the status is that program's. `None`
/// where there is nothing to do, or where it cannot be done.
pub(crate) fn run() -> Option<ExitCode> {
    follow_parent();
    if getpid() != Pid::INIT && !is_subreaper() {
        return None;
    }
    // Without it all works, and zombies stay.
    start_and_reap().ok()
}

fn start_and_reap() -> io::Result<ExitCode> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before there is a child, whose end could be missed.
        let mut ended = signal(SignalKind::child())?;
        let mut passed_on = PASSED_ON
            .into_iter()
            .map(|passed| Ok((signal(SignalKind::from_raw(passed.as_raw()))?, passed)))
            .collect::<io::Result<Vec<_>>>()?;
        let mut arguments = env::args_os();
        let name = arguments
            .next()
            .unwrap_or_else(|| OsString::from("heygen-webhooks"));
        let child = Command::new(env::current_exe()?)
            .arg0(name)
            .args(arguments)
            .env(PARENT, getpid().as_raw_nonzero().to_string())
            // Sockets that were passed to us are for it.
            .env_remove("LISTEN_PID")
            // What is typed at a terminal reaches it once: by us.
            .process_group(0)
            .spawn()?;
        let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let child = child.ok_or_else(|| io::Error::other("a process without an id"))?;
        loop {
            if let Some(status) = reap(child)? {
                return Ok(exit_code(status));
            }
            tokio::select! {
                _ = ended.recv() => {}
                received = any(&mut passed_on) => {
                    // It may just have ended.
                    let _ = kill_process(child, received);
                }
            }
        }
    })
}

async fn any(signals: &mut [(Received, Signal)]) -> Signal {
    std::future::poll_fn(|context| {
        for (received, passed) in signals.iter_mut() {
            if received.poll_recv(context).is_ready() {
                return std::task::Poll::Ready(*passed);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

/// Waits for all that has ended; the status of the one.
fn reap(child: Pid) -> io::Result<Option<WaitStatus>> {
    while let Some((pid, status)) = wait(WaitOptions::NOHANG)? {
        if pid == child {
            return Ok(Some(status));
        }
    }
    Ok(None)
}

fn exit_code(status: WaitStatus) -> ExitCode {
    let signal = || Some(128 + status.terminating_signal()?);
    let code = status.exit_status().or_else(signal).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// No one would end us, were our parent killed.
fn follow_parent() {
    let parent = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    let is_ours = env::var(PARENT).is_ok_and(|given| parent.is_some_and(|parent| parent == given));
    if is_ours {
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    }
}

#[cfg(target_os = "linux")]
fn is_subreaper() -> bool {
    rustix::process::child_subreaper().is_ok_and(|subreaper| subreaper.is_some())
}

#[cfg(not(target_os = "linux"))]
fn is_subreaper() -> bool {
    false
}

const PASSED_ON: [Signal; 6] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
];

/// Names the process that started it to the program that we start.
const PARENT: &str = "_WEBHOOKS_INIT";
