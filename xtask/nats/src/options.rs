//! How a server is set up.

use std::path::{Path, PathBuf};

/// How a server is set up. The default: JetStream, every write on the disk before it is acknowledged, no users, no TLS.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) sync_interval: Option<String>,
    pub(crate) config: String,
    pub(crate) has_direct_routes: bool,
    pub(crate) below: Option<PathBuf>,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `sync_interval` to something else than `always`, such as `2m`, which is the server's own default.
    ///
    /// 2.9 does not know the setting: there it is left out, whatever was given.
    #[must_use]
    pub fn sync_interval(mut self, value: &str) -> Self {
        self.sync_interval = Some(value.to_owned());
        self
    }

    /// Adds lines to the top of the configuration: `authorization`, `accounts`, `tls`, `max_payload` and the like.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// Makes the temporary folder below this one: for a disk that is to be measured.
    #[must_use]
    pub fn below(mut self, folder: &Path) -> Self {
        self.below = Some(folder.to_owned());
        self
    }

    /// Lets the nodes of a cluster reach each other without us between them: for measuring. None can be cut off then.
    #[must_use]
    pub fn direct_routes(mut self) -> Self {
        self.has_direct_routes = true;
        self
    }
}
