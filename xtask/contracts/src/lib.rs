//! Generated files that other languages rely on: what our types and signatures say, as data.
//!
//! Each is a function to text. `cargo xtask schemas` writes the OpenAPI document, `cargo xtask fixtures` the rest.

#![expect(
    clippy::missing_errors_doc,
    reason = "every error ends the command, and says what failed"
)]

pub mod answers;
pub mod openapi;
pub mod vectors;
