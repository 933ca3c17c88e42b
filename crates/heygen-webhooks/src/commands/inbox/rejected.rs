//! `inbox rejected`: the requests that `serve` rejected lately, a file for each command.

use crate::cli::Rejected;
use crate::failure::Failure;

mod file;
mod json;
mod list;
mod outcome;
mod reverify;
mod show;
mod text;

pub(super) async fn run(options: &Rejected) -> Result<(), Failure> {
    match options {
        Rejected::List(options) => list::run(options),
        Rejected::Show(options) => show::run(options),
        Rejected::Reverify(options) => reverify::run(options).await,
    }
}
