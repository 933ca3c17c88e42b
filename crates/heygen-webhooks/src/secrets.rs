//! Secrets: where they are read from, and how their files are written.

pub(crate) mod forward_secret;
pub(crate) mod new_file;
pub(crate) mod secret;
