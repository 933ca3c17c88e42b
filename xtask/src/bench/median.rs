//! The median: what one bad round cannot move.

/// The one in the middle, or the mean of the two there; `None` of nothing.
pub(super) fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let high = *figures.get(figures.len() / 2)?;
    let low = *figures.get((figures.len() - 1) / 2)?;
    Some(f64::midpoint(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(figures: &[f64], expected: Option<f64>) {
        assert_eq!(median(figures.iter().copied()), expected, "{figures:?}");
    }

    #[test]
    fn the_middle_is_found() {
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[9.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 9.0, 2.0], Some(3.0));
    }
}
