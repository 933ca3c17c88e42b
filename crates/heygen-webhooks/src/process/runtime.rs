//! [`run_on`]: runs a command on a runtime of its own.

use tokio::runtime::Builder;

use crate::failure::Failure;

pub(crate) fn run_on<T>(
    runtime: &mut Builder,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let runtime = runtime.enable_all().build()?;
    let ended = runtime.block_on(work);
    // A name server or a disk that hangs must not keep us.
    runtime.shutdown_background();
    ended
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn blocked_thread_keeps_no_command() {
        let started = Instant::now();
        let (_open, silent) = std::sync::mpsc::channel::<()>();
        let ended = run_on(&mut Builder::new_current_thread(), async {
            let wait = move || silent.recv_timeout(Duration::from_secs(60));
            drop(tokio::task::spawn_blocking(wait));
            Ok(())
        });
        assert!(ended.is_ok() && started.elapsed() < Duration::from_secs(30));
    }
}
