//! [`caught`]: a panic of code that is not ours is a failure like any other.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use heygen_inbox::{InboxError, InboxErrorKind};

/// What the inbox answers; where it panics, an error of the kind
/// [`Storage`](InboxErrorKind::Storage).
pub(crate) async fn caught<T>(
    asking: impl Future<Output = Result<T, InboxError>>,
) -> Result<T, InboxError> {
    let mut asking = pin!(asking);
    poll_fn(|cx| {
        // After a panic it is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| asking.as_mut().poll(cx)));
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

/// What a panic says, where that is text.
pub(crate) fn message(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
}
