//! Starts the threads of an inbox.

use std::thread::{self, JoinHandle};

use crate::{InboxError, InboxErrorKind};

pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, InboxError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| {
            InboxError::new(
                InboxErrorKind::Storage,
                format!("cannot start thread {name}"),
            )
            .with_source(error)
        })
}

pub(super) fn closed() -> InboxError {
    InboxError::new(InboxErrorKind::Closed, "the inbox is closed")
}
