//! Do the schemas generate? Generators of other languages read the committed files, and what they make is compiled and tried on the
//! fixtures, as a user would.
//!
//! A generator reads `schemas/events/any.json` or `schemas/openapi.json`. What uses its output is in a folder beside `src`, one for each
//! language. [`checks`] lists them all; each also names a way to spoil the schema that it has to notice. Two outputs are what the
//! packages in `packages/` keep.

#![expect(clippy::print_stdout, reason = "a developer reads what is installed")]

mod check;
mod generators;
mod spoil;
mod tools;

pub use check::{Check, Mode, Outcome, Verdict};
pub use generators::checks;
pub use tools::{Need, Tools};
