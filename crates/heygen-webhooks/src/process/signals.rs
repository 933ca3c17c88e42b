//! The signals of the process: stop, stop at once, reload.

use std::future::Future;
#[cfg(unix)]
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
#[cfg(unix)]
use std::time::{Duration, Instant};

use heygen_receiver::handlers::Command;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::failure::Failure;
#[cfg(unix)]
use crate::output::stderr;

pub(crate) async fn until_true(mut watched: watch::Receiver<bool>) {
    // An error means that the other side is gone: time to stop as well.
    let _ = watched.wait_for(|value| *value).await;
}

/// Resolves on the first SIGTERM or Ctrl-C. A later one ends these programs with all they started,
/// and then the process at once: what was answered is stored all the same.
#[cfg(unix)]
pub(crate) fn asked_to_stop(
    programs: Vec<Command>,
) -> Result<impl Future<Output = Result<(), Failure>>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (ask, asked) = watch::channel(false);
    tokio::spawn(async move {
        let mut first: Option<Instant> = None;
        loop {
            let (name, status) = tokio::select! {
                _ = terminate.recv() => ("SIGTERM", 128 + SignalKind::terminate().as_raw_value()),
                _ = interrupt.recv() => ("SIGINT", 128 + SignalKind::interrupt().as_raw_value()),
            };
            match first {
                None => {
                    first = Some(Instant::now());
                    let _ = ask.send(true);
                    tracing::info!(
                        signal = name,
                        "stopping after running requests and handlers; again to stop at once"
                    );
                }
                Some(first) if first.elapsed() < REPEATED => {}
                Some(_) => {
                    IS_ENDING.store(true, Ordering::SeqCst);
                    tracing::warn!(signal = name, "stopping at once");
                    Command::end_all(&programs, TO_END);
                    stderr::flush();
                    process::exit(status);
                }
            }
        }
    });
    Ok(until_asked(asked))
}

#[cfg(unix)]
async fn until_asked(mut asked: watch::Receiver<bool>) -> Result<(), Failure> {
    let asked = asked.wait_for(|is_asked| *is_asked).await;
    asked
        .map(drop)
        .map_err(|_| anyhow::anyhow!("the task that waits for signals ended").into())
}

#[cfg(not(unix))]
pub(crate) fn asked_to_stop(
    _: Vec<Command>,
) -> Result<impl Future<Output = Result<(), Failure>>, Failure> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Ok(())
    })
}

/// Never returns after a second signal: that ends the process, with a status of its own. What runs
/// beside it may come to its end meanwhile, because programs do, and must not be the first.
pub(crate) fn wait_if_second_signal_ends_us() {
    while IS_ENDING.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// Takes the signal of a file that reached its size limit (`ulimit -f`, `LimitFSIZE=`), which would end the process: the write
/// fails instead, like one to a full disk.
#[cfg(unix)]
pub(crate) fn outlive_file_size_limit() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let number = rustix::process::Signal::XFSZ.as_raw();
    // Its handler stays when this value is dropped.
    drop(signal(SignalKind::from_raw(number))?);
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn outlive_file_size_limit() -> Result<(), Failure> {
    Ok(())
}

/// Counts the SIGHUPs, which ask to reload files.
#[cfg(unix)]
pub(crate) fn hangups() -> Result<watch::Receiver<u64>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(counted)
}

/// There is no such signal here; the sender is leaked so that no one takes silence for the end.
#[cfg(not(unix))]
pub(crate) fn hangups() -> Result<watch::Receiver<u64>, Failure> {
    let (count, counted) = watch::channel(0);
    std::mem::forget(count);
    Ok(counted)
}

/// Runs `reload` on a thread whenever `changes` counts, such as on each SIGHUP: a disk that hangs blocks no other task.
pub(crate) async fn on_each(
    mut changes: watch::Receiver<u64>,
    reload: impl Fn() + Clone + Send + 'static,
) {
    while changes.changed().await.is_ok() {
        // A panic was logged.
        let _ = spawn_blocking(reload.clone()).await;
    }
}

static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// What comes within this time counts as one request to stop: a terminal sends Ctrl-C to us and to what
/// started us, such as npm or a runner of several programs, which passes it on.
#[cfg(unix)]
const REPEATED: Duration = Duration::from_millis(500);

#[cfg(unix)]
const TO_END: Duration = Duration::from_millis(500);

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn end_of_the_signal_task_is_a_failure() {
        let (ask, asked) = watch::channel(false);
        drop(ask);
        until_asked(asked).await.expect_err("it ended");
    }
}
