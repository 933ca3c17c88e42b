//! [`OrderTracker`]: whether the log is sorted newest first.

use jiff::Timestamp;

/// Whether the log is sorted newest first, as far as it was read.
///
/// HeyGen documents no order. Only if times fall and never rise, a record says something about the
/// records after it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OrderTracker {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    has_risen: bool,
}

impl OrderTracker {
    /// Observes the creation time of the next record.
    pub(super) fn observe(&mut self, made_at: Timestamp) {
        self.has_risen |= self.last.is_some_and(|last| made_at > last);
        self.first.get_or_insert(made_at);
        self.last = Some(made_at);
    }

    /// Whether times have fallen and never risen. Equal times prove nothing.
    pub(super) fn is_newest_first(&self) -> bool {
        !self.has_risen && self.last < self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: &[i64], holds: bool) {
        let mut order = OrderTracker::default();
        for second in seconds {
            order.observe(Timestamp::from_second(*second).expect("a time"));
        }
        assert_eq!(order.is_newest_first(), holds, "{seconds:?}");
    }

    #[test]
    fn newest_first_means_falling_and_never_rising() {
        check(&[], false);
        check(&[3], false);
        check(&[5, 5, 5], false);
        check(&[3, 4], false);
        check(&[5, 4], true);
        check(&[5, 5, 4, 4, 3], true);
        check(&[5, 3, 4], false);
        check(&[5, 4, 6, 3], false);
    }
}
