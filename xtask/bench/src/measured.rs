//! `xtask-bench measure ARGUMENTS`: the programs in Rust that are measured. They are processes of their own, so that memory and CPU
//! time are theirs alone.

mod append;
mod limit;
mod verified;

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

pub(crate) use append::FIGURES;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Servers listen until they are ended; what appends prints a line of JSON and ends.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    match *words {
        ["limit", address] => limit::run(number(address)?),
        ["verified", address] => verified::run(number(address)?),
        ["append", file, at_a_time, seconds, first] => {
            let (at_a_time, seconds) = (number(at_a_time)?, number(seconds)?);
            let measured = append::run(Path::new(file), at_a_time, seconds, number(first)?)?;
            println!("{}", serde_json::Value::from(measured.to_vec()));
            Ok(())
        }
        _ => bail!(
            "`{}` is not measured here; see xtask/bench/src/measured.rs",
            words.join(" ")
        ),
    }
}

fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(word: &str) -> Result<T> {
    word.parse().with_context(|| format!("read `{word}`"))
}
