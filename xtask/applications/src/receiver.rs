//! The receivers of `docs/applications`: how each is started, and what is checked of it.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::Places;
use crate::process::{Server, run};
use crate::python;
use crate::tools::{Missing, copy, needed};

/// One file of `docs/applications`.
pub(crate) struct Receiver {
    pub(crate) file: &'static str,
    runtime: Runtime,
}

/// What starts it.
#[derive(Clone, Copy)]
enum Runtime {
    /// A server of PyPI, and the object in the module.
    Wsgi(&'static str),
    Asgi,
    Node,
    /// The path that it is served under.
    Next(&'static str),
    Php,
    Go,
    Java,
    Ruby,
}

pub(crate) const RECEIVERS: &[Receiver] = &[
    receiver("flask_plain.py", Runtime::Wsgi("app")),
    receiver("flask_package.py", Runtime::Wsgi("app")),
    receiver("fastapi_plain.py", Runtime::Asgi),
    receiver("fastapi_package.py", Runtime::Asgi),
    receiver("django_plain.py", Runtime::Wsgi("application")),
    receiver("django_package.py", Runtime::Wsgi("application")),
    receiver("express_plain.mjs", Runtime::Node),
    receiver("express_package.mjs", Runtime::Node),
    receiver("fastify_plain.mjs", Runtime::Node),
    receiver("fastify_package.mjs", Runtime::Node),
    receiver("next_plain.ts", Runtime::Next("/heygen")),
    receiver("next_package.ts", Runtime::Next("/heygen-package")),
    receiver("php_plain.php", Runtime::Php),
    receiver("go_plain.go", Runtime::Go),
    receiver("java_plain.java", Runtime::Java),
    receiver("ruby_plain.ru", Runtime::Ruby),
];

const fn receiver(file: &'static str, runtime: Runtime) -> Receiver {
    Receiver { file, runtime }
}

impl Receiver {
    /// Counts its lines, starts it, sends it what HeyGen may send, and puts it behind `serve --forward`.
    pub(crate) fn check(&self, places: &Places) -> Result<String> {
        let text = fs::read_to_string(self.place(places))
            .with_context(|| format!("read {}", self.file))?;
        let lines = lines(&text);
        ensure!(
            lines <= MAX_LINES,
            "it has {lines} lines, and {MAX_LINES} are a receiver"
        );
        self.prepare(places)?;
        self.refuses_without_a_secret(places)?;
        let running = self.start(places, SECRET)?;
        let url = format!("http://{}{}", running.address, self.path());
        let drill = run(Command::new(&places.binary)
            .args(["drill", &url])
            .envs([("HEYGEN_WEBHOOK_SECRET", SECRET)]))?;
        let card = drill.lines().last().unwrap_or_default();
        let checks = card.split(';').next().unwrap_or_default();
        let forwarded = behind_serve(places, &url).with_context(|| running.server.printed())?;
        Ok(format!(
            "{lines} lines; drill: {checks}; {forwarded} forwarded and acknowledged"
        ))
    }

    /// An empty variable is a common mistake of configurations, and anyone can sign with an empty key.
    fn refuses_without_a_secret(&self, places: &Places) -> Result<()> {
        let Ok(running) = self.start(places, "") else {
            return Ok(());
        };
        let headers = format!(
            "Signature: {SIGNED_WITH_NOTHING}\r\nContent-Length: 2\r\nContent-Type: application/json\r\n"
        );
        let status = request(running.address, "POST", self.path(), &headers, "{}")?;
        ensure!(
            status >= 400,
            "without a secret it answers {status} to what is signed with an empty key"
        );
        Ok(())
    }

    fn place(&self, places: &Places) -> PathBuf {
        places.root.join("docs/applications").join(self.file)
    }

    fn path(&self) -> &'static str {
        match self.runtime {
            Runtime::Next(path) => path,
            _ => "/heygen",
        }
    }

    /// Compiles what is compiled, and puts files where they find the package.
    fn prepare(&self, places: &Places) -> Result<()> {
        match self.runtime {
            Runtime::Wsgi(_) | Runtime::Asgi => {
                brought(&python::installed(places))?;
                brought(&places.target.join("venv/bin"))
            }
            Runtime::Node => {
                let project = places.target.join("node/project");
                brought(&project.join("node_modules"))?;
                copy(&self.place(places), &project)
            }
            Runtime::Next(_) => build_next(places),
            Runtime::Php => needed("php", "--version"),
            Runtime::Go => {
                needed("go", "version")?;
                run(Command::new("go")
                    .args(["build", "-o"])
                    .arg(places.target.join("go_plain"))
                    .arg(self.place(places))
                    .env("GOCACHE", places.target.join("go-cache"))
                    .env("GOFLAGS", "-mod=mod"))
                .map(drop)
            }
            Runtime::Java => needed("java", "--version"),
            Runtime::Ruby => needed("puma", "--version"),
        }
    }

    fn command(&self, places: &Places, address: SocketAddr) -> Command {
        let port = address.port().to_string();
        let venv = |program: &str, words: [&str; 4], object: &str| {
            let module = self.file.trim_end_matches(".py");
            let mut command = Command::new(places.target.join("venv/bin").join(program));
            command.args(words).arg(format!("{module}:{object}"));
            command
                .env("PYTHONPATH", python::installed(places))
                .env("PYTHONDONTWRITEBYTECODE", "1");
            command
        };
        let listen = address.to_string();
        let mut command = match self.runtime {
            Runtime::Wsgi(object) => venv(
                "waitress-serve",
                ["--listen", &listen, "--threads", "8"],
                object,
            ),
            Runtime::Asgi => venv("uvicorn", ["--host", "127.0.0.1", "--port", &port], "app"),
            Runtime::Node => {
                let mut command = Command::new("node");
                command.arg(places.target.join("node/project").join(self.file));
                command
            }
            Runtime::Next(_) => {
                let mut command = Command::new(places.target.join("node/node_modules/.bin/next"));
                command.args(["start", "--hostname", "127.0.0.1", "--port", &port]);
                command.arg(places.target.join("node/next"));
                command
            }
            Runtime::Php => {
                let mut command = Command::new("php");
                command.args(["-S", &listen, self.file]);
                command
            }
            Runtime::Go => Command::new(places.target.join("go_plain")),
            Runtime::Java => {
                let mut command = Command::new("java");
                command.arg(self.file);
                command
            }
            Runtime::Ruby => {
                let mut command = Command::new("puma");
                // By default five, each of which waits for the next request of a connection for 0.2 s: a probe may be late.
                command.args(["--threads", "16:16"]);
                command.args(["--bind", &format!("tcp://{listen}"), self.file]);
                command
            }
        };
        command.current_dir(places.root.join("docs/applications"));
        command
            .env("PORT", port)
            .env("NEXT_TELEMETRY_DISABLED", "1");
        command
    }

    /// Starts it, and waits until it answers the probe.
    fn start(&self, places: &Places, secret: &str) -> Result<Running> {
        let address = free_address()?;
        let mut command = self.command(places, address);
        let log = places.target.join(format!("{}.log", self.file));
        let server = Server::start(command.env("HEYGEN_WEBHOOK_SECRET", secret), &log)?;
        let mut running = Running { server, address };
        running.wait(self.path())?;
        Ok(running)
    }
}

/// A process that answers.
struct Running {
    server: Server,
    address: SocketAddr,
}

impl Running {
    fn wait(&mut self, path: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if request(self.address, "OPTIONS", path, "", "").is_ok_and(|status| status < 300) {
                return Ok(());
            }
            if let Some(status) = self.server.ended()? {
                bail!("it ended with {status}\n{}", self.server.printed());
            }
            if Instant::now() > deadline {
                bail!("it does not answer the probe\n{}", self.server.printed());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Sends every event through `serve --forward`; how many were acknowledged by the receiver.
fn behind_serve(places: &Places, url: &str) -> Result<usize> {
    let folder = tempfile::tempdir().context("make a folder for the inbox")?;
    let file = |name: &str| folder.path().join(name);
    // The forward secret is another than HeyGen's, and it is the one that the receiver verifies with.
    fs::write(file("forward-secret"), SECRET).context("write the forward secret")?;
    let address = free_address()?;
    let heygen_webhooks = || {
        let mut command = Command::new(&places.binary);
        command
            .current_dir(folder.path())
            .env("HEYGEN_WEBHOOK_SECRET", "whsec_of_heygen");
        command
    };
    let server = Server::start(
        heygen_webhooks()
            .args(["serve", "--admin", "off", "--inbox", "inbox.db", "--listen"])
            .arg(address.to_string())
            .args(["--forward", url, "--forward-secret-file", "forward-secret"]),
        &file("serve.log"),
    )?;
    let mut serve = Running { server, address };
    serve.wait("/webhooks/heygen")?;
    let to = format!("http://{address}/webhooks/heygen");
    let sent = run(heygen_webhooks().args(["trigger", "--all", "--json", "--to", &to]))?;
    let sent = sent.lines().filter(|line| line.starts_with('{')).count();
    let list = [
        "inbox",
        "list",
        "--inbox",
        "inbox.db",
        "--state",
        "acknowledged",
        "--limit",
        "0",
        "--json",
    ];
    let deadline = Instant::now() + PATIENCE;
    loop {
        let acknowledged: serde_json::Value =
            serde_json::from_str(&run(heygen_webhooks().args(list))?)
                .context("parse the list of acknowledged deliveries")?;
        let acknowledged = acknowledged.as_array().map_or(0, Vec::len);
        if acknowledged >= EVENTS {
            ensure!(sent == EVENTS, "{sent} events were sent");
            return Ok(acknowledged);
        }
        if Instant::now() > deadline {
            bail!(
                "{acknowledged} of {sent} forwarded deliveries were acknowledged\n{}",
                serve.server.printed()
            );
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Builds one project with both route handlers, unless it was built from the same texts.
fn build_next(places: &Places) -> Result<()> {
    let node = places.target.join("node");
    let package = node.join("project/node_modules/heygen-webhooks");
    brought(&package)?;
    let mut texts = fs::read_to_string(node.join("installed.txt")).context("read installed.txt")?;
    let mut routes = Vec::new();
    for receiver in RECEIVERS {
        if let Runtime::Next(path) = receiver.runtime {
            let text = fs::read_to_string(receiver.place(places))
                .with_context(|| format!("read {}", receiver.file))?;
            texts.push_str(&text);
            routes.push((path.trim_start_matches('/'), text));
        }
    }
    let mut modules = fs::read_dir(package.join("dist/esm"))
        .context("list the modules of the package")?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    modules.sort();
    for module in modules {
        texts.push_str(
            &fs::read_to_string(&module).with_context(|| format!("read {}", module.display()))?,
        );
    }
    let project = node.join("next");
    let built = project.join("built.txt");
    if fs::read_to_string(&built).is_ok_and(|found| found == texts) {
        return Ok(());
    }
    crate::tools::emptied(project.join("node_modules"))?;
    copy(&package, &project.join("node_modules"))?;
    for (path, text) in routes {
        let folder = crate::tools::emptied(project.join("app").join(path))?;
        fs::write(folder.join("route.ts"), text).context("write a route")?;
    }
    fs::write(project.join("package.json"), "{ \"private\": true }\n")
        .context("write package.json")?;
    run(Command::new(node.join("node_modules/.bin/next"))
        .arg("build")
        .current_dir(&project)
        .env("NEXT_TELEMETRY_DISABLED", "1"))?;
    fs::write(built, texts).context("note what was built")
}

/// Fails when an earlier step did not bring this, and has said why.
fn brought(place: &Path) -> Result<()> {
    if !place.exists() {
        bail!(Missing(format!("{} is not there", place.display())));
    }
    Ok(())
}

/// Lines that are neither empty nor imports, whose number the formatters of some languages decide.
fn lines(text: &str) -> usize {
    let mut is_import_list = false;
    let counted = text.lines().filter(|line| {
        let is_import = line.starts_with("import ")
            || line.starts_with("from ")
            || line.starts_with("require ");
        is_import_list = line.starts_with("import (") || (is_import_list && *line != ")");
        !line.trim().is_empty() && !is_import && !is_import_list && *line != ")"
    });
    counted.count()
}

/// An address on loopback that no one listens on, below the ports of outgoing connections.
fn free_address() -> Result<SocketAddr> {
    let first = 12_000 + (std::process::id() % 10_000) as u16;
    (first..first + 5_000)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("found no free port")
}

/// The status that a request is answered with.
fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).context("connect")?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .context("set a timeout")?;
    let mut text = String::new();
    write!(
        text,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}\r\n{body}"
    )?;
    stream
        .write_all(text.as_bytes())
        .context("send a request")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).context("read the answer")?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer
        .strip_prefix("HTTP/1.1 ")
        .with_context(|| format!("no answer: {answer}"))?;
    status.parse().context("read the status")
}

const MAX_LINES: usize = 20;
const EVENTS: usize = 30;
const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_of_the_application";
/// HMAC-SHA256 of `{}` under an empty key.
const SIGNED_WITH_NOTHING: &str =
    "22f8eea909400af98adf3681a9f31923ef6b7fcba4abb553d92823a3e9d5c25e";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: usize) {
        assert_eq!(lines(text), expected, "{text}");
    }

    #[test]
    fn lines_without_imports_are_counted() {
        check("import os\n\nfrom a import b\n\nx = 1\n# y\n", 2);
        check(
            "package main\n\nimport (\n\t\"a\"\n\t\"b\"\n)\n\nfunc main() {\n}\n",
            3,
        );
        check("require \"a\"\nimport { b } from \"c\";\nb();\n", 1);
    }

    #[test]
    fn every_file_is_checked() {
        let folder = crate::root().join("docs/applications");
        let paths = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        // Python leaves a folder there.
        let mut files: Vec<_> = paths
            .filter(|path| path.is_file())
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let mut checked: Vec<_> = RECEIVERS.iter().map(|receiver| receiver.file).collect();
        checked.sort_unstable();
        assert_eq!(files, checked);
    }

    #[test]
    fn page_says_how_to_start_every_file() {
        let page = fs::read_to_string(crate::root().join("docs/applications.md")).unwrap();
        for receiver in RECEIVERS {
            let file = receiver.file.replace("_package", "_plain");
            assert!(page.contains(&format!("\n| `{file}` |")), "{file}");
        }
    }
}
