//! [`receive_within`]: waits at a queue for a time, on a thread without a runtime.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

pub(super) enum Received<T> {
    Job(T),
    /// The time is over.
    Nothing,
    /// Every sender is gone.
    End,
}

pub(super) fn receive_within<T>(queue: &mut mpsc::Receiver<T>, time: Duration) -> Received<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let started = Instant::now();
    loop {
        match queue.poll_recv(&mut context) {
            Poll::Ready(Some(job)) => return Received::Job(job),
            Poll::Ready(None) => return Received::End,
            Poll::Pending => {}
        }
        match time.checked_sub(started.elapsed()) {
            Some(left) if !left.is_zero() => thread::park_timeout(left),
            Some(_) | None => return Received::Nothing,
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_wakes_the_thread_and_its_absence_does_too() {
        let (sender, mut queue) = mpsc::channel(1);
        let short = Duration::from_millis(1);
        assert!(matches!(
            receive_within(&mut queue, short),
            Received::Nothing
        ));
        let other = thread::spawn(move || {
            sender.blocking_send(7).expect("there is room");
        });
        let long = Duration::from_secs(600);
        assert!(matches!(receive_within(&mut queue, long), Received::Job(7)));
        other.join().expect("no panic");
        assert!(matches!(receive_within(&mut queue, long), Received::End));
    }
}
