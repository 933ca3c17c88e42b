//! How many allocations typed parsing makes, and `serde_json::Value`, of every fixture: one line of JSON.
//!
//! A program of its own, because whatever counts allocations is the allocator of its whole program.

#![expect(
    clippy::print_stdout,
    reason = "`cargo xtask bench` reads what this prints"
)]

use std::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use heygen_events::Event;
use heygen_testkit::fixtures;
use serde_json::{Value, json};

fn main() {
    let measured: Vec<Value> = fixtures::all()
        .map(|fixture| {
            let body = fixture.body.as_bytes();
            let typed = measure(|| drop(black_box(Event::from_slice(body))));
            let value = measure(|| drop(black_box(serde_json::from_slice::<Value>(body))));
            json!({
                "fixture": format!("{}/{}", fixture.event_type, fixture.case),
                "typed": counted(&typed),
                "value": counted(&value),
            })
        })
        .collect();
    println!("{}", Value::Array(measured));
}

fn counted(info: &AllocationInfo) -> Value {
    json!({"count": info.count_total, "bytes": info.bytes_total})
}
