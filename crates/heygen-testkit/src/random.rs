//! Random numbers of the operating system: new ids, and secrets for tests.

/// # Panics
///
/// Where the system has no random numbers, as no system that runs tests does.
#[expect(
    clippy::expect_used,
    reason = "a test without random numbers cannot go on, and who builds a body expects no error"
)]
fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
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
