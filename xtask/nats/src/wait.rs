//! Waiting for what another process does: asking until the answer is there.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything is waited for. A machine that does much else is slow, and nothing here measures time.
pub const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer, for [`PATIENCE`] at the most.
///
/// `ask` returns `Ok(Ok(answer))`, or `Ok(Err(why))` for “not yet”. `what` completes “waited for …”.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Result<Result<T, String>>) -> Result<T> {
    let started = Instant::now();
    loop {
        match ask()? {
            Ok(answer) => return Ok(answer),
            Err(why) if started.elapsed() > PATIENCE => {
                bail!("waited {} s for {what}: {why}", PATIENCE.as_secs());
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
