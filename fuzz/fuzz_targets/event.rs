//! A body: as an event, and as what an inbox compares.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/heygen-inbox/tests/it/invariants_of_dedup.rs"]
mod dedup;
#[path = "../../crates/heygen-events/tests/it/invariants.rs"]
mod event;

fuzz_target!(|body: &[u8]| {
    event::hold(body);
    dedup::hold(body);
});
