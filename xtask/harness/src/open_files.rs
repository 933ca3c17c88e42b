//! How many files, and with them connections, may be open: ours, and of every server that we start.

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit as far as `wanted` where the hard limit allows it; returns what holds now.
pub fn raise(wanted: u64) -> Result<u64> {
    // A limit that the system does not name is none.
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (soft, hard) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    if soft >= wanted.min(hard) {
        return Ok(soft);
    }
    let current = wanted.min(hard);
    let raised = Rlimit {
        current: Some(current),
        maximum,
    };
    setrlimit(Resource::Nofile, raised).context("raise the limit of open files")?;
    Ok(current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_hard_one_at_most() {
        let before = raise(0).unwrap();
        assert_eq!(raise(before).unwrap(), before);
        let most = raise(u64::MAX).unwrap();
        assert!(most >= before);
        assert_eq!(
            getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
            most
        );
    }
}
