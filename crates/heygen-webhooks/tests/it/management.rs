//! `endpoints`, `event-types` and `events`, against the sandbox: both versions, text and JSON, exit statuses, secrets.

use heygen_testkit::sandbox::{Endpoint, Fault, Misbehaviour, Outgoing, Sandbox};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::{Ended, Workdir};

mod endpoints;
mod event_log;
mod event_types;
mod refusals;
mod secret_storage;
mod secrets;

const KEY: &str = "key-of-the-tests";
const URL: &str = "https://hooks.example/webhooks/heygen";
const BOTH: [&str; 2] = ["v1", "v3"];

/// HeyGen in a box, which takes addresses where nobody listens, and a folder to run in.
struct Heygen {
    workdir: Workdir,
    sandbox: Sandbox,
    runtime: Runtime,
}

impl Heygen {
    fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let builder = Sandbox::builder().api_key(KEY).probe(false);
        Self {
            workdir: Workdir::new(),
            sandbox: runtime.block_on(builder.start()).expect("a sandbox"),
            runtime,
        }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.run_as(KEY, arguments)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        self.run(arguments).ok().json()
    }

    fn run_as(&self, key: &str, arguments: &[&str]) -> Ended {
        let environment = [
            ("HEYGEN_API_KEY", key),
            ("HEYGEN_WEBHOOKS_BASE_URL", self.sandbox.url()),
        ];
        self.workdir.run_with(arguments, b"", &environment)
    }

    fn create(&self) -> Endpoint {
        let registered = self.sandbox.register(URL);
        self.runtime.block_on(registered).expect("registered")
    }

    /// What the sandbox has of the first endpoint.
    fn first(&self) -> Endpoint {
        self.sandbox.endpoints().swap_remove(0)
    }

    fn send(&self, event: impl Into<Outgoing>) -> String {
        let _inside = self.runtime.enter();
        self.sandbox.send(event)
    }

    fn refuse(&self, fault: Fault) {
        self.sandbox.misbehave(Misbehaviour::default().fault(fault));
    }

    fn secrets_file(&self) -> Value {
        let path = self.workdir.path().join("heygen-inbox.db.secrets.json");
        let text = std::fs::read(path).expect("a secrets file");
        serde_json::from_slice(&text).expect("JSON")
    }
}

impl Ended {
    /// It failed with this status, said all of this, and printed nothing.
    #[track_caller]
    fn fails_with(&self, status: i32, parts: &[&str]) {
        assert_eq!(self.status, status, "{}{}", self.stdout, self.stderr);
        for part in parts {
            self.says(part);
        }
        assert_eq!(self.stdout, "");
    }
}
