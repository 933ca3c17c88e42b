//! How a server is set up, and the file that tells it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How a server is set up. The default: JetStream, every write on the disk before it is acknowledged, no users, no TLS.
#[derive(Clone, Debug, Default)]
pub struct Options {
    sync_interval: Option<String>,
    jetstream: String,
    config: String,
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

    /// Adds lines to the `jetstream` block: `max_file_store: 1MB`.
    #[must_use]
    pub fn jetstream(mut self, lines: &str) -> Self {
        self.jetstream.push_str(lines);
        self.jetstream.push('\n');
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

    /// The configuration file.
    pub(crate) fn text(&self, setting: &Setting<'_>) -> String {
        let sync = match &self.sync_interval {
            _ if !setting.knows_sync_always => String::new(),
            // In quotes: `2m` without them is a number of millions.
            Some(value) => format!("sync_interval: \"{value}\""),
            None => "sync_interval: always".to_owned(),
        };
        let cluster = setting.cluster.map(Membership::text).unwrap_or_default();
        format!(
            "server_name: \"{name}\"\n\
             listen: \"{client}\"\n\
             http: \"{monitor}\"\n\
             jetstream {{\nstore_dir: \"{store}\"\n{sync}\n{jetstream}}}\n\
             {cluster}\
             {config}",
            name = setting.name,
            client = setting.client,
            monitor = setting.monitor,
            store = setting.store.display(),
            jetstream = self.jetstream,
            config = self.config,
        )
    }
}

/// What a server's place decides, and not its options.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) name: &'a str,
    pub(crate) client: SocketAddr,
    pub(crate) monitor: SocketAddr,
    pub(crate) store: &'a Path,
    pub(crate) knows_sync_always: bool,
    pub(crate) cluster: Option<&'a Membership>,
}

/// A server's part in a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// The name of the cluster: whoever finds itself in another leaves again.
    pub(crate) name: String,
    /// Where it listens for the other nodes.
    pub(crate) listen: SocketAddr,
    /// Where others tell each other that it is, if not there.
    pub(crate) advertise: Option<SocketAddr>,
    /// Where it reaches each of the others.
    pub(crate) routes: Vec<SocketAddr>,
}

impl Membership {
    fn text(&self) -> String {
        let advertise = self
            .advertise
            .map(|address| format!("advertise: \"{address}\"\n"))
            .unwrap_or_default();
        let routes: Vec<String> = self
            .routes
            .iter()
            .map(|address| format!("\"nats-route://{address}\""))
            .collect();
        format!(
            "cluster {{\nname: \"{name}\"\nlisten: \"{listen}\"\n{advertise}routes: [{routes}]\n}}\n",
            name = self.name,
            listen = self.listen,
            routes = routes.join(", "),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: &Options, knows_sync_always: bool, expected: &[&str], absent: &[&str]) {
        let membership = Membership {
            name: "test".to_owned(),
            advertise: Some(([127, 0, 0, 1], 6).into()),
            listen: ([127, 0, 0, 1], 3).into(),
            routes: vec![([127, 0, 0, 1], 4).into(), ([127, 0, 0, 1], 5).into()],
        };
        let text = options.text(&Setting {
            name: "n0",
            client: ([127, 0, 0, 1], 1).into(),
            monitor: ([127, 0, 0, 1], 2).into(),
            store: Path::new("/store"),
            knows_sync_always,
            cluster: Some(&membership),
        });
        for line in expected {
            assert!(text.lines().any(|found| found == *line), "{line} in {text}");
        }
        for word in absent {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }

    #[test]
    fn the_file_says_what_the_options_say() {
        let always = "sync_interval: always";
        let routes = "routes: [\"nats-route://127.0.0.1:4\", \"nats-route://127.0.0.1:5\"]";
        check(
            &Options::new(),
            true,
            &[
                always,
                "store_dir: \"/store\"",
                routes,
                "advertise: \"127.0.0.1:6\"",
            ],
            &[],
        );
        check(&Options::new(), false, &[], &["sync_interval"]);
        let relaxed = Options::new().sync_interval("2m");
        check(&relaxed, true, &["sync_interval: \"2m\""], &["always"]);
        check(&relaxed, false, &[], &["sync_interval"]);
        let limited = Options::new()
            .jetstream("max_file_store: 1MB")
            .config("max_payload: 1KB");
        check(
            &limited,
            true,
            &["max_file_store: 1MB", "max_payload: 1KB", always],
            &[],
        );
    }
}
