//! Secrets: where they are read from, stored, and how a file of secrets is kept private.

pub(crate) mod forward_secret;
pub(crate) mod new_file;
pub(crate) mod private_file;
pub(crate) mod secret;
pub(crate) mod secret_store;
