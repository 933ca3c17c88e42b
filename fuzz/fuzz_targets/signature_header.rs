//! Headers and a body: as verified, and as diagnosed.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/heygen-signature/tests/it/invariants.rs"]
mod invariants;

fuzz_target!(|request: &[u8]| invariants::hold(request));
