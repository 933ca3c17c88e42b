//! A line of an export, as `inbox import` reads it and as the inbox keeps it.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/heygen-inbox/tests/it/invariants_of_import.rs"]
mod invariants;

fuzz_target!(|line: &[u8]| invariants::hold(line));
