//! Tests of the public interface, of registration against the sandbox.

mod registration;
mod secret_store;
