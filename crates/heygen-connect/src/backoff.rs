//! When HeyGen is asked again: [`is_temporary`], [`Backoff`].

use std::time::Duration;

use heygen_api::{ApiError, ErrorKind};

/// Whether the same request can succeed later without anybody changing anything.
pub(crate) fn is_temporary(error: &ApiError) -> bool {
    match error.kind() {
        ErrorKind::Transport
        | ErrorKind::Timeout
        | ErrorKind::Server
        | ErrorKind::RateLimited
        | ErrorKind::QuotaExceeded => true,
        // 409 while HeyGen is still at work on what was asked for before.
        ErrorKind::Conflict => error.has_code("request_in_progress"),
        ErrorKind::UnexpectedBody => breaks_off(error),
        _ => false,
    }
}

/// Whether the answer began as it should: what answers otherwise than HeyGen does is not HeyGen.
fn breaks_off(error: &ApiError) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(|source| source.downcast_ref::<serde_json::Error>())
        .is_some_and(serde_json::Error::is_eof)
}

/// Delays that double from `initial_delay` to `max_delay`.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max_delay: Duration,
}

impl Backoff {
    pub(crate) fn new(initial_delay: Duration, max_delay: Duration) -> Self {
        Self {
            next: initial_delay.min(max_delay),
            max_delay,
        }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.next;
        self.next = delay.saturating_mul(2).min(self.max_delay);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(5), seconds(300));
        let delays: Vec<_> = (0..8).map(|_| backoff.next().as_secs()).collect();
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(Backoff::new(seconds(15), seconds(1)).next(), seconds(1));
    }
}
