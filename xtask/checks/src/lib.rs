//! The commands of `cargo xtask` that have the tools of others check this repository, and what brings these tools.
//!
//! [`workspace`] knows where files are, [`tools`] and [`debian`] install programs under `target/`, and [`not_run`] notes the
//! checks that a machine could not run. Each other module is the command of its name.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer reads what these commands print"
)]
#![expect(
    clippy::missing_errors_doc,
    reason = "every error ends the command, and says what failed"
)]

pub mod axe;
pub mod debian;
pub mod deny;
pub mod deploy;
pub mod fuzz;
pub mod languages;
pub mod nats;
pub mod not_run;
pub mod package;
pub mod tools;
pub mod workspace;
