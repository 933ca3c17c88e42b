//! This process: its runtime, signals, tasks, file descriptors, environment and the programs it starts.

#[cfg(unix)]
pub(crate) mod activation;
pub(crate) mod descriptors;
pub(crate) mod environment;
#[cfg(unix)]
pub(crate) mod init;
#[cfg(unix)]
pub(crate) mod notify;
pub(crate) mod parent;
pub(crate) mod program;
pub(crate) mod runtime;
pub(crate) mod signals;
pub(crate) mod tasks;
