//! Tests of the public interface, of registration against the sandbox.

#![expect(clippy::expect_used, reason = "a panic in a test is its report")]

mod registration;
mod secret_store;
