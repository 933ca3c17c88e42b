//! Secrets: where they are read from, and files that come into being whole.

pub(crate) mod forward_secret;
pub(crate) mod new_file;
pub(crate) mod secret;
