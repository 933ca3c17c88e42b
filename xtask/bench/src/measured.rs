//! `xtask-bench measure ARGUMENTS`: the programs that `cargo xtask bench` starts and measures.
//!
//! Servers listen until they are ended; every other measure prints one line of JSON and ends.

mod dispatch;
mod event;
mod limit;
mod parse;
mod requests;
mod store;
mod stream;
mod verified;

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use heygen_signature::Secret;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) fn run(words: &[&str]) -> Result<()> {
    match *words {
        ["limit", address] => limit::run(number(address)?),
        ["verified", address] => verified::run(number(address)?, secret()?),
        ["requests", folder, count] => requests::write(folder.as_ref(), &secret()?, number(count)?),
        ["fill", file, from, to] => store::fill(file.as_ref(), number(from)?..number(to)?),
        ["append", file, concurrency, seconds, first] => {
            let (concurrency, seconds) = (number(concurrency)?, number(seconds)?);
            let measured = store::append(file.as_ref(), concurrency, seconds, number(first)?)?;
            println!("{measured}");
            Ok(())
        }
        ["parse", rounds] => {
            println!("{}", parse::run(number(rounds)?)?);
            Ok(())
        }
        ["dispatch", file, concurrency, seconds] => {
            let measured = dispatch::run(file.as_ref(), number(concurrency)?, number(seconds)?)?;
            println!("{measured}");
            Ok(())
        }
        ["publish", servers, replicas, at_a_time, seconds] => {
            let (replicas, at_a_time) = (number(replicas)?, number(at_a_time)?);
            let measured = stream::publish(servers, replicas, at_a_time, number(seconds)?)?;
            println!("{measured}");
            Ok(())
        }
        ["append-stream", servers, at_a_time, seconds] => {
            let measured = stream::append(servers, number(at_a_time)?, number(seconds)?)?;
            println!("{measured}");
            Ok(())
        }
        ["fill-stream", servers, count] => {
            println!("{}", stream::fill(servers, number(count)?)?);
            Ok(())
        }
        ["take", servers, replicas, at_a_time, count] => {
            let (replicas, at_a_time) = (number(replicas)?, number(at_a_time)?);
            println!(
                "{}",
                stream::take(servers, replicas, at_a_time, number(count)?)?
            );
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

/// What requests are signed with, and checked against.
fn secret() -> Result<Secret> {
    let secret = std::env::var(SECRET).context(SECRET)?;
    Secret::new(secret).context(SECRET)
}

/// The runtime of `serve`.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")
}

const SECRET: &str = "HEYGEN_WEBHOOK_SECRET";
