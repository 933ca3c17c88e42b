//! File descriptors: as many as the system gives, and how many connections they are enough for.

use std::sync::OnceLock;

use heygen_receiver::Limits;

/// The soft limit as it was, once it was raised.
static BEFORE: OnceLock<u64> = OnceLock::new();

/// Raises the soft limit to the hard one, as long-running programs do: the low one is there for programs that cannot bear
/// many, and those that we start get it back.
#[cfg(unix)]
pub(crate) fn raise() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let Some(soft) = limit.current.filter(|_| limit.current != limit.maximum) else {
        return;
    };
    let raised = |current| Rlimit {
        current,
        maximum: limit.maximum,
    };
    // macOS takes no more than this, whatever it says; where neither can be had, what there is has to do.
    let is_raised = setrlimit(Resource::Nofile, raised(limit.maximum)).is_ok()
        || (soft < OPEN_MAX && setrlimit(Resource::Nofile, raised(Some(OPEN_MAX))).is_ok());
    if is_raised {
        let _ = BEFORE.set(soft);
    }
}

#[cfg(not(unix))]
pub(crate) fn raise() {}

/// What the soft limit was before it was raised; `None` when it was not.
pub(crate) fn before() -> Option<u64> {
    BEFORE.get().copied()
}

/// Lowers `limits` to the connections that there are descriptors for, and says so.
pub(crate) fn fit(limits: &mut Limits, concurrency: usize) {
    let Some(descriptors) = limit() else {
        return;
    };
    let enough = connections(descriptors, concurrency);
    if limits.max_connections <= enough {
        return;
    }
    tracing::warn!(
        descriptors,
        wanted = limits.max_connections,
        max_connections = enough,
        "too few file descriptors for --max-connections: raise the hard limit (LimitNOFILE= of systemd, ulimit -Hn), or lower --max-connections"
    );
    limits.max_connections = enough;
}

#[cfg(unix)]
fn limit() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    usize::try_from(limit.current?).ok()
}

#[cfg(not(unix))]
fn limit() -> Option<usize> {
    None
}

/// How many connections may be served, so that with those answered beyond the limit ([`Limits::max_connections`]) enough is
/// left for everything else.
fn connections(descriptors: usize, concurrency: usize) -> usize {
    let reserve = ADMIN + OTHERS + concurrency.saturating_mul(PER_HANDLER);
    let left = descriptors - reserve.min(descriptors / 2);
    // A tenth more, and at least 16, is answered.
    (left * 10 / 11).min(left.saturating_sub(16)).max(1)
}

/// What the admin listener serves at a time.
const ADMIN: usize = 64;

/// The inbox and what is rejected with their logs and locks, a backup, NATS, HeyGen's API, the runtime, standard streams.
const OTHERS: usize = 96;

/// Three pipes at both ends while a program starts, and what watches it; or connections to an application.
const PER_HANDLER: usize = 8;

#[cfg(unix)]
const OPEN_MAX: u64 = 10_240;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_for_everything_else() {
        for (descriptors, concurrency, expected) in [
            (1024, 16, 669),
            (524_288, 16, 476_363),
            (1024, 1000, 465),
            (256, 16, 112),
            (20, 16, 1),
            (0, 0, 1),
        ] {
            let connections = connections(descriptors, concurrency);
            assert_eq!(connections, expected, "{descriptors} {concurrency}");
        }
    }
}
