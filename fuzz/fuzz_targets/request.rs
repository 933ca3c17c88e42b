//! What a client sends on one connection.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/heygen-receiver/tests/it/invariants.rs"]
mod invariants;

fuzz_target!(|script: &[u8]| {
    invariants::hold(script);
});
