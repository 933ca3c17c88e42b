//! [`abandoned`]: the end of the process that started this one.

use std::future::{self, Future};
use std::io::{self, ErrorKind, Read as _};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// Resolves when standard input ends, or the parent process does. Never, unless `is_wanted`.
///
/// Standard input alone is not enough: a parent that is killed may leave behind children of its own,
/// which hold the other end of the pipe open.
pub(crate) fn abandoned(is_wanted: bool) -> io::Result<impl Future<Output = ()>> {
    let (ended, has_ended) = oneshot::channel();
    if is_wanted {
        thread::Builder::new()
            .name("standard input".to_owned())
            .spawn(move || {
                read_to_end();
                // No receiver: the process is stopping anyway.
                let _ = ended.send(());
            })?;
    }
    let parent = parent_id();
    Ok(async move {
        if !is_wanted {
            future::pending::<()>().await;
        }
        let parent_ended = async {
            while parent_id() == parent {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            _ = has_ended => {}
            () = parent_ended => {}
        }
    })
}

/// What is written there has no meaning. An input that cannot be read has ended.
fn read_to_end() {
    let mut bytes = [0; 1024];
    let mut input = io::stdin().lock();
    loop {
        match input.read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process that shares it may have made it so.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(LOOK_EVERY),
            Err(_) => return,
        }
    }
}

#[cfg(unix)]
fn parent_id() -> Option<u32> {
    Some(std::os::unix::process::parent_id())
}

#[cfg(not(unix))]
fn parent_id() -> Option<u32> {
    None
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
