//! [`Descent`]: whether a log comes newest first, as far as it was seen.

use jiff::Timestamp;

/// Whether a log comes newest first, as far as it was seen.
///
/// HeyGen documents no order. Only where the times fall, and never rise, may one conclude from a record to those behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Descent {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    has_risen: bool,
}

impl Descent {
    /// The next record that says when it was made.
    pub(super) fn see(&mut self, made_at: Timestamp) {
        self.has_risen |= self.last.is_some_and(|last| made_at > last);
        self.first.get_or_insert(made_at);
        self.last = Some(made_at);
    }

    /// Whether the log falls. One whose times are all equal so far may yet do either.
    pub(super) fn holds(&self) -> bool {
        !self.has_risen && self.last < self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: &[i64], holds: bool) {
        let mut descent = Descent::default();
        for second in seconds {
            descent.see(Timestamp::from_second(*second).expect("a time"));
        }
        assert_eq!(descent.holds(), holds, "{seconds:?}");
    }

    #[test]
    fn only_a_log_that_falls_and_never_rises_is_trusted() {
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
