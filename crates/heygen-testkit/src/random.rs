//! Random numbers of the operating system: ids and secrets for tests.

/// # Panics
///
/// If the operating system has no random numbers.
#[expect(
    clippy::expect_used,
    reason = "a test cannot continue without random numbers, and a builder should not return errors"
)]
fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random numbers of the operating system");
    bytes
}

pub(crate) fn number() -> u64 {
    u64::from_ne_bytes(bytes())
}

pub(crate) fn wide_number() -> u128 {
    u128::from_ne_bytes(bytes())
}

/// 32 lower-case hexadecimal digits.
pub(crate) fn id() -> String {
    format!("{:032x}", wide_number())
}
