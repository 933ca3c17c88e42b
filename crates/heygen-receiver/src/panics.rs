//! [`catch_panic`]: a panic of an inbox is an error like any other. [`locked`]: a lock after one.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use heygen_inbox::{InboxError, InboxErrorKind};

/// The result of a call to the inbox; a panic is an error of the kind
/// [`Storage`](InboxErrorKind::Storage).
pub(crate) async fn catch_panic<T>(
    call: impl Future<Output = Result<T, InboxError>>,
) -> Result<T, InboxError> {
    let mut call = pin!(call);
    poll_fn(|cx| {
        // After a panic it is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
        polled.unwrap_or_else(|panic| {
            let message = match message(&*panic) {
                Some(message) => format!("the inbox panicked: {message}"),
                None => "the inbox panicked".to_owned(),
            };
            Poll::Ready(Err(InboxError::new(InboxErrorKind::Storage, message)))
        })
    })
    .await
}

/// The message of a panic, if it is text.
pub(crate) fn message(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
}

/// Locks data that a panic leaves consistent, so that poisoning can be ignored.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
