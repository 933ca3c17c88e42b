//! `inbox rejected`: the requests that `serve` rejected lately, a file for each command.

use crate::cli::Rejected;
use crate::failure::Failure;

mod file;
mod list;
mod outcome;
mod reverify;
mod show;

pub(super) async fn run(options: &Rejected) -> Result<(), Failure> {
    match options {
        Rejected::List(options) => list::run(options),
        Rejected::Show(options) => show::run(options),
        Rejected::Reverify(options) => reverify::run(options).await,
    }
}
