//! What the process is told by signals.

use std::future::Future;
use std::process;

use tokio::sync::watch;

use crate::failure::Failure;

pub(crate) async fn until_true(mut watched: watch::Receiver<bool>) {
    // An error means that the other side is gone: time to stop as well.
    let _ = watched.wait_for(|value| *value).await;
}

/// Resolves on the first SIGTERM or Ctrl-C. A second one ends the process at once: what was answered is kept all the same.
#[cfg(unix)]
pub(crate) fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (ask, asked) = watch::channel(false);
    tokio::spawn(async move {
        for is_second in [false, true] {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if is_second {
                tracing::warn!(signal = name, "stopping at once");
                process::exit(1);
            }
            tracing::info!(
                signal = name,
                "stopping: what is under way is finished first"
            );
            let _ = ask.send(true);
        }
    });
    Ok(until_true(asked))
}

#[cfg(not(unix))]
pub(crate) fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Counts the SIGHUPs, which ask to read configuration anew.
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

/// There is no such signal here; the sender is leaked so that nobody takes silence for the end.
#[cfg(not(unix))]
pub(crate) fn hangups() -> Result<watch::Receiver<u64>, Failure> {
    let (count, counted) = watch::channel(0);
    std::mem::forget(count);
    Ok(counted)
}
