//! Typed parsing against `serde_json::Value`, from the same bytes, of every fixture.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use heygen_events::Event;
use heygen_testkit::fixtures;
use serde_json::{Value, json};

/// Times both for each fixture, in turn, in so many rounds; nanoseconds, medians.
pub(crate) fn run(rounds: usize) -> Result<Value> {
    let measured: Vec<Value> = fixtures::all()
        .map(|fixture| {
            let body = fixture.body.as_bytes();
            // Some fixtures are what no `Value` takes, or what is no event: then there is nothing to compare.
            if serde_json::from_slice::<Value>(body).is_err() || Event::from_slice(body).is_err() {
                return None;
            }
            let repeats = repeats(body)?;
            let [mut typed, mut value] = [Vec::new(), Vec::new()];
            for _ in 0..rounds {
                typed.push(time(repeats, || {
                    drop(black_box(Event::from_slice(black_box(body))));
                }));
                value.push(time(repeats, || {
                    drop(black_box(serde_json::from_slice::<Value>(black_box(body))));
                }));
            }
            Some(json!({
                "fixture": format!("{}/{}", fixture.event_type, fixture.case),
                "bytes": body.len(),
                "typed_ns": median(typed),
                "value_ns": median(value),
            }))
        })
        .collect::<Option<_>>()
        .context("a fixture could not be measured")?;
    Ok(Value::Array(measured))
}

/// So many that one measurement takes about [`SLICE`].
fn repeats(body: &[u8]) -> Option<u32> {
    let mut repeats = 16_u32;
    loop {
        let took = time(repeats, || {
            drop(black_box(serde_json::from_slice::<Value>(body)));
        });
        if took * f64::from(repeats) > SLICE.as_nanos() as f64 {
            return Some(repeats);
        }
        repeats = repeats.checked_mul(2)?;
    }
}

/// Nanoseconds that one call takes.
fn time(repeats: u32, mut call: impl FnMut()) -> f64 {
    let clock = Instant::now();
    for _ in 0..repeats {
        call();
    }
    clock.elapsed().as_nanos() as f64 / f64::from(repeats)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

const SLICE: Duration = Duration::from_millis(2);
