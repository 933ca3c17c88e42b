//! `endpoints`: lists and changes the endpoints that HeyGen sends to.

use crate::cli::Endpoints;
use crate::failure::Failure;

mod change;
mod new_secret;
mod rotate;
mod show;

pub(super) fn run(options: &Endpoints) -> Result<(), Failure> {
    match options {
        Endpoints::List(options) => show::list(options),
        Endpoints::Create(options) => change::create(options),
        Endpoints::Update(options) => change::update(options),
        Endpoints::Delete(options) => change::delete(options),
        Endpoints::RotateSecret(options) => rotate::run(options),
    }
}
